package broker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

const (
	halfTopic    = "RMQ_SYS_TRANS_HALF_TOPIC"
	opTopic      = "RMQ_SYS_TRANS_OP_HALF_TOPIC"
	givenUpTopic = "TRANS_CHECK_MAX_TIME_TOPIC"
	txGroup      = "CID_RMQ_SYS_TRANS"
)

func halfMessage(topic string, queue int32, body string, props ...string) mq.SendRequest {
	m := message(topic, queue, body, append([]string{"TRAN_MSG", "true", "PGROUP", "PG", "UNIQ_KEY", "U" + body}, props...)...)
	m.SysFlag, m.BornTime = record.SysFlagPrepared, time.Now().UnixMilli()
	return m
}

func endOf(r mq.SendResult, commit bool) mq.End {
	return mq.End{Group: "PG", Index: r.Index, Offset: r.Offset, Commit: commit}
}

// end decides and returns why not, if not.
func (r *rig) end(e mq.End) error {
	r.t.Helper()
	done := make(chan struct{})
	b := &mq.SendBatch{Ends: []mq.End{e}, Done: func(*mq.SendBatch, mq.SendStatus) { close(done) }}
	if r.Send(r.t.Context(), b) {
		<-done
	}
	if err := b.Ends[0].Err; err != nil {
		return err
	}
	return nil
}

// all returns what is in a queue.
func (r *rig) all(topic string, queue int32) []record.Message {
	r.t.Helper()
	r.settle()
	var out []record.Message
	for from := mq.Index(0); ; {
		q := pull(topic, queue, from)
		q.MaxMessages = 1000
		f, err := r.Pull(r.t.Context(), q, nil)
		if err != nil || f.Count == 0 {
			return out
		}
		out = append(out, messages(r.t, f.Records)...)
		from = f.Next
	}
}

func bodies(ms []record.Message) string {
	var out []string
	for i := range ms {
		out = append(out, string(ms[i].Body))
	}
	return strings.Join(out, " ")
}

func (r *rig) progress() (half, op mq.Index) {
	half, _ = r.QueryIndex(context.Background(), txGroup, halfTopic, 0, true)
	op, _ = r.QueryIndex(context.Background(), txGroup, opTopic, 0, true)
	return half, op
}

func (r *rig) produce(p *peer) {
	r.t.Helper()
	s := &mq.Session{ClientID: "p", Peer: p, Remote: client}
	if _, err := r.Heartbeat(r.t.Context(), s, &mq.Heartbeat{Producers: []string{"PG"}}); err != nil {
		r.t.Fatal(err)
	}
}

func TestHalfMessagesAreSeenOnlyOnceCommitted(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 2)
	a := r.put(halfMessage("T", 1, "a", "TAGS", "x", "REAL_TOPIC", "evil", "TRANSACTION_CHECK_TIMES", "14"))
	b := r.put(halfMessage("T", 1, "b"))
	if a.QueueID != 1 || a.Index != 0 || b.Index != 1 || a.UniqueKey != "Ua" {
		t.Errorf("answers %+v %+v", a, b)
	}
	if got := bodies(r.all("T", 1)); got != "" {
		t.Fatalf("seen before the commit: %q", got)
	}
	halves := r.all(halfTopic, 0)
	h := &halves[0]
	if prop(h, "REAL_TOPIC") != "T" || prop(h, "REAL_QID") != "1" || prop(h, "__transactionId__") != "Ua" || prop(h, "TRAN_MSG") != "true" ||
		prop(h, "TRANSACTION_CHECK_TIMES") != "" || h.SysFlag&record.SysFlagTransactionMask != 0 {
		t.Errorf("half message %s %q flag %d", h, h.Props, h.SysFlag)
	}
	must(t, r.end(endOf(a, true)))
	must(t, r.end(endOf(b, false)))
	got := r.all("T", 1)
	if bodies(got) != "a" {
		t.Fatalf("seen: %q", bodies(got))
	}
	m := &got[0]
	if m.SysFlag&record.SysFlagTransactionMask != record.SysFlagCommit || m.PreparedOffset != a.Offset || m.BornTime != h.BornTime ||
		prop(m, "REAL_TOPIC") != "" || prop(m, "PGROUP") != "PG" || prop(m, "TAGS") != "x" {
		t.Errorf("committed message %s %q flag %d", m, m.Props, m.SysFlag)
	}
	ops := r.all(opTopic, 0)
	if bodies(ops) != "0, 1," || prop(&ops[0], "TAGS") != "d" {
		t.Errorf("op records %q %q", bodies(ops), ops[0].Props)
	}
}

func TestEndsThatAreRefused(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	plain := r.put(message("T", 0, "plain", "REAL_TOPIC", "T", "REAL_QID", "0", "PGROUP", "PG"))
	h := r.put(halfMessage("T", 0, "h"))
	late := halfMessage("T", 0, "late", "CHECK_IMMUNITY_TIME_IN_SECONDS", "10")
	late.BornTime -= 11_000
	l := r.put(late)
	with := func(e mq.End, f func(e *mq.End)) mq.End { f(&e); return e }
	for _, c := range []struct {
		name string
		end  mq.End
		kind mq.Kind
		text string
	}{
		{"no record", with(endOf(h, true), func(e *mq.End) { e.Offset++ }), mq.KindInternal, "Find prepared transaction message failed"},
		{"beyond the log", with(endOf(h, true), func(e *mq.End) { e.Offset = 1 << 50 }), mq.KindInternal, "Find prepared transaction message failed"},
		{"before the log", with(endOf(h, true), func(e *mq.End) { e.Offset = -1 }), mq.KindInternal, "Find prepared transaction message failed"},
		{"no half message", endOf(plain, true), mq.KindInternal, "Find prepared transaction message failed"},
		{"other group", with(endOf(h, true), func(e *mq.End) { e.Group = "other" }), mq.KindInternal, "The producer group wrong"},
		{"other index", with(endOf(h, false), func(e *mq.End) { e.Index++ }), mq.KindInternal, "The transaction state table offset wrong"},
		{"too late", endOf(l, true), mq.KindIllegalOperation, "CHECK_IMMUNITY_TIME_IN_SECONDS of the message has passed, the broker asks about it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused(t, r.end(c.end), c.kind, c.text)
		})
	}
	if got := bodies(r.all("T", 0)) + "|" + bodies(r.all(opTopic, 0)); got != "plain|" {
		t.Errorf("stored: %q", got)
	}
	must(t, r.end(with(endOf(l, true), func(e *mq.End) { e.FromCheck = true })))
	if got := bodies(r.all("T", 0)); got != "plain late" {
		t.Errorf("stored: %q", got)
	}
}

func TestATransactionIsDecidedOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	a, b := r.put(halfMessage("T", 0, "a")), r.put(halfMessage("T", 0, "b"))
	batch := &mq.SendBatch{Ends: []mq.End{endOf(a, true), endOf(a, true), endOf(b, false), endOf(b, true)}}
	r.Send(t.Context(), batch)
	for i := range batch.Ends {
		if batch.Ends[i].Err != nil {
			t.Error(batch.Ends[i].Err)
		}
	}
	must(t, r.end(endOf(a, true)))
	must(t, r.end(endOf(a, false)))
	must(t, r.end(endOf(b, true)))
	if got := bodies(r.all("T", 0)) + "|" + bodies(r.all(opTopic, 0)); got != "a|0,1," {
		t.Errorf("stored: %q", got)
	}
}

func TestEndsKeepTheirPlaceAmongSends(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	a, b := r.put(halfMessage("T", 0, "a")), r.put(halfMessage("T", 0, "b"))
	at := func(e mq.End, after int) mq.End { e.After = after; return e }
	batch := &mq.SendBatch{
		Requests: []mq.SendRequest{message("T", 0, "1"), message("T", 0, "2")},
		Ends:     []mq.End{at(endOf(a, true), 1), at(endOf(b, true), 2)},
	}
	r.Send(t.Context(), batch)
	if got := bodies(r.all("T", 0)); got != "1 a 2 b" {
		t.Errorf("stored: %q", got)
	}
}

func TestOpRecordsAreShort(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.TxOpSize = 10 })
	r.topic("T", 1)
	batch := &mq.SendBatch{}
	for i := range 12 {
		batch.Ends = append(batch.Ends, endOf(r.put(halfMessage("T", 0, fmt.Sprint(i))), true))
	}
	r.Send(t.Context(), batch)
	if got := bodies(r.all(opTopic, 0)); got != "0,1,2,3,4, 5,6,7,8,9, 10,11," {
		t.Errorf("op records %q", got)
	}
	if got := len(r.all("T", 0)); got != 12 {
		t.Errorf("%d messages", got)
	}
}

func TestTransactionsCanBeForbidden(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.NoTransactions = true })
	r.topic("T", 1)
	res, _ := r.send(halfMessage("T", 0, "x"))
	refused(t, res[0].Err, mq.KindNoPermission, "the broker[10.0.0.2] sending transaction message is forbidden")
}

func TestProducersAreAskedUntilTheyKnow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 1)
		p := &peer{checks: make(chan mq.TransactionCheck, 100)}
		r.produce(p)
		h := r.put(halfMessage("T", 0, "h", "TAGS", "x"))
		done := r.put(halfMessage("T", 0, "done"))
		must(t, r.end(endOf(done, true)))
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if n := len(p.checks); n != 0 {
			t.Fatalf("%d questions before the first look", n)
		}
		young := r.put(halfMessage("T", 0, "young"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(p.checks); n != 1 {
			t.Fatalf("%d questions after the first look", n)
		}
		c := <-p.checks
		if c.Group != "PG" || c.TransactionID != "Uh" || c.Topic != halfTopic || c.Broker != "broker-a" || c.Index != 3 {
			t.Errorf("question %+v", c)
		}
		m := messages(t, c.Record)[0]
		if string(m.Topic) != "T" || m.QueueID != 0 || string(m.Body) != "h" || prop(&m, "TAGS") != "x" || prop(&m, "REAL_TOPIC") != "T" ||
			prop(&m, "TRANSACTION_CHECK_TIMES") != "1" || m.Index != c.Index || m.Offset != c.Offset {
			t.Errorf("asked about %s %q", &m, m.Props)
		}
		if half, op := r.progress(); half != 2 || op != 1 {
			t.Errorf("progress %d %d, want 2 1", half, op) // at the young one
		}
		// The producer does not know yet; it is asked again, about the copy.
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if ids := (<-p.checks).TransactionID + (<-p.checks).TransactionID; ids != "UyoungUh" {
			t.Errorf("asked about %q", ids)
		}
		// It decides by the numbers that it got when it sent the message, not by those of the question.
		must(t, r.end(endOf(h, true)))
		must(t, r.end(mq.End{Group: "PG", Index: c.Index, Offset: c.Offset, Commit: true, FromCheck: true}))
		must(t, r.end(endOf(young, false)))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := len(p.checks); n != 0 {
			t.Errorf("%d questions about what is decided", n)
		}
		if got := bodies(r.all("T", 0)); got != "done h" {
			t.Errorf("stored: %q", got)
		}
		half, op := r.progress()
		hmax, _ := r.MaxIndex(t.Context(), halfTopic, 0)
		omax, _ := r.MaxIndex(t.Context(), opTopic, 0)
		if half != hmax || op != omax {
			t.Errorf("progress %d %d, want %d %d", half, op, hmax, omax)
		}
		r.stop()
	})
}

func TestWhatNobodyDecidesIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(o *setup) { o.TxCheckMax, o.TxCheckInterval, o.TxTimeout = 3, time.Second, time.Second })
		r.topic("T", 1)
		p := &peer{checks: make(chan mq.TransactionCheck, 100)}
		r.produce(p)
		r.put(halfMessage("T", 0, "h"))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := len(p.checks); n != 3 {
			t.Errorf("asked %d times, want 3", n)
		}
		ms := r.all(givenUpTopic, 0)
		if bodies(ms) != "h" || prop(&ms[0], "REAL_TOPIC") != "T" || prop(&ms[0], "TRANSACTION_CHECK_TIMES") != "3" {
			t.Fatalf("given up: %q", bodies(ms))
		}
		// As in Java a decision that comes even later counts.
		for range 2 {
			<-p.checks
		}
		c := <-p.checks
		must(t, r.end(mq.End{Group: "PG", Index: c.Index, Offset: c.Offset, Commit: true}))
		if got := bodies(r.all("T", 0)); got != "h" {
			t.Errorf("stored: %q", got)
		}
		r.stop()
	})
}

func TestImmuneMessagesAreLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(o *setup) { o.TxCheckMax, o.TxCheckInterval, o.TxTimeout = 2, time.Second, time.Second })
		r.topic("T", 1)
		p := &peer{checks: make(chan mq.TransactionCheck, 100)}
		r.produce(p)
		a := r.put(halfMessage("T", 0, "a", "CHECK_IMMUNITY_TIME_IN_SECONDS", "60"))
		b := r.put(halfMessage("T", 0, "b", "CHECK_IMMUNITY_TIME_IN_SECONDS", "60"))
		r.put(halfMessage("T", 0, "c", "CHECK_IMMUNITY_TIME_IN_SECONDS", "soon")) // no number: as usual
		time.Sleep(50*time.Second + time.Millisecond)
		synctest.Wait()
		for range 2 {
			if c := <-p.checks; c.TransactionID != "Uc" {
				t.Errorf("asked about %q", c.TransactionID)
			}
		}
		if n := len(p.checks); n != 0 {
			t.Fatalf("%d more questions", n)
		}
		copies := r.all(halfTopic, 0)
		last := &copies[len(copies)-1]
		if prop(last, "TRAN_PREPARED_QUEUE_OFFSET") != "1" || prop(last, "TRANSACTION_CHECK_TIMES") != "" {
			t.Errorf("copy %q", last.Props)
		}
		must(t, r.end(endOf(a, true))) // by its first place
		time.Sleep(time.Minute)
		synctest.Wait()
		for range 2 {
			if c := <-p.checks; c.TransactionID != "Ub" {
				t.Errorf("asked about %q", c.TransactionID)
			}
		}
		refused(t, r.end(endOf(b, true)), mq.KindIllegalOperation, "CHECK_IMMUNITY_TIME_IN_SECONDS of the message has passed, the broker asks about it")
		if got := bodies(r.all("T", 0)); got != "a" {
			t.Errorf("stored: %q", got)
		}
		r.stop()
	})
}

// TestRestartKeepsTransactions decides in one life what was sent, copied or asked about in another.
func TestRestartKeepsTransactions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		fs := r.fs
		r.topic("T", 1)
		open := r.put(halfMessage("T", 0, "open"))
		gone := r.put(halfMessage("T", 0, "gone"))
		done := r.put(halfMessage("T", 0, "done"))
		fresh := r.put(halfMessage("T", 0, "fresh"))
		must(t, r.end(endOf(done, true)))
		must(t, r.end(endOf(gone, false)))
		r.stop()

		again := func() {
			r = start(t, func(o *setup) { o.FS = fs })
		}
		again()
		must(t, r.end(endOf(done, true)))
		must(t, r.end(endOf(fresh, true)))
		time.Sleep(31 * time.Second) // copies what is open
		r.stop()

		again()
		must(t, r.end(endOf(open, true))) // the copy is not known in this life yet
		p := &peer{checks: make(chan mq.TransactionCheck, 100)}
		r.produce(p)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if n := len(p.checks); n != 0 {
			t.Errorf("asked about what is decided: %d", n)
		}
		r.stop()

		again()
		r.produce(p)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if n := len(p.checks); n != 0 {
			t.Errorf("asked about what is decided: %d", n)
		}
		if got := bodies(r.all("T", 0)); got != "done fresh open" {
			t.Errorf("stored: %q", got)
		}
		r.stop()
	})
}

// TestManyUndecided walks through more undecided messages than one step takes.
func TestManyUndecided(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		r := start(t)
		r.topic("T", 1)
		p := &peer{checks: make(chan mq.TransactionCheck, 2*n)}
		r.produce(p)
		var ends []mq.End
		for i := 0; i < n; i += 100 {
			b := &mq.SendBatch{}
			for k := range 100 {
				b.Requests = append(b.Requests, halfMessage("T", 0, fmt.Sprint(i+k)))
			}
			r.Send(t.Context(), b)
			for k := range b.Results {
				ends = append(ends, endOf(b.Results[k], k%2 == 0))
			}
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if len(p.checks) != n {
			t.Fatalf("%d questions, want %d", len(p.checks), n)
		}
		for i := 0; i < n; i += 500 {
			b := &mq.SendBatch{Ends: ends[i : i+500]}
			r.Send(t.Context(), b)
			for k := range b.Ends {
				if b.Ends[k].Err != nil {
					t.Fatal(b.Ends[k].Err)
				}
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(p.checks) != n {
			t.Errorf("%d questions, want %d", len(p.checks), n)
		}
		if got := len(r.all("T", 0)); got != n/2 {
			t.Errorf("%d messages, want %d", got, n/2)
		}
		if half, _ := r.progress(); half != 2*n {
			t.Errorf("progress %d", half)
		}
		r.stop()
	})
}
