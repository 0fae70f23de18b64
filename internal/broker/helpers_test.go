package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	storeHost = netip.MustParseAddrPort("10.0.0.2:10911")
	client    = netip.MustParseAddrPort("10.0.0.9:4711")
)

// rig is a broker on a store in memory.
type rig struct {
	*broker.Broker
	t     testing.TB
	fs    vfs.FS
	store *storage.Store
	stop  func()
	name  string

	mu        sync.Mutex
	announced []mq.TopicConfig
}

// setup are the options of a rig.
type setup struct {
	broker.Options
	storage storage.Options
	idle    bool // do not run the background work
}

func start(tb testing.TB, change ...func(o *setup)) *rig {
	tb.Helper()
	r := &rig{t: tb, fs: vfs.NewMem(vfs.MemOptions{})}
	o := setup{Options: broker.Options{
		Name: "broker-a", Addr: storeHost, Dir: "/store", TraceOn: true, AutoCreateTopic: true, AutoCreateGroup: true,
		Announce: func(_ context.Context, changed []mq.TopicConfig, _ mq.DataVersion) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.announced = append(r.announced, changed...)
			return nil
		},
	}, storage: storage.Options{
		Dir: "/store", SegmentSize: 4 << 20, QueueFileSize: 20_000, IndexEnabled: true, IndexSlots: 100, IndexCapacity: 1000,
		CacheBytes: 4 << 20, StoreHost: storeHost,
	}}
	o.FS = r.fs
	if testing.Verbose() && os.Getenv("BROKER_LOG") != "" {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
		o.storage.Log = o.Log
	}
	for _, f := range change {
		f(&o)
	}
	r.fs, r.name = o.FS, o.Name
	o.storage.FlushSync = o.FlushSync
	var err error
	if r.store, err = storage.Open(r.fs, o.storage); err != nil {
		tb.Fatal(err)
	}
	o.Store = r.store
	if r.Broker, err = broker.Open(o.Options); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	if !o.idle {
		go func() { done <- r.store.Run(ctx) }()
		go func() { done <- r.Run(ctx) }()
	}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if !o.idle {
			<-done
			<-done
		}
		err := errors.Join(r.Close(), r.store.Close())
		if err != nil && r.store.Writable() == nil {
			tb.Error(err)
		}
	}
	tb.Cleanup(r.stop)
	return r
}

// topicsAnnounced returns what was announced since the last call.
func (r *rig) topicsAnnounced() []mq.TopicConfig {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.announced = nil }()
	return r.announced
}

func (r *rig) topic(name string, queues int32) {
	r.t.Helper()
	must(r.t, r.PutTopic(r.t.Context(), mq.TopicConfig{Name: name, ReadQueues: queues, WriteQueues: queues, Perm: 6}))
}

// message is a send as a default producer makes it.
func message(topic string, queue int32, body string, props ...string) mq.SendRequest {
	var p record.Props
	for i := 0; i+1 < len(props); i += 2 {
		p = record.AppendProp(p, props[i], props[i+1])
	}
	return mq.SendRequest{
		Topic: topic, QueueID: queue, Group: "PG", DefaultTopic: "TBW102", DefaultQueues: 4, BornTime: 1_700_000_000_000,
		BornHost: client, Props: p, MaxReconsume: -1, Body: []byte(body),
	}
}

// send sends and waits for the decision.
func (r *rig) send(requests ...mq.SendRequest) ([]mq.SendResult, mq.SendStatus) {
	r.t.Helper()
	status := make(chan mq.SendStatus, 1)
	b := &mq.SendBatch{Requests: requests, Done: func(_ *mq.SendBatch, s mq.SendStatus) { status <- s }}
	if !r.Send(r.t.Context(), b) {
		return b.Results, mq.SendOK
	}
	return b.Results, <-status
}

// put sends one message that must be stored.
func (r *rig) put(m mq.SendRequest) mq.SendResult {
	r.t.Helper()
	res, _ := r.send(m)
	if res[0].Err != nil {
		r.t.Fatalf("send: %v", res[0].Err)
	}
	return res[0]
}

// putN sends m0, m1 ... to a topic's first queue.
func (r *rig) putN(topic string, n int) {
	r.t.Helper()
	for i := range n {
		r.put(message(topic, 0, fmt.Sprintf("m%d", i)))
	}
}

// settle waits until all that was sent can be read.
func (r *rig) settle() {
	r.t.Helper()
	for r.store.Dispatched() < r.store.Appended() {
		time.Sleep(time.Millisecond)
	}
}

func pull(topic string, queue int32, from mq.Index) *mq.PullRequest {
	return &mq.PullRequest{Group: "g", Topic: topic, QueueID: queue, From: from, MaxMessages: 32, HasExpression: true, Expression: "*", ClientHost: client}
}

func messages(tb testing.TB, recs []byte) []record.Message {
	tb.Helper()
	var out []record.Message
	for len(recs) > 0 {
		var m record.Message
		n, err := record.Decode(recs, &m, true)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, m)
		recs = recs[n:]
	}
	return out
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// refused checks an error's kind and text.
func refused(tb testing.TB, err error, kind mq.Kind, text string) {
	tb.Helper()
	if err == nil {
		tb.Fatalf("no error, want %q", text)
	}
	if mq.KindOf(err) != kind || err.Error() != text {
		tb.Errorf("kind %d, %q\nwant %d, %q", mq.KindOf(err), err, kind, text)
	}
}
