//go:build peer

package peer

import (
	"testing"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestGoClient runs the unmodified rocketmq-client-go/v2 (a module of its own in goclient/).
func TestGoClient(t *testing.T) {
	t.Parallel()
	covers(t, goV2, "Send (sync, async, batch), push, orderly")
	c := newCluster(t, target.Options{Kind: target.Ours, Brokers: 2})
	run := func(args ...string) map[string]any {
		t.Helper()
		return goMain(t, args...)
	}
	want(t, run("send", c.NS, "go_t", "go_g", "200"), "ok", 200)
	want(t, run("batch", c.NS, "go_b", "go_g", "320"), "ok", 320)
	want(t, run("async", c.NS, "go_a", "go_g", "300"), "ok", 300)
	m := run("push", c.NS, "go_t", "go_c", "200")
	want(t, m, "distinct", 200)
	want(t, m, "got", 200)
	want(t, run("push", c.NS, "go_b", "go_cb", "320"), "distinct", 320)
	want(t, run("push", c.NS, "go_a", "go_ca", "300"), "distinct", 300)
	want(t, run("orderly", c.NS, "go_t", "go_co", "200"), "distinct", 200)
}
