package controller

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

// powerCut ends a broker whose connections nobody sees end, and starts it again with a log of max bytes. It has not sent a heartbeat.
func (b *broker) powerCut(t *testing.T, max int64) {
	t.Helper()
	b.silence()
	old := b.client
	t.Cleanup(old.Close)
	b.connect()
	b.max.Store(max)
	b.register()
}

// The last heartbeats of the others are older than what they have: they are asked first.
func TestBrokerThatLostTheEndOfItsLogIsNotElectedByOldReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 1, nil)
		a.max.Store(400)
		b.max.Store(400)
		time.Sleep(2500 * time.Millisecond)
		a.powerCut(t, 700) // it has acknowledged up to 900, and so has b
		a.beats()
		time.Sleep(10 * time.Millisecond)
		a.elect(protocol.RespControllerElectMasterFailed)
		b.elect(protocol.RespControllerElectMasterFailed)
		time.Sleep(time.Second)
		a.elect(protocol.RespControllerElectMasterFailed) // this heartbeat of b was under way since before
		b.max.Store(900)
		time.Sleep(time.Second)
		if h := a.elect(protocol.RespSuccess); h.MasterBrokerID != b.id || h.MasterEpoch != 3 {
			t.Errorf("elected %+v", h)
		}
		if s := g.set(); s.MasterEpoch != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// One whose log is the longest whatever the others may have got is elected as soon as they have said so.
func TestBrokerThatLostNothingIsElectedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, 1, nil)
		b.max.Store(900)
		a.max.Store(900)
		time.Sleep(2500 * time.Millisecond)
		a.powerCut(t, 1000)
		a.beats()
		time.Sleep(2 * time.Second)
		if h := b.elect(protocol.RespSuccess); h.MasterBrokerID != a.id {
			t.Errorf("elected %+v", h)
		}
	})
}

// What a broker said before it registered is not what it has.
func TestReportsOfTheProcessBeforeDoNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, 1, nil)
		a.max.Store(1000)
		b.max.Store(900)
		time.Sleep(2500 * time.Millisecond)
		a.powerCut(t, 300)
		b.elect(protocol.RespControllerElectMasterFailed)
		a.beats()
		time.Sleep(10 * time.Millisecond)
		if h := b.elect(protocol.RespSuccess); h.MasterBrokerID != b.id {
			t.Errorf("elected %+v", h)
		}
	})
}

// A broker that says nothing is waited for until it counts as dead, and then the one that is there is elected.
func TestSilentBrokerIsWaitedForUntilItCountsAsDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 1, nil)
		time.Sleep(2500 * time.Millisecond)
		b.silence()
		a.powerCut(t, 300)
		a.beats()
		time.Sleep(5 * time.Second)
		a.elect(protocol.RespControllerElectMasterFailed)
		time.Sleep(6 * time.Second)
		if h := a.elect(protocol.RespSuccess); h.MasterBrokerID != a.id {
			t.Errorf("elected %+v, set %+v", h, g.set())
		}
	})
}

// The controller that elects in place of a dead master waits by itself.
func TestControllerElectsAgainWhenTheOthersHaveSpoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 1, nil)
		c := g.join(3)
		time.Sleep(100 * time.Millisecond)
		a.alter(protocol.RespSuccess, a.id, b.id, c.id)
		b.max.Store(400)
		c.max.Store(400)
		time.Sleep(2500 * time.Millisecond)
		c.max.Store(900)
		b.powerCut(t, 700)
		b.beats()
		time.Sleep(10 * time.Millisecond)
		a.kill()
		if d := g.master(c.id, 3*time.Second); d < 500*time.Millisecond {
			t.Errorf("elected after %v, before it had said what it has", d)
		}
	})
}
