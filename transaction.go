package cometmq

import (
	"context"
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// Outcome is what became of a transaction.
type Outcome int

// Outcomes.
const (
	Unknown  Outcome = iota // ask again later
	Commit                  // consumers get the message
	Rollback                // nobody gets it
)

// Transaction is a message that nobody gets before Commit.
type Transaction struct {
	Receipt

	s     *Server
	group string
	at    mq.Index
	place mq.Offset
}

// Check tells the broker what became of a transaction that was not ended in time.
type Check func(ctx context.Context, m Message, id string) Outcome

// Begin stores a message that consumers do not see yet. When the transaction is not ended within transactionTimeOut (6 s), the
// broker calls the check of the producer group, again and again until it knows. The check of a group is the last one that Begin was
// given, nil answers Unknown. It stays registered until Shutdown, and may be called from any goroutine.
func (s *Server) Begin(ctx context.Context, group string, m Message, check Check) (*Transaction, error) {
	p, err := s.produce(group, check)
	if err != nil {
		return nil, err
	}
	if err = p.beat(ctx); err != nil {
		return nil, fmt.Errorf("cometmq: producer group %s: %w", group, err)
	}
	r, err := s.request(ctx, &m, group)
	if err != nil {
		return nil, err
	}
	r.SysFlag = record.SysFlagPrepared
	r.Props = record.AppendProp(r.Props, record.PropTransaction, "true")
	r.Props = record.AppendProp(r.Props, record.PropProducerGroup, group)
	res, err := s.send(ctx, &mq.SendBatch{Requests: []mq.SendRequest{r}})
	if err != nil {
		return nil, fmt.Errorf("cometmq: begin on %s: %w", m.Topic, err)
	}
	return &Transaction{Receipt: receiptOf(res), s: s, group: group, at: res.Index, place: res.Offset}, nil
}

// Commit gives the message to consumers. Ending a transaction a second time changes nothing.
func (t *Transaction) Commit(ctx context.Context) error { return t.end(ctx, true) }

// Rollback drops the message.
func (t *Transaction) Rollback(ctx context.Context) error { return t.end(ctx, false) }

func (t *Transaction) end(ctx context.Context, commit bool) error {
	_, err := t.s.send(ctx, &mq.SendBatch{Ends: []mq.End{{Group: t.group, Index: t.at, Offset: t.place, Commit: commit}}})
	if err != nil {
		return fmt.Errorf("cometmq: end transaction %s: %w", t.ID, err)
	}
	return nil
}

// heartbeat is how often a producer says that it is there; the broker waits for two minutes.
const heartbeat = 30 * time.Second

// producer is a producer group of this program. It is what the broker asks about transactions.
type producer struct {
	nobody
	s       *Server
	group   string
	session *mq.Session
	check   Check // guarded by Server.mu
}

func (s *Server) produce(group string, check Check) (*producer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, ErrClosed
	}
	p, ok := s.producers[group]
	if !ok {
		p = &producer{s: s, group: group}
		p.session = &mq.Session{ClientID: "embedded@" + group, Language: "GO", Remote: self, Peer: p}
		s.producers[group] = p
		s.work.Go(func() { p.run(s.alive) })
	}
	p.check = check
	return p, nil
}

func (p *producer) beat(ctx context.Context) error {
	_, err := p.s.n.Service().Heartbeat(ctx, p.session, &mq.Heartbeat{Producers: []string{p.group}})
	return err
}

func (p *producer) run(ctx context.Context) {
	t := time.NewTicker(heartbeat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_ = p.beat(ctx) // the next one tries again; a broker that is away has no transactions to ask about
		case <-ctx.Done():
			p.s.n.Service().Detach(p.session)
			return
		}
	}
}

// CheckTransaction implements mq.Peer. The answer comes from another goroutine, since the check may take its time.
func (p *producer) CheckTransaction(c *mq.TransactionCheck) bool {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	var m record.Message
	if _, err := record.Decode(c.Record, &m, true); err != nil || p.s.over {
		return false
	}
	d := Delivery{Message: Message{Topic: string(m.Topic), Body: append([]byte(nil), m.Body...), Properties: map[string]string{}}}
	m.Props.ForEach(func(k, v []byte) bool {
		d.take(string(k), string(v))
		return true
	})
	check, end := p.check, mq.End{Group: p.group, Index: c.Index, Offset: c.Offset, FromCheck: true}
	p.s.work.Go(func() { p.answer(check, &d, end) })
	return true
}

func (p *producer) answer(check Check, d *Delivery, end mq.End) {
	if check == nil {
		return
	}
	o := check(p.s.alive, d.Message, d.ID)
	if o == Unknown {
		return
	}
	end.Commit = o == Commit
	_, _ = p.s.send(p.s.alive, &mq.SendBatch{Ends: []mq.End{end}}) // else the broker asks again
}

// nobody is an mq.Peer that cannot do anything.
type nobody struct{}

var errNobody = mq.Errorf(mq.KindUnsupported, "the client is a program with its own broker; it cannot be asked that")

func (nobody) ConsumerIDsChanged(string)                                   {}
func (nobody) UnsubscribeLite(_, _, _ string)                              {}
func (nobody) ResetPositions(*mq.PositionReset, []mq.QueuePosition)        {}
func (nobody) Positions(_, _ string, done func([]mq.QueuePosition, error)) { done(nil, errNobody) }
func (nobody) RunningInfo(_ *mq.RunningInfoRequest, f func(mq.ClientAnswer, error)) {
	f(mq.ClientAnswer{}, errNobody)
}

func (nobody) ConsumeDirectly(_ *mq.DirectRequest, f func(mq.ClientAnswer, error)) {
	f(mq.ClientAnswer{}, errNobody)
}
func (nobody) PushReply(_ *mq.PushedReply, done func(error)) { done(errNobody) }
func (nobody) Flush()                                        {}
func (nobody) Close()                                        {}
