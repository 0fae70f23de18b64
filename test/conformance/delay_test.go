package conformance

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

var delayConf = map[string]string{"messageDelayLevel": "1s 2s 3s", "recallMessageEnable": "true"}

func (e *env) recall(topic, handle string) *bench.Reply {
	e.Helper()
	return e.call(e.b, protocol.ReqRecallMessage, &protocol.RecallMessageRequestHeader{ProducerGroup: "PG", Topic: topic, RecallHandle: handle}, nil)
}

// timed waits for the one message of the case's topic and checks that it came when it should. Java delivers timers up to one second
// early and one late; on a busy machine they are later.
func (e *env) timed(begin time.Time, after time.Duration) record.Message {
	e.Helper()
	m := e.records(e.topic, 1)[0]
	took := time.UnixMilli(m.StoreTime).Sub(begin.Truncate(time.Millisecond))
	if took < after-time.Second || took > after+20*time.Second {
		e.Errorf("delivered after %v, want %v", took, after)
	}
	return m
}

func (e *env) none(r *bench.Reply, key string) {
	e.Helper()
	if v, ok := r.Fields.Get(key); ok {
		e.Errorf("%s = %q", key, v)
	}
}

var delayCases = []testCase{
	{"a delay level is waited for", func(e *env) {
		e.create(1)
		begin := time.Now()
		r := e.send(0, "DELAY\x012\x02TAGS\x01a\x02UNIQ_KEY\x01K1\x02", "x")
		e.none(r, "recallHandle")
		m := e.records(e.topic, 1)[0]
		if took := time.UnixMilli(m.StoreTime).Sub(begin.Truncate(time.Millisecond)); took < 2*time.Second || took > 20*time.Second {
			e.Errorf("delivered after %v", took)
		}
		e.prop(&m, "DELAY", "2")
		e.prop(&m, "REAL_TOPIC", e.topic)
		e.prop(&m, "REAL_QID", "0")
		e.prop(&m, "TAGS", "a")
		e.prop(&m, "UNIQ_KEY", "K1")
	}},
	{"a level that is too high is the highest", func(e *env) {
		e.create(1)
		e.send(0, "DELAY\x0199\x02", "x")
		m := e.records(e.topic, 1)[0]
		e.prop(&m, "DELAY", "3")
	}},
	{"level 0 and below are no delay", func(e *env) {
		e.create(1)
		e.send(0, "DELAY\x010\x02", "x")
		e.send(0, "DELAY\x01-3\x02", "y")
		e.filled(0, 2)
	}},
	{"a level that is no number is refused", func(e *env) {
		e.create(1)
		h := e.sendHeader()
		h.Properties = "DELAY\x01abc\x02"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespSystemError)
	}},
	{"a level wins over a timer", func(e *env) {
		e.create(1)
		r := e.send(0, "TIMER_DELAY_SEC\x01100\x02DELAY\x011\x02TIMER_DELIVER_MS\x01x\x02", "x")
		e.none(r, "recallHandle")
		m := e.records(e.topic, 1)[0]
		for _, name := range []string{"TIMER_DELAY_SEC", "TIMER_DELIVER_MS", "TIMER_OUT_MS"} {
			if v, ok := m.Props.Get(name); ok {
				e.Errorf("%s = %s", name, v)
			}
		}
	}},
	{"a batch with a delay is refused", func(e *env) {
		e.create(1)
		h := e.sendHeader()
		h.Batch, h.Properties = true, "DELAY\x011\x02"
		e.code(e.call(e.b, protocol.ReqSendBatchMessage, h, appendInner(nil, "x", "")), protocol.RespMessageIllegal)
	}},
	{"TIMER_DELAY_SEC is waited for", func(e *env) {
		e.create(1)
		begin := time.Now()
		r := e.send(0, "TIMER_DELAY_SEC\x012\x02UNIQ_KEY\x01K2\x02KEYS\x01k\x02", "x")
		plain, err := base64.URLEncoding.DecodeString(e.field(r, "recallHandle"))
		f := strings.Split(string(plain), " ")
		if err != nil || len(f) != 5 || f[0] != "v1" || f[1] != e.topic || f[4] != "K2" {
			e.Errorf("handle %q %v", plain, err)
		}
		m := e.timed(begin, 2*time.Second)
		for name, want := range map[string]string{"TIMER_DELAY_SEC": "2", "REAL_TOPIC": e.topic, "REAL_QID": "0", "KEYS": "k", "UNIQ_KEY": "K2"} {
			e.prop(&m, name, want)
		}
		out, _ := m.Props.Get("TIMER_OUT_MS")
		if at, err := strconv.ParseInt(f[3], 10, 64); err != nil || fmt.Sprint(at-1) != string(out) {
			e.Errorf("TIMER_OUT_MS %s, handle for %s", out, f[3])
		}
		for _, name := range []string{"TIMER_ENQUEUE_MS", "TIMER_DEQUEUE_MS"} {
			if _, ok := m.Props.Get(name); !ok {
				e.Errorf("no %s", name)
			}
		}
	}},
	{"TIMER_DELAY_MS is waited for", func(e *env) {
		e.create(1)
		begin := time.Now()
		e.send(0, "TIMER_DELAY_MS\x012500\x02", "x")
		e.timed(begin, 2500*time.Millisecond)
	}},
	{"TIMER_DELIVER_MS is waited for", func(e *env) {
		e.create(1)
		begin := time.Now()
		e.send(0, fmt.Sprintf("TIMER_DELIVER_MS\x01%d\x02", begin.Add(3*time.Second).UnixMilli()), "x")
		e.timed(begin, 3*time.Second)
	}},
	{"seconds win over milliseconds, and these over a point in time", func(e *env) {
		e.create(1)
		begin := time.Now()
		e.send(0, "TIMER_DELIVER_MS\x011\x02TIMER_DELAY_MS\x01900000\x02TIMER_DELAY_SEC\x012\x02", "x")
		e.timed(begin, 2*time.Second)
	}},
	{"a time that is over is no timer", func(e *env) {
		e.create(1)
		e.none(e.send(0, "TIMER_DELIVER_MS\x0112345\x02", "x"), "recallHandle")
		e.none(e.send(0, "TIMER_DELAY_SEC\x01-5\x02", "y"), "recallHandle")
		e.filled(0, 2)
	}},
	{"a time that is too far is refused", func(e *env) {
		e.create(1)
		h := e.sendHeader()
		h.Properties = "TIMER_DELAY_SEC\x01259300\x02"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespMessageIllegal, "timer message illegal, the delay time should not be bigger than the max delay 259200000ms")
	}},
	{"a time that is no number is refused", func(e *env) {
		e.create(1)
		h := e.sendHeader()
		h.Properties = "TIMER_DELAY_MS\x01soon\x02"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespMessageIllegal)
	}},
	{"a recalled message does not come", func(e *env) {
		e.create(1)
		r := e.send(0, "TIMER_DELAY_SEC\x014\x02UNIQ_KEY\x01"+e.topic+"a\x02", "gone")
		handle := e.field(r, "recallHandle")
		e.send(0, "TIMER_DELAY_SEC\x014\x02UNIQ_KEY\x01"+e.topic+"b\x02", "stays")
		r = e.recall(e.topic, handle)
		e.code(r, 0)
		if id := e.field(r, "msgId"); id != e.topic+"a" {
			e.Errorf("msgId %s", id)
		}
		if region := e.field(r, "MSG_REGION"); region != "DefaultRegion" {
			e.Errorf("region %s", region)
		}
		m := e.records(e.topic, 1)[0]
		if string(m.Body) != "stays" {
			e.Errorf("%s came", m.Body)
		}
		time.Sleep(2 * time.Second)
		e.records(e.topic, 1)
	}},
	{"recalls that cannot be are refused", func(e *env) {
		e.create(1)
		handle := func(topic, broker string, in time.Duration) string {
			return base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "v1 %s %s %d KEY", topic, broker, time.Now().Add(in).UnixMilli()))
		}
		plain, err := base64.URLEncoding.DecodeString(e.field(e.send(0, "TIMER_DELAY_SEC\x015\x02", "x"), "recallHandle"))
		if err != nil {
			e.Fatal(err)
		}
		broker := strings.Split(string(plain), " ")[2]
		e.code(e.recall("nobody_has_this", handle(e.topic, broker, time.Minute)), protocol.RespTopicNotExist, "recall failed, the topic[nobody_has_this] not exist")
		e.code(e.recall(e.topic, "forged"), protocol.RespIllegalOperation, "recall handle is invalid")
		e.code(e.recall(e.topic, handle("other", broker, time.Minute)), protocol.RespIllegalOperation, "recall failed, topic not match")
		e.code(e.recall(e.topic, handle(e.topic, "other", time.Minute)), protocol.RespIllegalOperation, "recall failed, broker service not available")
		e.code(e.recall(e.topic, handle(e.topic, broker, -time.Minute)), protocol.RespIllegalOperation, "recall failed, timestamp invalid")
		e.code(e.recall(e.topic, handle(e.topic, broker, 80*time.Hour)), protocol.RespIllegalOperation, "recall failed, timestamp invalid")
	}},
}
