package remotingapi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
)

// realBroker is the door before a broker.
func realBroker(tb testing.TB, fs vfs.FS, dir string, flushSync bool) (*rig, *storage.Store) {
	tb.Helper()
	store, err := storage.Open(fs, storage.Options{
		Dir: dir, SegmentSize: 64 << 20, QueueFileSize: 6_000_000, CacheBytes: 8 << 20, StoreHost: storeHost, FlushSync: flushSync,
	})
	if err != nil {
		tb.Fatal(err)
	}
	core, err := broker.Open(broker.Options{
		Name: "broker-a", Addr: storeHost, Store: store, FS: fs, Dir: dir, AutoCreateTopic: true, AutoCreateGroup: true, FlushSync: flushSync,
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- store.Run(ctx) }()
	go func() { done <- core.Run(ctx) }()
	tb.Cleanup(func() { // after the server's
		cancel()
		if err := errors.Join(<-done, <-done, core.Close(), store.Close()); err != nil {
			tb.Error(err)
		}
	})
	if err := core.PutTopic(ctx, mq.TopicConfig{Name: "T", ReadQueues: 4, WriteQueues: 4, Perm: 6}); err != nil {
		tb.Fatal(err)
	}
	return overTCP(tb, core, core), store
}

// Answers that come after the flush tell each message's own key, although the bytes it came in were overwritten by what
// the client sent meanwhile.
func TestSyncFlushAnswersCarryTheirOwnKeys(t *testing.T) {
	t.Parallel()
	r, store := realBroker(t, vfs.NewMem(vfs.MemOptions{}), "/store", true)
	w := r.wire(t)
	const bursts, size = 100, 20
	key := func(opaque int32) string { return fmt.Sprintf("KEY-%026d", opaque) }
	go func() {
		for b := range bursts {
			var all []byte
			for i := range size {
				opaque := int32(b*size + i)
				h := v2("T")
				h["i"] = "UNIQ_KEY\x01" + key(opaque) + "\x02WAIT\x01true\x02"
				body := strconv.Itoa(int(opaque))
				s := remoting.Serial(i % 2)
				if i == 7 { // refused: no such queue
					h["e"] = "9"
				}
				all = append(all, frame(s, 310, opaque, 0, h, body)...)
			}
			if _, err := w.Write(all); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	seen := map[int32]bool{}
	for range bursts * size {
		a, err := w.recv()
		if err != nil {
			t.Fatal(err)
		}
		if seen[a.opaque] {
			t.Fatalf("%d was answered twice", a.opaque)
		}
		seen[a.opaque] = true
		region(t, a)
		if a.opaque%size == 7 {
			if a.code != 29 {
				t.Fatalf("%+v", a)
			}
			continue
		}
		if a.code != 0 || a.ext["transactionId"] != key(a.opaque) {
			t.Fatalf("%+v, want %s", a, key(a.opaque))
		}
	}
	for store.Dispatched() < store.Appended() { // they are in their queues a moment after they were answered
		time.Sleep(time.Millisecond)
	}
	// And they are stored in the order in which they were sent.
	last, from := -1, int64(0)
	for n := 0; n < bursts*(size-1); {
		h := pullHead(strconv.FormatInt(from, 10), "4")
		h["queueId"], h["subscription"] = "1", "*"
		w.write(req(11, 1, h, ""))
		a := w.want(1, 0)
		for rest := []byte(a.body); len(rest) > 0; n++ {
			var m record.Message
			k, err := record.Decode(rest, &m, true)
			if err != nil {
				t.Fatal(err)
			}
			at, _ := strconv.Atoi(string(m.Body))
			uniq, _ := m.Props.Get("UNIQ_KEY")
			if at <= last || string(uniq) != key(int32(at)) {
				t.Fatalf("%d with key %s after %d", at, uniq, last)
			}
			last, rest = at, rest[k:]
		}
		from, _ = strconv.ParseInt(a.ext["nextBeginOffset"], 10, 64)
	}
}

// exchange writes the same requests again and again and reads their answers.
type exchange struct {
	w       *wire
	out     []byte
	n       int // answers
	size    int // of the last answers, all together
	refused int // answers that were no success
	head    protocol.Header
}

func (x *exchange) turn(tb testing.TB) {
	tb.Helper()
	if _, err := x.w.Write(x.out); err != nil {
		tb.Fatal(err)
	}
	x.size = 0
	for range x.n {
		b, err := x.w.r.Peek(8)
		if err != nil {
			tb.Fatal(err)
		}
		size := 4 + int(binary.BigEndian.Uint32(b))
		s, n := protocol.SplitWord(binary.BigEndian.Uint32(b[4:]))
		if b, err = x.w.r.Peek(8 + n); err == nil {
			err = x.head.Decode(s, b[8:])
		}
		if err != nil {
			tb.Fatal(err)
		}
		if x.head.Code != protocol.RespSuccess {
			x.refused++
		}
		if _, err := x.w.r.Discard(size); err != nil {
			tb.Fatal(err)
		}
		x.size += size
	}
}

// The budget of allocations on the way through transport, door, core and store: none.
const (
	burstSize    = 64
	sendBudget   = 0 // for a burst
	pullBudget   = 0 // for one pull
	pullMessages = 32
)

// steady returns what a turn allocates once pools are full: a collection in the middle of a measurement empties them, so it gets a few
// attempts. One in which the broker refused something, because the machine stood still for a second, does not count.
func (x *exchange) steady(tb testing.TB, runs int, budget float64) float64 {
	tb.Helper()
	got := math.Inf(1)
	for range 20 {
		x.refused = 0
		n := testing.AllocsPerRun(runs, func() { x.turn(tb) })
		if x.refused > 0 {
			tb.Logf("%d refusals", x.refused)
			continue
		}
		if got = min(got, n); got <= budget || raceEnabled {
			break
		}
	}
	if math.IsInf(got, 1) {
		tb.Error("the broker refuses in every attempt")
	}
	return got
}

func TestAllocationsOfSends(t *testing.T) {
	for _, s := range []remoting.Serial{remoting.JSON, remoting.Binary} {
		r, _ := realBroker(t, vfs.OS(), t.TempDir(), false) // files in memory would allocate their pages
		w := r.wire(t)
		var out []byte
		for i := range int32(burstSize) {
			h := v2("T")
			h["e"] = strconv.Itoa(int(i % 4))
			h["i"] = "UNIQ_KEY\x017F0000010000123400000000000000FF\x02WAIT\x01true\x02TAGS\x01a\x02"
			out = append(out, frame(s, protocol.ReqSendMessageV2, 1000+i, 0, h, string(make([]byte, 512)))...)
		}
		x := &exchange{w: w, out: out, n: burstSize}
		const turns = 200
		for range turns {
			x.turn(t)
		}
		got := x.steady(t, turns, sendBudget)
		t.Logf("form %d: %v allocations for %d sends", s, got, burstSize)
		if got > sendBudget && !raceEnabled {
			t.Errorf("form %d: %v allocations for %d sends, the budget is %v", s, got, burstSize, sendBudget)
		}
		_ = w.Close()
	}
}

func TestAllocationsOfPulls(t *testing.T) {
	r, store := realBroker(t, vfs.OS(), t.TempDir(), false)
	for _, size := range []int{512, 4 << 10} {
		for _, s := range []remoting.Serial{remoting.JSON, remoting.Binary} {
			w := r.wire(t)
			var fill []byte
			queue := "0"
			if size > 512 {
				queue = "1"
			}
			for i := range int32(pullMessages) {
				h := v2("T")
				h["e"] = queue
				fill = append(fill, frame(s, protocol.ReqSendMessageV2, i, 0, h, string(make([]byte, size)))...)
			}
			filled := &exchange{w: w, out: fill, n: pullMessages}
			for filled.turn(t); filled.refused > 0; filled.turn(t) {
				filled.refused = 0
			}
			ask := &exchange{w: w, out: req(30, 1, ext{"topic": "T", "queueId": "0"}, ""), n: 1}
			for store.Dispatched() < store.Appended() {
				ask.turn(t)
			}
			h := pullHead("0", "4")
			h["queueId"], h["subscription"] = queue, "*"
			out := frame(s, protocol.ReqPullMessage, 1, 0, h, "")
			x := &exchange{w: w, out: out, n: 1}
			for range 100 {
				if x.turn(t); x.size < pullMessages*size {
					t.Fatalf("an answer of %d bytes", x.size)
				}
			}
			got := x.steady(t, 200, pullBudget)
			t.Logf("form %d: %v allocations for a pull of %d messages of %d bytes", s, got, pullMessages, size)
			if got > pullBudget && !raceEnabled {
				t.Errorf("form %d, %d bytes: %v allocations for a pull, the budget is %v", s, size, got, pullBudget)
			}
			_ = w.Close()
		}
	}
}
