package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/test/history"
)

const (
	oneBroker = "One broker"
	promKill  = "a killed process loses nothing (what was written is in the page cache)"
	promSync  = "nothing acknowledged is lost (SYNC_FLUSH)"
)

func brokerRows() []row {
	return []row{
		{
			name: "kill-async", what: "kill -9 of the broker, ASYNC_FLUSH", deployment: oneBroker, promise: promKill, keeps: true, times: 20, ci: 3,
			run: func(x *trial) { x.kills(map[string]string{"flushDiskType": "ASYNC_FLUSH"}) },
		},
		{
			name: "kill-sync", what: "kill -9 of the broker, SYNC_FLUSH", deployment: oneBroker, promise: promSync, keeps: true, times: 20, ci: 3,
			run: func(x *trial) { x.kills(map[string]string{"flushDiskType": "SYNC_FLUSH"}) },
		},
		{
			name: "pause", what: "broker paused for 30 s (SIGSTOP) and continued", deployment: oneBroker, promise: promKill, keeps: true, times: 1,
			run: func(x *trial) { x.paused(30 * time.Second) },
		},
		{
			name: "power-sync", what: "power cut at a random instant, SYNC_FLUSH: real broker on an ext4 of its own that is shut down without its journal",
			deployment: oneBroker, promise: promSync, keeps: true, times: 20,
			run: func(x *trial) { x.powerCuts(map[string]string{"flushDiskType": "SYNC_FLUSH"}) },
		},
		{
			name: "power-async", what: "the same, ASYNC_FLUSH", deployment: oneBroker,
			promise: "loses what was acknowledged since the last flush: up to 500 ms (flushIntervalCommitLog), 10 s under little load", times: 20,
			run: func(x *trial) { x.powerCuts(map[string]string{"flushDiskType": "ASYNC_FLUSH"}) },
		},
		{
			name: "power-simulated", what: "power cut at 200 random instants, SYNC and ASYNC_FLUSH, also during recovery: store on a simulated disk that loses pages, sizes, names",
			deployment: oneBroker, promise: "what was flushed or acknowledged under SYNC_FLUSH is there", keeps: true, times: 200,
			run: simulatedPowerCuts, notJava: "its store writes through memory maps of the real file system; it cannot be given a simulated disk",
		},
		{
			name: "disk-full", what: "disk full under load for 3 s, then freed", deployment: oneBroker, promise: "refuses while full, keeps what it acknowledged, goes on by itself",
			keeps: true, times: 3, run: diskFull,
		},
		{
			name: "fsync-stall", what: "each write and fsync stalls for 2 s (file system frozen), SYNC_FLUSH", deployment: oneBroker, promise: promSync, keeps: true, times: 5,
			run: stalls,
		},
		{
			name: "clock", what: "wall clock jumps by +1 h, back, -1 h, back, +3 days, back", deployment: oneBroker, promise: promKill, keeps: true, times: 6,
			run: clockJumps,
		},
		{
			name: "ns-one", what: "one of three name servers down for 5 s", deployment: oneBroker, promise: promKill, keeps: true, times: 3,
			run: func(x *trial) { x.nameServers(1, false) },
		},
		{
			name: "ns-all", what: "all three name servers down for 10 s", deployment: oneBroker, promise: "who knows a route goes on", keeps: true, times: 2,
			run: func(x *trial) { x.nameServers(3, false) },
		},
		{
			name: "ns-flap", what: "name servers killed and started in turn, every 300 ms", deployment: oneBroker, promise: "who knows a route goes on", keeps: true, times: 20,
			run: func(x *trial) { x.nameServers(1, true) },
		},
	}
}

// rest waits for a random while of ordinary work.
func (x *trial) rest(least, most time.Duration) {
	time.Sleep(least + time.Duration(rand.Int64N(int64(most-least))))
}

func (x *trial) kills(conf map[string]string) {
	w := newWorld(x.T, x.kind, false, 1)
	b := w.broker(0, conf)
	w.topic(b, "chaos", 4)
	l := w.send(&x.out, "chaos", at(b))
	for range x.times {
		x.rest(300*time.Millisecond, 1500*time.Millisecond)
		l.fault(func() {
			b.Kill()
			b.again()
		})
	}
	l.end(b.addr)
}

func (x *trial) paused(long time.Duration) {
	w := newWorld(x.T, x.kind, false, 1)
	b := w.broker(0, nil)
	w.topic(b, "chaos", 4)
	l := w.send(&x.out, "chaos", at(b))
	for range x.times {
		x.rest(time.Second, 2*time.Second)
		b.pause()
		time.Sleep(long)
		l.fault(b.resume)
	}
	x.out.Note = "again: since SIGCONT"
	l.end(b.addr)
}

// powerCuts has the store on a file system that ends at random instants.
func (x *trial) powerCuts(conf map[string]string) {
	w := newWorld(x.T, x.kind, false, 1)
	d := newDisk(x.T, 1024)
	conf = clone(conf)
	conf["storePathRootDir"] = filepath.Join(d.dir, "store")
	conf["storePathCommitLog"] = filepath.Join(d.dir, "store", "commitlog")
	b := w.broker(0, conf)
	w.topic(b, "chaos", 4)
	x.Cleanup(b.Kill) // before the disk is unmounted
	// What is not on the disk is forgotten by everybody: a reader would call it gone.
	l := w.send(&x.out, "chaos", at(b))
	if conf["flushDiskType"] == "ASYNC_FLUSH" {
		l.leave()
		l.seen.Wait()
		l.Forget()
	}
	for range x.times {
		x.rest(300*time.Millisecond, 1500*time.Millisecond)
		l.fault(func() {
			d.powerOff()
			b.Kill()
			d.powerOn()
			b.again()
		})
	}
	l.end(b.addr)
	b.Kill()
}

var cutTotals = regexp.MustCompile(`\{runs:(\d+) cuts:(\d+) kills:\d+ clean:\d+ inRecovery:(\d+) acked:(\d+) commits:(\d+) lost:(\d+)\}`)

// simulatedPowerCuts takes the figures of test/crash.
func simulatedPowerCuts(x *trial) {
	out, err := exec.CommandContext(x.Context(), "go", "test", "-count=1", "-v", "../crash", "-run", "^TestPowerCut$/^power_cut$", "-seeds", fmt.Sprint(x.times)).CombinedOutput()
	m := cutTotals.FindSubmatch(out)
	if m == nil {
		x.Fatalf("no figures: %v\n%s", err, out)
	}
	n := func(i int) int64 { v, _ := strconv.ParseInt(string(m[i]), 10, 64); return v }
	x.out.Faults, x.out.Acked, x.out.Lost = int(n(2)), n(4), n(6)
	x.out.Note = fmt.Sprintf("%d of the cuts hit a recovery; %d offsets checked; a run in which anything is missing counts as one lost", n(3), n(5))
}

func diskFull(x *trial) {
	w := newWorld(x.T, x.kind, false, 1)
	d := newDisk(x.T, 400)
	b := w.broker(0, map[string]string{
		"storePathRootDir": filepath.Join(d.dir, "store"), "storePathCommitLog": filepath.Join(d.dir, "store", "commitlog"),
	})
	x.Cleanup(b.Kill)
	w.topic(b, "chaos", 4)
	l := w.send(&x.out, "chaos", at(b), func(l *history.Load) { l.Size, l.Pause = 4096, 2*time.Millisecond })
	restarts, stuck := 0, 0
	for range x.times {
		x.rest(time.Second, 2*time.Second)
		free := d.fill()
		time.Sleep(3 * time.Second)
		l.fault(func() {
			free()
			if over, _ := b.Exited(); over { // an operator would
				restarts++
				b.Kill()
				b.again()
			}
		})
		if x.out.Stuck > stuck {
			stuck = x.out.Stuck
			b.Kill()
			b.again()
		}
	}
	x.out.Note = fmt.Sprintf("again: since it was freed; the broker had died %d times; where it never came back it was killed and started", restarts)
	l.end(b.addr)
	b.Kill()
}

func stalls(x *trial) {
	w := newWorld(x.T, x.kind, false, 1)
	d := newDisk(x.T, 1024)
	b := w.broker(0, map[string]string{
		"storePathRootDir": filepath.Join(d.dir, "store"), "storePathCommitLog": filepath.Join(d.dir, "store", "commitlog"), "flushDiskType": "SYNC_FLUSH",
	})
	x.Cleanup(b.Kill)
	w.topic(b, "chaos", 4)
	l := w.send(&x.out, "chaos", at(b))
	for range x.times {
		x.rest(time.Second, 2*time.Second)
		l.fault(func() { d.stall(2 * time.Second) })
	}
	x.out.Note = "again: since the stall began"
	l.end(b.addr)
	b.Kill()
}

func clockJumps(x *trial) {
	w := &world{t: x.T, kind: x.kind, dir: x.TempDir()}
	c := w.ownClock()
	w.nameServers(1)
	b := w.broker(0, nil)
	w.topic(b, "chaos", 4)
	l := w.send(&x.out, "chaos", at(b))
	for i, by := range []time.Duration{time.Hour, 0, -time.Hour, 0, 72 * time.Hour, 0} {
		if i == x.times {
			break
		}
		x.rest(time.Second, 2*time.Second)
		l.fault(func() { c.jump(x.T, by) })
		if i == 2 { // a restart in the past
			x.rest(500*time.Millisecond, time.Second)
			b.Kill()
			b.again()
		}
	}
	x.out.Note = "with a kill -9 one hour in the past"
	x.rest(2*time.Second, 3*time.Second)
	b.Kill()
	b.again()
	l.end(b.addr)
}

func (x *trial) nameServers(down int, flap bool) {
	w := newWorld(x.T, x.kind, false, 3)
	b := w.broker(0, nil)
	w.topic(b, "chaos", 4)
	l := w.send(&x.out, "chaos", w.master("chaos"))
	for i := range x.times {
		x.rest(500*time.Millisecond, time.Second)
		l.fault(func() {
			for k := range down {
				w.ns[(i+k)%len(w.ns)].Kill()
			}
		})
		switch {
		case flap:
			time.Sleep(300 * time.Millisecond)
		case down == 1:
			time.Sleep(5 * time.Second)
		default:
			time.Sleep(10 * time.Second)
		}
		for k := range down {
			w.ns[(i+k)%len(w.ns)].Start()
		}
	}
	// At the end they know the topic again.
	since := time.Now()
	until(x.T, 2*time.Minute, "routes come back", func() error {
		for _, h := range w.ns {
			only := &world{ns: []*host{h}}
			if r, err := only.route(context.Background(), "chaos"); err != nil || len(r.Write) != 4 {
				return fmt.Errorf("%s: %+v %w", h.name, r, err)
			}
		}
		return nil
	})
	x.out.Note = fmt.Sprintf("all of them had the route again %.1f s after the last start", time.Since(since).Seconds())
	l.end(b.addr)
}
