//go:build peer

package peer

import (
	"strconv"
	"testing"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// qpid is the JMS client of Apache Qpid, for javax.jms 2.0.
const qpid = "qpid-jms-1.15.0"

// The unmodified client of Apache Qpid uses queues, and RocketMQ's own client shares them with it.
func TestJMSQueues(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, qpid)
	target.NeedJava(t, java55)
	port := target.FreePorts(t, 1)
	c := newCluster(t, target.Options{Kind: target.Ours, Conf: map[string]string{"enableAmqp": "true", "amqpPort": strconv.Itoa(port)}})
	want(t, javaClient(t, java55, "send", c.NS, "from_java", "g_from", "20"), "ok", 20)
	m := javaMain(t, qpid, "JmsQueue", "amqp://127.0.0.1:"+strconv.Itoa(port))
	for key := range m {
		if key != "action" {
			want(t, m, key, true)
		}
	}
	if len(m) < 20 {
		t.Errorf("too little was tried: %v", m)
	}
	want(t, javaClient(t, java55, "push", c.NS, "to_java", "g_to", "20"), "distinct", 20)
}
