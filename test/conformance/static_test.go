package conformance

import (
	"fmt"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
)

// part is a physical queue of broker-a, or of another broker, as JSON of a mapping has it.
func part(gen int, broker string, queue int, logic int64) string {
	return fmt.Sprintf(`{"bname":%q,"endOffset":-1,"gen":%d,"logicOffset":%d,"queueId":%d,"startOffset":0,"timeOfEnd":-1,"timeOfStart":-1}`,
		broker, gen, logic, queue)
}

// static tells the broker about logical queues of the case's topic, which has two physical ones. hosted is what is between the braces of
// hostedQueues.
func (e *env) static(epoch int64, hosted ...string) *bench.Reply {
	e.Helper()
	body := fmt.Sprintf(`{"bname":"broker-a","currIdMap":{},"dirty":false,"epoch":%d,"hostedQueues":{%s},"scope":"__global__","topic":%q,"totalQueues":8}`,
		epoch, strings.Join(hosted, ","), e.topic)
	return e.call(e.b, protocol.ReqUpdateAndCreateStaticTopic, &protocol.CreateTopicRequestHeader{
		Topic: e.topic, DefaultTopic: "TBW102", ReadQueueNums: 2, WriteQueueNums: 2, Perm: 6, TopicFilterType: "SINGLE_TAG",
	}, []byte(body))
}

// logical creates the case's topic with logical queue 5, which is the physical queue 1.
func (e *env) logical() {
	e.Helper()
	e.code(e.static(1, "5:["+part(0, "broker-a", 1, 0)+"]"), 0)
}

// pullStatic pulls until the answer has the wanted code.
func (e *env) pullStatic(queue int, at int64, code int32) (r *bench.Reply) {
	e.Helper()
	e.eventually(fmt.Sprintf("code %d of a pull at %d", code, at), func() bool {
		r = e.call(e.b, protocol.ReqPullMessage, e.pullHeader(queue, at), nil)
		return r.Code == code
	})
	return r
}

var staticCases = []testCase{
	{"the route of a static topic has its logical queues", func(e *env) {
		e.logical()
		e.eventually("the route has a mapping", func() bool {
			r := e.call(e.ns, protocol.ReqGetRouteInfoByTopic, &protocol.GetRouteInfoRequestHeader{Topic: e.topic, AcceptStandardJsonOnly: true}, nil)
			var d protocol.TopicRouteData
			if r.Code != 0 || d.Decode(r.Body) != nil {
				return false
			}
			m, ok := d.TopicQueueMappingByBroker["broker-a"]
			return ok && m.Epoch == 1 && m.TotalQueues == 8 && m.Scope == "__global__" && len(m.CurrIDMap) == 1 && m.CurrIDMap[5] == 1
		})
	}},
	{"a broker tells its mapping when it is asked for it", func(e *env) {
		e.logical()
		r := e.call(e.b, protocol.ReqGetTopicConfig, &protocol.GetTopicConfigRequestHeader{Topic: e.topic, Mapping: true}, nil)
		var c protocol.TopicConfigAndQueueMapping
		e.code(r, 0)
		if err := c.Decode(r.Body); err != nil {
			e.Fatal(err)
		}
		if !strings.Contains(string(c.MappingDetail), part(0, "broker-a", 1, 0)) || c.WriteQueueNums != 2 {
			e.Errorf("%s", r.Body)
		}
		r = e.call(e.b, protocol.ReqGetTopicConfig, &protocol.GetTopicConfigRequestHeader{Topic: e.topic}, nil)
		if e.code(r, 0); strings.Contains(string(r.Body), "mappingDetail") {
			e.Errorf("not asked for: %s", r.Body)
		}
	}},
	{"a send is answered with the logical queue", func(e *env) {
		e.logical()
		for i := range 2 {
			if r := e.send(5, "", "x"); e.num(r, "queueId") != 5 || e.num(r, "queueOffset") != int64(i) {
				e.Errorf("queue %d, offset %d", e.num(r, "queueId"), e.num(r, "queueOffset"))
			}
		}
		if r := e.send(-1, "", "x"); e.num(r, "queueId") != 5 || e.num(r, "queueOffset") != 2 {
			e.Errorf("without a wish: queue %d, offset %d", e.num(r, "queueId"), e.num(r, "queueOffset"))
		}
	}},
	{"a logical queue of another broker is 501", func(e *env) {
		e.logical()
		e.known()
		h := e.sendHeader()
		h.QueueID = 1
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespNotLeaderForQueue, e.topic+"-1 does not exit")
		e.code(e.call(e.b, protocol.ReqPullMessage, e.pullHeader(1, 0), nil), protocol.RespNotLeaderForQueue, "cannot find mapping item")
		e.code(e.commit(1, 1), protocol.RespNotLeaderForQueue, "does not exit")
		e.code(e.committed(1, false), protocol.RespNotLeaderForQueue, "does not exit")
		for code, h := range map[int32]appender{
			protocol.ReqGetMaxOffset:            &protocol.GetMaxOffsetRequestHeader{Topic: e.topic, QueueID: 1},
			protocol.ReqGetMinOffset:            &protocol.GetMinOffsetRequestHeader{Topic: e.topic, QueueID: 1},
			protocol.ReqSearchOffsetByTimestamp: &protocol.SearchOffsetRequestHeader{Topic: e.topic, QueueID: 1},
			protocol.ReqGetEarliestMsgStoreTime: &protocol.GetEarliestMsgStoretimeRequestHeader{Topic: e.topic, QueueID: 1},
		} {
			if r := e.call(e.b, code, h, nil); r.Code != protocol.RespNotLeaderForQueue {
				e.Errorf("code %d is answered with %d %s", code, r.Code, r.Remark)
			}
		}
	}},
	{"lo=false means the broker's own queue", func(e *env) {
		e.logical()
		e.known()
		e.send(5, "", "x")
		e.eventually("the message is in the physical queue", func() bool {
			r := e.call(e.b, protocol.ReqGetMaxOffset, &protocol.GetMaxOffsetRequestHeader{Topic: e.topic, QueueID: 1, Lo: "false"}, nil)
			return r.Code == 0 && e.num(r, "offset") == 1
		})
		h := e.pullHeader(1, 0)
		h.Lo = "false"
		e.code(e.call(e.b, protocol.ReqPullMessage, h, nil), 0)
		e.code(e.commit(5, 1), 0)
		r := e.call(e.b, protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{
			ConsumerGroup: e.group, Topic: e.topic, QueueID: 1, Lo: "false",
		}, nil)
		if e.code(r, 0); e.num(r, "offset") != 1 {
			e.Errorf("offset %d", e.num(r, "offset"))
		}
	}},
	{"a queue of two parts is read from the first to the second", func(e *env) {
		e.logical()
		e.known()
		e.send(5, "", "a")
		e.send(5, "", "b")
		e.filled(5, 2)
		e.code(e.commit(5, 1), 0)
		e.code(e.static(2, "5:["+part(0, "broker-a", 1, 0)+","+part(1, "broker-a", 0, -1)+"]"), 0)
		if r := e.send(5, "", "c"); e.num(r, "queueOffset") != -1 {
			e.Errorf("offset %d before it is decided", e.num(r, "queueOffset"))
		}
		e.pullStatic(5, 2, protocol.RespPullNotFound)
		e.code(e.static(2, "5:["+part(0, "broker-a", 1, 0)+","+part(1, "broker-a", 0, 10000)+"]"), 0)
		if r := e.committed(5, false); r.Code != 0 || e.num(r, "offset") != 1 {
			e.Errorf("committed: %d %s", r.Code, r.Remark)
		}
		r := e.pullStatic(5, 0, 0)
		if e.num(r, "nextBeginOffset") != 2 || e.num(r, "minOffset") != 0 {
			e.Errorf("next %d, min %d", e.num(r, "nextBeginOffset"), e.num(r, "minOffset"))
		}
		r = e.pullStatic(5, 2, protocol.RespPullRetryImmediately)
		if e.num(r, "nextBeginOffset") != 10000 || e.num(r, "maxOffset") != 10000 {
			e.Errorf("next %d, max %d", e.num(r, "nextBeginOffset"), e.num(r, "maxOffset"))
		}
		r = e.pullStatic(5, 10000, 0)
		if e.num(r, "nextBeginOffset") != 10001 || e.num(r, "maxOffset") != 10001 || e.num(r, "offsetDelta") != 10000 {
			e.Errorf("next %d, max %d, delta %d", e.num(r, "nextBeginOffset"), e.num(r, "maxOffset"), e.num(r, "offsetDelta"))
		}
		if lo, hi, err := e.b.Bounds(e.topic, 5); err != nil || lo != 0 || hi != 10001 {
			e.Errorf("bounds %d to %d, %v", lo, hi, err)
		}
		e.code(e.commit(5, 10001), 0)
		if r := e.committed(5, false); r.Code != 0 || e.num(r, "offset") != 10001 {
			e.Errorf("committed: %d %s", r.Code, r.Remark)
		}
		if r := e.send(5, "", "d"); e.num(r, "queueOffset") != 10001 {
			e.Errorf("offset %d", e.num(r, "queueOffset"))
		}
	}},
	{"a long poll of a logical queue is woken", func(e *env) {
		e.logical()
		c := e.dial(e.cluster.Addrs[0])
		h := e.pullHeader(5, 0)
		h.SysFlag, h.SuspendTimeoutMillis = 4|2, 30000
		woken := make(chan *bench.Reply, 1)
		go func() {
			r, err := c.Call(protocol.ReqPullMessage, h, nil)
			if err != nil {
				r = nil
			}
			woken <- r
		}()
		time.Sleep(200 * time.Millisecond) // it waits by then, or finds the message at once
		e.send(5, "", "x")
		r := <-woken
		if r == nil || r.Code != 0 || e.num(r, "nextBeginOffset") != 1 {
			e.Errorf("%+v", r)
		}
	}},
	{"an older mapping is refused", func(e *env) {
		e.logical()
		e.code(e.static(0, "5:["+part(0, "broker-a", 1, 0)+"]"), protocol.RespSystemError, "small epoch 0 < 1")
		e.code(e.static(1), protocol.RespSystemError, "equal epoch with null data")
		e.code(e.static(2, "5:["+part(0, "broker-a", -1, 0)+"]"), protocol.RespSystemError, "should not be negative")
	}},
	{"the broker's topics tell the mapping", func(e *env) {
		e.logical()
		r := e.call(e.b, protocol.ReqGetAllTopicConfig, nil, nil)
		var w protocol.TopicConfigAndMappingSerializeWrapper
		if e.code(r, 0); w.Decode(r.Body) != nil {
			e.Fatal("cannot be read")
		}
		if !strings.Contains(string(w.TopicQueueMappingDetailMap[e.topic]), part(0, "broker-a", 1, 0)) {
			e.Errorf("%s", w.TopicQueueMappingDetailMap[e.topic])
		}
	}},
}
