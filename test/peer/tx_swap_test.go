//go:build peer

package peer

import (
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestSwapOfUndecidedTransactions takes a store with undecided half messages from Java to us and back: whoever runs asks
// about them, and what is committed then is delivered once.
func TestSwapOfUndecidedTransactions(t *testing.T) {
	t.Parallel()
	const set = java55
	target.NeedJava(t, set)
	dir := t.TempDir()
	var c *target.Cluster
	start := func(kind target.Kind) {
		c = target.New(t, target.Options{Kind: kind, Set: set, Dir: dir, Heap: "512m", Conf: quickChecks})
		registered(t, c, "TBW102")
	}
	swap := func(to target.Kind) {
		if err := c.Brokers[0].Stop(60 * time.Second); err != nil {
			t.Fatal(err)
		}
		c.Namesrv.Kill()
		start(to)
	}
	start(target.Java)
	want(t, javaMain(t, set, "Transactions", "decide", c.NS, "swap_a", "swap_pa", "30"), "ok", 30)
	want(t, javaMain(t, set, "Transactions", "leave", c.NS, "swap_b", "swap_pb", "40"), "ok", 40)

	swap(target.Ours)
	m := javaMain(t, set, "Transactions", "answer", c.NS, "swap_b", "swap_pb", "40")
	want(t, m, "asked", 40)
	want(t, m, "wrong", "")
	want(t, javaClient(t, set, "push", c.NS, "swap_b", "swap_cb", "20"), "got", 20)
	want(t, javaClient(t, set, "push", c.NS, "swap_a", "swap_ca", "15"), "got", 15)
	want(t, javaMain(t, set, "Transactions", "decide", c.NS, "swap_c", "swap_pc", "30"), "ok", 30)
	want(t, javaMain(t, set, "Transactions", "leave", c.NS, "swap_d", "swap_pd", "40"), "ok", 40)

	swap(target.Java)
	m = javaMain(t, set, "Transactions", "answer", c.NS, "swap_d", "swap_pd", "40")
	want(t, m, "asked", 40)
	want(t, m, "wrong", "")
	want(t, javaClient(t, set, "push", c.NS, "swap_d", "swap_cd", "20"), "got", 20)
	want(t, javaClient(t, set, "push", c.NS, "swap_c", "swap_cc", "15"), "got", 15)
	want(t, javaClient(t, set, "push", c.NS, "swap_b", "swap_cb2", "20"), "got", 20)
}
