package node

import (
	"context"
	"maps"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/internal/vfs"
)

// BenchmarkTableLag measures, in real time and over loopback, from the moment at which a position is acknowledged on the master until
// the slave has it: at rest, and while 2,000 others are committed a second.
func BenchmarkTableLag(b *testing.B) {
	for _, busy := range []bool{false, true} {
		b.Run(map[bool]string{false: "at rest", true: "busy"}[busy], func(b *testing.B) { tableLag(b, busy) })
	}
}

func tableLag(b *testing.B, busy bool) {
	b.Helper()
	w := newWorld(b)
	w.fs = vfs.OS()
	port, ns := target.FreePorts(b, 3), target.FreePorts(b, 1)
	dir := b.TempDir()
	start := func(set map[string]string, namesrv bool) *Node {
		all := map[string]string{"namesrvAddr": "127.0.0.1:" + strconv.Itoa(ns), "listenPort": strconv.Itoa(port + 2), "storePathRootDir": dir + "/master"}
		maps.Copy(all, set)
		o := w.options(all)
		o.Listen, o.Dial = new(net.ListenConfig).Listen, new(net.Dialer).DialContext
		if o.Namesrv.Port = ns; !namesrv {
			o.Namesrv = nil
		}
		return w.start(o)
	}
	m := start(nil, true)
	sp := target.FreePorts(b, 3)
	s := start(map[string]string{"brokerId": "1", "brokerRole": "SLAVE", "listenPort": strconv.Itoa(sp + 2), "storePathRootDir": dir + "/slave"}, false)
	mc, sc, ctx := m.broker.now().core, s.broker.now().core, context.Background()
	must(b, mc.PutTopic(ctx, mq.TopicConfig{Name: "topic", ReadQueues: 8, WriteQueues: 8, Perm: 6}))
	must(b, mc.PutGroup(ctx, mq.DefaultGroupConfig("g")))
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := sc.Topic(ctx, "topic"); err == nil {
			break
		}
		if time.Now().After(end) {
			b.Fatalf("the slave does not follow\n%s", &w.diary)
		}
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(time.Millisecond)
		defer t.Stop()
		for i := mq.Index(1); busy; i++ {
			select {
			case <-stop:
				return
			case <-t.C:
			}
			_ = mc.CommitIndex(ctx, "g", "topic", 1, i)
			_ = mc.CommitIndex(ctx, "g", "topic", 2, i)
		}
	}()
	var lags []time.Duration
	n := mq.Index(0)
	for b.Loop() {
		n++
		must(b, mc.CommitIndex(ctx, "g", "topic", 0, n))
		begin := time.Now()
		for at := mq.Index(0); at != n; {
			time.Sleep(50 * time.Microsecond)
			at, _ = sc.QueryIndex(ctx, "g", "topic", 0, false)
		}
		lags = append(lags, time.Since(begin))
		time.Sleep(time.Duration(n%40) * time.Millisecond)
	}
	close(stop)
	<-done
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds()), "p99-us")
	b.ReportMetric(float64(lags[len(lags)-1].Microseconds()), "max-us")
	must(b, s.Shutdown(ctx))
	must(b, m.Shutdown(ctx))
}
