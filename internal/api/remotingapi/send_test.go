package remotingapi

import (
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

// region fails unless a send response has what Java producers read without a null check.
func region(t *testing.T, r reply) {
	t.Helper()
	if r.ext["MSG_REGION"] != "DefaultRegion" || r.ext["TRACE_ON"] != "true" {
		t.Errorf("answer %d: fields %v", r.opaque, r.ext)
	}
}

func TestSendsOfOneReadAreOneBatchInOrder(t *testing.T) {
	t.Parallel()
	for _, s := range []remoting.Serial{remoting.JSON, remoting.Binary} {
		f := &fake{}
		w := overMemory(t, f, f).wire(t)
		w.write(
			frame(s, protocol.ReqSendMessage, 1, 0, v1("A"), "one"),
			frame(s, protocol.ReqSendMessageV2, 2, 0, v2("B"), "two"),
			frame(s, protocol.ReqSendMessageV2, 3, protocol.FlagOneway, v2("C"), "three"),
			frame(s, protocol.ReqSendMessageV2, 4, 0, v2("A"), "bad four"),
			frame(s, protocol.ReqSendMessageV2, 5, 0, v2("A"), "five"),
		)
		for _, want := range []struct{ opaque, code int32 }{{1, 0}, {2, 0}, {4, 13}, {5, 0}} {
			r := w.want(want.opaque, want.code)
			region(t, r)
			if r.serial != s {
				t.Errorf("answered in form %d, asked in %d", r.serial, s)
			}
			if want.code != 0 {
				if r.remark != "illegal bad four" {
					t.Errorf("remark %q", r.remark)
				}
				continue
			}
			id := string(record.AppendOffsetID(nil, storeHost, mq.Offset(99+want.opaque)))
			if r.ext["msgId"] != id || r.ext["queueId"] != "1" || r.ext["queueOffset"] == "" || !strings.HasPrefix(r.ext["transactionId"], "U") {
				t.Errorf("answer %d: %v, want id %s", r.opaque, r.ext, id)
			}
		}
		wantCalls(t, f, "send A/1:one B/1:two C/1:three A/1:bad four A/1:five")
	}
}

func TestOtherRequestsFlushTheSendsBeforeThem(t *testing.T) {
	t.Parallel()
	f := &fake{}
	w := overMemory(t, f, f).wire(t)
	broken := v2("A")
	broken["e"] = "x"
	w.write(
		req(310, 1, v2("A"), "one"), req(310, 2, v2("A"), "two"),
		req(11, 3, pullHead("4", "0"), ""),
		req(310, 4, v2("A"), "three"),
		req(310, 5, broken, "broken"),
		req(310, 6, v2("A"), "four"),
		req(30, 7, ext{"topic": "T", "queueId": "1"}, ""),
	)
	for _, want := range []struct{ opaque, code int32 }{{1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 1}, {6, 0}, {7, 0}} {
		if r := w.want(want.opaque, want.code); want.opaque != 3 && want.opaque != 7 {
			region(t, r)
		}
	}
	wantCalls(t, f, "send A/1:one A/1:two\n"+
		`pull G T/2 from 4 max 32 expr false "" "" v9 commit false 77 lite false`+"\nsend A/1:three\nsend A/1:four\nmax T/1")
}

// What a V1 and a V2 header say reaches the core alike, and nothing of one message stays for the next.
func TestSendHeaderFields(t *testing.T) {
	t.Parallel()
	var got []mq.SendRequest
	f := &fake{}
	f.send = func(b *mq.SendBatch) bool {
		for _, r := range b.Requests {
			r.Topic, r.Group, r.DefaultTopic = strings.Clone(r.Topic), strings.Clone(r.Group), strings.Clone(r.DefaultTopic)
			r.Props = record.Props(strings.Clone(string(r.Props)))
			got = append(got, r)
		}
		return false
	}
	w := overMemory(t, f, f).wire(t)
	full := ext{"j": "3", "k": "true", "l": "5", "m": "true", "f": "8", "h": "6"}
	h := v2("A")
	maps.Copy(h, full)
	w.write(req(310, 1, h, "one"), req(310, 2, v2("B"), "two"), req(320, 3, v2("C"), "three"), req(10, 4, v1("D"), "four"))
	for i := range int32(4) {
		w.want(i+1, 0)
	}
	a, b, c, d := got[0], got[1], got[2], got[3]
	if a.Reconsume != 3 || !a.UnitMode || a.MaxReconsume != 5 || !a.Batch || a.SysFlag != 8 || a.Flag != 6 || a.Topic != "A" {
		t.Errorf("%+v", a)
	}
	for i, r := range []mq.SendRequest{b, c, d} {
		if r.Group != "P" || r.DefaultTopic != "TBW102" || r.DefaultQueues != 4 || r.QueueID != 1 || r.BornTime != 1700000000000 ||
			string(r.Props) != "k\x01v\x02" || r.MaxReconsume != -1 || r.Reconsume != 0 || r.UnitMode || r.Batch != (i == 1) || !r.BornHost.IsValid() {
			t.Errorf("message %d: %+v", i+2, r)
		}
	}
}

func TestBatchAnswersListTheirIDs(t *testing.T) {
	t.Parallel()
	f := &fake{}
	f.send = func(b *mq.SendBatch) bool {
		b.Results[0] = mq.SendResult{Offset: 1, Offsets: []mq.Offset{1, 2, 3}}
		return false
	}
	w := overMemory(t, f, f).wire(t)
	w.write(req(320, 1, v2("A"), "x"))
	ids := strings.Split(w.want(1, 0).ext["msgId"], ",")
	if len(ids) != 3 || ids[2] != string(record.AppendOffsetID(nil, storeHost, 3)) {
		t.Errorf("ids %q", ids)
	}
}

func TestPendingBatchesAreAnsweredLaterWithTheirStatus(t *testing.T) {
	t.Parallel()
	pending := make(chan *mq.SendBatch, 10)
	f := &fake{send: func(b *mq.SendBatch) bool { pending <- b; return true }}
	r := overMemory(t, f, f)
	w := r.wire(t)
	for i, st := range []struct {
		status mq.SendStatus
		code   int32
	}{{mq.SendOK, 0}, {mq.SendFlushTimeout, 10}, {mq.SendSlaveTimeout, 12}, {mq.SendSlaveUnavailable, 11}} {
		at := int32(i) * 10
		w.write(req(310, at+1, v2("A"), "one"), req(310, at+2, v2("A"), "bad"), req(310, at+3, v2("A"), "two"), req(30, at+4, ext{"topic": "T", "queueId": "1"}, ""))
		w.want(at+4, 0) // others do not wait for it
		b := <-pending
		b.Done(b, st.status)
		for k, code := range []int32{st.code, 13, st.code} {
			region(t, w.want(at+1+int32(k), code))
		}
	}
	// A connection that is gone meanwhile.
	w.write(req(310, 1, v2("A"), "one"))
	b := <-pending
	_ = w.Close()
	waitClosed(t, r)
	b.Done(b, mq.SendOK)
}

// Done may be called before Send returns, from another goroutine, and the burst may be in use again by then.
func TestDoneBeforeSendReturns(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	defer wg.Wait()
	f := &fake{}
	n := 0
	f.send = func(b *mq.SendBatch) bool {
		if n++; n%2 == 0 {
			b.Done(b, mq.SendOK)
		} else {
			wg.Go(func() { b.Done(b, mq.SendOK) })
		}
		return true
	}
	w := overMemory(t, f, f).wire(t)
	for i := range int32(500) {
		w.write(req(310, 3*i, v2("A"), "one"), req(310, 3*i+1, v2("A"), "two"), req(310, 3*i+2, v2("A"), "three"))
		for k := range int32(3) {
			w.want(3*i+k, 0)
		}
		f.take()
	}
}

func TestLongReadsMakeSeveralBatches(t *testing.T) {
	t.Parallel()
	var sizes []int
	f := &fake{send: func(b *mq.SendBatch) bool { sizes = append(sizes, len(b.Requests)); return false }}
	w := overTCP(t, f, f).wire(t)
	var all []byte
	const n = 3000
	for i := range int32(n) {
		all = append(all, frame(remoting.Binary, 310, i, 0, ext{"b": "T"}, "x")...)
	}
	go w.write(all)
	for i := range int32(n) {
		w.want(i, 0)
	}
	total := 0
	for _, s := range sizes {
		total += s
		if s > maxBurst {
			t.Errorf("a batch of %d", s)
		}
	}
	if total != n {
		t.Errorf("%d messages in batches %v", total, sizes)
	}
}

func TestSendsThatAPanicLostEndTheConnection(t *testing.T) {
	t.Parallel()
	f := &fake{send: func(*mq.SendBatch) bool { panic("bug") }}
	w := overMemory(t, f, f).wire(t)
	w.write(req(310, 1, v2("A"), "one"), req(30, 2, ext{"topic": "T", "queueId": "1"}, ""))
	for {
		if _, err := w.recv(); err != nil {
			break
		}
	}
}
