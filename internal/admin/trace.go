package admin

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// traceTopic is where clients write what became of their messages.
const traceTopic = "RMQ_SYS_TRACE_TOPIC"

// trace is one line of what a client tells: it sent a message, or consumed it.
type trace struct {
	Type   string `json:"type"` // Pub, SubAfter
	Group  string `json:"group"`
	Client string `json:"clientHost"`
	Time   int64  `json:"timeMs"`
	Cost   int64  `json:"costMs"`
	Status string `json:"status"` // success or failed

	id string
}

func (t *trace) succeeded(text string) {
	t.Status = "failed"
	if strings.EqualFold(text, "true") {
		t.Status = "success"
	}
}

// readTraces reads the body of a trace message (Java TraceDataEncoder). Lines that make no sense or are of other kinds are left out.
func readTraces(body string) []trace {
	var out []trace
	number := func(s string) int64 {
		n, _ := strconv.ParseInt(s, 10, 64)
		return n
	}
	for part := range strings.SplitSeq(body, "\x02") {
		f := strings.Split(part, "\x01")
		switch {
		case f[0] == "Pub" && len(f) >= 12:
			t := trace{Type: f[0], Time: number(f[1]), Group: f[3], id: f[5], Cost: number(f[10]), Status: "success"}
			if len(f) == 13 {
				t.succeeded(f[12])
			} else if len(f) > 13 {
				t.succeeded(f[13])
			}
			out = append(out, t)
		case f[0] == "SubAfter" && len(f) >= 5:
			t := trace{Type: f[0], id: f[2], Cost: number(f[3])}
			t.succeeded(f[4])
			if len(f) >= 9 {
				t.Time, t.Group = number(f[7]), f[8]
			}
			out = append(out, t)
		}
	}
	return out
}

func traceCommand() Command {
	return Command{
		Name: "queryMsgTraceById", About: "Who has sent and consumed a message, as their clients have told", Run: queryTrace,
		Flags: []Flag{
			need("i", "msgId", "message id"), opt("t", "traceTopic", "the topic of traces, default "+traceTopic),
			opt("b", "beginTimestamp", "from this time, ms").num(64), opt("e", "endTimestamp", "to this time, ms").num(64),
			opt("c", "maxNum", "at most so many messages with traces, default 64").num(32),
		},
	}
}

func queryTrace(c *Call) error {
	id := c.Str("i")
	list, _, err := c.find(mq.KeyQuery{
		Topic: c.StrOr("t", traceTopic), Key: id, Max: int(c.Int32("c", 64)), Begin: c.Int("b", 0), End: c.Int("e", math.MaxInt64),
	}, "")
	if err != nil {
		return err
	}
	const row = "%-10s %-20s %-20s %-20s %-10s %-10s\n"
	groups := map[string][]trace{}
	found := false
	for _, m := range list {
		for _, t := range readTraces(string(m.raw)) {
			if t.id != id {
				continue
			}
			found = true
			if t.Client, _, _ = strings.Cut(m.BornHost, ":"); strings.HasPrefix(m.BornHost, "[") {
				t.Client = m.BornHost[:strings.LastIndexByte(m.BornHost, ':')]
			}
			if t.Type == "SubAfter" {
				groups[t.Group] = append(groups[t.Group], t)
				continue
			}
			c.Say(row, "#Type", "#ProducerGroup", "#ClientHost", "#SendTime", "#CostTimes", "#Status")
			c.Row(t, row+"\n", "Pub", t.Group, t.Client, seconds(t.Time), fmt.Sprintf("%dms", t.Cost), t.Status)
		}
	}
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		c.Say(row, "#Type", "#ConsumerGroup", "#ClientHost", "#ConsumerTime", "#CostTimes", "#Status")
		for _, t := range groups[g] {
			c.Row(t, row, "Sub", t.Group, t.Client, seconds(t.Time), fmt.Sprintf("%dms", t.Cost), t.Status)
		}
		c.Say("\n")
	}
	if !found && len(c.errs) == 0 {
		return fmt.Errorf("no client has told of message %s in topic %s", id, c.StrOr("t", traceTopic))
	}
	return nil
}
