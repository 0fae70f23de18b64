package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

// live lets clients work during rounds of faults, each of which ends with a calm.
func (f *fleet) live(rounds, faults int) {
	f.Helper()
	ctx, cancel := context.WithCancel(f.Context())
	var wg sync.WaitGroup
	stop := func() { cancel(); wg.Wait() }
	defer stop()
	for q := range queues {
		for _, h := range f.clients {
			p, c := f.newClient(h), f.newClient(h)
			wg.Go(func() { p.produce(ctx, q) })
			if h == f.clients[q%2] {
				wg.Go(func() { c.consume(ctx, q) })
			} else {
				wg.Go(func() { c.read(ctx) })
			}
		}
	}
	for range rounds {
		f.storm(faults)
		f.calm()
		before := f.acknowledged()
		f.until(time.Minute, "messages are taken after all faults", func() bool { return f.acknowledged() > before })
	}
}

func (f *fleet) makeTopic() {
	f.Helper()
	f.inSync()
	f.until(time.Minute, "the topic is made", func() bool {
		m := f.master()
		if m == nil {
			return false
		}
		_, err := f.ask(m.addr(), protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
			Topic: topic, DefaultTopic: "TBW102", ReadQueueNums: queues, WriteQueueNums: queues, Perm: 6, TopicFilterType: "SINGLE_TAG",
		}, nil)
		return err == nil
	})
}

// TestSet runs whole sets of brokers with their controllers through faults.
func TestSet(t *testing.T) {
	first, n := *from, max(1, *seeds/2) // one takes as long as several of TestCluster
	if *only != 0 {
		first, n = *only, 1
	}
	var mu sync.Mutex
	var acked, lost, kills, cuts, elections, reads, floors int
	var virtual time.Duration
	did, byMode := map[string]int{}, map[string]int{}
	t.Run("seeds", func(t *testing.T) {
		for s := first; s < first+uint64(n); s++ {
			t.Run(fmt.Sprint(s), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					f := newFleet(t, s)
					defer func() {
						if t.Failed() {
							t.Logf("seed %d (%s, sync flush %v) failed; alone: go test ./test/sim -run 'TestSet$' -seed %d", s, f.mode.name, f.sync, s)
						}
						f.close()
					}()
					f.makeTopic()
					f.live(2, 6)
					f.verify()
					mu.Lock()
					defer mu.Unlock()
					acked, lost, kills, cuts = acked+len(f.acks), lost+f.lost, kills+f.kills, cuts+f.cuts
					elections, reads, floors = elections+f.epochCount, reads+f.reads, floors+f.floors
					for name, k := range f.did {
						did[name] += k
					}
					byMode[f.mode.name]++
					virtual += time.Since(began)
				})
			})
		}
	})
	t.Logf("%d seeds, %v of virtual time, %d elections, %d kills, %d of them power cuts, %d messages acknowledged, %d lost where that is allowed, %d read, %d positions kept",
		n, virtual.Round(time.Second), elections, kills, cuts, acked, lost, reads, floors)
	for _, m := range []map[string]int{byMode, did} {
		var list []string
		for _, name := range slices.Sorted(maps.Keys(m)) {
			list = append(list, fmt.Sprintf("%s %d", name, m[name]))
		}
		t.Log(strings.Join(list, ", "))
	}
	if *only == 0 && !t.Failed() && (acked < 300*n || elections < 3*n || kills < 2*n || floors < n) {
		t.Error("the run proves nothing")
	}
}
