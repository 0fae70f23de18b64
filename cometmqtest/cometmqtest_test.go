package cometmqtest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq"
	"github.com/cometmq/cometmq/cometmqtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// virtual runs f in a bubble with a server.
func virtual(t *testing.T, f func(t *testing.T, s *cometmq.Server), opts ...cometmq.Option) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f(t, cometmqtest.Start(t, append(opts, cometmqtest.Virtual(), cometmq.WithTopics("T"))...))
	})
}

func receive(t *testing.T, s *cometmq.Server, invisible time.Duration) (*cometmq.Delivery, time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	began := time.Now()
	d, err := s.Receive(ctx, "G", "T", invisible)
	must(t, err)
	return d, time.Since(began)
}

// within: d is that long after what was asked for, at most.
func within(t *testing.T, what string, got, want, late time.Duration) {
	t.Helper()
	if got < want-time.Second || got > want+late {
		t.Errorf("%s after %v, want %v", what, got, want)
	}
}

func TestInvisibleTimePasses(t *testing.T) {
	virtual(t, func(t *testing.T, s *cometmq.Server) {
		_, err := s.Send(t.Context(), cometmq.Message{Topic: "T", Body: []byte("x")})
		must(t, err)
		first, _ := receive(t, s, 30*time.Minute)
		second, took := receive(t, s, time.Minute)
		within(t, "again", took, 30*time.Minute, 10*time.Second)
		if second.ID != first.ID || second.Attempt != 2 {
			t.Errorf("%+v came again as %+v", first, second)
		}
		must(t, second.Ack(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if d, err := s.Receive(ctx, "G", "T", time.Minute); err == nil {
			t.Errorf("came after its acknowledgement: %+v", d)
		}
	})
}

func TestADelayPasses(t *testing.T) {
	virtual(t, func(t *testing.T, s *cometmq.Server) {
		_, err := s.Send(t.Context(), cometmq.Message{Topic: "T", Body: []byte("x"), DeliverAt: time.Now().Add(time.Hour)})
		must(t, err)
		_, took := receive(t, s, time.Minute)
		within(t, "delivered", took, time.Hour, 10*time.Second)
	})
}

func TestAForgottenTransactionIsAskedAbout(t *testing.T) {
	virtual(t, func(t *testing.T, s *cometmq.Server) {
		var asked atomic.Int32
		began := time.Now()
		half, err := s.Begin(t.Context(), "P", cometmq.Message{Topic: "T", Body: []byte("x"), Tag: "a"}, func(_ context.Context, m cometmq.Message, id string) cometmq.Outcome {
			n := asked.Add(1)
			if string(m.Body) != "x" || m.Tag != "a" || m.Topic != "T" || id == "" {
				t.Errorf("asked about %+v, %q", m, id)
			}
			if n < 3 {
				return cometmq.Unknown
			}
			return cometmq.Commit
		})
		must(t, err)
		d, _ := receive(t, s, time.Minute)
		if asked.Load() != 3 || d.ID != half.ID || string(d.Body) != "x" {
			t.Errorf("asked %d times, got %+v for %+v", asked.Load(), d, half)
		}
		within(t, "committed", time.Since(began), 90*time.Second, time.Minute)
	})
}

func TestWhatWasRolledBackDoesNotCome(t *testing.T) {
	virtual(t, func(t *testing.T, s *cometmq.Server) {
		half, err := s.Begin(t.Context(), "P", cometmq.Message{Topic: "T", Body: []byte("no")}, nil)
		must(t, err)
		must(t, half.Rollback(t.Context()))
		kept, err := s.Begin(t.Context(), "P", cometmq.Message{Topic: "T", Body: []byte("yes")}, nil)
		must(t, err)
		must(t, kept.Commit(t.Context()))
		if d, _ := receive(t, s, time.Minute); string(d.Body) != "yes" {
			t.Errorf("got %q", d.Body)
		}
	})
}

func TestAMessageGoesToTheDeadLetters(t *testing.T) {
	virtual(t, func(t *testing.T, s *cometmq.Server) {
		_, err := s.Send(t.Context(), cometmq.Message{Topic: "T", Body: []byte("bad")})
		must(t, err)
		for attempt := 1; attempt <= 3; attempt++ {
			if d, _ := receive(t, s, 20*time.Minute); d.Attempt != attempt {
				t.Errorf("attempt %d, want %d", d.Attempt, attempt)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if d, again := s.Receive(ctx, "G", "T", time.Minute); !errors.Is(again, context.DeadlineExceeded) {
			t.Errorf("came once more: %+v, %v", d, again)
		}
		d, err := s.Receive(t.Context(), "undertaker", "%DLQ%G", time.Minute)
		must(t, err)
		if string(d.Body) != "bad" {
			t.Errorf("got %q", d.Body)
		}
	}, cometmq.WithGroup(cometmq.Group{Name: "G", MaxRetries: 2}))
}

func TestTheServerStopsWithTheTest(t *testing.T) {
	t.Parallel()
	var s *cometmq.Server
	t.Run("inner", func(t *testing.T) {
		s = cometmqtest.Start(t, cometmq.WithTopics("T"))
		c, err := s.Dial(t.Context(), "tcp", s.NamesrvAddr())
		must(t, err)
		must(t, c.Close())
	})
	// Its port may have another owner by now, so that nobody is to be asked there.
	if _, err := s.Send(t.Context(), cometmq.Message{Topic: "T"}); !errors.Is(err, cometmq.ErrClosed) {
		t.Errorf("after its test: %v", err)
	}
}
