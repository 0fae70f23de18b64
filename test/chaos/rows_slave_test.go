package chaos

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

const (
	masterSlave = "Master and slave, SYNC_MASTER, inSyncReplicas=2"
	promTwo     = "acknowledged means: two brokers have it"
)

func slaveRows() []row {
	cut := func(name, what string, f func(w *world)) row {
		return row{
			name: name, what: what + ", 8 s each", deployment: masterSlave, promise: promTwo + "; nothing is acknowledged meanwhile", keeps: true, times: 3,
			run: func(x *trial) { x.cutSlave(f) },
		}
	}
	return []row{
		{
			name: "m1-master-kill", what: "kill -9 of the master", deployment: masterSlave, promise: promTwo, keeps: true, times: 10, ci: 2,
			run: func(x *trial) { x.pairKills(0) },
		},
		{
			name: "m1-slave-kill", what: "kill -9 of the slave", deployment: masterSlave, promise: promTwo, keeps: true, times: 10, ci: 2,
			run: func(x *trial) { x.pairKills(1) },
		},
		{
			name: "m1-slave-wipe", what: "slave killed, its store wiped, rejoined under load", deployment: masterSlave, promise: promTwo, keeps: true, times: 3,
			run: slaveWiped,
		},
		{
			name: "m1-master-pause", what: "master paused for 30 s (SIGSTOP) and continued", deployment: masterSlave, promise: promTwo, keeps: true, times: 1,
			run: func(x *trial) { x.pairPaused(0) },
		},
		{
			name: "m1-slave-pause", what: "slave paused for 30 s and continued", deployment: masterSlave, promise: promTwo, keeps: true, times: 1,
			run: func(x *trial) { x.pairPaused(1) },
		},
		cut("m1-split", "master cut off from its slave, packets lost in both directions", func(w *world) { w.net.Split("broker-0", "broker-1") }),
		cut("m1-oneway-out", "one way: what the master sends to the slave is lost", func(w *world) { w.net.Drop("broker-0", "broker-1") }),
		cut("m1-oneway-in", "one way: what the slave sends to the master is lost", func(w *world) { w.net.Drop("broker-1", "broker-0") }),
		cut("m1-all", "master cut off from everybody but its clients", func(w *world) {
			for _, h := range []string{"broker-1", "ns-0"} {
				w.net.Split("broker-0", h)
			}
		}),
		{
			name: "m1-reset", what: "the line between master and slave is reset again and again", deployment: masterSlave, promise: promTwo, keeps: true, times: 20, ci: 5,
			run: linesReset,
		},
		{
			name: "m1-disk-dies", what: "master killed, its disk gone; the slave is started as master", deployment: masterSlave, promise: promTwo, keeps: true, times: 3,
			run: func(x *trial) { x.promoted(map[string]string{"brokerRole": "SYNC_MASTER", "inSyncReplicas": "2"}) },
		},
		{
			name: "m1-disk-dies-async", what: "the same with ASYNC_MASTER", deployment: masterSlave,
			promise: "loses what the slave had not got yet", times: 3,
			run: func(x *trial) { x.promoted(map[string]string{"brokerRole": "ASYNC_MASTER"}) },
		},
		{
			name: "m1-java-slave", what: "our master, Java's slave: 1 GiB under load, logs compared, then the slave is started as master", deployment: masterSlave,
			promise: promTwo, keeps: true, times: 1, notJava: "the next row is the other way round",
			run: func(x *trial) { x.mixed(target.Ours, target.Java) },
		},
		{
			name: "m1-java-master", what: "Java's master, our slave: the same", deployment: masterSlave,
			promise: promTwo, keeps: true, times: 1, notJava: "the row before is the other way round",
			run: func(x *trial) { x.mixed(target.Java, target.Ours) },
		},
	}
}

// pairConf is that of a master that waits for its slave, and of the slave.
var pairConf = map[string]string{"brokerRole": "SYNC_MASTER", "inSyncReplicas": "2", "slaveReadEnable": "true"}

// pair starts a master and a slave with the relay between them.
func (x *trial) pair(conf map[string]string) (w *world, master, slave *host) {
	x.Helper()
	w = newWorld(x.T, x.kind, true, 1)
	master = w.broker(0, conf)
	slave = w.slaveOf(master, x.kind, 1, conf)
	w.topic(master, "chaos", 4)
	return w, master, slave
}

func (w *world) slaveOf(master *host, kind target.Kind, id int, conf map[string]string) *host {
	w.t.Helper()
	conf = clone(conf)
	conf["brokerRole"] = "SLAVE"
	if kind == target.Ours { // Java's slave never connects to an address that is configured
		conf["haMasterAddress"] = next(master.addr)
	}
	return w.brokerOf(kind, id, conf)
}

// next is where a broker at addr listens for slaves.
func next(addr string) string {
	var a, b, c, d, port int
	_, _ = fmt.Sscanf(addr, "%d.%d.%d.%d:%d", &a, &b, &c, &d, &port)
	return fmt.Sprintf("%d.%d.%d.%d:%d", a, b, c, d, port+1)
}

// pairKills kills the master (0) or the slave (1).
func (x *trial) pairKills(which int) {
	w, master, slave := x.pair(pairConf)
	l := w.send(&x.out, "chaos", at(master))
	for range x.times {
		x.rest(500*time.Millisecond, 2*time.Second)
		h := w.brokers[which]
		l.fault(func() {
			h.Kill()
			h.again()
		})
	}
	l.end(master.addr)
	w.sameLogs(&x.out, master, slave)
}

func slaveWiped(x *trial) {
	w, master, slave := x.pair(pairConf)
	l := w.send(&x.out, "chaos", at(master))
	for range x.times {
		x.rest(2*time.Second, 4*time.Second)
		l.fault(func() {
			slave.Kill()
			if err := os.RemoveAll(slave.store); err != nil {
				x.Fatal(err)
			}
			slave.again()
		})
	}
	x.rest(time.Second, 2*time.Second)
	l.end(master.addr)
	w.sameLogs(&x.out, master, slave)
}

func (x *trial) pairPaused(which int) {
	w, master, slave := x.pair(pairConf)
	l := w.send(&x.out, "chaos", at(master))
	for range x.times {
		x.rest(time.Second, 2*time.Second)
		h := w.brokers[which]
		h.pause()
		time.Sleep(30 * time.Second)
		l.fault(h.resume)
	}
	x.out.Note = "again: since SIGCONT"
	l.end(master.addr)
	w.sameLogs(&x.out, master, slave)
}

// cutSlave spoils the lines with f for a while.
func (x *trial) cutSlave(f func(w *world)) {
	w, master, slave := x.pair(pairConf)
	l := w.send(&x.out, "chaos", at(master))
	acked := 0
	for range x.times {
		x.rest(time.Second, 3*time.Second)
		f(w)
		time.Sleep(500 * time.Millisecond) // what is under way
		l.Mark()
		time.Sleep(7500 * time.Millisecond)
		if _, ok := l.Again(0); ok {
			acked++
		}
		l.fault(w.net.Heal)
	}
	x.out.Note = "again: since the line was whole again"
	if acked > 0 {
		x.out.Bad = append(x.out.Bad, fmt.Sprintf("acknowledged without the slave in %d of %d cuts", acked, x.times))
	}
	l.end(master.addr)
	w.sameLogs(&x.out, master, slave)
}

func linesReset(x *trial) {
	w, master, slave := x.pair(pairConf)
	l := w.send(&x.out, "chaos", at(master))
	for range x.times {
		x.rest(300*time.Millisecond, time.Second)
		l.fault(func() {
			w.net.Cut("broker-0", "broker-1")
			time.Sleep(50 * time.Millisecond)
			w.net.Heal()
		})
	}
	l.end(master.addr)
	w.sameLogs(&x.out, master, slave)
}

// promoted loses the master with its disk and goes on with the slave as the master.
func (x *trial) promoted(conf map[string]string) {
	for range x.times {
		x.promotedOnce(conf)
	}
}

func (x *trial) promotedOnce(conf map[string]string) {
	w, master, slave := x.pair(conf)
	l := w.send(&x.out, "chaos", at(master))
	if conf["brokerRole"] == "ASYNC_MASTER" { // what a reader has seen may be gone
		l.leave()
		l.seen.Wait()
		l.Forget()
	}
	x.rest(3*time.Second, 5*time.Second)
	master.Kill()
	l.stop()
	l.wg.Wait()
	slave.Kill()
	x.out.Faults++
	lone := clone(conf)
	delete(lone, "inSyncReplicas")
	lone["brokerRole"] = "ASYNC_MASTER"
	lone["storePathRootDir"], lone["storePathCommitLog"] = slave.store, filepath.Join(slave.store, "commitlog")
	now := w.broker(0, lone)
	w.topic(now, "chaos", 4)
	l.end(now.addr)
	now.Kill()
}

// mixed has a master of one kind and a slave of the other.
func (x *trial) mixed(masterKind, slaveKind target.Kind) {
	const size, total = 16 << 10, 1 << 30
	conf := clone(pairConf)
	maps.Copy(conf, map[string]string{"mappedFileSizeCommitLog": fmt.Sprint(64 << 20)})
	w := newWorld(x.T, target.Ours, true, 1)
	master := w.brokerOf(masterKind, 0, conf)
	slave := w.slaveOf(master, slaveKind, 1, conf)
	w.topic(master, "chaos", 4)
	l := w.send(&x.out, "chaos", at(master))
	start := time.Now()
	ctx, cancel := context.WithTimeout(x.Context(), 10*time.Minute)
	defer cancel()
	r, err := bench.Produce(ctx, bench.Options{Broker: master.addr, Topic: "bulk", Queues: 8, Size: size, Count: total / size, Conns: 4, Window: 32, Create: true})
	if err != nil {
		x.Fatalf("bulk: %v\n%s", err, w.logs())
	}
	x.out.Note = fmt.Sprintf("%d messages of 16 KiB acknowledged by both in %.0f s beside the load", r.Messages, time.Since(start).Seconds())
	l.end(master.addr)
	w.sameLogs(&x.out, master, slave)
	master.Kill()
	slave.Kill()
	lone := clone(conf)
	delete(lone, "inSyncReplicas")
	lone["brokerRole"] = "ASYNC_MASTER"
	lone["storePathRootDir"], lone["storePathCommitLog"] = slave.store, filepath.Join(slave.store, "commitlog")
	now := w.brokerOf(slaveKind, 0, lone)
	w.topic(now, "chaos", 4)
	x.out.Acked = 0
	v, err := l.Verify(ctx, now.addr, l.Window)
	if err != nil {
		x.Fatal(err)
	}
	x.out.Faults++
	x.out.Verdict = v
}
