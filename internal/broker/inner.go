package broker

import (
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// inner is messages that the broker stores by itself: given back, committed, delivered late. All that were added go to the
// log with one write. It is for one goroutine and is reused:
//
//	w := b.takeInner()
//	_, refusal := w.add(&m, to)            // as many as there are
//	pending, refusal := w.store(true, done)
//	if !pending { w.release() }            // else it comes back by itself after done
//
// Topics of the places must exist; the queues need not.
type inner struct {
	b     *Broker
	batch storage.Batch
	await storage.Await
	scan  propScan
	props []byte // of the message that is being added
	flows []*queue
	done  func(w *inner, st mq.SendStatus)
}

func (b *Broker) takeInner() *inner {
	if w, ok := b.inners.Get().(*inner); ok {
		return w
	}
	w := &inner{b: b}
	w.await.Done = w.decided
	return w
}

// release gives w back. What it says about its messages is gone then.
func (w *inner) release() {
	w.done = nil
	if w.batch.Size() > maxKept {
		w.batch = storage.Batch{}
	}
	w.batch.Reset()
	clear(w.flows)
	w.flows = w.flows[:0]
	w.b.inners.Put(w)
}

// add adds a message for a place. If its properties say that it is due later it is kept elsewhere until then. What m refers
// to is copied; its topic and properties are changed. The number is that of w.batch.Result. A message that is refused does
// not hold up the others.
func (w *inner) add(m *record.Message, to place) (int, *mq.Error) {
	w.scan.read(m.Props)
	w.props = m.Props.AppendTerminated(w.props[:0])
	at, props, refusal := w.b.keepUntilDue(w.props, &w.scan, to, w.b.o.Now())
	w.props = props
	if refusal != nil {
		return -1, refusal
	}
	m.Props = props
	return w.addAt(m, at)
}

// addAt is add for a message that is kept in exactly this place whatever its properties say.
func (w *inner) addAt(m *record.Message, at place) (int, *mq.Error) {
	m.Topic = bytesview.Bytes(at.topic)
	i, refusal := w.b.add(&w.batch, w.b.store.Queue(at.topic, at.queue), m)
	if refusal != nil {
		return -1, refusal
	}
	var flow *queue
	if t, ok := w.b.topic(at.topic); ok && at.queue >= 0 && at.queue < maxQueues {
		flow = t.queue(w.b, at.queue)
	}
	w.flows = append(w.flows, flow)
	return i, nil
}

// store appends what was added. With durable it is answered only when the messages are as safe as a client's would have to
// be: pending = true, and done will be called once, from any goroutine and under no lock, with how far they got; w is
// released after it. pending = false: decided, done is not called, w is still the caller's. After a refusal some of the
// messages may be stored even so.
func (w *inner) store(durable bool, done func(w *inner, st mq.SendStatus)) (pending bool, refusal *mq.Error) {
	b := w.b
	if w.batch.Len() == 0 {
		return false, nil
	}
	if err := b.store.Append(&w.batch); err != nil {
		b.figures.failed.Add(int64(w.batch.Len()))
		return false, b.storeError(err)
	}
	for i, q := range w.flows {
		if q != nil {
			q.puts.add(1, int64(w.batch.RecordSize(i)))
		}
	}
	if !durable || !b.awaits() {
		return false, nil
	}
	w.done = done
	w.await.End = w.batch.End()
	b.ask(&w.await)
	return b.store.AwaitDurable(&w.await), nil
}

func (w *inner) decided(status storage.Status) {
	w.done(w, sendStatus(status))
	w.release()
}
