//go:build compare

package compare

import (
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestSQLFilteredPullRate prints how many messages a second the brokers look at and give out for SQL92 expressions: one that
// takes all and one that takes none. It has no goal of its own: figures of a short run on a shared machine.
func TestSQLFilteredPullRate(t *testing.T) {
	const messages = 200_000
	rates := map[target.Kind][2]float64{}
	for _, kind := range []target.Kind{target.Ours, target.Java} {
		if kind == target.Java {
			target.NeedJava(t, "server-5.5.0")
		}
		c := target.New(t, target.Options{Kind: kind, Full: true, Conf: map[string]string{"enablePropertyFilter": "true"}})
		o := bench.Options{
			Broker: c.Addrs[0], Topic: "SQLRate", Queues: 4, Size: 128, Count: messages, Create: true, Batch: 32,
			Props: "region\x01eu-west\x02price\x0117.5\x02count\x013\x02TAGS\x01created\x02",
		}
		sent, err := bench.Produce(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		stored := queued(t, &o, sent.Messages)
		var r [2]float64
		for i, expr := range []string{
			"TAGS = 'created' AND price BETWEEN 10.0 AND 20.0 AND region IN ('eu-west', 'eu-north')", "count > 100",
		} {
			o.SQL = expr
			rep, err := bench.Consume(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			r[i] = stored / rep.Seconds
			t.Logf("%s: %q: %.0f messages/s looked at, %d given out", kind, expr, r[i], rep.Messages)
		}
		rates[kind] = r
		c.Brokers[0].Kill()
		c.Namesrv.Kill()
	}
	ours, java := rates[target.Ours], rates[target.Java]
	t.Logf("ours : java = %.1f (all match), %.1f (none match)", ours[0]/java[0], ours[1]/java[1])
}

// queued waits until the queues hold what was sent, and returns how much that is.
func queued(t *testing.T, o *bench.Options, sent int64) float64 {
	t.Helper()
	c, err := bench.Dial(t.Context(), nil, o.Broker, protocol.Binary)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var n int64
		for q := range o.Queues {
			_, hi, err := c.Bounds(o.Topic, q)
			if err != nil {
				t.Fatal(err)
			}
			n += hi
		}
		if n >= sent {
			return float64(n)
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d messages in the queues", n, sent)
		}
	}
}
