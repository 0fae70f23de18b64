//go:build peer

package peer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestActing has the master of a set killed and started again, with a slave that acts as the master, in sets of both kinds of
// brokers under both kinds of name servers: consumers of the Java client read on, what is due is in the other set, and the master
// that is back does not do it again.
func TestActing(t *testing.T) {
	target.NeedJava(t, clients[0])
	for _, x := range []struct{ ns, master, slave, other target.Kind }{
		{target.Java, target.Ours, target.Ours, target.Ours},
		{target.Ours, target.Java, target.Ours, target.Java},
		{target.Ours, target.Ours, target.Java, target.Ours},
	} {
		t.Run(fmt.Sprintf("%s-names-%s-master-%s-slave", x.ns, x.master, x.slave), func(t *testing.T) {
			variant(t, 1) // each takes minutes
			a := newActing(t, x.ns, x.master, x.slave, x.other)
			a.create("T")
			a.create("X")
			const plain = 120
			for i := range plain {
				a.put("T", i%4, fmt.Sprintf("plain %d", i), 0)
			}
			watch := make(chan map[string]any, 1)
			go func() { watch <- a.watch("T", "g_watch", 110) }()
			time.Sleep(12 * time.Second) // tables, of a Java slave only those of its start
			begin := time.Now()
			var due []string
			for i := range 8 {
				a.put("T", i%4, fmt.Sprintf("delayed %d", i), 0, "DELAY", "5") // a minute
				a.put("T", i%4, fmt.Sprintf("timed %d", i), 0, "TIMER_DELIVER_MS", strconv.FormatInt(begin.Add(70*time.Second).UnixMilli(), 10))
				a.put("X", i%4, fmt.Sprintf("half %d", i), record.SysFlagPrepared, "TRAN_MSG", "true", "PGROUP", "PG", "UNIQ_KEY", fmt.Sprintf("U%d", i))
				due = append(due, fmt.Sprintf("delayed %d", i), fmt.Sprintf("timed %d", i))
			}
			slices.Sort(due)
			same(t, a.c)
			time.Sleep(4 * time.Second) // a slave asks a Java master for its timers every 3 s
			a.c.Brokers[a.master].Kill()
			killed := time.Since(begin)
			a.shows("T", a.c.Addrs[a.slave], 4)
			t.Logf("killed after %v, the slave is shown as the master after %v", killed, time.Since(begin)-killed)
			want(t, javaClient(t, clients[0], "push", a.c.NS, "T", "g_slave", strconv.Itoa(plain)), "distinct", plain)

			if x.slave == target.Ours {
				a.until("what is due is in the other set", 90*time.Second, func() string {
					got := slices.Compact(a.bodies(a.other, "T"))
					if slices.Equal(got, due) {
						return ""
					}
					return fmt.Sprintf("%q", got)
				})
				a.until("undecided transactions are in the other set", 40*time.Second, func() string {
					got := slices.Compact(a.bodies(a.other, "RMQ_SYS_TRANS_HALF_TOPIC"))
					if len(got) == 8 {
						return ""
					}
					return fmt.Sprintf("%q", got)
				})
			} else {
				time.Sleep(time.Until(begin.Add(80 * time.Second)))
				t.Logf("a Java slave has given to the other set: %q, %q", a.bodies(a.other, "T"), a.bodies(a.other, "RMQ_SYS_TRANS_HALF_TOPIC"))
			}
			a.c.Brokers[a.master].Start()
			a.shows("T", a.c.Addrs[a.master], 6)
			m := <-watch
			if n := int(m["distinct"].(float64)); n < plain || x.slave == target.Ours && n != plain+len(due) {
				t.Errorf("the consumer that stayed has seen %d messages", n)
			}
			t.Logf("the consumer that stayed: %v", m)
			time.Sleep(5 * time.Second)
			if again := slices.DeleteFunc(a.bodies(a.master, "T"), func(b string) bool { return strings.HasPrefix(b, "plain") }); len(again) > 0 {
				if x.master == target.Ours && x.slave == target.Ours {
					t.Errorf("the master that is back delivers %q again", again)
				}
				t.Logf("the master that is back delivers %q", again)
			}
			a.put("T", 0, "after", 0, "DELAY", "1")
			a.until("the master delivers", 20*time.Second, func() string {
				if got := a.bodies(a.master, "T"); !slices.Contains(got, "after") {
					return fmt.Sprintf("%q", got)
				}
				return ""
			})
		})
	}
}

type acting struct {
	*testing.T
	c                    *target.Cluster
	master, slave, other int // of c.Brokers
}

func newActing(t *testing.T, ns, master, slave, other target.Kind) *acting {
	t.Helper()
	conf := map[string]string{
		"enableSlaveActingMaster": "true", "enableRemoteEscape": "true", "slaveReadEnable": "true", "totalReplicas": "2",
		"messageDelayLevel": "1s 5s 10s 30s 1m", "transactionCheckInterval": "5000", "timerWheelEnable": "true",
	}
	mc := maps.Clone(conf)
	a := &acting{T: t, master: 0, other: 1, slave: 2}
	a.c = target.New(t, target.Options{
		Kind: master, NSKind: ns, Conf: mc, Heap: "512m", NSConf: map[string]string{"supportActingMaster": "true", "notifyMinBrokerIdChanged": "true"},
	})
	oc := maps.Clone(conf)
	maps.Copy(oc, map[string]string{"brokerName": "broker-b", "brokerId": "0", "brokerRole": "ASYNC_MASTER", "totalReplicas": "1", "autoCreateTopicEnable": "true"})
	a.c.Slave(t, target.Options{Kind: other, Conf: oc, Heap: "512m"}, 2)
	a.c.Slave(t, target.Options{Kind: slave, Conf: conf, Heap: "512m"}, 1)
	for _, addr := range []string{a.c.Addrs[a.master], a.c.Addrs[a.other]} {
		a.shows("TBW102", addr, 7)
	}
	a.until("the slave is known", 60*time.Second, func() string {
		c := a.dial(a.c.NS)
		defer c.Close()
		r, err := c.Call(protocol.ReqGetBrokerMemberGroup, &protocol.GetBrokerMemberGroupRequestHeader{ClusterName: "DefaultCluster", BrokerName: "broker-a"}, nil)
		if err != nil {
			return err.Error()
		}
		var b protocol.GetBrokerMemberGroupResponseBody
		if b.Decode(r.Body) != nil || len(b.BrokerAddrs) != 2 {
			return string(r.Body)
		}
		return ""
	})
	return a
}

func (a *acting) dial(addr string) *bench.Client {
	a.Helper()
	c, err := bench.Dial(a.Context(), nil, addr, protocol.JSON)
	if err != nil {
		a.Fatal(err)
	}
	return c
}

func (a *acting) create(topic string) {
	a.Helper()
	for _, i := range []int{a.master, a.other} {
		c := a.dial(a.c.Addrs[i])
		if err := c.CreateTopic(topic, 4); err != nil {
			a.Fatal(err)
		}
		c.Close()
	}
}

// put sends a message to the master.
func (a *acting) put(topic string, queue int, body string, sysFlag int32, props ...string) {
	a.Helper()
	var p record.Props
	for i := 0; i+1 < len(props); i += 2 {
		p = record.AppendProp(p, props[i], props[i+1])
	}
	c := a.dial(a.c.Addrs[a.master])
	defer c.Close()
	r, err := c.Call(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "PG", Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: int32(queue), SysFlag: sysFlag,
		BornTimestamp: time.Now().UnixMilli(), Properties: string(p), MaxReconsumeTimes: -1,
	}, []byte(body))
	if err != nil || r.Code != 0 {
		a.Fatalf("send: %v %+v", err, r)
	}
}

// bodies returns what a broker has in a topic, sorted.
func (a *acting) bodies(broker int, topic string) (out []string) {
	c, err := bench.Dial(a.Context(), nil, a.c.Addrs[broker], protocol.JSON)
	if err != nil {
		return nil
	}
	defer c.Close()
	queues := 4
	if strings.HasPrefix(topic, "RMQ_SYS") {
		queues = 1
	}
	for q := range queues {
		_ = c.ReadAll(topic, q, func(_ int64, rec []byte) error {
			var m record.Message
			if _, err := record.Decode(rec, &m, false); err != nil {
				return err
			}
			out = append(out, string(m.Body))
			return nil
		})
	}
	slices.Sort(out)
	return out
}

// until waits until f says nothing.
func (a *acting) until(what string, wait time.Duration, f func() string) {
	a.Helper()
	for end := time.Now().Add(wait); ; time.Sleep(200 * time.Millisecond) {
		s := f()
		if s == "" {
			return
		}
		if time.Now().After(end) {
			a.Fatalf("not within %v: %s: %s", wait, what, s)
		}
	}
}

// shows waits until the route of a topic has addr as a master, with that permission.
func (a *acting) shows(topic, addr string, perm int) {
	a.Helper()
	a.until(fmt.Sprintf("%s is shown as the master", addr), 90*time.Second, func() string {
		c := a.dial(a.c.NS)
		defer c.Close()
		r, err := c.Call(protocol.ReqGetRouteInfoByTopic, &protocol.GetRouteInfoRequestHeader{Topic: topic}, nil)
		if err != nil {
			return err.Error()
		}
		var d protocol.TopicRouteData
		if err := d.Decode(r.Body); err != nil {
			return err.Error()
		}
		for _, b := range d.BrokerDatas {
			for _, q := range d.QueueDatas {
				if b.BrokerAddrs[0] == addr && q.BrokerName == b.BrokerName && q.Perm == int32(perm) {
					return ""
				}
			}
		}
		return string(r.Body)
	})
}

func (a *acting) watch(topic, group string, seconds int) map[string]any {
	return javaMain(a.T, clients[0], "Watch", a.c.NS, topic, group, strconv.Itoa(seconds))
}
