//go:build peer

package peer

import (
	"strconv"
	"testing"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// qpid is the JMS client of Apache Qpid, for javax.jms 2.0.
const qpid = "qpid-jms-1.15.0"

// allTrue checks that at least n things were tried, and that all of them work.
func allTrue(t *testing.T, m map[string]any, n int) {
	t.Helper()
	for key := range m {
		if key != "action" {
			want(t, m, key, true)
		}
	}
	if len(m) <= n {
		t.Errorf("too little was tried: %v", m)
	}
}

// The unmodified client of Apache Qpid uses queues and topics, and RocketMQ's own client shares them with it.
func TestJMS(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, qpid)
	target.NeedJava(t, java55)
	port := target.FreePorts(t, 1)
	c := newCluster(t, target.Options{Kind: target.Ours, Conf: map[string]string{"enableAmqp": "true", "amqpPort": strconv.Itoa(port)}})
	want(t, javaClient(t, java55, "send", c.NS, "from_java", "g_from", "20"), "ok", 20)
	uri := "amqp://127.0.0.1:" + strconv.Itoa(port)
	allTrue(t, javaMain(t, qpid, "JmsQueue", uri), 20)
	allTrue(t, javaMain(t, qpid, "JmsTopic", uri), 8)
	want(t, javaClient(t, java55, "push", c.NS, "to_java", "g_to", "20"), "distinct", 20)
}
