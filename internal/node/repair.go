package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/storage"
)

// repairs gets damaged messages of one engine from the other brokers of the set, which have the same log. A read that finds one ends
// before it until that has worked or failed; what has failed is left out by reads for a while.
type repairs struct {
	work chan storage.Spot

	mu    sync.Mutex                  // guards spots
	spots map[record.Offset]time.Time // until when a message is left out; zero: it is being fetched
}

const (
	repairQueue = 64              // messages under repair at once
	repairCall  = time.Second     // for one broker's answer
	repairAgain = time.Minute     // after one that failed
	repairSpots = 10_000          // failures that are remembered
	repairMost  = 3 * time.Second // for one message
)

func newRepairs() *repairs {
	return &repairs{work: make(chan storage.Spot, repairQueue), spots: map[record.Offset]time.Time{}}
}

// found is told of a damaged message. It reports whether to wait for it.
func (r *repairs) found(x storage.Spot) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, known := r.spots[x.Offset]
	switch {
	case known && until.IsZero():
		return true
	case known && time.Now().Before(until), !known && len(r.spots) >= repairSpots:
		return false
	}
	select {
	case r.work <- x:
		r.spots[x.Offset] = time.Time{}
		return true
	default:
		return false
	}
}

func (r *repairs) ended(x *storage.Spot, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.spots, x.Offset)
		return
	}
	now := time.Now()
	for off, until := range r.spots {
		if !until.IsZero() && now.After(until) {
			delete(r.spots, off)
		}
	}
	r.spots[x.Offset] = now.Add(repairAgain)
}

// repair works until ctx ends.
func (p *brokerPart) repair(ctx context.Context, e *engine) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case x := <-e.repairs.work:
			peer, err := p.repairOne(ctx, e, &x)
			e.repairs.ended(&x, err)
			switch {
			case ctx.Err() != nil:
			case err != nil:
				p.log.Warn("a damaged message could not be repaired", "topic", x.Topic, "queue", x.Queue, "index", x.Index, "offset", x.Offset, "err", err)
			default:
				p.log.Info("a damaged message was repaired", "topic", x.Topic, "queue", x.Queue, "index", x.Index, "offset", x.Offset, "peer", peer)
			}
		}
	}
}

// errNobody says that there is no replica to ask.
var errNobody = errors.New("no other broker of the set is known")

// repairOne asks one broker of the set after the other.
func (p *brokerPart) repairOne(ctx context.Context, e *engine, x *storage.Spot) (peer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, repairMost)
	defer cancel()
	peers, err := p.registrar.Replicas(ctx)
	if err != nil {
		return "", err
	}
	errs := []error{errNobody}
	for i, peer := range peers {
		rec, err := p.fetchRecord(ctx, peer, x.Offset)
		if err == nil {
			if err = e.store.Repair(x, rec); err == nil {
				return peer, nil
			}
		}
		if i == 0 {
			errs = nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", peer, err))
	}
	return "", errors.Join(errs...)
}

// fetchRecord gets the record that a broker has at a place of its log.
func (p *brokerPart) fetchRecord(ctx context.Context, addr string, off record.Offset) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, repairCall)
	defer cancel()
	resp, err := p.client.Invoke(ctx, addr, &remoting.Command{
		Code: protocol.ReqViewMessageByID, Header: &protocol.ViewMessageRequestHeader{Offset: int64(off)},
	})
	if err != nil {
		return nil, err
	}
	if resp.Code != protocol.RespSuccess {
		return nil, fmt.Errorf("it answered with %d: %s", resp.Code, resp.Remark)
	}
	return resp.Body, nil
}
