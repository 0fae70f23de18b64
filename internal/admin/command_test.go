package admin

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlagsAsCommonsCLIReadsThem(t *testing.T) {
	t.Parallel()
	cmd := Command{Name: "x", Flags: []Flag{ofTopic, opt("bn", "brokerName", ""), opt("b", "brokerId", "").num(64), flag("l", "list", "")}}
	for _, line := range []string{
		"-t T -bn a -b 2 -l", "--topic T --brokerName a --brokerId 2 --list", "-topic T -brokerName=a -b2 -list", "-tT -bn=a --brokerId=2 -l",
	} {
		got, err := cmd.parse(strings.Fields(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if d := cmp.Diff(map[string]string{"t": "T", "bn": "a", "b": "2", "l": "true"}, got); d != "" {
			t.Errorf("%s: %s", line, d)
		}
	}
	for line, want := range map[string]string{
		"-bn a": "-t, --topic is needed", "-t": "needs a value", "-t T -z": "unknown flag -z", "-t T -l=x": "takes no value",
		"-t T -b x": "is no number", "-t T x": "unexpected argument", "-t T --tpoic x": "did you mean --topic?",
	} {
		if _, err := cmd.parse(strings.Fields(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", line, err, want)
		}
	}
}

// TestTableOfCommands holds what the parser relies on: names are unique, and so are the flags of a command.
func TestTableOfCommands(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range commands() {
		if low := strings.ToLower(c.Name); seen[low] {
			t.Errorf("%s is there twice", c.Name)
		} else {
			seen[low] = true
		}
		if c.About == "" || c.Run == nil {
			t.Errorf("%s: no text or nothing to run", c.Name)
		}
		flags := map[string]bool{}
		for _, f := range c.all() {
			for _, n := range []string{"-" + f.Short, "--" + f.Long} {
				if strings.Trim(n, "-") == "" {
					continue
				}
				if flags[n] {
					t.Errorf("%s: two flags %s", c.Name, n)
				}
				flags[n] = true
			}
		}
		for _, group := range c.OneOf {
			for _, n := range group {
				if !flags["-"+n] {
					t.Errorf("%s: no flag %s", c.Name, n)
				}
			}
		}
		if c.Destroys && !c.Changes {
			t.Errorf("%s destroys and has no --dry-run", c.Name)
		}
		if c.help("prog") == "" {
			t.Errorf("%s: no help", c.Name)
		}
	}
}

func TestYAML(t *testing.T) {
	t.Parallel()
	got, err := yaml([]any{map[string]any{"brokerName": "a: b", "no": 1, "list": []int{1, 2}, "empty": []int{}, "nested": map[string]any{"x": nil}}, "text", []int{}})
	if err != nil {
		t.Fatal(err)
	}
	want := `- brokerName: "a: b"
  "empty": []
  "list":
    - 1
    - 2
  nested:
    "x": null
  "no": 1
- "text"
- []
`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
}

func TestOwnedQueuesOfRunningInfo(t *testing.T) {
	t.Parallel()
	body := `{"jstack":"x","mqTable":{{"brokerName":"a","queueId":1,"topic":"T"}:{"commitOffset":1,"droped":false},` +
		`{"brokerName":"b","queueId":0,"topic":"U"}:{}},"mqPopTable":{},"properties":{}}`
	got := ownedQueues([]byte(body))
	if len(got) != 2 || got[0].Topic != "T" || got[0].ID != 1 || got[1].Broker != "b" {
		t.Errorf("got %v", got)
	}
	for i := range body { // a client may send anything
		ownedQueues([]byte(body[:i]))
	}
}
