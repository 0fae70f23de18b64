package remotingapi

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// waitClosed waits until the server has no connection.
func waitClosed(t *testing.T, r *rig) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		live := 0
		r.server.Conns(func(*remoting.Conn) bool { live++; return true })
		if live == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the connection is still there")
		}
	}
}

func offsets(t *testing.T, r reply, next, low, high string) {
	t.Helper()
	if r.ext["nextBeginOffset"] != next || r.ext["minOffset"] != low || r.ext["maxOffset"] != high || r.ext["suggestWhichBrokerId"] != "0" {
		t.Errorf("answer %d: %v", r.opaque, r.ext)
	}
}

func TestPullAnswersByStatus(t *testing.T) {
	t.Parallel()
	var status mq.FetchStatus
	f := &fake{pull: func(_ *mq.PullRequest, dst []byte) (mq.Fetch, error) {
		fe := mq.Fetch{Status: status, Records: dst, Next: 5, Min: 3, Max: 8}
		if status == mq.FetchFound {
			dst = append(dst, "records"...)
			fe.Records = dst
		}
		return fe, nil
	}}
	w := overMemory(t, f, f).wire(t)
	opaque := int32(0)
	for _, c := range []struct {
		status mq.FetchStatus
		from   string
		code   int32
	}{
		{mq.FetchFound, "4", 0},
		{mq.FetchNoMatchedMessage, "4", 20},
		{mq.FetchMessageWasRemoving, "4", 20},
		{mq.FetchOffsetFoundNull, "4", 19},
		{mq.FetchOffsetOverflowOne, "4", 19},
		{mq.FetchOffsetOverflowBadly, "4", 21},
		{mq.FetchOffsetTooSmall, "4", 21},
		{mq.FetchOffsetReset, "4", 21},
		{mq.FetchNoMessageInQueue, "0", 19},
		{mq.FetchNoMessageInQueue, "4", 21},
		{mq.FetchNoMatchedLogicQueue, "0", 19},
		{mq.FetchNoMatchedLogicQueue, "4", 21},
	} {
		for _, s := range []remoting.Serial{remoting.JSON, remoting.Binary} {
			opaque++
			status = c.status
			w.write(frame(s, 11, opaque, 0, pullHead(c.from, "0"), ""))
			r := w.want(opaque, c.code)
			offsets(t, r, "5", "3", "8")
			if r.remark != c.status.String() || (r.body == "records") != (c.code == 0) {
				t.Errorf("%s: remark %q body %q", c.status, r.remark, r.body)
			}
		}
	}
}

func TestPullRequestFields(t *testing.T) {
	t.Parallel()
	f := &fake{}
	w := overMemory(t, f, f).wire(t)
	w.write(req(11, 1, pullHead("4", "5"), ""), req(361, 2, pullHead("4", "0"), ""), req(11, 3, pullHead("4", "16"), ""))
	for i := range int32(3) {
		w.want(i+1, 0)
	}
	wantCalls(t, f, `pull G T/2 from 4 max 32 expr true "a || b" "TAG" v9 commit true 77 lite false
pull G T/2 from 4 max 32 expr false "" "" v9 commit false 77 lite true
pull G T/2 from 4 max 32 expr false "" "" v9 commit false 77 lite true`)
	f.fail(&mq.Error{Kind: mq.KindNoPermission, Detail: "no", Forbidden: 3})
	w.write(req(11, 4, pullHead("4", "3"), ""))
	if r := w.want(4, 16); r.ext["forbiddenType"] != "3" || r.remark != "no" {
		t.Errorf("%+v", r)
	}
}

// parking is a core whose queue is empty until something arrives, and that keeps who waits.
type parking struct {
	*fake
	mu      sync.Mutex
	ready   bool
	refuse  bool
	waiters chan *mq.Waiter
}

func newParking() *parking {
	p := &parking{fake: &fake{}, waiters: make(chan *mq.Waiter, 1000)}
	p.pull = func(r *mq.PullRequest, dst []byte) (mq.Fetch, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ready {
			return mq.Fetch{Status: mq.FetchFound, Records: append(dst, "late"...), Count: 1, Next: r.From + 1, Max: r.From + 1}, nil
		}
		return mq.Fetch{Status: mq.FetchOffsetOverflowOne, Records: dst, Next: r.From, Max: r.From}, nil
	}
	p.park = func(w *mq.Waiter) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.refuse {
			return false
		}
		p.waiters <- w
		return true
	}
	return p
}

func (p *parking) set(ready, refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready, p.refuse = ready, refuse
}

func TestParkedPullIsAnsweredWhenWoken(t *testing.T) {
	t.Parallel()
	p := newParking()
	w := overMemory(t, p, p).wire(t)
	// Only the first pass commits; the answer keeps the opaque; what it kept is not the request's memory.
	w.write(req(11, 41, pullHead("4", "7"), ""))
	wt := <-p.waiters
	w.write(req(11, 42, ext{"consumerGroup": "XXXX", "topic": "YYYY", "queueId": "5", "queueOffset": "9", "subscription": "zzzzzzzz", "sysFlag": "4"}, ""))
	w.want(42, 19)
	if wt.Topic != "T" || wt.QueueID != 2 || wt.From != 4 || time.Until(wt.Deadline) > 15*time.Second || time.Until(wt.Deadline) < 5*time.Second {
		t.Errorf("%+v", wt)
	}
	p.set(true, false)
	wt.Wake(wt)
	if r := w.want(41, 0); r.body != "late" {
		t.Errorf("body %q", r.body)
	}
	wantCalls(t, p.fake, `pull G T/2 from 4 max 32 expr true "a || b" "TAG" v9 commit true 77 lite false
park T/2 from 4
pull XXXX YYYY/5 from 9 max 0 expr true "zzzzzzzz" "" v0 commit false 0 lite false
pull G T/2 from 4 max 32 expr true "a || b" "TAG" v9 commit false 77 lite false`)

	// The time is over: nothing is a proper answer, too, and it is not parked again.
	p.set(false, false)
	w.write(req(11, 43, pullHead("4", "2"), ""))
	wt = <-p.waiters
	wt.Wake(wt)
	offsets(t, w.want(43, 19), "4", "0", "4")

	// A message came between reading and parking.
	p.set(false, true)
	w.write(req(11, 44, pullHead("4", "2"), ""))
	w.want(44, 19)

	// The group was deleted meanwhile.
	p.set(false, false)
	w.write(req(11, 45, pullHead("4", "2"), ""))
	wt = <-p.waiters
	p.fail(mq.Errorf(mq.KindGroupNotExist, "gone"))
	wt.Wake(wt)
	w.want(45, 26)
}

func TestWhatIsNotParked(t *testing.T) {
	t.Parallel()
	p := newParking()
	w := overMemory(t, p, p).wire(t)
	never := pullHead("4", "2")
	never["suspendTimeoutMillis"] = "0"
	w.write(req(11, 1, never, ""), frame(remoting.JSON, 11, 2, protocol.FlagOneway, pullHead("4", "2"), ""), req(11, 3, pullHead("4", "0"), ""))
	w.want(1, 19)
	w.want(3, 19)
	if n := len(p.waiters); n != 0 {
		t.Errorf("%d parked", n)
	}
	// However long a client wants to wait, the deadline is a sane one.
	for i, ms := range []string{"9223372036854775807", "9223372036855", "86400000"} {
		h := pullHead("4", "2")
		h["suspendTimeoutMillis"] = ms
		w.write(req(11, int32(10+i), h, ""))
		wt := <-p.waiters
		if d := time.Until(wt.Deadline); d < time.Minute || d > maxSuspend*time.Millisecond {
			t.Errorf("%s ms: %v", ms, d)
		}
		wt.Wake(wt)
		w.want(int32(10+i), 19)
	}
}

func TestParkedPullOfAClosedConnectionIsDropped(t *testing.T) {
	t.Parallel()
	p := newParking()
	r := overMemory(t, p, p)
	w := r.wire(t)
	w.write(req(11, 1, pullHead("4", "2"), ""))
	wt := <-p.waiters
	_ = w.Close()
	waitClosed(t, r)
	p.take()
	wt.Wake(wt)
	wantCalls(t, p.fake, "")
}

// A client that does not read gets no more than MaxOutput and small answers, however many of its pulls are woken.
func TestPeerThatDoesNotReadIsNotSentMuch(t *testing.T) {
	t.Parallel()
	p := newParking()
	big := make([]byte, 200<<10)
	empty := p.pull
	p.pull = func(r *mq.PullRequest, dst []byte) (mq.Fetch, error) {
		f, err := empty(r, dst)
		if f.Status == mq.FetchFound {
			dst = append(dst, big...)
			f.Records = dst
		}
		return f, err
	}
	r := overMemory(t, p, p)
	w := r.wire(t)
	const n = 200
	var ws []*mq.Waiter
	for i := range int32(n) {
		w.write(req(11, i, pullHead("4", "2"), ""))
		ws = append(ws, <-p.waiters)
	}
	p.set(true, false)
	for _, wt := range ws {
		wt.Wake(wt)
	}
	queued := 0
	r.server.Conns(func(c *remoting.Conn) bool { queued += c.Queued(); return true })
	if queued > 2<<20 {
		t.Errorf("%d bytes wait", queued)
	}
	full, none := 0, 0
	for range n {
		rep, err := w.recv()
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case rep.code == 0 && len(rep.body) == len(big):
			full++
		case rep.code == 19:
			none++
			offsets(t, rep, "4", "1", "9")
		default:
			t.Fatalf("%+v", rep)
		}
	}
	if full == 0 || none == 0 {
		t.Errorf("%d answered, %d postponed", full, none)
	}
}

// Wakes, ends of connections and reuse at once: each pull is answered once with its own opaque, or its connection is gone.
func TestParkedPullsUnderRaces(t *testing.T) {
	t.Parallel()
	p := newParking()
	r := overMemory(t, p, p)
	stop := make(chan struct{})
	var wakers, clients sync.WaitGroup
	for range 3 {
		wakers.Go(func() {
			for {
				select {
				case w := <-p.waiters:
					w.Wake(w)
				case <-stop:
					return
				}
			}
		})
	}
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for c := range 4 {
		clients.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(c), 1))
			for range rounds {
				w := r.wire(t)
				n := 1 + rnd.IntN(20)
				var all []byte
				for i := range n {
					all = append(all, req(11, int32(i), pullHead(strconv.Itoa(100+i), "2"), "")...)
				}
				if _, err := w.Write(all); err != nil {
					t.Error(err)
				}
				leave := rnd.IntN(3) == 0
				seen := map[int32]bool{}
				for i := range n {
					if leave && i > n/2 {
						break
					}
					rep, err := w.recv()
					if err != nil || rep.code != 19 || seen[rep.opaque] || rep.ext["nextBeginOffset"] != strconv.Itoa(100+int(rep.opaque)) {
						t.Errorf("%+v %v", rep, err)
						break
					}
					seen[rep.opaque] = true
				}
				_ = w.Close()
			}
		})
	}
	clients.Wait()
	waitClosed(t, r)
	close(stop)
	wakers.Wait()
	for len(p.waiters) > 0 {
		w := <-p.waiters
		w.Wake(w)
	}
}
