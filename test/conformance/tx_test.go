package conformance

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

// txConf makes the broker ask about undecided messages within seconds.
var txConf = map[string]string{
	"transactionTimeOut": "2000", "transactionCheckInterval": "1000", "transactionCheckMax": strconv.Itoa(txChecks), "transactionOpBatchInterval": "200",
}

// txChecks leaves Java time for an immune message: it counts each look at it as a question.
const txChecks = 6

// half is a half message that was sent.
type half struct{ offset, index int64 }

// half sends a half message of the case's producer group.
func (e *env) half(queue int, props, body string) half {
	e.Helper()
	h := e.sendHeader()
	h.QueueID, h.SysFlag, h.ProducerGroup = int32(queue), record.SysFlagPrepared, "p_"+e.group
	h.Properties = "TRAN_MSG\x01true\x02PGROUP\x01p_" + e.group + "\x02UNIQ_KEY\x01U" + e.group + body + "\x02" + props
	r := e.call(e.b, protocol.ReqSendMessageV2, h, []byte(body))
	e.code(r, 0)
	if q := e.num(r, "queueId"); q != int64(queue) {
		e.Errorf("queue %d, want %d", q, queue)
	}
	if id := e.field(r, "transactionId"); id != "U"+e.group+body {
		e.Errorf("transactionId %q", id)
	}
	return half{offset: e.at(r), index: e.num(r, "queueOffset")}
}

func (e *env) endHeader(h half, what int32) *protocol.EndTransactionRequestHeader {
	return &protocol.EndTransactionRequestHeader{
		Topic: e.topic, ProducerGroup: "p_" + e.group, TranStateTableOffset: h.index, CommitLogOffset: h.offset, CommitOrRollback: what,
		MsgID: "whatever", TransactionID: "whatever",
	}
}

func (e *env) end(h half, what int32, change ...func(h *protocol.EndTransactionRequestHeader)) *bench.Reply {
	e.Helper()
	r := e.endHeader(h, what)
	for _, f := range change {
		f(r)
	}
	return e.call(e.b, protocol.ReqEndTransaction, r, nil)
}

// marker sends an ordinary message and waits until it can be read: what came before it would be there, too.
func (e *env) marker(queue int, n int64) []string {
	e.Helper()
	e.send(queue, "", "marker")
	e.filled(queue, n)
	return e.bodies(queue, 0)
}

// producer connects a producer of the case's group that is asked about transactions.
func (e *env) producer() *member {
	m := e.member("producer", map[int32]func(*remoting.Request) *remoting.Command{protocol.ReqCheckTransactionState: nil})
	m.beat()
	return m
}

// question waits for the n-th question.
func (m *member) question(n int) remoting.Command {
	m.e.Helper()
	var out remoting.Command
	m.e.eventually(fmt.Sprintf("question %d", n), func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.got) > n {
			out = m.got[n]
			return true
		}
		return false
	})
	return out
}

func (m *member) questions() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.got)
}

// halfOf is what a question asks about.
func (e *env) halfOf(q *remoting.Command) half {
	e.Helper()
	off, err1 := strconv.ParseInt(q.Ext["commitLogOffset"], 10, 64)
	idx, err2 := strconv.ParseInt(q.Ext["tranStateTableOffset"], 10, 64)
	if err1 != nil || err2 != nil {
		e.Fatalf("question %v", q.Ext)
	}
	return half{off, idx}
}

func fromCheck(h *protocol.EndTransactionRequestHeader) { h.FromTransactionCheck = true }

var txCases = []testCase{
	{"a half message is not seen", func(e *env) {
		e.create(2)
		e.half(1, "", "half")
		if got := e.marker(1, 1); strings.Join(got, " ") != "marker" {
			e.Errorf("seen: %v", got)
		}
	}},
	{"a committed message is seen, with its properties and the flag", func(e *env) {
		e.create(2)
		h := e.half(1, "TAGS\x01x\x02KEYS\x01k\x02", "half")
		e.code(e.end(h, record.SysFlagCommit), 0)
		e.filled(1, 1)
		m := e.pulled(1, 0)[0]
		if string(m.Body) != "half" || m.SysFlag&record.SysFlagTransactionMask != record.SysFlagCommit || int64(m.PreparedOffset) != h.offset {
			e.Errorf("body %q flag %d prepared %d", m.Body, m.SysFlag, m.PreparedOffset)
		}
		e.prop(&m, "TAGS", "x")
		e.prop(&m, "KEYS", "k")
		e.prop(&m, "PGROUP", "p_"+e.group)
		e.prop(&m, "UNIQ_KEY", "U"+e.group+"half")
		e.prop(&m, "__transactionId__", "U"+e.group+"half")
		e.prop(&m, "REAL_TOPIC", "")
		e.prop(&m, "REAL_QID", "")
		e.prop(&m, "TRAN_MSG", "true")
		e.prop(&m, "WAIT", "")
	}},
	{"the half message is in the half topic", func(e *env) {
		e.create(3)
		h := e.half(2, "TAGS\x01x\x02", "inside")
		r := e.call(e.b, protocol.ReqViewMessageByID, &protocol.ViewMessageRequestHeader{Offset: h.offset}, nil)
		e.code(r, 0)
		m := e.decode(r.Body)[0]
		if string(m.Topic) != "RMQ_SYS_TRANS_HALF_TOPIC" || m.QueueID != 0 || m.SysFlag&record.SysFlagTransactionMask != 0 || int64(m.Index) != h.index {
			e.Errorf("half message %s flag %d", &m, m.SysFlag)
		}
		e.prop(&m, "REAL_TOPIC", e.topic)
		e.prop(&m, "REAL_QID", "2")
		e.prop(&m, "__transactionId__", "U"+e.group+"inside")
		e.prop(&m, "TRAN_MSG", "true")
		e.prop(&m, "TAGS", "x")
	}},
	{"a rolled back message is never seen", func(e *env) {
		e.create(1)
		e.code(e.end(e.half(0, "", "half"), record.SysFlagRollback), 0)
		if got := e.marker(0, 1); strings.Join(got, " ") != "marker" {
			e.Errorf("seen: %v", got)
		}
	}},
	{"an end that goes one way counts", func(e *env) {
		e.create(1)
		m := e.producer()
		if err := m.c.Oneway(e.Context(), m.addr, &remoting.Command{Code: protocol.ReqEndTransaction, Header: e.endHeader(e.half(0, "", "half"), 8)}); err != nil {
			e.Fatal(err)
		}
		e.filled(0, 1)
		if got := e.bodies(0, 0); strings.Join(got, " ") != "half" {
			e.Errorf("seen: %v", got)
		}
	}},
	{"unknown decides nothing", func(e *env) {
		e.create(1)
		m := e.producer()
		h := e.half(0, "", "half")
		if err := m.c.Oneway(e.Context(), m.addr, &remoting.Command{Code: protocol.ReqEndTransaction, Header: e.endHeader(h, 0)}); err != nil {
			e.Fatal(err)
		}
		if got := e.marker(0, 1); strings.Join(got, " ") != "marker" {
			e.Errorf("seen: %v", got)
		}
		e.code(e.end(h, record.SysFlagCommit), 0)
		e.filled(0, 2)
	}},
	{"an end of another group is refused", func(e *env) {
		e.create(1)
		h := e.half(0, "", "half")
		for _, what := range []int32{record.SysFlagCommit, record.SysFlagRollback} {
			r := e.end(h, what, func(h *protocol.EndTransactionRequestHeader) { h.ProducerGroup = "other" })
			e.code(r, protocol.RespSystemError, "The producer group wrong")
		}
		if got := e.marker(0, 1); strings.Join(got, " ") != "marker" {
			e.Errorf("seen: %v", got)
		}
	}},
	{"an end with another queue offset is refused", func(e *env) {
		e.create(1)
		h := e.half(0, "", "half")
		h.index++
		e.code(e.end(h, record.SysFlagCommit), protocol.RespSystemError, "The transaction state table offset wrong")
		e.code(e.end(h, record.SysFlagRollback), protocol.RespSystemError, "The transaction state table offset wrong")
	}},
	{"an end about no record is refused", func(e *env) {
		e.create(1)
		h := e.half(0, "", "half")
		h.offset += 1 << 40
		e.code(e.end(h, record.SysFlagCommit), protocol.RespSystemError, "Find prepared transaction message failed")
		e.code(e.end(h, record.SysFlagRollback), protocol.RespSystemError, "Find prepared transaction message failed")
	}},
	{"an end after the immunity time is refused", func(e *env) {
		e.create(1)
		h := e.half(0, "CHECK_IMMUNITY_TIME_IN_SECONDS\x011\x02", "half")
		time.Sleep(2200 * time.Millisecond)
		e.code(e.end(h, record.SysFlagCommit), protocol.RespIllegalOperation)
		e.code(e.end(h, record.SysFlagCommit, fromCheck), 0)
		e.filled(0, 1)
	}},
	{"a committed message keeps its place behind what was sent before", func(e *env) {
		e.create(1)
		h := e.half(0, "", "half")
		e.send(0, "", "before")
		e.code(e.end(h, record.SysFlagCommit), 0)
		e.send(0, "", "after")
		e.filled(0, 3)
		if got := e.bodies(0, 0); strings.Join(got, " ") != "before half after" {
			e.Errorf("seen: %v", got)
		}
	}},
	{"the half topic cannot be sent to", func(e *env) {
		h := e.sendHeader()
		h.Topic = "RMQ_SYS_TRANS_HALF_TOPIC"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespNoPermission, "is forbidden")
		h.Topic = "RMQ_SYS_TRANS_OP_HALF_TOPIC"
		e.code(e.call(e.b, protocol.ReqSendMessageV2, h, []byte("x")), protocol.RespNoPermission, "is forbidden")
	}},
	{"a producer is asked about an undecided message", func(e *env) {
		e.create(2)
		m := e.producer()
		h := e.half(1, "TAGS\x01x\x02", "half")
		q := m.question(0)
		if q.Ext["msgId"] != "U"+e.group+"half" || q.Ext["transactionId"] != q.Ext["msgId"] || len(q.Ext["offsetMsgId"]) != 32 ||
			q.Ext["topic"] != "RMQ_SYS_TRANS_HALF_TOPIC" || q.Ext["bname"] == "" {
			e.Errorf("question %v", q.Ext)
		}
		at := e.halfOf(&q)
		if at.index <= h.index || at.offset <= h.offset {
			e.Errorf("asked about %v, sent as %v", at, h)
		}
		got := e.decode(q.Body)[0]
		if string(got.Topic) != e.topic || got.QueueID != 1 || string(got.Body) != "half" || int64(got.Index) != at.index || int64(got.Offset) != at.offset {
			e.Errorf("asked about %s %q", &got, got.Body)
		}
		e.prop(&got, "TAGS", "x")
		e.prop(&got, "PGROUP", "p_"+e.group)
		e.prop(&got, "UNIQ_KEY", "U"+e.group+"half")
		e.prop(&got, "TRANSACTION_CHECK_TIMES", "1")
		e.prop(&got, "REAL_TOPIC", e.topic)
		e.prop(&got, "REAL_QID", "1")
		e.code(e.end(at, record.SysFlagCommit, fromCheck), 0)
		e.filled(1, 1)
		if got := e.bodies(1, 0); strings.Join(got, " ") != "half" {
			e.Errorf("seen: %v", got)
		}
	}},
	{"a producer that does not know is asked again, then the message is given up", func(e *env) {
		e.create(1)
		m := e.producer()
		e.half(0, "", "half")
		for n := range txChecks {
			q := m.question(n)
			got := e.decode(q.Body)[0]
			e.prop(&got, "TRANSACTION_CHECK_TIMES", strconv.Itoa(n+1))
		}
		given := func() bool {
			h := e.pullHeader(0, 0)
			h.Topic, h.MaxMsgNums = "TRANS_CHECK_MAX_TIME_TOPIC", 1000
			r := e.call(e.b, protocol.ReqPullMessage, h, nil)
			if r.Code != 0 {
				return false
			}
			for _, m := range e.decode(r.Body) {
				if v, _ := m.Props.Get("UNIQ_KEY"); string(v) == "U"+e.group+"half" {
					e.prop(&m, "TRANSACTION_CHECK_TIMES", strconv.Itoa(txChecks))
					e.prop(&m, "REAL_TOPIC", e.topic)
					return string(m.Body) == "half"
				}
			}
			return false
		}
		e.eventually("the message in TRANS_CHECK_MAX_TIME_TOPIC", given)
		time.Sleep(1500 * time.Millisecond)
		if n := m.questions(); n != txChecks {
			e.Errorf("asked %d times, want %d", n, txChecks)
		}
	}},
	{"an immune message is not asked about", func(e *env) {
		e.create(1)
		m := e.producer()
		begin := time.Now()
		e.half(0, "CHECK_IMMUNITY_TIME_IN_SECONDS\x013\x02", "half")
		q := m.question(0)
		if d := time.Since(begin); d < 2900*time.Millisecond {
			e.Errorf("asked after %v", d)
		}
		got := e.decode(q.Body)[0]
		if v, _ := got.Props.Get("TRAN_PREPARED_QUEUE_OFFSET"); len(v) == 0 {
			e.Error("no TRAN_PREPARED_QUEUE_OFFSET")
		}
		e.code(e.end(e.halfOf(&q), record.SysFlagRollback, fromCheck), 0)
	}},
	{"a decided message is not asked about", func(e *env) {
		e.create(1)
		m := e.producer()
		e.code(e.end(e.half(0, "", "a"), record.SysFlagCommit), 0)
		e.code(e.end(e.half(0, "", "b"), record.SysFlagRollback), 0)
		e.half(0, "", "c")
		q := m.question(0)
		if got := e.decode(q.Body)[0]; string(got.Body) != "c" {
			e.Errorf("asked about %q", got.Body)
		}
		e.code(e.end(e.halfOf(&q), record.SysFlagCommit, fromCheck), 0)
	}},
	{"progress is committed for CID_RMQ_SYS_TRANS", func(e *env) {
		e.create(1)
		h := e.half(0, "", "half")
		e.code(e.end(h, record.SysFlagCommit), 0)
		e.eventually("progress behind the half message", func() bool {
			r := e.call(e.b, protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{
				ConsumerGroup: "CID_RMQ_SYS_TRANS", Topic: "RMQ_SYS_TRANS_HALF_TOPIC", QueueID: 0,
			}, nil)
			return r.Code == 0 && e.num(r, "offset") > h.index
		})
	}},
}
