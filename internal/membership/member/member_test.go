package member_test

import (
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
		a := w.nodes[0]
		a.start()
		w.until(3*time.Second, "a master", func() bool { return w.masters() == "10.0.1.1@1" })
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
		a := w.nodes[0]
		a.start()
		w.until(3*time.Second, "a master", func() bool { return w.masters() == "10.0.1.1@1" })
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
		a := w.nodes[0]
		a.start()
		w.until(3*time.Second, "a master", func() bool { return w.masters() == "10.0.1.1@1" })
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
		b.fs = a.fs // a copy of the store
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
