package broker_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestWhereNewGroupsBegin(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		mode         broker.NewGroups
		filled       int64 // position in a queue with 5 messages
		empty, retry int64 // in a queue without one; in the group's retry topic with 2; -1: the client decides
	}{
		{"", 0, -1, 0},
		{broker.NewGroupsCompat, 0, -1, 0},
		{broker.NewGroupsLatest, 5, 0, 0},
		{broker.NewGroupsEarliest, 0, 0, 0},
	} {
		t.Run(string(tc.mode), func(t *testing.T) {
			t.Parallel()
			r := start(t, func(o *setup) { o.NewGroups = tc.mode })
			r.topic("T", 2)
			must(t, r.PutGroup(t.Context(), mq.DefaultGroupConfig("g")))
			for range 5 {
				r.put(message("T", 0, "x"))
			}
			for range 2 {
				m := toRetry("g", 0, 16)
				m.Props = nil
				r.put(m)
			}
			r.settle()
			for _, q := range []struct {
				topic string
				queue int32
				want  int64
			}{{"T", 0, tc.filled}, {"T", 1, tc.empty}, {"%RETRY%g", 0, tc.retry}} {
				at, err := r.QueryIndex(t.Context(), "g", q.topic, q.queue, true)
				if q.want < 0 {
					if mq.KindOf(err) != mq.KindQueryNotFound {
						t.Errorf("%s/%d: %d %v, want not found", q.topic, q.queue, at, err)
					}
					continue
				}
				if err != nil || int64(at) != q.want {
					t.Errorf("%s/%d: %d %v, want %d", q.topic, q.queue, at, err, q.want)
				}
			}
			// It stays so whatever comes in before the group commits by itself.
			r.put(message("T", 0, "y"))
			r.settle()
			if at, err := r.QueryIndex(t.Context(), "g", "T", 0, true); err != nil || int64(at) != tc.filled {
				t.Errorf("later: %d %v, want %d", at, err, tc.filled)
			}
			// Who only wants to know whether there is a position is not told one.
			if _, err := r.QueryIndex(t.Context(), "h", "T", 0, false); mq.KindOf(err) != mq.KindQueryNotFound {
				t.Errorf("no zero wanted: %v", err)
			}
			// A group that does not exist leaves nothing behind.
			if _, err := r.QueryIndex(t.Context(), "stranger", "T", 0, true); err != nil {
				t.Error(err)
			}
			if _, err := r.QueryIndex(t.Context(), "stranger", "T", 0, false); mq.KindOf(err) != mq.KindQueryNotFound {
				t.Errorf("a stranger has a position: %v", err)
			}
		})
	}
}

func TestQueuesThatCannotBeOpenedAreNotEmpty(t *testing.T) {
	t.Parallel()
	for _, mode := range []broker.NewGroups{broker.NewGroupsCompat, broker.NewGroupsLatest, broker.NewGroupsEarliest} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewMem(vfs.MemOptions{})
			first := start(t, func(o *setup) { o.FS = mem })
			first.topic("T", 1)
			must(t, first.PutGroup(t.Context(), mq.DefaultGroupConfig("g")))
			for range 7 {
				first.put(message("T", 0, "x"))
			}
			first.settle()
			first.stop()

			// The queue is opened when it is used first, and that fails for a while.
			var broken atomic.Bool
			broken.Store(true)
			rule := func(op vfs.Op) error {
				if broken.Load() && strings.Contains(op.Name, "consumequeue/T/0") {
					return errors.New("lightning struck")
				}
				return nil
			}
			r := start(t, func(o *setup) { o.FS, o.NewGroups = vfs.NewFaulty(mem, rule), mode })
			ctx := t.Context()
			for what, ask := range map[string]func() (int64, error){
				"position": func() (int64, error) { at, err := r.QueryIndex(ctx, "g", "T", 0, true); return int64(at), err },
				"min":      func() (int64, error) { at, err := r.MinIndex(ctx, "T", 0); return int64(at), err },
				"max":      func() (int64, error) { at, err := r.MaxIndex(ctx, "T", 0); return int64(at), err },
				"at time": func() (int64, error) {
					at, err := r.IndexAtTime(ctx, "T", 0, 1<<50, mq.BoundaryLower)
					return int64(at), err
				},
				"earliest": func() (int64, error) { return r.EarliestStoreTime(ctx, "T", 0) },
			} {
				if at, err := ask(); mq.KindOf(err) != mq.KindInternal || err == nil || !strings.Contains(err.Error(), "lightning") {
					t.Errorf("%s: %d, %v; want an error that says why", what, at, err)
				}
			}
			f, err := r.Pull(ctx, pull("T", 0, 5), nil)
			if err != nil || f.Status != mq.FetchOffsetFoundNull || f.Next != 5 {
				t.Errorf("pull: %v, next %d, %v; want nothing yet and the same position", f.Status, f.Next, err)
			}
			must(t, r.CommitIndex(ctx, "g", "T", 0, 3))
			if at, qerr := r.QueryIndex(ctx, "g", "T", 0, true); qerr != nil || at != 3 {
				t.Errorf("a committed position needs no queue: %d %v", at, qerr)
			}

			broken.Store(false)
			if at, qerr := r.MaxIndex(ctx, "T", 0); qerr != nil || at != 7 {
				t.Errorf("afterwards: %d %v, want 7", at, qerr)
			}
			if f, err = r.Pull(ctx, pull("T", 0, 5), nil); err != nil || f.Count != 2 {
				t.Errorf("pull afterwards: %+v %v", f, err)
			}
		})
	}
}

func TestNoStartWithoutTheBrokersOwnQueues(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem(vfs.MemOptions{})
	first := start(t, func(o *setup) { o.FS, o.storage.TagsCode = mem, delay.JavaLevels().Tags })
	first.topic("T", 1)
	for range 3 {
		first.put(message("T", 0, "x", "DELAY", "3"))
	}
	first.settle()
	first.stop()

	rule := func(op vfs.Op) error {
		if strings.Contains(op.Name, "consumequeue/"+delay.Topic+"/2") {
			return errors.New("lightning struck")
		}
		return nil
	}
	o := storage.Options{Dir: "/store", SegmentSize: 4 << 20, QueueFileSize: 20_000, CacheBytes: 4 << 20, StoreHost: storeHost}
	for _, fs := range []vfs.FS{vfs.NewFaulty(mem, rule), mem} {
		st, err := storage.Open(fs, o)
		must(t, err)
		b, err := broker.Open(broker.Options{Addr: storeHost, FS: fs, Dir: "/store", Store: st})
		if fs == mem {
			must(t, err)
			must(t, b.Close())
		} else if err == nil || !strings.Contains(err.Error(), "lightning") || !strings.Contains(err.Error(), delay.Topic+"/2") {
			t.Errorf("error %v, want one that names the queue", err)
		}
		must(t, st.Close())
	}
}
