package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/test/history"
)

const (
	controllerMode = "Controller mode: three brokers and three controllers, default timings"
	promAll        = "allAckInSyncStateSet, minInSyncReplicas=2: acknowledged means that all in the sync-state set have it"
	promNone       = "defaults: replication that nobody waits for; loses what the new master had not got"
)

// allAck is the configuration that promises something.
var allAck = map[string]string{"allAckInSyncStateSet": "true", "minInSyncReplicas": "2", "inSyncReplicas": "2"}

func controllerRows() []row {
	cut := func(name, what string, f func(g *group)) row {
		return row{
			name: name, what: what + ", 30 s, then healed", deployment: controllerMode, promise: promAll, keeps: true, times: 2,
			run: func(x *trial) { x.cutMaster(f, func(g *group, _ *host) { g.w.net.Heal() }) },
		}
	}
	return []row{
		{
			name: "m3-kill", what: "kill -9 of the master", deployment: controllerMode, promise: promAll, keeps: true, times: 10,
			run: func(x *trial) { x.groupKills(allAck, false) },
		},
		{
			name: "m3-kill-default", what: "kill -9 of the master", deployment: controllerMode, promise: promNone, times: 10,
			run: func(x *trial) { x.groupKills(nil, false) },
		},
		{
			name: "m3-leader-and-master", what: "kill -9 of the controller leader and of the master together", deployment: controllerMode, promise: promAll,
			keeps: true, times: 5, run: func(x *trial) { x.groupKills(allAck, true) },
		},
		{
			name: "m3-pause", what: "master paused for 30 s (SIGSTOP) and continued", deployment: controllerMode, promise: promAll, keeps: true, times: 3,
			run: masterZombie,
		},
		cut("m3-cut-slaves", "master cut off from its slaves", func(g *group) {
			for _, h := range g.others() {
				g.w.net.Split(g.master.name, h.name)
			}
		}),
		cut("m3-cut-controllers", "master cut off from the controllers", func(g *group) {
			for _, h := range g.w.controllers {
				g.w.net.Split(g.master.name, h.name)
			}
		}),
		cut("m3-oneway-out", "one way: what the master sends to brokers, controllers and name server is lost", func(g *group) {
			for _, h := range g.rest() {
				g.w.net.Drop(g.master.name, h.name)
			}
		}),
		cut("m3-oneway-in", "one way: what they send to the master is lost", func(g *group) {
			for _, h := range g.rest() {
				g.w.net.Drop(h.name, g.master.name)
			}
		}),
		cut("m3-cut-all", "master cut off from all but its clients", func(g *group) {
			for _, h := range g.rest() {
				g.w.net.Split(g.master.name, h.name)
			}
		}),
		{
			name: "m3-slave-wipe", what: "slave killed, its store wiped, rejoined under load", deployment: controllerMode, promise: promAll, keeps: true, times: 3,
			run: groupWiped,
		},
		{
			name: "m3-timers", what: "kill -9 of the master with 100,000 timers pending, and again while they become due", deployment: controllerMode, promise: promAll,
			keeps: true, times: 2, run: groupTimers,
		},
		{
			name: "m3-java-client", what: "kill -9 of the master under the Java client 5.5.0: producer and push consumer", deployment: controllerMode,
			promise: promAll + "; each message is consumed at least once", keeps: true, times: 5, run: groupClients,
		},
		{
			name: "m3-mixed", what: "Java and CometMQ brokers in one group; kill -9 of the master, each in turn", deployment: controllerMode, promise: promAll,
			keeps: true, times: 10, notJava: "the row is both",
			run: func(x *trial) { x.groupKills(allAck, false, target.Ours, target.Java, target.Ours) },
		},
	}
}

// group is a world with controllers and brokers of one name.
type group struct {
	x      *trial
	w      *world
	master *host
}

// startControllers starts a group of controllers.
func (w *world) startControllers(n int) {
	w.t.Helper()
	ip := "127.0.0.1"
	if w.net != nil {
		ip = public
	}
	var ports []int
	var peers, addrs []string
	for i := range n {
		p := freePorts(w.t, 2)
		ports = append(ports, p)
		peers = append(peers, fmt.Sprintf("n%d-%s:%d", i, ip, p))
		addrs = append(addrs, fmt.Sprintf("%s:%d", ip, p))
	}
	for i, port := range ports {
		name := fmt.Sprintf("controller-%d", i)
		w.controllers = append(w.controllers, w.host(w.kind, "controller", name, port, map[string]string{
			"controllerDLegerGroup": "group1", "controllerDLegerPeers": strings.Join(peers, ";"), "controllerDLegerSelfId": fmt.Sprintf("n%d", i),
			"controllerStorePath": filepath.Join(w.home(name), "store"), "bindAddress": "127.0.0.1", "listenPort": fmt.Sprint(port),
		}, "256m", 0))
	}
	for _, h := range w.controllers {
		h.WaitPort(h.direct, time.Minute)
	}
	w.controllerAddr = strings.Join(addrs, ";")
}

// leader is the controller that leads.
func (w *world) leader() (*host, error) {
	for _, h := range w.controllers {
		if h.Running() == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
		addr, err := leaderBy(ctx, h.addr)
		cancel()
		if err != nil {
			continue
		}
		for _, l := range w.controllers {
			if l.addr == addr && l.Running() != 0 {
				return l, nil
			}
		}
	}
	return nil, errors.New("no leader")
}

func leaderBy(ctx context.Context, addr string) (string, error) {
	c, err := bench.Dial(ctx, nil, addr, protocol.JSON)
	if err != nil {
		return "", err
	}
	defer c.Close()
	r, err := c.Call(protocol.ReqControllerGetMetadataInfo, nil, nil)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return "", err
	}
	v, _ := r.Fields.Get("controllerLeaderAddress")
	return string(v), nil
}

// inSync is how many brokers the controllers count as in sync.
func (g *group) inSync() (int, error) {
	l, err := g.w.leader()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(g.x.Context(), 2*time.Second)
	defer cancel()
	c, err := bench.Dial(ctx, nil, l.addr, protocol.JSON)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	r, err := c.Call(protocol.ReqControllerGetReplicaInfo, &protocol.GetReplicaInfoRequestHeader{BrokerName: "broker-a"}, nil)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return 0, err
	}
	body := string(r.Body)
	_, set, ok := strings.Cut(body, `"syncStateSet":[`)
	if !ok {
		return 0, fmt.Errorf("no set in %s", body)
	}
	set, _, _ = strings.Cut(set, "]")
	return len(strings.Split(set, ",")), nil
}

// newGroup starts three controllers and three brokers and waits until all brokers are in sync.
func (x *trial) newGroup(conf map[string]string, kinds ...target.Kind) *group {
	x.Helper()
	w := newWorld(x.T, x.kind, true, 1)
	w.startControllers(3)
	g := &group{x: x, w: w}
	lines := map[string]string{
		"enableControllerMode": "true", "controllerAddr": w.controllerAddr, "brokerRole": "SLAVE",
	}
	maps.Copy(lines, conf)
	for i := range 3 {
		kind := x.kind
		if i < len(kinds) {
			kind = kinds[i]
		}
		w.brokerOf(kind, 0, lines)
	}
	until(x.T, 2*time.Minute, "a master", func() error { return g.findMaster("TBW102") })
	w.topic(g.master, "chaos", 4)
	g.whole()
	return g
}

// findMaster looks up who is the master now.
func (g *group) findMaster(topic string) error {
	r, err := g.w.route(g.x.Context(), topic)
	if err != nil {
		return err
	}
	for _, q := range r.Write {
		for _, h := range g.w.brokers {
			if h.addr == q.Addr && h.Running() != 0 {
				g.master = h
				return nil
			}
		}
	}
	return fmt.Errorf("no master in %+v", r.Write)
}

// whole waits until all brokers are in sync and knows the master then.
func (g *group) whole() {
	g.x.Helper()
	until(g.x.T, 3*time.Minute, "all brokers in sync", func() error {
		n, err := g.inSync()
		if err == nil && n != len(g.w.brokers) {
			err = fmt.Errorf("%d brokers are in sync", n)
		}
		if err != nil {
			time.Sleep(200 * time.Millisecond)
		}
		return err
	})
	until(g.x.T, time.Minute, "the master", func() error { return g.findMaster("chaos") })
}

func (g *group) others() []*host {
	var out []*host
	for _, h := range g.w.brokers {
		if h != g.master {
			out = append(out, h)
		}
	}
	return out
}

// rest are all servers but the master.
func (g *group) rest() []*host {
	return append(append(g.others(), g.w.controllers...), g.w.ns...)
}

// end judges at the master of the end and compares the logs of all.
func (g *group) end(l *running) {
	g.x.Helper()
	g.whole()
	l.end(g.master.addr)
	for _, h := range g.others() {
		g.w.sameLogs(&g.x.out, g.master, h)
		if g.x.out.Differ {
			g.x.out.Replicas = fmt.Sprintf("%s and %s: %s", g.master.name, h.name, g.x.out.Replicas)
			return
		}
	}
}

// window leaves the reader out where nobody promises that what it sees stays.
func (r *running) window(promised bool) {
	if !promised {
		r.leave()
		r.seen.Wait()
		r.Forget()
	}
}

func (x *trial) groupKills(conf map[string]string, withLeader bool, kinds ...target.Kind) {
	g := x.newGroup(conf, kinds...)
	l := g.w.send(&x.out, "chaos", g.w.master("chaos"))
	l.window(conf != nil)
	for range x.times {
		x.rest(time.Second, 3*time.Second)
		var leader *host
		if withLeader {
			until(x.T, time.Minute, "a controller leads", func() (err error) {
				leader, err = g.w.leader()
				return err
			})
		}
		dead := g.master
		l.fault(func() {
			if leader != nil {
				leader.Kill()
			}
			dead.Kill()
		})
		if leader != nil {
			leader.again()
		}
		dead.again()
		g.whole()
	}
	g.end(l)
}

func masterZombie(x *trial) {
	x.cutMaster(func(g *group) { g.master.pause() }, func(g *group, zombie *host) { zombie.resume() })
}

// cutMaster does something to the master, for 30 s, and measures how long nobody accepts messages.
func (x *trial) cutMaster(f func(g *group), undo func(g *group, master *host)) {
	g := x.newGroup(allAck)
	l := g.w.send(&x.out, "chaos", g.w.master("chaos"))
	for range x.times {
		x.rest(time.Second, 3*time.Second)
		master := g.master
		l.Mark()
		f(g)
		time.Sleep(30 * time.Second)
		undo(g, master)
		if _, ok := l.after(2 * time.Minute); !ok {
			x.out.Stuck++
			x.Logf("no message is accepted 2 minutes after all is well\n%s", g.w.logs())
		}
		x.out.Again = append(x.out.Again, l.Gap().Seconds())
		x.out.Faults++
		g.whole()
	}
	x.out.Note = "again: the longest time without an acknowledgement, until after the end of the accident"
	g.end(l)
}

func groupWiped(x *trial) {
	g := x.newGroup(allAck)
	l := g.w.send(&x.out, "chaos", g.w.master("chaos"))
	for i := range x.times {
		x.rest(time.Second, 3*time.Second)
		h := g.others()[i%2]
		l.fault(func() {
			h.Kill()
			if err := os.RemoveAll(filepath.Join(h.store, "commitlog")); err != nil { // with its identity it would be another broker
				x.Fatal(err)
			}
			for _, name := range []string{"consumequeue", "index", "checkpoint", "epochFileCheckpoint", "epochFileCheckpoint.bak", "cometmq"} {
				_ = os.RemoveAll(filepath.Join(h.store, name))
			}
			h.again()
		})
		g.whole()
	}
	g.end(l)
}

// replaced kills the master and waits until name servers name another one; then the dead one comes back.
func (g *group) replaced(meanwhile func()) {
	g.x.Helper()
	dead := g.master
	start := time.Now()
	dead.Kill()
	if meanwhile != nil {
		meanwhile()
	}
	until(g.x.T, 2*time.Minute, "another master", func() error { return g.findMaster("chaos") })
	if meanwhile == nil {
		g.x.out.Again = append(g.x.out.Again, time.Since(start).Seconds())
	}
	g.x.out.Faults++
	dead.again()
	g.whole()
}

func groupTimers(x *trial) {
	g := x.newGroup(allAck)
	g.w.topic(g.master, "timed", 4)
	l := &history.Delay{
		Topic: "timed", Queues: 4, Target: g.w.master("timed"), Timers: true, Soonest: 60 * time.Second, Longest: 100 * time.Second, Window: 100, Most: 100_000,
	}
	ctx, cancel := context.WithTimeout(x.Context(), 3*time.Minute)
	defer cancel()
	began := time.Now()
	l.Run(ctx, 4)
	due := time.Since(began) + l.Longest
	g.replaced(nil)
	for range x.times - 1 {
		time.Sleep(time.Until(began.Add(l.Soonest + 5*time.Second))) // while they become due
		g.replaced(nil)
	}
	time.Sleep(time.Until(began.Add(due + 2*time.Second)))
	var v history.Feature
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(2 * time.Second) {
		var err error
		if v, err = l.Verdict(x.Context(), g.master.addr, time.Second); err != nil {
			x.Fatal(err)
		}
		if v.Lost == 0 || time.Now().After(end) {
			break
		}
	}
	x.out.feature(v)
	x.out.Note = fmt.Sprintf("all had come %.0f s after the last was due; %d came more than 1 s before their time; again: until a name server names another master",
		max(0, time.Since(began.Add(due)).Seconds()), v.Early)
	if v.Early > 0 {
		x.out.Bad = append(x.out.Bad, fmt.Sprintf("%d came early", v.Early))
	}
}

func groupClients(x *trial) {
	g := x.newGroup(allAck)
	l := newLedger()
	p := javaApp(x, l, "send", g.w.nsAddrs(), "chaos", "chaos_p", 2)
	c := javaApp(x, l, "consume", g.w.nsAddrs(), "chaos", "chaos_c", 0)
	x.someConsumed(l, 100)
	for range x.times {
		x.rest(time.Second, 3*time.Second)
		l.setMark()
		g.replaced(func() {
			if d, ok := l.waitAgain(2 * time.Minute); ok {
				x.out.Again = append(x.out.Again, d.Seconds())
			} else {
				x.out.Stuck++
			}
		})
	}
	time.Sleep(time.Second)
	p.quit()
	x.out.Add(l.verdict(90 * time.Second))
	c.kill()
	x.out.Note = "duplicates are those that the consumer got"
}
