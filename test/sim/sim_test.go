package sim

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/node"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

var (
	seeds = flag.Int("seeds", 25, "how many seeds to run")
	only  = flag.Uint64("seed", 0, "run this seed alone")
)

const (
	nsHost, brokerHost, clientHost = "10.0.0.1", "10.0.0.2", "10.0.0.3"
	nsAddr, brokerAddr             = nsHost + ":9876", brokerHost + ":10911"
	topic                          = "sim"
	queues                         = 3
)

func TestCluster(t *testing.T) {
	first, n := uint64(1), *seeds
	if *only != 0 {
		first, n = *only, 1
	}
	var acked, crashes int
	for s := first; s < first+uint64(n); s++ {
		ok := t.Run(fmt.Sprint("seed ", s), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, s)
				w.run()
				acked += w.verify()
				crashes += w.crashes
			})
		})
		if !ok {
			t.Fatalf("seed %d failed; alone: go test ./test/sim -seed %d", s, s)
		}
	}
	t.Logf("%d seeds, %d crashes, %d messages acknowledged, 0 lost", n, crashes, acked)
	if *only == 0 && (acked < 100*n || crashes < n/2) {
		t.Errorf("%d acknowledged and %d crashes in %d seeds: the run proves nothing", acked, crashes, n)
	}
}

// world is one cluster.
type world struct {
	*testing.T
	rng  *rand.Rand
	net  *memnet.Network
	disk *vfs.Mem // of the broker
	sync bool     // SYNC_FLUSH: what is acknowledged survives power cuts

	ns, broker *node.Node
	crashes    int

	mu        sync.Mutex // guards what follows
	senders   [queues]sender
	committed int64 // offset of queue 0 that was acknowledged and must still be there
}

type sender struct {
	issued int64
	acked  []int64
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{T: t, rng: rand.New(rand.NewPCG(seed, 7)), net: memnet.New(), disk: vfs.NewMem(vfs.MemOptions{})}
	w.sync = w.rng.IntN(2) == 0
	w.startNamesrv()
	w.startBroker()
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) options(host string) node.Options {
	h := w.net.Host(host)
	return node.Options{
		Listen: func(_ context.Context, _, addr string) (net.Listener, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return h.Listen(net.JoinHostPort(host, port))
		},
		Dial: h.Dial,
	}
}

func (w *world) startNamesrv() {
	w.Helper()
	c, _, err := config.LoadNamesrv(config.Sources{Host: &config.Host{Name: "ns", IP: nsHost, Home: "/ns"}})
	w.must(err)
	o := w.options(nsHost)
	o.Namesrv, o.FS = c, vfs.NewMem(vfs.MemOptions{})
	w.ns, err = node.Start(w.Context(), o)
	w.must(err)
}

func (w *world) startBroker() {
	w.Helper()
	flush := config.FlushAsync
	if w.sync {
		flush = config.FlushSync
	}
	c, _, err := config.LoadBroker(config.Sources{
		Host: &config.Host{Name: "broker-a", IP: brokerHost, Home: "/home", NameServers: []string{nsAddr}},
		Flags: map[string]string{
			"storePathRootDir": "/store", "flushDiskType": flush, "mappedFileSizeCommitLog": "65536", "mappedFileSizeConsumeQueue": "4000",
			"maxHashSlotNum": "64", "maxIndexNum": "512",
		},
	})
	w.must(err)
	o := w.options(brokerHost)
	o.Broker, o.FS = c, w.disk
	w.broker, err = node.Start(w.Context(), o)
	w.must(err)
}

func (w *world) stop(n *node.Node) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.Context()), time.Minute)
	defer cancel()
	w.must(n.Shutdown(ctx))
}

// run lets clients work while faults happen, then heals everything.
func (w *world) run() {
	c := w.client(brokerAddr)
	w.must(c.CreateTopic(topic, queues))
	w.must(c.Close())
	ctx, cancel := context.WithCancel(w.Context())
	var wg sync.WaitGroup
	for q := range queues {
		wg.Go(func() { w.produce(ctx, q) })
	}
	wg.Go(func() { w.commit(ctx) })
	for range 6 {
		time.Sleep(time.Duration(200+w.rng.IntN(20000)) * time.Millisecond)
		w.fault()
	}
	for _, pair := range [][2]string{{clientHost, brokerHost}, {brokerHost, nsHost}, {clientHost, nsHost}} {
		w.net.Heal(pair[0], pair[1])
	}
	time.Sleep(5 * time.Second) // all is well again: everybody must get on
	w.mu.Lock()
	before := len(w.senders[0].acked)
	w.mu.Unlock()
	time.Sleep(20 * time.Second)
	w.mu.Lock()
	after := len(w.senders[0].acked)
	w.mu.Unlock()
	if after <= before {
		w.Errorf("no message was accepted in 20 s after the faults")
	}
	cancel()
	wg.Wait()
}

// fault is one accident.
func (w *world) fault() {
	wait := time.Duration(100+w.rng.IntN(30000)) * time.Millisecond
	switch w.rng.IntN(7) {
	case 0, 1, 2: // the broker dies
		mode := vfs.ProcessKill
		if w.sync && w.rng.IntN(2) == 0 {
			mode = vfs.PowerCut
		}
		w.crash(mode)
	case 3: // clients lose the broker
		w.net.Partition(clientHost, brokerHost)
		time.Sleep(wait)
		w.net.Heal(clientHost, brokerHost)
	case 4: // the broker loses the name server, longer than its patience at times
		w.net.Partition(brokerHost, nsHost)
		time.Sleep(8 * wait)
		w.net.Heal(brokerHost, nsHost)
	case 5: // the name server restarts: it forgets everything and must be told again
		w.stop(w.ns)
		time.Sleep(wait)
		w.startNamesrv()
		w.routeReturns()
	case 6: // connections break
		w.net.Cut(clientHost, brokerHost)
	}
}

// crash takes the disk as it is at this moment and starts a new broker on it. The old one cannot answer any more when the
// picture is taken, so what it does later does not count.
func (w *world) crash(mode vfs.CrashMode) {
	w.crashes++
	w.net.Partition(clientHost, brokerHost)
	w.net.Cut(clientHost, brokerHost)
	if mode == vfs.PowerCut { // offsets survive a kill of the process, not the loss of what is not synced
		w.mu.Lock()
		w.committed = 0
		w.mu.Unlock()
	}
	after := w.disk.CrashClone(w.rng, mode)
	old := w.broker
	w.stop(old) // on its own disk, which nobody looks at again
	w.disk = after
	time.Sleep(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
	w.startBroker()
	w.net.Heal(clientHost, brokerHost)
}

// routeReturns waits until the name server knows the topic again.
func (w *world) routeReturns() {
	w.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		r, err := bench.RouteOf(w.Context(), w.net.Host(clientHost).Dial, nsAddr, topic)
		if err == nil && len(r.Write) == queues {
			return
		}
		if time.Now().After(end) {
			w.Fatalf("no route a minute after the name server came back: %v", err)
		}
	}
}

func (w *world) dial(addr string) (*bench.Client, error) {
	return bench.Dial(w.Context(), w.net.Host(clientHost).Dial, addr, protocol.Binary)
}

func (w *world) client(addr string) *bench.Client {
	w.Helper()
	c, err := w.dial(addr)
	w.must(err)
	return c
}

// produce sends numbered messages to one queue with some in flight. A number is sent once; what is not answered when the
// connection breaks stays unknown.
func (w *world) produce(ctx context.Context, q int) {
	s := &w.senders[q]
	for ctx.Err() == nil {
		if c, err := w.dial(brokerAddr); err == nil {
			w.session(ctx, c, q, s)
			_ = c.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (w *world) session(ctx context.Context, c *bench.Client, q int, s *sender) {
	body := make([]byte, 64)
	for ctx.Err() == nil {
		w.mu.Lock()
		first := s.issued
		s.issued += 4
		w.mu.Unlock()
		for n := first; n < first+4; n++ {
			binary.BigEndian.PutUint64(body, uint64(n))
			if c.Start(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
				ProducerGroup: "sim", Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: int32(q),
				BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1, Properties: "KEYS\x01k\x02",
			}, body, int32(n)) != nil {
				return
			}
		}
		if c.FlushOut() != nil {
			return
		}
		for range 4 {
			r, n, err := c.Next(10 * time.Second)
			if err != nil {
				return
			}
			if r.Code == protocol.RespSuccess {
				w.mu.Lock()
				s.acked = append(s.acked, int64(n))
				w.mu.Unlock()
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// commit stores rising offsets two-way and checks that they never move back.
func (w *world) commit(ctx context.Context) {
	for at := int64(1); ctx.Err() == nil; time.Sleep(300 * time.Millisecond) {
		c, err := w.dial(brokerAddr)
		if err != nil {
			continue
		}
		err = w.commitOnce(c, at)
		_ = c.Close()
		if err == nil {
			w.mu.Lock()
			w.committed = at
			w.mu.Unlock()
			at++
		}
	}
}

func (w *world) commitOnce(c *bench.Client, at int64) error {
	if err := c.Heartbeat("sim-consumer", "sim_group", topic); err != nil {
		return err
	}
	w.mu.Lock()
	least := w.committed
	w.mu.Unlock()
	if got, err := w.offset(c); err == nil && got < least {
		w.Errorf("the offset moved back to %d, %d was acknowledged", got, least)
	}
	r, err := c.Call(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{
		ConsumerGroup: "sim_group", Topic: topic, QueueID: 0, CommitOffset: at,
	}, nil)
	if err != nil {
		return err
	}
	return r.Err()
}

func (w *world) offset(c *bench.Client) (int64, error) {
	r, err := c.Call(protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{
		ConsumerGroup: "sim_group", Topic: topic, QueueID: 0,
	}, nil)
	if err != nil {
		return 0, err
	}
	if err := r.Err(); err != nil {
		return 0, err
	}
	return r.Int("offset")
}

// verify reads everything back and ends the cluster. It returns how many messages were acknowledged.
func (w *world) verify() (acked int) {
	c := w.client(brokerAddr)
	for q := range queues {
		s := &w.senders[q]
		seen, answered := map[int64]bool{}, map[int64]bool{}
		for _, n := range s.acked {
			answered[n] = true
		}
		last := int64(-1)
		err := c.ReadAll(topic, q, func(_ int64, rec []byte) error {
			var m record.Message
			if _, err := record.Decode(rec, &m, true); err != nil {
				return err
			}
			n := int64(binary.BigEndian.Uint64(m.Body))
			switch {
			case n >= s.issued:
				w.Errorf("queue %d: message %d was never sent", q, n)
			case seen[n]:
				w.Errorf("queue %d: message %d is there twice", q, n)
			case n < last && answered[n]:
				w.Errorf("queue %d: message %d after %d", q, n, last)
			}
			seen[n] = true
			if answered[n] { // what a broken connection held back may arrive behind what came over the next one
				last = max(last, n)
			}
			return nil
		})
		w.must(err)
		for _, n := range s.acked {
			acked++
			if !seen[n] {
				w.Errorf("queue %d: message %d was acknowledged and is lost", q, n)
			}
		}
	}
	if got, err := w.offset(c); w.committed > 0 && (err != nil || got < w.committed) {
		w.Errorf("offset %d %v, %d was acknowledged", got, err, w.committed)
	}
	w.must(c.Close())
	w.stop(w.broker)
	w.stop(w.ns)
	return acked
}
