package compaction

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"path/filepath"
	"slices"

	"github.com/cometmq/cometmq/internal/record"
)

// compacting is the folder in which new files are made.
const compacting = "compacting"

// newest is the newest message of each key among those that were looked at.
type newest struct {
	seeds [2]maphash.Seed
	at    map[[2]uint64]record.Index
	upTo  record.Index // the last message that was looked at, -1 none
}

// entryBytes is what an entry of the map takes, about.
const entryBytes = 64

func (n *newest) key(key []byte) [2]uint64 {
	return [2]uint64{maphash.Bytes(n.seeds[0], key), maphash.Bytes(n.seeds[1], key)}
}

// keep reports whether m stays: nothing newer with its key has been looked at, and it is no deletion, which has no body.
func (n *newest) keep(m *record.Message) bool {
	if m.Index > n.upTo {
		return true
	}
	key, ok := m.Props.Get(record.PropKeys)
	if !ok {
		return false
	}
	at, ok := n.at[n.key(key)]
	return (!ok || m.Index >= at) && len(m.Body) > 0
}

// Compact leaves only the newest message of each key in all files but the last, which is still written. Keys of messages up to done have
// been compared before. It returns up to where they are now.
func (l *Log) Compact(ctx context.Context, done record.Index) (record.Index, error) {
	l.mu.Lock()
	old := slices.Clone(l.files[:max(len(l.files)-1, 0)])
	l.mu.Unlock()
	if len(old) == 0 || record.Index(old[len(old)-1].last.Load()) <= done {
		return done, nil
	}
	keys, err := l.compare(ctx, old, done)
	if err != nil || keys.upTo <= done {
		return done, err
	}
	fresh, dropped, err := l.rewrite(ctx, old, keys)
	defer func() {
		for _, f := range fresh { // nil after a swap
			_ = f.release()
		}
	}()
	if err == nil && dropped > 0 {
		err = l.swap(old, fresh)
		fresh = nil
	}
	if err != nil {
		return done, fmt.Errorf("compact %s/%d: %w", l.topic, l.queue, err)
	}
	if dropped > 0 {
		l.o.Log.Info("topic compacted", "topic", l.topic, "queue", l.queue, "outdated", dropped, "files", len(old), "up_to", keys.upTo)
	}
	return keys.upTo, nil
}

var errFull = errors.New("no room for another key")

// compare finds the newest message of each key among those behind done, as far as the memory goes.
func (l *Log) compare(ctx context.Context, files []*file, done record.Index) (*newest, error) {
	n := &newest{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, at: map[[2]uint64]record.Index{}, upTo: -1}
	limit := int(max(l.o.MapBytes/entryBytes, 100))
	err := l.walk(ctx, files, func(_ *Unit, _ []byte, m *record.Message) error {
		if m.Index <= done {
			return nil
		}
		key, _ := m.Props.Get(record.PropKeys)
		k := n.key(key)
		if _, ok := n.at[k]; !ok && len(n.at) >= limit {
			return errFull
		}
		n.at[k], n.upTo = m.Index, m.Index
		return nil
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	return n, err
}

// walk calls fn with the messages of files. A damaged one is left out.
func (l *Log) walk(ctx context.Context, files []*file, fn func(u *Unit, rec []byte, m *record.Message) error) error {
	units, buf := make([]Unit, 256), make([]byte, 256*UnitSize)
	var rec []byte
	var m record.Message
	for _, f := range files {
		for at := int64(0); ; {
			n, err := f.read(at, units, buf)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			at += int64(n)
			for i := range units[:n] {
				if err = ctx.Err(); err != nil {
					return err
				}
				if rec, err = f.record(&units[i], rec[:0]); errors.Is(err, errOther) {
					l.o.Log.Error("damaged message of a compacted topic left out", "topic", l.topic, "queue", l.queue, "err", err)
					continue
				}
				if err == nil {
					_, err = record.Decode(rec, &m, false)
				}
				if err == nil {
					err = fn(&units[i], rec, &m)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rewrite makes new files with what stays of the old ones.
func (l *Log) rewrite(ctx context.Context, old []*file, keys *newest) (fresh []*file, dropped int, err error) {
	for _, dir := range []string{l.logDir, l.cqDir} {
		if err = l.o.FS.RemoveAll(filepath.Join(dir, compacting)); err != nil {
			return nil, 0, err
		}
		if err = l.makeDir(filepath.Join(dir, compacting)); err != nil {
			return nil, 0, err
		}
	}
	w := writer{l: l, sub: compacting, fresh: func(f *file) { fresh = append(fresh, f) }}
	err = l.walk(ctx, old, func(u *Unit, rec []byte, m *record.Message) error {
		if !keys.keep(m) {
			dropped++
			return nil
		}
		if aerr := w.add(rec, *u); aerr != nil || len(w.recs) < 1<<20 {
			return aerr
		}
		return w.write()
	})
	if err == nil {
		err = w.seal()
	}
	return fresh, dropped, err
}

// swap puts the new files in the place of the old ones, for a crash in one step.
func (l *Log) swap(old, fresh []*file) error {
	var s swap
	for _, f := range old {
		s.Old = append(s.Old, f.base)
	}
	for _, f := range fresh {
		s.New = append(s.New, f.base)
	}
	if err := l.writeSwap(&s); err != nil {
		return err
	}
	// Who reads goes on with the files that it has; they are open.
	l.mu.Lock()
	l.files = append(slices.Clone(fresh), l.files[len(old):]...)
	l.mu.Unlock()
	err := l.finishSwap()
	for _, f := range old {
		err = errors.Join(err, f.release())
	}
	return err
}
