package httpapi_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/cometmq/cometmq/internal/api/httpapi"
	"github.com/cometmq/cometmq/internal/mq"
)

// haunted is a cluster in which a broker is registered that does not live.
type haunted struct{ mq.Cluster }

type hauntedNames struct{ mq.NameServerAdmin }

const deadAddr = "127.0.0.1:10999"

func (h haunted) NameServer(addr string) mq.NameServerAdmin {
	return hauntedNames{h.Cluster.NameServer(addr)}
}

func (h hauntedNames) ClusterInfo(ctx context.Context) (mq.ClusterInfo, error) {
	info, err := h.NameServerAdmin.ClusterInfo(ctx)
	if err == nil {
		info.Clusters["DefaultCluster"] = append(info.Clusters["DefaultCluster"], "broker-b")
		info.Brokers["broker-b"] = mq.BrokerSet{Cluster: "DefaultCluster", Name: "broker-b", Addrs: map[int64]string{0: deadAddr}}
	}
	return info, err
}

func TestDeadBrokerEmptiesNoPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 1)
	w.send(http.MethodPost, inCluster+"/groups", map[string]any{"name": "G"}).want(http.StatusCreated, nil)
	w.open(func(o *httpapi.Options) { o.Cluster = haunted{w.cluster} })
	for path, rows := range map[string]int{"/topics": 1, "/groups": 1, "/brokers": 2, "/groups/G/lag": 0, "/producers": 0, "/dlq": 0, "": 0, "/groups/G/clients": 0} {
		var l struct {
			Partial bool
			Items   []struct{ Reachable bool }
			Errors  []struct{ Node, Code, Detail string }
		}
		w.get(inCluster+path, &l)
		if !l.Partial || len(l.Errors) != 1 || l.Errors[0].Node != "broker-b:0" || l.Errors[0].Code == "" || l.Errors[0].Detail == "" || len(l.Items) != rows {
			t.Errorf("%s: %+v", path, l)
		}
	}
	var h struct {
		Verdict string
		Checks  []struct{ Rule, Level, Node string }
	}
	if w.get(inCluster+"/health", &h); h.Verdict != "fault" {
		t.Errorf("%+v", h)
	}
	// What can be done is done, and the answer says what could not.
	var s struct {
		Partial bool
		Steps   []struct {
			Node  string
			Done  bool
			Error *struct{ Code string }
		}
	}
	w.send(http.MethodPost, inCluster+"/groups", map[string]any{"name": "H"}).want(http.StatusCreated, &s)
	if !s.Partial || len(s.Steps) != 2 || !s.Steps[0].Done || s.Steps[1].Done || s.Steps[1].Error == nil {
		t.Errorf("%+v", s)
	}
	var log struct{ Items []struct{ Result string } }
	if w.get("/audit?action=createGroup", &log); len(log.Items) != 1 || log.Items[0].Result != "partial" {
		t.Errorf("%+v", log)
	}
	w.send(http.MethodGet, inCluster+"/brokers/broker-b/0", nil).want(http.StatusBadGateway, nil)
}
