package grpcapi

import (
	"context"
	"sync"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// half names a half message: what a client knows of it.
type half struct{ topic, id string }

// halfAt is where it is: what the core wants to know.
type halfAt struct {
	index  mq.Index
	offset mq.Offset
}

// halves remembers where half messages are, so many of them; of others the index of keys tells.
type halves struct {
	mu    sync.Mutex // guards the rest
	at    map[half]halfAt
	order []half // in the order of their coming, as a ring
	next  int
}

const maxHalves = 50_000

func (h *halves) put(k half, at halfAt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at == nil {
		h.at = map[half]halfAt{}
	}
	if _, known := h.at[k]; !known {
		if len(h.order) < maxHalves {
			h.order = append(h.order, k)
		} else {
			delete(h.at, h.order[h.next])
			h.order[h.next] = k
			h.next = (h.next + 1) % maxHalves
		}
	}
	h.at[k] = at
}

func (h *halves) get(k half) (halfAt, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, ok := h.at[k]
	return at, ok
}

// EndTransaction decides a transaction. The answer comes when the decision is as safe as a send.
//
// Differs from Java: a transaction is found by its id as long as its half message is in the store. Java's proxy knows it for 30 s, and only
// the one that has stored it; and its answer says OK before anything is decided.
func (d *Door) EndTransaction(ctx context.Context, r *v2.EndTransactionRequest) (*v2.EndTransactionResponse, error) {
	resp := &v2.EndTransactionResponse{}
	resp.Status = d.serve(ctx, famTransaction, func(c *call) error {
		if err := c.mayPublish(r.GetTopic().GetName()); err != nil {
			return err
		}
		topic, err := topicOf(r.GetTopic())
		if err != nil {
			return err
		}
		id := r.GetTransactionId()
		if blank(id) {
			return refuse(v2.Code_INVALID_TRANSACTION_ID, "transaction id cannot be empty")
		}
		at, err := c.halfOf(half{topic, id})
		if err != nil {
			return err
		}
		if r.GetResolution() == v2.TransactionResolution_TRANSACTION_RESOLUTION_UNSPECIFIED {
			return nil // it does not know yet: it is asked again later
		}
		s := d.takeSending()
		defer d.putSending(s)
		s.Ends = append(s.Ends, mq.End{
			Group: topic, Index: at.index, Offset: at.offset, Commit: r.GetResolution() == v2.TransactionResolution_COMMIT,
			FromCheck: r.GetSource() == v2.TransactionSource_SOURCE_SERVER_CHECK,
		})
		st := s.store(ctx, c.core.Service)
		if refusal := s.Ends[0].Err; refusal != nil {
			return refusal
		}
		return unsafe(st)
	})
	return resp, nil
}

// unsafe says how something was not stored as safely as promised.
func unsafe(st mq.SendStatus) error {
	switch st {
	case mq.SendFlushTimeout:
		return refuse(v2.Code_MASTER_PERSISTENCE_TIMEOUT, "")
	case mq.SendSlaveTimeout:
		return refuse(v2.Code_SLAVE_PERSISTENCE_TIMEOUT, "")
	case mq.SendSlaveUnavailable:
		return refuse(v2.Code_HA_NOT_AVAILABLE, "")
	case mq.SendOK:
	}
	return nil
}

// halfOf finds a half message of a topic.
func (c *call) halfOf(k half) (halfAt, error) {
	if at, ok := c.d.halves.get(k); ok {
		return at, nil
	}
	const most = 32 // copies are made when a producer is asked
	res, err := c.core.Service.QueryByKey(c.ctx, &mq.KeyQuery{
		Topic: halfTopic, Key: k.id, Max: most, Begin: 0, End: c.d.o.Now().UnixMilli() + 3_600_000, Unique: true,
	})
	if err != nil && mq.KindOf(err) != mq.KindQueryNotFound {
		return halfAt{}, err
	}
	found, ok := halfAt{}, false
	var m record.Message
	for rest := res.Records; len(rest) > 0; {
		n, err := record.Decode(rest, &m, false)
		if err != nil || n <= 0 || n > len(rest) {
			break
		}
		rest = rest[n:]
		id, _ := m.Props.Get(record.PropUniqKey)
		topic, _ := m.Props.Get(record.PropRealTopic)
		if string(id) == k.id && string(topic) == k.topic && (!ok || m.Offset > found.offset) {
			found, ok = halfAt{m.Index, m.Offset}, true
		}
	}
	if !ok {
		return halfAt{}, refuse(v2.Code_INVALID_TRANSACTION_ID, "cannot found transaction data")
	}
	return found, nil
}
