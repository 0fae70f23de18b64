package sim

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// placed is a message that is in the log that counts.
type placed struct {
	number int64
	offset int64
}

// verify compares what clients were told with what the set has. All are in sync, and nobody sends any more.
func (f *fleet) verify() {
	f.Helper()
	var all [queues][]placed
	for q := range queues {
		all[q] = f.readQueue(q)
	}
	m := f.master()
	if m == nil {
		f.Fatal("no master")
	}
	var kept []ack
	at := map[int64]int{} // offset -> index in kept, for double answers
	for _, a := range f.acks {
		list := all[a.queue]
		if a.index < int64(len(list)) && list[a.index] == (placed{a.number, a.offset}) {
			kept = append(kept, a)
			at[a.offset]++
			continue
		}
		if f.lost++; f.mode.keeps {
			f.Errorf("queue %d: message %d was acknowledged by %v at index %d, offset %d, at %v, and is not there (the queue ends at %d)",
				a.queue, a.number, a.broker, a.index, a.offset, a.heard.Format(time.TimeOnly), len(list))
		}
	}
	if len(at) != len(kept) {
		f.Errorf("%d acknowledged messages at %d places", len(kept), len(at))
	}
	for q := range queues {
		f.verifyOnce(q, all[q])
		f.inOrder("queue", slices.DeleteFunc(slices.Clone(kept), func(a ack) bool { return a.queue != q }), func(a ack) int64 { return a.index })
	}
	// The log is one: what began after another message had been acknowledged is behind it. So no old master acknowledges anything after
	// the first acknowledgement of a new epoch.
	f.inOrder("log", kept, func(a ack) int64 { return a.offset })
	f.oneWriter(m, kept)
	f.alike()
}

// inOrder checks that what was sent after the acknowledgement of another message is behind it.
func (f *fleet) inOrder(what string, list []ack, place func(ack) int64) {
	f.Helper()
	slices.SortFunc(list, func(a, b ack) int { return cmp.Compare(place(a), place(b)) })
	var before ack
	for _, a := range list {
		if a.got < before.asked {
			f.Errorf("%s: message %d of queue %d, acknowledged by %v, is at %d, before message %d of queue %d at %d, acknowledged by %v, which was sent later",
				what, before.number, before.queue, before.broker, place(before), a.number, a.queue, place(a), a.broker)
			return
		}
		if a.asked > before.asked {
			before = a
		}
	}
}

// readQueue reads a queue from the master.
func (f *fleet) readQueue(q int) (out []placed) {
	f.Helper()
	m := f.master()
	for at := int64(0); ; at = int64(len(out)) {
		h := protocol.PullMessageRequestHeader{
			ConsumerGroup: "verify", Topic: topic, QueueID: int32(q), QueueOffset: at, MaxMsgNums: 32, SysFlag: 4, Subscription: "*", ExpressionType: "TAG", RequestSource: -1,
		}
		r, err := f.ask(m.addr(), protocol.ReqPullMessage, &h, nil)
		if err != nil && (r == nil || r.Code != protocol.RespPullNotFound) {
			f.Fatalf("read queue %d at %d: %v", q, at, err)
		}
		if r.Code == protocol.RespPullNotFound {
			return out
		}
		for b := r.Body; len(b) > 0; {
			var msg record.Message
			n, err := record.Decode(b, &msg, true)
			f.must(err)
			if int64(msg.Index) != int64(len(out)) {
				f.Fatalf("queue %d: index %d where %d is due", q, msg.Index, len(out))
			}
			number := int64(binary.BigEndian.Uint64(msg.Body))
			f.saw(m.addr(), q, int64(msg.Index), number)
			out = append(out, placed{number, int64(msg.Offset)})
			b = b[n:]
		}
	}
}

// verifyOnce checks that no message is there twice, and that what readers saw is where they saw it.
func (f *fleet) verifyOnce(q int, list []placed) {
	f.Helper()
	seen := map[int64]int{}
	for i, p := range list {
		if j, ok := seen[p.number]; ok {
			f.Errorf("queue %d: message %d is at %d and at %d", q, p.number, j, i)
		}
		seen[p.number] = i
	}
	for index, number := range f.seen[q] {
		if index >= int64(len(list)) {
			f.Errorf("queue %d: a reader saw message %d at index %d, the queue ends at %d", q, number, index, len(list))
			return
		}
	}
}

// epochs are the epochs of a broker's log, the last one open.
func (f *fleet) epochs(m *machine) protocol.EpochEntryCache {
	f.Helper()
	r, err := f.ask(m.addr(), protocol.ReqGetBrokerEpochCache, nil, nil)
	f.must(err)
	var c protocol.EpochEntryCache
	f.must(c.Decode(r.Body))
	return c
}

// lease is how long a master may acknowledge without hearing from the controllers (controllerHeartBeatTimeoutMills).
const lease = 10 * time.Second

// oneWriter checks that in each epoch one broker alone has acknowledged, and that a master from before acknowledges nothing that was
// sent after the next one began; where nobody waits for slaves, after its lease has ended.
func (f *fleet) oneWriter(m *machine, kept []ack) {
	f.Helper()
	type reign struct {
		broker netip.Addr
		first  time.Time // acknowledgement
	}
	list := f.epochs(m).EpochList
	reigns := map[int32]reign{}
	epoch := func(offset int64) (n int32) {
		for _, e := range list {
			if e.StartOffset <= offset {
				n = e.Epoch
			}
		}
		return n
	}
	for _, a := range kept {
		e := epoch(a.offset)
		r, ok := reigns[e]
		switch {
		case !ok:
			reigns[e] = reign{a.broker, a.heard}
		case r.broker != a.broker:
			f.Errorf("in epoch %d %v and %v have acknowledged messages", e, r.broker, a.broker)
		case a.heard.Before(r.first):
			reigns[e] = reign{r.broker, a.heard}
		}
	}
	f.epochCount = int(list[len(list)-1].Epoch)
	// What was acknowledged and is gone, where that is allowed, was taken by a master that had been replaced.
	order := slices.Sorted(maps.Keys(reigns))
	for _, a := range f.acks {
		for i, e := range order {
			r := reigns[e]
			next := time.Now()
			if i+1 < len(order) {
				next = reigns[order[i+1]].first
			}
			if r.broker != a.broker && a.sent.After(r.first.Add(lease)) && a.heard.Before(next) && !slices.Contains(kept, a) {
				f.Errorf("%v acknowledged a message that was sent at %v, and %v was the master of epoch %d since %v at the latest",
					a.broker, a.sent.Format(time.TimeOnly), r.broker, e, r.first.Format(time.TimeOnly))
			}
		}
	}
}

// alike checks that all brokers have the same log and the same epochs.
func (f *fleet) alike() {
	f.Helper()
	f.until(time.Minute, "all logs have the same length", func() bool {
		ends := map[int64]bool{}
		for _, m := range f.brokers {
			ends[f.epochs(m).MaxOffset] = true
		}
		return len(ends) == 1
	})
	first := f.brokers[0]
	want := f.epochs(first)
	for _, m := range f.brokers[1:] {
		if got := f.epochs(m); !slices.Equal(got.EpochList, want.EpochList) {
			f.Errorf("epochs of %s are %+v, of %s %+v", m.ip, got.EpochList, first.ip, want.EpochList)
		}
		a, b := f.log(first), f.log(m)
		for name, x := range a {
			if y, ok := b[name]; ok && !bytes.Equal(x, y) {
				f.Errorf("%s differs between %s and %s", name, first.ip, m.ip)
			}
		}
	}
}

// log is the log of a broker by files, without what is behind the last message of each.
func (f *fleet) log(m *machine) map[string][]byte {
	f.Helper()
	list, err := m.disk.ReadDir("/store/commitlog")
	f.must(err)
	out := map[string][]byte{}
	for _, e := range list {
		if name := e.Name(); strings.HasPrefix(name, "0") {
			data, err := vfs.ReadFile(m.disk, "/store/commitlog/"+name)
			f.must(err)
			out[name] = bytes.TrimRight(data, "\x00")
		}
	}
	return out
}
