package node

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

var accessKeys = map[string]string{
	"authenticationEnabled": "true", "authorizationEnabled": "true", "innerClientAuthenticationCredentials": innerSecret,
	"initAuthenticationUser": `{"username":"root","password":"root-secret"}`,
}

// guarded is a process with a name server and a controller, and one with a broker that has both find it, all with access control.
func (w *world) guarded() (servers, broker *Node) {
	w.tb.Helper()
	flags := map[string]string{
		"bindAddress": "127.0.0.1", "enableControllerInNamesrv": "true", "controllerDLegerGroup": "g",
		"controllerDLegerPeers": "n0-127.0.0.1:9878", "controllerDLegerSelfId": "n0",
	}
	maps.Copy(flags, accessKeys)
	ns, _, err := config.LoadNamesrv(config.Sources{Host: &host, Flags: flags})
	must(w.tb, err)
	o := w.options(map[string]string{"enableControllerMode": "true", "controllerAddr": "127.0.0.1:9878"})
	servers = w.start(Options{
		Namesrv: ns, ControllerMemory: new(raftlog.Memory), FS: w.fs, Dial: w.net.Dial, Listen: o.Listen, Log: slog.New(slog.NewTextHandler(&w.diary, nil)),
	})
	b, _, err := config.LoadBroker(config.Sources{Host: &host, Flags: with(o.Broker.Set, accessKeys)})
	must(w.tb, err)
	o.Namesrv, o.Broker = nil, b
	return servers, w.start(o)
}

func askAt(t *testing.T, c *remoting.Client, addr string, cmd *remoting.Command) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := c.Invoke(ctx, addr, cmd)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", r.Code, r.Remark)
}

// TestNameServerAndControllerAskWhoIsThere: the broker signs by itself, others need what they are allowed.
func TestNameServerAndControllerAskWhoIsThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		servers, broker := w.guarded()
		time.Sleep(30 * time.Second)
		if k := broker.broker.now().now().Kind; k != SyncMaster {
			t.Errorf("the broker is %v: the controller has not let it in\n%s", k, &w.diary)
		}
		root, alice, nobody, guess := w.as("root", "root-secret"), w.as("alice", "of-alice"), w.as("", ""), w.as("root", "guess")
		const controller = "127.0.0.1:9878"
		user := (&protocol.UserInfo{Password: "of-alice"}).AppendTo(nil, false)
		policy := func(resource, action string) *remoting.Command {
			a := protocol.ACLInfo{Policies: []protocol.PolicyInfo{{Entries: []protocol.PolicyEntryInfo{{Resource: resource, Actions: []string{action}, Decision: "Allow"}}}}}
			return &remoting.Command{Code: 3006, Ext: map[string]string{"subject": "User:alice"}, Body: a.AppendTo(nil, false)}
		}
		route := func(topic string) *remoting.Command {
			return &remoting.Command{Code: protocol.ReqGetRouteInfoByTopic, Ext: map[string]string{"topic": topic}}
		}
		clusterInfo := &remoting.Command{Code: protocol.ReqGetBrokerClusterInfo}
		metadata := &remoting.Command{Code: protocol.ReqControllerGetMetadataInfo}
		for _, step := range []struct {
			name   string
			by     *remoting.Client
			addr   string
			cmd    *remoting.Command
			answer string // its begin
		}{
			{"a route, unsigned", nobody, nsAddr, route("TBW102"), "16 username cannot be null."},
			{"a route, guessed", guess, nsAddr, route("TBW102"), "16 check signature failed."},
			{"a route for a super user: the broker has registered", root, nsAddr, route("TBW102"), "0 "},
			{"a user of the name server", root, nsAddr, &remoting.Command{Code: 3001, Ext: map[string]string{"username": "alice"}, Body: user}, "0 "},
			{"not allowed yet", alice, nsAddr, route("TBW102"), "16 User:alice has no permission to access Topic:TBW102"},
			{"to make users", alice, nsAddr, &remoting.Command{Code: 3001, Ext: map[string]string{"username": "eve"}, Body: user}, "16 User:alice has no permission"},
			{"a policy", root, nsAddr, policy("Topic:TBW*", "Sub"), "0 "},
			{"allowed", alice, nsAddr, route("TBW102"), "0 "},
			{"what Java does not annotate", alice, nsAddr, clusterInfo, "16 User:alice has no permission to access Cluster:namesrv"},
			{"a policy to read", root, nsAddr, policy("Cluster:*", "Get"), "0 "},
			{"allowed to read", alice, nsAddr, clusterInfo, "0 "},
			{"not to write", alice, nsAddr, &remoting.Command{Code: protocol.ReqUpdateNamesrvConfig, Body: []byte("orderMessageEnable=true\n")}, "16 User:alice has no permission"},
			{"not to take a broker away", alice, nsAddr, &remoting.Command{Code: protocol.ReqWipeWritePermOfBroker, Ext: map[string]string{"brokerName": "broker-a"}}, "16 "},
			{"the controller, unsigned", nobody, controller, metadata, "16 username cannot be null."},
			{"the controller, which has the same users here", alice, controller, metadata, "0 "},
			{"to elect", alice, controller, &remoting.Command{Code: protocol.ReqControllerElectMaster, Ext: map[string]string{
				"clusterName": "DefaultCluster", "brokerName": "broker-a", "brokerId": "1", "designateElect": "true",
			}}, "16 User:alice has no permission"},
			{"to forget a broker", nobody, controller, &remoting.Command{Code: protocol.ReqCleanBrokerData}, "16 "},
		} {
			if got := askAt(t, step.by, step.addr, step.cmd); !strings.HasPrefix(got, step.answer) {
				t.Errorf("%s: %q, want %q", step.name, got, step.answer)
			}
		}
		for _, c := range []*remoting.Client{root, alice, nobody, guess} {
			c.Close()
		}
		must(t, broker.Shutdown(t.Context()))
		must(t, servers.Shutdown(t.Context()))
		if !w.exists("/home/namesrv/auth/auth.json") {
			t.Error("the name server keeps its users elsewhere")
		}
	})
}

// TestAStrangeBrokerIsNotRegistered: a broker without credentials, or with others, is refused by the name server.
func TestAStrangeBrokerIsNotRegistered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		o := w.options(nil)
		flags := maps.Clone(accessKeys)
		flags["bindAddress"] = "127.0.0.1"
		ns, _, err := config.LoadNamesrv(config.Sources{Host: &host, Flags: flags})
		must(t, err)
		o.Namesrv, o.Broker = ns, nil
		n := w.start(o)
		strange := w.options(map[string]string{"innerClientAuthenticationCredentials": `{"accessKey":"inner","secretKey":"another"}`})
		strange.Namesrv = nil
		b := w.start(strange)
		time.Sleep(time.Minute)
		if _, brokers := n.namesrv.ns.Counts(); brokers != 0 {
			t.Errorf("%d brokers", brokers)
		}
		if w.diary.last("check signature failed") < 0 {
			t.Errorf("the broker does not say why:\n%s", &w.diary)
		}
		must(t, b.Shutdown(t.Context()))
		must(t, n.Shutdown(t.Context()))
	})
}
