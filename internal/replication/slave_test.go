package replication

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

// specimen returns the log of a store with a few messages.
func specimen(tb testing.TB, texts ...string) []byte {
	tb.Helper()
	s := open(tb, vfs.NewMem(vfs.MemOptions{}), false, false)
	end := put(tb, s.store, texts...)
	rd := s.store.RawReader()
	var all []byte
	for off := record.Offset(0); off < end; {
		p, err := rd.View(off, end)
		must(tb, err)
		all, off = append(all, p...), off+record.Offset(len(p))
	}
	rd.Close()
	must(tb, s.store.Close())
	return all
}

// What a master must not send: the connection ends, the log holds what was sound, and the slave comes back.
func TestSlaveRefuses(t *testing.T) {
	t.Parallel()
	one := specimen(t, "first")
	both := specimen(t, "first", "second")
	flipped := bytes.Clone(both)
	flipped[len(flipped)-10] ^= 1
	frame := func(off record.Offset, p []byte) []byte { return append(appendHeader(nil, off, len(p)), p...) }
	for name, c := range map[string]struct {
		sent []byte
		has  int
		err  string
	}{
		"a gap":               {append(frame(0, one), frame(record.Offset(len(one)+1), one)...), len(one), "the logs are not the same"},
		"an old place":        {append(frame(0, one), frame(0, one)...), len(one), "the logs are not the same"},
		"a damaged record":    {append(frame(0, one), frame(record.Offset(len(one)), flipped[len(one):])...), len(one), "no sound record"},
		"too long a frame":    {appendHeader(nil, 0, maxBody+1), 0, "impossible frame"},
		"a negative length":   {appendHeader(nil, 0, -1), 0, "impossible frame"},
		"rubbish":             {frame(0, bytes.Repeat([]byte("rubbish "), 10)), 0, "no sound record"},
		"the middle of a log": {frame(100, one), 0, "no sound record"},
		"controller mode":     {append(frame(0, one), 0, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0, 0), len(one), "controller mode"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				l, err := n.Host("10.0.0.1").Listen(haAddr)
				must(t, err)
				s := slave(t, n, vfs.NewMem(vfs.MemOptions{}), false)
				conn, err := l.Accept()
				must(t, err)
				_, err = conn.Write(c.sent)
				must(t, err)
				_, err = readAll(conn, 10*time.Second)
				must(t, err)
				must(t, conn.Close())
				synctest.Wait()
				if got := int(s.store.Appended()); got != c.has {
					t.Errorf("the log ends at %d, want %d", got, c.has)
				}
				must(t, s.store.Writable())
				if st := s.slave.State(); st.Err == nil || !strings.Contains(strings.ToLower(st.Err.Error()), c.err) {
					t.Errorf("state %+v, want %q", st, c.err)
				}
				must(t, l.Close())
				s.close()
			})
		})
	}
}

func TestSlaveFollowsAnotherMaster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		s := slave(t, n, vfs.NewMem(vfs.MemOptions{}), false)
		time.Sleep(time.Minute) // nobody is there
		if st := s.slave.State(); st.Connected || st.Err == nil {
			t.Fatalf("state %+v", st)
		}
		m := master(t, n, vfs.NewMem(vfs.MemOptions{}), false, MasterOptions{})
		end := put(t, m.store, "one")
		if st := replicated(m.store, end, false, 6*time.Second); st != storage.Durable {
			t.Fatalf("status %v", st)
		}
		s.slave.Follow("")
		synctest.Wait()
		if st := s.slave.State(); st.Connected || len(m.ma.Slaves()) != 0 {
			t.Fatalf("still connected: %+v", st)
		}
		s.slave.Follow(haAddr)
		end = put(t, m.store, "two")
		if st := replicated(m.store, end, false, 3*time.Second); st != storage.Durable {
			t.Fatalf("status %v", st)
		}
		s.close()
		m.close()
	})
}

func TestSlaveAsksFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		no := errors.New("another log")
		x := open(t, vfs.NewMem(vfs.MemOptions{}), false, true)
		x.slave = NewSlave(SlaveOptions{
			Store: x.store, Check: func(context.Context) error { return no },
			Dial: func(context.Context, string, string) (net.Conn, error) {
				t.Error("connected all the same")
				return nil, no
			},
		})
		x.slave.Follow(haAddr)
		x.run(x.slave.Run)
		time.Sleep(time.Minute)
		if !errors.Is(x.slave.State().Err, no) {
			t.Fatalf("state %+v", x.slave.State())
		}
		x.close()
	})
}

type collector struct {
	frames int
	bytes  []byte
}

func (c *collector) begin(*frame) error { c.frames++; return nil }
func (c *collector) body(p []byte)      { c.bytes = append(c.bytes, p...) }

func FuzzFrames(f *testing.F) {
	f.Add(append(appendHeader(nil, 5, 3), "abc"...), 4)
	f.Add(appendHeader(nil, 1<<40, 0), 1)
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		var whole, halves collector
		var a, b frames
		err := a.feed(p, &whole)
		cut = max(0, min(cut, len(p)))
		err2 := b.feed(p[:cut], &halves)
		if err2 == nil {
			err2 = b.feed(p[cut:], &halves)
		}
		if (err == nil) != (err2 == nil) || whole.frames != halves.frames || !bytes.Equal(whole.bytes, halves.bytes) || len(whole.bytes) > len(p) {
			t.Fatalf("%v %v, %+v %+v", err, err2, whole, halves)
		}
	})
}

func FuzzReports(f *testing.F) {
	f.Add(appendReport(appendReport(nil, 5), 9), 3)
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		var a, b reports
		var whole, halves []record.Offset
		err := a.feed(p, func(o record.Offset) error { whole = append(whole, o); return nil })
		cut = max(0, min(cut, len(p)))
		half := func(o record.Offset) error { halves = append(halves, o); return nil }
		err2 := b.feed(p[:cut], half)
		if err2 == nil {
			err2 = b.feed(p[cut:], half)
		}
		if (err == nil) != (err2 == nil) || len(whole) != len(halves) || len(whole) > len(p)/reportLen {
			t.Fatalf("%v %v, %v %v", err, err2, whole, halves)
		}
	})
}

// FuzzReceiver gives a slave whatever a master may send: it never stores what is not a record.
func FuzzReceiver(f *testing.F) {
	all := specimen(f, "one", "two", "three")
	f.Add(append(appendHeader(nil, 0, len(all)), all...))
	f.Fuzz(func(t *testing.T, p []byte) {
		s := open(t, vfs.NewMem(vfs.MemOptions{}), false, true)
		r := newReceiver(s.store, 0, nil)
		if _, err := r.feed(p); err == nil && int(s.store.Appended()-s.store.MinOffset())+len(r.rest) > len(p) {
			t.Fatalf("%d bytes became %d", len(p), s.store.Appended())
		}
		must(t, s.store.Writable())
		must(t, s.store.Close())
	})
}
