package tablefeed_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/broker/tablefeed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// master is a table that counts and a feed of it.
type master struct {
	*tablefeed.Feed
	mu sync.Mutex
	n  uint64
}

func newMaster() *master {
	m := &master{}
	m.Feed = tablefeed.New(tablefeed.Options{
		State: func() []byte {
			m.mu.Lock()
			defer m.mu.Unlock()
			return tablefeed.AppendEntry(nil, tablefeed.Topics, binary.BigEndian.AppendUint64(nil, m.n))
		},
		End: func() int64 { return 7 },
	})
	return m
}

func (m *master) set(n uint64, urgent bool) {
	m.mu.Lock()
	m.n = n
	m.mu.Unlock()
	m.Add(tablefeed.Topics, binary.BigEndian.AppendUint64(nil, n), urgent)
}

// slave asks.
type slave struct {
	t    testing.TB
	m    *master
	q    tablefeed.Question
	part []byte
	n    uint64
	full int // how often it got the full state
}

func newSlave(tb testing.TB, m *master) *slave {
	tb.Helper()
	return &slave{t: tb, m: m, q: tablefeed.Question{Follower: rand.Uint64(), Wait: 10 * time.Second}}
}

// ask asks once and returns how long the answer took.
func (s *slave) ask() time.Duration {
	s.t.Helper()
	begin := time.Now()
	answer := make(chan []byte, 1)
	if err := s.m.Serve(s.q.AppendTo(nil), func(b []byte) { answer <- b }); err != nil {
		s.t.Fatal(err)
	}
	var a tablefeed.Answer
	if err := a.Decode(<-answer); err != nil {
		s.t.Fatal(err)
	}
	take := func(b []byte) {
		if err := tablefeed.Each(b, func(_ tablefeed.Source, rec []byte) error {
			s.n = binary.BigEndian.Uint64(rec)
			return nil
		}); err != nil {
			s.t.Fatal(err)
		}
	}
	switch a.Kind {
	case tablefeed.KindNothing:
	case tablefeed.KindEntries:
		if a.Stream != s.q.Stream || a.End != 7 {
			s.t.Fatalf("%+v", a)
		}
		take(a.Entries)
		s.q.Received, s.q.Applied = a.Next, a.Next
	case tablefeed.KindState:
		if a.At == 0 {
			s.part = nil
		}
		s.part = append(s.part, a.Entries...)
		s.q.Stream, s.q.State, s.q.StateHave = a.Stream, a.State, uint64(len(s.part))
		if s.q.StateHave == a.Total {
			take(s.part)
			s.q.State, s.q.StateHave, s.q.Received, s.q.Applied = 0, 0, a.Next, a.Next
			s.full++
		}
	}
	return time.Since(begin)
}

func (s *slave) want(n uint64) {
	s.t.Helper()
	if s.n != n {
		s.t.Errorf("the slave has %d, want %d", s.n, n)
	}
}

func TestQuestionsAreAnsweredWhenSomethingChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMaster()
		m.set(1, false) // nobody follows
		s := newSlave(t, m)
		s.ask()
		s.want(1)
		if d := s.ask(); d != 10*time.Second || s.n != 1 {
			t.Errorf("a question without an answer waits %v", d)
		}
		for i := range uint64(3) {
			time.AfterFunc(time.Second, func() { m.set(2+i, false) })
			if d := s.ask(); d != time.Second {
				t.Errorf("an answer comes after %v", d)
			}
			s.want(2 + i)
		}
		// What comes right after an answer waits a little, together with what follows.
		answers := 0
		for i := range uint64(100) {
			time.AfterFunc(time.Duration(i)*time.Millisecond, func() { m.set(100+i, false) })
		}
		for begin := time.Now(); time.Since(begin) < 200*time.Millisecond; answers++ {
			s.q.Wait = 100 * time.Millisecond
			s.ask()
		}
		s.want(199)
		if answers > 9 {
			t.Errorf("%d answers in 200 ms", answers)
		}
		s.q.Wait = 10 * time.Second
		m.set(200, false)
		s.ask()
		m.set(201, true)
		if d := s.ask(); d != 0 {
			t.Errorf("what is urgent waits %v", d)
		}
		s.want(201)
		if s.full != 1 {
			t.Errorf("%d full states", s.full)
		}
		m.Close()
		if err := m.Serve(s.q.AppendTo(nil), nil); err == nil {
			t.Error("served after the end")
		}
	})
}

func TestASlaveThatIsTooFarBehindGetsTheFullState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMaster()
		defer m.Close()
		s := newSlave(t, m)
		s.ask()
		for i := range uint64(300_000) { // 3 MB
			m.set(i, false)
		}
		for s.n < 299_999 {
			s.ask()
		}
		if s.full != 1 {
			t.Errorf("%d full states although all is kept", s.full)
		}
		for i := range uint64(2_000_000) {
			m.set(i, false)
		}
		s.ask()
		s.want(1_999_999)
		if s.full != 2 {
			t.Errorf("%d full states", s.full)
		}
		m.Add(tablefeed.Topics, make([]byte, 5<<20), false) // too much for an answer
		s.ask()
		if s.full != 3 {
			t.Errorf("%d full states", s.full)
		}
		// A master that nobody asks for a minute stops collecting.
		time.Sleep(3 * time.Minute)
		if m.On() {
			t.Error("it collects for nobody")
		}
		m.set(5, false)
		s.ask()
		s.want(5)
		if s.full != 4 {
			t.Errorf("%d full states", s.full)
		}
		// Positions that the stream never had.
		s.q.Received += 1000
		s.ask()
		if s.full != 5 {
			t.Errorf("%d full states", s.full)
		}
	})
}

// TestSlavesEndWithTheSameTable: whatever is lost on the way and asked again.
func TestSlavesEndWithTheSameTable(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				m := newMaster()
				defer m.Close()
				a, b := newSlave(t, m), newSlave(t, m)
				for i := range uint64(400) {
					m.set(i, rng.IntN(5) == 0)
					for _, s := range []*slave{a, b} {
						if rng.IntN(3) == 0 {
							old, had := s.q, s.n
							s.q.Wait = 5 * time.Millisecond
							s.ask()
							if rng.IntN(4) == 0 { // the answer was lost
								s.q, s.n, s.part = old, had, nil
								s.q.State, s.q.StateHave = 0, 0
							}
						}
					}
					time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
				}
				for _, s := range []*slave{a, b} {
					s.q.Wait = 100 * time.Millisecond
					for range 3 {
						s.ask()
					}
					s.want(399)
				}
			})
		})
	}
}

func TestChangesWaitForSlavesThatAreInStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMaster()
		defer m.Close()
		wait := func(applied bool) time.Duration {
			begin := time.Now()
			m.Await(applied, 100*time.Millisecond)
			return time.Since(begin)
		}
		if d := wait(false); d != 0 {
			t.Errorf("waits %v for nobody", d)
		}
		s := newSlave(t, m)
		s.ask()
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			for range 2 {
				s.ask()
			}
		}()
		synctest.Wait()
		m.set(1, true)
		if d := wait(false); d != 0 {
			t.Errorf("waits %v for a slave that asks again at once", d)
		}
		synctest.Wait()
		m.set(2, true) // this one answers the second question, and no third comes
		if d := wait(false); d != 100*time.Millisecond {
			t.Errorf("waits %v", d)
		}
		m.set(3, true)
		if d := wait(false); d != 0 {
			t.Errorf("waits %v again for a slave that is late", d)
		}
		<-asked
		s.ask() // it is in step again once it has all that was waited for
		tell := s.q
		tell.Tell = true
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(m.Serve(tell.AppendTo(nil), func([]byte) {}))
		m.set(4, true)
		tell.Received += 10
		time.AfterFunc(30*time.Millisecond, func() { must(m.Serve(tell.AppendTo(nil), func([]byte) {})) })
		if d := wait(false); d != 30*time.Millisecond {
			t.Errorf("waits %v for a report", d)
		}
		if d := wait(true); d != 100*time.Millisecond {
			t.Errorf("waits %v for what is not applied", d)
		}
	})
}

func TestHostileQuestions(t *testing.T) {
	t.Parallel()
	m := newMaster()
	defer m.Close()
	good := (&tablefeed.Question{Follower: 1}).AppendTo(nil)
	for _, b := range [][]byte{nil, good[:len(good)-1], append(bytes.Clone(good), 0), append([]byte{9}, good[1:]...)} {
		if err := m.Serve(b, func([]byte) { t.Error("answered") }); err == nil {
			t.Errorf("%d bytes are taken", len(b))
		}
	}
	refused := false
	for i := range uint64(1000) { // each says that it is another slave
		q := tablefeed.Question{Follower: i, Stream: i, Received: 1 << 63, State: i % 2, StateHave: 1 << 62}
		if err := m.Serve(q.AppendTo(nil), func(b []byte) {
			var a tablefeed.Answer
			if err := a.Decode(b); err != nil {
				t.Error(err)
			}
		}); err != nil {
			refused = true
		}
	}
	if !refused {
		t.Error("a thousand slaves are served")
	}
}

func TestOneQuestionOfASlaveWaits(t *testing.T) {
	t.Parallel()
	m := newMaster()
	s := newSlave(t, m)
	s.ask()
	answers := 0
	for range 1000 {
		if err := m.Serve(s.q.AppendTo(nil), func([]byte) { answers++ }); err != nil {
			t.Fatal(err)
		}
	}
	if answers != 999 {
		t.Errorf("%d of 1000 questions are answered", answers)
	}
	m.Close()
	if answers != 1000 {
		t.Error("the last question is not answered at the end")
	}
}

func FuzzAnswer(f *testing.F) {
	m := newMaster()
	defer m.Close()
	q := tablefeed.Question{Follower: 1}
	if err := m.Serve(q.AppendTo(nil), func(b []byte) { f.Add(b) }); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{1, 0})
	f.Add(append(append([]byte{1, 1}, make([]byte, 24)...), 1, 200, 1, 2))
	f.Fuzz(func(_ *testing.T, b []byte) {
		var a tablefeed.Answer
		if a.Decode(b) == nil {
			_ = tablefeed.Each(a.Entries, func(tablefeed.Source, []byte) error { return nil })
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	m := newMaster()
	defer m.Close()
	rec := make([]byte, 40)
	b.Run("nobody", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Add(tablefeed.Offsets, rec, false)
		}
	})
	q := tablefeed.Question{Follower: 1, Wait: time.Hour}
	if err := m.Serve(q.AppendTo(nil), func([]byte) {}); err != nil {
		b.Fatal(err)
	}
	b.Run("a slave", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Add(tablefeed.Offsets, rec, false)
		}
	})
}
