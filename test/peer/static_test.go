//go:build peer

package peer

import (
	"testing"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestStaticTopic: Java's tool or ours makes a static topic and moves its queues to another broker and back, while an unmodified producer and
// consumer go on. Every message is seen once and in order, also by a group that begins afterwards and reads all parts.
func TestStaticTopic(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, java55)
	for i, v := range []struct {
		kinds []target.Kind
		tool  string
	}{
		{[]target.Kind{target.Ours, target.Ours}, "mqadmin"},
		{[]target.Kind{target.Ours, target.Java}, "mqadmin"},
		{[]target.Kind{target.Java, target.Ours}, "mqadmin"},
		{[]target.Kind{target.Ours, target.Java}, "cometmq admin"},
		{[]target.Kind{target.Java, target.Java}, "cometmq admin"},
	} {
		t.Run(string(v.kinds[0])+" and "+string(v.kinds[1])+" by "+v.tool, func(t *testing.T) {
			variant(t, i)
			c := newCluster(t, target.Options{Kind: target.Ours, Brokers: 2, Kinds: v.kinds})
			var jvm []string
			if v.tool != "mqadmin" {
				jvm = []string{"-Dcometmq.admin=" + target.Binary(t)}
			}
			m := javaMainWith(t, java55, jvm, "StaticTopic", c.NS, "Static", "20", "broker-a", "broker-b", "broker-a,broker-b")
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
