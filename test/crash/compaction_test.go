package crash

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/test/history"
)

// keyedLoad sends values of its own keys, one after the other. The body is key and value.
type keyedLoad struct {
	addr, topic  string
	keys, queues int

	sent  []atomic.Int64 // by key: the value that was sent last
	acked []atomic.Int64 // the one that was acknowledged last
	total atomic.Int64
}

func (l *keyedLoad) run(ctx context.Context, senders int) {
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for ctx.Err() == nil {
				c, err := bench.Dial(ctx, nil, l.addr, protocol.JSON)
				if err != nil {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				for i := s; ctx.Err() == nil && l.one(c, i%l.keys); i += senders {
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
}

// one sends the next value of a key, which belongs to one sender.
func (l *keyedLoad) one(c *bench.Client, key int) bool {
	n := l.sent[key].Add(1)
	r, err := c.Call(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "p", Topic: l.topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: int32(l.queues), QueueID: int32(key % l.queues),
		BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1, Properties: fmt.Sprintf("KEYS\x01k%d\x02", key),
	}, fmt.Appendf(nil, "%d %d", key, n))
	if err != nil {
		return false
	}
	if r.Code == 0 {
		l.acked[key].Store(n)
		l.total.Add(1)
	}
	return true
}

// TestKillCompacted kills the broker while it compacts a topic again and again. The last value of each key that was acknowledged, or a later
// one, is there, and the values of a key never go back.
func TestKillCompacted(t *testing.T) {
	r := random(t)
	cl := target.New(t, target.Options{Kind: target.Ours, Conf: map[string]string{
		"mappedFileSizeCommitLog": fmt.Sprint(16 << 20), "compactionMappedFileSize": "500000", "compactionCqMappedFileSize": "92000",
		"compactionScheduleInternal": "300",
	}})
	p, addr := cl.Brokers[0], cl.Addrs[0]
	const keys, queues, senders = 240, 2, 2
	l := &keyedLoad{
		addr: addr, topic: "compactcrash", keys: keys, queues: queues, sent: make([]atomic.Int64, keys), acked: make([]atomic.Int64, keys),
	}
	setup, err := bench.Dial(t.Context(), nil, addr, protocol.JSON)
	if err != nil {
		t.Fatal(err)
	}
	res, err := setup.Call(protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
		Topic: l.topic, DefaultTopic: "TBW102", ReadQueueNums: queues, WriteQueueNums: queues, Perm: 6, TopicFilterType: "SINGLE_TAG",
		Attributes: "+cleanup.policy=COMPACTION",
	}, nil)
	if err != nil || res.Code != 0 {
		t.Fatal(err, res)
	}
	_ = setup.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	load.Go(func() { l.run(ctx, senders) })
	for range *kills {
		time.Sleep(time.Duration(1200+r.IntN(1800)) * time.Millisecond) // a second goes by before the first copy
		p.Kill()
		p.Start()
		p.WaitPort(addr, 60*time.Second)
	}
	time.Sleep(300 * time.Millisecond)
	stop()
	load.Wait()
	c, err := bench.Dial(t.Context(), nil, addr, protocol.JSON)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, found := l.verdict(t, c)
	first := found
	for end := time.Now().Add(60 * time.Second); found > v.Acked/2 && time.Now().Before(end); v, found = l.verdict(t, c) {
		time.Sleep(500 * time.Millisecond) // it is compacted once more
	}
	table.feature("compaction, ASYNC_FLUSH", *kills, v)
	t.Logf("%d kills: %+v, at first %d messages are left, then %d", *kills, v, first, found)
	if v.Lost != 0 || v.Phantom != 0 || v.Duplicates != 0 {
		t.Errorf("%+v", v)
	}
	if v.Acked < int64(*kills)*500 || found > v.Acked/2 {
		t.Errorf("%d acknowledged, %d left: the run proves nothing", v.Acked, found)
	}
}

// verdict reads the topic. What is left of it is the second result.
func (l *keyedLoad) verdict(t *testing.T, c *bench.Client) (v history.Feature, found int64) {
	t.Helper()
	last := make([]int64, l.keys)
	err := history.ReadTopic(c, l.topic, l.queues, func(m *record.Message) error {
		var key int
		var n int64
		if _, err := fmt.Sscan(string(m.Body), &key, &n); err != nil || key < 0 || key >= l.keys || n > l.sent[key].Load() || key%l.queues != int(m.QueueID) {
			v.Phantom++
			return nil
		}
		if found++; n <= last[key] {
			v.Duplicates++
		}
		last[key] = n
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v.Acked = l.total.Load()
	for key := range last {
		if last[key] < l.acked[key].Load() {
			v.Lost++
		}
	}
	return v, found
}
