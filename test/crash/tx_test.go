package crash

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

const (
	txTopic  = "txcrash"
	txGroup  = "txcrash_p"
	txQueues = 4
)

// fate is what a transaction is meant to become; it follows from its number.
type fate uint8

const (
	toCommit fate = iota
	toRollBack
	toNothing // never decided
)

func fateOf(n int64) fate {
	switch {
	case n%50 == 7:
		return toNothing
	case n%5 == 1:
		return toRollBack
	}
	return toCommit
}

// txState is what the producers know of a transaction.
type txState struct {
	half  bool // acknowledged
	ended bool // the commit or rollback is acknowledged
	life  int  // in which the broker asked about it last, 0 = never
	again bool // asked about although it was ended
}

// txLoad sends transactions and answers what the broker asks about them.
type txLoad struct {
	addr string
	next atomic.Int64
	life atomic.Int64

	mu sync.Mutex // guards tx
	tx map[int64]*txState
}

func (l *txLoad) note(n int64, f func(s *txState)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.tx[n]
	if s == nil {
		s = &txState{}
		l.tx[n] = s
	}
	f(s)
}

// run sends with several connections, which come back after each kill, until ctx ends.
func (l *txLoad) run(ctx context.Context, senders int) {
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for ctx.Err() == nil {
				c, err := bench.Dial(ctx, nil, l.addr, protocol.JSON)
				if err != nil {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				for l.one(ctx, c) {
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
}

// one makes one transaction. It returns false when the connection is of no use any more.
func (l *txLoad) one(ctx context.Context, c *bench.Client) bool {
	if ctx.Err() != nil {
		return false
	}
	n := l.next.Add(1)
	r, err := c.Call(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: txGroup, Topic: txTopic, DefaultTopic: "TBW102", DefaultTopicQueueNums: txQueues, QueueID: int32(n % txQueues),
		SysFlag: record.SysFlagPrepared, BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1,
		Properties: "TRAN_MSG\x01true\x02PGROUP\x01" + txGroup + "\x02UNIQ_KEY\x01" + strconv.FormatInt(n, 10) + "\x02",
	}, []byte(strconv.FormatInt(n, 10)))
	if err != nil {
		return false
	}
	if r.Code != 0 {
		return true
	}
	id, _ := r.Fields.Get("msgId")
	_, off, err := record.ParseOffsetID(string(id))
	if err != nil {
		return false
	}
	index, err := r.Int("queueOffset")
	if err != nil {
		return false
	}
	l.note(n, func(s *txState) { s.half = true })
	if fateOf(n) == toNothing {
		return true
	}
	if r, err = c.Call(protocol.ReqEndTransaction, endHeader(n, index, int64(off)), nil); err != nil {
		return false
	}
	if r.Code == 0 {
		l.note(n, func(s *txState) { s.ended = true })
	}
	return true
}

func endHeader(n, index, off int64) *protocol.EndTransactionRequestHeader {
	what := record.SysFlagCommit
	if fateOf(n) == toRollBack {
		what = record.SysFlagRollback
	}
	return &protocol.EndTransactionRequestHeader{
		ProducerGroup: txGroup, TranStateTableOffset: index, CommitLogOffset: off, CommitOrRollback: what, MsgID: "m",
	}
}

// answer keeps a producer connected that the broker can ask. What was acknowledged as ended it does not end again: the
// acknowledgement must be enough.
func (l *txLoad) answer(ctx context.Context) {
	c := remoting.NewClient(remoting.ClientOptions{Version: protocol.VersionServed, OnRequest: map[int32]remoting.Handler{
		protocol.ReqCheckTransactionState: func(conn *remoting.Conn, r *remoting.Request) {
			var h protocol.CheckTransactionStateRequestHeader
			var m record.Message
			if h.Decode(r.Fields) != nil {
				return
			}
			if _, err := record.Decode(r.Body, &m, true); err != nil {
				return
			}
			n, err := strconv.ParseInt(string(m.Body), 10, 64)
			if err != nil {
				return
			}
			end := fateOf(n) != toNothing
			l.note(n, func(s *txState) {
				s.life = int(l.life.Load())
				s.again = s.again || s.ended
				end = end && !s.ended
			})
			if end {
				e := endHeader(n, h.TranStateTableOffset, h.CommitLogOffset)
				e.FromTransactionCheck = true
				_ = conn.Oneway(protocol.ReqEndTransaction, e, nil)
			}
		},
	}})
	defer c.Close()
	d := protocol.HeartbeatData{ClientID: "txcrash", Producers: []string{txGroup}}
	body := d.AppendTo(nil, false)
	for ctx.Err() == nil {
		_, _ = c.Invoke(ctx, l.addr, &remoting.Command{Code: protocol.ReqHeartBeat, Body: body}) // the broker may be down
		time.Sleep(50 * time.Millisecond)
	}
}

// delivered counts how often each transaction can be read.
func (l *txLoad) delivered(t *testing.T) map[int64]int {
	t.Helper()
	c, err := bench.Dial(t.Context(), nil, l.addr, protocol.Binary)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out := map[int64]int{}
	readTopic(t, c, txTopic, txQueues, func(m *record.Message) error {
		n, err := strconv.ParseInt(string(m.Body), 10, 64)
		out[n]++
		return err
	})
	return out
}

// verdict judges what can be read now. open: transactions that may still be decided, or asked about, in this life.
func (l *txLoad) verdict(t *testing.T) (v featureVerdict, open int) {
	t.Helper()
	got := l.delivered(t)
	l.mu.Lock()
	defer l.mu.Unlock()
	life := int(l.life.Load())
	for n, s := range l.tx {
		if s.half {
			v.acked++
		}
		switch fateOf(n) {
		case toCommit:
			switch {
			case s.ended && got[n] == 0:
				v.lost++
			case s.half && got[n] == 0:
				open++ // its end was not acknowledged: the broker must ask
			}
		case toNothing:
			if s.half && s.life != life {
				open++
			}
		case toRollBack:
		}
		if s.again {
			v.again++
		}
	}
	for n, times := range got {
		if fateOf(n) != toCommit || n > l.next.Load() {
			v.phantom++
		}
		v.duplicates += int64(times - 1)
	}
	return v, open
}

// TestKillTransactions kills the broker under a load of transactions. A commit that was acknowledged is delivered without
// anybody being asked; what was not acknowledged, or never decided, is asked about in the last life; nothing else is delivered.
func TestKillTransactions(t *testing.T) {
	for _, mode := range []string{"ASYNC_FLUSH", "SYNC_FLUSH"} {
		t.Run(mode, func(t *testing.T) {
			r := random(t)
			cl := target.New(t, target.Options{Kind: target.Ours, Conf: map[string]string{
				"flushDiskType": mode, "mappedFileSizeCommitLog": fmt.Sprint(16 << 20),
				"transactionTimeOut": "700", "transactionCheckInterval": "300", "transactionCheckMax": "100000",
			}})
			p := cl.Brokers[0]
			l := &txLoad{addr: cl.Addrs[0], tx: map[int64]*txState{}}
			first, err := bench.Dial(t.Context(), nil, l.addr, protocol.JSON)
			if err != nil {
				t.Fatal(err)
			}
			if err := first.CreateTopic(txTopic, txQueues); err != nil {
				t.Fatal(err)
			}
			_ = first.Close()
			l.life.Store(1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			loadCtx, stopLoad := context.WithCancel(ctx)
			var wg, load sync.WaitGroup
			wg.Go(func() { l.answer(ctx) })
			load.Go(func() { l.run(loadCtx, 6) })
			for range *kills {
				time.Sleep(time.Duration(300+r.IntN(1200)) * time.Millisecond)
				p.Kill()
				l.life.Add(1)
				p.Start()
				p.WaitPort(l.addr, 20*time.Second)
			}
			time.Sleep(300 * time.Millisecond)
			stopLoad()
			load.Wait()
			var v featureVerdict
			open := 1
			for end := time.Now().Add(30 * time.Second); open > 0 && time.Now().Before(end); {
				time.Sleep(300 * time.Millisecond)
				v, open = l.verdict(t)
			}
			cancel()
			wg.Wait()
			v.lost += int64(open)
			table.feature("transactions, "+mode, *kills, v)
			t.Logf("%s: %d kills: %+v", mode, *kills, v)
			if v.lost != 0 || v.phantom != 0 {
				t.Errorf("%+v, %d not asked about", v, open)
			}
			if v.acked < int64(*kills)*50 {
				t.Errorf("only %d half messages were acknowledged: the run proves nothing", v.acked)
			}
		})
	}
}
