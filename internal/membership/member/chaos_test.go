package member_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/vfs"
)

var seeds = flag.Int("member.seeds", 3, "how many seeds of the test with faults")

// storm makes trouble for d, and checks all the time that at most one broker acknowledges in an epoch, or at all when one is set,
// and that identities stay.
func (w *world) storm(d time.Duration, one bool) {
	w.t.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	ids := map[*node]string{}
	controller := func() string { return fmt.Sprintf("10.0.0.%d", 1+w.rng.IntN(len(w.q.addrs))) }
	const step = 10 * time.Millisecond
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(step) {
		acks := w.acknowledging()
		if one && len(acks) > 1 {
			w.t.Errorf("after %v: %v acknowledge at the same time", d-time.Until(end), acks)
			return
		}
		for _, n := range w.nodes {
			id := n.file(idFile)
			if was, ok := ids[n]; ok && id != was {
				w.t.Errorf("the identity of %s was %s and is %s", n.ip, was, id)
				return
			}
			if id != "-" {
				ids[n] = id
			}
		}
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		switch w.rng.IntN(300) {
		case 0:
			if n.m != nil {
				n.kill()
				if w.rng.IntN(2) == 0 { // the machine lost its power
					n.fs = n.fs.CrashClone(rand.New(rand.NewPCG(w.rng.Uint64(), 3)), vfs.PowerCut)
				}
			}
		case 1, 2, 3:
			if n.m == nil {
				n.start()
			}
		case 4:
			w.net.Partition(n.ip, controller())
		case 5:
			for i := range w.q.addrs {
				w.net.Partition(n.ip, fmt.Sprintf("10.0.0.%d", i+1))
			}
		case 6, 7:
			for i := range w.q.addrs {
				w.net.Heal(n.ip, fmt.Sprintf("10.0.0.%d", i+1))
			}
		case 8:
			w.net.Cut(n.ip, controller())
		case 9:
			w.q.lead(w.rng.IntN(len(w.q.addrs)+1) - 1)
		case 10:
			n.engine.mu.Lock()
			n.engine.fail, n.engine.take = w.rng.IntN(3), time.Duration(w.rng.Int64N(int64(3*time.Second)))
			n.engine.mu.Unlock()
		case 11, 12, 13:
			if e := n.acknowledges(); e != 0 { // the master has all others in sync
				m := n.m
				set := n.m.State().Done.InSync
				set.IDs = nil
				for _, o := range w.nodes {
					if o.m != nil && o.m.State().ID != 0 && o.engine.status().MaxOffset > 0 {
						set.IDs = append(set.IDs, o.m.State().ID)
					}
				}
				wg.Go(func() { _, _ = m.Propose(ctx, e, set) })
			}
		}
	}
}

// settle ends all faults; then there must be one master and everybody else its slave.
func (w *world) settle() {
	w.t.Helper()
	w.q.calm()
	w.q.mu.Lock()
	if w.q.leader < 0 {
		w.q.leader, w.q.led = 0, time.Now()
	}
	w.q.mu.Unlock()
	for _, n := range w.nodes {
		for i := range w.q.addrs {
			w.net.Heal(n.ip, fmt.Sprintf("10.0.0.%d", i+1))
		}
		n.engine.mu.Lock()
		n.engine.fail = 0
		n.engine.mu.Unlock()
		if n.m == nil {
			n.start()
		}
	}
	var epoch int32
	w.until(90*time.Second, "one master, and the others are its slaves", func() bool {
		m := w.masters()
		if strings.Count(m, "@") != 1 {
			return false
		}
		_, _ = fmt.Sscanf(m[strings.IndexByte(m, '@'):], "@%d", &epoch)
		for _, n := range w.nodes {
			n.engine.mu.Lock()
			ok := n.engine.term.Epoch == epoch && (n.engine.role == "master" || n.engine.role == "slave")
			n.engine.mu.Unlock()
			if !ok {
				return false
			}
		}
		return true
	})
	seen := map[string]bool{}
	for _, n := range w.nodes {
		if id := n.file(idFile); seen[id] || id == "-" {
			w.t.Errorf("%s has the identity %s", n.ip, id)
		} else {
			seen[id] = true
		}
	}
}

func TestUnderFaultsAtMostOneAcknowledges(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, 3, 3, seed, func(t *testing.T, w *world) {
				t.Helper()
				w.q.loseAnswer, w.q.loseAsk, w.q.slow = 4, 3, 5
				w.storm(4*time.Minute, true)
				w.settle()
			})
		})
	}
}

func TestUnderStaleAnswersAtMostOneAcknowledgesInAnEpoch(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, 3, 3, seed, func(t *testing.T, w *world) {
				t.Helper()
				w.q.loseAnswer, w.q.loseAsk, w.q.stale, w.q.slow = 4, 3, 20, 5
				w.storm(4*time.Minute, false)
				w.settle()
			})
		})
	}
}

func TestEpochsOfAnEngineOnlyGrow(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 1, 1, func(t *testing.T, w *world) {
		t.Helper()
		a := w.inOffice()
		w.q.mu.Lock()
		w.q.setLocked(decision{7, "10.0.1.7:10911", 3, []int64{7}, 2})
		w.q.mu.Unlock()
		a.m.Ask()
		w.until(time.Second, "slave", func() bool { return strings.HasSuffix(a.engine.history(), "slave@3") })
		// A leader from the past says what was true once, and one that lies names another master in the same epoch.
		w.q.mu.Lock()
		w.q.now = decision{1, a.addr(), 2, []int64{1}, 3}
		w.q.mu.Unlock()
		time.Sleep(20 * time.Second)
		w.q.mu.Lock()
		w.q.now = decision{1, a.addr(), 3, []int64{1}, 3}
		w.q.mu.Unlock()
		time.Sleep(20 * time.Second)
		if got := a.engine.history(); got != "master@1 fence slave@3" {
			t.Errorf("history %s", got)
		}
		for _, want := range []string{"the controllers speak of epoch 2, and there was epoch 3", "neither is believed"} {
			if w.log.count(want) == 0 {
				t.Errorf("not logged: %s", want)
			}
		}
	})
}
