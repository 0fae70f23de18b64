package pop

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/vfs"
)

// orderFile is Java's config/consumerOrderInfo.json. The journal is newer than the file as long as we wrote the file; a file that
// somebody else wrote is right.
type orderFile struct {
	dirty   atomic.Bool // states are newer than the file
	digests [2][]byte   // of the texts we wrote last, the newest first; of Open and then of fold
}

// known notes the digest of a text that we wrote or were about to write.
func (f *orderFile) known(digest []byte) {
	f.digests[1] = f.digests[0]
	f.digests[0] = slices.Clone(digest)
}

func (f *orderFile) journal(e *Engine) {
	for _, d := range [...][]byte{f.digests[1], f.digests[0]} {
		if d != nil {
			e.j.endHere(appendText(e.j.begin(recFile, 0), d))
		}
	}
}

func (e *Engine) orderPath() string { return path.Join(e.o.Dir, "config", "consumerOrderInfo.json") }

// load reads the file when somebody else wrote it.
func (f *orderFile) load(e *Engine) error {
	file := e.orderPath()
	data, err := vfs.ReadFile(e.o.FS, file)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(data) == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	sum := sha256.Sum256(data)
	for _, d := range f.digests {
		if bytes.Equal(d, sum[:16]) {
			return nil
		}
	}
	v, err := fastjson.Parse(data)
	if err != nil {
		// Batches that were handed out in order are handed out again at once, which is what Java does without the file.
		e.o.Log.Error("damaged file: ordered batches that are out are given out again", "file", file, "err", err)
		return nil
	}
	for _, s := range e.shards {
		s.order = nil
	}
	for _, m := range v.Get("table").Members() {
		topic, group, ok := strings.Cut(m.Key.Str(), "@")
		if !ok {
			continue
		}
		for _, q := range m.Val.Members() {
			id, err := strconv.ParseInt(q.Key.Str(), 10, 32)
			if o := readOrder(q.Val); o != nil && err == nil {
				s := e.Shard(group, topic, int32(id))
				s.order = o
				s.watchOrderLocked(0)
			}
		}
	}
	return nil
}

// readOrder reads one Java OrderInfo.
func readOrder(v fastjson.Value) *order {
	o := &order{
		attemptID: strings.Clone(v.Get("a").Str()), popTime: v.Get("popTime").Int64(), invisible: v.Get("i").Int64(),
		acked: uint64(v.Get("cm").Int64()), used: v.Get("l").Int64(),
	}
	for i, x := range v.Get("o").Arr() {
		at := x.Int64()
		if i > 0 {
			at += o.offsets[0]
		}
		o.offsets = append(o.offsets, at)
	}
	if len(o.offsets) == 0 || len(o.offsets) > maxOrder {
		return nil
	}
	for _, m := range v.Get("ot").Members() {
		if o.next == nil {
			o.next = map[int64]int64{}
		}
		o.next[m.Key.Int64()] = m.Val.Int64()
	}
	for _, m := range v.Get("oc").Members() {
		if o.counts == nil {
			o.counts = map[int64]int32{}
		}
		o.counts[m.Key.Int64()] = m.Val.Int32()
	}
	o.committed = o.nextOffset()
	return o
}

// fold writes the file if it is behind.
func (f *orderFile) fold(e *Engine) error {
	if !f.dirty.Swap(false) {
		return nil
	}
	data := e.encodeOrders()
	sum := sha256.Sum256(data)
	f.known(sum[:16])
	f.journal(e)
	err := e.j.flush()
	if err == nil {
		err = vfs.WriteFileAtomic(e.o.FS, e.orderPath(), data, true)
	}
	if err != nil {
		f.dirty.Store(true)
		return fmt.Errorf("write %s: %w", e.orderPath(), err)
	}
	return nil
}

// encodeOrders makes the text in Java's dialect: the keys that are numbers have no quotes.
func (e *Engine) encodeOrders() []byte {
	type row struct {
		name  string
		queue int32
		s     *Shard
	}
	old := e.o.Now().UnixMilli() - keepOrder
	var rows []row
	for _, s := range e.list() {
		s.mu.Lock()
		if s.order != nil && s.order.used < old {
			s.order = nil
		}
		if s.order != nil {
			rows = append(rows, row{s.key.topic + "@" + s.key.group, s.key.queue, s})
		}
		s.mu.Unlock()
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.queue, b.queue))
	})
	w := fastjson.NewWriter(nil, fastjson.Compact)
	w.ObjStart()
	w.Key("orderInfoCount")
	w.Int(int64(len(rows)))
	w.Key("orderedConsumptionLevel")
	w.Str("QUEUE")
	w.Key("table")
	w.ObjStart()
	for i, r := range rows {
		if i == 0 || rows[i-1].name != r.name {
			if i > 0 {
				w.ObjEnd()
			}
			w.Key(r.name)
			w.ObjStart()
		}
		w.KeyInt(int64(r.queue))
		r.s.mu.Lock()
		if o := r.s.order; o != nil {
			o.write(w)
		} else {
			w.Null()
		}
		r.s.mu.Unlock()
	}
	if len(rows) > 0 {
		w.ObjEnd()
	}
	w.ObjEnd()
	w.ObjEnd()
	return w.Bytes()
}

// write writes a Java OrderInfo.
func (o *order) write(w *fastjson.Writer) {
	w.ObjStart()
	if o.attemptID != "" {
		w.Key("a")
		w.Str(o.attemptID)
	}
	w.Key("cm")
	w.Int(int64(o.acked))
	w.Key("i")
	w.Int(o.invisible)
	w.Key("l")
	w.Int(o.used)
	w.Key("o")
	w.ArrStart()
	for i, at := range o.offsets {
		if i > 0 {
			at -= o.offsets[0]
		}
		w.Int(at)
	}
	w.ArrEnd()
	if len(o.counts) > 0 {
		w.Key("oc")
		w.ObjStart()
		for _, at := range slices.Sorted(maps.Keys(o.counts)) {
			w.KeyInt(at)
			w.Int(int64(o.counts[at]))
		}
		w.ObjEnd()
	}
	if len(o.next) > 0 {
		w.Key("ot")
		w.ObjStart()
		for _, at := range slices.Sorted(maps.Keys(o.next)) {
			w.KeyInt(at)
			w.Int(o.next[at])
		}
		w.ObjEnd()
	}
	w.Key("popTime")
	w.Int(o.popTime)
	w.ObjEnd()
}
