package replication

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

// referee is the controller as far as these tests need one: who is master of which epoch, and the sync-state set.
type referee struct {
	mu       sync.Mutex
	epoch    int32
	master   int64
	set      []int64
	setEpoch int32
	dead     map[int64]bool
	refuse   bool
	// answer decides what becomes of a proposal and of its answer.
	answer func() (asked, answered bool)
	// late, if not nil, is given proposals that are lost: to be decided later.
	late func(decide func())
	// check is told each new set.
	check func(set []int64)
}

var errLost = errors.New("lost on the way")

// propose is Propose of broker id, master of epoch.
func (r *referee) propose(id int64, epoch int32) func(context.Context, []int64) ([]int64, int32, error) {
	return func(_ context.Context, set []int64) ([]int64, int32, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		asked, answered := true, true
		if r.answer != nil {
			asked, answered = r.answer()
		}
		if !asked {
			if known := r.setEpoch; r.late != nil {
				r.late(func() {
					r.mu.Lock()
					defer r.mu.Unlock()
					if r.setEpoch == known {
						_ = r.decideLocked(id, epoch, set)
					}
				})
			}
			return nil, 0, errLost
		}
		err := r.decideLocked(id, epoch, set)
		if !answered {
			return nil, 0, errLost
		}
		return slices.Clone(r.set), r.setEpoch, err
	}
}

func (r *referee) decideLocked(id int64, epoch int32, set []int64) error {
	switch {
	case r.master != id || r.epoch != epoch:
		return ErrFenced
	case r.refuse || slices.Equal(set, r.set) || slices.ContainsFunc(set, func(id int64) bool { return r.dead[id] }):
		return ErrRefused
	}
	r.set, r.setEpoch = set, r.setEpoch+1
	if r.check != nil {
		r.check(set)
	}
	return nil
}

// elect makes id the master.
func (r *referee) elect(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	r.master, r.set, r.setEpoch = id, []int64{id}, r.setEpoch+1
}

// answers sets answer.
func (r *referee) answers(f func() (asked, answered bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *referee) now() (set []int64, epoch int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.set), r.setEpoch
}

// replica is a broker in controller mode, as far as replication goes.
type replica struct {
	tb   testing.TB
	net  *memnet.Network
	ref  *referee
	id   int64
	sync bool
	wipe bool // begin anew when the log has nothing in common with the master's
	tune func(*SwitchMasterOptions)

	mu     sync.Mutex // guards what follows
	disk   *vfs.Mem
	store  *storage.Store
	epochs *Epochs
	ma     *SwitchMaster
	sl     *SwitchSlave
	err    error // why the slave has ended
	cuts   int

	stop context.CancelFunc
	done chan struct{}
}

func (r *replica) host() string { return fmt.Sprintf("10.0.0.%d", r.id) }
func (r *replica) addr() string { return r.host() + ":10912" }

func (r *replica) open(isCopy bool) { r.openAt(isCopy, nil) }

// openAt opens the store, cut at to.
func (r *replica) openAt(isCopy bool, to *record.Offset) {
	s, err := storage.Open(r.disk, storage.Options{
		Dir: "/store", SegmentSize: segment, QueueFileSize: 2000, IndexSlots: 10, IndexCapacity: 50, CacheBytes: 1 << 20,
		StoreHost: netip.MustParseAddrPort("10.0.0.2:10911"), FlushSync: r.sync, Copy: isCopy, TruncateTo: to, Log: logger(),
	})
	must(r.tb, err)
	if to != nil {
		must(r.tb, s.CutDone())
	}
	e, err := OpenEpochs(r.disk, epochPath, logger())
	must(r.tb, err)
	r.mu.Lock()
	r.store, r.epochs, r.ma, r.sl = s, e, nil, nil
	r.mu.Unlock()
}

// lead makes r the master of the referee's epoch.
func (r *replica) lead() *replica {
	r.open(false)
	r.ref.mu.Lock()
	o := SwitchMasterOptions{
		Store: r.store, Epochs: r.epochs, ID: r.id, Epoch: r.ref.epoch, Set: r.ref.set, SetEpoch: r.ref.setEpoch, AllAck: true,
		Propose: r.ref.propose(r.id, r.ref.epoch), Log: logger(),
	}
	r.ref.mu.Unlock()
	if r.tune != nil {
		r.tune(&o)
	}
	ma, err := NewSwitchMaster(o)
	must(r.tb, err)
	l, err := r.net.Host(r.host()).Listen(r.addr())
	must(r.tb, err)
	r.mu.Lock()
	r.ma = ma
	r.mu.Unlock()
	r.run(func(ctx context.Context) {
		var wg sync.WaitGroup
		wg.Go(func() { _ = r.store.Run(ctx) })
		_ = ma.Serve(ctx, l)
		wg.Wait()
	})
	return r
}

// follow makes r a slave. It cuts its log when it has to.
func (r *replica) follow(master string, epoch int32, o SwitchSlaveOptions) *replica {
	return r.followAs(r.id, master, epoch, o)
}

func (r *replica) followAs(id int64, master string, epoch int32, o SwitchSlaveOptions) *replica {
	o.ID, o.Dial, o.Durable, o.Log = id, r.net.Host(r.host()).Dial, r.sync, logger()
	begin := func(cut *record.Offset) {
		r.openAt(true, cut)
		o.Store, o.Epochs = r.store, r.epochs
		sl, err := NewSwitchSlave(o)
		must(r.tb, err)
		sl.Follow(master, epoch)
		r.mu.Lock()
		r.sl, r.err = sl, nil
		r.mu.Unlock()
	}
	begin(nil)
	r.run(func(ctx context.Context) {
		for {
			sctx, cancel := context.WithCancel(ctx)
			var wg sync.WaitGroup
			wg.Go(func() { _ = r.store.Run(sctx) })
			err := r.sl.Run(ctx)
			r.mu.Lock()
			r.err = err
			r.mu.Unlock()
			if cut, ok := errors.AsType[*TruncateError](err); ok && ctx.Err() == nil {
				cancel()
				wg.Wait()
				must(r.tb, r.store.Close())
				r.mu.Lock()
				r.cuts++
				r.mu.Unlock()
				begin(&cut.To)
				continue
			}
			if _, parted := errors.AsType[*DivergedError](err); parted && r.wipe && ctx.Err() == nil {
				cancel()
				wg.Wait()
				must(r.tb, r.store.Close())
				must(r.tb, r.disk.RemoveAll("/store"))
				must(r.tb, r.disk.MkdirAll("/store"))
				must(r.tb, r.disk.SyncDir("/"))
				begin(nil)
				continue
			}
			<-ctx.Done()
			cancel()
			wg.Wait()
			return
		}
	})
	return r
}

func (r *replica) run(f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.done = cancel, make(chan struct{})
	go func() {
		defer close(r.done)
		f(ctx)
	}()
	r.tb.Cleanup(func() { r.end() })
}

func (r *replica) end() {
	r.stop()
	<-r.done
}

// close stops r cleanly.
func (r *replica) close() {
	r.end()
	must(r.tb, r.store.Close())
}

// kill leaves of r what a crash leaves.
func (r *replica) kill(rng *rand.Rand, mode vfs.CrashMode) {
	disk := r.disk.CrashClone(rng, mode)
	r.end()
	r.disk = disk
}

func (r *replica) slaveState() (SwitchSlaveState, error) {
	r.mu.Lock()
	sl, err := r.sl, r.err
	r.mu.Unlock()
	return sl.State(), err
}

func (r *replica) end64() record.Offset {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.store.Appended()
}

// group makes brokers that know of each other.
func group(tb testing.TB, n int, sync bool) (*referee, []*replica) {
	tb.Helper()
	ref := &referee{dead: map[int64]bool{}}
	network := memnet.New()
	var out []*replica
	for i := range n {
		disk := vfs.NewMem(vfs.MemOptions{})
		must(tb, disk.MkdirAll("/store"))
		out = append(out, &replica{tb: tb, net: network, ref: ref, id: int64(i + 1), sync: sync, disk: disk})
	}
	return ref, out
}

// pair makes two brokers, the first one the master of epoch 1, the second its slave.
func pair(tb testing.TB) (ref *referee, a, b *replica) {
	tb.Helper()
	ref, all := group(tb, 2, false)
	a, b = all[0], all[1]
	ref.elect(1)
	a.lead()
	b.follow(a.addr(), 1, SwitchSlaveOptions{})
	return ref, a, b
}

func sameReplicas(tb testing.TB, a, b *replica) {
	tb.Helper()
	sameLogs(tb, &side{disk: a.disk, store: a.store}, &side{disk: b.disk, store: b.store})
}
