//go:build peer

package peer

import (
	"strconv"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestSuggestedBroker asks masters and slaves of both kinds which broker they suggest to consumers (suggestWhichBrokerId): with
// accessMessageInMemoryMaxRatio = 0 everybody is far behind who is not at the end.
func TestSuggestedBroker(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, clients[0])
	for v, kind := range []target.Kind{target.Ours, target.Java} {
		t.Run(string(kind), func(t *testing.T) {
			variant(t, v)
			far := map[string]string{"slaveReadEnable": "true", "accessMessageInMemoryMaxRatio": "0", "autoCreateSubscriptionGroup": "true"}
			near := map[string]string{"slaveReadEnable": "true", "autoCreateSubscriptionGroup": "true"}
			off := map[string]string{"autoCreateSubscriptionGroup": "true"}
			c := newCluster(t, target.Options{Kind: kind, Conf: far, Heap: "512m"})
			c.Slave(t, target.Options{Kind: kind, Conf: near, Heap: "512m"}, 1)
			c.Slave(t, target.Options{Kind: kind, Conf: off, Heap: "512m"}, 2)
			m := dialPeer(t, c.Addrs[0])
			if err := m.CreateTopic("T", 1); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				r, err := m.Call(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
					ProducerGroup: "p", Topic: "T", DefaultTopic: "TBW102", DefaultTopicQueueNums: 1, BornTimestamp: 1, MaxReconsumeTimes: -1,
				}, []byte("body"))
				if err != nil || r.Code != 0 {
					t.Fatalf("send: %v %+v", err, r)
				}
			}
			const found, notFound, again, busy = protocol.RespSuccess, protocol.RespPullNotFound, protocol.RespPullRetryImmediately, protocol.RespSystemBusy
			for _, x := range []struct {
				name    string
				broker  int
				from    int64
				code    int32
				suggest string
			}{
				{"a master that is asked for old messages suggests the slave", 0, 0, found, "1"},
				{"a master whose end is read suggests itself", 0, 10, notFound, "0"},
				{"a slave that is asked for what is in memory suggests the master", 1, 0, found, "0"},
				{"a slave with slaveReadEnable=false serves nobody", 2, 0, busy, ""},
			} {
				code, suggest := pullOnce(t, c.Addrs[x.broker], x.from, x.code)
				if code != x.code || suggest != x.suggest && code != busy {
					t.Errorf("%s: code %d, suggests %q; want %d, %q", x.name, code, suggest, x.code, x.suggest)
				}
			}
			// Java's slave sends a consumer that has read everything to its master only in a broker container; else it lets the
			// consumer wait at the slave.
			code, suggest := pullOnce(t, c.Addrs[1], 10, notFound)
			want := map[target.Kind]int32{target.Ours: again, target.Java: notFound}[kind]
			if code != want || suggest != "0" {
				t.Errorf("a slave whose end is read: code %d, suggests %q; want %d", code, suggest, want)
			}
		})
	}
}

func dialPeer(t *testing.T, addr string) *bench.Client {
	t.Helper()
	c, err := bench.Dial(t.Context(), nil, addr, protocol.JSON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// pullOnce pulls without waiting for a message, until the answer has the code or a slave has had the time to take over topics and log.
func pullOnce(t *testing.T, addr string, from int64, code int32) (got int32, suggest string) {
	t.Helper()
	c := dialPeer(t, addr)
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		r, err := c.Call(protocol.ReqPullMessage, &protocol.PullMessageRequestHeader{
			ConsumerGroup: "g_" + strconv.Itoa(int(from)), Topic: "T", QueueOffset: from, MaxMsgNums: 5, SysFlag: 4, Subscription: "*",
			ExpressionType: "TAG", RequestSource: -1,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		suggest = ""
		if v, ok := r.Fields.Get("suggestWhichBrokerId"); ok {
			suggest = string(v)
		}
		if got = r.Code; got == code || time.Now().After(end) || got == protocol.RespPullRetryImmediately {
			return got, suggest
		}
	}
}

// TestHAStatus asks masters and slaves of both kinds how replication goes, as mqadmin does.
func TestHAStatus(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, clients[0])
	for _, kind := range []target.Kind{target.Ours, target.Java} {
		t.Run(string(kind), func(t *testing.T) {
			variant(t, 1) // most of its time is Java's start
			c := newCluster(t, target.Options{Kind: kind, Heap: "512m"})
			c.Slave(t, target.Options{Kind: kind, Heap: "512m"}, 1)
			c.Slave(t, target.Options{Kind: kind, Heap: "512m"}, 2)
			javaClient(t, clients[0], "send", c.NS, "T", "p", "50")
			same(t, c)
			var m map[string]any
			for end := time.Now().Add(60 * time.Second); ; time.Sleep(time.Second) {
				if m = javaMain(t, clients[0], "HaStatus", c.NS, c.Addrs[0]); m["inSync"] == 2.0 && m["behind"] == 0.0 || time.Now().After(end) {
					break
				}
			}
			want(t, m, "master", true)
			want(t, m, "slaves", 2)
			want(t, m, "inSync", 2)
			want(t, m, "behind", 0)
			if end, _ := m["end"].(float64); end == 0 || m["acked"] != 2*end {
				t.Errorf("the slaves have %v of %v", m["acked"], m["end"])
			}
			s := javaMain(t, clients[0], "HaStatus", c.NS, c.Addrs[1])
			want(t, s, "master", false)
			want(t, s, "slaves", 0)
			want(t, s, "has", m["end"])
		})
	}
}
