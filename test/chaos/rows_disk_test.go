package chaos

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/test/history"
)

const (
	damagedFiles = "One broker, started on damaged files"
	promDamage   = "loses the messages whose own bytes are harmed (not counted here), no other one, and no committed offset"
)

func diskRows() []row {
	harm := func(name, what string, times int, f func(s *specimen, dir string)) row {
		return row{
			name: name, what: what, deployment: damagedFiles, promise: promDamage, keeps: true, times: times,
			run: func(x *trial) { x.damage(f) },
		}
	}
	return []row{
		harm("tail-zeroed", "log zeroed from a random byte of its last 100 messages on", 20, (*specimen).zeroTail),
		harm("tail-torn", "sectors of the last 32 KiB of the log lost at random", 20, (*specimen).tearTail),
		harm("tail-half-made", "the next log file is there, empty, cut or full of zeros", 6, (*specimen).halfMade),
		harm("flip-log", "one bit flipped in the log", 20, (*specimen).flipLog),
		harm("flip-queue", "one bit flipped in a consume queue", 20, func(s *specimen, dir string) { s.flipIn(dir, "consumequeue") }),
		harm("flip-index", "one bit flipped in the key index", 20, func(s *specimen, dir string) { s.flipIn(dir, "index") }),
		harm("flip-checkpoint", "one bit flipped in the checkpoint", 20, func(s *specimen, dir string) { s.flipIn(dir, "checkpoint") }),
		harm("flip-json", "one bit flipped in a JSON file of config/, each in turn; the .bak is there", 30, (*specimen).flipJSON),
		harm("cut-json", "a JSON file of config/ cut at a byte, each in turn; the .bak is there. Ours is cut at each byte in crash-table.md", 40, (*specimen).cutJSON),
	}
}

// specimen is the store of a broker that took some thousand messages and was killed or stopped.
type specimen struct {
	x      *trial
	w      *world
	b      *host
	load   *history.Load
	clean  string // directory with the store, never touched
	sizes  int64  // of a log file
	msgs   []placed
	end    int64 // of the log
	round  int
	harmed map[placed]bool
	done   string // what was done to it
}

// placed is a message with its place in the log.
type placed struct {
	queue  int32
	number int64
	at     int64
	size   int64
}

const (
	harmGroup = "harm_g"
	harmAt    = 100 // committed offset of each queue
)

// damage starts a broker on a damaged copy of its store, again and again.
func (x *trial) damage(f func(s *specimen, dir string)) {
	s := &specimen{x: x, sizes: 256 << 10}
	s.fill()
	refused, silent := 0, 0
	for s.round = range x.times {
		s.restore()
		s.harmed = map[placed]bool{}
		f(s, s.b.store)
		start := time.Now()
		s.b.Start()
		if !s.up() {
			refused++
			s.b.Kill()
			continue
		}
		v := s.look()
		x.out.Again = append(x.out.Again, time.Since(start).Seconds())
		x.out.Faults++
		x.out.Add(v)
		if v.Lost+v.MovedBack > 0 {
			silent++
			x.Logf("case %d: %s: %v", s.round, s.done, v)
		}
		s.b.Kill()
	}
	x.out.Faults += refused
	x.out.Note = fmt.Sprintf("refused to start %d times; other messages or offsets lost in %d cases; again: from the start until all is read", refused, silent)
}

// fill makes the store: messages, a group with committed offsets, groups and topics in the tables.
func (s *specimen) fill() {
	x := s.x
	s.w = newWorld(x.T, x.kind, false, 1)
	s.b = s.w.broker(0, map[string]string{"mappedFileSizeCommitLog": fmt.Sprint(s.sizes), "flushDiskType": "SYNC_FLUSH"})
	s.w.topic(s.b, "chaos", 4)
	s.load = history.NewLoad("chaos", 4, at(s.b))
	s.load.Retry, s.load.Window, s.load.Size = true, 16, 200
	ctx, stop := context.WithCancel(x.Context())
	done := make(chan struct{})
	go func() { s.load.Run(ctx); close(done) }()
	for s.load.Acked.Load() < 3000 {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	<-done
	c := s.dial()
	if err := c.Heartbeat("harm-client", harmGroup, "chaos"); err != nil {
		x.Fatal(err)
	}
	for q := range int32(4) {
		r, err := c.Call(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{
			ConsumerGroup: harmGroup, Topic: "chaos", QueueID: q, CommitOffset: harmAt,
		}, nil)
		if err != nil || r.Err() != nil {
			x.Fatal(err, r)
		}
	}
	c.Close()
	time.Sleep(6 * time.Second) // Java writes its tables every 5 s
	if err := s.b.Stop(time.Minute); err != nil {
		x.Fatal(err)
	}
	s.b.again() // so that each table has been written twice: there is a .bak
	c = s.dial()
	for q := range int32(4) {
		_, _ = c.Call(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{
			ConsumerGroup: harmGroup, Topic: "chaos", QueueID: q, CommitOffset: harmAt + 1,
		}, nil)
	}
	_ = c.CreateTopic("another", 2)
	c.Close()
	time.Sleep(6 * time.Second)
	s.b.Kill()
	s.clean = filepath.Join(s.w.dir, "clean")
	s.copyTo(s.b.store, s.clean)
	s.parse()
}

func (s *specimen) dial() *bench.Client {
	ctx, cancel := context.WithTimeout(s.x.Context(), 20*time.Second)
	s.x.Cleanup(cancel)
	var c *bench.Client
	until(s.x.T, 20*time.Second, "dial", func() (err error) {
		c, err = bench.Dial(ctx, nil, s.b.addr, protocol.JSON)
		return err
	})
	return c
}

func (s *specimen) copyTo(from, to string) {
	if out, err := exec.Command("cp", "-a", "--sparse=always", from, to).CombinedOutput(); err != nil {
		s.x.Fatalf("%v %s", err, out)
	}
}

func (s *specimen) restore() {
	if err := os.RemoveAll(s.b.store); err != nil {
		s.x.Fatal(err)
	}
	s.copyTo(s.clean, s.b.store)
}

// parse finds the place of each message in the log.
func (s *specimen) parse() {
	for _, name := range s.logFiles(s.clean) {
		p, err := os.ReadFile(name)
		if err != nil {
			s.x.Fatal(err)
		}
		var base int64
		_, _ = fmt.Sscanf(filepath.Base(name), "%d", &base)
		for at := 0; at+8 < len(p); {
			size := int(binary.BigEndian.Uint32(p[at:]))
			var m record.Message
			if size < 28 || at+size > len(p) {
				break
			}
			if _, err := record.Decode(p[at:at+size], &m, true); err == nil {
				s.end = base + int64(at+size)
				if string(m.Topic) == "chaos" {
					s.msgs = append(s.msgs, placed{m.QueueID, int64(binary.BigEndian.Uint64(m.Body)), base + int64(at), int64(size)})
				}
			}
			at += size
		}
	}
	if len(s.msgs) < 3000 {
		s.x.Fatalf("%d messages in the log", len(s.msgs))
	}
}

func (s *specimen) logFiles(store string) []string {
	list, err := filepath.Glob(filepath.Join(store, "commitlog", strings.Repeat("[0-9]", 20)))
	if err != nil {
		s.x.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// harm notes that the log from a to b is not what it was.
func (s *specimen) harm(a, b int64) {
	for _, m := range s.msgs {
		if m.at < b && a < m.at+m.size {
			s.harmed[m] = true
		}
	}
}

// edit changes bytes of a file and not its time.
func (s *specimen) edit(name string, f func(p []byte) []byte) {
	st, err := os.Stat(name)
	if err != nil {
		s.x.Fatal(err)
	}
	p, err := os.ReadFile(name)
	if err != nil {
		s.x.Fatal(err)
	}
	old := slices.Clone(p)
	p = f(p)
	s.done = fmt.Sprintf("%s, %d bytes", name, len(p))
	for i := range min(len(p), len(old)) {
		if p[i] != old[i] {
			s.done = fmt.Sprintf("%s at %d: %02x, was %02x", name, i, p[i], old[i])
			break
		}
	}
	if err := os.WriteFile(name, p, 0o644); err != nil {
		s.x.Fatal(err)
	}
	_ = os.Chtimes(name, st.ModTime(), st.ModTime())
}

// logAt changes the log from a to b, over files.
func (s *specimen) logAt(dir string, a, b int64, f func(p []byte)) {
	s.harm(a, b)
	for _, name := range s.logFiles(dir) {
		var base int64
		_, _ = fmt.Sscanf(filepath.Base(name), "%d", &base)
		s.edit(name, func(p []byte) []byte {
			from, to := max(a-base, 0), min(b-base, int64(len(p)))
			if from < to {
				f(p[from:to])
			}
			return p
		})
	}
}

func (s *specimen) zeroTail(dir string) {
	m := s.msgs[len(s.msgs)-1-rand.IntN(100)]
	s.logAt(dir, m.at+rand.Int64N(m.size), s.end+s.sizes, func(p []byte) { clear(p) })
}

func (s *specimen) tearTail(dir string) {
	for a := (s.end - 32<<10) / 512 * 512; a < s.end; a += 512 {
		if rand.IntN(4) == 0 {
			s.logAt(dir, a, a+512, func(p []byte) { clear(p) })
		}
	}
}

func (s *specimen) halfMade(dir string) {
	files := s.logFiles(dir)
	var base int64
	_, _ = fmt.Sscanf(filepath.Base(files[len(files)-1]), "%d", &base)
	size := []int64{0, s.sizes / 2, s.sizes}[s.round%3]
	if base > s.end { // it is there already, made in advance
		base -= s.sizes
	}
	name := filepath.Join(dir, "commitlog", fmt.Sprintf("%020d", base+s.sizes))
	if err := os.WriteFile(name, make([]byte, size), 0o644); err != nil {
		s.x.Fatal(err)
	}
}

func (s *specimen) flipLog(dir string) {
	m := s.msgs[rand.IntN(len(s.msgs))]
	a := m.at + rand.Int64N(m.size)
	s.logAt(dir, a, a+1, func(p []byte) { p[0] ^= 1 << rand.IntN(8) })
}

// flipIn flips a bit of what is not zero in one of the files below a place.
func (s *specimen) flipIn(dir, below string) {
	var names []string
	_ = filepath.WalkDir(filepath.Join(dir, below), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, path)
		}
		return nil
	})
	if len(names) == 0 {
		s.x.Fatalf("no file in %s", below)
	}
	s.edit(names[rand.IntN(len(names))], func(p []byte) []byte {
		used := len(p)
		for used > 0 && p[used-1] == 0 {
			used--
		}
		if used > 0 {
			p[rand.IntN(used)] ^= 1 << rand.IntN(8)
		}
		return p
	})
}

func (s *specimen) jsons(dir string) []string {
	list, err := filepath.Glob(filepath.Join(dir, "config", "*.json"))
	if err != nil || len(list) == 0 {
		s.x.Fatal("no JSON files", err)
	}
	return list
}

func (s *specimen) flipJSON(dir string) {
	list := s.jsons(dir)
	s.edit(list[s.round%len(list)], func(p []byte) []byte {
		if len(p) > 0 {
			p[rand.IntN(len(p))] ^= 1 << rand.IntN(8)
		}
		return p
	})
}

func (s *specimen) cutJSON(dir string) {
	list := s.jsons(dir)
	s.edit(list[s.round%len(list)], func(p []byte) []byte { return p[:rand.IntN(len(p)+1)] })
}

// up waits until the broker answers.
func (s *specimen) up() bool {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if over, _ := s.b.Exited(); over {
			return false
		}
		if c, err := net.DialTimeout("tcp", s.b.direct, time.Second); err == nil {
			c.Close()
			return true
		}
	}
	return false
}

// look reads what the broker gives back and compares.
func (s *specimen) look() history.Verdict {
	v := history.Verdict{}
	got := map[placed]int{}
	known := map[placed]placed{}
	for _, m := range s.msgs {
		known[placed{queue: m.queue, number: m.number}] = m
	}
	for q := range int32(4) {
		last := int64(-1)
		s.readQueue(q, func(n int64) {
			m, ok := known[placed{queue: q, number: n}]
			if !ok {
				v.Phantom++
				return
			}
			if got[m]++; got[m] > 1 {
				v.Duplicates++
			} else if n < last-int64(s.load.Window) {
				v.Inverted++
			}
			last = max(last, n)
		})
	}
	for _, m := range s.msgs {
		if s.harmed[m] {
			continue
		}
		v.Acked++
		if got[m] == 0 {
			v.Lost++
		}
	}
	c := s.dial()
	defer c.Close()
	for q := range int32(4) {
		r, err := c.Call(protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{ConsumerGroup: harmGroup, Topic: "chaos", QueueID: q}, nil)
		if err != nil {
			v.MovedBack++
			continue
		}
		if off, err := r.Int("offset"); r.Code != 0 || err != nil || off < harmAt {
			v.MovedBack++
		}
	}
	return v
}

// readQueue shows the numbers that a queue gives back; what cannot be read is passed over.
func (s *specimen) readQueue(q int32, show func(n int64)) {
	const patience = 400 // positions that give nothing
	c := s.dial()
	defer func() { c.Close() }()
	lo, hi, err := c.Bounds("chaos", int(q))
	if err != nil {
		return
	}
	for at, bad := lo, 0; at < hi && bad < patience; {
		next, err := c.Pull("chaos", int(q), at, 32, 0, func(_ int64, rec []byte) error {
			var m record.Message
			if _, err := record.Decode(rec, &m, true); err != nil {
				return nil //nolint:nilerr // a client that checks would pass over it
			}
			if len(m.Body) >= 9 {
				show(int64(binary.BigEndian.Uint64(m.Body)))
			}
			return nil
		})
		if err != nil {
			c.Close()
			c = s.dial()
		}
		if next <= at || err != nil {
			bad++
			next = at + 1
		}
		at = next
	}
}
