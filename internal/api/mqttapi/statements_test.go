package mqttapi_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheTableOfStatementsNamesTests reads docs/protocol/mqtt-statements.md.
func TestTheTableOfStatementsNamesTests(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/protocol/mqtt-statements.md")
	must(t, err)
	sources := map[string]string{}
	for _, dir := range []string{"", "packet", "topic", "message", "websocket"} {
		list, err := os.ReadDir("./" + dir)
		must(t, err)
		for _, e := range list {
			if strings.HasSuffix(e.Name(), "_test.go") {
				b, err := os.ReadFile("./" + dir + "/" + e.Name())
				must(t, err)
				sources[dir] += string(b)
			}
		}
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| MQTT-") {
			continue
		}
		rows++
		cells := strings.Split(strings.TrimSpace(line), "|")
		tests := regexp.MustCompile("(?:`([a-z]+)` )?(Test[A-Za-z0-9]+)").FindAllStringSubmatch(cells[len(cells)-2], -1)
		if len(tests) == 0 {
			t.Errorf("no test: %s", line)
		}
		dir := ""
		for _, m := range tests {
			if m[1] != "" {
				dir = m[1]
			}
			if !strings.Contains(sources[dir], "func "+m[2]+"(") && !strings.Contains(sources[""], "func "+m[2]+"(") {
				t.Errorf("there is no %s: %s", m[2], line)
			}
		}
	}
	if rows < 50 {
		t.Errorf("%d statements", rows)
	}
}
