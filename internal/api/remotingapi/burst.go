package remotingapi

import (
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
)

// maxBurst is how many sends and decisions are handed to the core at once; a larger read makes several batches.
const maxBurst = 1024

// burst collects the sends of one read. While the core decides about durability it belongs to the core; then it goes
// back to the door's pool.
type burst struct {
	s     *session
	batch mq.SendBatch
	to    []remoting.ReplyTo
	endTo []remoting.ReplyTo // of batch.Ends
	reply protocol.SendMessageResponseHeader
	ids   []byte
	late  *lateAnswers // of senders above a quota, nil when there are none
}

// collect adds an empty request to the burst of this read. What the caller puts in may alias the request: the bytes stay
// until OnBurstEnd.
func (s *session) collect(r *remoting.Request) *mq.SendRequest {
	b := s.openBurst()
	b.to = append(b.to, r.ReplyTo())
	b.batch.Requests = append(b.batch.Requests, mq.SendRequest{})
	return &b.batch.Requests[len(b.batch.Requests)-1]
}

// collectEnd adds the decision about a half message to the burst of this read, behind the sends that came before it.
func (s *session) collectEnd(r *remoting.Request) *mq.End {
	b := s.openBurst()
	b.endTo = append(b.endTo, r.ReplyTo())
	b.batch.Ends = append(b.batch.Ends, mq.End{After: len(b.batch.Requests)})
	return &b.batch.Ends[len(b.batch.Ends)-1]
}

func (s *session) openBurst() *burst {
	b := s.burst
	if b == nil {
		b, _ = s.a.bursts.Get().(*burst)
		if b == nil {
			b = new(burst)
			b.batch.Done = b.done
		}
		b.s = s
		s.burst = b
	}
	return b
}

// flushSends hands the collected sends to the core and queues the answers of what is decided.
func (s *session) flushSends() {
	b := s.burst
	if b == nil {
		return
	}
	s.burst = nil
	lost := true
	defer func() {
		if lost { // a panic: nobody will answer these sends
			s.conn.Close(errLost)
		}
	}()
	pending := s.a.svc.Send(s.a.ctx, &b.batch)
	lost = false
	if !pending {
		b.answer(mq.SendOK)
		b.release()
	}
}

// done is called by the core when the durability of a pending batch is decided, on any goroutine.
func (b *burst) done(_ *mq.SendBatch, st mq.SendStatus) {
	c := b.s.conn
	b.answer(st)
	b.release()
	c.Flush()
}

func (b *burst) answer(st mq.SendStatus) {
	for i := range b.batch.Results {
		res := &b.batch.Results[i]
		to := b.to[i]
		if to.Oneway() {
			continue
		}
		if res.Err != nil {
			b.s.conn.Reply(to, codeOf(res.Err.Kind), res.Err.Detail, b.refused(), nil)
			continue
		}
		if res.Wait > 0 && b.delay(to, sendCode(st), res) {
			continue
		}
		b.s.conn.Reply(to, sendCode(st), "", b.accepted(res), nil)
	}
	b.sendLate()
	for i := range b.batch.Ends {
		if err := b.batch.Ends[i].Err; err != nil {
			b.s.conn.Reply(b.endTo[i], codeOf(err.Kind), err.Detail, nil, nil)
			continue
		}
		b.s.conn.Reply(b.endTo[i], sendCode(st), "", nil, nil)
	}
}

// refuseSend answers a send whose header cannot be read, after those that came before it.
func (s *session) refuseSend(r *remoting.Request, err error) {
	s.flushSends()
	code, remark := failure(err)
	h := protocol.SendMessageResponseHeader{Region: s.a.o.Region, TraceOn: s.a.tracing()}
	s.conn.Reply(r.ReplyTo(), code, remark, &h, nil)
}

// refused is the response header of a send that was not stored: Java producers read the region without a null check.
func (b *burst) refused() *protocol.SendMessageResponseHeader {
	b.reply = protocol.SendMessageResponseHeader{Region: b.s.a.o.Region, TraceOn: b.s.a.tracing()}
	return &b.reply
}

func (b *burst) accepted(res *mq.SendResult) *protocol.SendMessageResponseHeader {
	host := b.s.a.o.StoreHost
	ids := b.ids[:0]
	if res.Offsets == nil {
		ids = record.AppendOffsetID(ids, host, res.Offset)
	}
	for i, off := range res.Offsets {
		if i > 0 {
			ids = append(ids, ',')
		}
		ids = record.AppendOffsetID(ids, host, off)
	}
	b.ids = ids
	b.reply = protocol.SendMessageResponseHeader{
		MsgID:         bytesview.String(ids),
		QueueID:       res.QueueID,
		QueueOffset:   int64(res.Index),
		TransactionID: res.UniqueKey,
		RecallHandle:  res.RecallHandle,
		BatchUniqID:   res.BatchKey,
		Region:        b.s.a.o.Region,
		TraceOn:       b.s.a.tracing(),
	}
	return &b.reply
}

func sendCode(st mq.SendStatus) int32 {
	switch st {
	case mq.SendFlushTimeout:
		return protocol.RespFlushDiskTimeout
	case mq.SendSlaveTimeout:
		return protocol.RespFlushSlaveTimeout
	case mq.SendSlaveUnavailable:
		return protocol.RespSlaveNotAvailable
	case mq.SendOK:
		return protocol.RespSuccess
	default:
		return protocol.RespSuccess
	}
}

func (b *burst) release() {
	a := b.s.a
	b.batch.Reset()
	b.to, b.endTo = b.to[:0], b.endTo[:0]
	b.s = nil
	b.reply = protocol.SendMessageResponseHeader{}
	a.bursts.Put(b)
}
