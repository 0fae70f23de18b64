package conformance

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/api/httpapi"
	"github.com/cometmq/cometmq/internal/cluster"
)

// console is the dashboard over the cluster of a case.
type console struct {
	*env
	api  *httpapi.API
	csrf string
}

func (e *env) console() *console {
	e.Helper()
	k := cluster.New(cluster.Options{NameServers: []string{e.cluster.NS}})
	e.Cleanup(k.Close)
	api, err := httpapi.New(httpapi.Options{Cluster: k, Auth: httpapi.AuthNone})
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() {
		if err := api.Close(); err != nil {
			e.Error(err)
		}
	})
	c := &console{env: e, api: api}
	var s struct{ CSRFToken string }
	c.ask(http.MethodGet, "/session", "", http.StatusOK, &s)
	c.csrf = s.CSRFToken
	return c
}

// raw makes a request below /api/v1.
func (c *console) raw(method, path, body string) *httptest.ResponseRecorder {
	c.Helper()
	var in io.Reader = http.NoBody
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(c.Context(), method, "/api/v1"+path, in)
	r.Host = "localhost"
	r.Header.Set("X-CSRF-Token", c.csrf)
	w := httptest.NewRecorder()
	c.api.ServeHTTP(w, r)
	return w
}

// ask wants a status and reads the answer.
func (c *console) ask(method, path, body string, status int, into any) {
	c.Helper()
	w := c.raw(method, path, body)
	if w.Code != status {
		c.Fatalf("%s %s: %d: %s", method, path, w.Code, w.Body)
	}
	if into != nil {
		if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(into); err != nil {
			c.Fatalf("%s %s: %v: %s", method, path, err, w.Body)
		}
	}
}

// soon is eventually with more patience: a case is many requests.
func (c *console) soon(what string, f func() bool) {
	c.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			c.Fatalf("not within a minute: %s", what)
		}
	}
}

const dashboardCluster = "/clusters/DefaultCluster"

type dashboardPage struct {
	Items []struct {
		ID, OffsetID, Offset string
		Body                 struct{ Text string }
	}
	Done bool
}

var dashboardCases = []testCase{
	{"the pages of a cluster", func(e *env) {
		e.create(2)
		c := e.console()
		for _, path := range []string{
			"/clusters", dashboardCluster, dashboardCluster + "/health", dashboardCluster + "/brokers", dashboardCluster + "/brokers/broker-a/0",
			dashboardCluster + "/brokers/broker-a/0/config", dashboardCluster + "/brokers/broker-a/0/ha", dashboardCluster + "/brokers/broker-a/0/timer",
			dashboardCluster + "/brokers/broker-a/0/consumeStats", dashboardCluster + "/brokers/broker-a/0/coldCtr", dashboardCluster + "/nameservers",
			dashboardCluster + "/nameservers/" + e.cluster.NS + "/config", dashboardCluster + "/topics?type=all", dashboardCluster + "/groups?type=all",
			dashboardCluster + "/topics/" + e.topic, dashboardCluster + "/topics/" + e.topic + "/route", dashboardCluster + "/topics/" + e.topic + "/stats",
			dashboardCluster + "/topics/" + e.topic + "/groups", dashboardCluster + "/producers", dashboardCluster + "/clients", dashboardCluster + "/dlq",
			dashboardCluster + "/delayed", dashboardCluster + "/transactions", dashboardCluster + "/controllers",
		} {
			c.ask(http.MethodGet, path, "", http.StatusOK, nil)
		}
		var b struct {
			Broker struct{ Product, Version, Role string }
		}
		c.ask(http.MethodGet, dashboardCluster+"/brokers/broker-a/0", "", http.StatusOK, &b)
		want := "cometmq"
		if *kind == "java" {
			want = "java"
		}
		if b.Broker.Product != want || b.Broker.Role != "master" || b.Broker.Version == "" {
			e.Errorf("%+v", b)
		}
	}},
	{"a topic is made, changed as it was read, and deleted", func(e *env) {
		c := e.console()
		path := dashboardCluster + "/topics/" + e.topic
		c.ask(http.MethodPost, dashboardCluster+"/topics", `{"name":"`+e.topic+`","messageType":"FIFO","readQueues":2,"writeQueues":2}`, http.StatusCreated, nil)
		c.ask(http.MethodPost, dashboardCluster+"/topics", `{"name":"`+e.topic+`"}`, http.StatusConflict, nil)
		c.ask(http.MethodPut, path, `{"readQueues":3}`, http.StatusOK, nil)
		var d struct {
			Type    string
			Configs []struct{ ReadQueues, WriteQueues, Perm int }
		}
		c.ask(http.MethodGet, path, "", http.StatusOK, &d)
		if d.Type != "FIFO" || len(d.Configs) != 1 || d.Configs[0].ReadQueues != 3 || d.Configs[0].WriteQueues != 2 || d.Configs[0].Perm != 6 {
			e.Errorf("%+v", d)
		}
		c.ask(http.MethodDelete, path, "", http.StatusOK, nil)
		c.soon("no broker has it", func() bool { return c.raw(http.MethodGet, path, "").Code == http.StatusNotFound })
	}},
	{"a message is sent and found in every way", func(e *env) {
		e.create(2)
		c := e.console()
		var r struct {
			Items []struct{ ID, OffsetID string }
		}
		body := `{"body":"{\"n\":1}","tags":"A","keys":["red"],"properties":{"p":"v"}}`
		c.ask(http.MethodPost, dashboardCluster+"/topics/"+e.topic+"/messages", body, http.StatusOK, &r)
		for _, path := range []string{
			"/topics/" + e.topic + "/messages", "/topics/" + e.topic + "/messages?order=oldest&tag=A", "/topics/" + e.topic + "/messages?sql=p%3D'v'",
			"/topics/" + e.topic + "/messages?json=$.n==1", "/topics/" + e.topic + "/messages?contains=n", "/messages?id=" + r.Items[0].OffsetID,
			"/messages?id=" + r.Items[0].ID + "&topic=" + e.topic, "/messages?key=red&topic=" + e.topic,
		} {
			c.soon(path, func() bool {
				var p dashboardPage
				c.ask(http.MethodGet, dashboardCluster+path, "", http.StatusOK, &p)
				return len(p.Items) == 1 && p.Items[0].OffsetID == r.Items[0].OffsetID && p.Items[0].Body.Text == `{"n":1}`
			})
		}
		c.ask(http.MethodGet, dashboardCluster+"/messages/"+r.Items[0].OffsetID+"/tracks", "", http.StatusOK, nil)
	}},
	{"a group is made, its offsets are planned and moved, and it is deleted", func(e *env) {
		e.create(1)
		c := e.console()
		group := dashboardCluster + "/groups/" + e.group
		c.ask(http.MethodPost, dashboardCluster+"/groups", `{"name":"`+e.group+`","retryMaxTimes":5}`, http.StatusCreated, nil)
		for range 5 {
			c.ask(http.MethodPost, dashboardCluster+"/topics/"+e.topic+"/messages", `{"body":"x"}`, http.StatusOK, nil)
		}
		type plan struct {
			Items []struct {
				Target, Max string
				Current     *string
				Done        bool
			}
		}
		move := func(query, to string) (p plan) {
			c.ask(http.MethodPatch, group+"/offsets"+query, `{"topic":"`+e.topic+`",`+to+`}`, http.StatusOK, &p)
			return p
		}
		c.soon("five messages in the queue", func() bool {
			p := move("?dryRun=true", `"to":"latest"`)
			return len(p.Items) == 1 && p.Items[0].Max == "5" && p.Items[0].Target == "5" && !p.Items[0].Done
		})
		if p := move("", `"to":"offset","offset":"3"`); len(p.Items) != 1 || !p.Items[0].Done {
			e.Errorf("%+v", p)
		}
		c.soon("the offset is 3", func() bool {
			p := move("?dryRun=true", `"to":"shift","shift":"-1"`)
			return len(p.Items) == 1 && p.Items[0].Current != nil && *p.Items[0].Current == "3" && p.Items[0].Target == "2"
		})
		var g struct {
			Lag     string
			Configs []struct{ RetryMaxTimes int }
		}
		c.ask(http.MethodGet, group, "", http.StatusOK, &g)
		if len(g.Configs) != 1 || g.Configs[0].RetryMaxTimes != 5 || g.Lag != "2" {
			e.Errorf("%+v", g)
		}
		c.ask(http.MethodDelete, group, "", http.StatusOK, nil)
		c.soon("no broker has it", func() bool { return c.raw(http.MethodGet, group, "").Code == http.StatusNotFound })
	}},
	{"who is connected is in the lists", func(e *env) {
		e.create(1)
		c := e.console()
		c.ask(http.MethodPost, dashboardCluster+"/groups", `{"name":"`+e.group+`"}`, http.StatusCreated, nil)
		e.heartbeat(e.b, "one", 1)
		c.soon("the group has a client", func() bool {
			var l struct {
				Items []struct {
					Name, Model, ConsumeType string
					Clients                  int
					Online                   bool
				}
			}
			c.ask(http.MethodGet, dashboardCluster+"/groups?q="+e.group, "", http.StatusOK, &l)
			return len(l.Items) == 1 && l.Items[0].Clients == 1 && l.Items[0].Online && l.Items[0].Model == "clustering" && l.Items[0].ConsumeType == "CONSUME_PASSIVELY"
		})
		var l struct {
			Known bool
			Items []struct {
				ID     string
				Groups []string
			}
		}
		c.ask(http.MethodGet, dashboardCluster+"/clients?kind=consumer&q=one%40"+e.group, "", http.StatusOK, &l)
		if !l.Known || len(l.Items) != 1 || len(l.Items[0].Groups) != 1 || l.Items[0].Groups[0] != e.group {
			e.Errorf("%+v", l)
		}
	}},
	{"dead letters are listed, sent again and purged", func(e *env) {
		e.create(1)
		c := e.console()
		dead, dlq := "%DLQ%"+e.group, dashboardCluster+"/dlq/"+e.group
		c.ask(http.MethodPost, dashboardCluster+"/topics", `{"name":"`+dead+`","readQueues":1,"writeQueues":1,"perm":6}`, http.StatusCreated, nil)
		c.soon("the topic takes messages", func() bool {
			return c.raw(http.MethodPost, dashboardCluster+"/topics/"+url.PathEscape(dead)+"/messages", `{"body":"x","properties":{"RETRY_TOPIC":"`+e.topic+`","p":"v"}}`).Code == http.StatusOK
		})
		c.soon("it is listed", func() bool {
			var l struct {
				Items []struct{ Group, Messages string }
			}
			c.ask(http.MethodGet, dashboardCluster+"/dlq?q="+e.group, "", http.StatusOK, &l)
			return len(l.Items) == 1 && l.Items[0].Group == e.group && l.Items[0].Messages == "1"
		})
		var j struct{ ID, State, Total, Failed string }
		c.ask(http.MethodPost, dlq+"/resend", `{}`, http.StatusAccepted, &j)
		c.soon("it was sent again", func() bool {
			c.ask(http.MethodGet, "/jobs/"+j.ID, "", http.StatusOK, &j)
			return j.State != "queued" && j.State != "running"
		})
		if j.State != "done" || j.Total != "1" || j.Failed != "0" {
			e.Errorf("%+v", j)
		}
		c.soon("the copy is where it came from, with its property", func() bool {
			var p dashboardPage
			c.ask(http.MethodGet, dashboardCluster+"/topics/"+e.topic+"/messages?property=p%3Dv", "", http.StatusOK, &p)
			return len(p.Items) == 1 && p.Items[0].Body.Text == "x"
		})
		c.ask(http.MethodPost, dlq+"/purge", "", http.StatusOK, nil)
		c.soon("it is gone", func() bool {
			var l struct{ Items []struct{ Group string } }
			c.ask(http.MethodGet, dashboardCluster+"/dlq?q="+e.group, "", http.StatusOK, &l)
			return len(l.Items) == 0
		})
	}},
}
