package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/alerts"
	"github.com/cometmq/cometmq/internal/api/httpapi"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/series"
)

type jobView struct {
	ID, State, ResultName string
	Total, Done, Failed   string
	HasResult             bool
	Failures              []struct{ Item, Code, Detail string }
}

// wait polls a job until it has ended.
func (w *world) wait(id string) (j jobView) {
	w.t.Helper()
	w.eventually("the job has ended", func() bool {
		w.get("/jobs/"+id, &j)
		return j.State != "queued" && j.State != "running"
	})
	return j
}

// dead makes a topic of dead letters, and waits until the messages in it can be read.
func (w *world) dead(group string, origins ...string) {
	w.t.Helper()
	topic := "%DLQ%" + group
	must(w.t, w.cluster.Broker(brokerAddr).PutTopic(w.t.Context(), mq.TopicConfig{Name: topic, ReadQueues: 1, WriteQueues: 1, Perm: mq.PermRead | mq.PermWrite}))
	w.eventually("the topic has a route", func() bool {
		_, err := w.cluster.NameServer("").Route(w.t.Context(), topic)
		return err == nil
	})
	for i, o := range origins {
		w.put(topic, 0, fmt.Sprint("dead ", i), map[string]string{"RETRY_TOPIC": o, "color": "red"})
	}
	w.eventually("the messages are there", func() bool {
		n, err := w.cluster.Broker(brokerAddr).MaxIndex(w.t.Context(), topic, 0)
		return err == nil && int(n) == len(origins)
	})
}

func TestDeadLettersAreSentAgainExportedAndPurged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("orders", 1)
	w.dead("G", "orders", "nowhere", "orders")
	path := inCluster + "/dlq/G"
	var plan struct {
		DryRun bool
		Steps  []struct{ After, Before string }
	}
	w.send(http.MethodPost, path+"/resend?dryRun=true", map[string]any{}).want(http.StatusOK, &plan)
	if !plan.DryRun || plan.Steps[0].After != "3 messages" {
		t.Errorf("%+v", plan)
	}
	var j jobView
	w.send(http.MethodPost, path+"/resend", map[string]any{"ratePerSecond": 1000}, "Idempotency-Key", "k").want(http.StatusAccepted, &j)
	first := j.ID
	w.send(http.MethodPost, path+"/resend", map[string]any{"ratePerSecond": 1000}, "Idempotency-Key", "k").want(http.StatusAccepted, &j)
	if j.ID != first {
		t.Error("the same request made a second job")
	}
	if j = w.wait(first); j.State != "done" || j.Total != "3" || j.Done != "3" || j.Failed != "1" || j.Failures[0].Item != "broker-a/0@1" || j.Failures[0].Code != "refused" {
		t.Errorf("%+v", j)
	}
	w.eventually("the copies are there", func() bool {
		var p page
		w.get(inCluster+"/topics/orders/messages?property=color%3Dred&order=oldest", &p)
		return len(p.Items) == 2 && p.Items[0].Properties["color"] == "red" && p.Items[0].Properties["RETRY_TOPIC"] == ""
	})
	w.send(http.MethodPost, path+"/export", map[string]any{"refs": []any{map[string]any{"broker": "broker-a", "queue": 0, "offset": "2"}}, "format": "jsonl"}).want(http.StatusAccepted, &j)
	if j = w.wait(j.ID); !j.HasResult || j.ResultName != "G.jsonl" {
		t.Fatalf("%+v", j)
	}
	res := w.send(http.MethodGet, "/jobs/"+j.ID+"/result", nil).want(http.StatusOK, nil)
	if !strings.Contains(res.Body.String(), `"body":"dead 2"`) || !strings.HasPrefix(res.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("%v: %s", res.Header(), res.Body)
	}
	w.send(http.MethodPost, inCluster+"/topics/orders/messages/export", map[string]any{"contains": "dead 0"}).want(http.StatusAccepted, &j)
	w.wait(j.ID)
	csv := w.send(http.MethodGet, "/jobs/"+j.ID+"/result", nil).want(http.StatusOK, nil).Body.String()
	if !strings.HasPrefix(csv, "\ufeffid,") || strings.Count(csv, "\r\n") != 2 {
		t.Errorf("%q", csv)
	}
	w.send(http.MethodDelete, "/jobs/"+j.ID, nil).want(http.StatusNoContent, nil)
	w.send(http.MethodGet, "/jobs/"+j.ID, nil).refused(http.StatusNotFound, "jobNotFound")

	w.send(http.MethodPost, path+"/purge?dryRun=true", nil).want(http.StatusOK, &plan)
	if plan.Steps[0].Before != "3 messages" {
		t.Errorf("%+v", plan)
	}
	w.send(http.MethodPost, path+"/purge", nil).want(http.StatusOK, nil)
	w.send(http.MethodPost, path+"/resend", map[string]any{}).refused(http.StatusNotFound, "topicNotFound")
	for _, bad := range []map[string]any{{"from": -1}, {"max": -1}, {"from": 5, "to": 4}, {"offsetIds": []string{"x"}}, {"ratePerSecond": -1}} {
		w.send(http.MethodPost, path+"/resend", bad).refused(http.StatusBadRequest, "invalidParameter")
	}
	w.send(http.MethodPost, path+"/export", map[string]any{"format": "xlsx"}).refused(http.StatusBadRequest, "invalidParameter")
}

// levels are figures for alerts.
type levels map[alerts.Kind][]alerts.Reading

func (l levels) Readings(_ context.Context, k alerts.Kind) ([]alerts.Reading, error) {
	return l[k], nil
}

func TestAlertsAreRulesAndWhatFires(t *testing.T) {
	t.Parallel()
	src := levels{}
	watcher := alerts.Open(alerts.Options{Source: src})
	w := newWorld(t, func(o *httpapi.Options) { o.Alerts = watcher })
	var rules struct {
		Items []struct {
			ID, Kind string
			Builtin  bool
		}
	}
	w.get("/alerts/rules", &rules)
	if len(rules.Items) != len(alerts.Defaults()) || !rules.Items[0].Builtin {
		t.Errorf("%+v", rules)
	}
	var r struct {
		ID      string
		Enabled bool
		ForMs   int64
		Webhook string
	}
	rule := map[string]any{"name": "few", "kind": "clients", "threshold": 2, "target": "g.*", "forMs": 0, "severity": "fault", "webhook": "https://hook.example/secret"}
	w.send(http.MethodPost, "/alerts/rules", rule).want(http.StatusCreated, &r)
	if r.ID == "" || !r.Enabled || r.Webhook == "" {
		t.Errorf("%+v", r)
	}
	for field, v := range map[string]any{"name": "", "kind": "x", "threshold": -1, "target": "(", "severity": "bad", "webhook": "file:///x", "forMs": -5} {
		if p := w.send(http.MethodPut, "/alerts/rules/"+r.ID, map[string]any{field: v}).refused(http.StatusBadRequest, "invalidParameter"); len(p.Fields) != 1 || p.Fields[0].Name != field {
			t.Errorf("%s: %+v", field, p)
		}
	}
	w.send(http.MethodPut, "/alerts/rules/"+r.ID, map[string]any{"threshold": 3}).want(http.StatusOK, &r)
	src[alerts.Clients] = []alerts.Reading{{Cluster: "DefaultCluster", Name: "g1", Target: "g1", Value: 2}, {Cluster: "DefaultCluster", Name: "h", Target: "h"}}
	watcher.Evaluate(t.Context())
	var list struct {
		Items []struct{ ID, State, Target, AcknowledgedBy string }
	}
	w.get("/alerts?state=firing", &list)
	if len(list.Items) != 1 || list.Items[0].Target != "g1" {
		t.Fatalf("%+v", list)
	}
	w.send(http.MethodPost, "/alerts/"+list.Items[0].ID+"/acknowledge", nil).want(http.StatusOK, nil)
	w.get("/alerts", &list)
	if list.Items[0].AcknowledgedBy != "local" {
		t.Errorf("%+v", list)
	}
	w.send(http.MethodPost, "/alerts/none/acknowledge", nil).refused(http.StatusNotFound, "alertNotFound")
	var settings struct {
		Webhook, Format string
		SecretSet       bool
	}
	w.get("/alerts/settings", &settings)
	answer := w.send(http.MethodPut, "/alerts/settings", map[string]any{"webhook": "https://hook.example", "format": "wecom", "secret": "s3cret"}).want(http.StatusOK, &settings)
	if settings.Format != "wecom" || !settings.SecretSet || strings.Contains(answer.Body.String(), "s3cret") {
		t.Errorf("%s", answer.Body)
	}
	for field, v := range map[string]string{"webhook": "ftp://x", "format": "pager"} {
		if p := w.send(http.MethodPut, "/alerts/settings", map[string]any{field: v}).refused(http.StatusBadRequest, "invalidParameter"); p.Fields[0].Name != field {
			t.Errorf("%s: %+v", field, p)
		}
	}
	if w.get("/alerts/rules/"+r.ID, &r); r.ID == "" {
		t.Errorf("%+v", r)
	}
	w.send(http.MethodDelete, "/alerts/rules/"+r.ID, nil).want(http.StatusNoContent, nil)
	w.send(http.MethodGet, "/alerts/rules/"+r.ID, nil).refused(http.StatusNotFound, "ruleNotFound")
	w.send(http.MethodDelete, "/alerts/rules/"+r.ID, nil).refused(http.StatusNotFound, "ruleNotFound")
}

func TestWithoutEnginesTheirRoutesSaySo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.send(http.MethodGet, "/alerts", nil).refused(http.StatusNotImplemented, "notWatched")
	w.send(http.MethodGet, inCluster+"/metrics/query?name=topic.in.tps", nil).refused(http.StatusNotImplemented, "notCollected")
	w.get(inCluster+"/metrics", nil)
}

func TestMetricsAreAskedByLogicalName(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	store := series.Open(series.Options{Path: filepath.Join(t.TempDir(), "s.db"), Now: func() time.Time { return now }})
	defer store.Close()
	for i := range 6 {
		at := now.Add(time.Duration(i-6) * series.Interval)
		store.Record(at, []series.Sample{
			{Name: "topic.in.tps", Labels: []string{"DefaultCluster", "a"}, Value: float64(i)},
			{Name: "topic.in.tps", Labels: []string{"DefaultCluster", "b"}, Value: 10},
			{Name: "topic.in.tps", Labels: []string{"other", "a"}, Value: 99},
		})
	}
	w := newWorld(t, func(o *httpapi.Options) { o.Metrics = store })
	path := fmt.Sprintf("%s/metrics/query?name=topic.in.tps&from=%d&to=%d&step=10000", inCluster, now.Add(-time.Minute).UnixMilli(), now.UnixMilli())
	var a struct {
		Source string
		Series []struct {
			Labels map[string]string
			Values []*float64
		}
	}
	w.get(path+"&match=topic%3Da", &a)
	if a.Source != "embedded" || len(a.Series) != 1 || len(a.Series[0].Values) != 6 || *a.Series[0].Values[5] != 5 {
		t.Errorf("%+v", a)
	}
	w.get(path+"&by=cluster&of=max", &a)
	if len(a.Series) != 1 || *a.Series[0].Values[5] != 15 {
		t.Errorf("%+v", a)
	}
	for field, query := range map[string]string{
		"name": "?name=nonsense", "of": "?name=topic.in.tps&of=median", "labels": "?name=topic.in.tps&match=group%3Dg", "match": "?name=topic.in.tps&match=x",
		"step": "?name=topic.in.tps&step=x", "top": "?name=topic.in.tps&top=-1", "to": "?name=topic.in.tps&from=5&to=4", "by": "?name=topic.in.tps&by=group",
	} {
		if p := w.send(http.MethodGet, inCluster+"/metrics/query"+query, nil).refused(http.StatusBadRequest, "invalidParameter"); p.Fields[0].Name != field {
			t.Errorf("%s: %+v", field, p)
		}
	}
}

// sse is one event.
type sse struct{ name, id, data string }

// pipeWriter hands what a handler writes to a reader.
type pipeWriter struct {
	*httptest.ResponseRecorder
	w *io.PipeWriter
}

func (p *pipeWriter) Write(b []byte) (int, error) { return p.w.Write(b) }

// events opens a stream; next returns its next event with one of the names.
func (w *world) events(path, last string) (next func(names ...string) sse, stop func()) {
	w.t.Helper()
	called.note(w.t, w.doc.operationID(http.MethodGet, w.doc.pattern(http.MethodGet, path)))
	ctx, cancel := context.WithCancel(w.t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1"+path, http.NoBody)
	r.Host = "127.0.0.1:8082"
	r.Header.Set("Last-Event-ID", last)
	pr, pw := io.Pipe()
	done := make(chan struct{})
	rec := &pipeWriter{httptest.NewRecorder(), pw}
	go func() {
		defer close(done)
		w.api.ServeHTTP(rec, r)
		pw.Close()
	}()
	all := make(chan sse, 10_000)
	go func() {
		defer close(all)
		var e sse
		for sc := bufio.NewScanner(pr); sc.Scan(); {
			switch k, v, _ := strings.Cut(sc.Text(), ": "); k {
			case "event":
				e.name = v
			case "id":
				e.id = v
			case "data":
				e.data = v
			case "":
				if e.name != "" {
					all <- e
				}
				e = sse{}
			}
		}
	}()
	next = func(names ...string) sse {
		w.t.Helper()
		for timeout := time.After(time.Minute); ; {
			select {
			case e, ok := <-all:
				if !ok {
					w.t.Fatalf("the stream has ended before %v", names)
				}
				if slices.Contains(names, e.name) {
					return e
				}
			case <-timeout:
				w.t.Fatalf("no %v within a minute", names)
			}
		}
	}
	stop = func() {
		cancel()
		pr.Close()
		<-done
		for range all { // until the reader has ended
		}
	}
	w.t.Cleanup(stop)
	return next, stop
}

func TestTailShowsNewMessagesThatFit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 2)
	w.put("T", 0, "before", map[string]string{"TAGS": "A"})
	w.eventually("it is in its queue", func() bool {
		n, err := w.cluster.Broker(brokerAddr).MaxIndex(t.Context(), "T", 0)
		return err == nil && n == 1
	})
	path := inCluster + "/topics/T/messages/stream?follow=true&tag=A&contains=yes"
	next, stop := w.events(path, "")
	next("progress")
	w.put("T", 0, "no", map[string]string{"TAGS": "A"})
	w.put("T", 1, "yes, but another tag", map[string]string{"TAGS": "B"})
	w.put("T", 1, "yes 1", map[string]string{"TAGS": "A"})
	var m struct {
		Body struct{ Text string }
	}
	must(t, json.Unmarshal([]byte(next("message").data), &m))
	if m.Body.Text != "yes 1" {
		t.Errorf("shown: %s", m.Body.Text)
	}
	var at sse
	for at.data = ""; !strings.Contains(at.data, `"shown":"1"`); {
		at = next("progress")
	}
	if at.id == "" {
		t.Fatal("progress without an id")
	}
	stop()
	w.put("T", 0, "yes 2", map[string]string{"TAGS": "A"}) // while nobody looks
	next, _ = w.events(path, at.id)
	must(t, json.Unmarshal([]byte(next("message").data), &m))
	if m.Body.Text != "yes 2" {
		t.Errorf("after it was resumed: %s", m.Body.Text)
	}
	next, _ = w.events(inCluster+"/topics/T/messages/stream?contains=yes&order=oldest", "")
	must(t, json.Unmarshal([]byte(next("message").data), &m))
	if e := next("end"); e.data != `{"reason":"done"}` || !strings.HasPrefix(m.Body.Text, "yes") {
		t.Errorf("%+v %s", e, m.Body.Text)
	}
	w.send(http.MethodGet, inCluster+"/topics/T/messages/stream?follow=true&regex=(", nil).refused(http.StatusBadRequest, "invalidParameter")
	w.send(http.MethodGet, inCluster+"/topics/none/messages/stream?follow=true", nil).refused(http.StatusNotFound, "topicNotFound")
}

func TestEventsTellOverviewJobsAndAlerts(t *testing.T) {
	t.Parallel()
	src := levels{}
	watcher := alerts.Open(alerts.Options{Source: src})
	w := newWorld(t, func(o *httpapi.Options) { o.Alerts = watcher })
	w.topic("orders", 1)
	w.dead("G", "orders")
	next, _ := w.events(inCluster+"/events?topics=overview,jobs,alerts,clients", "")
	var o struct {
		Brokers []struct{ Name string }
	}
	must(t, json.Unmarshal([]byte(next("overview").data), &o))
	if len(o.Brokers) != 1 || o.Brokers[0].Name != "broker-a" {
		t.Errorf("%+v", o)
	}
	next("clientChange")
	var j jobView
	w.send(http.MethodPost, inCluster+"/dlq/G/resend", map[string]any{}).want(http.StatusAccepted, &j)
	if e := next("job"); !strings.Contains(e.data, j.ID) {
		t.Errorf("%+v", e)
	}
	src[alerts.NoMaster] = []alerts.Reading{{Cluster: "DefaultCluster", Name: "b", Target: "b"}}
	rules := watcher.Rules()
	for _, r := range rules {
		r.For = 0
		_, err := watcher.PutRule(r)
		must(t, err)
	}
	watcher.Evaluate(t.Context())
	if e := next("alert"); !strings.Contains(e.data, `"target":"b"`) {
		t.Errorf("%+v", e)
	}
	one, _ := w.events("/jobs/"+j.ID+"/stream", "")
	if e := one("end"); e.data != `{"reason":"done"}` {
		t.Errorf("%+v", e)
	}
	w.send(http.MethodGet, inCluster+"/events?topics=weather", nil).refused(http.StatusBadRequest, "invalidParameter")
	w.send(http.MethodGet, "/jobs/none/stream", nil).refused(http.StatusNotFound, "jobNotFound")
}
