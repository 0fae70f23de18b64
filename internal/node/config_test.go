package node

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/vfs"
)

const operatorsFile = "# ours, do not touch\nautoCreateTopicEnable = true\n\n# disk\nflushIntervalCommitLog=500\n"

func TestTheConfigurationChangesWhileTheBrokerRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		o := operated(t, w)
		n := w.start(o)
		c := w.caller(t)
		update := func(text string, code int32) string {
			t.Helper()
			r := c.call(brokerAddr, protocol.ReqUpdateBrokerConfig, nil, []byte(text))
			if r.Code != code {
				t.Errorf("%q: answered %d %q, want %d", text, r.Code, r.Remark, code)
			}
			return r.Remark
		}
		if r := c.send(brokerAddr, "one", 0, 1); r.Code != 0 {
			t.Fatalf("send: %d %s", r.Code, r.Remark)
		}

		remark := update("autoCreateTopicEnable=false\nmaxMessageSize=100\nflushIntervalCommitLog=77\nlogLevel=debug\nfileReservdTime=1\n", 0)
		for _, want := range []string{"flushIntervalCommitLog: it counts after the next start", "did you mean fileReservedTime?"} {
			if !strings.Contains(remark, want) {
				t.Errorf("remark %q, want %q in it", remark, want)
			}
		}
		if o.Level.Level() != slog.LevelDebug {
			t.Error("the level of the log is", o.Level.Level())
		}
		if r := c.send(brokerAddr, "two", 0, 1); r.Code != protocol.RespTopicNotExist {
			t.Errorf("a topic was created: %d %s", r.Code, r.Remark)
		}
		h := protocol.SendMessageRequestHeaderV2{
			ProducerGroup: "p", Topic: "one", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, BornTimestamp: 1, MaxReconsumeTimes: -1,
		}
		if r := c.call(brokerAddr, protocol.ReqSendMessageV2, &h, make([]byte, 101)); r.Code != protocol.RespMessageIllegal {
			t.Errorf("a large message: %d %s", r.Code, r.Remark)
		}
		file, err := vfs.ReadFile(w.mem, "/conf/broker.conf")
		want := "# ours, do not touch\nautoCreateTopicEnable=false\n\n# disk\nflushIntervalCommitLog=77\nlogLevel=debug\nmaxMessageSize=100\n"
		if err != nil || string(file) != want {
			t.Errorf("file %q, %v", file, err)
		}
		get := func() map[string]string {
			r := c.call(brokerAddr, protocol.ReqGetBrokerConfig, nil, nil)
			props, err := config.ParseProperties(r.Body)
			if r.Code != 0 || err != nil || !strings.Contains(r.Ext["version"], `"counter":`) {
				t.Errorf("%d %v %v", r.Code, r.Ext, err)
			}
			return props
		}
		if p := get(); p["flushIntervalCommitLog"] != "77" || p["maxMessageSize"] != "100" || p["brokerName"] != "broker-a" || p["putThreadPoolQueueCapacity"] == "" {
			t.Errorf("told %v", p)
		}
		log := w.diary.String()
		for _, want := range []string{
			`msg="configuration changed" role=broker broker=broker-a key=maxMessageSize old=4194304 new=100 effect=now peer=`,
			`msg="a change of the configuration was ignored" role=broker broker=broker-a key=fileReservdTime`,
		} {
			if !strings.Contains(log, want) {
				t.Errorf("no %s in the log", want)
			}
		}

		// Refused as a whole.
		update("maxMessageSize=200\nbrokerPermission=8\n", protocol.RespInvalidParameter)
		update("maxMessageSize=200\nrocketmqHome=/\n", protocol.RespNoPermission)
		if p := get(); p["maxMessageSize"] != "100" {
			t.Error("a part of a refused change was made")
		}

		// The name servers hear of the permission at once.
		update("brokerPermission=4\n", 0)
		time.Sleep(time.Second)
		if r, err := bench.RouteOf(t.Context(), w.net.Dial, nsAddr, "one"); err != nil || len(r.Write) != 0 {
			t.Errorf("route %+v, %v", r, err)
		}
		update("brokerPermission=6\n", 0)
		time.Sleep(time.Second)
		if r, err := bench.RouteOf(t.Context(), w.net.Dial, nsAddr, "one"); err != nil || len(r.Write) == 0 {
			t.Errorf("route %+v, %v", r, err)
		}

		// What was changed holds in the next role, too.
		must(t, n.Become(t.Context(), Role{Kind: Fenced, ID: -1, Why: "a test"}))
		must(t, n.Become(t.Context(), Role{Kind: Master}))
		if r := c.send(brokerAddr, "three", 0, 1); r.Code != protocol.RespTopicNotExist {
			t.Errorf("after a change of the role a topic was created: %d %s", r.Code, r.Remark)
		}
		update("autoCreateTopicEnable=true\ndefaultTopicQueueNums=3\n", 0)
		if r := c.send(brokerAddr, "three", 0, 1); r.Code != 0 {
			t.Errorf("topics are not created: %d %s", r.Code, r.Remark)
		}
		if cfg, err := n.broker.now().core.Topic(t.Context(), "three"); err != nil || cfg.WriteQueues != 3 {
			t.Errorf("%+v, %v", cfg, err)
		}
		must(t, n.Shutdown(t.Context()))
		w.free()
	})
}

func TestAConfigurationThatCannotBeStoredIsSaidSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		o := w.options(nil)
		o.Broker.Set = nil
		n := w.start(o)
		remark, err := n.broker.conf.SetProperties(t.Context(), map[string]string{"traceOn": "false"}, "a test")
		if err != nil || !strings.Contains(remark, "not stored") {
			t.Errorf("%q, %v", remark, err)
		}
		_, err = n.broker.conf.SetProperties(t.Context(), map[string]string{"traceOn": "perhaps"}, "a test")
		if mq.KindOf(err) != mq.KindInvalidParameter || !strings.Contains(err.Error(), "true or false") {
			t.Error(err)
		}
		must(t, n.Shutdown(t.Context()))
	})
}

// operated are the options of a broker that an operator's file configures.
func operated(t *testing.T, w *world) Options {
	t.Helper()
	must(t, w.mem.MkdirAll("/conf"))
	must(t, vfs.WriteFileAtomic(w.mem, "/conf/broker.conf", []byte(operatorsFile), false))
	o := w.options(nil)
	o.Broker.Process.ConfigPath, o.Broker.Set = "/conf/broker.conf", nil
	o.Level = new(slog.LevelVar)
	return o
}

// TestNameServersChangeWhileTheBrokerRuns: namesrvAddr counts at once, and the name server of the same process is always among them.
func TestNameServersChangeWhileTheBrokerRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.start(operated(t, w))
		const second = "127.0.0.2:9876"
		ns, _, err := config.LoadNamesrv(config.Sources{Flags: map[string]string{"bindAddress": "127.0.0.2", "kvConfigPath": "/2/kv.json", "configStorePath": "/2/ns.properties"}, Host: &host})
		must(t, err)
		o := w.options(nil)
		o.Namesrv, o.Broker = ns, nil
		other := w.start(o)
		c := w.caller(t)
		knows := func(addr string) bool {
			t.Helper()
			r := c.call(addr, protocol.ReqGetBrokerClusterInfo, nil, nil)
			return r.Code == 0 && strings.Contains(string(r.Body), brokerAddr)
		}
		update := func(text string, code int32) {
			t.Helper()
			if r := c.call(brokerAddr, protocol.ReqUpdateBrokerConfig, nil, []byte(text)); r.Code != code {
				t.Errorf("%q: answered %d %q, want %d", text, r.Code, r.Remark, code)
			}
			time.Sleep(5 * time.Second)
		}
		if time.Sleep(time.Second); !knows(nsAddr) || knows(second) {
			t.Error("at the start the broker is not known to its name server only")
		}
		update("namesrvAddr=nowhere", protocol.RespInvalidParameter)
		update("namesrvAddr="+second, 0)
		if !knows(nsAddr) || !knows(second) {
			t.Error("the broker is not known to the name server of its process and to the new one")
		}
		update("namesrvAddr="+nsAddr, 0)
		if !knows(nsAddr) || knows(second) {
			t.Error("the broker is known to a name server that it was told to leave")
		}
		file, err := vfs.ReadFile(w.mem, "/conf/broker.conf")
		if err != nil || !strings.Contains(string(file), "namesrvAddr="+nsAddr+"\n") || !strings.HasPrefix(string(file), "# ours, do not touch\n") {
			t.Errorf("file %q, %v", file, err)
		}
		must(t, other.Shutdown(t.Context()))
		must(t, n.Shutdown(t.Context()))
	})
}

// TestTheFileOfANameServerAndAControllerKeepsItsComments: a change is written into the operator's file, and nothing else of it changes.
func TestTheFileOfANameServerAndAControllerKeepsItsComments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		must(t, w.mem.MkdirAll("/conf"))
		files := map[string]string{
			"/conf/namesrv.conf": "# ours\nbindAddress=127.0.0.1\n\n# lists\nenableTopicList = true\n",
			"/conf/controller.conf": "# ours too\nbindAddress=127.0.0.1\ncontrollerDLegerGroup=g\ncontrollerDLegerPeers=n0-127.0.0.1:9878\n" +
				"controllerDLegerSelfId=n0\n! elections\nenableElectUncleanMaster=false\n",
		}
		source := func(name string) config.Sources {
			must(t, vfs.WriteFileAtomic(w.mem, name, []byte(files[name]), false))
			return config.Sources{Host: &host, File: name, ReadFile: func(name string) ([]byte, error) { return vfs.ReadFile(w.mem, name) }}
		}
		ns, _, err := config.LoadNamesrv(source("/conf/namesrv.conf"))
		must(t, err)
		ctl, _, err := config.LoadController(source("/conf/controller.conf"))
		must(t, err)
		o := w.options(nil)
		o.Namesrv, o.Controller, o.Broker, o.ControllerMemory = ns, ctl, nil, new(raftlog.Memory)
		n := w.start(o)
		time.Sleep(time.Second)
		cl := remoting.NewClient(remoting.ClientOptions{Dial: w.net.Dial})
		for _, c := range []struct {
			addr, name, text, want string
			code                   int32
		}{
			{
				nsAddr, "/conf/namesrv.conf", "enableTopicList=false\norderMessageEnable=TRUE\nnobodyKnows=1\n",
				"# ours\nbindAddress=127.0.0.1\n\n# lists\nenableTopicList=false\norderMessageEnable=true\n", protocol.ReqUpdateNamesrvConfig,
			},
			{
				n.ControllerAddr(), "/conf/controller.conf", "enableElectUncleanMaster=true\n",
				strings.Replace(files["/conf/controller.conf"], "Master=false", "Master=true", 1), protocol.ReqUpdateControllerConfig,
			},
		} {
			r, err := cl.Invoke(t.Context(), c.addr, &remoting.Command{Code: c.code, Body: []byte(c.text)})
			must(t, err)
			file, err := vfs.ReadFile(w.mem, c.name)
			if r.Code != 0 || err != nil || string(file) != c.want {
				t.Errorf("answered %d %q; file %q, %v, want %q", r.Code, r.Remark, file, err, c.want)
			}
		}
		cl.Close()
		must(t, n.Shutdown(t.Context()))
	})
}
