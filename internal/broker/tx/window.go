package tx

import "github.com/cometmq/cometmq/internal/record"

const (
	pageBits = 1 << 15
	// history is how many half messages behind the progress are remembered: a producer that repeats its decision is
	// told so, and its message is not stored twice.
	history = 1 << 20
)

type page [pageBits / 64]uint64

// window holds one bit for each half message from base on: whether it is decided. Pages without a bit set are nil.
type window struct {
	base  int64 // of pages[0], a multiple of pageBits
	pages []*page
}

// reset empties the window and lets it begin history bits before from.
func (w *window) reset(from record.Index) {
	*w = window{base: max(int64(from)-history, 0) / pageBits * pageBits}
}

func (w *window) has(i record.Index) bool {
	at := int64(i) - w.base
	if at < 0 || at/pageBits >= int64(len(w.pages)) {
		return false
	}
	p := w.pages[at/pageBits]
	return p != nil && p[at%pageBits/64]&(1<<(at%64)) != 0
}

// set marks i. What is before the window is forgotten.
func (w *window) set(i record.Index) {
	at := int64(i) - w.base
	if at < 0 {
		return
	}
	n := at / pageBits
	for n >= int64(len(w.pages)) {
		w.pages = append(w.pages, nil)
	}
	if w.pages[n] == nil {
		w.pages[n] = new(page)
	}
	w.pages[n][at%pageBits/64] |= 1 << (at % 64)
}

// next returns the first index from i on, but not beyond end, that is not marked.
func (w *window) next(i, end record.Index) record.Index {
	for i < end {
		at := int64(i) - w.base
		if at < 0 || at/pageBits >= int64(len(w.pages)) {
			return i
		}
		p := w.pages[at/pageBits]
		switch {
		case p == nil:
			return i
		case at%64 == 0 && p[at%pageBits/64] == ^uint64(0):
			i += 64
		case p[at%pageBits/64]&(1<<(at%64)) == 0:
			return i
		default:
			i++
		}
	}
	return end
}

// trim forgets what is more than history before progress.
func (w *window) trim(progress record.Index) {
	n := (max(int64(progress)-history, 0) - w.base) / pageBits
	if n <= 0 {
		return
	}
	k := int(min(n, int64(len(w.pages))))
	clear(w.pages[:k])
	w.pages = w.pages[k:]
	w.base += n * pageBits
}
