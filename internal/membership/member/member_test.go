package member_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/membership/member"
	"github.com/cometmq/cometmq/internal/protocol"
)

func TestFirstBrokerGetsNumberOneAndIsMaster(t *testing.T) {
	t.Parallel()
	bubble(t, 3, 2, 1, func(t *testing.T, w *world) {
		t.Helper()
		a, b := w.nodes[0], w.nodes[1]
		a.start()
		took := w.until(3*time.Second, "a master", func() bool { return w.masters() == "10.0.1.1@1" })
		t.Logf("master after %v", took)
		if got := a.file(idFile) + " " + a.file(idFile+"-temp"); got != "C#broker-a#1 -" {
			t.Errorf("identity files: %s", got)
		}
		b.start()
		w.until(3*time.Second, "a slave", func() bool { return b.engine.history() == "slave@1" })
		if got := b.file(idFile); got != "C#broker-a#2" {
			t.Errorf("identity of b: %s", got)
		}
		b.engine.mu.Lock()
		if got := b.engine.term; got.MasterID != 1 || got.MasterAddr != a.addr() || got.Self != 2 {
			t.Errorf("term of b: %+v", got)
		}
		b.engine.mu.Unlock()
		time.Sleep(10 * time.Minute) // nothing changes any more
		if got := w.masters() + " " + a.engine.history() + " " + b.engine.history(); got != "10.0.1.1@1 master@1 slave@1" {
			t.Errorf("after 10 minutes: %s", got)
		}
	})
}

func TestAnotherTakesOverWhenTheMasterDiesAndItComesBackAsSlave(t *testing.T) {
	t.Parallel()
	bubble(t, 3, 2, 1, func(t *testing.T, w *world) {
		t.Helper()
		a, b := w.nodes[0], w.nodes[1]
		a.start()
		w.until(3*time.Second, "a master", func() bool { return w.masters() == "10.0.1.1@1" })
		b.start()
		w.until(3*time.Second, "a slave", func() bool { return b.engine.history() == "slave@1" })
		set, err := a.m.Propose(t.Context(), 1, member.SyncSet{IDs: []int64{1, 2}, Epoch: 1})
		if err != nil || set.Epoch != 2 || len(set.IDs) != 2 {
			t.Fatalf("proposal: %+v, %v", set, err)
		}
		w.until(time.Second, "the set in the engine", func() bool {
			a.engine.mu.Lock()
			defer a.engine.mu.Unlock()
			return a.engine.term.InSync.Epoch == 2
		})
		a.kill()
		w.until(expire+5*time.Second, "another master", func() bool { return w.masters() == "10.0.1.2@2" })
		a.start()
		w.until(5*time.Second, "the old master as slave", func() bool { return strings.HasSuffix(a.engine.history(), "slave@2") })
		if n := w.q.applied; n != 2 {
			t.Errorf("%d numbers were given to 2 brokers", n)
		}
	})
}

func TestMasterWithoutControllersStopsAcknowledgingInTimeAndGoesOnWhenTheyAreBack(t *testing.T) {
	t.Parallel()
	bubble(t, 3, 1, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.inOffice()
		time.Sleep(time.Minute)
		for i := range 3 {
			w.net.Partition(a.ip, w.q.addrs[i][:len("10.0.0.1")])
		}
		took := w.until(expire, "fenced", func() bool { return w.masters() == "" })
		if took < expire/2 {
			t.Errorf("fenced after %v already", took)
		}
		w.until(expire/10, "the engine hears it", func() bool { return strings.HasSuffix(a.engine.history(), "fence") })
		time.Sleep(time.Minute)
		for i := range 3 {
			w.net.Heal(a.ip, w.q.addrs[i][:len("10.0.0.1")])
		}
		w.until(10*time.Second, "master again", func() bool { return w.masters() != "" })
		if got := w.log.count("this master accepts nothing any more"); got == 0 {
			t.Error("nothing was logged")
		}
	})
}

func TestALeaseIsOfNoUseOnceHeartbeatsAreNotTaken(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 1, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.inOffice()
		a.m.Ask()
		// Questions are answered, heartbeats are not: the controllers will elect another one.
		w.q.mu.Lock()
		w.q.refuse[protocol.ReqControllerElectMaster] = protocol.RespControllerElectMasterFailed
		w.q.mu.Unlock()
		last := time.Now()
		w.q.dropHeartbeats(true)
		w.until(expire+time.Second, "fenced", func() bool { return w.masters() == "" })
		if took := time.Since(last); took > expire+100*time.Millisecond {
			t.Errorf("acknowledged for %v after the last heartbeat", took)
		}
	})
}

func TestAbsentLeaderIsReplacedByTheNextWithoutAFence(t *testing.T) {
	t.Parallel()
	bubble(t, 3, 2, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.inOffice()
		time.Sleep(2 * time.Second)
		w.stop[0]()
		w.q.lead(2)
		for range 60 {
			time.Sleep(time.Second)
			if w.masters() != "10.0.1.1@1" {
				t.Fatalf("masters: %q", w.masters())
			}
		}
		if got := a.m.State().Leader; got != w.q.addrs[2] {
			t.Errorf("leader %s", got)
		}
	})
}

func TestASecondBrokerWithTheSameIdentityIsRefused(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 2, 1, func(t *testing.T, w *world) {
		t.Helper()
		a, b := w.nodes[0], w.nodes[1]
		a.start()
		w.until(3*time.Second, "a master", func() bool { return w.masters() == "10.0.1.1@1" })
		b.fs, b.engine.last, b.engine.offset = a.fs, 1, 100 // a copy of the store
		b.start()
		time.Sleep(time.Minute)
		if got := b.engine.history(); got != "" || b.m.State().Registered {
			t.Errorf("the copy plays: %q", got)
		}
		if w.masters() != "10.0.1.1@1" {
			t.Errorf("masters: %s", w.masters())
		}
		if w.log.count("10.0.1.1:10911 is alive and has number 1 of broker-a") == 0 {
			t.Error("the reason is not logged")
		}
		a.kill()
		w.until(expire+10*time.Second, "let in when the first is gone", func() bool { return b.m.State().Registered })
	})
}

func TestAFailedChangeOfRolesIsRepeatedAndSaid(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 1, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.nodes[0]
		a.engine.fail = 5
		a.start()
		w.until(20*time.Second, "a master in the end", func() bool { return w.masters() == "10.0.1.1@1" })
		if n := w.log.count("the disk is full"); n != 1 {
			t.Errorf("said %d times, want once", n)
		}
	})
}

func TestControllersThatLostTheirDataMoveNothing(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 1, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.nodes[0]
		a.engine.last = 7 // the log knows epoch 7
		a.start()
		time.Sleep(30 * time.Second)
		if got := a.engine.history(); got != "" {
			t.Errorf("plays %s", got)
		}
		if w.log.count("the controllers speak of epoch 0, and there was epoch 7") == 0 {
			t.Error("the reason is not logged")
		}
	})
}

func TestALearnerDoesNotOfferItselfAsTheFirstMaster(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 2, 1, func(t *testing.T, w *world) {
		t.Helper()
		w.nodes[0].start(func(o *member.Options) { o.Learner = true })
		time.Sleep(30 * time.Second)
		if w.masters() != "" {
			t.Errorf("masters %s", w.masters())
		}
		w.nodes[1].start()
		w.until(5*time.Second, "the other is master", func() bool { return w.masters() == "10.0.1.2@1" })
		w.until(5*time.Second, "the learner is slave", func() bool { return w.nodes[0].engine.history() == "slave@1" })
	})
}

// TestALogThatWasLostIsNotElected ends both brokers of a set and takes a part of the log of one of them.
func TestALogThatWasLostIsNotElected(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  int64 // of the log that is left
		mark string
		dark bool // the file with the mark is lost, too
		back bool // it is elected at once all the same
	}{
		{"all of it", 0, "C#broker-a#2#1#100", false, false},
		{"its end", 99, "C#broker-a#2#1#100", false, false},
		{"all of it, with the mark", 0, "-", true, false},
		{"nothing", 100, "C#broker-a#2#1#100", false, true},
		{"nothing but the mark", 100, "C#broker-a#2#1#100", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, 1, 2, 1, func(t *testing.T, w *world) {
				t.Helper()
				a, b := w.nodes[0], w.nodes[1]
				a.start()
				w.until(3*time.Second, "a master", func() bool { return w.masters() == "10.0.1.1@1" })
				b.start()
				w.until(3*time.Second, "a slave", func() bool { return b.engine.history() == "slave@1" })
				if _, err := a.m.Propose(t.Context(), 1, member.SyncSet{IDs: []int64{1, 2}, Epoch: 1}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second) // the mark is written
				b.kill()
				a.kill()
				if b.engine.offset = tt.end; tt.end == 0 {
					b.engine.last = 0
				}
				if tt.dark {
					if err := b.fs.Remove(idFile + "-log"); err != nil {
						t.Fatal(err)
					}
				}
				b.start()
				if tt.back {
					w.until(expire+10*time.Second, "it is master", func() bool { return w.masters() == "10.0.1.2@2" })
					return
				}
				time.Sleep(time.Minute)
				if got := w.masters(); got != "" {
					t.Errorf("the log that was lost is the master's: %s", got)
				}
				if w.log.count("A part of the log was lost") == 0 {
					t.Error("the reason is not logged")
				}
				if got := b.file(idFile + "-log"); got != tt.mark {
					t.Errorf("mark %s, want %s", got, tt.mark)
				}
				b.kill()
				b.start() // it is not forgotten
				time.Sleep(time.Minute)
				a.start()
				w.until(expire+10*time.Second, "the broker with the log is master", func() bool { return strings.HasPrefix(w.masters(), "10.0.1.1@") })
				epoch := a.m.State().Done.Epoch
				if _, err := a.m.Propose(t.Context(), epoch, member.SyncSet{IDs: []int64{1}, Epoch: a.m.State().Done.InSync.Epoch}); err != nil {
					t.Fatal(err)
				}
				w.until(10*time.Second, "the other comes in", func() bool { return b.m.State().Registered && b.m.State().Done.Epoch == epoch })
			})
		})
	}
}

func TestTheMarkFollowsTheLog(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 1, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.inOffice()
		for _, tt := range []struct {
			epoch        int32
			end, durable int64
			want         string
		}{
			{1, 200, 150, "C#broker-a#1#1#150"},
			{1, 300, 120, "C#broker-a#1#1#150"}, // less is known, not lost
			{1, 140, 140, "C#broker-a#1#1#140"}, // it was cut
			{3, 130, 130, "C#broker-a#1#3#130"},
		} {
			a.engine.mu.Lock()
			a.engine.last, a.engine.offset, a.engine.volatile = tt.epoch, tt.end, tt.end-tt.durable
			a.engine.mu.Unlock()
			time.Sleep(2 * time.Second)
			if got := a.file(idFile + "-log"); got != tt.want {
				t.Errorf("mark %s, want %s", got, tt.want)
			}
		}
		a.fs.SetCapacity(1)
		a.engine.mu.Lock()
		a.engine.offset = 500
		a.engine.mu.Unlock()
		time.Sleep(time.Minute)
		if n := w.log.count("keep the mark of the log"); n != 1 || a.file(idFile+"-log") != "C#broker-a#1#3#130" {
			t.Errorf("without room: said %d times, the mark is %s", n, a.file(idFile+"-log"))
		}
	})
}

func TestABadMarkIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"C#broker-a#1#0", "C#broker-a#1#0#-1", "C#broker-a#1#-1#0", "C#broker-a#1#x#0", "C#broker-a#0#0#0", "C#broker-a#1#2147483648#0"} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			bubble(t, 1, 1, 1, func(t *testing.T, w *world) {
				t.Helper()
				a := w.nodes[0]
				write(t, a.fs, idFile+"-log", text)
				a.start()
				time.Sleep(time.Minute)
				if a.m.State().Registered || w.log.count(idFile+"-log") == 0 {
					t.Error("the broker registers, or does not say why not")
				}
			})
		})
	}
}

func TestTheRightOfAnEpochBeginsWhenItsMasterIsInOffice(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 1, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.inOffice()
		a.engine.mu.Lock()
		a.engine.take = 8 * time.Second
		a.engine.mu.Unlock()
		w.q.mu.Lock()
		w.q.setLocked(decision{1, a.addr(), 3, []int64{1}, 2})
		w.q.mu.Unlock()
		a.m.Ask()
		time.Sleep(7 * time.Second) // it has been confirmed in epoch 3 several times
		if a.m.Held() {
			t.Error("a broker that is not the master of epoch 3 yet has the right to acknowledge")
		}
		w.until(3*time.Second, "master again", func() bool { return w.masters() == "10.0.1.1@3" })
	})
}

func TestAProposalThatIsRefusedSaysSo(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 1, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.inOffice()
		for _, tt := range []struct {
			epoch, set int32
			want       int32
		}{
			{2, 1, protocol.RespControllerFencedMasterEpoch}, {1, 7, protocol.RespControllerFencedSyncStateSetEpoch},
		} {
			_, err := a.m.Propose(t.Context(), tt.epoch, member.SyncSet{IDs: []int64{1, 2}, Epoch: tt.set})
			if r, ok := errors.AsType[*member.Refused](err); !ok || r.Code != tt.want || !strings.Contains(r.Error(), "CONTROLLER_ALTER_SYNC_STATE_SET") {
				t.Errorf("epoch %d, set %d: %v", tt.epoch, tt.set, err)
			}
		}
		w.q.mu.Lock()
		w.q.loseAnswer = 100
		w.q.mu.Unlock()
		_, err := a.m.Propose(t.Context(), 1, member.SyncSet{IDs: []int64{1, 2}, Epoch: 1})
		if _, ok := errors.AsType[*member.Refused](err); ok || err == nil {
			t.Errorf("a lost answer: %v", err)
		}
		w.q.calm()
		w.until(5*time.Second, "the engine hears of the set", func() bool { return a.m.State().Done.InSync.Epoch == 2 })
	})
}

func TestControllersAreLookedUp(t *testing.T) {
	t.Parallel()
	bubble(t, 3, 1, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.nodes[0]
		a.start(func(o *member.Options) {
			o.Controllers = []string{"controllers.test:9878"}
			o.Lookup = func(_ context.Context, host string) ([]string, error) {
				if host != "controllers.test" {
					return nil, errors.New("no such host")
				}
				return []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, nil
			}
		})
		w.until(3*time.Second, "a master", func() bool { return w.masters() == "10.0.1.1@1" })
		time.Sleep(3 * time.Second)
		w.q.mu.Lock()
		defer w.q.mu.Unlock()
		for i, p := range w.q.pulses {
			if len(p) != 1 {
				t.Errorf("controller %d hears of %d brokers", i, len(p))
			}
		}
	})
}
