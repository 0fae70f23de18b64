package nameserver

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// The conversations below run against this package and, with the build tag peer, against the Java name server: what they
// want is what Java 5.5.0 answers.

// step is one request and its answer. conn names the connection ("" is one, too); version 0 is that of a new client.
type step struct {
	conn    string
	version int32
	code    int32
	ext     string // "key=value key=value"
	body    string
	hangup  bool // close conn instead of calling

	want       int32
	wantRemark string
	wantExt    string
	wantBody   string
	// ours is set when only we answer with this remark: the text says why Java's is different.
	ours string
}

type texts []string

func (t texts) AppendTo(w *protocol.FieldWriter) {
	for _, kv := range t {
		k, v, _ := strings.Cut(kv, "=")
		w.Str(k, v)
	}
}

// callers opens one client for each connection name and version.
type callers struct {
	addr    string
	options remoting.ClientOptions
	clients map[string]*remoting.Client
}

func (c *callers) get(conn string, version int32) *remoting.Client {
	key := fmt.Sprint(conn, "/", version)
	cl := c.clients[key]
	if cl == nil {
		o := c.options
		o.Version = version
		cl = remoting.NewClient(o)
		c.clients[key] = cl
	}
	return cl
}

func (c *callers) hangup(conn string) {
	for key, cl := range c.clients {
		if strings.HasPrefix(key, conn+"/") {
			cl.Close()
			delete(c.clients, key)
		}
	}
}

func (c *callers) close() {
	for _, cl := range c.clients {
		cl.Close()
	}
}

// converse runs the steps. settle waits until the server has dealt with what it does in the background.
func converse(t *testing.T, c *callers, steps []step, java bool, settle func()) {
	t.Helper()
	for i, s := range steps {
		name := fmt.Sprintf("step %d: %d %s", i, s.code, s.ext)
		if s.hangup {
			c.hangup(s.conn)
			settle()
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		cmd := &remoting.Command{Code: s.code, Header: texts(strings.Fields(s.ext))}
		if s.body != "" {
			cmd.Body = []byte(s.body)
		}
		resp, err := c.get(s.conn, s.version).Invoke(ctx, c.addr, cmd)
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s.code == protocol.ReqUnregisterBroker && java {
			settle()
		}
		got := fmt.Sprintf("%d %q", resp.Code, resp.Remark)
		want := fmt.Sprintf("%d %q", s.want, s.wantRemark)
		if java && s.ours != "" {
			got, want = fmt.Sprint(resp.Code), fmt.Sprint(s.want)
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
		if d := cmp.Diff(s.wantExt, flatten(resp.Ext)); d != "" {
			t.Errorf("%s: fields (-want +got):\n%s", name, d)
		}
		if d := cmp.Diff(normal(s.wantBody), normal(string(resp.Body))); d != "" {
			t.Errorf("%s: body (-want +got):\n%s", name, d)
		}
	}
}

func flatten(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, " ")
}

// normal sorts topic lists, whose order is that of a hash table in Java.
func normal(body string) string {
	if !strings.Contains(body, `"topicList"`) {
		return body
	}
	var l protocol.TopicList
	if err := l.Decode([]byte(body)); err != nil {
		return body
	}
	slices.Sort(l.TopicList)
	return string(l.AppendTo(nil, false))
}

// regBody is a RegisterBrokerBody of topics with 8 queues and perm 6.
func regBody(counter int64, topics ...string) string { return regBodyWith(counter, "", "", topics...) }

func regBodyWith(counter int64, filters, mappings string, topics ...string) string {
	var table []string
	for _, t := range topics {
		table = append(table, fmt.Sprintf(`%q:{"attributes":{},"order":false,"perm":6,"readQueueNums":8,"topicFilterType":"SINGLE_TAG",`+
			`"topicName":%q,"topicSysFlag":0,"writeQueueNums":8}`, t, t))
	}
	return fmt.Sprintf(`{"filterServerList":[%s],"topicConfigSerializeWrapper":{"dataVersion":{"counter":%d,"stateVersion":0,"timestamp":5},`+
		`"topicConfigTable":{%s},"topicQueueMappingInfoMap":{%s}}}`, filters, counter, strings.Join(table, ","), mappings)
}

func compressedBody(parts ...any) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			_ = binary.Write(z, binary.BigEndian, int32(p))
		case string:
			_ = binary.Write(z, binary.BigEndian, int32(len(p)))
			_, _ = z.Write([]byte(p))
		}
	}
	_ = z.Close()
	return b.String()
}

const (
	brokerA  = "brokerName=a brokerAddr=1.1.1.1:1 clusterName=C haServerAddr=ha1 brokerId=0 enableActingMaster=false"
	brokerA1 = "brokerName=a brokerAddr=1.1.1.2:1 clusterName=C haServerAddr=ha2 brokerId=1 enableActingMaster=false"
	brokerB  = "brokerName=b brokerAddr=1.1.1.3:1 clusterName=D haServerAddr=ha3 brokerId=0 enableActingMaster=false"
	brokerC  = "brokerName=c brokerAddr=1.1.1.9:1 clusterName=C haServerAddr=ha9 brokerId=0 enableActingMaster=false"
)

func noRoute(topic string) string {
	return "No topic route info in name server for the topic: " + topic +
		"\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
}

// standard quotes the number keys of a body.
func standard(body string) string {
	v, err := fastjson.ParseString(body)
	if err != nil {
		panic(err)
	}
	std := v.AppendTo(nil, fastjson.Standard)
	if !json.Valid(std) {
		panic("not standard JSON: " + string(std))
	}
	return string(std)
}

const (
	mappingT = `"T":{"bname":"a","currIdMap":{0:1},"dirty":false,"epoch":1,"scope":"__global__","topic":"T","totalQueues":4}`
	routeT   = `{"brokerDatas":[{"brokerAddrs":{0:"1.1.1.1:1",1:"1.1.1.2:1"},"brokerName":"a","cluster":"C","enableActingMaster":false},` +
		`{"brokerAddrs":{0:"1.1.1.3:1"},"brokerName":"b","cluster":"D","enableActingMaster":false}],"filterServerTable":{"1.1.1.1:1":["f1"]},` +
		`"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8},` +
		`{"brokerName":"b","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}],` +
		`"topicQueueMappingByBroker":{"a":{"bname":"a","currIdMap":{0:1},"dirty":false,"epoch":1,"scope":"__global__","topic":"T","totalQueues":4}}}`
	routeN = `{"brokerDatas":[{"brokerAddrs":{0:"1.1.1.1:1",1:"1.1.1.2:1"},"brokerName":"a","cluster":"C","enableActingMaster":false,"zoneName":"z1"}],` +
		`"filterServerTable":{},"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":3,"topicSysFlag":0,"writeQueueNums":2}]}`
	routeOfZone = `{"brokerDatas":[],"filterServerTable":{},"queueDatas":[],"topicQueueMappingByBroker":{"a":{"bname":"a","currIdMap":{0:1},` +
		`"dirty":false,"epoch":1,"scope":"__global__","topic":"T","totalQueues":4}}}`
	clusterAB = `{"brokerAddrTable":{"a":{"brokerAddrs":{0:"1.1.1.1:1",1:"1.1.1.2:1"},"brokerName":"a","cluster":"C","enableActingMaster":false},` +
		`"b":{"brokerAddrs":{0:"1.1.1.3:1"},"brokerName":"b","cluster":"D","enableActingMaster":false}},"clusterAddrTable":{"C":["a"],"D":["b"]}}`
)

// brokersConversation is about registration, routes and lists.
func brokersConversation() []step {
	withOrder := strings.Replace(routeT, `"queueDatas"`, `"orderTopicConf":"a:8;b:8","queueDatas"`, 1)
	wiped := strings.Replace(routeT, `"brokerName":"a","perm":6`, `"brokerName":"a","perm":4`, 1)
	return []step{
		{conn: "a", code: 103, ext: brokerA, body: regBody(1, "T"), want: 1, wantRemark: "register broker failed"},
		{conn: "a", code: 103, ext: brokerA + " bodyCrc32=5", body: regBody(1, "T", "U"), want: 1, wantRemark: "crc32 not match"},
		{
			conn: "a", code: 103, ext: brokerA, body: "xx", want: 1, ours: "Java adds its exception and line",
			wantRemark: "Failed to decode RegisterBrokerBody: bad body: json: offset 0: want a value",
		},
		{conn: "a", code: 103, ext: brokerA},
		{code: 106, wantBody: `{"brokerAddrTable":{"a":{"brokerAddrs":{0:"1.1.1.1:1"},"brokerName":"a","cluster":"C","enableActingMaster":false}},"clusterAddrTable":{"C":["a"]}}`},
		{conn: "a", code: 103, ext: brokerA + " __ZONE_NAME=z1", body: regBodyWith(1, `"f1"`, mappingT, "T", "U")},
		{conn: "a1", code: 103, ext: brokerA1, body: regBody(1, "T", "U", "X"), wantExt: "haServerAddr=ha1 masterAddr=1.1.1.1:1"},
		{conn: "b", code: 103, ext: brokerB, body: regBody(1, "T", "Y")},
		{code: 105, ext: "topic=T", wantBody: standard(routeT)},
		{code: 105, ext: "topic=T", version: 400, wantBody: routeT},
		{code: 105, ext: "topic=T", version: 401, wantBody: standard(routeT)},
		{code: 105, ext: "topic=T acceptStandardJsonOnly=true", version: 317, wantBody: standard(routeT)},
		{code: 105, ext: "topic=T acceptStandardJsonOnly=false", version: 317, wantBody: routeT},
		{code: 105, ext: "topic=T __ZONE_MODE=true __ZONE_NAME=z9", wantBody: routeOfZone},
		{code: 105, ext: "topic=T __ZONE_MODE=true", wantBody: standard(routeT)},
		{code: 105, ext: "topic=T __ZONE_NAME=z9", wantBody: standard(routeT)},
		{code: 105, ext: "topic=nope", want: 17, wantRemark: noRoute("nope")},
		{code: 105, want: 17, wantRemark: noRoute("null")},
		{code: 106, wantBody: clusterAB},
		{code: 206, wantBody: `{"topicList":["T","U","Y"]}`},
		{code: 304, wantBody: `{"brokerAddr":"1.1.1.1:1","topicList":["C","D","a","b"]}`},
		{code: 224, ext: "cluster=C", wantBody: `{"topicList":["T","U"]}`},
		{code: 224, ext: "cluster=nope", wantBody: `{"topicList":[]}`},
		{code: 311, wantBody: `{"topicList":[]}`},
		{code: 312, wantBody: `{"topicList":[]}`},
		{code: 313, wantBody: `{"topicList":[]}`},
		{
			code: 901, ext: "clusterName=C brokerName=a", wantRemark: "not set any response code",
			wantBody: `{"brokerMemberGroup":{"brokerAddrs":{0:"1.1.1.1:1",1:"1.1.1.2:1"},"brokerName":"a","cluster":"C"}}`,
		},
		{
			code: 901, ext: "clusterName=X brokerName=nope", wantRemark: "not set any response code",
			wantBody: `{"brokerMemberGroup":{"brokerAddrs":{},"brokerName":"nope","cluster":"X"}}`,
		},
		{code: 322, ext: brokerA, body: `{"counter":1,"stateVersion":0,"timestamp":5}`, wantExt: "changed=false", wantBody: `{"counter":1,"stateVersion":0,"timestamp":5}`},
		{code: 322, ext: brokerA, body: `{"counter":2,"stateVersion":0,"timestamp":5}`, wantExt: "changed=true", wantBody: `{"counter":1,"stateVersion":0,"timestamp":5}`},
		{code: 322, ext: brokerA, wantExt: "changed=true", wantBody: `{"counter":1,"stateVersion":0,"timestamp":5}`},
		{code: 322, ext: brokerC, body: `{"counter":2,"stateVersion":0,"timestamp":5}`, wantExt: "changed=true"},
		{code: 904, ext: "clusterName=C brokerName=a brokerAddr=1.1.1.1:1"},
		{code: 904, ext: "clusterName=X brokerName=x brokerAddr=9.9.9.9:1"},
		{code: 205, ext: "brokerName=a", wantExt: "wipeTopicCount=2"},
		{code: 205, ext: "brokerName=nope", wantExt: "wipeTopicCount=0"},
		{code: 105, ext: "topic=T", version: 317, wantBody: wiped},
		{code: 327, ext: "brokerName=a", wantExt: "addTopicCount=2"},
		{code: 100, ext: "namespace=ORDER_TOPIC_CONFIG key=T value=a:8;b:8"},
		{code: 105, ext: "topic=T", wantBody: standard(routeT)},
		{code: 318, body: "orderMessageEnable=true\n"},
		{code: 105, ext: "topic=T", wantBody: standard(withOrder)},
		{code: 105, ext: "topic=T", version: 317, wantBody: withOrder},
		{code: 318, body: "orderMessageEnable=false\n"},
		{
			conn: "a", code: 103, ext: brokerA + " __ZONE_NAME=z1", body: regBodyWith(1, `"f1"`, mappingT, "T", "U"),
			wantBody: `{"table":{"T":"a:8;b:8"}}`,
		},
		{conn: "a", code: 103, ext: brokerA + " __ZONE_NAME=z1", body: regBodyWith(1, "", mappingT, "T", "U"), wantBody: `{"table":{"T":"a:8;b:8"}}`},
		{code: 217, ext: "topic=N", body: `{"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":3,"topicSysFlag":0,"writeQueueNums":2}]}`},
		{code: 217, ext: "topic=M", body: `{"queueDatas":[{"brokerName":"zz","perm":6,"readQueueNums":3,"topicSysFlag":0,"writeQueueNums":2}]}`},
		{code: 217, ext: "topic=M", body: `{"queueDatas":[]}`},
		{code: 217, ext: "topic=M"},
		{code: 105, ext: "topic=M", want: 17, wantRemark: noRoute("M")},
		{code: 105, ext: "topic=N", wantBody: standard(routeN)},
		{code: 105, ext: "topic=N __ZONE_MODE=true __ZONE_NAME=Z1", wantBody: routeN},
		{code: 216, ext: "topic=N clusterName=D"},
		{code: 105, ext: "topic=N", wantBody: standard(routeN)},
		{code: 216, ext: "topic=N clusterName=C"},
		{code: 105, ext: "topic=N", want: 17, wantRemark: noRoute("N")},
		{code: 216, ext: "topic=nope"},
		{
			conn: "c", code: 103, ext: brokerC + " compressed=true", wantBody: `{"table":{"T":"a:8;b:8"}}`,
			body: compressedBody(`{"counter":9,"stateVersion":0,"timestamp":5}`, 2,
				`CT 3 2 6 SINGLE_TAG {"message.type":"FIFO"}`, `CU 3 2 6 SINGLE_TAG`, `[]`, 0),
		},
		{
			code: 105, ext: "topic=CT", version: 317,
			wantBody: `{"brokerDatas":[{"brokerAddrs":{0:"1.1.1.9:1"},"brokerName":"c","cluster":"C","enableActingMaster":false}],"filterServerTable":{},` +
				`"queueDatas":[{"brokerName":"c","perm":6,"readQueueNums":3,"topicSysFlag":0,"writeQueueNums":2}]}`,
		},
		{
			conn: "c", code: 103, ext: brokerC + " compressed=true", body: "garbage", want: 1, ours: "Java adds its exception and line",
			wantRemark: "Failed to decode RegisterBrokerBody: bad body: inflate registration: zlib: invalid header",
		},
		{conn: "c", code: 104, ext: brokerC},
		{code: 105, ext: "topic=CT", want: 17, wantRemark: noRoute("CT")},
		{conn: "a", hangup: true},
		{code: 105, ext: "topic=U", version: 317, wantBody: `{"brokerDatas":[{"brokerAddrs":{1:"1.1.1.2:1"},"brokerName":"a","cluster":"C","enableActingMaster":false,"zoneName":"z1"}],` +
			`"filterServerTable":{},"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}]}`},
		{conn: "a1", hangup: true},
		{conn: "b", hangup: true},
		{code: 106, wantBody: `{"brokerAddrTable":{},"clusterAddrTable":{}}`},
		{code: 206, wantBody: `{"topicList":[]}`},
		{code: 304, wantBody: `{"topicList":[]}`},
		{code: 102, ext: "namespace=ORDER_TOPIC_CONFIG key=T"},
	}
}

// adminConversation is about the key-value table and the configuration.
func adminConversation() []step {
	return []step{
		{code: 999, want: 3, wantRemark: " request type 999 not supported"},
		{code: 101, ext: "namespace=n key=k", want: 22, wantRemark: "No config item, Namespace: n Key: k"},
		{code: 219, ext: "namespace=n", want: 22, wantRemark: "No config item, Namespace: n"},
		{code: 100, ext: "namespace=n", want: 1, wantRemark: "namespace or key is null"},
		{code: 100, ext: "namespace=n key=k value=v/\u00e9"},
		{code: 101, ext: "namespace=n key=k", wantExt: "value=v/\u00e9"},
		{code: 219, ext: "namespace=n", wantBody: `{"table":{"k":"v/` + "\u00e9" + `"}}`},
		{code: 100, ext: "namespace=n key=k value=w"},
		{code: 100, ext: "namespace=n key=j value=x"},
		{code: 219, ext: "namespace=n", wantBody: `{"table":{"j":"x","k":"w"}}`},
		{code: 100, ext: "namespace=n key=j"},
		{code: 101, ext: "namespace=n key=j", want: 22, wantRemark: "No config item, Namespace: n Key: j"},
		{code: 102, ext: "namespace=n key=k"},
		{code: 102, ext: "namespace=zz key=k"},
		{code: 219, ext: "namespace=n", wantBody: `{"table":{}}`},
		{code: 219, ext: "namespace=zz", want: 22, wantRemark: "No config item, Namespace: zz"},
		{code: 318},
		{code: 318, body: "kvConfigPath=/x\n", want: 16, wantRemark: "Can not update config in black list."},
		{code: 318, body: "rocketmqHome=/x\n", want: 16, wantRemark: "Can not update config in black list."},
		{code: 318, body: "configBlackList=a\nenableTopicList=false", want: 16, wantRemark: "Can not update config in black list."},
		{code: 318, body: "enableTopicList=false\nnobodyKnowsThis=1\nwaitSecondsForService=abc\n"},
		{code: 224, ext: "cluster=C", want: 1, wantRemark: "disable"},
		{code: 311, want: 1, wantRemark: "disable"},
		{code: 312, want: 1, wantRemark: "disable"},
		{code: 313, want: 1, wantRemark: "disable"},
		{code: 318, body: "enableTopicList=true\nenableAllTopicList=false\n"},
		{code: 311, wantBody: `{"topicList":[]}`},
		{code: 206, want: 1, wantRemark: "disable"},
		{code: 318, body: "enableAllTopicList=true\nneedWaitForService=true\nwaitSecondsForService=100000\n"},
		{code: 105, ext: "topic=T", want: 1, wantRemark: "name server not ready"},
		{code: 318, body: "needWaitForService=false\nwaitSecondsForService=45\n"},
		{code: 105, ext: "topic=T", want: 17, wantRemark: noRoute("T")},
	}
}

// actingConversation is about a group whose master is gone.
func actingConversation() []step {
	slave := "brokerName=a brokerAddr=1.1.1.2:1 clusterName=C haServerAddr=ha2 brokerId=2 enableActingMaster=true"
	master := "brokerName=a brokerAddr=1.1.1.1:1 clusterName=C haServerAddr=ha1 brokerId=0 enableActingMaster=true"
	members := "rmq_sys_SYNC_BROKER_MEMBER_a"
	route := func(addrs string, perm int) string {
		return fmt.Sprintf(`{"brokerDatas":[{"brokerAddrs":{%s},"brokerName":"a","cluster":"C","enableActingMaster":true}],`+
			`"filterServerTable":{},"queueDatas":[{"brokerName":"a","perm":%d,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}]}`, addrs, perm)
	}
	const alone, both = `2:"1.1.1.2:1"`, `0:"1.1.1.1:1",2:"1.1.1.2:1"`
	return []step{
		{conn: "s", code: 103, ext: slave, body: regBody(1, "T", members)},
		{code: 105, ext: "topic=T", version: 317, wantBody: route(alone, 4)},
		{code: 318, body: "supportActingMaster=true"},
		{code: 105, ext: "topic=T", version: 317, wantBody: route(`0:"1.1.1.2:1"`, 4)},
		{code: 105, ext: "topic=" + members, version: 317, wantBody: route(alone, 4)},
		{conn: "m", code: 103, ext: master, body: regBody(1, "T", members)},
		{conn: "s", code: 103, ext: slave, body: regBody(1, "T", members), wantExt: "haServerAddr=ha1 masterAddr=1.1.1.1:1"},
		{code: 105, ext: "topic=T", version: 317, wantBody: route(both, 6)},
		{conn: "m", hangup: true},
		{code: 105, ext: "topic=T", version: 317, wantBody: route(`0:"1.1.1.2:1"`, 4)},
		{conn: "s", code: 103, ext: slave, body: regBody(1, "T", members)},
		{code: 105, ext: "topic=T", version: 317, wantBody: route(`0:"1.1.1.2:1"`, 4)},
		// The slave becomes the master with the address that it had.
		{conn: "s", code: 103, ext: strings.Replace(slave, "brokerId=2", "brokerId=0", 1), body: regBody(2, "T", members)},
		{code: 105, ext: "topic=T", version: 317, wantBody: route(`0:"1.1.1.2:1"`, 6)},
		{conn: "s", hangup: true},
		{code: 318, body: "supportActingMaster=false"},
		{code: 105, ext: "topic=T", want: 17, wantRemark: noRoute("T")},
	}
}

// leaseConversation is about brokers that contend for an id and about topics that a registration leaves out.
func leaseConversation() []step {
	state := func(n int, topics ...string) string {
		return strings.Replace(regBody(1, topics...), `"stateVersion":0`, fmt.Sprint(`"stateVersion":`, n), 1)
	}
	one := "brokerName=a brokerAddr=1.1.1.1:1 clusterName=C haServerAddr=ha1 brokerId=0 enableActingMaster=false"
	two := "brokerName=a brokerAddr=1.1.1.2:1 clusterName=C haServerAddr=ha2 brokerId=0 enableActingMaster=false"
	cluster := func(addr string) string {
		return `{"brokerAddrTable":{"a":{"brokerAddrs":{0:"` + addr + `"},"brokerName":"a","cluster":"C","enableActingMaster":false}},"clusterAddrTable":{"C":["a"]}}`
	}
	return []step{
		{conn: "1", code: 103, ext: one, body: state(5, "T", "U")},
		{conn: "2", code: 103, ext: two, body: state(4, "T", "V")},
		{code: 106, wantBody: cluster("1.1.1.1:1")},
		{code: 206, wantBody: `{"topicList":["T","U"]}`},
		{conn: "2", code: 103, ext: two, body: state(6, "T", "V")},
		{code: 106, wantBody: cluster("1.1.1.2:1")},
		{code: 206, wantBody: `{"topicList":["T","U","V"]}`},
		{conn: "1", hangup: true},
		{code: 106, wantBody: cluster("1.1.1.2:1")},
		// A lone topic of a known broker is an increment; one of a broker with another id is not.
		{conn: "2", code: 103, ext: two, body: state(7, "W")},
		{conn: "3", code: 103, ext: strings.Replace(two, "1.1.1.2:1 ", "1.1.1.3:1 ", 1) + " brokerId=1", body: state(7, "Z"), want: 1, wantRemark: "register broker failed"},
		{code: 206, wantBody: `{"topicList":["T","U","V","W"]}`},
		{code: 318, body: "deleteTopicWithBrokerRegistration=true"},
		{conn: "2", code: 103, ext: two, body: state(8, "T", "X")},
		{code: 206, wantBody: `{"topicList":["T","X"]}`},
		{code: 217, ext: "topic=Y", body: `{"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":3,"topicSysFlag":0,"writeQueueNums":2}]}`},
		{code: 206, wantBody: `{"topicList":["T","X","Y"]}`},
		{code: 318, body: "deleteTopicWithBrokerRegistration=true"},
		{conn: "2", code: 103, ext: two, body: state(8, "T", "X")},
		{code: 206, wantBody: `{"topicList":["T","X"]}`},
		{code: 318, body: "deleteTopicWithBrokerRegistration=false"},
		{conn: "2", code: 104, ext: two},
		{code: 106, wantBody: `{"brokerAddrTable":{},"clusterAddrTable":{}}`},
		{code: 206, wantBody: `{"topicList":[]}`},
	}
}

func conversations() map[string][]step {
	return map[string][]step{
		"brokers": brokersConversation(), "admin": adminConversation(), "acting": actingConversation(), "lease": leaseConversation(),
	}
}
