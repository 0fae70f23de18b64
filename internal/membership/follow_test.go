package membership_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// fakeMaster answers a slave's questions.
type fakeMaster struct {
	mu     sync.Mutex
	java   bool
	broken bool
	asked  map[int32]int
	told   int
}

func (m *fakeMaster) count(code int32) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked[code]
}

func (m *fakeMaster) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *fakeMaster) Invoke(ctx context.Context, _ string, cmd *remoting.Command) (*remoting.Command, error) {
	m.mu.Lock()
	m.asked[cmd.Code]++
	java, broken := m.java, m.broken
	m.mu.Unlock()
	body := func(s string) (*remoting.Command, error) { return &remoting.Command{Body: []byte(s)}, nil }
	switch {
	case broken:
		return nil, errors.New("no connection")
	case cmd.Code == protocol.ReqFollowTables && !java:
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
		return body("answer to " + string(cmd.Body))
	case cmd.Code == protocol.ReqFollowTables:
		return &remoting.Command{Code: protocol.RespRequestCodeNotSupported}, nil
	case cmd.Code == protocol.ReqGetAllTopicConfig:
		return body(`{"dataVersion":{"counter":1},"topicConfigTable":{}}`)
	case cmd.Code == protocol.ReqGetAllSubscriptionGroupConfig:
		return body(`{"dataVersion":{"counter":1},"subscriptionGroupTable":{}}`)
	case cmd.Code == protocol.ReqGetBrokerRuntimeInfo:
		return body(`{"table":{"commitLogMaxOffset":"5"}}`)
	case cmd.Code == protocol.ReqGetTimerMetrics:
		return &remoting.Command{Code: protocol.RespSystemError, Remark: "no timers"}, nil
	}
	return body(fmt.Sprint("text of ", cmd.Code))
}

func (m *fakeMaster) Oneway(_ context.Context, _ string, cmd *remoting.Command) error {
	m.set(func() {
		if string(cmd.Body) == "report" {
			m.told++
		}
	})
	return nil
}

// fakeTables note what they are given.
type fakeTables struct {
	mu      sync.Mutex
	got     []string
	reports chan struct{}
	n       int
}

func (t *fakeTables) note(s string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got = append(t.got, s)
	return nil
}

func (t *fakeTables) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer func() { t.got = nil }()
	return t.got
}

func (t *fakeTables) FollowTopics([]mq.TopicConfig, mq.DataVersion) error { return t.note("topics") }

func (t *fakeTables) FollowGroups([]mq.GroupConfig, mq.DataVersion) error { return t.note("groups") }

func (t *fakeTables) FollowOffsets(b []byte) error { return t.note("offsets: " + string(b)) }

func (t *fakeTables) FollowDelays(b []byte) error { return t.note("delays: " + string(b)) }

func (t *fakeTables) FollowModes(b []byte) error { return t.note("modes: " + string(b)) }

func (t *fakeTables) FollowTimer(b []byte) error { return t.note("timer: " + string(b)) }

func (t *fakeTables) FollowTimerMetrics(b []byte) error { return t.note("metrics: " + string(b)) }

func (t *fakeTables) TakeTables(b []byte) error     { return t.note(string(b)) }
func (t *fakeTables) TableReports() <-chan struct{} { return t.reports }
func (t *fakeTables) TableReport() []byte           { return []byte("report") }
func (t *fakeTables) ForgetMaster()                 { _ = t.note("forget") }

func (t *fakeTables) TableQuestion() ([]byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	return fmt.Append(nil, "question ", t.n), true
}

func TestTablesAreFollowedByTheStreamOrAsJavaDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &fakeMaster{asked: map[int32]int{}}
		tables := &fakeTables{reports: make(chan struct{}, 1)}
		f := membership.NewFollower(membership.FollowerOptions{
			Client: m, Tables: tables, Copying: func() bool { return true }, End: func() mq.Offset { return 5 },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = f.Run(ctx) })
		defer wg.Wait()
		defer cancel()
		time.Sleep(time.Minute)
		if len(m.asked) > 0 {
			t.Fatal("somebody is asked although there is no master")
		}
		f.Follow("master")
		time.Sleep(10500 * time.Millisecond)
		got := tables.all()
		if len(got) < 10 || got[0] != "forget" || got[1] != "answer to question 1" || got[9] != "answer to question 9" {
			t.Errorf("%q", got)
		}
		tables.reports <- struct{}{}
		synctest.Wait()
		if m.told != 1 {
			t.Errorf("%d reports", m.told)
		}

		m.set(func() { m.broken = true })
		time.Sleep(10 * time.Second)
		if n := m.count(protocol.ReqFollowTables); n > 40 {
			t.Errorf("%d questions to a master that is not there", n)
		}
		// A Java broker is at the same address now.
		m.set(func() { m.broken, m.java = false, true })
		time.Sleep(time.Second)
		tables.all()
		n := m.count(protocol.ReqFollowTables)
		time.Sleep(50 * time.Second)
		got = tables.all()
		for _, want := range []string{"topics", "groups", "offsets: text of 43", "delays: text of 45", "timer: text of 60", "modes: text of 402"} {
			if !slices.Contains(got, want) {
				t.Errorf("%s is missing: %q", want, got)
			}
		}
		if strings.Contains(strings.Join(got, " "), "metrics") {
			t.Error("an error was taken for metrics")
		}
		offsets := m.count(protocol.ReqGetAllConsumerOffset)
		if offsets < 15 || offsets > 20 || m.count(protocol.ReqGetAllTopicConfig) > offsets/2 {
			t.Errorf("asked %v", m.asked)
		}
		if d := m.count(protocol.ReqFollowTables) - n; d > 1 {
			t.Errorf("the Java broker is asked %d times whether it is one", d)
		}
		// And ours again, which is found within a minute.
		m.set(func() { m.java = false })
		time.Sleep(70 * time.Second)
		if got = tables.all(); !strings.HasPrefix(got[len(got)-1], "answer to question") {
			t.Errorf("%q", got[len(got)-1])
		}
	})
}
