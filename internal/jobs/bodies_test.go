package jobs_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/jobs"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// store is a cluster of one broker in memory: queues of records.
type store struct {
	mq.RemoteBroker
	mu     sync.Mutex
	queues map[string][][]record.Message // by topic
	status map[string]mq.SendStatus      // of sends to a topic
	sent   []mq.SendRequest
	reset  []string
	online map[string]bool
	gone   []string // deleted topics, at whom
}

type names struct {
	mq.NameServerAdmin
	s    *store
	addr string
}

var here = netip.MustParseAddrPort("10.0.0.1:10911")

func (s *store) NameServers() []string                     { return []string{"ns:1", "ns:2"} }
func (s *store) NameServer(addr string) mq.NameServerAdmin { return names{s: s, addr: addr} }
func (s *store) Broker(string) mq.RemoteBroker             { return s }
func (s *store) Controller(string) mq.ControllerAdmin      { return nil }
func (s *store) Close()                                    {}

func (n names) Route(_ context.Context, topic string) (mq.Route, error) {
	q, ok := n.s.queues[topic]
	if !ok {
		return mq.Route{}, mq.Errorf(mq.KindTopicNotExist, "no route of %s", topic)
	}
	return mq.Route{
		Brokers: []mq.BrokerSet{{Cluster: "c", Name: "b", Addrs: map[int64]string{0: here.String()}}},
		Queues:  []mq.RouteQueues{{Broker: "b", Read: int32(len(q)), Write: int32(len(q)), Perm: mq.PermRead | mq.PermWrite}},
	}, nil
}

func (n names) ClusterInfo(context.Context) (mq.ClusterInfo, error) {
	return mq.ClusterInfo{Brokers: map[string]mq.BrokerSet{"b": {Name: "b", Addrs: map[int64]string{0: here.String()}}}}, nil
}

func (n names) DropTopic(_ context.Context, topic, _ string) error {
	n.s.gone = append(n.s.gone, topic+" at "+n.addr)
	return nil
}

func (s *store) DeleteTopic(_ context.Context, topic string) error {
	s.gone = append(s.gone, topic+" at the broker")
	return nil
}

func (s *store) MinIndex(context.Context, string, int32) (mq.Index, error) { return 0, nil }

func (s *store) MaxIndex(_ context.Context, topic string, q int32) (mq.Index, error) {
	return mq.Index(len(s.queues[topic][q])), nil
}

func (s *store) TopicStats(_ context.Context, topic string) (out mq.TopicStats, err error) {
	for _, q := range s.queues[topic] {
		out.Queues = append(out.Queues, mq.QueueStats{Max: mq.Index(len(q))})
	}
	return out, nil
}

func (s *store) IndexAtTime(_ context.Context, topic string, q int32, ms int64, b mq.Boundary) (mq.Index, error) {
	at := mq.Index(0)
	for i, m := range s.queues[topic][q] {
		if m.StoreTime < ms || b == mq.BoundaryUpper && m.StoreTime <= ms {
			at = mq.Index(i + 1)
		}
	}
	if b == mq.BoundaryUpper && at > 0 {
		at-- // Java's upper boundary is the last one that is not later
	}
	return at, nil
}

func (s *store) Pull(_ context.Context, r *mq.PullRequest, dst []byte) (mq.Fetch, error) {
	q := s.queues[r.Topic][r.QueueID]
	f := mq.Fetch{Records: dst, Next: r.From}
	for i := r.From; i < mq.Index(len(q)) && f.Count < int(min(r.MaxMessages, 3)); i++ {
		var err error
		if f.Records, err = q[i].AppendTo(f.Records); err != nil {
			return f, err
		}
		f.Count++
		f.Next = i + 1
	}
	return f, nil
}

func (s *store) MessageAt(_ context.Context, at mq.Offset, dst []byte) ([]byte, error) {
	for _, t := range s.queues {
		for _, q := range t {
			for i := range q {
				if q[i].Offset == at {
					return q[i].AppendTo(dst)
				}
			}
		}
	}
	return dst, errors.New("nothing there")
}

func (s *store) Put(_ context.Context, r *mq.SendRequest) (mq.Stored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes.Contains(r.Body, []byte("poison")) {
		return mq.Stored{}, mq.Errorf(mq.KindMessageIllegal, "the message is illegal")
	}
	c := *r
	c.Body, c.Props = bytes.Clone(r.Body), bytes.Clone(r.Props)
	s.sent = append(s.sent, c)
	return mq.Stored{Status: s.status[r.Topic]}, nil
}

func (s *store) ConsumerTopics(_ context.Context, group string) ([]string, error) {
	if group == "broken" {
		return nil, errors.New("no answer")
	}
	return []string{"t", "%RETRY%" + group}, nil
}

func (s *store) ResetPositions(_ context.Context, r *mq.PositionReset) ([]mq.QueuePosition, error) {
	if !s.online[r.Group] {
		return nil, &mq.CallError{Err: mq.Errorf(mq.KindConsumerNotOnline, "nobody is there")}
	}
	s.reset = append(s.reset, fmt.Sprintf("%s %s to %d", r.Group, r.Topic, r.Time))
	return nil, nil
}

func (s *store) ConsumeStats(_ context.Context, _, topic string, _ []string) (mq.ConsumeStats, error) {
	var out mq.ConsumeStats
	for i, q := range s.queues[topic] {
		out.Queues = append(out.Queues, mq.ConsumeProgress{Queue: mq.Queue{Topic: topic, ID: int32(i)}, End: mq.Index(len(q)), Committed: 3})
	}
	return out, nil
}

func (s *store) CommitIndex(_ context.Context, group, topic string, q int32, at mq.Index) error {
	s.reset = append(s.reset, fmt.Sprintf("%s %s/%d at %d", group, topic, q, at))
	return nil
}

func dead(n int, body string, props ...string) record.Message {
	var p []byte
	for i := 0; i < len(props); i += 2 {
		p = record.AppendProp(p, props[i], props[i+1])
	}
	return record.Message{
		Topic: []byte("%DLQ%g"), Index: mq.Index(n), Offset: mq.Offset(1000 * (n + 1)), StoreTime: int64(1000 * n), StoreHost: here, BornHost: here, Props: p,
		Body: []byte(body),
	}
}

func dlq() *store {
	return &store{
		queues: map[string][][]record.Message{
			"%DLQ%g": {{
				dead(0, "a", "RETRY_TOPIC", "orders", "TAGS", "t", "color", "red", "RECONSUME_TIME", "16", "UNIQ_KEY", "U0", "DELAY", "3"),
				dead(1, "b", "DLQ_ORIGIN_TOPIC", "orders", "RETRY_TOPIC", "%RETRY%g"),
				dead(2, "poison", "RETRY_TOPIC", "orders"),
				dead(3, "d"),
				dead(4, "e", "RETRY_TOPIC", "weak"),
				dead(5, "f", "RETRY_TOPIC", "nowhere"),
				dead(6, "g", "RETRY_TOPIC", "orders"),
			}},
			"orders": {nil, nil}, "weak": {nil},
		},
		status: map[string]mq.SendStatus{"weak": mq.SendSlaveTimeout}, online: map[string]bool{},
	}
}

func props(p record.Props) map[string]string {
	out := map[string]string{}
	p.ForEach(func(k, v []byte) bool {
		out[string(k)] = string(v)
		return true
	})
	return out
}

func TestResendSaysWhatBecameOfEachMessage(t *testing.T) {
	t.Parallel()
	s := dlq()
	e := engine(t, jobs.Options{})
	r := &jobs.Resend{Cluster: s, Group: "g", Rate: 10_000}
	id := start(t, e, r.Run)
	j := until(t, e, id, ended)
	if j.State != jobs.Done || j.Total != 7 || j.Done != 7 || j.Failed != 4 {
		t.Errorf("%+v", j)
	}
	var codes []string
	for _, f := range j.Failures {
		codes = append(codes, f.Item+" "+f.Code)
	}
	if diff := cmp.Diff([]string{"b/0@2 refused", "b/0@3 noOrigin", "b/0@4 notDurable", "b/0@5 refused"}, codes); diff != "" {
		t.Error(diff)
	}
	var got []string
	for _, m := range s.sent {
		got = append(got, m.Topic+" "+string(m.Body))
	}
	if diff := cmp.Diff([]string{"orders a", "orders b", "weak e", "orders g"}, got); diff != "" {
		t.Error(diff)
	}
	want := map[string]string{"TAGS": "t", "color": "red", "UNIQ_KEY": "U0", jobs.PropResent: string(record.AppendOffsetID(nil, here, 1000))}
	if diff := cmp.Diff(want, props(s.sent[0].Props)); diff != "" {
		t.Error("properties:", diff)
	}
}

func TestResendOfNamedMessages(t *testing.T) {
	t.Parallel()
	s := dlq()
	e := engine(t, jobs.Options{})
	stranger := netip.MustParseAddrPort("192.168.7.7:22")
	r := &jobs.Resend{Cluster: s, Group: "g", Rate: 10_000, Topic: "weak2", Selection: jobs.Selection{
		Refs: []jobs.Ref{{Broker: "b", Index: 3}, {Broker: "b", Index: 99}, {Broker: "other"}},
		OffsetIDs: []string{
			string(record.AppendOffsetID(nil, here, 2000)), string(record.AppendOffsetID(nil, here, 5)), string(record.AppendOffsetID(nil, stranger, 2000)),
		},
	}}
	s.queues["weak2"] = [][]record.Message{nil}
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	j := until(t, e, start(t, e, r.Run), ended)
	if j.State != jobs.Done || j.Total != 6 || j.Done != 6 || j.Failed != 4 || len(s.sent) != 2 {
		t.Errorf("%+v, sent %d", j, len(s.sent))
	}
	for _, f := range j.Failures {
		if f.Code != jobs.CodeNotFound {
			t.Errorf("%+v", f)
		}
	}
}

func TestSelectionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for text, s := range map[string]jobs.Selection{
		"either":          {Refs: make([]jobs.Ref, 1), From: 5},
		"at most":         {Refs: make([]jobs.Ref, 10_001)},
		"before":          {From: 5, To: 4},
		"not be negative": {Max: -1},
		"offset":          {OffsetIDs: []string{"nonsense"}},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, bad := range []interface{ Validate() error }{&jobs.Export{Format: "xlsx"}, &jobs.Reset{}, &jobs.Resend{Rate: -1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	s := dlq()
	s.queues["%DLQ%g"][0][1].Body = []byte{0xff, 0}
	s.queues["%DLQ%g"][0][2].Body = []byte("=HYPERLINK(\"x\")\n中文")
	e := engine(t, jobs.Options{})
	read := func(x *jobs.Export) (jobs.Job, string) {
		t.Helper()
		x.Cluster, x.Topic = s, jobs.DeadTopic("g")
		if err := x.Validate(); err != nil {
			t.Fatal(err)
		}
		j := until(t, e, start(t, e, x.Run), ended)
		if j.State != jobs.Done {
			t.Fatalf("%+v", j)
		}
		_, _, r, err := e.Result(j.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return j, string(text)
	}
	j, text := read(&jobs.Export{Format: "csv", Selection: jobs.Selection{From: 1000, To: 2500}})
	if j.ResultName != "g.csv" || j.Done != 2 {
		t.Errorf("%+v", j)
	}
	text, ok := strings.CutPrefix(text, "\ufeff")
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if !ok || err != nil || len(rows) != 3 {
		t.Fatalf("%v %v: %q", ok, err, text)
	}
	if rows[1][13] != "base64" || rows[1][14] != "/wA=" || rows[2][14] != "'=HYPERLINK(\"x\")\n中文" || rows[2][6] != "1970-01-01T00:00:02.000Z" {
		t.Errorf("%q", rows[1:])
	}
	only := func(m *record.Message) bool { return m.Index >= 4 }
	mask := func(p map[string]string, _ []byte) (map[string]string, []byte) { return p, []byte("***") }
	j, text = read(&jobs.Export{Format: "jsonl", Match: only, Show: mask, Selection: jobs.Selection{Max: 6}})
	lines := strings.Split(strings.TrimSpace(text), "\n")
	var row struct {
		Offset, Body string
		Properties   map[string]string
	}
	if err := json.Unmarshal([]byte(lines[0]), &row); err != nil || len(lines) != 2 || row.Offset != "4" || row.Body != "***" || row.Properties["RETRY_TOPIC"] != "weak" {
		t.Errorf("%v %q, %+v", err, lines, row)
	}
	if j.Done != 6 || j.Detail != "2 messages" {
		t.Errorf("%+v", j)
	}
}

func TestResetOfManyGroups(t *testing.T) {
	t.Parallel()
	s := dlq()
	s.queues["t"] = [][]record.Message{{dead(0, ""), dead(1, ""), dead(2, ""), dead(3, ""), dead(4, "")}}
	s.online["on"] = true
	e := engine(t, jobs.Options{})
	r := &jobs.Reset{Cluster: s, Groups: []string{"on", "off", "broken"}, Topic: "t", Time: 2000}
	j := until(t, e, start(t, e, r.Run), ended)
	if j.State != jobs.Done || j.Done != 3 || j.Failed != 1 {
		t.Errorf("%+v", j)
	}
	if diff := cmp.Diff([]string{"on t to 2000", "off t/0 at 2"}, s.reset); diff != "" {
		t.Error(diff)
	}
	s.reset = nil
	r.Groups, r.Time = []string{"off"}, 4000 // forward, which was not asked for
	until(t, e, start(t, e, r.Run), ended)
	if len(s.reset) != 0 {
		t.Errorf("moved forward: %v", s.reset)
	}
	r.Time = -1
	until(t, e, start(t, e, r.Run), ended)
	if diff := cmp.Diff([]string{"off t/0 at 5"}, s.reset); diff != "" {
		t.Error(diff)
	}
}

func TestPurgeDeletesTheTopicEverywhere(t *testing.T) {
	t.Parallel()
	s := dlq()
	p := &jobs.Purge{Cluster: s, Name: "c", Group: "g"}
	plan, err := p.Plan(t.Context())
	if err != nil || len(plan) != 3 || plan[0].Messages != 7 || !plan[0].Broker || len(s.gone) != 0 {
		t.Fatalf("%+v, %v", plan, err)
	}
	e := engine(t, jobs.Options{})
	if j := until(t, e, start(t, e, p.Run), ended); j.State != jobs.Done || j.Done != 3 || j.Failed != 0 {
		t.Errorf("%+v", j)
	}
	if diff := cmp.Diff([]string{"%DLQ%g at the broker", "%DLQ%g at ns:1", "%DLQ%g at ns:2"}, s.gone); diff != "" {
		t.Error(diff)
	}
}

func TestCellsAreNoFormulas(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "a=b": "a=b", "": "", "中": "中"} {
		if got := jobs.Harmless(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}
