package tx

import (
	"bytes"
	"strconv"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

// opTag marks an op record that says "decided"; there is no other kind.
const opTag = "d"

var opProps = record.AppendProp(nil, record.PropTags, opTag)

// opWriter makes op records. It is reused.
type opWriter struct {
	body []byte
	msg  record.Message
}

// add puts op records about list into batch. As in Java a body is at most limit bytes long, unless one index alone is longer.
func (w *opWriter) add(m *Machine, batch *storage.Batch, list []record.Index) error {
	w.body = w.body[:0]
	for _, i := range list {
		n := len(w.body)
		w.body = append(strconv.AppendInt(w.body, int64(i), 10), ',')
		if n > 0 && len(w.body) > m.tuned.Load().OpSize {
			rest := append([]byte(nil), w.body[n:]...)
			if err := w.flush(m, batch, n); err != nil {
				return err
			}
			w.body = append(w.body[:0], rest...)
		}
	}
	if len(w.body) == 0 {
		return nil
	}
	return w.flush(m, batch, len(w.body))
}

func (w *opWriter) flush(m *Machine, batch *storage.Batch, n int) error {
	w.msg = record.Message{
		BornTime: m.o.Now().UnixMilli(), BornHost: m.o.Host, Body: w.body[:n], Topic: bytesview.Bytes(meta.TopicOpHalf), Props: opProps,
	}
	_, err := batch.Add(m.ops, &w.msg)
	return err
}

// eachOp calls f with each index in the body of an op record. Older versions of Java write one index without a comma.
func eachOp(body []byte, f func(i record.Index)) {
	for len(body) > 0 {
		piece := body
		if n := bytes.IndexByte(body, ','); n >= 0 {
			piece, body = body[:n], body[n+1:]
		} else {
			body = nil
		}
		if i, err := strconv.ParseInt(bytesview.String(piece), 10, 64); err == nil && i >= 0 {
			f(record.Index(i))
		}
	}
}

// opReader reads the op queue in order.
type opReader struct {
	m    *Machine
	at   record.Index // of the next record to be read
	buf  []byte
	rest []byte
	msg  record.Message
}

const (
	readCount = 256
	readBytes = 1 << 20
)

// next returns the position and the body of the next op record; ok = false at the end of the queue. A damaged record is
// stepped over: what it decided is asked about again.
func (r *opReader) next() (at record.Index, body []byte, ok bool) {
	for {
		for len(r.rest) > 0 {
			n, err := record.Decode(r.rest, &r.msg, false)
			if err != nil {
				r.rest = nil
				break
			}
			r.rest = r.rest[n:]
			if tags, _ := r.msg.Props.Get(record.PropTags); string(tags) == opTag {
				return r.msg.Index, r.msg.Body, true
			}
		}
		from := max(r.at, r.m.ops.Min())
		if from >= r.m.ops.Max() {
			r.at = from
			return from, nil, false
		}
		res := r.m.store.Read(r.m.ops, &storage.Read{From: from, MaxCount: readCount, MaxBytes: readBytes}, r.buf[:0])
		if res.Next <= from { // nothing can be read at the moment
			return from, nil, false
		}
		r.at, r.buf, r.rest = res.Next, res.Records, res.Records
	}
}

// load learns from the op queue what was decided.
func (m *Machine) load() (records int) {
	end := m.half.Max()
	r := opReader{m: m, at: m.opProgress}
	for {
		_, body, ok := r.next()
		if !ok {
			return records
		}
		records++
		eachOp(body, func(i record.Index) {
			switch {
			case i >= end: // no half message has this index yet, and the next one to get it is another
			case i >= m.progress:
				m.window.set(i)
			default:
				m.rememberLate(i)
			}
		})
	}
}

// advanceOps moves the progress in the op queue over the records that are of no use any more, because the half messages
// that they are about have been passed.
func (m *Machine) advanceOps() {
	r := opReader{m: m, at: m.opProgress}
	for {
		at, body, ok := r.next()
		if !ok {
			m.opProgress = max(m.opProgress, at)
			return
		}
		done := true
		eachOp(body, func(i record.Index) { done = done && i < m.progress })
		if !done {
			m.opProgress = at
			return
		}
		m.opProgress = at + 1
	}
}
