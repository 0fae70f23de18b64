package node

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/api/httpapi"
)

// ask fetches JSON from the dashboard of n.
func (w *world) ask(n *Node, path string, into any) {
	w.tb.Helper()
	tr := &http.Transport{DialContext: w.net.Dial, DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(w.tb.Context(), http.MethodGet, n.DashboardURL()+"api/v1"+path, http.NoBody)
	must(w.tb, err)
	resp, err := (&http.Client{Transport: tr}).Do(req)
	must(w.tb, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(w.tb, err)
	if resp.StatusCode != http.StatusOK {
		w.tb.Fatalf("%s\n%s", resp.Status, body)
	}
	must(w.tb, json.Unmarshal(body, into))
}

func TestDashboardSamplesItsBrokerAndEvaluatesAlerts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		o := w.options(nil)
		o.Dashboard = &Dashboard{Listen: "127.0.0.1:8082", Auth: httpapi.AuthNone, File: filepath.Join(dir, "console.db")}
		n := w.start(o)
		began := time.Now()
		time.Sleep(25 * time.Second) // the first figure of a rate is that of the tick after
		w.roundTrip(n, "Orders")
		time.Sleep(time.Minute)
		var a struct {
			Source string
			Series []struct {
				Labels map[string]string
				Values []*float64
			}
		}
		query := func(name string) {
			t.Helper()
			a.Series = nil
			w.ask(n, "/clusters/DefaultCluster/metrics/query?"+url.Values{
				"name": {name}, "step": {"10000"}, "from": {strconv.FormatInt(began.UnixMilli(), 10)},
			}.Encode(), &a)
			if len(a.Series) == 0 {
				t.Fatalf("%s: nothing was sampled", name)
			}
		}
		query("topic.in.tps")
		sum := 0.0
		for _, v := range a.Series[0].Values {
			if v != nil {
				sum += *v * 10
			}
		}
		if a.Source != "embedded" || a.Series[0].Labels["topic"] != "Orders" || sum < 0.9 {
			t.Errorf("%v messages: %+v", sum, a)
		}
		query("broker.master")
		query("process.memory")
		var rules struct{ Items []any }
		w.ask(n, "/alerts/rules", &rules)
		if len(rules.Items) == 0 {
			t.Error("there are no rules")
		}
		must(t, n.Shutdown(t.Context()))
	})
	if _, err := os.Stat(filepath.Join(dir, "series.db")); err != nil {
		t.Error(err)
	}
}

func TestDashboardSamplesAClusterFromOutside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cluster := w.start(w.options(nil))
		o := w.options(nil)
		o.Namesrv, o.Broker = nil, nil
		o.Dashboard = &Dashboard{
			Listen: "127.0.0.1:8082", Auth: httpapi.AuthNone, File: filepath.Join(dir, "console.db"), NameServers: []string{cluster.NamesrvAddr()},
		}
		n := w.start(o)
		w.roundTrip(cluster, "Orders")
		time.Sleep(25 * time.Second)
		for _, name := range []string{"broker.master", "broker.in.tps", "broker.disk.bytes", "topic.offset.max"} {
			var a struct {
				Series []struct{ Labels map[string]string }
			}
			w.ask(n, "/clusters/DefaultCluster/metrics/query?name="+name, &a)
			if len(a.Series) == 0 || a.Series[0].Labels["cluster"] != "DefaultCluster" {
				t.Errorf("%s: %+v", name, a)
			}
		}
		must(t, n.Shutdown(t.Context()))
		must(t, cluster.Shutdown(t.Context()))
	})
}
