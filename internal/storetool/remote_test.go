package storetool

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// told is a running broker's log: that of a store in memory.
type told struct {
	extent Extent
	recs   map[int64][]byte
	fails  error
}

func (l *told) Extent(context.Context) (Extent, error) { return l.extent, l.fails }

func (l *told) Message(_ context.Context, off int64) ([]byte, error) {
	if rec, ok := l.recs[off]; ok {
		return rec, nil
	}
	return nil, ErrNoMessage
}

// remoteOf is the log of a store as a broker would tell it.
func remoteOf(t *testing.T, m *vfs.Mem) *told {
	t.Helper()
	l := &told{extent: Extent{First: -1}, recs: map[int64][]byte{}}
	_, err := walk(t.Context(), m, root+"/commitlog", func(msg *record.Message, rec []byte) error {
		if l.extent.First < 0 {
			l.extent.First = int64(msg.Offset)
		}
		l.recs[int64(msg.Offset)] = append([]byte(nil), rec...)
		l.extent.End = int64(msg.Offset) + int64(len(rec))
		return nil
	}, func(Damage) {})
	must(t, err)
	return l
}

func TestVerifyAgainstARunningBroker(t *testing.T) {
	t.Parallel()
	_, all := build(t, 100, true)
	for name, tt := range map[string]struct {
		here   func(m *vfs.Mem)
		there  func(l *told)
		same   int64
		count  int64
		reason string
		ok     bool
	}{
		"alike":             {nil, nil, 100, 0, "", true},
		"behind here":       {func(m *vfs.Mem) { cutLog(t, m, all[90].off) }, nil, 90, 0, "", true},
		"old files deleted": {nil, func(l *told) { l.extent.First = all[30].off }, 70, 0, "", true},
		"behind there":      {nil, func(l *told) { l.extent.End = all[95].off }, 95, 0, "", true},
		"another message": {nil, func(l *told) {
			rec := append([]byte(nil), l.recs[all[5].off]...)
			rec[len(rec)-1] ^= 1
			l.recs[all[5].off] = rec
		}, 99, 1, "that are not the same", false},
		"another length":     {nil, func(l *told) { l.recs[all[6].off] = l.recs[all[6].off][1:] }, 99, 1, "bytes here, one of", false},
		"no message there":   {nil, func(l *told) { delete(l.recs, all[7].off) }, 99, 1, "none begins there", false},
		"damaged here":       {func(m *vfs.Mem) { flip(t, m, all[8].off+4) }, nil, 99, 0, "whole", false},
		"damaged everywhere": {func(m *vfs.Mem) { flip(t, m, all[8].off+4) }, func(l *told) { l.recs[all[8].off] = make([]byte, 50) }, 99, 0, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := build(t, 100, true)
			l := remoteOf(t, m)
			if tt.there != nil {
				tt.there(l)
			}
			if tt.here != nil {
				tt.here(m)
			}
			c, err := VerifyRemote(t.Context(), m, Place{Root: root}, "broker", l, nil)
			must(t, err)
			if c.Same != tt.same || c.Count != tt.count || c.OK() != tt.ok || int64(len(c.Differences)) != tt.count {
				t.Fatalf("%+v", c)
			}
			if tt.count > 0 && (!strings.Contains(c.Differences[0].Reason, tt.reason) || c.Differences[0].Here == "") {
				t.Errorf("%+v", c.Differences[0])
			}
			if len(c.Faults) > 0 && c.Faults[0].Whole != (tt.reason == "whole") {
				t.Errorf("%+v", c.Faults[0])
			}
		})
	}
}

func TestVerifyAgainstNobody(t *testing.T) {
	t.Parallel()
	m, _ := build(t, 10, true)
	gone := errors.New("gone")
	if _, err := VerifyRemote(t.Context(), m, Place{Root: root}, "broker", &told{fails: gone}, nil); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	l := remoteOf(t, m)
	if _, err := VerifyRemote(t.Context(), m, Place{Root: root}, "broker", failing{l, gone}, nil); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if _, err := VerifyRemote(t.Context(), vfs.NewMem(vfs.MemOptions{}), Place{Root: root}, "broker", l, nil); err == nil {
		t.Error("no store, no error")
	}
}

type failing struct {
	*told
	err error
}

func (f failing) Message(context.Context, int64) ([]byte, error) { return nil, f.err }

// The running broker deletes old files while it is compared: what is gone there is no difference.
func TestVerifyWhileOldFilesAreDeleted(t *testing.T) {
	t.Parallel()
	m, all := build(t, 100, true)
	l := remoteOf(t, m)
	c, err := VerifyRemote(t.Context(), m, Place{Root: root}, "broker", &shrinking{told: l, to: all[40].off}, nil)
	must(t, err)
	if !c.OK() || c.Same != 60 || c.Other.First != all[40].off {
		t.Errorf("%+v", c)
	}
}

// shrinking deletes what is before a place as soon as it has been asked how far it goes.
type shrinking struct {
	*told
	to int64
}

func (s *shrinking) Extent(ctx context.Context) (Extent, error) {
	e, err := s.told.Extent(ctx)
	s.extent.First = s.to
	for off := range s.recs {
		if off < s.to {
			delete(s.recs, off)
		}
	}
	return e, err
}
