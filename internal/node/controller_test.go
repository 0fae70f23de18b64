package node

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// TestControllerInNameServer: one file, two servers; brokers and tools find the controller at the address in the list.
func TestControllerInNameServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ns, _, err := config.LoadNamesrv(config.Sources{Host: &host, Flags: map[string]string{
			"bindAddress": "127.0.0.1", "enableControllerInNamesrv": "true", "controllerDLegerGroup": "group1",
			"controllerDLegerPeers": "n0-127.0.0.1:9878", "controllerDLegerSelfId": "n0",
		}})
		must(t, err)
		o := Options{
			Namesrv: ns, ControllerMemory: new(raftlog.Memory), FS: w.fs, Dial: w.net.Dial, Log: slog.New(slog.NewTextHandler(&w.diary, nil)),
			Listen: w.options(nil).Listen,
		}
		n := w.start(o)
		if n.NamesrvAddr() != nsAddr || n.ControllerAddr() != "127.0.0.1:9878" {
			t.Errorf("name server %s, controller %s", n.NamesrvAddr(), n.ControllerAddr())
		}
		time.Sleep(time.Second)
		cl := remoting.NewClient(remoting.ClientOptions{Dial: w.net.Dial})
		r, err := cl.Invoke(t.Context(), n.ControllerAddr(), &remoting.Command{Code: protocol.ReqControllerGetMetadataInfo})
		must(t, err)
		if r.Ext["controllerLeaderAddress"] != n.ControllerAddr() || r.Ext["isLeader"] != "true" || r.Ext["group"] != "group1" {
			t.Errorf("%v", r.Ext)
		}
		r, err = cl.Invoke(t.Context(), nsAddr, &remoting.Command{Code: protocol.ReqGetNamesrvConfig})
		must(t, err)
		if !strings.Contains(string(r.Body), "enableControllerInNamesrv=true") {
			t.Errorf("%s", r.Body)
		}
		cl.Close()
		must(t, n.Shutdown(t.Context()))
		w.free()
	})
}

// TestPortOfAControllerIsTaken: the name server is stopped again, and the error says whose port it is.
func TestPortOfAControllerIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, _, err := config.LoadController(config.Sources{Host: &host, Flags: map[string]string{
			"bindAddress": "127.0.0.1", "controllerDLegerGroup": "g", "controllerDLegerPeers": "n0-127.0.0.1:9878", "controllerDLegerSelfId": "n0",
		}})
		must(t, err)
		l, err := w.net.Listen("127.0.0.1:9878")
		must(t, err)
		o := w.options(nil)
		o.Broker, o.Controller, o.ControllerMemory = nil, c, new(raftlog.Memory)
		if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "port 9878 of controller n0") {
			t.Error(err)
		}
		must(t, l.Close())
		w.free()
	})
}
