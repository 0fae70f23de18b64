package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

type steps struct {
	DryRun bool
	Steps  []struct {
		Node, Action, Target, Before, After, Remark string
		Done                                        bool
	}
}

func TestBrokersAnswerEverythingThatTheContractNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 1)
	w.send(http.MethodPost, inCluster+"/groups", map[string]any{"name": "G"}).want(http.StatusCreated, nil)
	const broker = inCluster + "/brokers/broker-a/0"
	for _, path := range []string{
		inCluster + "/health", broker + "/config", broker + "/ha", broker + "/timer", broker + "/consumeStats", broker + "/coldCtr", inCluster + "/nameservers",
		inCluster + "/nameservers/127.0.0.1:9876/config", inCluster + "/kv/ns", inCluster + "/controllers", inCluster + "/proxies", inCluster + "/groups/G/subscriptions",
		inCluster + "/groups/G/offsets", inCluster + "/groups/G/timeSpan?topic=T", inCluster + "/dlq", inCluster + "/delayed", inCluster + "/transactions", "/settings",
	} {
		w.get(path, nil)
	}
	w.send(http.MethodGet, inCluster+"/nameservers/10.0.0.1:9876/config", nil).refused(http.StatusNotFound, "nameServerNotFound")
	w.send(http.MethodGet, inCluster+"/controllers/10.0.0.1:9878/config", nil).refused(http.StatusNotFound, "controllerNotFound")
	w.send(http.MethodGet, inCluster+"/controllers/syncState", nil).refused(http.StatusConflict, "noController")
	w.send(http.MethodGet, inCluster+"/groups/G/clients/nobody/runningInfo", nil).refused(http.StatusConflict, "consumerNotOnline")
	w.send(http.MethodPost, broker+"/actions/explode", nil).refused(http.StatusNotFound, "actionNotFound")
	var s steps
	w.send(http.MethodPost, broker+"/actions/wipeWrite?dryRun=true", nil).want(http.StatusOK, &s)
	if !s.DryRun || len(s.Steps) != 1 || s.Steps[0].Node != nsAddr {
		t.Errorf("%+v", s)
	}
	w.send(http.MethodPost, broker+"/actions/wipeWrite", nil).want(http.StatusOK, &s)
	if !s.Steps[0].Done || !strings.HasSuffix(s.Steps[0].Remark, " topics") {
		t.Errorf("%+v", s)
	}
	w.send(http.MethodPost, inCluster+"/topics/T/messages", map[string]any{"body": "x"}).refused(http.StatusConflict, "notWritable")
	w.send(http.MethodPost, broker+"/actions/addWrite", nil).want(http.StatusOK, nil)
	for _, action := range []string{"cleanExpiredCq", "cleanUnusedTopics", "deleteExpiredCommitLog"} {
		w.send(http.MethodPost, broker+"/actions/"+action, nil).want(http.StatusOK, nil)
	}
}

func TestConfigurationIsChangedOnlyAsItWasRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const path = inCluster + "/brokers/broker-a/0/config"
	a := w.get(path, nil)
	tag := a.Header().Get("ETag")
	var s steps
	w.send(http.MethodPatch, path+"?dryRun=true", map[string]any{"set": map[string]string{"fileReservedTime": "48"}}).want(http.StatusOK, &s)
	if len(s.Steps) != 1 || s.Steps[0].Done || s.Steps[0].Before != "72" || s.Steps[0].After != "48" {
		t.Errorf("%+v", s)
	}
	w.send(http.MethodPatch, path, map[string]any{"set": map[string]string{"fileReservedTime": "48", "brokerName": "broker-a"}}, "If-Match", tag).want(http.StatusOK, &s)
	if len(s.Steps) != 1 || !s.Steps[0].Done {
		t.Errorf("only what differs is sent: %+v", s)
	}
	w.send(http.MethodPatch, path, map[string]any{"set": map[string]string{"fileReservedTime": "24"}}, "If-Match", tag).refused(http.StatusPreconditionFailed, "changedMeanwhile")
	w.send(http.MethodPatch, path, map[string]any{"set": map[string]string{"a=b": "24"}}).refused(http.StatusBadRequest, "invalidParameter")
	w.send(http.MethodPatch, path, map[string]any{"set": map[string]string{"fileReservedTime": "many"}}).refused(http.StatusBadRequest, "invalidParameter")

	w.send(http.MethodPut, inCluster+"/kv/ns/k", map[string]any{"value": "v1"}).want(http.StatusOK, nil)
	w.send(http.MethodPut, inCluster+"/kv/ns/k", map[string]any{"value": "v2"}).want(http.StatusOK, &s)
	if s.Steps[0].Before != "v1" || s.Steps[0].After != "v2" {
		t.Errorf("%+v", s)
	}
	var kv struct{ Items []struct{ Key, Value string } }
	if w.get(inCluster+"/kv/ns", &kv); len(kv.Items) != 1 || kv.Items[0].Value != "v2" {
		t.Errorf("%+v", kv)
	}
	w.get(inCluster+"/kv/ns/k", nil)
	names := inCluster + "/nameservers/" + nsAddr + "/config"
	tag = w.get(names, nil).Header().Get("ETag")
	w.send(http.MethodPatch, names, map[string]any{"set": map[string]string{"orderMessageEnable": "true"}}, "If-Match", tag).want(http.StatusOK, &s)
	if len(s.Steps) != 1 || !s.Steps[0].Done {
		t.Errorf("%+v", s)
	}
	w.send(http.MethodDelete, inCluster+"/kv/ns/k", nil).want(http.StatusOK, nil)
	w.send(http.MethodGet, inCluster+"/kv/ns/k", nil).refused(http.StatusNotFound, "notFound")
}

type results struct {
	Items []struct {
		ID, OffsetID, Broker, Offset, Status string
		Queue                                int
	}
	Sent, Failed int
}

func TestSendingAndResending(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 4)
	w.topic("U", 1)
	var r results
	w.send(http.MethodPost, inCluster+"/topics/T/messages", map[string]any{
		"body": "aGk=", "encoding": "base64", "tags": "A", "keys": []string{"k"}, "properties": map[string]string{"p": "1"}, "shardingKey": "s", "count": 3,
	}).want(http.StatusOK, &r)
	if r.Sent != 3 || r.Items[0].Queue != r.Items[2].Queue || r.Items[0].Status != "SEND_OK" {
		t.Errorf("%+v", r)
	}
	w.sent("T", 3)
	var m struct {
		ID, Tags   string
		Keys       []string
		Properties map[string]string
		Body       struct{ Text string }
	}
	w.get(inCluster+"/messages/"+r.Items[0].OffsetID, &m)
	if m.Body.Text != "hi" || m.Tags != "A" || m.Keys[0] != "k" || m.Properties["p"] != "1" || m.ID != r.Items[0].ID {
		t.Errorf("%+v", m)
	}
	var one struct{ OffsetID, Status string }
	w.send(http.MethodPost, inCluster+"/messages/"+r.Items[0].OffsetID+"/resend", map[string]any{"to": "U"}).want(http.StatusOK, &one)
	w.get(inCluster+"/messages/"+one.OffsetID, &m)
	if m.Body.Text != "hi" || m.Properties["p"] != "1" || m.Properties["COMETMQ_REPLAY_OF"] != r.Items[0].OffsetID {
		t.Errorf("%+v", m)
	}
	w.get(inCluster+"/messages/"+r.Items[0].OffsetID+"/tracks", nil)

	// The same key is the same request: nothing is sent twice.
	for range 2 {
		w.send(http.MethodPost, inCluster+"/topics/U/messages", map[string]any{"body": "once"}, "Idempotency-Key", "K1").want(http.StatusOK, nil)
	}
	w.sent("U", 2)
	w.send(http.MethodPost, inCluster+"/topics/U/messages", map[string]any{"body": "other"}, "Idempotency-Key", "K1").refused(http.StatusUnprocessableEntity, "idempotencyKeyReused")

	for field, body := range map[string]map[string]any{
		"body": {"body": ""}, "encoding": {"body": "x", "encoding": "hex"}, "count": {"body": "x", "count": 101}, "delayMs": {"body": "x", "delayMs": 1, "delayLevel": 1},
		"properties": {"body": "x", "properties": map[string]string{"UNIQ_KEY": "x"}}, "broker": {"body": "x", "queue": 1},
		"queue": {"body": "x", "broker": "broker-a", "queue": 9}, "transaction": {"body": "x", "transaction": "maybe"},
	} {
		p := w.send(http.MethodPost, inCluster+"/topics/U/messages", body).refused(http.StatusBadRequest, "invalidParameter")
		if len(p.Fields) != 1 || p.Fields[0].Name != field {
			t.Errorf("%s: %+v", field, p)
		}
	}
	w.send(http.MethodPost, inCluster+"/topics/Nope/messages", map[string]any{"body": "x"}).refused(http.StatusNotFound, "topicNotFound")
}

func TestTransactionsOfTheDashboard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.send(http.MethodPost, inCluster+"/topics", map[string]any{"name": "TX", "messageType": "TRANSACTION", "readQueues": 1, "writeQueues": 1}).want(http.StatusCreated, nil)
	for _, outcome := range []string{"commit", "rollback", "unknown"} {
		var r results
		w.send(http.MethodPost, inCluster+"/topics/TX/messages", map[string]any{"body": outcome, "transaction": outcome}).want(http.StatusOK, &r)
		if r.Sent != 1 {
			t.Errorf("%+v", r)
		}
	}
	w.sent("TX", 1)
	if p := w.search("TX", ""); len(p.Items) != 1 || p.Items[0].Body.Text != "commit" {
		t.Errorf("%+v", p.bodies())
	}
	var half string
	w.eventually("the half message that nobody has decided", func() bool {
		var tx struct {
			Pending string
			Items   []struct {
				RealTopic string
				Message   struct {
					OffsetID string
					Body     struct{ Text string }
				}
			}
		}
		w.get(inCluster+"/transactions", &tx)
		for _, x := range tx.Items {
			if x.RealTopic == "TX" && x.Message.Body.Text == "unknown" {
				half = x.Message.OffsetID
			}
		}
		return half != ""
	})
	var s steps
	w.send(http.MethodPost, inCluster+"/transactions/resumeCheck", map[string]any{"offsetId": half}).want(http.StatusOK, &s)
	if len(s.Steps) != 1 || !s.Steps[0].Done {
		t.Errorf("%+v", s)
	}
}

type offsetPlan struct {
	DryRun         bool
	Method         string
	Online         *bool
	Again, Skipped string
	Items          []struct {
		Queue                                     int
		Min, Max, Current, Target, Again, Skipped string
		Done                                      bool
		Error                                     *struct{ Code string }
	}
}

func TestOffsetsArePlannedBeforeTheyAreMoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 2)
	for _, g := range []string{"G", "H"} {
		w.send(http.MethodPost, inCluster+"/groups", map[string]any{"name": g}).want(http.StatusCreated, nil)
	}
	for i := range 20 {
		w.put("T", i%2, "x", nil)
	}
	w.sent("T", 20)
	must(t, w.cluster.Broker(brokerAddr).CommitIndex(t.Context(), "G", "T", 0, 6))
	must(t, w.cluster.Broker(brokerAddr).CommitIndex(t.Context(), "G", "T", 1, 6))
	change := func(dry bool, body map[string]any) offsetPlan {
		t.Helper()
		body["topic"] = "T"
		var p offsetPlan
		w.send(http.MethodPatch, inCluster+"/groups/G/offsets?dryRun="+fmt.Sprint(dry), body).want(http.StatusOK, &p)
		return p
	}
	for _, c := range []struct {
		body           map[string]any
		target         string
		again, skipped string
	}{
		{map[string]any{"to": "earliest"}, "0", "12", "0"},
		{map[string]any{"to": "latest"}, "10", "0", "8"},
		{map[string]any{"to": "shift", "shift": "-2"}, "4", "4", "0"},
		{map[string]any{"to": "shift", "shift": "100"}, "10", "0", "8"},
		{map[string]any{"to": "offset", "offset": "7"}, "7", "0", "2"},
		{map[string]any{"to": "time", "time": 0}, "0", "12", "0"},
		{map[string]any{"to": "time", "time": time.Now().Add(time.Hour).UnixMilli()}, "10", "0", "8"},
	} {
		p := change(true, c.body)
		if !p.DryRun || p.Method != "commit" || len(p.Items) != 2 || p.Items[1].Target != c.target || p.Items[1].Current != "6" || p.Again != c.again || p.Skipped != c.skipped || p.Items[0].Done {
			t.Errorf("%v: %+v", c.body, p)
		}
	}
	p := change(false, map[string]any{"to": "earliest", "queues": []map[string]any{{"broker": "broker-a", "queue": 1}}})
	if len(p.Items) != 1 || !p.Items[0].Done {
		t.Errorf("%+v", p)
	}
	var l struct {
		Items []struct {
			Queue     int
			Committed string
		}
	}
	w.get(inCluster+"/groups/G/offsets?topic=T", &l)
	if len(l.Items) != 2 || l.Items[0].Committed != "6" || l.Items[1].Committed != "0" {
		t.Errorf("%+v", l)
	}
	if p = change(true, map[string]any{"to": "group", "group": "H"}); p.Items[0].Error == nil || p.Items[0].Error.Code != "noOffset" {
		t.Errorf("%+v", p)
	}
	for _, body := range []map[string]any{{"to": "moon"}, {"to": "time"}, {"to": "offset", "offset": "-1"}, {"to": "shift"}, {"to": "group"}} {
		body["topic"] = "T"
		w.send(http.MethodPatch, inCluster+"/groups/G/offsets", body).refused(http.StatusBadRequest, "invalidParameter")
	}
	w.send(http.MethodPatch, inCluster+"/groups/Nope/offsets", map[string]any{"topic": "T", "to": "latest"}).refused(http.StatusNotFound, "groupNotFound")
	w.send(http.MethodPut, inCluster+"/groups/G/requestMode", map[string]any{"topic": "T", "mode": "POP"}).want(http.StatusOK, nil)
	w.send(http.MethodPut, inCluster+"/groups/G/forbidden", map[string]any{"topic": "T", "forbidden": true}).want(http.StatusOK, nil)
	w.send(http.MethodDelete, inCluster+"/groups/G?dryRun=true", nil).want(http.StatusOK, nil)
	w.send(http.MethodDelete, inCluster+"/groups/G", nil).want(http.StatusOK, nil)
	w.send(http.MethodGet, inCluster+"/groups/G", nil).refused(http.StatusNotFound, "groupNotFound")
}

func TestDeadLettersAreListedWithTheirNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("%DLQ%G", 1)
	w.put("%DLQ%G", 0, "dead", map[string]string{"DLQ_ORIGIN_TOPIC": "T"})
	w.sent("%DLQ%G", 1)
	var l struct {
		Items []struct {
			Group, Topic, Messages string
			Brokers                []string
		}
	}
	w.get(inCluster+"/dlq", &l)
	if len(l.Items) != 1 || l.Items[0].Group != "G" || l.Items[0].Messages != "1" || l.Items[0].Brokers[0] != "broker-a" {
		t.Errorf("%+v", l)
	}
	w.get(inCluster+"/dlq?sort=-messages", &l)
	var p page
	w.get(inCluster+"/dlq/G/messages", &p)
	if len(p.Items) != 1 || p.Items[0].Body.Text != "dead" {
		t.Errorf("%+v", p)
	}
}

func TestTraceOfAMessageTheDashboardHasSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 1)
	var r results
	w.send(http.MethodPost, inCluster+"/topics/T/messages", map[string]any{"body": "x", "keys": []string{"key1"}, "trace": true}).want(http.StatusOK, &r)
	if r.Sent != 1 {
		t.Fatalf("%+v", r)
	}
	for _, path := range []string{r.Items[0].ID + "/trace?topic=T", r.Items[0].OffsetID + "/trace", "key1/trace?by=key"} {
		w.eventually("a trace for "+path, func() bool {
			var tr struct {
				Items []struct {
					Type, MsgID, Topic, OffsetID string
					Success                      bool
				}
			}
			w.get(inCluster+"/messages/"+path, &tr)
			return len(tr.Items) == 1 && tr.Items[0].Type == "pub" && tr.Items[0].MsgID == r.Items[0].ID && tr.Items[0].Success && tr.Items[0].OffsetID == r.Items[0].OffsetID
		})
	}
	w.send(http.MethodGet, inCluster+"/messages/x/trace?by=name", nil).refused(http.StatusBadRequest, "invalidParameter")
}
