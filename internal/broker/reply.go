package broker

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// replies is what Reply needs for the answers of one call. It is used again when all of them are decided.
type replies struct {
	pool   *sync.Pool
	send   sender // only for checks: the topic of the last answer is mostly the next one's, too
	batch  mq.SendBatch
	stored []*reply // by request of batch
	props  []byte
	peers  []mq.Peer // to be flushed
}

// reply is one answer under way. Two things must be known before it is decided: whether the client that asked has it, and
// where it was stored.
type reply struct {
	done   func(mq.ReplyResult)
	result mq.ReplyResult // Err is the push's, the rest the store's
	left   atomic.Int32
}

func (r *reply) finish() {
	if r.left.Add(-1) == 0 {
		r.done(r.result)
	}
}

// Reply implements mq.Replies. The pushes of all answers leave together, and so does what is stored, in one write. Nothing
// waits: an answer is decided when the client that asked has said so, or after 10 s.
//
// Differs from Java: an answer is stored while it is under way to the client, not after that.
func (b *Broker) Reply(rs []mq.ReplyRequest) {
	p, _ := b.replies.Get().(*replies)
	if p == nil {
		p = &replies{pool: &b.replies}
		p.batch.Done = func(*mq.SendBatch, mq.SendStatus) { p.decided() }
	}
	p.send.reset()
	for i := range rs {
		b.replyOne(p, &rs[i])
	}
	for i, peer := range p.peers {
		peer.Flush()
		p.peers[i] = nil
	}
	p.peers = p.peers[:0]
	if len(p.batch.Requests) == 0 {
		p.pool.Put(p)
		return
	}
	if !b.Send(context.Background(), &p.batch) {
		p.decided()
	}
}

// replyOne checks an answer, pushes it, and leaves it in the batch if it is to be stored.
func (b *Broker) replyOne(p *replies, r *mq.ReplyRequest) {
	now := b.o.Now()
	refusal := b.notYet(now)
	if refusal == nil {
		refusal = b.sendTopic(context.Background(), &p.send, &r.SendRequest)
	}
	a := &reply{done: r.Done}
	if refusal == nil {
		a.result.QueueID, refusal = chooseQueue(&p.send.cfg, &r.SendRequest)
	}
	if refusal != nil {
		r.Done(mq.ReplyResult{Err: refusal})
		return
	}
	a.left.Store(1)
	if !b.o.NoReplyStore {
		a.left.Store(2)
		p.batch.Requests = append(p.batch.Requests, r.SendRequest)
		p.batch.Requests[len(p.batch.Requests)-1].QueueID = a.result.QueueID
		p.stored = append(p.stored, a)
	}
	client, ok := r.Props.Get(record.PropReplyToClient)
	if !ok {
		a.fail("reply message properties[REPLY_TO_CLIENT] is null")
		return
	}
	s := b.clients.Producer(bytesview.String(client))
	if s == nil {
		a.fail("push reply message fail, channel of <" + string(client) + "> not found.")
		return
	}
	ms := now.UnixMilli()
	p.props = append(p.props[:0], r.Props...)
	if n := len(p.props); n > 0 && p.props[n-1] != 2 { // a missing last separator is allowed
		p.props = append(p.props, 2)
	}
	p.props = record.AppendProp(p.props, record.PropPushReplyTime, strconv.FormatInt(ms, 10))
	s.Peer.PushReply(&mq.PushedReply{SendRequest: &r.SendRequest, Props: p.props, StoreTime: ms}, func(err error) {
		if err != nil {
			a.fail("push reply message to " + s.ClientID + "fail.") // Java has no blank there either
			return
		}
		a.finish()
	})
	if n := len(p.peers); n == 0 || p.peers[n-1] != s.Peer {
		p.peers = append(p.peers, s.Peer)
	}
}

func (r *reply) fail(remark string) {
	r.result.Err = &mq.Error{Kind: mq.KindInternal, Detail: remark}
	r.finish()
}

// decided is called when it is known where the answers were stored. As in Java it is no error if they were not.
func (p *replies) decided() {
	for i, a := range p.stored {
		if res := &p.batch.Results[i]; res.Err == nil {
			a.result.Stored, a.result.Index, a.result.Offset = true, res.Index, res.Offset
		}
		a.finish()
	}
	clear(p.stored)
	p.stored = p.stored[:0]
	p.batch.Reset()
	p.pool.Put(p)
}

var _ mq.Replies = (*Broker)(nil)
