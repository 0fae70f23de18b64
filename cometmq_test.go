package cometmq_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq"
	"github.com/cometmq/cometmq/internal/bench"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// many is for a run by hand; the gate makes do with fewer.
var many = flag.Int("servers", 40, "how many servers TestManyServersLeaveNothing starts")

func start(t *testing.T, opts ...cometmq.Option) *cometmq.Server {
	t.Helper()
	s, err := cometmq.Start(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, s *cometmq.Server, m cometmq.Message) cometmq.Receipt {
	t.Helper()
	r, err := s.Send(t.Context(), m)
	must(t, err)
	return r
}

func receive(t *testing.T, s *cometmq.Server, group, topic string) *cometmq.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := s.Receive(ctx, group, topic, time.Minute)
	must(t, err)
	return d
}

func TestAMessageComesWithAllThatItWasSentWith(t *testing.T) {
	t.Parallel()
	s := start(t, cometmq.WithTopics("T"))
	m := cometmq.Message{Topic: "T", Body: []byte("body"), Tag: "a", Keys: []string{"k1", "k2"}, Properties: map[string]string{"color": "red"}}
	r := send(t, s, m)
	d := receive(t, s, "G", "T")
	if string(d.Body) != "body" || d.Tag != "a" || !slices.Equal(d.Keys, m.Keys) || d.Properties["color"] != "red" || d.Topic != "T" ||
		d.ID != r.ID || d.ID == "" || d.Queue != r.Queue || d.Offset != r.Offset || d.Attempt != 1 || d.Stored.Before(d.Born) {
		t.Errorf("sent as %+v, came as %+v", r, d)
	}
	must(t, d.Ack(t.Context()))
}

func TestAMessageWithoutAckComesAgain(t *testing.T) {
	t.Parallel()
	s := start(t, cometmq.WithTopics("T"))
	send(t, s, cometmq.Message{Topic: "T", Body: []byte("x")})
	first := receive(t, s, "G", "T")
	must(t, first.Retry(t.Context(), time.Second))
	second := receive(t, s, "G", "T")
	if second.ID != first.ID || second.Attempt != 2 {
		t.Errorf("came again as %+v, was %+v", second, first)
	}
	if err := first.Ack(t.Context()); err == nil {
		t.Error("an old delivery was acknowledged")
	}
	must(t, second.Ack(t.Context()))
}

func TestMessagesOfASequenceKeepTheirOrder(t *testing.T) {
	t.Parallel()
	s := start(t, cometmq.WithTopic(cometmq.Topic{Name: "F", Queues: 8, Type: "FIFO"}), cometmq.WithGroup(cometmq.Group{Name: "G", FIFO: true}))
	queue := -1
	for _, b := range []string{"1", "2", "3"} {
		r := send(t, s, cometmq.Message{Topic: "F", Body: []byte(b), Sequence: "order-7"})
		if queue >= 0 && queue != r.Queue {
			t.Errorf("%s went to queue %d, the one before to %d", b, r.Queue, queue)
		}
		queue = r.Queue
	}
	for _, want := range []string{"1", "2", "3"} {
		d := receive(t, s, "G", "F")
		if string(d.Body) != want || d.Sequence != "order-7" {
			t.Errorf("got %q of %q, want %q", d.Body, d.Sequence, want)
		}
		must(t, d.Ack(t.Context()))
	}
}

func TestClientsReachTheServer(t *testing.T) {
	t.Parallel()
	s := start(t, cometmq.WithTopics("T"))
	c, err := bench.NewSender(t.Context(), s.Dial, s.NamesrvAddr(), "T")
	must(t, err)
	defer c.Close()
	_, err = c.Send(bench.Outgoing{Body: []byte("from outside")})
	must(t, err)
	if d := receive(t, s, "G", "T"); string(d.Body) != "from outside" {
		t.Errorf("got %q", d.Body)
	}
}

func TestADirectoryKeepsMessages(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "store")
	small := []cometmq.Option{
		cometmq.WithDir(dir), cometmq.WithTopics("T"), cometmq.WithSetting("mappedFileSizeCommitLog", "1048576"),
		cometmq.WithSetting("maxHashSlotNum", "100"), cometmq.WithSetting("maxIndexNum", "400"),
	}
	s := start(t, small...)
	r := send(t, s, cometmq.Message{Topic: "T", Body: []byte("kept")})
	must(t, s.Shutdown(t.Context()))
	must(t, s.Shutdown(t.Context())) // a second time is no harm
	if _, err := s.Send(t.Context(), cometmq.Message{Topic: "T"}); !errors.Is(err, cometmq.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	s = start(t, small...)
	if d := receive(t, s, "G", "T"); d.ID != r.ID {
		t.Errorf("got %+v, want %+v", d, r)
	}
}

func TestReceiveEnds(t *testing.T) {
	t.Parallel()
	s := start(t, cometmq.WithTopics("T"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Receive(ctx, "G", "T", time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	ended := make(chan error)
	go func() {
		_, err := s.Receive(context.Background(), "G", "T", time.Minute)
		ended <- err
	}()
	must(t, s.Shutdown(t.Context()))
	if err := <-ended; !errors.Is(err, cometmq.ErrClosed) {
		t.Errorf("after Shutdown: %v", err)
	}
}

func TestABadOptionIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		opt        cometmq.Option
	}{
		{"port", "WithPorts(70000, 1)", cometmq.WithPorts(70000, 1)},
		{"host", `WithHost("here")`, cometmq.WithHost("here")},
		{"setting", "maxMessageSize", cometmq.WithSetting("maxMessageSize", "many")},
		{"topic", "topic a b", cometmq.WithTopics("a b")},
		{"type", "topic T: value is not in set", cometmq.WithTopic(cometmq.Topic{Name: "T", Type: "ODD"})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := cometmq.Start(t.Context(), c.opt)
			if err == nil {
				_ = s.Shutdown(t.Context())
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: want %q in it", err, c.want)
			}
		})
	}
}

// TestManyServersLeaveNothing starts and stops servers with real sockets in one process; goleak of TestMain sees the goroutines.
func TestManyServersLeaveNothing(t *testing.T) {
	var times []time.Duration
	round := func() {
		began := time.Now()
		s, err := cometmq.Start(t.Context(), cometmq.WithTopics("T"), cometmq.WithGroups("G"))
		must(t, err)
		times = append(times, time.Since(began))
		send(t, s, cometmq.Message{Topic: "T", Body: []byte("x")})
		must(t, s.Shutdown(t.Context()))
	}
	round() // what a process opens once
	before, heap := descriptors(), live()
	for range *many {
		round()
	}
	// One server that something holds on to would be some megabytes.
	if grown := live() - heap; grown > int64(*many)*(100<<10) {
		t.Errorf("%d bytes more in use after %d servers", grown, *many)
	}
	after := descriptors()
	for end := time.Now().Add(30 * time.Second); after > before && time.Now().Before(end); after = descriptors() {
		time.Sleep(10 * time.Millisecond) // the poller lets go of a socket a moment after its last user
	}
	if after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	slices.Sort(times)
	t.Logf("%d starts: median %v, slowest %v", len(times), times[len(times)/2], times[len(times)-1])
}

// live is what is in use after a collection; what pools keep goes with the second one.
func live() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// descriptors is how many files this process has open, 0 where that cannot be told.
func descriptors() int {
	l, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(l)
}
