package node

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// slave starts a slave of the broker of w, with a store in dir.
func (w *world) slave(dir string, set map[string]string) *Node {
	w.tb.Helper()
	all := map[string]string{"brokerId": "1", "brokerRole": "SLAVE", "listenPort": "10921", "storePathRootDir": dir}
	maps.Copy(all, set)
	o := w.options(all)
	o.Namesrv = nil
	return w.start(o)
}

func TestSlaveFollowsItsMaster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start(w.options(map[string]string{"brokerRole": "SYNC_MASTER", "inSyncReplicas": "2"}))
		s := w.slave("/slave", nil)
		time.Sleep(15 * time.Second)
		w.roundTrip(m, "topic") // each send has waited for the slave
		if a, b := m.broker.now().store.Appended(), s.broker.now().store.Appended(); a != b || a == 0 {
			t.Fatalf("the logs end at %d and %d", a, b)
		}
		time.Sleep(15 * time.Second)
		ctx := t.Context()
		mt, mv, _ := m.broker.now().core.Topics(ctx)
		st, sv, _ := s.broker.now().core.Topics(ctx)
		if len(mt) != len(st) || mv != sv {
			t.Errorf("topics: %d %v, %d %v", len(mt), mv, len(st), sv)
		}
		mg, mgv, _ := m.broker.now().core.Groups(ctx)
		sg, sgv, _ := s.broker.now().core.Groups(ctx)
		if len(mg) != len(sg) || mgv != sgv {
			t.Errorf("groups: %d %v, %d %v", len(mg), mgv, len(sg), sgv)
		}
		for name, get := range map[string]func(*Node) ([]byte, error){
			"offsets": func(n *Node) ([]byte, error) { return n.broker.now().core.OffsetTable(ctx) },
			"delays":  func(n *Node) ([]byte, error) { return n.broker.now().core.DelayTable(ctx) },
		} {
			a, _ := get(m)
			b, _ := get(s)
			if !bytes.Equal(a, b) || name == "offsets" && !bytes.Contains(a, []byte("g_topic")) {
				t.Errorf("%s:\n%s\n%s", name, a, b)
			}
		}

		must(t, m.broker.now().core.DeleteTopic(ctx, "topic"))
		time.Sleep(15 * time.Second)
		if _, err := s.broker.now().core.Topic(ctx, "topic"); err == nil {
			t.Error("the slave still has a topic that was deleted")
		}

		sb := &mq.SendBatch{Requests: []mq.SendRequest{{Topic: "topic", Body: []byte("x")}}}
		if s.broker.now().core.Send(ctx, sb); sb.Results[0].Err == nil || sb.Results[0].Err.Kind != mq.KindUnavailable {
			t.Errorf("a slave takes messages: %v", sb.Results[0].Err)
		}
		_, err := s.broker.now().core.Pull(ctx, &mq.PullRequest{Group: "g", Topic: "topic"}, nil)
		if err == nil || !strings.Contains(err.Error(), "system busy") {
			t.Errorf("a slave without slaveReadEnable serves: %v", err)
		}
		must(t, s.Shutdown(ctx))
		must(t, m.Shutdown(ctx))
	})
}

// A store that is not that of the master: nothing is overwritten, and the line says what to do.
func TestSlaveWithAnotherLogIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		set := map[string]string{"storePathRootDir": "/slave"}
		other := w.start(w.options(set))
		w.roundTrip(other, "theirs")
		end := other.broker.now().store.Appended()
		must(t, other.Shutdown(t.Context()))

		m := w.start(w.options(nil))
		w.roundTrip(m, "ours")
		w.roundTrip(m, "more")
		s := w.slave("/slave", nil)
		time.Sleep(time.Minute)
		if got := s.broker.now().store.Appended(); got != end {
			t.Errorf("the log of the slave ends at %d, it was %d", got, end)
		}
		if st := s.broker.now().slave.State(); st.Connected || st.Err == nil || !strings.Contains(st.Err.Error(), "the logs have parted") {
			t.Errorf("state %+v", st)
		}
		if _, err := s.broker.now().core.Topic(t.Context(), "theirs"); err != nil {
			t.Errorf("the tables of another log were taken over: %v", err)
		}
		must(t, s.Shutdown(t.Context()))
		must(t, m.Shutdown(t.Context()))
	})
}

// A slave that has been told where its master is by its configuration compares its log before it copies, also when no name server says
// where clients find the master: it asks beside the HA port.
func TestSlaveComparesItsLogWithoutANameServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, haPort, err string
		other             bool // the slave has a log of its own
	}{
		{name: "its master's log", haPort: "10912"},
		{name: "another log", haPort: "10912", other: true, err: "the logs have parted"},
		{name: "unusual ports", haPort: "10999", err: "is not compared with the master's yet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				end := w.mute()
				start := func(set map[string]string) *Node {
					o := w.options(set)
					o.Namesrv = nil
					return w.start(o)
				}
				follow := map[string]string{"haMasterAddress": "127.0.0.1:" + c.haPort}
				if c.other {
					n := start(map[string]string{"storePathRootDir": "/slave"})
					w.roundTrip(n, "theirs")
					must(t, n.Shutdown(t.Context()))
				}
				m := start(map[string]string{"haListenPort": c.haPort})
				w.roundTrip(m, "ours")
				had := w.slave("/slave", follow)
				time.Sleep(time.Minute)
				if !c.other { // there was nothing to compare
					if a, b := m.broker.now().store.Appended(), had.broker.now().store.Appended(); a != b {
						t.Errorf("an empty slave copied %d of %d", b, a)
					}
				}
				must(t, had.Shutdown(t.Context()))
				before := had.broker.now().store.Appended()
				w.roundTrip(m, "more")
				s := w.slave("/slave", follow)
				time.Sleep(time.Minute)
				st, at, want := s.broker.now().slave.State(), s.broker.now().store.Appended(), m.broker.now().store.Appended()
				switch {
				case c.err == "" && (at != want || !st.Connected):
					t.Errorf("the slave is at %d of %d: %+v", at, want, st)
				case c.err != "" && (at != before || st.Connected || st.Err == nil || !strings.Contains(st.Err.Error(), c.err)):
					t.Errorf("the slave is at %d, it was at %d: %+v", at, before, st)
				}
				must(t, s.Shutdown(t.Context()))
				must(t, m.Shutdown(t.Context()))
				end()
			})
		})
	}
}
