package remotingapi

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var storeHost = netip.MustParseAddrPort("10.0.0.2:10911")

// fake is a core that writes down what it is asked. err, if set, is what everything answers.
type fake struct {
	mq.ClientAdmin
	mq.PositionAdmin
	mq.OperatorAdmin
	mq.Replies
	mq.StaticQueues
	mu    sync.Mutex
	err   error
	calls []string
	send  func(b *mq.SendBatch) bool
	pull  func(r *mq.PullRequest, dst []byte) (mq.Fetch, error)
	park  func(w *mq.Waiter) bool
	ask   func(call string)
	beat  mq.HeartbeatReply
	sess  []*mq.Session
}

func (f *fake) note(format string, args ...any) error {
	call := fmt.Sprintf(format, args...)
	f.mu.Lock()
	f.calls = append(f.calls, call)
	err, ask := f.err, f.ask
	f.mu.Unlock()
	if ask != nil {
		ask(call)
	}
	return err
}

// take returns the calls since the last take.
func (f *fake) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.calls = nil }()
	return strings.Join(f.calls, "\n")
}

func (f *fake) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fake) Send(_ context.Context, b *mq.SendBatch) bool {
	var bodies []string
	for i := range b.Requests {
		r := &b.Requests[i]
		bodies = append(bodies, fmt.Sprintf("%s/%d:%s", r.Topic, r.QueueID, r.Body))
		b.Results = append(b.Results, mq.SendResult{QueueID: r.QueueID, Index: mq.Index(i), Offset: mq.Offset(100 + i), UniqueKey: "U" + string(r.Body)})
		if strings.HasPrefix(string(r.Body), "bad") {
			b.Results[i] = mq.SendResult{Err: mq.Errorf(mq.KindMessageIllegal, "illegal %s", r.Body)}
		}
	}
	_ = f.note("send %s", strings.Join(bodies, " "))
	if f.send != nil {
		return f.send(b)
	}
	return false
}

func (f *fake) Pull(_ context.Context, r *mq.PullRequest, dst []byte) (mq.Fetch, error) {
	if err := f.note("pull %s %s/%d from %d max %d expr %v %q %q v%d commit %v %d lite %v", r.Group, r.Topic, r.QueueID, r.From, r.MaxMessages,
		r.HasExpression, r.Expression, r.ExpressionType, r.SubVersion, r.Commit, r.CommitIndex, r.Lite); err != nil {
		return mq.Fetch{Records: dst}, err
	}
	if f.pull != nil {
		return f.pull(r, dst)
	}
	return mq.Fetch{Status: mq.FetchFound, Records: append(dst, "records"...), Count: 1, Next: r.From + 1, Min: 1, Max: 9}, nil
}

func (f *fake) Park(w *mq.Waiter) bool {
	_ = f.note("park %s/%d from %d", w.Topic, w.QueueID, w.From)
	return f.park != nil && f.park(w)
}

func (f *fake) CommitIndex(_ context.Context, group, topic string, queue int32, at mq.Index) error {
	return f.note("commit %s %s/%d %d", group, topic, queue, at)
}

func (f *fake) QueryIndex(_ context.Context, group, topic string, queue int32, zero bool) (mq.Index, error) {
	return 7, f.note("query %s %s/%d %v", group, topic, queue, zero)
}

func (f *fake) IsStatic(string) bool { return false }

func (f *fake) PutStaticTopic(context.Context, mq.TopicConfig, bool) error {
	return f.note("put static topic")
}

func (f *fake) MinIndex(_ context.Context, topic string, queue int32) (mq.Index, error) {
	return 1, f.note("min %s/%d", topic, queue)
}

func (f *fake) MaxIndex(_ context.Context, topic string, queue int32) (mq.Index, error) {
	return 9, f.note("max %s/%d", topic, queue)
}

func (f *fake) IndexAtTime(_ context.Context, topic string, queue int32, ms int64, b mq.Boundary) (mq.Index, error) {
	return 5, f.note("at %s/%d %d boundary %d", topic, queue, ms, b)
}

func (f *fake) EarliestStoreTime(_ context.Context, topic string, queue int32) (int64, error) {
	return 1234, f.note("earliest %s/%d", topic, queue)
}

func (f *fake) MessageAt(_ context.Context, at mq.Offset, dst []byte) ([]byte, error) {
	return append(dst, "record"...), f.note("view %d", at)
}

func (f *fake) QueryByKey(_ context.Context, q *mq.KeyQuery) (mq.KeyResult, error) {
	r := mq.KeyResult{Records: []byte("found"), Count: 1, LastUpdateTime: 11, LastUpdateAt: 12}
	if q.Key == "none" {
		r.Count = 0
	}
	return r, f.note("key %s %s max %d %d..%d %v", q.Topic, q.Key, q.Max, q.Begin, q.End, q.Unique)
}

func (f *fake) Heartbeat(_ context.Context, s *mq.Session, h *mq.Heartbeat) (mq.HeartbeatReply, error) {
	f.mu.Lock()
	f.sess = append(f.sess, s)
	f.mu.Unlock()
	return f.beat, f.note("beat %s %s v%d %+v", s.ClientID, s.Language, s.Version, *h)
}

func (f *fake) Leave(_ context.Context, s *mq.Session, producer, consumer string) {
	_ = f.note("leave %s %q %q", s.ClientID, producer, consumer)
}

func (f *fake) Detach(s *mq.Session) { _ = f.note("detach %s", s.ClientID) }

func (f *fake) Members(_ context.Context, group string) ([]string, error) {
	return []string{"c1", "c2"}, f.note("members %s", group)
}

func (f *fake) Lock(_ context.Context, r *mq.LockRequest) ([]mq.Queue, error) {
	return r.Queues[:len(r.Queues)/2], f.note("lock %s %s %v", r.Group, r.ClientID, r.Queues)
}

func (f *fake) Unlock(_ context.Context, r *mq.LockRequest) error {
	return f.note("unlock %s %s %v", r.Group, r.ClientID, r.Queues)
}

func (f *fake) Assign(_ context.Context, r *mq.AssignmentRequest) ([]mq.Assignment, error) {
	return []mq.Assignment{{Queue: mq.Queue{Topic: r.Topic, Broker: "b", ID: 3}, Mode: "PULL"}}, f.note("assign %+v", *r)
}

func (f *fake) CheckFilter(_ context.Context, group string, s *mq.Subscription) error {
	return f.note("check %s %s %s", group, s.Expression, s.ExpressionType)
}

func (f *fake) Recall(_ context.Context, r *mq.RecallRequest, done func(string, *mq.Error)) {
	err, _ := f.note("recall %s %s %s", r.Group, r.Topic, r.Handle).(*mq.Error) //nolint:errorlint // the fake's own
	done("ID", err)
}

func (f *fake) GiveBack(_ context.Context, r *mq.GiveBackRequest, done func(*mq.Error)) {
	err, _ := f.note("back %+v", *r).(*mq.Error) //nolint:errorlint // the fake's own
	done(err)
}

func (f *fake) PutTopic(_ context.Context, t mq.TopicConfig) error {
	return f.note("put topic %+v", t)
}

func (f *fake) DeleteTopic(_ context.Context, name string) error {
	return f.note("delete topic %s", name)
}

func (f *fake) Topic(_ context.Context, name string) (mq.TopicConfig, error) {
	return mq.TopicConfig{Name: name, ReadQueues: 4, WriteQueues: 4, Perm: 6}, f.note("topic %s", name)
}

func (f *fake) Topics(context.Context) ([]mq.TopicConfig, mq.DataVersion, error) {
	return []mq.TopicConfig{{Name: "A"}, {Name: "B"}}, mq.DataVersion{Counter: 3}, f.note("topics")
}

func (f *fake) PutGroup(_ context.Context, g mq.GroupConfig) error {
	return f.note("put group %s policy %s", g.Name, g.RetryPolicy)
}

func (f *fake) DeleteGroup(_ context.Context, name string, clean bool) error {
	return f.note("delete group %s %v", name, clean)
}

func (f *fake) Group(_ context.Context, name string) (mq.GroupConfig, error) {
	return mq.DefaultGroupConfig(name), f.note("group %s", name)
}

func (f *fake) Groups(context.Context) ([]mq.GroupConfig, mq.DataVersion, error) {
	return []mq.GroupConfig{mq.DefaultGroupConfig("G")}, mq.DataVersion{Counter: 4}, f.note("groups")
}

func (f *fake) Stats(context.Context, string, string) (mq.Stats, error) { return mq.Stats{}, nil }

func (f *fake) RuntimeInfo(context.Context) (map[string]string, error) {
	return map[string]string{"k": "v"}, f.note("runtime")
}

// rig is a door on a server.
type rig struct {
	api    *API
	server *remoting.Server
	addr   string
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
}

// overMemory starts the door on a network in memory, overTCP on a socket, where connections reuse their read buffers.
func overMemory(tb testing.TB, svc mq.Service, adm mq.Admin) *rig {
	tb.Helper()
	n := memnet.New()
	l, err := n.Listen(":0")
	if err != nil {
		tb.Fatal(err)
	}
	return serve(tb, svc, adm, l, n.Dial)
}

func overTCP(tb testing.TB, svc mq.Service, adm mq.Admin) *rig {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return serve(tb, svc, adm, l, new(net.Dialer).DialContext)
}

func serve(tb testing.TB, svc mq.Service, adm mq.Admin, l net.Listener, dial func(context.Context, string, string) (net.Conn, error)) *rig {
	tb.Helper()
	r := &rig{api: New(context.Background(), svc, adm, Options{StoreHost: storeHost}), addr: l.Addr().String(), dial: dial}
	end, closed := r.api.Hooks()
	r.server = remoting.NewServer(remoting.ServerOptions{OnBurstEnd: end, OnClose: closed, MaxOutput: 256 << 10, DrainTimeout: 50 * time.Millisecond})
	r.api.Attach(r.server)
	done := make(chan error, 1)
	go func() { done <- r.server.Serve(context.Background(), l) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := r.server.Shutdown(ctx); err != nil {
			tb.Error(err)
		}
		<-done
	})
	return r
}

// wire is a raw client.
type wire struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (r *rig) wire(tb testing.TB) *wire {
	tb.Helper()
	c, err := r.dial(context.Background(), "tcp", r.addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	return &wire{t: tb, Conn: c, r: bufio.NewReaderSize(c, 64<<10)}
}

// write sends frames with one write.
func (w *wire) write(frames ...[]byte) {
	w.t.Helper()
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	if _, err := w.Write(all); err != nil {
		w.t.Fatalf("send: %v", err)
	}
}

type reply struct {
	opaque, code, flag int32
	remark             string
	ext                map[string]string
	body               string
	serial             remoting.Serial
}

func (w *wire) recv() (reply, error) {
	var l [4]byte
	if _, err := io.ReadFull(w.r, l[:]); err != nil {
		return reply{}, err
	}
	b := make([]byte, binary.BigEndian.Uint32(l[:]))
	if _, err := io.ReadFull(w.r, b); err != nil {
		return reply{}, err
	}
	s, n := protocol.SplitWord(binary.BigEndian.Uint32(b))
	var h protocol.Header
	if err := h.Decode(s, b[4:4+n]); err != nil {
		return reply{}, err
	}
	r := reply{
		opaque: h.Opaque, code: h.Code, flag: h.Flag, remark: string(h.Remark), body: string(b[4+n:]),
		ext: map[string]string{}, serial: s,
	}
	for _, f := range h.Fields {
		r.ext[string(f.Key)] = string(f.Val)
	}
	return r, nil
}

func (w *wire) want(opaque, code int32) reply {
	w.t.Helper()
	r, err := w.recv()
	if err != nil {
		w.t.Fatalf("waiting for the answer to %d: %v", opaque, err)
	}
	if r.opaque != opaque || r.code != code || r.flag&protocol.FlagResponse == 0 {
		w.t.Fatalf("got opaque %d code %d flag %d remark %q, want opaque %d code %d", r.opaque, r.code, r.flag, r.remark, opaque, code)
	}
	return r
}

type ext map[string]string

func (e ext) AppendTo(w *protocol.FieldWriter) {
	for k, v := range e {
		w.Str(k, v)
	}
}

// frame builds a request.
func frame(s remoting.Serial, code, opaque, flag int32, h remoting.HeaderAppender, body string) []byte {
	var w protocol.FieldWriter
	w.Begin(nil, s, &protocol.Head{Code: code, Language: protocol.LanguageGo, Version: 317, Opaque: opaque, Flag: flag})
	if h != nil {
		h.AppendTo(&w)
	}
	return append(w.End(len(body)), body...)
}

func req(code, opaque int32, h remoting.HeaderAppender, body string) []byte {
	return frame(remoting.JSON, code, opaque, 0, h, body)
}

// v1 and v2 are send headers.
func v1(topic string) ext {
	return ext{
		"producerGroup": "P", "topic": topic, "defaultTopic": "TBW102", "defaultTopicQueueNums": "4", "queueId": "1", "sysFlag": "0",
		"bornTimestamp": "1700000000000", "flag": "0", "properties": "k\x01v\x02", "reconsumeTimes": "0",
	}
}

func v2(topic string) ext {
	return ext{
		"a": "P", "b": topic, "c": "TBW102", "d": "4", "e": "1", "f": "0", "g": "1700000000000", "h": "0", "i": "k\x01v\x02",
		"j": "0", "k": "false", "m": "false",
	}
}

func pullHead(from string, flags string) ext {
	return ext{
		"consumerGroup": "G", "topic": "T", "queueId": "2", "queueOffset": from, "maxMsgNums": "32", "sysFlag": flags,
		"commitOffset": "77", "suspendTimeoutMillis": "15000", "subscription": "a || b", "subVersion": "9", "expressionType": "TAG",
	}
}

func wantCalls(t *testing.T, f *fake, want string) {
	t.Helper()
	if got := f.take(); got != want {
		t.Errorf("calls\n%s\nwant\n%s", got, want)
	}
}

func (f *fake) OffsetTable(context.Context) ([]byte, error) {
	return []byte(`{"offsetTable":{}}`), f.err
}

func (f *fake) DelayTable(context.Context) ([]byte, error) { return nil, f.err }

func (f *fake) TimerCheckpoint(context.Context) ([]byte, error) {
	return nil, f.note("timer checkpoint")
}

func (f *fake) TimerMetrics(context.Context) ([]byte, error) { return nil, f.note("timer metrics") }

func (f *fake) FollowTables(q []byte, done func([]byte)) error {
	if err := f.note("follow tables %d", len(q)); err != nil {
		return err
	}
	done([]byte("told"))
	return nil
}
