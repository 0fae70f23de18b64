package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/node"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

// rig is one broker in a bubble, on a disk that can be made to fail.
type rig struct {
	*testing.T
	net  *memnet.Network
	node *node.Node
	disk *vfs.Mem
	acks []string // bodies of acknowledged messages, in order
	hid  int      // so many of the last ones may be invisible: the queues have no room either
	at   int64    // the last offset whose commit was answered
}

const rigHost, rigTopic = "10.0.0.2", "faults"

// newRig starts a broker on fsys, which stands before disk.
func newRig(t *testing.T, disk *vfs.Mem, fsys vfs.FS, conf map[string]string) *rig {
	t.Helper()
	r := &rig{T: t, net: memnet.New(), disk: disk}
	flags := map[string]string{
		"storePathRootDir": root, "mappedFileSizeCommitLog": "65536", "mappedFileSizeConsumeQueue": "4000", "maxHashSlotNum": "64", "maxIndexNum": "512",
	}
	maps.Copy(flags, conf)
	c, _, err := config.LoadBroker(config.Sources{Host: &config.Host{Name: "broker-a", IP: rigHost, Home: "/home"}, Flags: flags})
	must(t, err)
	h := r.net.Host(rigHost)
	r.node, err = node.Start(t.Context(), node.Options{
		Broker: c, FS: fsys, Dial: h.Dial,
		Listen: func(_ context.Context, _, addr string) (net.Listener, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return h.Listen(net.JoinHostPort(rigHost, port))
		},
	})
	must(t, err)
	return r
}

func (r *rig) stop() {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
	defer cancel()
	_ = r.node.Shutdown(ctx) // a broken disk makes it fail
}

func (r *rig) client() *bench.Client {
	r.Helper()
	c, err := bench.Dial(r.Context(), r.net.Host("10.0.0.3").Dial, rigHost+":10911", protocol.JSON)
	must(r, err)
	return c
}

func (r *rig) send(c *bench.Client, body string) error {
	rep, err := c.Call(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "p", Topic: rigTopic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 1, BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1,
	}, []byte(body))
	if err != nil {
		return err
	}
	if err := rep.Err(); err != nil {
		return err
	}
	r.acks = append(r.acks, body)
	return nil
}

// commit moves the offset of group g on by one.
func (r *rig) commit(c *bench.Client) error {
	if err := c.Heartbeat("consumer", "g", rigTopic); err != nil {
		return err
	}
	rep, err := c.Call(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{
		ConsumerGroup: "g", Topic: rigTopic, CommitOffset: r.at + 1,
	}, nil)
	if err != nil {
		return err
	}
	if err := rep.Err(); err != nil {
		return err
	}
	r.at++
	return nil
}

// check reads everything back: the acknowledged messages are there, in order, and the offset is the last one committed.
func (r *rig) check(c *bench.Client, what string) {
	r.Helper()
	i := 0
	err := c.ReadAll(rigTopic, 0, func(_ int64, rec []byte) error {
		var m record.Message
		if _, err := record.Decode(rec, &m, true); err != nil {
			return err
		}
		if i < len(r.acks) && string(m.Body) == r.acks[i] {
			i++
		}
		return nil
	})
	if err != nil || i < len(r.acks)-r.hid {
		r.Errorf("%s: %d of %d acknowledged messages are readable: %v", what, i, len(r.acks), err)
	}
	rep, err := c.Call(protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{ConsumerGroup: "g", Topic: rigTopic}, nil)
	must(r, err)
	if at, err := rep.Int("offset"); r.at > 0 && (err != nil || at != r.at) {
		r.Errorf("%s: offset %d %v, %d was committed", what, at, err, r.at)
	}
}

// again starts a broker on what a kill leaves of the disk and looks for everything.
func (r *rig) again(what string) {
	r.Helper()
	disk := killed(r.disk)
	r.stop()
	next := newRig(r.T, disk, disk, nil)
	next.acks, next.at = r.acks, r.at
	c := next.client()
	next.check(c, what)
	must(r, next.send(c, "after"))
	next.check(c, what+", after one more")
	must(r, c.Close())
	next.stop()
}

// refused checks that err is an answer that names the cause.
func (r *rig) refused(err error, cause string) {
	r.Helper()
	var code *bench.CodeError
	if !errors.As(err, &code) || code.Code != protocol.RespServiceNotAvailable || !strings.Contains(code.Remark, cause) {
		r.Errorf("a send was answered with %v, want code %d and %q", err, protocol.RespServiceNotAvailable, cause)
	}
}

func (r *rig) fill(c *bench.Client, limit int) error {
	for i := range limit {
		if err := r.send(c, fmt.Sprintf("%d %s", i, strings.Repeat("x", 1000))); err != nil {
			return err
		}
	}
	return nil
}

// A full disk refuses messages and nothing else, and ends by itself.
func TestDiskFullIsAStateThatEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		room  int64 // bytes beyond what is used
		total int64 // 0 = as given by room
		cause string
	}{
		{"disk full: no room for a file", 3 * 65536, 0, "no space left on device"},
		{"disk full: no room at all", 4096, 0, "no space left on device"},
		{"disk full: above diskSpaceWarningLevelRatio", 1 << 30, 2 << 20, "diskSpaceWarningLevelRatio"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			defer func() { table.fault(c.name, !t.Failed()) }()
			synctest.Test(t, func(t *testing.T) {
				disk := vfs.NewMem(vfs.MemOptions{})
				r := newRig(t, disk, disk, map[string]string{"cleanFileForciblyEnable": "false"})
				cl := r.client()
				must(t, r.fill(cl, 200))
				must(t, r.commit(cl))
				used := func() int64 {
					u, err := disk.Usage("/")
					must(t, err)
					return int64(u.Total - u.Free)
				}
				disk.SetCapacity(used() + c.room)
				if c.total != 0 {
					disk.SetCapacity(used() * 100 / 91)
					time.Sleep(time.Minute) // the cleaner looks
				}
				before := len(r.acks)
				r.refused(r.fill(cl, 5000), c.cause)
				if c.room < 65536 {
					r.hid = len(r.acks) - before
				}
				for range 3 {
					time.Sleep(20 * time.Second)
					r.refused(r.send(cl, "no"), "disk is full")
					must(t, r.commit(cl))
					r.check(cl, "while the disk is full")
				}
				disk.SetCapacity(1 << 40)
				r.hid = 0
				time.Sleep(15 * time.Second)
				if err := r.fill(cl, 100); err != nil {
					t.Errorf("there is room again: %v", err)
				}
				must(t, r.commit(cl))
				r.check(cl, "after the disk was full")
				time.Sleep(time.Second) // offsets reach the journal in 20 ms
				must(t, cl.Close())
				r.again("after a kill")
			})
		})
	}
}

// A failing sync or write refuses messages until a restart; reads and offsets go on.
func TestFailingDiskRefusesSends(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, flush string
		kind        vfs.OpKind
		file        string
	}{
		{"failing datasync of the log, sync flush", "SYNC_FLUSH", vfs.OpDatasync, "/commitlog/"},
		{"failing datasync of the log, async flush", "ASYNC_FLUSH", vfs.OpDatasync, "/commitlog/"},
		{"failing write of the log", "ASYNC_FLUSH", vfs.OpWrite, "/commitlog/"},
		{"failing write of a queue", "ASYNC_FLUSH", vfs.OpWrite, "/consumequeue/"},
		{"failing sync of the mark", "ASYNC_FLUSH", vfs.OpDatasync, "/cometmq/dispatch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			defer func() { table.fault(c.name, !t.Failed()) }()
			synctest.Test(t, func(t *testing.T) {
				disk := vfs.NewMem(vfs.MemOptions{})
				var broken atomic.Bool
				r := newRig(t, disk, vfs.NewFaulty(disk, func(op vfs.Op) error {
					if broken.Load() && op.Kind == c.kind && strings.Contains(op.Name, c.file) {
						return syscall.EIO
					}
					return nil
				}), map[string]string{"flushDiskType": c.flush})
				cl := r.client()
				must(t, r.fill(cl, 100))
				must(t, r.commit(cl))
				time.Sleep(30 * time.Second)
				broken.Store(true)
				var err error
				for i := 0; err == nil && i < 1000; i++ {
					before := len(r.acks)
					if err = r.send(cl, fmt.Sprint("more ", i)); c.flush == "SYNC_FLUSH" && len(r.acks) > before {
						t.Error("acknowledged although it is not on disk")
					}
					time.Sleep(100 * time.Millisecond)
				}
				if err == nil {
					t.Fatal("no send was refused")
				}
				broken.Store(false) // an error of a sync is never forgotten
				for range 3 {
					time.Sleep(10 * time.Second)
					r.refused(r.send(cl, "no"), "input/output error")
					must(t, r.commit(cl))
					r.check(cl, "while the store is read-only")
				}
				time.Sleep(time.Second)
				must(t, cl.Close())
				r.again("after a kill")
			})
		})
	}
}

// A second store on the same directory is refused before anything is touched.
func TestSecondOpenerTouchesNothing(t *testing.T) {
	t.Parallel()
	sp := newSpecimen(t, stopKilled)
	s, err := storage.Open(sp.disk, sp.o)
	must(t, err)
	before := tree(sp.disk, "/")
	var changes []string
	watched := vfs.NewFaulty(sp.disk, func(op vfs.Op) error {
		if !reads(op.Kind) && op.Kind != vfs.OpLock && op.Kind != vfs.OpSyncDir && op.Kind != vfs.OpMkdirAll {
			changes = append(changes, op.Kind.String()+" "+op.Name)
		}
		return nil
	})
	_, err = storage.Open(watched, sp.o)
	if !errors.Is(err, vfs.ErrLocked) || !strings.Contains(err.Error(), root+"/lock") {
		t.Errorf("second open: %v", err)
	}
	if len(changes) > 0 || !maps.Equal(before, tree(sp.disk, "/")) {
		t.Errorf("the directory was touched: %v", changes)
	}
	must(t, s.Close())
}
