package conformance

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
)

// What a name server does for sets in which a slave acts as the master. The brokers are played by the cases.

var actingNSConf = map[string]string{
	"supportActingMaster": "true", "notifyMinBrokerIdChanged": "true", "scanNotActiveBrokerInterval": "500",
}

// played is a broker that is nothing but its registration.
type played struct {
	e    *env
	c    *bench.Client
	name string
	id   int64
	l    net.Listener
	addr string
	told chan *protocol.Header // what the name server sends
}

// actingHeader says enableActingMaster also when it is false, as brokers do.
type actingHeader struct {
	protocol.RegisterBrokerRequestHeader
}

func (h *actingHeader) AppendTo(w *protocol.FieldWriter) {
	h.RegisterBrokerRequestHeader.AppendTo(w)
	if !h.EnableActingMaster {
		w.Bool("enableActingMaster", false)
	}
}

// join registers a broker of the case's set over a connection of its own.
func (e *env) join(id int64, acting bool, timeout time.Duration) *played {
	e.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.Fatal(err)
	}
	m := &played{e: e, c: e.dial(e.cluster.NS), name: "set_" + e.topic, id: id, l: l, addr: l.Addr().String(), told: make(chan *protocol.Header, 16)}
	e.Cleanup(func() { l.Close() })
	go m.listen()
	m.register(acting, timeout)
	return m
}

// listen takes what the name server sends.
func (m *played) listen() {
	for {
		c, err := m.l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			for {
				h, _, err := readFrame(c)
				if err != nil {
					return
				}
				m.told <- h
			}
		}()
	}
}

func (m *played) register(acting bool, timeout time.Duration) {
	m.e.Helper()
	topic := func(name string, perm int) string {
		return fmt.Sprintf(`%q:{"order":false,"perm":%d,"readQueueNums":2,"topicFilterType":"SINGLE_TAG","topicName":%q,"topicSysFlag":0,"writeQueueNums":2}`, name, perm, name)
	}
	body := fmt.Sprintf(`{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":%d},"topicConfigTable":{%s,%s}}}`,
		1000+m.id, topic("T"+m.e.topic, 6), topic("rmq_sys_SYNC_BROKER_MEMBER_"+m.name, 1))
	r := m.e.call(m.c, protocol.ReqRegisterBroker, &actingHeader{protocol.RegisterBrokerRequestHeader{
		BrokerName: m.name, BrokerAddr: m.addr, ClusterName: "C" + m.name, HAServerAddr: "127.0.0.1:1", BrokerID: m.id,
		EnableActingMaster: acting, HeartbeatTimeoutMillis: timeout.Milliseconds(),
	}}, []byte(body))
	m.e.code(r, 0)
}

func (m *played) leave() { m.c.Close() }

// shows waits until the route of a topic shows these addresses and this permission.
func (e *env) shows(topic string, perm int, addrs ...string) {
	e.Helper()
	want := `"brokerAddrs":{` + strings.Join(addrs, ",") + `}`
	body := ""
	e.eventually(fmt.Sprintf("%s with perm %d", want, perm), func() bool {
		_, body = e.route(topic, 479, false)
		return strings.Contains(body, want) && strings.Contains(body, fmt.Sprintf(`"perm":%d,`, perm))
	})
}

func at(id int64, m *played) string { return fmt.Sprintf(`"%d":%q`, id, m.addr) }

// notice waits for NOTIFY_MIN_BROKER_ID_CHANGE.
func (m *played) notice(id int64, addr, offline, ha string) {
	m.e.Helper()
	select {
	case h := <-m.told:
		var n protocol.NotifyMinBrokerIdChangeRequestHeader
		if err := n.Decode(h.Fields); err != nil || h.Code != protocol.ReqNotifyMinBrokerIDChange {
			m.e.Fatalf("code %d %v", h.Code, err)
		}
		if n.MinBrokerID != id || n.MinBrokerAddr != addr || n.OfflineBrokerAddr != offline || n.HABrokerAddr != ha || !oneway(h) {
			m.e.Errorf("notice %+v oneway %v, want %d %s %s %s", n, oneway(h), id, addr, offline, ha)
		}
	case <-time.After(time.Minute):
		m.e.Fatal("no notice")
	}
}

// oneway reports whether no answer is wanted.
func oneway(h *protocol.Header) bool { return h.Flag&2 != 0 }

var actingCases = []testCase{
	{"a slave that is left is shown as the master, for reading", func(e *env) {
		master, slave := e.join(0, true, 0), e.join(1, true, 0)
		e.shows("T"+e.topic, 6, at(0, master), at(1, slave))
		master.leave()
		e.shows("T"+e.topic, 4, at(0, slave))
		again := e.join(0, true, 0)
		e.shows("T"+e.topic, 6, at(0, again), at(1, slave))
	}},
	{"of two slaves that are left the one with the smaller id is shown as the master", func(e *env) {
		third, second := e.join(3, true, 0), e.join(2, true, 0)
		e.shows("T"+e.topic, 4, at(0, second), at(3, third))
		second.leave()
		e.shows("T"+e.topic, 4, at(0, third))
	}},
	{"without enableSlaveActingMaster nobody is shown as the master", func(e *env) {
		master, slave := e.join(0, false, 0), e.join(1, false, 0)
		e.shows("T"+e.topic, 6, at(0, master), at(1, slave))
		master.leave()
		e.shows("T"+e.topic, 6, at(1, slave))
	}},
	{"a slave that registers first brings its topics, without the right to write", func(e *env) {
		slave := e.join(2, true, 0)
		e.shows("T"+e.topic, 4, at(0, slave))
	}},
	{"the topic by which brokers look for each other shows who is there", func(e *env) {
		slave := e.join(2, true, 0)
		e.shows("rmq_sys_SYNC_BROKER_MEMBER_"+slave.name, 1, at(2, slave))
	}},
	{"the members of a set are told with their ids", func(e *env) {
		master, slave := e.join(0, true, 0), e.join(1, true, 0)
		master.leave()
		want := fmt.Sprintf(`{"brokerMemberGroup":{"brokerAddrs":{1:%q},"brokerName":%q,"cluster":%q}}`, slave.addr, slave.name, "C"+slave.name)
		e.eventually(want, func() bool {
			return e.nsCode(protocol.ReqGetBrokerMemberGroup, &protocol.GetBrokerMemberGroupRequestHeader{ClusterName: "C" + slave.name, BrokerName: slave.name}, nil, 0) == want
		})
		body := e.nsCode(protocol.ReqGetBrokerMemberGroup, &protocol.GetBrokerMemberGroupRequestHeader{ClusterName: "nowhere", BrokerName: "none"}, nil, 0)
		if body != `{"brokerMemberGroup":{"brokerAddrs":{},"brokerName":"none","cluster":"nowhere"}}` {
			e.Errorf("of a set that does not exist: %s", body)
		}
	}},
	{"a broker lives as long as it is heard of", func(e *env) {
		const most = 6 * time.Second // more than a beat takes on a busy machine
		silent, beating := e.join(0, true, 2*time.Second), e.join(1, true, most)
		e.shows("T"+e.topic, 6, at(0, silent), at(1, beating))
		for began := time.Now(); time.Since(began) < most+time.Second; {
			time.Sleep(500 * time.Millisecond)
			r := e.call(beating.c, protocol.ReqBrokerHeartbeat, &protocol.BrokerHeartbeatRequestHeader{
				ClusterName: "C" + beating.name, BrokerAddr: beating.addr, BrokerName: beating.name,
			}, nil)
			e.code(r, 0)
		}
		e.shows("T"+e.topic, 4, at(0, beating))
		if _, err := silent.c.Call(protocol.ReqGetBrokerClusterInfo, nil, nil); err == nil {
			e.Error("the connection of a silent broker is open")
		}
	}},
	{"a broker with a smaller id is told to the others", func(e *env) {
		third := e.join(3, true, 0)
		second := e.join(2, true, 0)
		third.notice(2, second.addr, "", "127.0.0.1:1")
		master := e.join(0, true, 0)
		second.notice(0, master.addr, "", "127.0.0.1:1")
		third.notice(0, master.addr, "", "127.0.0.1:1")
		master.leave()
		second.notice(2, second.addr, master.addr, "")
		third.notice(2, second.addr, master.addr, "")
		select {
		case h := <-master.told:
			e.Errorf("the one that has gone is told code %d", h.Code)
		case <-time.After(300 * time.Millisecond):
		}
	}},
}
