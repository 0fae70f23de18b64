package conformance

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

var kind = flag.String("target", "ours", "ours or java")

// env is what a case works with: a fresh connection to the broker and one to the name server, and names of its own.
type env struct {
	*testing.T
	b, ns   *bench.Client
	cluster *target.Cluster
	topic   string
	group   string
}

type testCase struct {
	name string
	run  func(e *env)
}

var serial atomic.Int64

func TestConformance(t *testing.T) {
	if *kind == "java" {
		target.NeedJava(t, "server-5.5.0")
	}
	c := target.New(t, target.Options{Kind: target.Kind(*kind), Conf: patient(txConf)})
	waitReady(t, c)
	var passed, failed atomic.Int64
	for _, set := range []struct {
		group string
		cases []testCase
		conf  map[string]string // a broker of their own
		ns    map[string]string // and a name server
	}{
		{"namesrv", namesrvCases, nil, nil},
		{"send", sendCases, nil, nil},
		{"pull", pullCases, nil, nil},
		{"offsets", offsetCases, nil, nil},
		{"client", clientCases, nil, nil},
		{"query", queryCases, nil, nil},
		{"admin", adminCases, nil, nil},
		{"frames", frameCases, nil, nil},
		{"calls", callCases, nil, nil},
		{"reply", replyCases, nil, nil},
		{"retry", retryCases, nil, nil},
		{"tx", txCases, nil, nil},
		{"pop", popCases, nil, nil},
		{"filter", filterCases, filterConf, nil},
		{"kinds", slices.Concat(kindCases, liteCases), kindConf, nil},
		{"delay", delayCases, delayConf, nil},
		{"static", staticCases, nil, nil},
		{"acting", actingCases, map[string]string{}, actingNSConf},
		{"compaction", compactCases, compactConf, nil},
		{"tables", tableCases, nil, nil},
		{"dashboard", dashboardCases, nil, nil},
	} {
		t.Run(set.group, func(t *testing.T) {
			c := c
			if set.conf != nil {
				c = target.New(t, target.Options{Kind: target.Kind(*kind), Conf: patient(set.conf), NSConf: set.ns})
				waitReady(t, c)
			}
			for _, tc := range set.cases {
				ok := t.Run(tc.name, func(t *testing.T) {
					n := serial.Add(1)
					e := &env{T: t, cluster: c, topic: fmt.Sprintf("conf_%d", n), group: fmt.Sprintf("conf_g_%d", n)}
					e.b, e.ns = e.dial(c.Addrs[0]), e.dial(c.NS)
					tc.run(e)
				})
				if ok {
					passed.Add(1)
				} else {
					failed.Add(1)
				}
			}
		})
	}
	fmt.Fprintf(os.Stderr, "conformance target %s: %d passed, %d failed\n", *kind, passed.Load(), failed.Load())
	if path := os.Getenv("CONFORMANCE_RESULT"); path != "" {
		line := fmt.Sprintf("%s %d %d\n", *kind, passed.Load(), failed.Load())
		if err := os.WriteFile(path, []byte(line), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// waitReady waits until the broker has registered, as a client would.
func waitReady(t *testing.T, c *target.Cluster) {
	t.Helper()
	end := time.Now().Add(60 * time.Second)
	for time.Now().Before(end) {
		ns, err := bench.Dial(t.Context(), nil, c.NS, protocol.JSON)
		if err == nil {
			r, err := ns.Call(protocol.ReqGetRouteInfoByTopic, &protocol.GetRouteInfoRequestHeader{Topic: "TBW102"}, nil)
			ok := err == nil && r.Code == 0
			ns.Close()
			if ok {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the broker did not register\n%s", c.Brokers[0].Log())
}

func (e *env) dial(addr string) *bench.Client {
	e.Helper()
	c, err := bench.Dial(e.Context(), nil, addr, protocol.JSON)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { c.Close() })
	return c
}

type appender interface {
	AppendTo(w *protocol.FieldWriter)
}

func (e *env) call(c *bench.Client, code int32, h appender, body []byte) *bench.Reply {
	e.Helper()
	r, err := c.Call(code, h, body)
	if err != nil {
		e.Fatalf("code %d: %v", code, err)
	}
	return r
}

// code asserts the response code and, when given, a part of the remark.
func (e *env) code(r *bench.Reply, want int32, remark ...string) {
	e.Helper()
	if r.Code != want {
		e.Fatalf("code %d %q, want %d", r.Code, r.Remark, want)
	}
	for _, s := range remark {
		if !strings.Contains(r.Remark, s) {
			e.Errorf("remark %q lacks %q", r.Remark, s)
		}
	}
}

func (e *env) num(r *bench.Reply, key string) int64 {
	e.Helper()
	n, err := r.Int(key)
	if err != nil {
		e.Fatal(err)
	}
	return n
}

func (e *env) field(r *bench.Reply, key string) string {
	v, _ := r.Fields.Get(key)
	return string(v)
}

// create makes the case's topic.
func (e *env) create(queues int) {
	e.Helper()
	if err := e.b.CreateTopic(e.topic, queues); err != nil {
		e.Fatal(err)
	}
}

func (e *env) sendHeader() *protocol.SendMessageRequestHeaderV2 {
	return &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "conf_p", Topic: e.topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4,
		BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1,
	}
}

// send stores one message in a queue of the case's topic and returns its reply.
func (e *env) send(queue int, props, body string) *bench.Reply {
	e.Helper()
	h := e.sendHeader()
	h.QueueID, h.Properties = int32(queue), props
	r := e.call(e.b, protocol.ReqSendMessageV2, h, []byte(body))
	e.code(r, 0)
	return r
}

func (e *env) pullHeader(queue int, at int64) *protocol.PullMessageRequestHeader {
	return &protocol.PullMessageRequestHeader{
		ConsumerGroup: e.group, Topic: e.topic, QueueID: int32(queue), QueueOffset: at, MaxMsgNums: 32,
		SysFlag: 4, Subscription: "*", ExpressionType: "TAG", RequestSource: -1,
	}
}

// eventually repeats a check until it holds: Java builds its queues some milliseconds after it has answered a send, on a busy machine some
// seconds.
func (e *env) eventually(what string, f func() bool) {
	e.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			e.Fatalf("not within a minute: %s", what)
		}
	}
}

// filled waits until queue has n messages to read.
func (e *env) filled(queue int, n int64) {
	e.Helper()
	e.eventually(fmt.Sprintf("%d messages in queue %d", n, queue), func() bool {
		_, hi, err := e.b.Bounds(e.topic, queue)
		return err == nil && hi >= n
	})
}

// patient adds to a configuration that a request may wait: on a busy machine Java answers what waited 200 ms as "busy".
func patient(conf map[string]string) map[string]string {
	conf = maps.Clone(conf)
	if _, own := conf["brokerFastFailureEnable"]; !own && *kind == "java" {
		conf["brokerFastFailureEnable"] = "false"
	}
	return conf
}
