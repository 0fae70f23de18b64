//go:build peer

package peer

import (
	"strconv"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// app runs an action of Retry.java or of goclient/
type app func(t *testing.T, args ...string) map[string]any

func javaApp(set string) app {
	return func(t *testing.T, args ...string) map[string]any {
		t.Helper()
		return javaMain(t, set, "Retry", args...)
	}
}

// eachClient runs f with each of the clients on a cluster of its own.
func eachClient(t *testing.T, conf map[string]string, f func(t *testing.T, client string, run app, c *target.Cluster, name string)) {
	t.Helper()
	for _, client := range []string{java55, java49, goV2} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			run := app(goMain)
			if client != goV2 {
				target.NeedJava(t, client)
				run = javaApp(client)
			}
			c := newCluster(t, target.Options{Kind: target.Ours, Conf: conf})
			registered(t, c, "TBW102")
			f(t, client, run, c, strings.NewReplacer(".", "_", "-", "_").Replace(client))
		})
	}
}

// send stores count messages with the client's own producer.
func send(t *testing.T, client string, c *target.Cluster, topic string, count int) {
	t.Helper()
	args := []string{"send", c.NS, topic, "retry_p", strconv.Itoa(count)}
	if client == goV2 {
		want(t, goMain(t, args...), "ok", count)
		return
	}
	want(t, javaClient(t, client, args...), "ok", count)
}

func TestFailingConsumers(t *testing.T) {
	t.Parallel()
	eachClient(t, nil, func(t *testing.T, client string, run app, c *target.Cluster, _ string) {
		covers(t, client, "Retry: each failed message again with the right count, then %DLQ%, which is read by a consumer")
		send(t, client, c, "retry_t", 20)
		m := run(t, "fail", c.NS, "retry_t", "retry_g", "20", "2")
		want(t, m, "got", 60) // once and two times more
		want(t, m, "distinct", 20)
		want(t, m, "wrong", 0)
		m = run(t, "dead", c.NS, "retry_t", "retry_g", "20", "3")
		want(t, m, "got", 20)
		want(t, m, "distinct", 20)
		want(t, m, "wrong", 0)
	})
}

func TestFailingOrderlyConsumers(t *testing.T) {
	t.Parallel()
	eachClient(t, nil, func(t *testing.T, client string, run app, c *target.Cluster, _ string) {
		covers(t, client, "Order: suspended, tried again in place, then %DLQ%")
		send(t, client, c, "suspend_t", 12)
		m := run(t, "suspend", c.NS, "suspend_t", "suspend_g", "12", "2")
		if client == goV2 {
			want(t, m, "got", 48) // the client gives up when a message was tried more often than allowed, Java's when as often
		} else {
			want(t, m, "got", 36)
		}
		want(t, m, "distinct", 12)
		want(t, m, "wrong", 0)
		m = run(t, "dead", c.NS, "suspend_t", "suspend_g", "12", "-1")
		want(t, m, "got", 12)
		want(t, m, "distinct", 12)
		want(t, m, "wrong", 0)
	})
}

func TestBroadcasting(t *testing.T) {
	t.Parallel()
	eachClient(t, nil, func(t *testing.T, client string, run app, c *target.Cluster, _ string) {
		covers(t, client, "Broadcast: each of three consumers hears everything, failures are not tried again")
		b, err := bench.Dial(t.Context(), nil, c.Addrs[0], protocol.JSON)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if err := b.CreateTopic("broadcast_t", 4); err != nil {
			t.Fatal(err)
		}
		m := run(t, "broadcast", c.NS, "broadcast_t", "broadcast_g", "60", "3")
		want(t, m, "got", 180)
		if client == goV2 {
			want(t, m, "distinct", 180)
			want(t, m, "wrong", 0)
		} else {
			want(t, m, "least", 60)
		}
	})
}

// TestOrderThroughRebalances checks the history of each shard while consumers join and leave.
func TestOrderThroughRebalances(t *testing.T) {
	t.Parallel()
	for _, client := range []string{java55, java49} {
		for _, members := range []string{"1", "10"} {
			t.Run(client+"/"+members, func(t *testing.T) {
				t.Parallel()
				target.NeedJava(t, client)
				c := newCluster(t, target.Options{Kind: target.Ours})
				registered(t, c, "TBW102")
				covers(t, client, "Order: kept while "+members+" consumers join, leave and come again")
				m := javaApp(client)(t, "order", c.NS, "order_t", "order_g", "4000", members)
				t.Log(m)
				want(t, m, "distinct", 4000)
				want(t, m, "skipped", 0)
				want(t, m, "shared", 0)
				want(t, m, "error", nil)
			})
		}
	}
}

func TestTraces(t *testing.T) {
	t.Parallel()
	eachClient(t, map[string]string{"traceTopicEnable": "true"}, func(t *testing.T, client string, run app, c *target.Cluster, _ string) {
		covers(t, client, "Message trace: arrives in RMQ_SYS_TRACE_TOPIC and parses")
		m := run(t, "trace", c.NS, "trace_t", "trace_g", "20", "1")
		want(t, m, "Pub", 20)
		want(t, m, "wrong", 0)
		if client != goV2 { // whose consumers have no traces that are on by a switch
			want(t, m, "got", 20)
			want(t, m, "SubBefore", 20)
			want(t, m, "SubAfter", 20)
		}
	})
}
