package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/api/httpapi"
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/cluster"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/node"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if code == 0 {
			code = called.verdict()
		}
		os.Exit(code)
	}))
}

func itoa(n int) string { return strconv.Itoa(n) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// world is a cluster in memory with a dashboard.
type world struct {
	t       *testing.T
	net     *memnet.Network
	cluster *cluster.Cluster
	api     *httpapi.API
	csrf    string
	headers map[string]string // of all requests
	doc     *document
}

const (
	nsAddr     = "127.0.0.1:9876"
	brokerAddr = "127.0.0.1:10911"
	inCluster  = "/clusters/DefaultCluster"
)

// newWorld starts a name server and a broker in memory, with an open dashboard unless change says otherwise.
func newWorld(t *testing.T, change func(o *httpapi.Options)) *world {
	t.Helper()
	return newWorldWith(t, change, nil, auth.Credentials{})
}

// newWorldWith is newWorld with more of the broker's configuration, and with who signs the dashboard's requests.
func newWorldWith(t *testing.T, change func(o *httpapi.Options), conf map[string]string, who auth.Credentials) *world {
	t.Helper()
	w := &world{t: t, net: memnet.New(), doc: theContract(t), headers: map[string]string{}}
	host := config.Host{Home: "/home", Name: "machine", IP: "127.0.0.1"}
	flags := map[string]string{
		"bindAddress": "127.0.0.1", "brokerIP1": "127.0.0.1", "brokerName": "broker-a", "listenPort": "10911", "namesrvAddr": nsAddr,
		"storePathRootDir": "/store", "mappedFileSizeCommitLog": "8388608", "mappedFileSizeConsumeQueue": "60000", "metricsExporterType": "DISABLE", "traceTopicEnable": "true",
		"maxHashSlotNum": "1000", "maxIndexNum": "4000", "autoCreateTopicEnable": "false", "blockCacheBytes": "2097152",
	}
	maps.Copy(flags, conf)
	b, _, err := config.LoadBroker(config.Sources{Host: &host, Flags: flags})
	must(t, err)
	ns, _, err := config.LoadNamesrv(config.Sources{Flags: map[string]string{"bindAddress": "127.0.0.1"}, Host: &host})
	must(t, err)
	n, err := node.Start(t.Context(), node.Options{
		Namesrv: ns, Broker: b, FS: vfs.NewMem(vfs.MemOptions{}), Dial: w.net.Dial, Log: slog.New(slog.DiscardHandler),
		Listen: func(_ context.Context, _, addr string) (net.Listener, error) { return w.net.Listen(addr) },
	})
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := n.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	w.cluster = cluster.New(cluster.Options{NameServers: []string{nsAddr}, Dial: w.net.Dial, Timeout: 30 * time.Second, Credentials: who})
	t.Cleanup(w.cluster.Close)
	w.eventually("the broker is registered", func() bool { // Start waits two seconds for it, and no longer
		info, err := w.cluster.NameServer("").ClusterInfo(t.Context())
		return err == nil && len(info.Brokers) == 1
	})
	w.open(change)
	return w
}

// open makes the dashboard.
func (w *world) open(change func(o *httpapi.Options)) {
	w.t.Helper()
	o := httpapi.Options{Cluster: w.cluster, Auth: httpapi.AuthNone, PasswordMemory: 256}
	if change != nil {
		change(&o)
	}
	var err error
	w.api, err = httpapi.New(o)
	must(w.t, err)
	api := w.api
	w.t.Cleanup(func() {
		if err := api.Close(); err != nil {
			w.t.Error(err)
		}
	})
	if o.Auth == httpapi.AuthNone {
		var s struct{ CSRFToken string }
		w.get("/session", &s)
		w.csrf = s.CSRFToken
	}
}

// answer is one answer of the API.
type answer struct {
	*httptest.ResponseRecorder
	w *world
	r *http.Request
}

// send makes a request and holds the answer against the contract.
func (w *world) send(method, path string, body any, headers ...string) *answer {
	w.t.Helper()
	var in io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		must(w.t, err)
		in = bytes.NewReader(data)
	}
	r := httptest.NewRequestWithContext(w.t.Context(), method, "/api/v1"+path, in)
	r.Host = "127.0.0.1:8082"
	if w.csrf != "" {
		r.Header.Set("X-CSRF-Token", w.csrf)
	}
	for k, v := range w.headers {
		r.Header.Set(k, v)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	w.doc.check(w.t, r, rec)
	return &answer{rec, w, r}
}

// want reads the answer, which must have this status.
func (a *answer) want(status int, into any) *answer {
	a.w.t.Helper()
	if a.Code != status {
		a.w.t.Fatalf("%s %s: %d, want %d: %s", a.r.Method, a.r.URL, a.Code, status, a.Body)
	}
	if into != nil {
		if err := json.Unmarshal(a.Body.Bytes(), into); err != nil {
			a.w.t.Fatalf("%s %s: %v: %s", a.r.Method, a.r.URL, err, a.Body)
		}
	}
	return a
}

// problem is an answer that refuses.
type problem struct {
	Code, Detail string
	Fields       []struct{ Name, Code string }
}

// refused wants a status and a code.
func (a *answer) refused(status int, code string) problem {
	a.w.t.Helper()
	var p problem
	a.want(status, &p)
	if p.Code != code {
		a.w.t.Errorf("%s %s: code %s, want %s: %s", a.r.Method, a.r.URL, p.Code, code, p.Detail)
	}
	return p
}

func (w *world) get(path string, into any) *answer {
	w.t.Helper()
	return w.send(http.MethodGet, path, nil).want(http.StatusOK, into)
}

// topic makes a topic with queues.
func (w *world) topic(name string, queues int) {
	w.t.Helper()
	w.send(http.MethodPost, inCluster+"/topics", map[string]any{"name": name, "readQueues": queues, "writeQueues": queues}).want(http.StatusCreated, nil)
}

// put stores a message without the API.
func (w *world) put(topic string, queue int, body string, props map[string]string) mq.Stored {
	w.t.Helper()
	var p []byte
	for k, v := range props {
		p = record.AppendProp(p, k, v)
	}
	s, err := w.cluster.Broker(brokerAddr).Put(w.t.Context(), &mq.SendRequest{Topic: topic, Group: "test", QueueID: int32(queue), Props: p, Body: []byte(body)})
	must(w.t, err)
	return s
}

// eventually waits for what a broker does behind its answer.
func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// page is an answer with messages.
type page struct {
	Items []struct {
		ID, OffsetID, Tags, Broker string
		Queue                      int
		Offset                     string
		StoreTime                  int64
		Properties                 map[string]string
		Body                       *struct {
			Encoding, Text    string
			Size              int
			Truncated, Masked bool
		}
		BodyHidden bool
	}
	NextCursor string
	Done       bool
	Scanned    string
	Partial    bool
	Errors     []struct{ Node, Code string }
}

func (p *page) bodies() []string {
	out := []string{}
	for i := range p.Items {
		out = append(out, p.Items[i].Body.Text)
	}
	return out
}

func TestReadingAClusterFollowsTheContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 2)
	w.send(http.MethodPost, inCluster+"/groups", map[string]any{"name": "G"}).want(http.StatusCreated, nil)
	for i := range 5 {
		w.put("T", i%2, fmt.Sprint("body ", i), map[string]string{"KEYS": "k", "TAGS": "A"})
	}
	must(t, w.cluster.Broker(brokerAddr).CommitIndex(t.Context(), "G", "T", 0, 1))
	w.eventually("the messages are in their queues", func() bool {
		var s struct{ Messages string }
		w.get(inCluster+"/topics/T/stats", &s)
		return s.Messages == "5"
	})
	for _, path := range []string{
		"/session", "/setup", "/clusters", inCluster, inCluster + "/brokers", inCluster + "/brokers/broker-a/0", inCluster + "/topics",
		inCluster + "/topics?type=all&sort=-readQueues&limit=3", inCluster + "/topics/T", inCluster + "/topics/T/route", inCluster + "/topics/T/groups",
		inCluster + "/topics/T/messages", inCluster + "/topics/T/producers", inCluster + "/groups", inCluster + "/groups?type=all&sort=-lag",
		inCluster + "/groups/G", inCluster + "/groups/G/lag", inCluster + "/groups/G/clients", inCluster + "/producers", inCluster + "/clients",
		"/audit", "/users", "/tokens", "/jobs", "/openapi.json", "/healthz", "/readyz",
	} {
		w.get(path, nil)
	}
	var g struct {
		Items []struct{ Topic, Lag, Committed string }
		Lag   string
	}
	w.get(inCluster+"/groups/G/lag", &g)
	if len(g.Items) != 2 && len(g.Items) != 1 || g.Items[0].Committed != "1" || g.Items[0].Lag != "2" {
		t.Errorf("%+v", g)
	}
	w.send(http.MethodGet, "/clusters/Nope", nil).refused(http.StatusNotFound, "clusterNotFound")
	w.send(http.MethodGet, inCluster+"/topics/Nope", nil).refused(http.StatusNotFound, "topicNotFound")
	w.send(http.MethodGet, inCluster+"/groups/Nope", nil).refused(http.StatusNotFound, "groupNotFound")
	w.send(http.MethodGet, inCluster+"/brokers/broker-b/0", nil).refused(http.StatusNotFound, "brokerNotFound")
	w.send(http.MethodGet, inCluster+"/topics?sort=nothing", nil).refused(http.StatusBadRequest, "invalidParameter")
	w.send(http.MethodGet, inCluster+"/topics?limit=5000", nil).refused(http.StatusBadRequest, "invalidParameter")
	w.send(http.MethodGet, inCluster+"/topics?cursor=AAAA", nil).refused(http.StatusBadRequest, "badCursor")
	w.send(http.MethodGet, "/nothing", nil).refused(http.StatusNotFound, "noSuchRoute")
}

func TestListsAreCutIntoPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for i := range 7 {
		w.topic(fmt.Sprint("T", i), 1)
	}
	var names []string
	path := inCluster + "/topics?q=t&limit=3&sort=-name"
	cursor := ""
	for range 3 {
		var l struct {
			Items      []struct{ Name string }
			NextCursor string
			Total      int
		}
		w.get(path+"&cursor="+cursor, &l)
		if l.Total != 7 {
			t.Errorf("total %d", l.Total)
		}
		for _, x := range l.Items {
			names = append(names, x.Name)
		}
		cursor = l.NextCursor
	}
	if got := strings.Join(names, " "); got != "T6 T5 T4 T3 T2 T1 T0" || cursor != "" {
		t.Errorf("%s, then %q", got, cursor)
	}
	var l struct{ NextCursor string }
	w.get(path, &l)
	w.send(http.MethodGet, inCluster+"/groups?limit=3&cursor="+l.NextCursor, nil).refused(http.StatusBadRequest, "badCursor")
	forged := []byte(l.NextCursor)
	if forged[20] = 'x'; l.NextCursor[20] == 'x' {
		forged[20] = 'y'
	}
	w.send(http.MethodGet, path+"&cursor="+string(forged), nil).refused(http.StatusGone, "cursorExpired")
}

func TestTopicIsChangedOnlyAsItWasRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	plan := w.send(http.MethodPost, inCluster+"/topics?dryRun=true", map[string]any{"name": "T", "messageType": "FIFO"})
	var r struct {
		DryRun bool
		Steps  []struct {
			Node, Action, Before, After string
			Done                        bool
		}
	}
	plan.want(http.StatusOK, &r)
	if !r.DryRun || len(r.Steps) != 1 || r.Steps[0].Done || r.Steps[0].Node != "broker-a:0" || !strings.Contains(r.Steps[0].After, "FIFO") {
		t.Errorf("%+v", r)
	}
	w.send(http.MethodGet, inCluster+"/topics/T", nil).refused(http.StatusNotFound, "topicNotFound")
	w.topic("T", 2)
	w.send(http.MethodPost, inCluster+"/topics", map[string]any{"name": "T"}).refused(http.StatusConflict, "topicExists")
	p := w.send(http.MethodPost, inCluster+"/topics", map[string]any{"name": "a b"}).refused(http.StatusBadRequest, "invalidParameter")
	if len(p.Fields) != 1 || p.Fields[0].Name != "name" || p.Fields[0].Code != "badName" {
		t.Errorf("%+v", p)
	}
	w.send(http.MethodPost, inCluster+"/topics", map[string]any{"name": "X", "queues": 3}).refused(http.StatusBadRequest, "badJSON")
	w.send(http.MethodPost, inCluster+"/topics", map[string]any{"name": "X", "readQueues": 0}).refused(http.StatusBadRequest, "invalidParameter")

	tag := w.get(inCluster+"/topics/T", nil).Header().Get("ETag")
	w.send(http.MethodPut, inCluster+"/topics/T", map[string]any{"readQueues": 4}, "If-Match", tag).want(http.StatusOK, nil)
	w.send(http.MethodPut, inCluster+"/topics/T", map[string]any{"readQueues": 5}, "If-Match", tag).refused(http.StatusPreconditionFailed, "changedMeanwhile")
	var d struct {
		Type    string
		Configs []struct {
			ReadQueues, WriteQueues int
			MessageType             string
		}
	}
	w.get(inCluster+"/topics/T", &d)
	if len(d.Configs) != 1 || d.Configs[0].ReadQueues != 4 || d.Configs[0].WriteQueues != 2 || d.Configs[0].MessageType != "NORMAL" {
		t.Errorf("%+v", d)
	}
	w.send(http.MethodDelete, inCluster+"/topics/T?dryRun=true", nil).want(http.StatusOK, nil)
	w.get(inCluster+"/topics/T", nil)
	w.send(http.MethodDelete, inCluster+"/topics/T", nil).want(http.StatusOK, &r)
	if len(r.Steps) != 2 || !r.Steps[0].Done || !r.Steps[1].Done {
		t.Errorf("%+v", r)
	}
	w.send(http.MethodGet, inCluster+"/topics/T", nil).refused(http.StatusNotFound, "topicNotFound")

	var log struct {
		Items []struct{ Action, Target, Result, User, Before string }
	}
	w.get("/audit?action=deleteTopic", &log)
	if len(log.Items) != 1 || log.Items[0].Target != "T" || log.Items[0].Result != "ok" || log.Items[0].User != "local" || !strings.Contains(log.Items[0].Before, "readQueues=4") {
		t.Errorf("%+v", log)
	}
}
