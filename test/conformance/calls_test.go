package conformance

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// member is a client that the server may call.
type member struct {
	e    *env
	c    *remoting.Client
	id   string
	addr string

	mu  sync.Mutex // guards got
	got []remoting.Command
}

// member connects a client that notes what the server asks and answers it with answer, by code; nil: not at all.
func (e *env) member(id string, answer map[int32]func(*remoting.Request) *remoting.Command) *member {
	e.Helper()
	m := &member{e: e, id: id + "@" + e.group, addr: e.cluster.Addrs[0]}
	on := map[int32]remoting.Handler{}
	for code, f := range answer {
		on[code] = func(c *remoting.Conn, r *remoting.Request) {
			ext := map[string]string{}
			for _, x := range r.Fields {
				ext[string(x.Key)] = string(x.Val)
			}
			m.mu.Lock()
			m.got = append(m.got, remoting.Command{Code: r.Code, Ext: ext, Body: []byte(string(r.Body))})
			m.mu.Unlock()
			if f == nil {
				return
			}
			a := f(r)
			c.Reply(r.ReplyTo(), a.Code, a.Remark, nil, a.Body)
		}
	}
	m.c = remoting.NewClient(remoting.ClientOptions{OnRequest: on, Version: protocol.VersionServed})
	e.Cleanup(m.c.Close)
	return m
}

func (m *member) ask(code int32, h remoting.HeaderAppender, body []byte) *remoting.Command {
	m.e.Helper()
	ctx, cancel := context.WithTimeout(m.e.Context(), time.Minute)
	defer cancel()
	r, err := m.c.Invoke(ctx, m.addr, &remoting.Command{Code: code, Header: h, Body: body})
	if err != nil {
		m.e.Fatalf("code %d: %v", code, err)
	}
	return r
}

// want asserts code and a part of the remark.
func (m *member) want(r *remoting.Command, code int32, remark string) {
	m.e.Helper()
	if r.Code != code || !strings.Contains(r.Remark, remark) {
		m.e.Fatalf("code %d %q, want %d %q", r.Code, r.Remark, code, remark)
	}
}

// beat registers the client as a producer and a consumer of the case's group.
func (m *member) beat() {
	m.e.Helper()
	d := protocol.HeartbeatData{
		ClientID: m.id, Producers: []string{"p_" + m.e.group},
		Consumers: []protocol.ConsumerData{{
			GroupName: m.e.group, ConsumeType: "CONSUME_PASSIVELY", MessageModel: "CLUSTERING", ConsumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
			SubscriptionDataSet: []protocol.SubscriptionData{{Topic: m.e.topic, SubString: "*", ExpressionType: "TAG", SubVersion: 1}},
		}},
	}
	m.want(m.ask(protocol.ReqHeartBeat, nil, d.AppendTo(nil, false)), 0, "")
}

// asked returns what the server asked, once it has.
func (m *member) asked() remoting.Command {
	m.e.Helper()
	var out remoting.Command
	m.e.eventually("a call of the client", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.got) == 0 {
			return false
		}
		out = m.got[0]
		return true
	})
	return out
}

func (e *env) resetHeader(ms int64) *protocol.ResetOffsetRequestHeader {
	return &protocol.ResetOffsetRequestHeader{Group: e.group, Topic: e.topic, QueueID: -1, Timestamp: ms, Force: true}
}

// positions resets, and returns where to by queue.
func (m *member) positions(h *protocol.ResetOffsetRequestHeader) map[int32]int64 {
	m.e.Helper()
	r := m.ask(protocol.ReqInvokeBrokerToResetOffset, h, nil)
	m.want(r, 0, "")
	var body protocol.ResetOffsetBody
	if err := body.Decode(r.Body); err != nil {
		m.e.Fatal(err)
	}
	out := map[int32]int64{}
	for _, o := range body.OffsetTable {
		if o.Queue.Topic != m.e.topic || o.Queue.BrokerName != "broker-a" {
			m.e.Errorf("queue %+v", o.Queue)
		}
		out[o.Queue.QueueID] = o.Offset
	}
	return out
}

func (m *member) committed(queue int32) *remoting.Command {
	m.e.Helper()
	return m.ask(protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{ConsumerGroup: m.e.group, Topic: m.e.topic, QueueID: queue}, nil)
}

func (m *member) commit(group string, queue int32, at int64) *remoting.Command {
	m.e.Helper()
	return m.ask(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{ConsumerGroup: group, Topic: m.e.topic, QueueID: queue, CommitOffset: at}, nil)
}

// stock makes the topic with two queues and n messages in each, and a client of its group.
func (e *env) stock(n int, answer map[int32]func(*remoting.Request) *remoting.Command) *member {
	e.Helper()
	e.create(2)
	for i := range n {
		e.send(0, "", fmt.Sprint("a", i))
		e.send(1, "", fmt.Sprint("b", i))
	}
	if n > 0 {
		e.filled(0, int64(n))
		e.filled(1, int64(n))
	}
	m := e.member("c", answer)
	m.beat()
	return m
}

func says(code int32, remark, body string) func(*remoting.Request) *remoting.Command {
	return func(*remoting.Request) *remoting.Command {
		return &remoting.Command{Code: code, Remark: remark, Body: []byte(body)}
	}
}

type answers = map[int32]func(*remoting.Request) *remoting.Command

var callCases = []testCase{
	{"a reset is told once, and commits before that are ignored", func(e *env) {
		m := e.stock(5, nil)
		m.want(m.commit(e.group, 0, 4), 0, "")
		if got := m.positions(e.resetHeader(-1)); !maps.Equal(got, map[int32]int64{0: 5, 1: 5}) {
			e.Fatalf("reset to the end: %v", got)
		}
		if r := m.committed(0); r.Code != 0 || r.Ext["offset"] != "5" {
			e.Errorf("position %d %v", r.Code, r.Ext)
		}
		m.want(m.commit(e.group, 0, 2), 0, "Offset has been previously reset")
		if got := m.positions(e.resetHeader(1)); !maps.Equal(got, map[int32]int64{0: 0, 1: 0}) {
			e.Fatalf("reset to the begin: %v", got)
		}
		r := m.ask(protocol.ReqPullMessage, e.pullHeader(0, 4), nil)
		m.want(r, protocol.RespPullOffsetMoved, "OFFSET_RESET")
		if r.Ext["nextBeginOffset"] != "0" || r.Ext["minOffset"] != "0" || r.Ext["maxOffset"] != "5" || len(r.Body) > 0 {
			e.Errorf("fields %v", r.Ext)
		}
		m.want(m.ask(protocol.ReqPullMessage, e.pullHeader(0, 0), nil), 0, "FOUND")
		m.want(m.commit(e.group, 0, 2), 0, "")
		if r := m.committed(0); r.Ext["offset"] != "2" {
			e.Errorf("position %v", r.Ext)
		}
		if r := m.committed(1); r.Ext["offset"] != "0" {
			e.Errorf("position of the queue that nobody has pulled: %v", r.Ext)
		}
	}},
	{"a reset of one queue to a position", func(e *env) {
		m := e.stock(3, nil)
		h := e.resetHeader(-1)
		h.QueueID, h.HasOffset, h.Offset = 1, true, 2
		if got := m.positions(h); !maps.Equal(got, map[int32]int64{1: 2}) {
			e.Errorf("positions %v", got)
		}
		if r := m.committed(1); r.Ext["offset"] != "2" {
			e.Errorf("position %v", r.Ext)
		}
		h.Offset = 99
		m.want(m.ask(protocol.ReqInvokeBrokerToResetOffset, h, nil), 1, "Target offset 99 not in consume queue range [0-3]")
		h.Offset = -2
		m.want(m.ask(protocol.ReqInvokeBrokerToResetOffset, h, nil), 1, "Target offset -2 not in consume queue range [0-3]")
		h.Offset = -1 // by time
		if got := m.positions(h); !maps.Equal(got, map[int32]int64{1: 3}) {
			e.Errorf("positions %v", got)
		}
	}},
	{"a reset of nothing", func(e *env) {
		m := e.member("c", nil)
		m.want(m.ask(protocol.ReqInvokeBrokerToResetOffset, e.resetHeader(-1), nil), protocol.RespTopicNotExist, "Topic "+e.topic+" does not exist")
		e.create(1)
		m.want(m.ask(protocol.ReqInvokeBrokerToResetOffset, e.resetHeader(-1), nil), protocol.RespSubscriptionGroupNotExist, "Group "+e.group+" does not exist")
	}},
	{"positions of a group are cloned", func(e *env) {
		m := e.stock(3, nil)
		to := e.group + "_clone"
		m.want(m.commit(e.group, 0, 2), 0, "")
		h := &protocol.CloneGroupOffsetRequestHeader{SrcGroup: e.group, DestGroup: to, Topic: e.topic, Offline: true}
		m.want(m.ask(protocol.ReqCloneGroupOffset, h, nil), 0, "")
		r := m.ask(protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{ConsumerGroup: to, Topic: e.topic}, nil)
		if r.Code != 0 || r.Ext["offset"] != "2" {
			e.Errorf("position %d %v", r.Code, r.Ext)
		}
		h.SrcGroup, h.DestGroup = "conf_nobody", "conf_nobody_2"
		m.want(m.ask(protocol.ReqCloneGroupOffset, h, nil), 0, "")
		h.Topic = "conf_no_such_topic"
		m.want(m.ask(protocol.ReqCloneGroupOffset, h, nil), 0, "")
	}},
	{"who is connected", func(e *env) {
		m := e.stock(0, nil)
		r := m.ask(protocol.ReqGetConsumerConnectionList, &protocol.GetConsumerConnectionListRequestHeader{ConsumerGroup: e.group}, nil)
		m.want(r, 0, "")
		var cc protocol.ConsumerConnection
		if err := cc.Decode(r.Body); err != nil {
			e.Fatal(err)
		}
		if len(cc.ConnectionSet) != 1 || cc.ConsumeType != "CONSUME_PASSIVELY" || cc.MessageModel != "CLUSTERING" ||
			cc.ConsumeFromWhere != "CONSUME_FROM_LAST_OFFSET" || cc.SubscriptionTable[e.topic].SubString != "*" {
			e.Fatalf("%s", r.Body)
		}
		c := cc.ConnectionSet[0]
		if c.ClientID != m.id || c.Language != "JAVA" || c.Version != protocol.VersionServed || !strings.HasPrefix(c.ClientAddr, "127.0.0.1:") {
			e.Errorf("%+v", c)
		}
		r = m.ask(protocol.ReqGetProducerConnectionList, &protocol.GetProducerConnectionListRequestHeader{ProducerGroup: "p_" + e.group}, nil)
		m.want(r, 0, "")
		var pc protocol.ProducerConnection
		if err := pc.Decode(r.Body); err != nil || len(pc.ConnectionSet) != 1 || pc.ConnectionSet[0].ClientID != m.id {
			e.Errorf("%s %v", r.Body, err)
		}
		m.want(m.ask(protocol.ReqGetConsumerConnectionList, &protocol.GetConsumerConnectionListRequestHeader{ConsumerGroup: "conf_nobody"}, nil),
			protocol.RespConsumerNotOnline, "the consumer group[conf_nobody] not online")
		m.want(m.ask(protocol.ReqGetProducerConnectionList, &protocol.GetProducerConnectionListRequestHeader{ProducerGroup: "conf_nobody"}, nil),
			1, "the producer group[conf_nobody] not exist")
	}},
	{"running info is asked of the client", func(e *env) {
		m := e.stock(0, answers{protocol.ReqGetConsumerRunningInfo: says(0, "", `{"properties":{"a":"b"}}`)})
		h := &protocol.GetConsumerRunningInfoRequestHeader{ConsumerGroup: e.group, ClientID: m.id, JstackEnable: true}
		tool := e.member("tool", nil)
		r := tool.ask(protocol.ReqGetConsumerRunningInfo, h, nil)
		tool.want(r, 0, "")
		if string(r.Body) != `{"properties":{"a":"b"}}` {
			e.Errorf("body %s", r.Body)
		}
		if q := m.asked(); q.Ext["consumerGroup"] != e.group || q.Ext["clientId"] != m.id || q.Ext["jstackEnable"] != "true" {
			e.Errorf("asked with %v", q.Ext)
		}
		h.ClientID = "nobody"
		tool.want(tool.ask(protocol.ReqGetConsumerRunningInfo, h, nil), 1, "The Consumer <"+e.group+"> <nobody> not online")
	}},
	{"what a client answers is handed through", func(e *env) {
		m := e.stock(0, answers{protocol.ReqGetConsumerRunningInfo: says(1, "The Consumer Group <x> not exist in this consumer", "")})
		tool := e.member("tool", nil)
		h := &protocol.GetConsumerRunningInfoRequestHeader{ConsumerGroup: e.group, ClientID: m.id}
		tool.want(tool.ask(protocol.ReqGetConsumerRunningInfo, h, nil), 1, "The Consumer Group <x> not exist in this consumer")
	}},
	{"a client that does not answer", func(e *env) {
		m := e.stock(0, answers{protocol.ReqGetConsumerRunningInfo: nil})
		tool := e.member("tool", nil)
		h := &protocol.GetConsumerRunningInfoRequestHeader{ConsumerGroup: e.group, ClientID: m.id}
		tool.want(tool.ask(protocol.ReqGetConsumerRunningInfo, h, nil), protocol.RespConsumeMsgTimeout, "consumer <"+e.group+"> <"+m.id+"> Timeout: ")
	}},
	{"a message is consumed directly", func(e *env) {
		m := e.stock(0, answers{protocol.ReqConsumeMessageDirectly: says(0, "", `{"consumeResult":"CR_SUCCESS"}`)})
		id := e.field(e.send(1, "", "direct"), "msgId")
		h := &protocol.ConsumeMessageDirectlyResultRequestHeader{ConsumerGroup: e.group, ClientID: m.id, MsgID: id, Topic: e.topic}
		tool := e.member("tool", nil)
		r := tool.ask(protocol.ReqConsumeMessageDirectly, h, nil)
		tool.want(r, 0, "")
		if !strings.Contains(string(r.Body), "CR_SUCCESS") {
			e.Errorf("body %s", r.Body)
		}
		q := m.asked()
		if q.Ext["brokerName"] != "broker-a" || q.Ext["msgId"] != id || !strings.Contains(string(q.Body), "direct") || !strings.Contains(string(q.Body), e.topic) {
			e.Errorf("asked with %v, body %q", q.Ext, q.Body)
		}
		h.ClientID = "nobody"
		tool.want(tool.ask(protocol.ReqConsumeMessageDirectly, h, nil), 1, "The Consumer <"+e.group+"> <nobody> not online")
	}},
	{"where the clients are", func(e *env) {
		m := e.stock(0, answers{protocol.ReqGetConsumerStatusFromClient: says(0, "",
			`{"consumerTable":{},"messageQueueTable":{{"brokerName":"broker-a","queueId":1,"topic":"T"}:7}}`)})
		tool := e.member("tool", nil)
		h := &protocol.GetConsumerStatusRequestHeader{Topic: e.topic, Group: e.group}
		r := tool.ask(protocol.ReqInvokeBrokerToGetConsumerStatus, h, nil)
		tool.want(r, 0, "")
		var body protocol.GetConsumerStatusBody
		if err := body.Decode(r.Body); err != nil {
			e.Fatal(err)
		}
		if at := body.ConsumerTable[m.id]; len(at) != 1 || at[0].Offset != 7 || at[0].Queue.QueueID != 1 {
			e.Errorf("%s", r.Body)
		}
		if q := m.asked(); q.Ext["topic"] != e.topic || q.Ext["group"] != e.group {
			e.Errorf("asked with %v", q.Ext)
		}
		h.Group = "conf_nobody"
		if r := tool.ask(protocol.ReqInvokeBrokerToGetConsumerStatus, h, nil); r.Code != 1 { // Java: the text of an exception
			e.Errorf("code %d %q", r.Code, r.Remark)
		}
	}},
	{"how full the queues are", func(e *env) {
		m := e.stock(3, nil)
		r := m.ask(protocol.ReqGetTopicStatsInfo, &protocol.GetTopicStatsInfoRequestHeader{Topic: e.topic}, nil)
		m.want(r, 0, "")
		var st protocol.TopicStatsTable
		if err := st.Decode(r.Body); err != nil || len(st.OffsetTable) != 2 {
			e.Fatalf("%s %v", r.Body, err)
		}
		for _, q := range st.OffsetTable {
			if q.MinOffset != 0 || q.MaxOffset != 3 || time.Since(time.UnixMilli(q.LastUpdateTimestamp)).Abs() > time.Minute {
				e.Errorf("%+v", q)
			}
		}
		m.want(m.ask(protocol.ReqGetTopicStatsInfo, &protocol.GetTopicStatsInfoRequestHeader{Topic: "conf_none"}, nil),
			protocol.RespTopicNotExist, "topic[conf_none] not exist")
	}},
	{"how far a group is", func(e *env) {
		m := e.stock(4, nil)
		m.want(m.commit(e.group, 0, 3), 0, "")
		m.want(m.ask(protocol.ReqPullMessage, e.pullHeader(1, 0), nil), 0, "FOUND")
		for _, h := range []*protocol.GetConsumeStatsRequestHeader{
			{ConsumerGroup: e.group}, {ConsumerGroup: e.group, Topic: e.topic}, {ConsumerGroup: e.group, TopicList: e.topic + ";conf_none"},
		} {
			r := m.ask(protocol.ReqGetConsumeStats, h, nil)
			m.want(r, 0, "")
			var st protocol.ConsumeStats
			if err := st.Decode(r.Body); err != nil || len(st.OffsetTable) != 2 {
				e.Fatalf("%s %v", r.Body, err)
			}
			for _, q := range st.OffsetTable {
				want := protocol.QueueConsumeOffset{Queue: q.Queue, BrokerOffset: 4, ConsumerOffset: 3, PullOffset: 3, LastTimestamp: q.LastTimestamp}
				if q.Queue.QueueID == 1 {
					want.ConsumerOffset, want.PullOffset = 0, 4
				}
				if q != want || (q.LastTimestamp == 0) != (q.Queue.QueueID == 1) {
					e.Errorf("%+v, want %+v", q, want)
				}
			}
		}
		r := m.ask(protocol.ReqGetConsumeStats, &protocol.GetConsumeStatsRequestHeader{ConsumerGroup: "conf_nobody"}, nil)
		m.want(r, 0, "")
	}},
	{"who consumes what", func(e *env) {
		m := e.stock(1, nil)
		r := m.ask(protocol.ReqQueryTopicConsumeByWho, &protocol.QueryTopicConsumeByWhoRequestHeader{Topic: e.topic}, nil)
		m.want(r, 0, "")
		if !strings.Contains(string(r.Body), `"`+e.group+`"`) {
			e.Errorf("body %s", r.Body)
		}
		m.want(m.commit(e.group, 0, 1), 0, "")
		r = m.ask(protocol.ReqQueryTopicsByConsumer, &protocol.QueryTopicsByConsumerRequestHeader{Group: e.group}, nil)
		m.want(r, 0, "")
		if !strings.Contains(string(r.Body), `["`+e.topic+`"]`) {
			e.Errorf("body %s", r.Body)
		}
		r = m.ask(protocol.ReqQuerySubscriptionByConsumer, &protocol.QuerySubscriptionByConsumerRequestHeader{Group: e.group, Topic: e.topic}, nil)
		m.want(r, 0, "")
		var sub protocol.QuerySubscriptionResponseBody
		if err := sub.Decode(r.Body); err != nil || sub.Group != e.group || sub.Subscription == nil || sub.Subscription.SubString != "*" {
			e.Errorf("%s %v", r.Body, err)
		}
		r = m.ask(protocol.ReqQuerySubscriptionByConsumer, &protocol.QuerySubscriptionByConsumerRequestHeader{Group: "conf_nobody", Topic: e.topic}, nil)
		m.want(r, 0, "")
		if strings.Contains(string(r.Body), "subString") {
			e.Errorf("body %s", r.Body)
		}
	}},
	{"between which times the messages are", func(e *env) {
		m := e.stock(2, nil)
		m.want(m.commit(e.group, 0, 1), 0, "")
		r := m.ask(protocol.ReqQueryConsumeTimeSpan, &protocol.QueryConsumeTimeSpanRequestHeader{Topic: e.topic, Group: e.group}, nil)
		m.want(r, 0, "")
		var body protocol.QueryConsumeTimeSpanBody
		if err := body.Decode(r.Body); err != nil || len(body.ConsumeTimeSpanSet) != 2 {
			e.Fatalf("%s %v", r.Body, err)
		}
		for _, q := range body.ConsumeTimeSpanSet {
			if q.MinTimeStamp <= 0 || q.MaxTimeStamp < q.MinTimeStamp || q.ConsumeTimeStamp != q.MinTimeStamp {
				e.Errorf("%+v", q)
			}
		}
		m.want(m.ask(protocol.ReqQueryConsumeTimeSpan, &protocol.QueryConsumeTimeSpanRequestHeader{Topic: "conf_none", Group: e.group}, nil),
			protocol.RespTopicNotExist, "topic[conf_none] not exist")
	}},
	{"entries of a queue", func(e *env) {
		m := e.stock(4, nil)
		h := &protocol.QueryConsumeQueueRequestHeader{Topic: e.topic, QueueID: 1, Index: 1, Count: 2}
		r := m.ask(protocol.ReqQueryConsumeQueue, h, nil)
		m.want(r, 0, "")
		var body protocol.QueryConsumeQueueResponseBody
		if err := body.Decode(r.Body); err != nil {
			e.Fatal(err)
		}
		if body.MinQueueIndex != 0 || body.MaxQueueIndex != 4 || len(body.QueueData) != 2 || body.QueueData[0].PhysicSize < 90 || body.Subscription != nil {
			e.Errorf("%s", r.Body)
		}
		h.ConsumerGroup = "conf_nobody"
		if r = m.ask(protocol.ReqQueryConsumeQueue, h, nil); !strings.Contains(string(r.Body), "conf_nobody@"+e.topic+" is not online!") {
			e.Errorf("%s", r.Body)
		}
		h.Index = 99
		r = m.ask(protocol.ReqQueryConsumeQueue, h, nil)
		m.want(r, 0, "Index 99 of 1@"+e.topic+" is not exist!")
	}},
}
