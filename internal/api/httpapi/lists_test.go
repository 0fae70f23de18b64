package httpapi_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/api/httpapi"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/series"
)

// consumer is a client of a group that consumes nothing and answers what brokers hand on to it.
func (w *world) consumer(id, group, topic string) {
	w.t.Helper()
	says := func(body string) remoting.Handler {
		return func(c *remoting.Conn, r *remoting.Request) {
			c.Reply(r.ReplyTo(), protocol.RespSuccess, "", nil, []byte(body))
		}
	}
	c := remoting.NewClient(remoting.ClientOptions{Dial: w.net.Dial, OnRequest: map[int32]remoting.Handler{
		protocol.ReqGetConsumerRunningInfo: says(`{"properties":{"PROP_CONSUMER_START_TIMESTAMP":"1700000000000"},"subscriptionSet":[],"mqTable":{},"statusTable":{},"jstack":"at work"}`),
		protocol.ReqConsumeMessageDirectly: says(`{"autoCommit":true,"consumeResult":"CR_LATER","order":false,"remark":"not today","spentTimeMills":3}`),
	}})
	w.t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	r, err := c.Invoke(ctx, brokerAddr, &remoting.Command{Code: protocol.ReqHeartBeat, Body: []byte(`{"clientID":"` + id + `","producerDataSet":[{"groupName":"P"}],` +
		`"consumerDataSet":[{"groupName":"` + group + `","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING",` +
		`"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","subscriptionDataSet":[{"topic":"` + topic + `","subString":"*"}]}]}`)})
	must(w.t, err)
	if r.Code != 0 {
		w.t.Fatalf("heartbeat: %d %s", r.Code, r.Remark)
	}
}

// groupRow is a row of the list of groups.
type groupRow struct {
	Name, Model, ConsumeType string
	Clients                  *int
	Online                   *bool
}

func (w *world) groupRow(name string) (g groupRow) {
	w.t.Helper()
	var l struct{ Items []groupRow }
	w.get(inCluster+"/groups", &l)
	for _, g := range l.Items {
		if g.Name == name {
			return g
		}
	}
	w.t.Fatalf("no group %s in %+v", name, l)
	return g
}

func (g groupRow) has(clients int, model, consumeType string) bool {
	return g.Clients != nil && *g.Clients == clients && g.Online != nil && *g.Online == (clients > 0) && g.Model == model && g.ConsumeType == consumeType
}

// silent is a cluster of brokers that count how often they are asked, and that tell consumers of one group at a time, as Java's do.
type silent struct {
	mq.Cluster
	asked *atomic.Int64
}

type silentBroker struct {
	mq.RemoteBroker
	asked *atomic.Int64
}

func (s silent) Broker(addr string) mq.RemoteBroker {
	return silentBroker{s.Cluster.Broker(addr), s.asked}
}

func (b silentBroker) AllClients(ctx context.Context) (mq.AllClients, error) {
	all, err := b.RemoteBroker.AllClients(ctx)
	all.Consumers = nil
	return all, err
}

func (b silentBroker) GroupsStats(ctx context.Context, ordered bool) (mq.GroupsStats, error) {
	b.asked.Add(1)
	return b.RemoteBroker.GroupsStats(ctx, ordered)
}

func TestListsTellWhoIsConnected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 1)
	for _, g := range []string{"G", "Idle"} {
		w.send("POST", inCluster+"/groups", map[string]any{"name": g}).want(201, nil)
	}
	w.consumer("me@1", "G", "T")
	w.consumer("me@2", "G", "T")
	look := func(who string) {
		t.Helper()
		w.eventually(who+" know the members of G", func() bool { return w.groupRow("G").has(2, "clustering", "CONSUME_PASSIVELY") })
		if g := w.groupRow("Idle"); !g.has(0, "", "") {
			t.Errorf("%s: %+v", who, g)
		}
		var l struct {
			Known bool
			Items []struct {
				ID, Kind string
				Groups   []string
			}
		}
		if w.get(inCluster+"/clients?kind=consumer&sort=id", &l); !l.Known || len(l.Items) != 2 || l.Items[0].ID != "me@1" || l.Items[0].Groups[0] != "G" {
			t.Errorf("%s: %+v", who, l)
		}
		if w.get(inCluster+"/clients?q=me%402&sort=id", &l); len(l.Items) != 2 {
			t.Errorf("%s: a producer and a consumer: %+v", who, l)
		}
	}
	look("our brokers")
	var c struct{ Capabilities struct{ ClientList bool } }
	if w.get(inCluster, &c); !c.Capabilities.ClientList {
		t.Error("our brokers list their clients, and the cluster does not say so")
	}
	w.open(func(o *httpapi.Options) { o.Cluster = silent{w.cluster, new(atomic.Int64)} })
	look("brokers that are asked by group")
}

func TestAClientIsAskedWhatItDoesAndToConsume(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 1)
	w.send("POST", inCluster+"/groups", map[string]any{"name": "G"}).want(201, nil)
	w.consumer("me@1", "G", "T")
	const group = inCluster + "/groups/G"
	var l struct {
		Items []struct{ ID, Address string }
	}
	if w.get(group+"/clients", &l); len(l.Items) != 1 || l.Items[0].ID != "me@1" || l.Items[0].Address == "" {
		t.Fatalf("%+v", l)
	}
	var subs struct{ Items []struct{ Topic string } }
	if w.get(group+"/subscriptions", &subs); len(subs.Items) != 1 || subs.Items[0].Topic != "T" {
		t.Errorf("%+v", subs)
	}
	info := w.get(group+"/clients/me@1/runningInfo?stack=true", nil)
	if !strings.Contains(info.Body.String(), "at work") {
		t.Errorf("%s", info.Body)
	}
	stored := w.put("T", 0, "x", nil)
	w.eventually("the message can be read", func() bool {
		return w.send("GET", inCluster+"/messages/"+stored.ID, nil).Code == 200
	})
	var d struct {
		Result, Remark string
		SpentMs        int
	}
	path := inCluster + "/messages/" + stored.ID + "/consumeDirectly"
	if w.send("POST", path, map[string]any{"group": "G", "clientId": "me@1"}).want(200, &d); d.Result != "CR_LATER" || d.Remark != "not today" || d.SpentMs != 3 {
		t.Errorf("%+v", d)
	}
	w.send("POST", path, map[string]any{"group": "G", "clientId": "gone"}).refused(409, "consumerNotOnline")
	w.send("POST", path, map[string]any{"group": "G"}).refused(400, "invalidParameter")
}

func TestPagesOfAListAskBrokersOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	asked := new(atomic.Int64)
	w.open(func(o *httpapi.Options) { o.Cluster = silent{w.cluster, asked} })
	began := time.Now()
	n := 0
	for ; n < 20; n++ {
		w.get(inCluster+"/groups?type=all&limit=1", nil)
	}
	// A machine that stalls makes it more: an answer is used for two seconds.
	if most := 1 + int64(time.Since(began)/time.Second); asked.Load() > most {
		t.Errorf("%d pages asked %d times", n, asked.Load())
	}
}

func TestTopicsTellWhatComesInAndWhoReadsThem(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 15, 0, 30, 0, time.Local)
	store := series.Open(series.Options{Path: filepath.Join(t.TempDir(), "s.db"), Now: func() time.Time { return now }, NoSync: true})
	defer store.Close()
	in := func(ago time.Duration, rate float64) {
		at := now.Add(-ago)
		store.Record(at, []series.Sample{{Name: "topic.in.tps", Labels: []string{"DefaultCluster", "busy"}, Value: rate}, {Name: "topic.in.tps", Labels: []string{"other", "idle"}, Value: 99}})
		must(t, store.Flush(at.Add(time.Minute)))
	}
	in(20*time.Hour, 1000) // yesterday
	in(10*time.Hour, 2)    // 2 a second for a minute
	in(20*time.Second, 7)  // and 7 a second for ten seconds
	with := func(own bool) func(o *httpapi.Options) {
		return func(o *httpapi.Options) { o.Metrics, o.OwnMetrics, o.Now = store, own, func() time.Time { return now } }
	}
	w := newWorld(t, with(true))
	for _, topic := range []string{"busy", "idle"} {
		w.topic(topic, 1)
	}
	for _, g := range []string{"G", "H"} {
		w.send("POST", inCluster+"/groups", map[string]any{"name": g}).want(201, nil)
		must(t, w.cluster.Broker(brokerAddr).CommitIndex(t.Context(), g, "busy", 0, 0))
	}
	type row struct {
		Name    string
		InTPS   *float64
		InToday *string
		Groups  *int
	}
	look := func() (busy, idle row) {
		t.Helper()
		var l struct{ Items []row }
		if w.get(inCluster+"/topics?sort=-inToday", &l); len(l.Items) != 2 {
			t.Fatalf("%+v", l)
		}
		return l.Items[0], l.Items[1]
	}
	busy, idle := look()
	if busy.Name != "busy" || busy.InTPS == nil || *busy.InTPS != 7 || busy.InToday == nil || *busy.InToday != "190" || busy.Groups == nil || *busy.Groups != 2 {
		t.Errorf("%+v", busy)
	}
	if idle.InTPS == nil || *idle.InTPS != 0 || idle.InToday == nil || *idle.InToday != "0" || idle.Groups == nil || *idle.Groups != 0 {
		t.Errorf("%+v", idle)
	}
	// From outside topics are sampled in turns: what was not sampled is not known.
	w.open(with(false))
	if busy, idle = look(); busy.InTPS == nil || *busy.InTPS != 7 || busy.InToday != nil || idle.InTPS != nil || idle.InToday != nil {
		t.Errorf("from outside: %+v %+v", busy, idle)
	}
}
