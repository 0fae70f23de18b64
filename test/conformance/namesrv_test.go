package conformance

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

func (e *env) nsCode(code int32, h appender, body []byte, want int32, remark ...string) string {
	e.Helper()
	r := e.call(e.ns, code, h, body)
	e.code(r, want, remark...)
	return string(r.Body)
}

// route asks as a client of the given version would.
func (e *env) route(topic string, version int32, standard bool) (code int32, body string) {
	e.Helper()
	c, err := net.Dial("tcp", e.cluster.NS)
	if err != nil {
		e.Fatal(err)
	}
	defer c.Close()
	var fw protocol.FieldWriter
	fw.Begin(nil, protocol.JSON, &protocol.Head{Code: protocol.ReqGetRouteInfoByTopic, Language: protocol.LanguageGo, Version: version, Opaque: 1})
	fw.Str("topic", topic)
	if standard {
		fw.Str("acceptStandardJsonOnly", "true")
	}
	if _, err := c.Write(fw.End(0)); err != nil {
		e.Fatal(err)
	}
	h, b := e.frame(c)
	return h.Code, string(b)
}

func (e *env) frame(c net.Conn) (*protocol.Header, []byte) {
	e.Helper()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	h, body, err := readFrame(bufio.NewReader(c))
	if err != nil {
		e.Fatal(err)
	}
	return h, body
}

func readFrame(r io.Reader) (*protocol.Header, []byte, error) {
	var p [8]byte
	if _, err := io.ReadFull(r, p[:]); err != nil {
		return nil, nil, err
	}
	f := make([]byte, binary.BigEndian.Uint32(p[:])-4)
	if _, err := io.ReadFull(r, f); err != nil {
		return nil, nil, err
	}
	s, n := protocol.SplitWord(binary.BigEndian.Uint32(p[4:]))
	h := new(protocol.Header)
	err := h.Decode(s, f[:n])
	return h, f[n:], err
}

var namesrvCases = []testCase{
	{"a route in the dialect of old clients has bare keys", func(e *env) {
		code, body := e.route("TBW102", 317, false)
		if code != 0 || !strings.Contains(body, `"brokerAddrs":{0:"`+e.cluster.Addrs[0]+`"}`) || strings.ContainsAny(body, " \n\t") {
			e.Errorf("code %d body %s", code, body)
		}
	}},
	{"a route in the dialect of new clients is JSON", func(e *env) {
		code, body := e.route("TBW102", 479, false)
		if code != 0 || !strings.Contains(body, `"brokerAddrs":{"0":"`+e.cluster.Addrs[0]+`"}`) {
			e.Errorf("code %d body %s", code, body)
		}
		code, body = e.route("TBW102", 317, true)
		if code != 0 || !strings.Contains(body, `{"0":"`) {
			e.Errorf("asked for: code %d body %s", code, body)
		}
	}},
	{"an unknown topic is 17 with Java's remark", func(e *env) {
		e.nsCode(protocol.ReqGetRouteInfoByTopic, &protocol.GetRouteInfoRequestHeader{Topic: "nowhere"}, nil,
			protocol.RespTopicNotExist, "No topic route info in name server for the topic: nowhere")
	}},
	{"the cluster is told", func(e *env) {
		body := e.nsCode(protocol.ReqGetBrokerClusterInfo, nil, nil, 0)
		for _, s := range []string{`"brokerAddrTable":{"broker-a":{`, `"clusterAddrTable":{"DefaultCluster":["broker-a"]}`, `0:"` + e.cluster.Addrs[0] + `"`} {
			if !strings.Contains(body, s) {
				e.Errorf("%s lacks %s", body, s)
			}
		}
	}},
	{"key-value configuration", func(e *env) {
		put := &protocol.PutKVConfigRequestHeader{Namespace: "ns" + e.topic, Key: "k", Value: "v"}
		e.nsCode(protocol.ReqPutKVConfig, put, nil, 0)
		r := e.call(e.ns, protocol.ReqGetKVConfig, &protocol.GetKVConfigRequestHeader{Namespace: put.Namespace, Key: "k"}, nil)
		e.code(r, 0)
		if e.field(r, "value") != "v" {
			e.Errorf("value %q", e.field(r, "value"))
		}
		if b := e.nsCode(protocol.ReqGetKVListByNamespace, &protocol.GetKVListByNamespaceRequestHeader{Namespace: put.Namespace}, nil, 0); b != `{"table":{"k":"v"}}` {
			e.Errorf("list %s", b)
		}
		e.nsCode(protocol.ReqDeleteKVConfig, &protocol.DeleteKVConfigRequestHeader{Namespace: put.Namespace, Key: "k"}, nil, 0)
		e.nsCode(protocol.ReqGetKVConfig, &protocol.GetKVConfigRequestHeader{Namespace: put.Namespace, Key: "k"}, nil, protocol.RespQueryNotFound)
	}},
	{"all topics are listed", func(e *env) {
		e.create(1)
		e.eventually("listed", func() bool {
			return strings.Contains(e.nsCode(protocol.ReqGetAllTopicListFromNameServer, nil, nil, 0), `"`+e.topic+`"`)
		})
		if b := e.nsCode(protocol.ReqGetTopicsByCluster, &protocol.GetTopicsByClusterRequestHeader{Cluster: "DefaultCluster"}, nil, 0); !strings.Contains(b, e.topic) {
			e.Errorf("not in its cluster: %s", b)
		}
	}},
	{"write permission is wiped and given back", func(e *env) {
		e.create(1)
		perm := func() string { _, b := e.route(e.topic, 479, false); return b }
		e.eventually("registered", func() bool { return strings.Contains(perm(), `"perm":6`) })
		r := e.call(e.ns, protocol.ReqWipeWritePermOfBroker, &protocol.WipeWritePermOfBrokerRequestHeader{BrokerName: "broker-a"}, nil)
		e.code(r, 0)
		if e.num(r, "wipeTopicCount") < 1 || !strings.Contains(perm(), `"perm":4`) {
			e.Errorf("wiped %d: %s", e.num(r, "wipeTopicCount"), perm())
		}
		r = e.call(e.ns, protocol.ReqAddWritePermOfBroker, &protocol.AddWritePermOfBrokerRequestHeader{BrokerName: "broker-a"}, nil)
		e.code(r, 0)
		if !strings.Contains(perm(), `"perm":6`) {
			e.Errorf("after add: %s", perm())
		}
	}},
	{"a topic is deleted from the name server", func(e *env) {
		e.create(1)
		e.eventually("registered", func() bool { c, _ := e.route(e.topic, 479, false); return c == 0 })
		e.nsCode(protocol.ReqDeleteTopicInNamesrv, &protocol.DeleteTopicFromNamesrvRequestHeader{Topic: e.topic}, nil, 0)
		if c, _ := e.route(e.topic, 479, false); c != protocol.RespTopicNotExist {
			e.Errorf("code %d", c)
		}
	}},
	{"a lone topic of an unknown broker is refused", func(e *env) {
		body := `{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":1},"topicConfigTable":{"X":{"order":false,"perm":6,"readQueueNums":1,"topicFilterType":"SINGLE_TAG","topicName":"X","topicSysFlag":0,"writeQueueNums":1}}}}`
		e.nsCode(protocol.ReqRegisterBroker, &protocol.RegisterBrokerRequestHeader{
			BrokerName: "lonely", BrokerAddr: "127.0.0.1:1", ClusterName: "DefaultCluster", HAServerAddr: "127.0.0.1:2", BrokerID: 0,
		}, []byte(body), protocol.RespSystemError, "register broker failed")
	}},
	{"a wrong checksum of a registration is refused", func(e *env) {
		e.nsCode(protocol.ReqRegisterBroker, &protocol.RegisterBrokerRequestHeader{
			BrokerName: "crc", BrokerAddr: "127.0.0.1:1", ClusterName: "DefaultCluster", HAServerAddr: "127.0.0.1:2", BodyCRC32: 77,
		}, []byte(`{}`), protocol.RespSystemError, "crc32 not match")
	}},
	{"configuration is told, black-listed keys are not taken", func(e *env) {
		if b := e.nsCode(protocol.ReqGetNamesrvConfig, nil, nil, 0); !strings.Contains(b, "kvConfigPath=") {
			e.Errorf("config %s", b)
		}
		e.nsCode(protocol.ReqUpdateNamesrvConfig, nil, []byte("kvConfigPath=/x\n"), protocol.RespNoPermission)
	}},
}

var frameCases = []testCase{
	{"a frame over the limit closes the connection", func(e *env) { e.closes(append([]byte{0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1}, make([]byte, 16)...)) }},
	{"a header longer than its frame closes the connection", func(e *env) {
		e.closes([]byte{0, 0, 0, 8, 0, 0, 0, 200, 1, 2, 3, 4})
	}},
	{"garbage in a header closes the connection", func(e *env) {
		e.closes(append([]byte{0, 0, 0, 12, 0, 0, 0, 8}, "notjson!"...))
	}},
	{"a one-way request is not answered", func(e *env) {
		c, err := net.Dial("tcp", e.cluster.Addrs[0])
		if err != nil {
			e.Fatal(err)
		}
		defer c.Close()
		var fw protocol.FieldWriter
		fw.Begin(nil, protocol.JSON, &protocol.Head{Code: 9999, Version: 479, Opaque: 1, Flag: 2})
		out := fw.End(0)
		fw.Begin(out, protocol.JSON, &protocol.Head{Code: 9999, Version: 479, Opaque: 2})
		if _, err := c.Write(fw.End(0)); err != nil {
			e.Fatal(err)
		}
		if h, _ := e.frame(c); h.Opaque != 2 {
			e.Errorf("answer to %d", h.Opaque)
		}
	}},
}

// closes sends bytes to the broker and expects it to hang up, while other connections go on.
func (e *env) closes(b []byte) {
	e.Helper()
	c, err := net.Dial("tcp", e.cluster.Addrs[0])
	if err != nil {
		e.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(b); err != nil {
		e.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := c.Read(make([]byte, 64)); err == nil || isTimeout(err) {
		e.Errorf("read %d bytes, %v; want the connection closed", n, err)
	}
	e.create(1)
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error) //nolint:errorlint // a net.Conn returns it unwrapped
	return ok && ne.Timeout()
}
