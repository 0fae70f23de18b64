package abuse

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/node"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/internal/vfs"
)

var long = flag.Bool("long", false, "the long form, some minutes")

// counts are printed at the end.
var counts struct {
	sync.Mutex

	by map[string]int64
}

func count(what string, n int64) {
	counts.Lock()
	defer counts.Unlock()
	if counts.by == nil {
		counts.by = map[string]int64{}
	}
	counts.by[what] += n
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(counts.by)) {
		fmt.Fprintf(&b, "abuse: %-52s %9d\n", k, counts.by[k])
	}
	_, _ = os.Stdout.WriteString(b.String())
	os.Exit(code)
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// diary is the log of the servers.
type diary struct {
	mu sync.Mutex
	b  strings.Builder
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.b.Len() < 64<<20 {
		d.b.Write(p)
	}
	return len(p), nil
}

// panics are the lines that tell of one.
func (d *diary) panics() (lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.Lines(d.b.String()) {
		if strings.Contains(line, "panic in") || strings.Contains(line, "panicked") {
			lines = append(lines, line)
		}
	}
	return lines
}

// world is the three servers in this process, on loopback.
type world struct {
	t      testing.TB
	node   *node.Node
	diary  diary
	haPort string

	goroutines, files int
	heap              uint64
}

// root is the administrator of a world with access control.
var root = auth.Credentials{AccessKey: "root", SecretKey: "root-secret"}

// start starts them and ends them with the test, which then finds nothing left behind. set are keys of the broker.
func start(t *testing.T, set map[string]string) *world {
	t.Helper()
	w := &world{t: t}
	w.goroutines, w.files, w.heap = runtime.NumGoroutine(), files(t), heap()
	h := config.Host{Home: "/home", Name: "machine", IP: "127.0.0.1"}
	ns, _, err := config.LoadNamesrv(config.Sources{Host: &h, Flags: map[string]string{
		"bindAddress": "127.0.0.1", "listenPort": "0", "enableControllerInNamesrv": "true", "controllerDLegerGroup": "group1",
		"controllerDLegerPeers": "n0-127.0.0.1:" + strconv.Itoa(target.FreePorts(t, 1)), "controllerDLegerSelfId": "n0",
	}})
	must(t, err)
	w.haPort = strconv.Itoa(target.FreePorts(t, 1))
	flags := map[string]string{
		"bindAddress": "127.0.0.1", "brokerIP1": "127.0.0.1", "brokerIP2": "127.0.0.1", "brokerName": "broker-a", "listenPort": "0", "haListenPort": w.haPort,
		"storePathRootDir": "/store", "mappedFileSizeCommitLog": "1048576", "mappedFileSizeConsumeQueue": "6000", "maxHashSlotNum": "100", "maxIndexNum": "400",
		"blockCacheBytes": "2097152", "autoCreateTopicEnable": "false", "autoCreateSubscriptionGroup": "false", "enableCreateSysGroup": "false", "metricsExporterType": "DISABLE",
	}
	maps.Copy(flags, set)
	b, _, err := config.LoadBroker(config.Sources{Host: &h, Flags: flags})
	must(t, err)
	w.node, err = node.Start(t.Context(), node.Options{
		Namesrv: ns, Broker: b, ControllerMemory: new(raftlog.Memory), FS: vfs.NewMem(vfs.MemOptions{}), ShutdownWait: 20 * time.Second,
		Log: slog.New(slog.NewTextHandler(&w.diary, nil)),
	})
	must(t, err)
	t.Cleanup(w.end)
	ctl := w.dial(w.node.ControllerAddr())
	for end := time.Now().Add(patience); ctl.want(0, protocol.ReqControllerGetMetadataInfo, nil, nil).fields["isLeader"] != "true"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no leader of the controllers")
		}
	}
	ctl.close()
	c := w.dial(w.node.BrokerAddr())
	defer c.close()
	for _, name := range []string{"T", "U"} {
		c.want(0, protocol.ReqUpdateAndCreateTopic, fields("topic", name, "defaultTopic", "TBW102", "readQueueNums", "2", "writeQueueNums", "2", "perm", "6", "topicFilterType", "SINGLE_TAG"), nil)
	}
	c.want(0, protocol.ReqUpdateAndCreateSubscriptionGroup, nil, []byte(`{"groupName":"G","consumeEnable":true}`))
	for range 5 {
		c.want(0, protocol.ReqSendMessageV2, sendFields("T"), []byte("hello"))
	}
	return w
}

func sendFields(topic string) protocol.Fields {
	return fields("a", "PG", "b", topic, "c", "TBW102", "d", "4", "e", "0", "f", "0", "g", "1", "h", "0", "i", "", "j", "0")
}

// end ends the servers and looks at what is left.
func (w *world) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.node.Shutdown(ctx); err != nil {
		w.t.Errorf("shutdown: %v", err)
	}
	for _, p := range w.diary.panics() {
		w.t.Errorf("%s", p)
	}
	w.flat("after the end", w.goroutines, w.files)
}

// few is how many goroutines a server may begin when it is used for the first time.
const few = 8

// flat waits until there are no more goroutines and descriptors than there were.
func (w *world) flat(when string, goroutines, open int) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		g, f := runtime.NumGoroutine(), files(w.t)
		if g <= goroutines+few && f <= open+few {
			return
		}
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			w.t.Errorf("%s: %d goroutines, there were %d; %d descriptors, there were %d\n%s", when, g, goroutines, f, open, buf[:runtime.Stack(buf, true)])
			return
		}
	}
}

// light fails when there is much more in memory than at the start.
func (w *world) light(most uint64) {
	w.t.Helper()
	now := heap()
	if now > w.heap+most {
		w.t.Errorf("%d MiB of heap, there were %d", now>>20, w.heap>>20)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// files counts descriptors; 0 where that cannot be told.
func files(tb testing.TB) int {
	tb.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

func fields(kv ...string) protocol.Fields {
	var f protocol.Fields
	for i := 0; i+1 < len(kv); i += 2 {
		f = append(f, protocol.Field{Key: []byte(kv[i]), Val: []byte(kv[i+1])})
	}
	return f
}

// conn is one connection, whose requests are answered one after the other.
type conn struct {
	w      *world
	nc     net.Conn
	r      *bufio.Reader
	opaque int32
	serial protocol.Serial
	sign   func(f protocol.Fields, body []byte) protocol.Fields
}

var dialed atomic.Int64

func (w *world) dial(addr string) *conn {
	w.t.Helper()
	nc, err := net.DialTimeout("tcp", addr, 10*time.Second)
	must(w.t, err)
	dialed.Add(1)
	return &conn{w: w, nc: nc, r: bufio.NewReader(nc), sign: root.Sign}
}

func (c *conn) close() { _ = c.nc.Close() }

// answer is what came back.
type answer struct {
	code, opaque, flag int32
	remark             string
	fields             map[string]string
	body               []byte
}

// frame builds a request.
func frame(s protocol.Serial, code, opaque int32, f protocol.Fields, body []byte) []byte {
	var w protocol.FieldWriter
	w.Begin(nil, s, &protocol.Head{Code: code, Version: protocol.VersionServed, Opaque: opaque})
	f.AppendTo(&w)
	return append(w.End(len(body)), body...)
}

// errEnd says that the server has ended the connection.
var errEnd = errors.New("the connection has ended")

// patience is how long an answer is waited for.
const patience = 60 * time.Second

// ask sends a request and returns its answer, or errEnd. Anything else, such as no answer at all, fails the test.
func (c *conn) ask(code int32, f protocol.Fields, body []byte) (*answer, error) {
	c.w.t.Helper()
	c.opaque++
	if c.sign != nil {
		f = slices.Concat(f, c.sign(f, body))
	}
	return c.put(frame(c.serial, code, c.opaque, f, body), c.opaque)
}

// put sends bytes and waits for the answer to opaque.
func (c *conn) put(b []byte, opaque int32) (*answer, error) {
	c.w.t.Helper()
	_ = c.nc.SetDeadline(time.Now().Add(patience))
	if _, err := c.nc.Write(b); err != nil {
		return nil, c.ended(err)
	}
	for {
		a, err := c.read()
		if err != nil {
			return nil, c.ended(err)
		}
		if a.flag&protocol.FlagResponse != 0 && a.opaque == opaque {
			return a, nil
		}
	}
}

func (c *conn) ended(err error) error {
	c.w.t.Helper()
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		c.w.t.Fatal("no answer and no end of the connection")
	}
	return fmt.Errorf("%w: %w", errEnd, err)
}

func (c *conn) read() (*answer, error) {
	var l [4]byte
	if _, err := io.ReadFull(c.r, l[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(l[:])
	if n < 4 || n > protocol.MaxFrame {
		c.w.t.Fatalf("an answer of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, err
	}
	s, hn := protocol.SplitWord(binary.BigEndian.Uint32(b))
	var h protocol.Header
	if err := h.Decode(s, b[4:4+hn]); err != nil {
		c.w.t.Fatalf("the answer cannot be read: %v", err)
	}
	a := &answer{code: h.Code, opaque: h.Opaque, flag: h.Flag, remark: string(h.Remark), body: b[4+hn:], fields: map[string]string{}}
	for _, f := range h.Fields {
		a.fields[string(f.Key)] = string(f.Val)
	}
	return a, nil
}

// want asks and fails the test when the answer has another code.
func (c *conn) want(want, code int32, f protocol.Fields, body []byte) *answer {
	c.w.t.Helper()
	a, err := c.ask(code, f, body)
	if err != nil {
		c.w.t.Fatalf("%s: %v", protocol.RequestName(code), err)
	}
	if a.code != want {
		c.w.t.Fatalf("%s: %d %s, want %d", protocol.RequestName(code), a.code, a.remark, want)
	}
	return a
}

var version = regexp.MustCompile(`"dataVersion":\{[^}]*\}`)

// question is a request of which only the answer is of interest.
type question struct {
	code int32
	f    protocol.Fields
}

// state is what a server has been told to keep. Requests that were refused do not change it. All is asked in one write.
func (c *conn) state(role string) string {
	c.w.t.Helper()
	_ = c.nc.SetDeadline(time.Now().Add(patience))
	var b []byte
	list := states[role]
	for _, q := range list {
		c.opaque++
		b = append(b, frame(c.serial, q.code, c.opaque, slices.Concat(q.f, c.sign(q.f, nil)), nil)...)
	}
	_, err := c.nc.Write(b)
	must(c.w.t, err)
	first := c.opaque - int32(len(list)) + 1
	said := make([]string, len(list))
	for range list {
		a, err := c.read()
		must(c.w.t, err)
		if a.code != 0 || a.opaque < first {
			c.w.t.Fatalf("%+v", a)
		}
		for _, k := range slices.Sorted(maps.Keys(a.fields)) {
			said[a.opaque-first] += k + "=" + a.fields[k] + " "
		}
		body := a.body
		if list[a.opaque-first].code == protocol.ReqGetAllConsumerOffset {
			body = version.ReplaceAll(body, nil) // it moves when positions are written down
		}
		said[a.opaque-first] += string(body)
	}
	return strings.Join(said, "\n")
}

// settle waits until nothing changes any more, and returns the state then.
func (c *conn) settle(role string) string {
	c.w.t.Helper()
	last, equal := c.state(role), 0
	for began := time.Now(); equal < 10; {
		if time.Since(began) > patience {
			c.w.t.Fatal("the state never comes to rest")
		}
		time.Sleep(20 * time.Millisecond)
		if now := c.state(role); now == last {
			equal++
		} else {
			last, equal = now, 0
		}
	}
	return last
}

func asked(codes ...int32) (list []question) {
	for _, c := range codes {
		list = append(list, question{c, nil})
	}
	return list
}

var states = map[string][]question{
	"broker": append(asked(
		protocol.ReqGetAllTopicConfig, protocol.ReqGetAllSubscriptionGroupConfig, protocol.ReqGetAllConsumerOffset, protocol.ReqGetBrokerConfig,
	), question{protocol.ReqGetMaxOffset, fields("topic", "T", "queueId", "0")}, question{protocol.ReqGetMaxOffset, fields("topic", "T", "queueId", "1")},
		question{protocol.ReqGetMaxOffset, fields("topic", "U", "queueId", "0")}, question{protocol.ReqGetMaxOffset, fields("topic", "U", "queueId", "1")}),
	"namesrv":    asked(protocol.ReqGetBrokerClusterInfo, protocol.ReqGetAllTopicListFromNameServer, protocol.ReqGetNamesrvConfig),
	"controller": asked(protocol.ReqGetControllerConfig, protocol.ReqControllerGetMetadataInfo),
}

// difference shows where two states begin to differ.
func difference(was, now string) string {
	i := 0
	for i < min(len(was), len(now)) && was[i] == now[i] {
		i++
	}
	from := max(i-100, 0)
	return was[from:min(i+100, len(was))] + "\n-> " + now[from:min(i+100, len(now))]
}

func (w *world) addr(role string) string {
	switch role {
	case "namesrv":
		return w.node.NamesrvAddr()
	case "controller":
		return w.node.ControllerAddr()
	}
	return w.node.BrokerAddr()
}
