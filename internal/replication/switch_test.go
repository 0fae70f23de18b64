package replication

import (
	"bytes"
	"context"
	"errors"
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

func TestSwitchSlaveHasWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	for _, sync := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ref, all := group(t, 3, sync)
			a, b, c := all[0], all[1], all[2]
			ref.elect(1)
			a.lead()
			end := put(t, a.store, "alone")
			if st := replicated(a.store, end, sync, 3*time.Second); st != storage.Durable {
				t.Fatalf("nobody to wait for: %v", st)
			}
			b.follow(a.addr(), 1, SwitchSlaveOptions{})
			time.Sleep(time.Second)
			if set, _ := ref.now(); !slices.Equal(set, []int64{1, 2}) {
				t.Fatalf("sync-state set %v", set)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for i := range 60 {
				if i == 20 {
					c.follow(a.addr(), 1, SwitchSlaveOptions{})
				}
				end = put(t, a.store, bodies(rng, 1+rng.IntN(10))...)
				if st := replicated(a.store, end, sync, 3*time.Second); st != storage.Durable {
					t.Fatalf("status %v", st)
				}
				set, _ := ref.now()
				for _, id := range set {
					if x := all[id-1]; x.store.Appended() < end || sync && x.store.Flushed() < end {
						t.Fatalf("acknowledged up to %d, broker %d of %v has %d, on disk %d", end, id, set, x.store.Appended(), x.store.Flushed())
					}
				}
			}
			time.Sleep(time.Second)
			st := a.ma.State()
			if !slices.Equal(st.Set, []int64{1, 2, 3}) || len(st.Slaves) != 2 || st.Slaves[1].ID != 3 || !st.Slaves[1].InSync || st.Confirmed != end {
				t.Fatalf("%+v", st)
			}
			sameReplicas(t, a, b)
			sameReplicas(t, a, c)
			if got := fileText(t, b.disk, epochPath); got != fileText(t, a.disk, epochPath) {
				t.Fatalf("epochs of the slave: %q", got)
			}
			for _, x := range all {
				x.close()
			}
		})
	}
}

// A slave that has gone leaves the set at once, one that is stuck after haMaxTimeSlaveNotCatchup; sends are answered again.
func TestSetShrinks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ref, all := group(t, 3, false)
		a, b, c := all[0], all[1], all[2]
		ref.elect(1)
		a.lead()
		b.follow(a.addr(), 1, SwitchSlaveOptions{})
		c.follow(a.addr(), 1, SwitchSlaveOptions{})
		time.Sleep(time.Second)
		set := func() []int64 { s, _ := ref.now(); return s }
		if !slices.Equal(set(), []int64{1, 2, 3}) {
			t.Fatalf("%v", set())
		}
		b.close()
		time.Sleep(100 * time.Millisecond)
		if !slices.Equal(set(), []int64{1, 3}) {
			t.Fatalf("%v", set())
		}
		a.net.Partition(a.host(), c.host())
		end := put(t, a.store, "while it is stuck")
		if st := replicated(a.store, end, false, 3*time.Second); st != storage.SlaveTimeout {
			t.Fatalf("acknowledged without %v: %v", set(), st)
		}
		began := time.Now()
		if st := replicated(a.store, end, false, 30*time.Second); st != storage.Durable {
			t.Fatalf("still not: %v", st)
		}
		if took := time.Since(began); took < 5*time.Second || took > 20*time.Second {
			t.Fatalf("the set shrank after %v", took)
		}
		if !slices.Equal(set(), []int64{1}) {
			t.Fatalf("%v", set())
		}
		a.net.Heal(a.host(), c.host())
		time.Sleep(10 * time.Second)
		if !slices.Equal(set(), []int64{1, 3}) {
			t.Fatalf("%v", set())
		}
		a.close()
		c.close()
	})
}

// While it is not known what the controller has decided, everybody is waited for who may be in the set.
func TestLostAnswersOfTheController(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ref, all := group(t, 2, false)
		a, b := all[0], all[1]
		ref.elect(1)
		a.lead()
		ref.answers(func() (asked, answered bool) { return true, false })
		b.follow(a.addr(), 1, SwitchSlaveOptions{})
		time.Sleep(2 * time.Second)
		if set, _ := ref.now(); !slices.Equal(set, []int64{1, 2}) || !slices.Equal(a.ma.State().Set, []int64{1}) {
			t.Fatalf("the controller knows %v, the master %v", set, a.ma.State().Set)
		}
		b.close() // it is in the set that the controller knows: nothing may be acknowledged without it
		end := put(t, a.store, "not yet")
		if st := replicated(a.store, end, false, 40*time.Second); st != storage.SlaveTimeout {
			t.Fatalf("acknowledged by one, the controller knows two: %v", st)
		}
		ref.answers(nil)
		a.ma.Adopt(ref.now()) // as who asks the controller from time to time does
		time.Sleep(6 * time.Second)
		if st := replicated(a.store, end, false, time.Second); st != storage.Durable {
			t.Fatalf("%v, set %+v", st, a.ma.State())
		}
		// A proposal that never arrived stops counting after a while.
		ref.answers(func() (asked, answered bool) { return false, false })
		b.follow(a.addr(), 1, SwitchSlaveOptions{})
		time.Sleep(2 * time.Second)
		b.close()
		ref.mu.Lock()
		ref.refuse, ref.answer = true, nil
		ref.mu.Unlock()
		end = put(t, a.store, "later")
		for range 10 {
			a.ma.Adopt(ref.now())
			time.Sleep(5 * time.Second)
		}
		if st := replicated(a.store, end, false, time.Second); st != storage.Durable {
			t.Fatalf("%v, %+v", st, a.ma.State())
		}
		a.close()
	})
}

func TestFencedMasterAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ref, all := group(t, 2, false)
		a, b := all[0], all[1]
		ref.elect(1)
		a.lead()
		must(t, a.ma.Admit())
		b.follow(a.addr(), 1, SwitchSlaveOptions{})
		time.Sleep(time.Second)
		a.ma.Fence()
		if err := a.ma.Admit(); !errors.Is(err, ErrFenced) {
			t.Fatalf("admits: %v", err)
		}
		end := put(t, a.store, "too late")
		if st := replicated(a.store, end, false, 30*time.Second); st != storage.SlaveTimeout {
			t.Fatalf("acknowledged: %v", st)
		}
		if st, _ := b.slaveState(); st.Connected {
			t.Fatal("it still serves a slave")
		}
		a.close()
		b.close()

		// Nor when it was alone, or when the controller says it first.
		ref.elect(1)
		a.lead()
		b.follow(a.addr(), 2, SwitchSlaveOptions{})
		time.Sleep(time.Second)
		ref.elect(2)
		b.close() // the set must shrink now
		time.Sleep(time.Second)
		end = put(t, a.store, "too late again")
		if st := replicated(a.store, end, false, 30*time.Second); st != storage.SlaveTimeout || !errors.Is(a.ma.Admit(), ErrFenced) {
			t.Fatalf("acknowledged: %v", st)
		}
		a.close()
	})
}

func TestMinInSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ref, all := group(t, 2, false)
		a, b := all[0], all[1]
		a.tune = func(o *SwitchMasterOptions) { o.MinInSync = 2 }
		ref.elect(1)
		a.lead()
		var few *NotEnoughError
		if err := a.ma.Admit(); !errors.As(err, &few) || few.Have != 1 || few.Want != 2 {
			t.Fatalf("%v", err)
		}
		b.follow(a.addr(), 1, SwitchSlaveOptions{})
		time.Sleep(time.Second)
		must(t, a.ma.Admit())
		b.close()
		time.Sleep(time.Second)
		if err := a.ma.Admit(); !errors.As(err, &few) {
			t.Fatalf("%v", err)
		}
		a.close()
	})
}

// Without allAckInSyncStateSet a number of copies is asked for; those of a learner, or of two connections, do not count.
func TestCopiesInControllerMode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ref, all := group(t, 3, false)
		a, b, c := all[0], all[1], all[2]
		a.tune = func(o *SwitchMasterOptions) { o.AllAck, o.Copies = false, 2 }
		ref.elect(1)
		a.lead()
		b.follow(a.addr(), 1, SwitchSlaveOptions{Learner: true})
		end := put(t, a.store, "one")
		if st := replicated(a.store, end, false, 10*time.Second); st != storage.SlaveTimeout {
			t.Fatalf("a learner's copy counts: %v", st)
		}
		if st := a.ma.State(); len(st.Set) != 1 || len(st.Slaves) != 1 || !st.Slaves[0].Learner || st.Slaves[0].Acked != end {
			t.Fatalf("%+v", st)
		}
		c.follow(a.addr(), 1, SwitchSlaveOptions{})
		if st := replicated(a.store, end, false, 10*time.Second); st != storage.Durable {
			t.Fatalf("%v", st)
		}
		if st := a.ma.State(); !slices.Equal(st.Set, []int64{1, 3}) || st.Confirmed != end {
			t.Fatalf("%+v", st)
		}
		b.close()
		end = put(t, a.store, "two")
		if st := replicated(a.store, end, false, 10*time.Second); st != storage.Durable {
			t.Fatalf("%v", st)
		}
		for _, x := range []*replica{a, c} {
			x.close()
		}
	})
}

// The end of a log that only one broker has is cut when it comes back to another master.
func TestOldMasterRejoins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ref, a, b := pair(t)
		rng := rand.New(rand.NewPCG(5, 5))
		time.Sleep(time.Second)
		end := put(t, a.store, bodies(rng, 30)...)
		if st := replicated(a.store, end, false, 3*time.Second); st != storage.Durable {
			t.Fatal(st)
		}
		b.close()
		put(t, a.store, bodies(rng, 15)...) // nobody has these, and nobody was told that they are safe
		a.kill(rng, vfs.ProcessKill)

		ref.elect(2)
		b.lead()
		put(t, b.store, bodies(rng, 10)...)
		if list := b.epochs.List(); !slices.Equal(list, []Epoch{{1, 0}, {2, end}}) {
			t.Fatalf("%v", list)
		}
		a.follow(b.addr(), 2, SwitchSlaveOptions{})
		time.Sleep(10 * time.Second)
		if set, _ := ref.now(); !slices.Equal(set, []int64{1, 2}) || a.cuts != 1 {
			t.Fatalf("set %v, %d cuts, %v", set, a.cuts, a.err)
		}
		sameReplicas(t, a, b)
		if x, y := fileText(t, a.disk, epochPath), fileText(t, b.disk, epochPath); x != y {
			t.Fatalf("epochs %q and %q", x, y)
		}
		a.close()
		b.close()
	})
}

// An empty slave gets all of the log, or its newest file, with all epochs.
func TestEmptySwitchSlave(t *testing.T) {
	t.Parallel()
	for _, last := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ref, all := group(t, 2, false)
			a, b := all[0], all[1]
			rng := rand.New(rand.NewPCG(9, 9))
			for range 4 {
				ref.elect(1)
				a.lead()
				put(t, a.store, bodies(rng, 12)...)
				a.close()
			}
			ref.elect(1)
			a.lead() // an epoch in which nothing is written
			b.follow(a.addr(), 5, SwitchSlaveOptions{LastFile: last})
			time.Sleep(2 * time.Second)
			sameReplicas(t, a, b)
			want := a.epochs.List()
			if want = want[:4]; last {
				if b.store.MinOffset() != b.store.Appended()-b.store.Appended()%segment || b.store.MinOffset() == 0 {
					t.Fatalf("the log begins at %d", b.store.MinOffset())
				}
			} else if b.store.MinOffset() != 0 {
				t.Fatalf("the log begins at %d", b.store.MinOffset())
			}
			if got := b.epochs.List(); !slices.Equal(got, want) {
				t.Fatalf("epochs %v, want %v", got, want)
			}
			end := put(t, a.store, "in the new one")
			if st := replicated(a.store, end, false, 3*time.Second); st != storage.Durable {
				t.Fatal(st)
			}
			if got := b.epochs.List(); !slices.Equal(got, a.epochs.List()) {
				t.Fatalf("epochs %v, want %v", got, a.epochs.List())
			}
			a.close()
			b.close()
		})
	}
}

// A master that comes back in the same epoch goes on, unless it may have lost what a slave has.
func TestMasterComesBackInItsEpoch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ref, all := group(t, 1, false)
		a := all[0]
		rng := rand.New(rand.NewPCG(3, 3))
		ref.elect(1)
		a.lead()
		put(t, a.store, bodies(rng, 5)...)
		a.close()
		a.lead()
		put(t, a.store, bodies(rng, 5)...)
		a.kill(rng, vfs.ProcessKill)
		a.lead()
		if got := a.epochs.List(); !slices.Equal(got, []Epoch{{1, 0}}) {
			t.Fatalf("epochs %v", got)
		}
		put(t, a.store, bodies(rng, 5)...)
		must(t, a.store.Flush())
		a.kill(rng, vfs.PowerCut)
		a.lead()
		if got := a.epochs.List(); !slices.Equal(got, []Epoch{{1, a.store.Appended()}}) {
			t.Fatalf("epochs %v after a power cut, the log ends at %d", got, a.store.Appended())
		}
		a.close()
		a.open(false)
		if _, err := NewSwitchMaster(SwitchMasterOptions{Store: a.store, Epochs: a.epochs, ID: 1, Epoch: 0}); !errors.Is(err, ErrFenced) {
			t.Fatalf("master of an epoch of the past: %v", err)
		}
		must(t, a.store.Close())
	})
}

// What is not confirmed is in the log but not shown.
func TestReadersSeeWhatIsConfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ref, all := group(t, 2, false)
		a, b := all[0], all[1]
		a.tune = func(o *SwitchMasterOptions) { o.LimitReaders = true }
		ref.elect(1)
		a.lead()
		b.follow(a.addr(), 1, SwitchSlaveOptions{LimitReaders: true})
		time.Sleep(time.Second)
		end := put(t, a.store, "one")
		if st := replicated(a.store, end, false, 3*time.Second); st != storage.Durable {
			t.Fatal(st)
		}
		synctest.Wait()
		if got := a.store.Queue("T", 0).Max(); got != 1 {
			t.Fatalf("confirmed, but the queue ends at %d", got)
		}
		a.net.Partition(a.host(), b.host())
		put(t, a.store, "two")
		time.Sleep(time.Second)
		if got := a.store.Queue("T", 0).Max(); got != 1 {
			t.Fatalf("not confirmed, but the queue ends at %d", got)
		}
		a.net.Heal(a.host(), b.host())
		time.Sleep(6 * time.Second)
		if x, y := a.store.Queue("T", 0).Max(), b.store.Queue("T", 0).Max(); x != 2 || y != 2 {
			t.Fatalf("confirmed, but the queues end at %d and %d", x, y)
		}
		if st, _ := b.slaveState(); st.Confirmed != a.store.Appended() {
			t.Fatalf("%+v", st)
		}
		a.close()
		b.close()
	})
}

// Two logs that cannot be brought together are left as they are.
func TestSwitchSlaveRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		ours   []Epoch // of the slave, over a log of some messages
		theirs []Epoch
		opts   SwitchSlaveOptions
		epoch  int32
		want   string
		final  bool
	}{
		{"no common epoch", []Epoch{{1, 0}}, []Epoch{{2, 0}}, SwitchSlaveOptions{}, 2, "no epoch is in both", true},
		{"no epochs", nil, []Epoch{{2, 0}}, SwitchSlaveOptions{}, 2, "it has no epochs", true},
		{"a master of the past", []Epoch{{1, 0}, {5, 10}}, []Epoch{{1, 0}}, SwitchSlaveOptions{}, 0, "master of the past", false},
		{"another cluster", []Epoch{{1, 0}}, []Epoch{{1, 0}}, SwitchSlaveOptions{
			SameLog: func(context.Context, record.Offset, []byte) error { return errors.New("it holds another one there") },
		}, 1, "another one there", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ref, all := group(t, 2, false)
				a, b := all[0], all[1]
				for _, x := range all {
					x.open(false)
					put(t, x.store, fmt.Sprint("of broker ", x.id), strings.Repeat("x", 100*int(x.id)))
					list := c.ours
					if x == a {
						list = c.theirs
					}
					must(t, x.epochs.edit(func([]Epoch) []Epoch { return list }))
					must(t, x.store.Close())
				}
				ref.epoch, ref.master, ref.set = c.theirs[len(c.theirs)-1].Number, 1, []int64{1}
				a.lead()
				b.follow(a.addr(), c.epoch, c.opts)
				before, text := b.store.Appended(), fileText(t, b.disk, epochPath)
				time.Sleep(30 * time.Second)
				st, err := b.slaveState()
				if _, parted := errors.AsType[*DivergedError](err); parted != c.final {
					t.Fatalf("ended with %v, state %v", err, st.Err)
				}
				if !c.final {
					err = st.Err
				}
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("%v", err)
				}
				if b.store.Appended() != before || fileText(t, b.disk, epochPath) != text {
					t.Fatal("something was changed")
				}
				if set, _ := ref.now(); len(set) != 1 {
					t.Fatalf("set %v", set)
				}
				a.close()
				b.close()
			})
		})
	}
}

// A broker that was not in controller mode comes with a log that has no epochs. The last record tells whether it is the same.
func TestLogWithoutEpochs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ref, all := group(t, 2, false)
		a, b := all[0], all[1]
		a.open(false)
		put(t, a.store, "old", "older")
		must(t, a.store.Close())
		b.disk = a.disk.CrashClone(rand.New(rand.NewPCG(1, 1)), vfs.ProcessKill) // its copy
		ref.elect(1)
		a.lead()
		if list := a.epochs.List(); list[0].Start != a.store.Appended() {
			t.Fatalf("%v", list)
		}
		put(t, a.store, "new")
		asked := 0
		b.follow(a.addr(), 1, SwitchSlaveOptions{SameLog: func(_ context.Context, off record.Offset, rec []byte) error {
			asked++
			got, err := a.store.ReadAt(off, nil)
			if err == nil && !bytes.Equal(got, rec) {
				err = errors.New("another record")
			}
			return err
		}})
		time.Sleep(2 * time.Second)
		sameReplicas(t, a, b)
		if asked == 0 {
			t.Fatal("not asked")
		}
		a.close()
		b.close()
	})
}

// A slave comes into the set only with everything that was acknowledged while nobody waited for it.
func TestSlaveJoinsUnderLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ref, all := group(t, 2, false)
		a, b := all[0], all[1]
		ref.elect(1)
		a.lead()
		a.net.Delay(a.host(), b.host(), 100*time.Millisecond)
		var mu sync.Mutex
		var acked record.Offset
		ref.check = func(set []int64) {
			mu.Lock()
			defer mu.Unlock()
			if has := b.end64(); has < acked {
				t.Errorf("broker 2 is in the set %v and has the log up to %d, acknowledged is what is before %d", set, has, acked)
			}
		}
		var wg sync.WaitGroup
		for i := range 3000 {
			if i == 500 {
				b.follow(a.addr(), 1, SwitchSlaveOptions{})
			}
			end := put(t, a.store, "x")
			wg.Go(func() {
				if replicated(a.store, end, false, 20*time.Second) == storage.Durable {
					mu.Lock()
					defer mu.Unlock()
					acked = max(acked, end)
				}
			})
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		if set, _ := ref.now(); !slices.Equal(set, []int64{1, 2}) || acked != a.store.Appended() {
			t.Fatalf("set %v, acknowledged up to %d of %d", set, acked, a.store.Appended())
		}
		a.close()
		b.close()
	})
}

// A slave that comes back with less than it had reported, before its old connection was missed, leaves the set until it has it again.
func TestSlaveComesBackWithLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ref, a, b := pair(t)
		rng := rand.New(rand.NewPCG(8, 8))
		time.Sleep(time.Second)
		end := put(t, a.store, bodies(rng, 40)...)
		if st := replicated(a.store, end, false, 3*time.Second); st != storage.Durable {
			t.Fatal(st)
		}
		a.net.Partition(a.host(), b.host()) // the end of the connection is not seen
		b.kill(rng, vfs.PowerCut)
		var sets [][]int64
		ref.mu.Lock()
		ref.check = func(set []int64) {
			sets = append(sets, set)
			if has := b.end64(); len(set) == 2 && has < end {
				t.Errorf("broker 2 is in the set with a log up to %d, %d was acknowledged", has, end)
			}
		}
		ref.mu.Unlock()
		b.id = 3 // as if it had another address
		b.net.Delay(a.host(), b.host(), 10*time.Millisecond)
		o := SwitchSlaveOptions{}
		b.followAs(2, a.addr(), 1, o)
		if b.store.Appended() >= end {
			t.Fatal("the power cut has lost nothing")
		}
		time.Sleep(5 * time.Second)
		ref.mu.Lock()
		if len(sets) != 2 || len(sets[0]) != 1 || len(sets[1]) != 2 {
			t.Errorf("sets %v", sets)
		}
		ref.mu.Unlock()
		if st := a.ma.State(); len(st.Slaves) != 1 || st.Slaves[0].Addr[:8] != "10.0.0.3" {
			t.Errorf("%+v", st)
		}
		a.net.Heal(a.host(), "10.0.0.2")
		a.close()
		b.close()
	})
}
