package replication

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
)

var (
	modelSeeds = flag.Int("switch.seeds", 100, "how many seeds TestNothingAcknowledgedIsLostInAnyEpoch plays")
	modelSeed  = flag.Int("switch.seed", -1, "the only seed that it plays")
)

// world is a group of brokers, their controller, and what was acknowledged.
type world struct {
	t    *testing.T
	rng  *rand.Rand
	dice *rand.Rand // the controller's
	ref  *referee
	all  []*replica
	role []string // "master", "slave", "down"

	wait sync.WaitGroup
	mu   sync.Mutex // guards acked
	// acked are messages whose sender was told that they are safe.
	acked  map[record.Offset]string
	upTo   record.Offset // end of the last of them
	dead   map[*storage.Store]bool
	parted map[[2]string]bool
	serial int
	cuts   int
}

// Brokers die, by kill or power cut, and come back; networks part; the controller's answers get lost; masters do not learn that
// they are none any more and go on. Who was told that his message is safe finds it in the end, in the same place in all logs.
func TestNothingAcknowledgedIsLostInAnyEpoch(t *testing.T) {
	t.Parallel()
	first, n := 0, *modelSeeds
	if *modelSeed >= 0 {
		first, n = *modelSeed, 1
	}
	var mu sync.Mutex
	acked, epochs, cuts := 0, 0, 0
	t.Run("seeds", func(t *testing.T) {
		const parts = 4
		for part := range parts {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				for seed := first + part; seed < first+n; seed += parts {
					synctest.Test(t, func(t *testing.T) {
						w := play(t, uint64(seed))
						mu.Lock()
						defer mu.Unlock()
						acked, epochs, cuts = acked+len(w.acked), epochs+int(w.ref.epoch), cuts+w.cuts
					})
				}
			})
		}
	})
	t.Logf("%d messages acknowledged in %d epochs, %d logs cut", acked, epochs, cuts)
	if n >= 50 && (acked < 20*n || epochs < 2*n || cuts < n/10) {
		t.Errorf("too little has happened: %d acknowledged, %d epochs, %d logs cut", acked, epochs, cuts)
	}
}

func play(t *testing.T, seed uint64) *world {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("play it alone: -switch.seed %d", seed)
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 11))
	sync := rng.IntN(2) == 0
	ref, all := group(t, 3, sync)
	w := &world{t: t, rng: rng, dice: rand.New(rand.NewPCG(seed, 12)), ref: ref, all: all, role: make([]string, len(all)), acked: map[record.Offset]string{}, dead: map[*storage.Store]bool{}, parted: map[[2]string]bool{}}
	for _, x := range all {
		x.wipe = true
	}
	ref.answers(w.answer)
	ref.late = func(decide func()) {
		if w.dice.IntN(2) == 0 {
			return
		}
		d := time.Duration(w.dice.IntN(10_000)) * time.Millisecond
		w.wait.Go(func() {
			time.Sleep(d)
			decide()
		})
	}
	ref.check = w.check
	ref.elect(1)
	w.lead(0)
	w.follow(1)
	w.follow(2)
	w.pass(2 * time.Second)
	for range 16 {
		w.step()
	}
	w.calm()
	w.judge()
	return w
}

// answer decides about a proposal of a master.
func (w *world) answer() (asked, answered bool) {
	return w.dice.IntN(8) > 0, w.dice.IntN(8) > 0
}

// check holds a new sync-state set against what was acknowledged: each of its brokers must have that.
func (w *world) check(set []int64) {
	w.mu.Lock()
	upTo := w.upTo
	w.mu.Unlock()
	for _, id := range set {
		x := w.all[id-1]
		x.mu.Lock()
		has := x.store.Appended()
		if x.sync {
			has = min(has, x.store.Flushed())
		}
		x.mu.Unlock()
		if has < upTo {
			w.t.Errorf("broker %d is in the set %v and has the log up to %d, acknowledged is what is before %d", id, set, has, upTo)
		}
	}
}

func (w *world) pass(d time.Duration) { time.Sleep(d) }

func (w *world) lead(i int) {
	w.role[i] = "master"
	w.all[i].lead()
}

func (w *world) follow(i int) {
	w.role[i] = "slave"
	w.ref.mu.Lock()
	master, epoch := w.ref.master, w.ref.epoch
	w.ref.mu.Unlock()
	w.all[i].follow(w.all[master-1].addr(), epoch, SwitchSlaveOptions{})
}

// down ends what broker i does, if anything, as a crash does: from one moment on nothing leaves it.
func (w *world) down(i int, mode vfs.CrashMode) {
	if w.role[i] == "down" {
		return
	}
	x := w.all[i]
	w.links(i, func(a, b string) { x.net.Partition(a, b) })
	x.mu.Lock()
	s := x.store
	x.mu.Unlock()
	w.mu.Lock()
	w.dead[s] = true
	w.mu.Unlock()
	w.role[i] = "down"
	x.kill(w.rng, mode)
	w.links(i, func(a, b string) {
		x.net.Cut(a, b)
		if !w.parted[[2]string{a, b}] {
			x.net.Heal(a, b)
		}
	})
	w.cuts += x.cuts
	x.cuts = 0
}

// links calls f for the links of broker i.
func (w *world) links(i int, f func(a, b string)) {
	for j := range w.all {
		if j != i {
			f(w.all[min(i, j)].host(), w.all[max(i, j)].host())
		}
	}
}

func (w *world) crash() vfs.CrashMode {
	if w.all[0].sync && w.rng.IntN(2) == 0 {
		return vfs.PowerCut
	}
	return vfs.ProcessKill
}

func (w *world) put() {
	var masters []int
	for i, role := range w.role {
		if role == "master" { // perhaps one that is none any more
			masters = append(masters, i)
		}
	}
	if len(masters) == 0 {
		return
	}
	x := w.all[masters[w.rng.IntN(len(masters))]]
	for range 1 + w.rng.IntN(4) {
		w.serial++
		body := fmt.Sprintf("%d %s", w.serial, strings.Repeat("b", w.rng.IntN(1500)))
		var b storage.Batch
		_, err := b.Add(x.store.Queue("T", 0), message("T", body))
		must(w.t, err)
		must(w.t, x.store.Append(&b))
		_, off, _ := b.Result(0)
		s, end := x.store, b.End()
		w.wait.Go(func() {
			done := make(chan storage.Status, 1)
			a := &storage.Await{End: end, Flush: x.sync, Replicas: 1, Deadline: time.Now().Add(time.Minute), Done: func(st storage.Status) { done <- st }}
			if s.AwaitDurable(a) {
				select {
				case st := <-done:
					if st != storage.Durable {
						return
					}
				case <-time.After(90 * time.Second):
					return // the broker has died
				}
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.dead[s] {
				return // who is dead tells nobody
			}
			if had, ok := w.acked[off]; ok && had != body {
				w.t.Errorf("two messages were acknowledged at %d", off)
			}
			w.acked[off] = body
			w.upTo = max(w.upTo, end)
		})
	}
}

// elect makes a broker of the sync-state set the master, if one is alive. The old one may not be told.
func (w *world) elect(tell bool) {
	set, _ := w.ref.now()
	w.ref.mu.Lock()
	old := w.ref.master
	w.ref.mu.Unlock()
	var can []int
	for _, id := range set {
		if id != old && w.role[id-1] != "down" {
			can = append(can, int(id-1))
		}
	}
	if len(can) == 0 && w.role[old-1] != "master" {
		can = append(can, int(old-1)) // it comes back
	}
	if len(can) == 0 {
		return
	}
	i := can[w.rng.IntN(len(can))]
	w.ref.elect(int64(i + 1))
	if w.role[i] != "down" {
		w.down(i, vfs.ProcessKill) // the role changes: what is in the log stays
	}
	if tell {
		w.fence()
	}
	w.lead(i)
	for j := range w.all {
		if j != i && w.role[j] == "slave" && w.rng.IntN(3) > 0 {
			w.retarget(j)
		}
	}
}

// fence tells masters that they are none any more.
func (w *world) fence() {
	w.ref.mu.Lock()
	master := w.ref.master
	w.ref.mu.Unlock()
	for i, role := range w.role {
		if role == "master" && int64(i+1) != master {
			w.all[i].ma.Fence()
			w.down(i, vfs.ProcessKill)
			w.follow(i)
		}
	}
}

// retarget tells a slave who is master.
func (w *world) retarget(i int) {
	w.down(i, vfs.ProcessKill)
	w.follow(i)
}

func (w *world) step() {
	i := w.rng.IntN(len(w.all))
	j := (i + 1 + w.rng.IntN(2)) % len(w.all)
	net := w.all[0].net
	switch what := w.rng.IntN(11); what {
	case 0, 1, 2:
		w.put()
	case 3: // somebody dies
		w.down(i, w.crash())
	case 4: // and comes back
		if w.role[i] == "down" {
			w.ref.mu.Lock()
			master := w.ref.master == int64(i+1)
			w.ref.mu.Unlock()
			if master {
				w.elect(true)
			} else {
				w.follow(i)
			}
		}
	case 5, 6:
		a, b := w.all[min(i, j)].host(), w.all[max(i, j)].host()
		if w.parted[[2]string{a, b}] = what == 5; what == 5 {
			net.Partition(a, b)
		} else {
			net.Heal(a, b)
		}
	case 7:
		switch w.rng.IntN(3) {
		case 0:
			net.Cut(w.all[i].host(), w.all[j].host())
		case 1:
			_ = net.CutAfter(w.all[i].host(), w.all[j].host(), w.rng.IntN(5000)) // no connection: nothing to cut
		case 2:
			net.Delay(w.all[i].host(), w.all[j].host(), time.Duration(w.rng.IntN(300))*time.Millisecond)
		}
	case 8:
		w.elect(w.rng.IntN(2) == 0)
	case 9:
		w.fence()
	case 10: // the controller is asked
		w.ref.mu.Lock()
		m := w.ref.master - 1
		w.ref.mu.Unlock()
		if w.role[m] == "master" {
			w.all[m].ma.Adopt(w.ref.now())
		}
	}
	w.put()
	if w.rng.IntN(3) > 0 {
		w.pass(time.Duration(w.rng.IntN(4000)) * time.Millisecond)
	}
	for range w.rng.IntN(8) { // a stream of messages
		w.pass(time.Duration(w.rng.IntN(50)) * time.Millisecond)
		w.put()
	}
}

// calm ends all faults and waits until the brokers agree.
func (w *world) calm() {
	net := w.all[0].net
	for i := range w.all {
		for j := range i {
			net.Heal(w.all[i].host(), w.all[j].host())
			clear(w.parted)
			net.Delay(w.all[i].host(), w.all[j].host(), 0)
		}
	}
	w.ref.answers(nil)
	w.ref.mu.Lock()
	master := int(w.ref.master - 1)
	w.ref.mu.Unlock()
	w.fence()
	if w.role[master] != "master" {
		w.elect(true)
		w.ref.mu.Lock()
		master = int(w.ref.master - 1)
		w.ref.mu.Unlock()
	}
	w.pass(2 * time.Minute) // who waits for an answer has one
	w.wait.Wait()
	for i := range w.all {
		if i != master {
			w.down(i, vfs.ProcessKill)
			w.follow(i)
		}
	}
	for range 60 {
		w.pass(5 * time.Second)
		m := w.all[master]
		m.ma.Adopt(w.ref.now())
		if set, _ := w.ref.now(); len(set) == len(w.all) && w.all[0].end64() == w.all[1].end64() && w.all[1].end64() == w.all[2].end64() {
			break
		}
	}
	end := put(w.t, w.all[master].store, "last")
	if st := replicated(w.all[master].store, end, w.all[0].sync, 10*time.Second); st != storage.Durable {
		w.t.Fatalf("the last message: %v, %+v", st, w.all[master].ma.State())
	}
	w.pass(10 * time.Second)
}

// judge compares what is there with what was promised.
func (w *world) judge() {
	w.ref.mu.Lock()
	m := w.all[w.ref.master-1]
	w.ref.mu.Unlock()
	for _, x := range w.all {
		if x == m {
			continue
		}
		if set, _ := w.ref.now(); !slices.Contains(set, x.id) {
			st, err := x.slaveState()
			w.t.Errorf("broker %d is not in the set %v: %v, %v, %+v", x.id, set, err, st.Err, m.ma.State())
			continue
		}
		sameReplicas(w.t, m, x)
		if a, b := fileText(w.t, m.disk, epochPath), fileText(w.t, x.disk, epochPath); a != b {
			w.t.Errorf("epochs of master %d: %q, of slave %d: %q", m.id, a, x.id, b)
		}
		if a, b := m.store.Queue("T", 0).Max(), x.store.Queue("T", 0).Max(); a != b {
			w.t.Errorf("queues end at %d and %d", a, b)
		}
	}
	for off, body := range w.acked {
		rec, err := m.store.ReadAt(off, nil)
		var msg record.Message
		if err == nil {
			_, err = record.Decode(rec, &msg, true)
		}
		if err != nil || string(msg.Body) != body {
			w.t.Errorf("message acknowledged at %d is lost: %v, there is %.20q, want %.20q", off, err, msg.Body, body)
		}
	}
	for i, x := range w.all {
		w.cuts += x.cuts
		x.close()
		w.role[i] = "down"
	}
}
