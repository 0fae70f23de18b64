package replication

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func logger() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return nil
}

const (
	segment = 16 << 10
	haAddr  = "10.0.0.1:10912"
)

// side is a broker as far as replication goes: a store and what runs on it.
type side struct {
	tb    testing.TB
	disk  *vfs.Mem
	store *storage.Store
	stop  context.CancelFunc
	done  chan struct{}
	slave *Slave
	ma    *Master
}

func open(tb testing.TB, disk *vfs.Mem, sync, isCopy bool) *side {
	tb.Helper()
	s, err := storage.Open(disk, storage.Options{
		Dir: "/store", SegmentSize: segment, QueueFileSize: 2000, IndexSlots: 10, IndexCapacity: 50, CacheBytes: 1 << 20,
		StoreHost: netip.MustParseAddrPort("10.0.0.2:10911"), FlushSync: sync, Copy: isCopy, Log: logger(),
	})
	must(tb, err)
	return &side{tb: tb, disk: disk, store: s}
}

// run starts the store and, each in a goroutine, the parts. end stops them.
func (s *side) run(parts ...func(context.Context) error) *side {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop, s.done = cancel, make(chan struct{})
	parts = append(parts, s.store.Run)
	finished := make(chan struct{}, len(parts))
	for _, p := range parts {
		go func() {
			_ = p(ctx)
			finished <- struct{}{}
		}()
	}
	go func() {
		for range parts {
			<-finished
		}
		close(s.done)
	}()
	s.tb.Cleanup(s.end)
	return s
}

func (s *side) end() {
	s.stop()
	<-s.done
}

// crash ends the side as a crash of its machine does, and returns what is left on its disk. From the moment on of which the disk is
// a picture nothing that it says is heard: a flush may go on that the disk has seen nothing of.
func (s *side) crash(n *memnet.Network, rng *rand.Rand, mode vfs.CrashMode) *vfs.Mem {
	n.Partition("10.0.0.1", "10.0.0.2")
	disk := s.disk.CrashClone(rng, mode)
	s.end()
	n.Cut("10.0.0.1", "10.0.0.2")
	n.Heal("10.0.0.1", "10.0.0.2")
	return disk
}

func (s *side) close() {
	s.end()
	must(s.tb, s.store.Close())
}

func master(tb testing.TB, n *memnet.Network, disk *vfs.Mem, sync bool, o MasterOptions) *side {
	tb.Helper()
	s := open(tb, disk, sync, false)
	l, err := n.Host("10.0.0.1").Listen(haAddr)
	must(tb, err)
	o.Store, o.Log = s.store, logger()
	s.ma = NewMaster(o)
	return s.run(func(ctx context.Context) error { return s.ma.Serve(ctx, l) })
}

func slave(tb testing.TB, n *memnet.Network, disk *vfs.Mem, sync bool) *side {
	tb.Helper()
	s := open(tb, disk, sync, true)
	s.slave = NewSlave(SlaveOptions{Store: s.store, Dial: n.Host("10.0.0.2").Dial, Durable: sync, Log: logger()})
	s.slave.Follow(haAddr)
	return s.run(s.slave.Run)
}

func message(topic, body string) *record.Message {
	return &record.Message{
		Topic: []byte(topic), Body: []byte(body), BornTime: 1_700_000_000_000, BornHost: netip.MustParseAddrPort("10.0.0.9:1234"),
	}
}

// put stores messages and returns where the last one ends.
func put(tb testing.TB, s *storage.Store, bodies ...string) record.Offset {
	tb.Helper()
	var b storage.Batch
	for i, body := range bodies {
		_, err := b.Add(s.Queue("T", int32(i%2)), message("T", body))
		must(tb, err)
	}
	must(tb, s.Append(&b))
	return b.End()
}

// replicated waits for the acknowledgement of what ends at end.
func replicated(s *storage.Store, end record.Offset, flush bool, limit time.Duration) storage.Status {
	done := make(chan storage.Status, 1)
	a := &storage.Await{End: end, Flush: flush, Replicas: 1, Deadline: time.Now().Add(limit), Done: func(st storage.Status) { done <- st }}
	if !s.AwaitDurable(a) {
		return storage.Durable
	}
	return <-done
}

func sameLogs(tb testing.TB, a, b *side) {
	tb.Helper()
	if a.store.Appended() != b.store.Appended() {
		tb.Fatalf("the logs end at %d and %d", a.store.Appended(), b.store.Appended())
	}
	end := int64(a.store.Appended())
	for base := int64(b.store.MinOffset()); base < end; base += segment {
		name := filepath.Join("/store/commitlog", fmt.Sprintf("%020d", base))
		x, err := vfs.ReadFile(a.disk, name)
		must(tb, err)
		y, err := vfs.ReadFile(b.disk, name)
		must(tb, err)
		if n := min(segment, end-base); !bytes.Equal(x[:n], y[:n]) {
			tb.Fatalf("%s differs", name)
		}
	}
}

func bodies(rng *rand.Rand, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strings.Repeat("b", 1+rng.IntN(3000))
	}
	return out
}

func TestSlaveHasWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	for _, sync := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New()
			m := master(t, n, vfs.NewMem(vfs.MemOptions{}), sync, MasterOptions{})
			end := put(t, m.store, "alone")
			began := time.Now()
			if st := replicated(m.store, end, sync, 3*time.Second); st != storage.SlaveTimeout || time.Since(began) < 3*time.Second {
				t.Fatalf("without a slave: status %v after %v", st, time.Since(began))
			}
			s := slave(t, n, vfs.NewMem(vfs.MemOptions{}), sync)
			rng := rand.New(rand.NewPCG(1, 2))
			for range 60 {
				end = put(t, m.store, bodies(rng, 1+rng.IntN(10))...)
				if st := replicated(m.store, end, sync, 3*time.Second); st != storage.Durable {
					t.Fatalf("status %v", st)
				}
				if s.store.Appended() < end || sync && s.store.Flushed() < end {
					t.Fatalf("acknowledged up to %d, the slave has %d, on disk %d", end, s.store.Appended(), s.store.Flushed())
				}
			}
			list := m.ma.Slaves()
			if len(list) != 1 || list[0].Acked != end || !list[0].InSync || !s.slave.State().Connected {
				t.Fatalf("slaves %+v", list)
			}
			synctest.Wait()
			sameLogs(t, m, s)
			for id := range int32(2) {
				if a, b := m.store.Queue("T", id), s.store.Queue("T", id); a.Max() != b.Max() || a.Max() == 0 {
					t.Fatalf("queue %d ends at %d and %d", id, a.Max(), b.Max())
				}
			}
			s.close()
			m.close()
		})
	}
}

// Either side dies again and again, by kill or power cut. What was acknowledged with a copy is in both logs in the end, and
// the logs are the same.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 7))
				n := memnet.New()
				m := master(t, n, vfs.NewMem(vfs.MemOptions{}), true, MasterOptions{})
				s := slave(t, n, vfs.NewMem(vfs.MemOptions{}), true)
				acked := map[record.Offset]string{}
				serial := 0
				for range 12 {
					for range rng.IntN(8) {
						serial++
						body := fmt.Sprintf("%d %s", serial, strings.Repeat("b", rng.IntN(4000)))
						var b storage.Batch
						_, err := b.Add(m.store.Queue("T", 0), message("T", body))
						must(t, err)
						must(t, m.store.Append(&b))
						_, off, _ := b.Result(0)
						if rng.IntN(2) > 0 && replicated(m.store, b.End(), true, 20*time.Second) == storage.Durable {
							acked[off] = body
						}
					}
					mode := vfs.ProcessKill
					if rng.IntN(2) > 0 {
						mode = vfs.PowerCut
					}
					time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
					if rng.IntN(2) > 0 {
						disk := m.crash(n, rng, mode)
						time.Sleep(time.Duration(rng.IntN(30)) * time.Second)
						m = master(t, n, disk, true, MasterOptions{})
					} else {
						disk := s.crash(n, rng, mode)
						time.Sleep(time.Duration(rng.IntN(30)) * time.Second)
						s = slave(t, n, disk, true)
					}
				}
				if st := replicated(m.store, put(t, m.store, "last"), true, time.Minute); st != storage.Durable {
					t.Fatalf("the last message: %v, slave %+v", st, s.slave.State())
				}
				time.Sleep(time.Second)
				sameLogs(t, m, s)
				for off, body := range acked {
					for _, x := range []*side{m, s} {
						rec, err := x.store.ReadAt(off, nil)
						must(t, err)
						var msg record.Message
						if _, err := record.Decode(rec, &msg, true); err != nil || string(msg.Body) != body {
							t.Fatalf("message at %d: %q %v", off, msg.Body, err)
						}
					}
				}
				s.close()
				m.close()
			})
		})
	}
}

func TestTwoCopiesNeedTwoSlaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		m := master(t, n, vfs.NewMem(vfs.MemOptions{}), false, MasterOptions{Copies: 2})
		a := slave(t, n, vfs.NewMem(vfs.MemOptions{}), false)
		end := put(t, m.store, "one")
		if st := replicated(m.store, end, false, 3*time.Second); st != storage.SlaveTimeout {
			t.Fatalf("with one slave: %v", st)
		}
		b := slave(t, n, vfs.NewMem(vfs.MemOptions{}), false)
		if st := replicated(m.store, end, false, 3*time.Second); st != storage.Durable {
			t.Fatalf("with two slaves: %v", st)
		}
		a.close()
		b.close()
		m.close()
	})
}

func TestEmptySlaveBeginsWithTheNewestFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		m := master(t, n, vfs.NewMem(vfs.MemOptions{}), false, MasterOptions{})
		put(t, m.store, bodies(rand.New(rand.NewPCG(1, 1)), 40)...)
		s := slave(t, n, vfs.NewMem(vfs.MemOptions{}), false)
		time.Sleep(time.Second)
		want := m.store.Appended() - m.store.Appended()%segment
		if s.store.MinOffset() != want || want == 0 {
			t.Fatalf("the slave begins at %d, want %d", s.store.MinOffset(), want)
		}
		sameLogs(t, m, s)
		s.close()
		m.close()
	})
}

// talk connects to the master as a slave that the test plays.
func talk(tb testing.TB, n *memnet.Network) net.Conn {
	tb.Helper()
	c, err := n.Host("10.0.0.3").Dial(context.Background(), "tcp", haAddr)
	must(tb, err)
	return c
}

func TestMasterRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		say  func(end record.Offset) []byte
		then func(end record.Offset) []byte
	}{
		"a slave that is ahead":      {say: func(end record.Offset) []byte { return appendReport(nil, end+1) }},
		"a negative offset":          {say: func(record.Offset) []byte { return appendReport(nil, -1) }},
		"the controller mode":        {say: func(record.Offset) []byte { return []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2} }},
		"the controller mode, flags": {say: func(record.Offset) []byte { return []byte{0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2} }},
		"half of such a handshake":   {say: func(record.Offset) []byte { return []byte{0, 0, 0, 1, 0, 0, 0, 0} }},
		"reports of what was not sent": {
			say:  func(end record.Offset) []byte { return appendReport(nil, end) },
			then: func(end record.Offset) []byte { return appendReport(nil, end+1000) },
		},
		"reports that go backwards": {
			say:  func(end record.Offset) []byte { return appendReport(nil, end) },
			then: func(end record.Offset) []byte { return appendReport(nil, end-1) },
		},
		"silence": {say: func(record.Offset) []byte { return nil }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				m := master(t, n, vfs.NewMem(vfs.MemOptions{}), false, MasterOptions{})
				end := put(t, m.store, "one", "two")
				conn := talk(t, n)
				_, err := conn.Write(c.say(end))
				must(t, err)
				if c.then != nil {
					time.Sleep(time.Second)
					_, err = conn.Write(c.then(end))
					must(t, err)
				}
				got, err := readAll(conn, 30*time.Second)
				if err != nil || len(got) > 0 && c.then == nil {
					t.Fatalf("the connection is not closed (%v), or something was sent: %x", err, got)
				}
				synctest.Wait()
				if len(m.ma.Slaves()) != 0 || m.store.Replicated() > end {
					t.Fatalf("slaves %v, replicated %d", m.ma.Slaves(), m.store.Replicated())
				}
				must(t, conn.Close())
				m.close()
			})
		})
	}
}

// readAll reads until the other side closes; an error means that it did not in time.
func readAll(c net.Conn, limit time.Duration) (got []byte, err error) {
	must := c.SetReadDeadline(time.Now().Add(limit))
	if must != nil {
		return nil, must
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got, err
		}
		if err != nil {
			return got, nil //nolint:nilerr // any other end is what the test waits for
		}
	}
}

// The bytes are those that Java 5.3.3 sends (replication spec, section 10: V1 to V3, with other lengths).
func TestFramesOnTheWire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		m := master(t, n, vfs.NewMem(vfs.MemOptions{}), false, MasterOptions{Batch: 10_000})
		put(t, m.store, strings.Repeat("a", 9000), strings.Repeat("b", 9000))
		end := m.store.Appended()
		rd := m.store.RawReader()
		defer rd.Close()
		view := func(from, to record.Offset) []byte {
			p, err := rd.View(from, to)
			must(t, err)
			return bytes.Clone(p[:to-from])
		}
		frame := func(from, to record.Offset) []byte {
			return append(appendHeader(nil, from, int(to-from)), view(from, to)...)
		}
		alive := appendHeader(nil, end, 0)

		for first, want := range map[record.Offset][]byte{
			0:   frame(segment, end),
			100: bytes.Join([][]byte{frame(100, 10_100), frame(10_100, segment), frame(segment, end)}, nil),
			end: nil,
		} {
			conn := talk(t, n)
			_, err := conn.Write(appendReport(nil, first))
			must(t, err)
			got, _ := readAll(conn, 12*time.Second) // two signs of life, after 5 and 10 s
			if want = append(bytes.Clone(want), append(alive, alive...)...); !bytes.Equal(got, want) {
				t.Errorf("report %d: %d bytes, want %d", first, len(got), len(want))
			}
			must(t, conn.Close())
		}
		m.close()
	})
}

func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		m := master(t, n, vfs.NewMem(vfs.MemOptions{}), false, MasterOptions{BytesPerSecond: 10_000})
		s := slave(t, n, vfs.NewMem(vfs.MemOptions{}), false)
		time.Sleep(time.Second)
		began := time.Now()
		end := put(t, m.store, bodies(rand.New(rand.NewPCG(3, 3)), 30)...)
		for s.store.Appended() < end {
			time.Sleep(100 * time.Millisecond)
		}
		if took, want := time.Since(began), time.Duration(end)*time.Second/10_000; took < want-2*time.Second || took > want+2*time.Second {
			t.Fatalf("%d bytes took %v, want %v", end, took, want)
		}
		s.close()
		m.close()
	})
}
