package member_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/membership/member"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	cluster  = "C"
	setName  = "broker-a"
	idFile   = "/store/brokerIdentity"
	expire   = 10 * time.Second
	scanTick = 500 * time.Millisecond
)

// logBuffer keeps log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// tail is the last n lines.
func (l *logBuffer) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(l.b.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (l *logBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// assigned is a number that the controllers gave away.
type assigned struct{ addr, code string }

// decision is a state of the set; old ones are what a leader that was cut off still tells.
type decision struct {
	master int64
	addr   string
	epoch  int32
	set    []int64
	setNo  int32
}

type pulse struct {
	at     time.Time
	expire time.Duration
	offset int64
	addr   string
}

// quorum is some controllers that agree at once: one state, and for each controller the heartbeats that it got.
type quorum struct {
	w *world

	mu     sync.Mutex
	addrs  []string
	leader int       // -1: none
	led    time.Time // since when; a new leader gives all brokers the time to send a heartbeat
	next   int64
	ids    map[int64]assigned
	now    decision
	past   []decision
	pulses []map[int64]pulse
	deaf   bool // heartbeats are not answered

	// faults, as chances in percent
	rng                              *rand.Rand
	loseAnswer, loseAsk, stale, slow int
	refuse                           map[int32]int32 // answer code for a request code
	applied                          int             // claims that were granted
}

func newQuorum(w *world, n int, seed uint64) *quorum {
	q := &quorum{w: w, next: 1, ids: map[int64]assigned{}, rng: rand.New(rand.NewPCG(seed, 1)), refuse: map[int32]int32{}}
	for i := range n {
		q.addrs = append(q.addrs, fmt.Sprintf("10.0.0.%d:9878", i+1))
		q.pulses = append(q.pulses, map[int64]pulse{})
	}
	return q
}

func (q *quorum) chance(percent int) bool { return percent > 0 && q.rng.IntN(100) < percent }

// serve runs controller i until ctx ends.
func (q *quorum) serve(ctx context.Context, i int) {
	l, err := q.w.net.Listen(q.addrs[i])
	if err != nil {
		q.w.t.Error(err)
		return
	}
	s := remoting.NewServer(remoting.ServerOptions{})
	s.HandleDefault(func(c *remoting.Conn, r *remoting.Request) {
		q.mu.Lock()
		if q.chance(q.loseAsk) || q.deaf && r.Code == protocol.ReqBrokerHeartbeat {
			q.mu.Unlock()
			return
		}
		code, remark, h, body := q.handle(i, r)
		lost, pause := q.chance(q.loseAnswer), time.Duration(0)
		if q.chance(q.slow) {
			pause = time.Duration(q.rng.Int64N(int64(4 * time.Second)))
		}
		q.mu.Unlock()
		to := r.ReplyTo()
		switch {
		case lost:
		case pause > 0:
			c.Go(func() {
				time.Sleep(pause)
				c.Reply(to, code, remark, h, body)
			})
		default:
			c.Reply(to, code, remark, h, body)
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ctx, l)
	}()
	<-ctx.Done()
	_ = s.Shutdown(context.Background())
	<-done
}

// scan elects when a master is silent.
func (q *quorum) scan(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(scanTick):
		}
		q.mu.Lock()
		if q.leader >= 0 && q.now.master != 0 && !q.aliveLocked(q.now.master) && time.Since(q.led) > expire {
			q.electLocked(0, true)
		}
		q.mu.Unlock()
	}
}

func (q *quorum) aliveLocked(id int64) bool {
	if q.leader < 0 {
		return false
	}
	p, ok := q.pulses[q.leader][id]
	return ok && time.Since(p.at) <= p.expire
}

// set makes d the state.
func (q *quorum) setLocked(d decision) {
	q.past = append(q.past, q.now)
	q.now = d
}

// electLocked does what ReplicasInfoManager.electMaster does, for a broker or, by the controllers, because the master is dead.
func (q *quorum) electLocked(by int64, forced bool) int32 {
	d := q.now
	if d.epoch == 0 {
		q.setLocked(decision{by, q.ids[by].addr, 1, []int64{by}, 1})
		return protocol.RespSuccess
	}
	if !forced && d.master != 0 && (q.aliveLocked(d.master) || time.Since(q.led) <= expire) {
		return protocol.RespControllerMasterStillExist
	}
	best := int64(0)
	for _, id := range d.set {
		if q.aliveLocked(id) && (best == 0 || q.pulses[q.leader][id].offset > q.pulses[q.leader][best].offset) {
			best = id
		}
	}
	switch {
	case best != 0:
		q.setLocked(decision{best, q.ids[best].addr, d.epoch + 1, []int64{best}, d.setNo + 1})
	case forced || d.master != 0:
		q.setLocked(decision{0, "", d.epoch + 1, d.set, d.setNo})
		return protocol.RespControllerElectMasterFailed
	default:
		return protocol.RespControllerElectMasterFailed
	}
	return protocol.RespSuccess
}

func setBody(d decision) []byte {
	w := fastjson.NewWriter(nil, fastjson.Compact)
	w.ObjStart()
	w.Key("syncStateSet")
	w.ArrStart()
	for _, id := range d.set {
		w.Int(id)
	}
	w.ArrEnd()
	w.Key("syncStateSetEpoch")
	w.Int(int64(d.setNo))
	w.ObjEnd()
	return w.Bytes()
}

type reply struct {
	code   int32
	remark string
	h      remoting.HeaderAppender
	body   []byte
}

func (q *quorum) handle(i int, r *remoting.Request) (int32, string, remoting.HeaderAppender, []byte) {
	a := q.answer(i, r)
	return a.code, a.remark, a.h, a.body
}

func (q *quorum) answer(i int, r *remoting.Request) reply {
	must := func(err error) {
		if err != nil {
			q.w.t.Errorf("code %d: %v", r.Code, err)
		}
	}
	switch r.Code {
	case protocol.ReqControllerGetMetadataInfo:
		if q.leader < 0 {
			return reply{h: &protocol.GetMetaDataResponseHeader{}}
		}
		return reply{h: &protocol.GetMetaDataResponseHeader{ControllerLeaderAddress: q.addrs[q.leader], Leader: i == q.leader}}
	case protocol.ReqBrokerHeartbeat:
		var h protocol.BrokerHeartbeatRequestHeader
		must(h.Decode(r.Fields))
		q.pulses[i][h.BrokerID] = pulse{time.Now(), time.Duration(h.HeartbeatTimeoutMills) * time.Millisecond, h.MaxOffset, strings.Clone(h.BrokerAddr)}
		return reply{}
	}
	if i != q.leader {
		if !q.chance(q.stale) {
			return reply{code: protocol.RespControllerNotLeader, remark: "not leader"}
		}
	}
	if code := q.refuse[r.Code]; code != 0 {
		return reply{code: code, remark: "the test wants it"}
	}
	d := q.now
	if len(q.past) > 0 && (i != q.leader || q.chance(q.stale)) {
		d = q.past[q.rng.IntN(len(q.past))]
	}
	switch r.Code {
	case protocol.ReqControllerGetNextBrokerID:
		return reply{h: &protocol.GetNextBrokerIdResponseHeader{ClusterName: cluster, BrokerName: setName, NextBrokerID: q.next, HasNextBrokerID: true}}
	case protocol.ReqControllerApplyBrokerID:
		var h protocol.ApplyBrokerIdRequestHeader
		must(h.Decode(r.Fields))
		got, taken := q.ids[h.AppliedBrokerID]
		switch {
		case taken && got.code == h.RegisterCheckCode:
		case taken || h.AppliedBrokerID < q.next:
			return reply{code: protocol.RespControllerBrokerIDInvalid, remark: "taken"}
		default:
			q.applied++
			addr, _, _ := strings.Cut(h.RegisterCheckCode, ";")
			q.ids[h.AppliedBrokerID] = assigned{strings.Clone(addr), strings.Clone(h.RegisterCheckCode)}
			q.next = h.AppliedBrokerID + 1
		}
		return reply{}
	case protocol.ReqControllerRegisterBroker:
		var h protocol.RegisterBrokerToControllerRequestHeader
		must(h.Decode(r.Fields))
		got, ok := q.ids[h.BrokerID]
		if !ok {
			return reply{code: protocol.RespControllerBrokerNeedToBeRegistered, remark: "unknown"}
		}
		got.addr = strings.Clone(h.BrokerAddress)
		q.ids[h.BrokerID] = got
		out := &protocol.RegisterBrokerToControllerResponseHeader{}
		if d.master != 0 && q.aliveLocked(d.master) {
			out.MasterBrokerID, out.HasMasterBrokerID, out.MasterAddress = d.master, true, d.addr
			out.MasterEpoch, out.HasMasterEpoch, out.SyncStateSetEpoch, out.HasSyncStateSetEpoch = d.epoch, true, d.setNo, true
		}
		return reply{h: out, body: setBody(d)}
	case protocol.ReqControllerGetReplicaInfo:
		out := &protocol.GetReplicaInfoResponseHeader{MasterBrokerID: d.master, HasMasterBrokerID: d.master != 0, MasterAddress: d.addr, MasterEpoch: d.epoch, HasMasterEpoch: true}
		if d.master != 0 && i == q.leader && d.epoch == q.now.epoch {
			out.MasterAddress = q.ids[d.master].addr
		}
		return reply{h: out, body: setBody(d)}
	case protocol.ReqControllerElectMaster:
		var h protocol.ElectMasterRequestHeader
		must(h.Decode(r.Fields))
		if _, ok := q.ids[h.BrokerID]; !ok {
			return reply{code: protocol.RespControllerBrokerNeedToBeRegistered, remark: "unknown"}
		}
		code := q.electLocked(h.BrokerID, false)
		d = q.now
		if d.master == 0 {
			return reply{code: code, remark: "nobody"}
		}
		return reply{code: code, h: &protocol.ElectMasterResponseHeader{
			MasterBrokerID: d.master, HasMasterBrokerID: true, MasterAddress: d.addr, MasterEpoch: d.epoch, HasMasterEpoch: true,
			SyncStateSetEpoch: d.setNo, HasSyncStateSetEpoch: true,
		}, body: setBody(d)}
	case protocol.ReqControllerGetSyncStateData:
		w := fastjson.NewWriter(nil, fastjson.Compact)
		w.ObjStart()
		w.Key("replicasInfoTable")
		w.ObjStart()
		w.Key(setName)
		w.ObjStart()
		for key, in := range map[string]bool{"inSyncReplicas": true, "notInSyncReplicas": false} {
			w.Key(key)
			w.ArrStart()
			for id, a := range q.ids {
				if slices.Contains(q.now.set, id) != in {
					continue
				}
				w.ObjStart()
				w.Key("alive")
				w.Bool(q.aliveLocked(id))
				w.Key("brokerAddress")
				w.Str(a.addr)
				w.Key("brokerId")
				w.Int(id)
				w.ObjEnd()
			}
			w.ArrEnd()
		}
		w.Key("masterEpoch")
		w.Int(int64(q.now.epoch))
		w.ObjEnd()
		w.ObjEnd()
		w.ObjEnd()
		return reply{body: w.Bytes()}
	case protocol.ReqControllerAlterSyncStateSet:
		var h protocol.AlterSyncStateSetRequestHeader
		must(h.Decode(r.Fields))
		v, err := fastjson.Parse(r.Body)
		must(err)
		switch {
		case h.MasterBrokerID != q.now.master:
			return reply{code: protocol.RespControllerInvalidMaster}
		case h.MasterEpoch != q.now.epoch:
			return reply{code: protocol.RespControllerFencedMasterEpoch}
		case v.Get("syncStateSetEpoch").Int32() != q.now.setNo:
			return reply{code: protocol.RespControllerFencedSyncStateSetEpoch}
		}
		d = q.now
		d.set, d.setNo = nil, d.setNo+1
		for _, e := range v.Get("syncStateSet").Arr() {
			d.set = append(d.set, e.Int64())
		}
		q.setLocked(d)
		return reply{h: &protocol.AlterSyncStateSetResponseHeader{NewSyncStateSetEpoch: d.setNo}, body: setBody(d)}
	}
	return reply{code: protocol.RespRequestCodeNotSupported}
}

// engine is a broker that plays its role in no time, or in some, and fails when the test wants it.
type engine struct {
	w *world

	mu     sync.Mutex
	role   string // "", "master", "slave"
	term   member.Term
	fenced bool
	log    []string
	epochs []int32
	busy   bool
	offset int64
	// volatile is how much of the log's end would not survive a loss of power.
	volatile int64
	last     int32 // epoch of the log
	take     time.Duration
	fail     int // so many changes fail
}

func (e *engine) begin(role string, t member.Term) time.Duration {
	e.mu.Lock()
	if e.busy {
		e.w.t.Error("two changes of roles at once")
	}
	e.busy = true
	same := e.role == role && e.term.Epoch == t.Epoch
	if !same {
		e.role = "changing"
	}
	take := e.take
	e.mu.Unlock()
	return take
}

func (e *engine) become(ctx context.Context, role string, t member.Term) error {
	take := e.begin(role, t)
	defer func() {
		e.mu.Lock()
		e.busy = false
		e.mu.Unlock()
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(take):
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail > 0 {
		e.fail--
		return errors.New("the disk is full")
	}
	if t.Epoch < e.term.Epoch {
		e.w.t.Errorf("epoch goes back from %d to %d", e.term.Epoch, t.Epoch)
	}
	if e.term.Epoch != t.Epoch || e.role != role {
		e.log = append(e.log, fmt.Sprintf("%s@%d", role, t.Epoch))
		e.epochs = append(e.epochs, t.Epoch)
	}
	e.role, e.term, e.fenced = role, t, false
	if e.last = t.Epoch; e.offset == 0 { // it has got something
		e.offset = 100
	}
	return nil
}

func (e *engine) BecomeMaster(ctx context.Context, t member.Term) error {
	return e.become(ctx, "master", t)
}

func (e *engine) BecomeSlave(ctx context.Context, t member.Term) error {
	return e.become(ctx, "slave", t)
}

func (e *engine) SetInSync(s member.SyncSet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.Epoch < e.term.InSync.Epoch {
		e.w.t.Errorf("the set goes back from %d to %d", e.term.InSync.Epoch, s.Epoch)
	}
	e.term.InSync = s
}

func (e *engine) Fence(string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fenced = true
	e.log = append(e.log, "fence")
}

func (e *engine) status() member.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return member.Status{
		Epoch: e.last, MaxOffset: e.offset, Confirmed: e.offset, End: member.Place{Epoch: e.last, Offset: e.offset},
		Durable: member.Place{Epoch: e.last, Offset: e.offset - e.volatile},
	}
}

func (e *engine) history() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.log, " ")
}

// node is one broker.
type node struct {
	w      *world
	ip     string
	fs     *vfs.Mem
	engine *engine
	client *remoting.Client
	m      *member.Member
	cancel context.CancelFunc
	done   chan struct{}
}

func (n *node) addr() string { return n.ip + ":10911" }

// acknowledges reports in which epoch the broker acknowledges right now, 0 for none.
func (n *node) acknowledges() int32 {
	n.engine.mu.Lock()
	defer n.engine.mu.Unlock()
	if n.m == nil || n.engine.role != "master" || n.engine.fenced || !n.m.Held() {
		return 0
	}
	return n.engine.term.Epoch
}

// world is brokers of one set and controllers in one bubble.
type world struct {
	t     *testing.T
	net   *memnet.Network
	q     *quorum
	log   *logBuffer
	nodes []*node
	rng   *rand.Rand
	stop  []context.CancelFunc // of controllers
}

// bubble runs f with some controllers, of which the first leads, and brokers that have not been started.
func bubble(t *testing.T, controllers, brokers int, seed uint64, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: memnet.New(), log: &logBuffer{}, rng: rand.New(rand.NewPCG(seed, 2))}
		w.q = newQuorum(w, controllers, seed)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range controllers {
			c, stop := context.WithCancel(ctx)
			w.stop = append(w.stop, stop)
			wg.Go(func() { w.q.serve(c, i) })
		}
		wg.Go(func() { w.q.scan(ctx) })
		for i := range brokers {
			w.nodes = append(w.nodes, &node{w: w, ip: fmt.Sprintf("10.0.1.%d", i+1), fs: vfs.NewMem(vfs.MemOptions{}), engine: &engine{w: w}})
		}
		defer func() {
			for _, n := range w.nodes {
				n.kill()
			}
			cancel()
			wg.Wait()
			if t.Failed() {
				t.Log(w.log.tail(60))
			}
		}()
		f(t, w)
	})
}

func (n *node) start(change ...func(*member.Options)) {
	n.w.t.Helper()
	n.client = remoting.NewClient(remoting.ClientOptions{Dial: n.w.net.Host(n.ip).Dial})
	o := member.Options{
		Controllers: n.w.q.addrs, Client: n.client, Engine: n.engine, FS: n.fs, IdentityFile: idFile, Cluster: cluster, Name: setName,
		Addr: n.addr(), Status: n.engine.status, Jitter: n.w.rng.Int64N, Log: slog.New(slog.NewTextHandler(n.w.log, nil)).With("b", n.ip),
	}
	for _, f := range change {
		f(&o)
	}
	m, err := member.New(o)
	if err != nil {
		n.w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.m, n.cancel, n.done = m, cancel, make(chan struct{})
	go func() {
		defer close(n.done)
		_ = m.Run(ctx)
	}()
}

// kill ends the broker; what it had in memory is gone.
func (n *node) kill() {
	if n.m == nil {
		return
	}
	n.cancel()
	<-n.done
	n.client.Close()
	n.engine.mu.Lock()
	n.engine.role, n.engine.term, n.engine.fenced = "", member.Term{}, false
	n.engine.mu.Unlock()
	n.m = nil
}

func (n *node) file(name string) string {
	data, err := vfs.ReadFile(n.fs, name)
	if err != nil {
		return "-"
	}
	return string(data)
}

// acknowledging returns which broker acknowledges in which epoch, and complains about two in one epoch.
func (w *world) acknowledging() map[int32]string {
	out := map[int32]string{}
	for _, n := range w.nodes {
		if e := n.acknowledges(); e != 0 {
			if was, ok := out[e]; ok {
				w.t.Errorf("%s and %s both acknowledge in epoch %d", was, n.ip, e)
			}
			out[e] = n.ip
		}
	}
	return out
}

// masters is "ip@epoch" of all that acknowledge.
func (w *world) masters() string {
	var out []string
	for e, ip := range w.acknowledging() {
		out = append(out, fmt.Sprintf("%s@%d", ip, e))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// until waits until cond holds, at most d.
func (w *world) until(d time.Duration, what string, cond func() bool) time.Duration {
	w.t.Helper()
	begun := time.Now()
	for !cond() {
		if time.Since(begun) > d {
			w.t.Fatalf("after %v not: %s; masters %s", d, what, w.masters())
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begun)
}

// dropHeartbeats makes the controllers ignore heartbeats, or not.
func (q *quorum) dropHeartbeats(on bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.deaf = on
}

// lead makes controller i the leader, -1 none.
func (q *quorum) lead(i int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.leader, q.led = i, time.Now()
}

// calm ends all faults of the controllers.
func (q *quorum) calm() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.loseAnswer, q.loseAsk, q.stale, q.slow = 0, 0, 0, 0
}

// inOffice starts the first broker and waits until it is master of epoch 1.
func (w *world) inOffice() *node {
	w.t.Helper()
	a := w.nodes[0]
	a.start()
	w.until(3*time.Second, "a master", func() bool { return w.masters() == "10.0.1.1@1" })
	return a
}
