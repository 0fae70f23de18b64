package history

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
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

// Transactions sends transactions and answers what the broker asks about them.
type Transactions struct {
	Topic, Group string
	Queues       int64
	Target       Target
	// Orphans: producers die between half and end, with each message.
	Orphans bool
	Pause   time.Duration // between the transactions of a connection
	// Life is counted up with each start of the broker: in the last one it must ask about what is open.
	Life atomic.Int64

	next atomic.Int64
	mu   sync.Mutex // guards tx
	tx   map[int64]*txState
}

func (l *Transactions) note(n int64, f func(s *txState)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tx == nil {
		l.tx = map[int64]*txState{}
	}
	s := l.tx[n]
	if s == nil {
		s = &txState{}
		l.tx[n] = s
	}
	f(s)
}

// Run sends with several connections, which come back after each kill, until ctx ends.
func (l *Transactions) Run(ctx context.Context, senders int) {
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for ctx.Err() == nil {
				addr, err := l.Target(ctx)
				var c *bench.Client
				if err == nil {
					c, err = bench.Dial(ctx, nil, addr, protocol.JSON)
				}
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
func (l *Transactions) one(ctx context.Context, c *bench.Client) bool {
	if ctx.Err() != nil {
		return false
	}
	n := l.next.Add(1)
	r, err := c.Call(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: l.Group, Topic: l.Topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: int32(l.Queues), QueueID: int32(n % l.Queues),
		SysFlag: record.SysFlagPrepared, BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1,
		Properties: "TRAN_MSG\x01true\x02PGROUP\x01" + l.Group + "\x02UNIQ_KEY\x01" + strconv.FormatInt(n, 10) + "\x02",
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
	time.Sleep(l.Pause)
	if l.Orphans {
		return false
	}
	if fateOf(n) == toNothing {
		return true
	}
	if r, err = c.Call(protocol.ReqEndTransaction, l.end(n, index, int64(off)), nil); err != nil {
		return false
	}
	if r.Code == 0 {
		l.note(n, func(s *txState) { s.ended = true })
	}
	return true
}

func (l *Transactions) end(n, index, off int64) *protocol.EndTransactionRequestHeader {
	what := record.SysFlagCommit
	if fateOf(n) == toRollBack {
		what = record.SysFlagRollback
	}
	return &protocol.EndTransactionRequestHeader{
		ProducerGroup: l.Group, TranStateTableOffset: index, CommitLogOffset: off, CommitOrRollback: what, MsgID: "m",
	}
}

// Answer keeps a producer connected that the broker can ask. What was acknowledged as ended it does not end again: the
// acknowledgement must be enough.
func (l *Transactions) Answer(ctx context.Context) {
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
				s.life = int(l.Life.Load())
				s.again = s.again || s.ended
				end = end && !s.ended
			})
			if end {
				e := l.end(n, h.TranStateTableOffset, h.CommitLogOffset)
				e.FromTransactionCheck = true
				_ = conn.Oneway(protocol.ReqEndTransaction, e, nil)
			}
		},
	}})
	defer c.Close()
	d := protocol.HeartbeatData{ClientID: "history", Producers: []string{l.Group}}
	body := d.AppendTo(nil, false)
	for ctx.Err() == nil {
		if addr, err := l.Target(ctx); err == nil {
			_, _ = c.Invoke(ctx, addr, &remoting.Command{Code: protocol.ReqHeartBeat, Body: body}) // the broker may be down
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Verdict judges what can be read now. open: transactions that may still be decided, or asked about, in this life.
func (l *Transactions) Verdict(ctx context.Context, addr string) (v Feature, open int64, err error) {
	c, err := bench.Dial(ctx, nil, addr, protocol.Binary)
	if err != nil {
		return v, 0, err
	}
	defer c.Close()
	got := map[int64]int{}
	err = ReadTopic(c, l.Topic, int(l.Queues), func(m *record.Message) error {
		n, err := strconv.ParseInt(string(m.Body), 10, 64)
		got[n]++
		return err
	})
	var ce *bench.CodeError
	if err != nil && !errors.As(err, &ce) {
		return v, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	life := int(l.Life.Load())
	for n, s := range l.tx {
		if s.half {
			v.Acked++
		}
		switch fateOf(n) {
		case toCommit:
			switch {
			case s.ended && got[n] == 0:
				v.Lost++
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
			v.Again++
		}
	}
	for n, times := range got {
		if fateOf(n) != toCommit || n > l.next.Load() {
			v.Phantom++
		}
		v.Duplicates += int64(times - 1)
	}
	return v, open, nil
}
