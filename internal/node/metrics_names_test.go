package node

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/telemetry"
)

//go:embed testdata/metrics.tsv
var metricNames string

//go:embed testdata/boards.tsv
var boardNames string

// named is a line of testdata/metrics.tsv.
type named struct {
	name, kind string
	labels     []string // with those that all series of the family have
	missing    string   // why there is none
}

// namesOf returns the lines of the families whose title holds one of the texts.
func namesOf(t *testing.T, titles ...string) (out []named) {
	t.Helper()
	var common []string
	wanted := false
	for line := range strings.Lines(metricNames) {
		line = strings.TrimSuffix(line, "\n")
		if title, ok := strings.CutPrefix(line, "# "); ok {
			wanted = slices.ContainsFunc(titles, func(s string) bool { return strings.Contains(title, s) })
			common = nil
			if _, list, ok := strings.Cut(strings.TrimSuffix(title, "."), "Each series also has "); ok {
				common = strings.Split(strings.ReplaceAll(list, " and ", ", "), ", ")
			}
			continue
		}
		if !wanted {
			continue
		}
		f := append(strings.Split(line, "\t"), "", "")
		n := named{name: f[0], kind: f[1], labels: slices.Clone(common), missing: f[3]}
		if f[2] != "" {
			n.labels = append(n.labels, strings.Split(f[2], ",")...)
		}
		slices.Sort(n.labels)
		out = append(out, n)
	}
	if len(out) == 0 {
		t.Fatalf("no names of %q", titles)
	}
	return out
}

// page is what a scrape tells: by name the labels of its series and the kind.
type page struct {
	labels map[string][]string
	kinds  map[string]string
}

var labelName = regexp.MustCompile(`([a-zA-Z_]\w*)="(?:[^"\\]|\\.)*"`)

func readPage(text string, into *page) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); f[0] == "#" {
			if f[1] == "TYPE" {
				into.kinds[f[2]] = f[3]
			}
			continue
		}
		name := line[:strings.IndexAny(line, "{ ")]
		var labels []string
		for _, m := range labelName.FindAllStringSubmatch(line, -1) {
			if m[1] != "le" {
				labels = append(labels, m[1])
			}
		}
		slices.Sort(labels)
		into.labels[name] = labels
	}
}

// check compares the page with the list.
func (p *page) check(t *testing.T, list []named) {
	t.Helper()
	listed := map[string]bool{}
	for _, n := range list {
		listed[n.name] = true
		names := []string{n.name}
		if n.kind == "histogram" {
			names = []string{n.name + "_bucket", n.name + "_sum", n.name + "_count"}
		}
		for _, series := range names {
			labels, there := p.labels[series]
			switch {
			case there && n.missing != "":
				t.Errorf("%s is there, but the list says that %s", series, n.missing)
			case !there && n.missing == "":
				t.Errorf("%s is not on the page", series)
			case there && !slices.Equal(labels, n.labels):
				t.Errorf("%s has the labels %v, want %v", series, labels, n.labels)
			}
		}
		if n.missing == "" && p.kinds[n.name] != n.kind {
			t.Errorf("%s is a %s, want a %s", n.name, p.kinds[n.name], n.kind)
		}
	}
	for name := range p.kinds {
		if !listed[name] && !strings.HasPrefix(name, "cometmq_") {
			t.Errorf("%s is on the page and not in the list", name)
		}
	}
}

// checkBoards looks for what published boards and rules ask for.
func (p *page) checkBoards(t *testing.T, list []named) {
	t.Helper()
	missing := map[string]string{}
	for _, n := range list {
		missing[n.name] = n.missing
	}
	for line := range strings.Lines(boardNames) {
		name, used, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(name, "#") {
			continue
		}
		labels, there := p.labels[name]
		if why, known := missing[name]; !there && (!known || why == "") {
			t.Errorf("a board uses %s, which is not on the page", name)
		}
		for label := range strings.SplitSeq(used, ",") {
			if there && label != "" && !slices.Contains(labels, label) {
				t.Errorf("a board uses %s of %s, which has %v", label, name, labels)
			}
		}
	}
}

// mixedLoad makes a broker do all that it has figures of. It takes some seconds.
func (s *sets) mixedLoad(t *testing.T) {
	t.Helper()
	to := s.master.BrokerAddr()
	ok := func(code int32, h remoting.HeaderAppender, body []byte) (ext map[string]string, data []byte) {
		t.Helper()
		r := s.c.call(to, code, h, body)
		if r.Code != 0 {
			t.Fatalf("%s: %d %s", protocol.RequestName(code), r.Code, r.Remark)
		}
		return r.Ext, r.Body
	}
	ok(protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
		Topic: "T", DefaultTopic: "TBW102", ReadQueueNums: 1, WriteQueueNums: 1, Perm: 6, TopicFilterType: "SINGLE_TAG",
	}, nil)
	group, err := json.Marshal(map[string]any{"groupName": "g_T", "consumeEnable": true, "retryQueueNums": 1, "retryMaxTimes": 1})
	must(t, err)
	ok(protocol.ReqUpdateAndCreateSubscriptionGroup, nil, group)
	for i := range 6 {
		s.put("T", 0, fmt.Sprint("plain ", i), 0)
	}
	s.put("T", 0, "delayed", 0, "DELAY", "1")
	s.put("T", 0, "timed", 0, "TIMER_DELIVER_MS", fmt.Sprint(time.Now().Add(3*time.Second).UnixMilli()))
	for _, end := range []int32{record.SysFlagCommit, record.SysFlagRollback, 0} {
		s.transaction(t, end)
	}
	ok(protocol.ReqHeartBeat, nil, (&protocol.HeartbeatData{ClientID: "c", Producers: []string{"PG"}, Consumers: []protocol.ConsumerData{{
		GroupName: "g_T", ConsumeType: "CONSUME_PASSIVELY", MessageModel: "CLUSTERING", ConsumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
		SubscriptionDataSet: []protocol.SubscriptionData{{Topic: "T", SubString: "*", ExpressionType: "TAG", SubVersion: 1}},
	}}}).AppendTo(nil, false))
	got, _ := s.c.pull(to, "T", 0, 0, false)
	if len(got) < 6 {
		t.Fatalf("pulled %d", len(got))
	}
	back := func(m *record.Message, most int32) {
		ok(protocol.ReqConsumerSendMsgBack, &protocol.ConsumerSendMsgBackRequestHeader{
			Offset: int64(m.Offset), Group: "g_T", DelayLevel: 1, OriginTopic: "T", MaxReconsumeTimes: most, HasMaxReconsumeTimes: true,
		}, nil)
	}
	back(&got[0], 16) // to the retry topic
	back(&got[1], 0)  // dead
	ok(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{ConsumerGroup: "g_T", Topic: "T", CommitOffset: 2}, nil)
	time.Sleep(15 * time.Second) // delays, timers, and what is counted by the minute
	if retried, _ := s.c.pull(to, "%RETRY%g_T", 0, 0, false); len(retried) == 0 {
		t.Log("nothing came back")
	}
	ok(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{ConsumerGroup: "g_T", Topic: "%RETRY%g_T", CommitOffset: 0}, nil)
}

// transaction sends a half message and decides on it; 0: it does not.
func (s *sets) transaction(t *testing.T, end int32) {
	t.Helper()
	var p record.Props
	for _, kv := range [][2]string{{"TRAN_MSG", "true"}, {"PGROUP", "PG"}, {"UNIQ_KEY", fmt.Sprint("U", end)}} {
		p = record.AppendProp(p, kv[0], kv[1])
	}
	to := s.master.BrokerAddr()
	r := s.c.call(to, protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "PG", Topic: "X", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, SysFlag: record.SysFlagPrepared,
		BornTimestamp: time.Now().UnixMilli(), Properties: string(p), MaxReconsumeTimes: -1,
	}, []byte("half"))
	var h protocol.SendMessageResponseHeader
	must(t, h.Decode(r.Fields))
	if r.Code != 0 {
		t.Fatalf("half message: %d %s", r.Code, r.Remark)
	}
	if end == 0 {
		return
	}
	_, at, err := record.ParseOffsetID(h.MsgID)
	must(t, err)
	if r := s.c.call(to, protocol.ReqEndTransaction, &protocol.EndTransactionRequestHeader{
		Topic: "X", ProducerGroup: "PG", TranStateTableOffset: h.QueueOffset, CommitLogOffset: int64(at), CommitOrRollback: end, MsgID: fmt.Sprint("U", end),
	}, nil); r.Code != 0 {
		t.Fatalf("end of a transaction: %d %s", r.Code, r.Remark)
	}
}

// All names and labels that boards and alerts for RocketMQ use are on the page of a broker that has done something.
func TestPageHasAllNamesAndLabels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSets(t, map[string]string{"enableRemoteEscape": "false"})
		defer s.end()
		time.Sleep(15 * time.Second)
		s.mixedLoad(t)
		p := page{map[string][]string{}, map[string]string{}}
		text := s.scrape(s.master)
		readPage(text, &p)
		if got := linesOf(text, "rocketmq_delay_message_latency_seconds_bucket", `topic="T"`, `le="60"`, "} 1"); len(got) != 1 {
			t.Errorf("one timer that was due in 3 s: %v", linesOf(text, "rocketmq_delay_message_latency_seconds_bucket"))
		}
		list := namesOf(t, "for brokers", "rocketmq-exporter")
		p.check(t, list)
		p.checkBoards(t, list)
	})
}

func TestControllersPageHasAllNamesAndLabels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1, 1, map[string]string{"totalReplicas": "1"})
		defer f.close()
		f.inSync(time.Minute)
		p := page{map[string][]string{}, map[string]string{}}
		c := f.ctl[0].node.controller
		tell(&p, []telemetry.Source{{Collect: c.collect, Common: c.labels(&config.Metrics{})}})
		p.check(t, namesOf(t, "for controllers"))
	})
}

// tell reads what sources tell as if it came from a page.
func tell(p *page, sources []telemetry.Source) {
	telemetry.Collect(sources, 0, func(s *telemetry.Sample) {
		labels := slices.Clone(s.Metric.Labels)
		for _, l := range s.Common {
			labels = append(labels, l.Name)
		}
		if name := s.Metric.Scope.MeterName(); name != "" {
			labels = append(labels, "otel_scope_name")
		}
		slices.Sort(labels)
		p.kinds[s.Metric.Name] = s.Metric.Kind.String()
		names := []string{s.Metric.Name}
		if s.Metric.Kind == telemetry.Distributed {
			names = []string{s.Metric.Name + "_bucket", s.Metric.Name + "_sum", s.Metric.Name + "_count"}
		}
		for _, n := range names {
			p.labels[n] = labels
		}
	})
}

// The list names what is defined, and the other way round.
func TestListOfNamesIsComplete(t *testing.T) {
	t.Parallel()
	defined := map[string]bool{}
	for _, m := range telemetry.All() {
		if m.Scope != telemetry.ScopeOwn {
			defined[m.Name] = true
		}
	}
	for _, n := range namesOf(t, "for brokers", "rocketmq-exporter", "for controllers") {
		if defined[n.name] != (n.missing == "") {
			t.Errorf("%s is defined: %v, the list says %q", n.name, defined[n.name], n.missing)
		}
		delete(defined, n.name)
	}
	for _, name := range slices.Sorted(maps.Keys(defined)) {
		t.Errorf("%s is not in the list", name)
	}
}
