package admin

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/mq"
)

// What Java's TraceDataEncoder writes, of several versions; lines of other kinds and broken ones are left out.
func TestTracesAreRead(t *testing.T) {
	t.Parallel()
	body := strings.Join([]string{
		"Pub\x011700000000000\x01Region\x01PG\x01T\x01ID1\x01tag\x01key\x0110.0.0.1:10911\x015\x0112\x010\x01OFF\x01true\x01",
		"Pub\x011700000000001\x01Region\x01PG\x01T\x01ID2\x01tag\x01key\x0110.0.0.1:10911\x015\x0112\x010\x01false",
		"SubBefore\x011700000000002\x01Region\x01CG\x01REQ\x01ID1\x010\x01key",
		"SubAfter\x01REQ\x01ID1\x017\x01true\x01key\x010\x011700000000003\x01CG",
		"SubAfter\x01REQ\x01ID2\x018\x01false\x01key",
		"Pub\x01short", "SubAfter\x01x", "", "nothing",
	}, "\x02")
	want := []trace{
		{Type: "Pub", Group: "PG", Time: 1700000000000, Cost: 12, Status: "success", id: "ID1"},
		{Type: "Pub", Group: "PG", Time: 1700000000001, Cost: 12, Status: "failed", id: "ID2"},
		{Type: "SubAfter", Group: "CG", Time: 1700000000003, Cost: 7, Status: "success", id: "ID1"},
		{Type: "SubAfter", Cost: 8, Status: "failed", id: "ID2"},
	}
	if d := cmp.Diff(want, readTraces(body), cmp.AllowUnexported(trace{})); d != "" {
		t.Error(d)
	}
}

func TestPrettyIsJavas(t *testing.T) {
	t.Parallel()
	got := string(pretty([]byte(`{"a: b":{"c\\\"d: ":[1,2]},"e":{}}`)))
	want := "{\n\t\"a: b\":{\n\t\t\"c\\\\\\\"d: \":[\n\t\t\t1,\n\t\t\t2\n\t\t]\n\t},\n\t\"e\":{}\n}"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := string(pretty([]byte("no JSON"))); got != "no JSON" {
		t.Errorf("what is no JSON: %s", got)
	}
}

func TestColdTimesAreReadable(t *testing.T) {
	t.Parallel()
	got, err := readableTimes([]byte(`{"runtimeTable":{"G":{"coldAcc":1,"createTimeMills":0,"lastColdReadTimeMills":1000}},"globalAcc":0}`))
	if err != nil || strings.Contains(string(got), "Mills") || !strings.Contains(string(got), `"createTimeFormat":"19`) && !strings.Contains(string(got), `"createTimeFormat":"20`) {
		t.Errorf("%s %v", got, err)
	}
	if _, err := readableTimes([]byte(`[`)); err == nil {
		t.Error("half a list is taken")
	}
}

// A dump ends at the zeros behind the last message, and says where it cannot go on.
func TestDumpOfDamage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"zeros":    {make([]byte, 64), ""},
		"short":    {[]byte{0, 0, 1}, ""},
		"too long": {binary.BigEndian.AppendUint32(nil, 1<<31), "at 0: a message of 2147483648 bytes, and 4 are left"},
		"nonsense": {append(binary.BigEndian.AppendUint32(nil, 100), make([]byte, 96)...), "at 0: "},
	} {
		var out, errs bytes.Buffer
		code := Run(t.Context(), Env{
			Out: &out, Err: &errs, Prog: "admin", Connect: noCluster, ReadFile: func(string) ([]byte, error) { return c.data, nil },
		}, []string{"dumpCompactionLog", "-f", "x"})
		if (code == 0) != (c.want == "") || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: code %d, %s", name, code, errs.String())
		}
	}
}

// A client's answer as fastjson writes it, with objects as keys.
func TestRunningInfoIsRead(t *testing.T) {
	t.Parallel()
	info, queues := readRunningInfo([]byte(`{"jstack":"","mqTable":{{"brokerName":"b","queueId":1,"topic":"T"}:{"cachedMsgCount":3,"droped":false,"lastConsumeTimestamp":5,` +
		`"locked":true,"tryUnlockTimes":0},{"brokerName":"b","queueId":2,"topic":"T"}:{"cachedMsgCount":0}},"properties":{"PROP_CONSUME_TYPE":"CONSUME_PASSIVELY",` +
		`"PROP_CONSUMEORDERLY":"false"},"subscriptionSet":[{"subString":"*","topic":"T"}]}`))
	want := []clientQueue{
		{Queue: mq.Queue{Topic: "T", Broker: "b", ID: 1}, Cached: 3, LastConsume: 5, Locked: true}, {Queue: mq.Queue{Topic: "T", Broker: "b", ID: 2}},
	}
	if d := cmp.Diff(want, queues); d != "" {
		t.Error(d)
	}
	if info.Properties["PROP_CONSUME_TYPE"] != "CONSUME_PASSIVELY" || len(info.Subs) != 1 || info.Subs[0].Topic != "T" {
		t.Errorf("%+v", info)
	}
	if _, queues := readRunningInfo([]byte(`{"mqTable":{{"brokerName":`)); queues != nil {
		t.Errorf("half an answer: %v", queues)
	}
}

// Completion without a cluster: commands, flags, values that need none. It never fails.
func TestCompleteOffline(t *testing.T) {
	t.Parallel()
	words := func(args []string, word string) []string {
		s := Complete(context.Background(), Env{Connect: func(*Target) (mq.Cluster, error) { t.Error("the cluster was asked"); return nil, context.Canceled }}, args, word)
		out := make([]string, len(s.Words))
		for i, w := range s.Words {
			out[i], _, _ = strings.Cut(w, "\t")
		}
		slices.Sort(out)
		if s.Files {
			out = append(out, "FILES")
		}
		return out
	}
	for _, c := range []struct {
		args []string
		word string
		want []string
	}{
		{nil, "topicSt", []string{"topicStatus"}},
		{[]string{"nothing"}, "", []string{}},
		{[]string{"topicStatus"}, "--to", []string{"--topic"}},
		{[]string{"topicStatus", "--output"}, "", []string{"json", "table", "wide", "yaml"}},
		{[]string{"topicStatus"}, "--output=j", []string{"--output=json"}},
		{[]string{"setConsumeMode", "-m"}, "P", []string{"POP", "PULL"}},
		{[]string{"updateTopic", "-o"}, "", []string{"false", "true"}},
		{[]string{"updateTopicList", "-f"}, "", []string{"FILES"}},
		{[]string{"sendMessage", "-p"}, "", []string{}},
	} {
		if got := words(c.args, c.word); !slices.Equal(got, c.want) {
			t.Errorf("%v %q: %v, want %v", c.args, c.word, got, c.want)
		}
	}
}

func noCluster(*Target) (mq.Cluster, error) { return closedCluster{}, nil }

// closedCluster is for commands that ask no server.
type closedCluster struct{ mq.Cluster }

func (closedCluster) Close() {}

// Long work is told about once a second at most, and only when somebody watches.
func TestProgressIsRare(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	var errs bytes.Buffer
	c := &Call{cmd: &Command{Name: "x"}, env: &Env{Err: &errs, Now: func() time.Time { return now }}}
	c.working("topics", 1, 9)
	if errs.Len() > 0 {
		t.Errorf("nobody watches: %s", errs.String())
	}
	c.env.Progress = true
	for i := range 9 {
		c.working("topics", i, 9)
		now = now.Add(400 * time.Millisecond)
	}
	if want := "x: 1 of 9 topics\nx: 4 of 9 topics\nx: 7 of 9 topics\n"; errs.String() != want {
		t.Errorf("%q, want %q", errs.String(), want)
	}
}

// Two commands of mqadmin call their -n by another long name; all three ways are taken.
func TestOtherNameOfTheNameServers(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"-n", "--nameserverAddr", "--namesrvAddr"} {
		asked := ""
		env := Env{Out: io.Discard, Err: io.Discard, Connect: func(to *Target) (mq.Cluster, error) {
			asked = to.NameServers
			return closedCluster{}, nil
		}}
		if code := Run(t.Context(), env, []string{"rocksDBConfigToJson", how, "10.0.0.1:9876", "-p", "/x"}); code != 1 || asked != "10.0.0.1:9876" {
			t.Errorf("%s: code %d, asked %q", how, code, asked)
		}
	}
}
