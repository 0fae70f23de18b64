package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// The cases of lite topics run in the brokers of the kinds, which keep light queues.

// lites makes the case's topic one of lite topics, kept for half an hour, and its group one that consumes them.
func (e *env) lites(attributes ...string) {
	e.Helper()
	e.createKind("+message.type=LITE,+lite.topic.expiration=30", 2)
	all := `"+lite.bind.topic":"` + e.topic + `"`
	for _, a := range attributes {
		k, v, _ := strings.Cut(a, "=")
		all += `,"+` + k + `":"` + v + `"`
	}
	body := fmt.Sprintf(`{"attributes":{%s},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"groupName":"%s",`+
		`"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}`, all, e.group)
	e.code(e.call(e.b, protocol.ReqUpdateAndCreateSubscriptionGroup, nil, []byte(body)), 0)
}

// lite is the id of a client of the case: a broker keeps a client in the group that it came with.
func (e *env) lite(client string) string { return client + "@" + e.group }

func (e *env) liteBody(action, client string, change func(s *protocol.LiteSubscription), lites ...string) []byte {
	s := protocol.LiteSubscription{Action: action, ClientID: e.lite(client), Group: e.group, Topic: e.topic, Lites: lites, Version: time.Now().UnixMilli()}
	if change != nil {
		change(&s)
	}
	body := protocol.LiteSubscriptionCtlRequestBody{Set: []protocol.LiteSubscription{s}}
	return body.AppendTo(nil, false)
}

func (e *env) subscribeLite(action, client string, lites ...string) {
	e.Helper()
	e.code(e.call(e.b, protocol.ReqLiteSubscriptionCtl, nil, e.liteBody(action, client, nil, lites...)), 0)
}

func (e *env) sendLite(lite, body string) {
	e.Helper()
	e.code(e.send(0, "__LITE_TOPIC\x01"+lite+"\x02", body), 0)
}

// litePopped is one message of a lite topic.
type litePopped struct {
	lite, body, count string
	ack               protocol.AckMessageRequestHeader
}

func (e *env) popLiteHeader(client string) *protocol.PopLiteMessageRequestHeader {
	return &protocol.PopLiteMessageRequestHeader{
		ClientID: e.lite(client), ConsumerGroup: e.group, Topic: e.topic, MaxMsgNum: 32, InvisibleTime: 60_000,
	} // born when it arrives
}

// popLite pops until n messages came, without waiting in the server.
func (e *env) popLite(n int, h *protocol.PopLiteMessageRequestHeader) (out []litePopped) {
	e.Helper()
	e.eventually(fmt.Sprintf("%d messages are popped", n), func() bool {
		r := e.call(e.b, protocol.ReqPopLiteMessage, h, nil)
		if r.Code == protocol.RespPollingTimeout {
			return len(out) >= n
		}
		e.code(r, 0)
		if e.field(r, "reviveQid") != "999" {
			e.Errorf("fields %v", r.Fields)
		}
		e.none(r, "restNum")
		e.none(r, "startOffsetInfo")
		counts := strings.Split(e.field(r, "orderCountInfo"), ";")
		ms := e.decode(r.Body)
		for i := range ms {
			p := litePopped{lite: prop(&ms[i], "__LITE_TOPIC"), body: string(ms[i].Body)}
			if len(counts) == len(ms) {
				p.count = counts[i]
			}
			at := strings.TrimLeft(prop(&ms[i], "INNER_MULTI_QUEUE_OFFSET"), "0")
			if at == "" {
				at = "0"
			}
			p.ack = protocol.AckMessageRequestHeader{
				ConsumerGroup: e.group, Topic: e.topic, LiteTopic: p.lite,
				ExtraInfo: fmt.Sprintf("0 %s %s 999 0 broker-a 0 %s", e.field(r, "popTime"), e.field(r, "invisibleTime"), at),
			}
			if _, err := fmt.Sscan(at, &p.ack.Offset); err != nil {
				e.Fatal(err)
			}
			out = append(out, p)
		}
		return len(out) >= n
	})
	return out
}

func (e *env) ackLite(list ...litePopped) {
	e.Helper()
	for _, p := range list {
		e.code(e.call(e.b, protocol.ReqAckMessage, &p.ack, nil), 0)
	}
}

func liteBodies(list []litePopped) string {
	var out []string
	for _, p := range list {
		out = append(out, p.lite+":"+p.body)
	}
	slices.SortStableFunc(out, func(a, b string) int { return strings.Compare(a[:1], b[:1]) })
	return strings.Join(out, " ")
}

// noLite asserts that a client gets nothing.
func (e *env) noLite(client string) {
	e.Helper()
	e.code(e.call(e.b, protocol.ReqPopLiteMessage, e.popLiteHeader(client), nil), protocol.RespPollingTimeout, "NO_MESSAGE_IN_QUEUE")
}

// json returns the body of an answer.
func (e *env) json(r *bench.Reply) fastjson.Value {
	e.Helper()
	e.code(r, 0)
	v, err := fastjson.Parse(r.Body)
	if err != nil {
		e.Fatal(err)
	}
	return v
}

var liteCases = []testCase{
	{"lite: a client pops the lite topics that it has subscribed to, each in order", func(e *env) {
		e.lites()
		e.subscribeLite("PARTIAL_ADD", "c1", "x", "y")
		e.noLite("c1")
		for _, m := range []string{"x 1", "y 1", "x 2", "z 1"} {
			lite, body, _ := strings.Cut(m, " ")
			e.sendLite(lite, body)
		}
		var got []litePopped
		for len(got) < 3 {
			more := e.popLite(1, e.popLiteHeader("c1"))
			got = append(got, more...)
			if len(got) < 3 { // it was quicker than the messages: what came blocks its lite topic
				e.ackLite(more...)
			}
		}
		if liteBodies(got) != "x:1 x:2 y:1" {
			e.Fatalf("%s", liteBodies(got))
		}
		for _, p := range got {
			if p.count != "0" {
				e.Errorf("%s was handed out %q times before", p.body, p.count)
			}
		}
		e.sendLite("x", "3")
		e.ackLite(got...)
		last := e.popLite(1, e.popLiteHeader("c1"))
		if liteBodies(last) != "x:3" || last[0].ack.Offset != 2 {
			e.Errorf("%+v", last)
		}
		e.ackLite(last...)
		e.noLite("c1")
	}},
	{"lite: what is not acknowledged in time comes again, and meanwhile nothing else", func(e *env) {
		e.lites()
		e.subscribeLite("COMPLETE_ADD", "c1", "x")
		e.sendLite("x", "1")
		first := e.popLite(1, e.popLiteHeader("c1"))
		e.sendLite("x", "2")
		e.filled(0, 2)
		e.noLite("c1")
		e.code(e.call(e.b, protocol.ReqChangeMessageInvisibleTime, &protocol.ChangeInvisibleTimeRequestHeader{
			ConsumerGroup: e.group, Topic: e.topic, LiteTopic: "x", ExtraInfo: first[0].ack.ExtraInfo, InvisibleTime: 1000,
		}, nil), 0)
		got := e.popLite(1, e.popLiteHeader("c1"))
		if liteBodies(got) != "x:1 x:2" || !strings.HasPrefix(got[0].count, "0 qo0%0 1") && got[0].count != "" {
			e.Errorf("%+v", got)
		}
	}},
	{"lite: a pop waits for a message", func(e *env) {
		e.lites()
		e.subscribeLite("PARTIAL_ADD", "c1", "x")
		other := e.dial(e.cluster.Addrs[0])
		done := make(chan error, 1)
		go func() {
			time.Sleep(time.Second)
			h := e.sendHeader()
			h.Properties = "__LITE_TOPIC\x01x\x02"
			r, err := other.Call(protocol.ReqSendMessageV2, h, []byte("late"))
			if err == nil {
				err = r.Err()
			}
			done <- err
		}()
		h := e.popLiteHeader("c1")
		h.PollTime = 25_000
		r := e.call(e.b, protocol.ReqPopLiteMessage, h, nil)
		if err := <-done; err != nil {
			e.Fatal(err)
		}
		e.code(r, 0)
		if ms := e.decode(r.Body); len(ms) != 1 || string(ms[0].Body) != "late" {
			e.Errorf("%d messages", len(ms))
		}
	}},
	{"lite: a message can be hidden longer, or its whole lite topic", func(e *env) {
		e.lites()
		e.subscribeLite("PARTIAL_ADD", "c1", "x")
		e.sendLite("x", "1")
		got := e.popLite(1, e.popLiteHeader("c1"))
		for _, suspend := range []bool{false, true} {
			r := e.call(e.b, protocol.ReqChangeMessageInvisibleTime, &protocol.ChangeInvisibleTimeRequestHeader{
				ConsumerGroup: e.group, Topic: e.topic, LiteTopic: "x", ExtraInfo: got[0].ack.ExtraInfo, InvisibleTime: 90_000, Suspend: suspend,
			}, nil)
			e.code(r, 0)
			if e.field(r, "popTime") != strings.Fields(got[0].ack.ExtraInfo)[1] || e.num(r, "invisibleTime") < 90_000 || e.num(r, "reviveQid") != 999 {
				e.Errorf("suspend %v: %v", suspend, r.Fields)
			}
		}
		e.ackLite(got...)
	}},
	{"lite: an unsubscribed lite topic is not popped any more", func(e *env) {
		e.lites()
		e.subscribeLite("COMPLETE_ADD", "c1", "x", "y", "z")
		e.subscribeLite("PARTIAL_REMOVE", "c1", "x")
		e.subscribeLite("COMPLETE_ADD", "c1", "y")
		for _, lite := range []string{"x", "z", "y"} {
			e.sendLite(lite, "1")
		}
		if got := e.popLite(1, e.popLiteHeader("c1")); liteBodies(got) != "y:1" {
			e.Errorf("%s", liteBodies(got))
		}
		e.subscribeLite("PARTIAL_ADD", "c1", "x")
		if got := e.popLite(1, e.popLiteHeader("c1")); liteBodies(got) != "x:1" {
			e.Errorf("%s", liteBodies(got))
		}
		e.subscribeLite("COMPLETE_REMOVE", "c1")
		v := e.json(e.call(e.b, protocol.ReqGetLiteClientInfo, &protocol.GetLiteClientInfoRequestHeader{
			ParentTopic: e.topic, Group: e.group, ClientID: e.lite("c1"), MaxCount: 10,
		}, nil))
		if v.Get("liteTopicCount").Int64() != -1 || v.Get("liteTopicSet").Exists() {
			e.Errorf("%d lite topics", v.Get("liteTopicCount").Int64())
		}
	}},
	{"lite: who subscribes last gets the lite topic of an exclusive group, and the other client is told", func(e *env) {
		e.lites("lite.sub.model=Exclusive")
		m := e.member("first", map[int32]func(*remoting.Request) *remoting.Command{protocol.ReqNotifyUnsubscribeLite: nil})
		m.want(m.ask(protocol.ReqLiteSubscriptionCtl, nil, e.liteBody("PARTIAL_ADD", "c1", nil, "x")), 0, "")
		e.subscribeLite("PARTIAL_ADD", "c2", "x")
		if got := m.asked(); got.Ext["liteTopic"] != "x" || got.Ext["consumerGroup"] != e.group || got.Ext["clientId"] != e.lite("c1") {
			e.Errorf("told: %v", got.Ext)
		}
		e.sendLite("x", "1")
		if got := e.popLite(1, e.popLiteHeader("c2")); liteBodies(got) != "x:1" {
			e.Errorf("%s", liteBodies(got))
		}
		e.noLite("c1")
	}},
	{"lite: a subscription can say where to begin", func(e *env) {
		e.lites()
		for i := range 3 {
			e.sendLite("x", fmt.Sprint(i))
		}
		e.filled(0, 3)
		for _, c := range []struct {
			kind  string
			value int64
			want  string
		}{
			{"OFFSET", 2, "x:2"},
			{"TAIL_N", 2, "x:1 x:2"},
			{"POLICY", 1, "x:0 x:1 x:2"},
		} {
			e.subscribeLite("COMPLETE_REMOVE", "c1")
			body := e.liteBody("PARTIAL_ADD", "c1", func(s *protocol.LiteSubscription) {
				s.HasOffset, s.OffsetType, s.OffsetValue = true, c.kind, c.value
			}, "x")
			e.code(e.call(e.b, protocol.ReqLiteSubscriptionCtl, nil, body), 0)
			got := e.popLite(1, e.popLiteHeader("c1"))
			if liteBodies(got) != c.want {
				e.Errorf("%s %d: %s, want %s", c.kind, c.value, liteBodies(got), c.want)
			}
			e.ackLite(got...)
		}
	}},
	{"lite: a wildcard group gets all lite topics", func(e *env) {
		e.lites("lite.sub.wildcard=true")
		e.code(e.call(e.b, protocol.ReqLiteSubscriptionCtl, nil, e.liteBody("PARTIAL_ADD", "c1", nil, "x")), protocol.RespIllegalOperation,
			"subscribe lite operation is not supported for this group")
		e.subscribeLite("COMPLETE_ADD", "c1")
		e.sendLite("x", "1")
		e.sendLite("y", "1")
		if got := e.popLite(2, e.popLiteHeader("c1")); liteBodies(got) != "x:1 y:1" {
			e.Errorf("%s", liteBodies(got))
		}
		v := e.json(e.call(e.b, protocol.ReqGetLiteTopicInfo, &protocol.GetLiteTopicInfoRequestHeader{ParentTopic: e.topic, LiteTopic: "x"}, nil))
		if s := v.Get("subscriber").Arr(); len(s) != 1 || s[0].Get("clientId").Str() != "*" || s[0].Get("group").Str() != e.group {
			e.Errorf("%d subscribers", len(s))
		}
	}},
	{"lite: what operators are told", func(e *env) {
		e.lites()
		e.subscribeLite("PARTIAL_ADD", "c1", "x", "y")
		for i := range 3 {
			e.sendLite("x", fmt.Sprint(i))
		}
		e.filled(0, 3)
		h := e.popLiteHeader("c1")
		h.MaxMsgNum = 1
		e.ackLite(e.popLite(1, h)...)
		call := func(code int32, h appender) fastjson.Value { e.Helper(); return e.json(e.call(e.b, code, h, nil)) }
		v := call(protocol.ReqGetBrokerLiteInfo, nil)
		for key, want := range map[string]string{"storeType": "default"} {
			if v.Get(key).Str() != want {
				e.Errorf("%s is %s", key, v.Get(key).Str())
			}
		}
		if v.Get("maxLmqNum").Int64() != 20000 || v.Get("currentLmqNum").Int64() < 1 || v.Get("liteSubscriptionCount").Int64() < 2 ||
			v.Get("eventMapSize").Int64() < 1 || v.Get("topicMeta").Get(e.topic).Int64() != 30 || v.Get("groupMeta").Get(e.topic).Arr()[0].Str() != e.group {
			e.Errorf("broker: %s", v.AppendTo(nil, fastjson.Mode(0)))
		}
		v = call(protocol.ReqGetParentTopicInfo, &protocol.GetParentTopicInfoRequestHeader{Topic: e.topic})
		if v.Get("ttl").Int64() != 30 || v.Get("liteTopicCount").Int64() != 1 || v.Get("topic").Str() != e.topic || v.Get("groups").Arr()[0].Str() != e.group {
			e.Errorf("parent: %s", v.AppendTo(nil, fastjson.Mode(0)))
		}
		v = call(protocol.ReqGetLiteTopicInfo, &protocol.GetLiteTopicInfoRequestHeader{ParentTopic: e.topic, LiteTopic: "x"})
		o := v.Get("topicOffset")
		if o.Get("maxOffset").Int64() != 3 || o.Get("minOffset").Int64() != 0 || o.Get("lastUpdateTimestamp").Int64() == 0 ||
			!v.Get("shardingToBroker").Bool() || v.Get("subscriber").Arr()[0].Get("clientId").Str() != e.lite("c1") {
			e.Errorf("topic: %s", v.AppendTo(nil, fastjson.Mode(0)))
		}
		v = call(protocol.ReqGetLiteClientInfo, &protocol.GetLiteClientInfoRequestHeader{ParentTopic: e.topic, Group: e.group, ClientID: e.lite("c1"), MaxCount: 10})
		set := v.Get("liteTopicSet").Strs()
		slices.Sort(set)
		if v.Get("liteTopicCount").Int64() != 2 || len(set) != 2 || set[0] != "%LMQ%$"+e.topic+"$x" || v.Get("lastAccessTime").Int64() == 0 {
			e.Errorf("client: %s", v.AppendTo(nil, fastjson.Mode(0)))
		}
		v = call(protocol.ReqGetLiteGroupInfo, &protocol.GetLiteGroupInfoRequestHeader{Group: e.group, LiteTopic: "x", TopK: 5})
		w := v.Get("liteTopicOffsetWrapper")
		if v.Get("totalLagCount").Int64() != 2 || w.Get("brokerOffset").Int64() != 3 || w.Get("consumerOffset").Int64() != 1 || w.Get("lastTimestamp").Int64() == 0 {
			e.Errorf("group in x: %s", v.AppendTo(nil, fastjson.Mode(0)))
		}
		v = call(protocol.ReqGetLiteGroupInfo, &protocol.GetLiteGroupInfoRequestHeader{Group: e.group, TopK: 5})
		if l := v.Get("lagCountTopK").Arr(); v.Get("totalLagCount").Int64() != 2 || len(l) != 1 || l[0].Get("liteTopic").Str() != "x" || l[0].Get("lagCount").Int64() != 2 {
			e.Errorf("group: %s", v.AppendTo(nil, fastjson.Mode(0)))
		}
		e.code(e.call(e.b, protocol.ReqTriggerLiteDispatch, &protocol.TriggerLiteDispatchRequestHeader{Group: e.group}, nil), 0)
		h.MaxMsgNum = 32
		if got := e.popLite(1, h); liteBodies(got) != "x:1 x:2" {
			e.Errorf("after a dispatch: %s", liteBodies(got))
		}
	}},
	{"lite: what is refused", func(e *env) {
		e.code(e.call(e.b, protocol.ReqPopLiteMessage, e.popLiteHeader("c1"), nil), protocol.RespTopicNotExist, "not exist, apply first please!")
		e.code(e.call(e.b, protocol.ReqGetParentTopicInfo, &protocol.GetParentTopicInfoRequestHeader{Topic: e.topic}, nil), protocol.RespTopicNotExist, "not exist.")
		e.lites()
		h := e.popLiteHeader("c1")
		h.MaxMsgNum = 33
		e.code(e.call(e.b, protocol.ReqPopLiteMessage, h, nil), protocol.RespInvalidParameter, "pop message's num is greater than 32")
		h = e.popLiteHeader("c1")
		h.BornTime = 1
		e.code(e.call(e.b, protocol.ReqPopLiteMessage, h, nil), protocol.RespPollingTimeout, "pop message is timeout too much")
		h = e.popLiteHeader("c1")
		h.ConsumerGroup = "nobody"
		e.code(e.call(e.b, protocol.ReqPopLiteMessage, h, nil), protocol.RespInvalidParameter, "subscription bind topic not match, nobody")
		h = e.popLiteHeader("c1")
		h.Topic = "TBW102"
		e.code(e.call(e.b, protocol.ReqPopLiteMessage, h, nil), protocol.RespInvalidParameter, "message type not match")
		e.code(e.call(e.b, protocol.ReqLiteSubscriptionCtl, nil, nil), protocol.RespIllegalOperation, "Request body is null.")
		e.code(e.call(e.b, protocol.ReqLiteSubscriptionCtl, nil, []byte("{}")), protocol.RespIllegalOperation, "LiteSubscriptionCtlRequestBody is empty.")
		e.code(e.call(e.b, protocol.ReqUpdateAndCreateSubscriptionGroup, nil, []byte(`{"consumeEnable":false,"groupName":"`+e.group+`_off"}`)), 0)
		body := e.liteBody("PARTIAL_ADD", "c1", func(s *protocol.LiteSubscription) { s.Group = e.group + "_off" }, "x")
		e.code(e.call(e.b, protocol.ReqLiteSubscriptionCtl, nil, body), protocol.RespIllegalOperation, "Consumer group is not allowed to consume.")
		e.code(e.call(e.b, protocol.ReqGetLiteTopicInfo, &protocol.GetLiteTopicInfoRequestHeader{ParentTopic: "TBW102", LiteTopic: "x"}, nil),
			protocol.RespInvalidParameter, "Topic [TBW102] type not match.")
		e.code(e.call(e.b, protocol.ReqGetLiteGroupInfo, &protocol.GetLiteGroupInfoRequestHeader{Group: "nobody"}, nil),
			protocol.RespInvalidParameter, "Group [nobody] is not a LITE group.")
		e.code(e.call(e.b, protocol.ReqTriggerLiteDispatch, &protocol.TriggerLiteDispatchRequestHeader{Group: "nobody"}, nil),
			protocol.RespInvalidParameter, "Group [nobody] is not a LITE group.")
		e.subscribeLite("PARTIAL_ADD", "c1", "x")
		e.sendLite("x", "1")
		got := e.popLite(1, e.popLiteHeader("c1"))
		for _, c := range []struct {
			change func(h *protocol.AckMessageRequestHeader)
			code   int32
			remark string
		}{
			{func(h *protocol.AckMessageRequestHeader) { h.ConsumerGroup = "nobody" }, protocol.RespInvalidParameter, "group type or bind topic not match."},
			{func(h *protocol.AckMessageRequestHeader) { h.Offset = 9 }, protocol.RespNoMessage, "ack offset illegal."},
			{func(h *protocol.AckMessageRequestHeader) { h.Offset = 1 }, protocol.RespMessageIllegal, "ack offset illegal."},
			{func(h *protocol.AckMessageRequestHeader) { h.QueueID = 1 }, protocol.RespInvalidParameter, "ack queue illegal."},
		} {
			h := got[0].ack
			c.change(&h)
			e.code(e.call(e.b, protocol.ReqAckMessage, &h, nil), c.code, c.remark)
		}
		e.ackLite(got...)
	}},
}
