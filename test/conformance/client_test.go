package conformance

import (
	"strings"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
)

// heartbeat registers a connection as a consumer of the case's group with a subscription of the given version.
func (e *env) heartbeat(c *bench.Client, clientID string, version int64) *bench.Reply {
	e.Helper()
	d := protocol.HeartbeatData{
		ClientID: clientID + "@" + e.group,
		Consumers: []protocol.ConsumerData{{
			GroupName: e.group, ConsumeType: "CONSUME_PASSIVELY", MessageModel: "CLUSTERING", ConsumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
			SubscriptionDataSet: []protocol.SubscriptionData{{Topic: e.topic, SubString: "*", ExpressionType: "TAG", SubVersion: version}},
		}},
	}
	r := e.call(c, protocol.ReqHeartBeat, nil, d.AppendTo(nil, false))
	e.code(r, 0)
	return r
}

func (e *env) members() *bench.Reply {
	e.Helper()
	return e.call(e.b, protocol.ReqGetConsumerListByGroup, &protocol.GetConsumerListByGroupRequestHeader{ConsumerGroup: e.group}, nil)
}

func (e *env) lockBody(client string, queues ...string) []byte {
	return []byte(`{"clientId":"` + client + `","consumerGroup":"` + e.group + `","mqSet":[` + strings.Join(queues, ",") + `],"onlyThisBroker":false}`)
}

func (e *env) queueJSON(id string) string {
	return `{"brokerName":"broker-a","queueId":` + id + `,"topic":"` + e.topic + `"}`
}

var clientCases = []testCase{
	{"a heartbeat answers its two fields and registers the retry topic", func(e *env) {
		e.create(1)
		r := e.heartbeat(e.b, "c", 1)
		if e.field(r, "IS_SUPPORT_HEART_BEAT_V2") != "true" || e.field(r, "IS_SUB_CHANGE") == "" {
			e.Errorf("fields %v", r.Fields)
		}
		e.eventually("retry topic in the name server", func() bool {
			r := e.call(e.ns, protocol.ReqGetRouteInfoByTopic, &protocol.GetRouteInfoRequestHeader{Topic: "%RETRY%" + e.group}, nil)
			return r.Code == 0
		})
	}},
	{"members of a group", func(e *env) {
		e.create(1)
		c2 := e.dial(e.cluster.Addrs[0])
		e.heartbeat(e.b, "a", 1)
		e.heartbeat(c2, "b", 1)
		r := e.members()
		e.code(r, 0)
		for _, id := range []string{"a@" + e.group, "b@" + e.group} {
			if !strings.Contains(string(r.Body), `"`+id+`"`) {
				e.Errorf("%s lacks %s", r.Body, id)
			}
		}
		c2.Close()
		e.eventually("b is gone", func() bool { return !strings.Contains(string(e.members().Body), "b@") })
	}},
	{"a group without members is code 1", func(e *env) {
		e.code(e.members(), protocol.RespSystemError)
	}},
	{"unregister leaves the group", func(e *env) {
		e.create(1)
		e.heartbeat(e.b, "a", 1)
		e.code(e.call(e.b, protocol.ReqUnregisterClient, &protocol.UnregisterClientRequestHeader{ClientID: "a@" + e.group, ConsumerGroup: e.group}, nil), 0)
		e.eventually("nobody is left", func() bool { return e.members().Code == protocol.RespSystemError })
	}},
	{"locks are exclusive and given back", func(e *env) {
		e.create(2)
		q0, q1 := e.queueJSON("0"), e.queueJSON("1")
		r := e.call(e.b, protocol.ReqLockBatchMQ, nil, e.lockBody("one", q0))
		e.code(r, 0)
		if !strings.Contains(string(r.Body), `"queueId":0`) {
			e.Errorf("body %s", r.Body)
		}
		r = e.call(e.b, protocol.ReqLockBatchMQ, nil, e.lockBody("two", q0, q1))
		e.code(r, 0)
		if s := string(r.Body); strings.Contains(s, `"queueId":0`) || !strings.Contains(s, `"queueId":1`) {
			e.Errorf("body %s", s)
		}
		e.code(e.call(e.b, protocol.ReqUnlockBatchMQ, nil, e.lockBody("two", q0)), 0) // not its own: stays
		r = e.call(e.b, protocol.ReqLockBatchMQ, nil, e.lockBody("two", q0))
		if strings.Contains(string(r.Body), `"queueId":0`) {
			e.Errorf("body %s", r.Body)
		}
		e.code(e.call(e.b, protocol.ReqUnlockBatchMQ, nil, e.lockBody("one", q0)), 0)
		r = e.call(e.b, protocol.ReqLockBatchMQ, nil, e.lockBody("two", q0))
		if !strings.Contains(string(r.Body), `"queueId":0`) {
			e.Errorf("body %s", r.Body)
		}
	}},
	{"an assignment gives a single client all queues", func(e *env) {
		e.create(4)
		e.heartbeat(e.b, "a", 1)
		e.eventually("four queues", func() bool {
			r := e.call(e.b, protocol.ReqQueryAssignment, nil, []byte(`{"clientId":"a@`+e.group+`","consumerGroup":"`+e.group+
				`","messageModel":"CLUSTERING","strategyName":"AVG","topic":"`+e.topic+`"}`))
			e.code(r, 0)
			return strings.Count(string(r.Body), `"queueId"`) == 4 && strings.Contains(string(r.Body), `"mode":"PULL"`)
		})
	}},
	{"a filter that is no SQL check passes for tags", func(e *env) {
		r := e.call(e.b, protocol.ReqCheckClientConfig, nil, []byte(`{"clientId":"c","group":"`+e.group+
			`","subscriptionData":{"classFilterMode":false,"codeSet":[],"expressionType":"TAG","subString":"*","subVersion":1,"tagsSet":[],"topic":"`+e.topic+`"}}`))
		e.code(r, 0)
	}},
	{"SQL92 is refused while property filters are off", func(e *env) {
		r := e.call(e.b, protocol.ReqCheckClientConfig, nil, []byte(`{"clientId":"c","group":"`+e.group+
			`","subscriptionData":{"classFilterMode":false,"codeSet":[],"expressionType":"SQL92","subString":"a > 1","subVersion":1,"tagsSet":[],"topic":"`+e.topic+`"}}`))
		e.code(r, protocol.RespSystemError, "does not support")
	}},
}
