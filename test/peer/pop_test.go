//go:build peer

package peer

import (
	"fmt"
	"testing"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

const popFeature = "POP consumption"

// popMode makes a topic and lets a group pop it.
func popMode(t *testing.T, addr, topic, group string) {
	t.Helper()
	c, err := bench.Dial(t.Context(), nil, addr, protocol.JSON)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.CreateTopic(topic, 4); err != nil {
		t.Fatal(err)
	}
	b := protocol.SetMessageRequestModeRequestBody{Topic: topic, ConsumerGroup: group, Mode: "POP", PopShareQueueNum: -1}
	r, err := c.Call(protocol.ReqSetMessageRequestMode, nil, b.AppendTo(nil, false))
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The client of 5.5.0 pops by itself when the broker says so, and through its own API.
func TestJavaPop(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, java55)
	for _, redeliver := range []string{"inplace", "retryTopic"} {
		t.Run(redeliver, func(t *testing.T) {
			t.Parallel()
			if redeliver == "inplace" {
				covers(t, java55, popFeature)
				lacks(java49, popFeature, "the client has no such consumer")
				lacks(goV2, popFeature, "the client has no such consumer")
			}
			c := newCluster(t, target.Options{Kind: target.Ours, Conf: map[string]string{"popRedeliver": redeliver}})
			for _, action := range []string{"push", "raw", "raworder"} {
				topic, group := "pop_"+action, "g_"+action
				popMode(t, c.Addrs[0], topic, group)
				m := javaMain(t, java55, "PopClient", action, c.NS, topic, group, "200", c.Addrs[0])
				t.Log(fmt.Sprint(m))
				want(t, m, "got", 200)
				want(t, m, "deliveries", 200)
				switch action {
				case "push":
					want(t, m, "popped", true)
					want(t, m, "again", 20)
					want(t, m, "wrongTopic", 0)
				case "raw":
					want(t, m, "changed", 1)
					want(t, m, "acks", 200)
					want(t, m, "rest", "POLLING_NOT_FOUND")
				case "raworder":
					want(t, m, "acks", 200)
					want(t, m, "rest", "POLLING_NOT_FOUND")
				}
			}
		})
	}
}
