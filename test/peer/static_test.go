//go:build peer

package peer

import (
	"testing"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestStaticTopic: Java's tool makes a static topic and moves its queues to another broker and back, while an unmodified producer and
// consumer go on. Every message is seen once and in order, also by a group that begins afterwards and reads all parts.
func TestStaticTopic(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, java55)
	for i, kinds := range [][]target.Kind{
		{target.Ours, target.Ours},
		{target.Ours, target.Java},
		{target.Java, target.Ours},
	} {
		t.Run(string(kinds[0])+" and "+string(kinds[1]), func(t *testing.T) {
			variant(t, i)
			c := newCluster(t, target.Options{Kind: target.Ours, Brokers: 2, Kinds: kinds})
			m := javaMain(t, java55, "StaticTopic", c.NS, "Static", "20", "broker-a", "broker-b", "broker-a,broker-b")
			t.Log(m)
			want(t, m, "sent", 180)
			want(t, m, "queues", 3)
			for _, who := range []string{"live", "again"} {
				want(t, m, who, 180)
				want(t, m, who+"_wrong", 0)
			}
			// What mqadmin topicStatus and consumerProgress show.
			want(t, m, "stats_queues", 3)
			want(t, m, "stats_begin", 0)
			want(t, m, "progress_queues", 3)
		})
	}
}
