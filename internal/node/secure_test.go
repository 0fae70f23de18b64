package node

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/certificate"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/controller/raftlog"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/certs"
)

// tlsKeys are the keys of a process with a certificate, which checks others.
func tlsKeys(dir, mode string) map[string]string {
	at := func(name string) string { return filepath.Join(dir, name) }
	return map[string]string{
		"tls.server.mode": mode, "tls.server.certPath": at("server.pem"), "tls.server.keyPath": at("server.key"), "tls.server.trustCertPath": at("ca.pem"),
		"tls.client.certPath": at("client.pem"), "tls.client.keyPath": at("client.key"), "tls.client.trustCertPath": at("ca.pem"),
	}
}

// secureOptions are options with the keys set for both roles.
func (w *world) secureOptions(set map[string]string) Options {
	w.tb.Helper()
	o := w.options(set)
	flags := maps.Clone(set)
	flags["bindAddress"] = "127.0.0.1"
	maps.DeleteFunc(flags, func(k, _ string) bool {
		return !strings.HasPrefix(k, "tls.") && k != "bindAddress" || k == "tls.ha.enable"
	})
	ns, _, err := config.LoadNamesrv(config.Sources{Flags: flags, Host: &host})
	must(w.tb, err)
	o.Namesrv = ns
	return o
}

// dialer reaches what runs in w as a client with the certificates in dir.
func (w *world) dialer(dir string) bench.Dialer {
	w.tb.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	k, err := certificate.Open(certificate.Options{Client: certificate.Files{Cert: at("client.pem"), Key: at("client.key"), Trust: at("ca.pem")}})
	must(w.tb, err)
	return bench.Dialer(k.Dial(w.net.Dial))
}

// TestModesOfTLS sends and consumes with and without, and sees that the broker finds its name server.
func TestModesOfTLS(t *testing.T) {
	t.Parallel()
	dir, _ := certs.Folder(t)
	for mode, want := range map[string]struct{ plain, secure bool }{
		"permissive": {true, true}, "enforcing": {false, true}, "disabled": {true, false},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				keys := tlsKeys(dir, mode)
				keys["tls.server.need.client.auth"] = "require"
				n := w.start(w.secureOptions(keys))
				for _, c := range []struct {
					name string
					dial bench.Dialer
					ok   bool
				}{{"plain", w.net.Dial, want.plain}, {"secure", w.dialer(dir), want.secure}} {
					r, err := bench.RouteOf(t.Context(), c.dial, n.NamesrvAddr(), "TBW102")
					if c.ok && (err != nil || len(r.Write) == 0) || !c.ok && err == nil {
						t.Errorf("%s: the route: %v", c.name, err)
					}
					v, err := bench.RunVerify(t.Context(), bench.Options{
						Broker: n.BrokerAddr(), Topic: "t_" + c.name, Group: "g_" + c.name, Queues: 2, Size: 1024, Count: 200, Window: 16, Create: true, Dial: c.dial,
					})
					if c.ok && (err != nil || !v.OK() || v.Consumed.Messages != 200) || !c.ok && err == nil {
						t.Errorf("%s: a round trip: %+v, %v", c.name, v, err)
					}
				}
				must(t, n.Shutdown(t.Context()))
				w.free()
			})
		})
	}
}

// TestDefaultsTakeTLSAsJava: no key is set, and a client that checks nothing is served.
func TestDefaultsTakeTLSAsJava(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.start(w.options(nil))
		k, err := certificate.Open(certificate.Options{})
		must(t, err)
		if r, err := bench.RouteOf(t.Context(), bench.Dialer(k.Dial(w.net.Dial)), n.NamesrvAddr(), "TBW102"); err != nil || len(r.Write) == 0 {
			t.Errorf("%v", err)
		}
		must(t, n.Shutdown(t.Context()))
	})
}

// TestClientsMustBeKnown: mTLS refuses who shows nothing and who shows something of another authority.
func TestClientsMustBeKnown(t *testing.T) {
	t.Parallel()
	dir, _ := certs.Folder(t)
	other, _ := certs.Folder(t)
	w := newWorld(t)
	keys := tlsKeys(dir, "enforcing")
	keys["tls.server.need.client.auth"] = "require"
	n := w.start(w.secureOptions(keys))
	at := func(dir, name string) string { return filepath.Join(dir, name) }
	for name, f := range map[string]certificate.Files{
		"no certificate": {Trust: at(dir, "ca.pem")},
		"of another":     {Cert: at(other, "client.pem"), Key: at(other, "client.key"), Trust: at(dir, "ca.pem")},
	} {
		k, err := certificate.Open(certificate.Options{Client: f})
		must(t, err)
		if _, err = bench.RouteOf(t.Context(), bench.Dialer(k.Dial(w.net.Dial)), n.BrokerAddr(), "TBW102"); err == nil {
			t.Errorf("%s: served", name)
		}
	}
	must(t, n.Shutdown(t.Context()))
}

// TestStartSaysWhatIsWrongWithCertificates and leaves nothing behind.
func TestStartSaysWhatIsWrongWithCertificates(t *testing.T) {
	t.Parallel()
	dir, _ := certs.Folder(t)
	w := newWorld(t)
	keys := tlsKeys(dir, "permissive")
	keys["tls.server.keyPath"] = filepath.Join(dir, "client.key")
	if _, err := Start(t.Context(), w.secureOptions(keys)); err == nil || !strings.Contains(err.Error(), "not the key of the certificate") {
		t.Errorf("%v", err)
	}
	w.free()
}

// TestPageIsEncrypted: https with figures about the certificate; plain http is told so.
func TestPageIsEncrypted(t *testing.T) {
	t.Parallel()
	dir, _ := certs.Folder(t)
	w := newWorld(t)
	keys := tlsKeys(dir, "enforcing")
	n := w.start(w.secureOptions(keys))
	get := func(secure bool) (int, string) {
		t.Helper()
		nc, err := w.net.Dial(t.Context(), "tcp", n.MetricsAddr())
		must(t, err)
		if secure {
			nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
		}
		defer func() { _ = nc.Close() }()
		_, err = io.WriteString(nc, "GET /metrics HTTP/1.0\r\n\r\n")
		must(t, err)
		r, err := http.ReadResponse(bufio.NewReader(nc), nil)
		must(t, err)
		defer func() { _ = r.Body.Close() }()
		b, err := io.ReadAll(r.Body)
		must(t, err)
		return r.StatusCode, string(b)
	}
	if code, body := get(true); code != http.StatusOK || !strings.Contains(body, `cometmq_tls_certificate_expires_seconds{role="broker",side="server"}`) ||
		!strings.Contains(body, `cometmq_tls_reload_failures_total{role="namesrv",side="client"} 0`) {
		t.Errorf("%d\n%s", code, body)
	}
	if url := n.MetricsURL(); url != "https://"+n.MetricsAddr()+"/metrics" {
		t.Error(url)
	}
	if code, body := get(false); code != http.StatusBadRequest || !strings.Contains(body, "https") {
		t.Errorf("%d %s", code, body)
	}
	must(t, n.Shutdown(t.Context()))
}

// TestSlaveOverTLS copies the log and the tables; a slave without TLS is refused with a line that says why.
func TestSlaveOverTLS(t *testing.T) {
	t.Parallel()
	dir, _ := certs.Folder(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := tlsKeys(dir, "enforcing")
		keys["tls.server.need.client.auth"], keys["tls.ha.enable"] = "require", "true"
		master := maps.Clone(keys)
		master["brokerRole"], master["inSyncReplicas"] = "SYNC_MASTER", "2"
		m := w.start(w.secureOptions(master))
		s := w.slave("/slave", keys)
		time.Sleep(15 * time.Second)
		v, err := bench.RunVerify(t.Context(), bench.Options{
			Broker: m.BrokerAddr(), Topic: "topic", Group: "g", Queues: 2, Size: 200, Count: 100, Window: 16, Create: true, Dial: w.dialer(dir),
		})
		if err != nil || !v.OK() {
			t.Fatalf("%+v, %v\n%s", v, err, &w.diary)
		}
		time.Sleep(15 * time.Second)
		if a, b := m.broker.now().store.Appended(), s.broker.now().store.Appended(); a != b || a == 0 {
			t.Errorf("the logs end at %d and %d", a, b)
		}
		mt, _, _ := m.broker.now().core.Topics(t.Context())
		if st, _, _ := s.broker.now().core.Topics(t.Context()); len(st) != len(mt) {
			t.Errorf("%d topics, %d at the slave", len(mt), len(st))
		}
		must(t, s.Shutdown(t.Context()))

		delete(keys, "tls.ha.enable")
		keys["listenPort"] = "10931"
		s = w.slave("/other", keys)
		time.Sleep(15 * time.Second)
		if w.diary.last("the peer does not use TLS") < 0 {
			t.Errorf("not said:\n%s", &w.diary)
		}
		if got := s.broker.now().store.Appended(); got != 0 {
			t.Errorf("a slave without TLS has %d bytes", got)
		}
		must(t, s.Shutdown(t.Context()))
		must(t, m.Shutdown(t.Context()))
	})
}

// TestControllersOverTLS: three controllers elect a leader and a broker finds its role, all of it encrypted; a controller without TLS does
// not get in.
func TestControllersOverTLS(t *testing.T) {
	t.Parallel()
	dir, _ := certs.Folder(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const peers = "n0-127.0.0.1:9878;n1-127.0.0.1:9879;n2-127.0.0.1:9880"
		start := func(id string, keys map[string]string) *Node {
			t.Helper()
			flags := map[string]string{"bindAddress": "127.0.0.1", "controllerDLegerGroup": "g", "controllerDLegerPeers": peers, "controllerDLegerSelfId": id}
			maps.Copy(flags, keys)
			c, _, err := config.LoadController(config.Sources{Host: &host, Flags: flags})
			must(t, err)
			return w.start(Options{
				Controller: c, ControllerMemory: new(raftlog.Memory), FS: w.fs, Dial: w.net.Dial, Listen: w.options(nil).Listen,
				Log: slog.New(slog.NewTextHandler(&w.diary, nil)),
			})
		}
		keys := tlsKeys(dir, "enforcing")
		keys["tls.server.need.client.auth"] = "require"
		nodes := []*Node{start("n0", keys), start("n1", keys)}
		o := w.options(maps.Clone(keys))
		o.Namesrv = nil
		b, _, err := config.LoadBroker(config.Sources{Host: &host, Flags: with(o.Broker.Set, map[string]string{
			"enableControllerMode": "true", "controllerAddr": "127.0.0.1:9878;127.0.0.1:9879;127.0.0.1:9880", "namesrvAddr": "",
		})})
		must(t, err)
		o.Broker = b
		broker := w.start(o)
		time.Sleep(20 * time.Second)
		if k := broker.broker.now().now().Kind; k != SyncMaster {
			t.Errorf("the broker is %v\n%s", k, &w.diary)
		}
		plain := start("n2", map[string]string{"tls.server.mode": "disabled"})
		time.Sleep(10 * time.Second)
		cl := remoting.NewClient(remoting.ClientOptions{Dial: w.net.Dial})
		r, err := cl.Invoke(t.Context(), plain.ControllerAddr(), &remoting.Command{Code: protocol.ReqControllerGetMetadataInfo})
		if err == nil && r.Ext["controllerLeaderAddress"] != "" {
			t.Errorf("a controller without TLS has joined: %v", r.Ext)
		}
		if _, err = cl.Invoke(t.Context(), nodes[0].ControllerAddr(), &remoting.Command{Code: protocol.ReqControllerGetMetadataInfo}); err == nil {
			t.Error("a plain request is answered")
		}
		cl.Close()
		must(t, broker.Shutdown(t.Context()))
		for _, n := range append(nodes, plain) {
			must(t, n.Shutdown(t.Context()))
		}
	})
}

// with is the values of set and more.
func with(set map[string]config.Setting, more map[string]string) map[string]string {
	out := map[string]string{}
	for k, s := range set {
		out[k] = s.Value
	}
	maps.Copy(out, more)
	return out
}

// TestNothingBlocksAccepting: a peer that says nothing on any port keeps nobody else out.
func TestNothingBlocksAccepting(t *testing.T) {
	t.Parallel()
	dir, _ := certs.Folder(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.start(w.secureOptions(tlsKeys(dir, "enforcing")))
		var silent []net.Conn
		for range 20 {
			for _, addr := range []string{n.NamesrvAddr(), n.BrokerAddr(), n.MetricsAddr()} {
				nc, err := w.net.Dial(t.Context(), "tcp", addr)
				must(t, err)
				_, err = io.WriteString(nc, "\x16\x03\x01")
				must(t, err)
				silent = append(silent, nc)
			}
		}
		if _, err := bench.RouteOf(t.Context(), w.dialer(dir), n.NamesrvAddr(), "TBW102"); err != nil {
			t.Error(err)
		}
		for _, nc := range silent {
			_ = nc.Close()
		}
		must(t, n.Shutdown(t.Context()))
	})
}

// TestNewCertificatesLeaveConnectionsAlone: the files change under a running node; who is connected stays, who comes sees the new one.
func TestNewCertificatesLeaveConnectionsAlone(t *testing.T) {
	t.Parallel()
	dir, a := certs.Folder(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.start(w.secureOptions(tlsKeys(dir, "enforcing")))
		shown := ""
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := w.dialer(dir)(ctx, network, addr)
			if tc, ok := nc.(*tls.Conn); ok {
				shown = tc.ConnectionState().PeerCertificates[0].Subject.CommonName
			}
			return nc, err
		}
		before := remoting.NewClient(remoting.ClientOptions{Dial: dial, IdleTimeout: -1})
		ping := func(c *remoting.Client) string {
			r, err := c.Invoke(t.Context(), n.BrokerAddr(), &remoting.Command{Code: protocol.ReqGetBrokerRuntimeInfo})
			must(t, err)
			return fmt.Sprint(r.Code)
		}
		if got := ping(before); got != "0" || shown != "server" {
			t.Fatalf("code %s, certificate %q", got, shown)
		}
		cert, key := a.Issue(t, "renewed", certs.FarAway)
		certs.Write(t, filepath.Join(dir, "server.pem"), cert)
		certs.Write(t, filepath.Join(dir, "server.key"), key)
		time.Sleep(5 * time.Second)
		shown = "the connection of before"
		if got := ping(before); got != "0" || shown != "the connection of before" {
			t.Errorf("code %s over %s", got, shown)
		}
		after := remoting.NewClient(remoting.ClientOptions{Dial: dial})
		if got := ping(after); got != "0" || shown != "renewed" {
			t.Errorf("code %s, certificate %q", got, shown)
		}
		before.Close()
		after.Close()
		must(t, n.Shutdown(t.Context()))
	})
}

// TestSignaturesCountUnderTLS, too.
func TestSignaturesCountUnderTLS(t *testing.T) {
	t.Parallel()
	dir, _ := certs.Folder(t)
	w := newWorld(t)
	keys := tlsKeys(dir, "enforcing")
	maps.Copy(keys, accessKeys)
	n := w.start(w.secureOptions(keys))
	for secret, want := range map[string]string{"root-secret": "0 ", "guess": "16 check signature failed."} {
		c := remoting.NewClient(remoting.ClientOptions{Dial: w.dialer(dir), Sign: (&auth.Credentials{AccessKey: "root", SecretKey: secret}).Sign})
		if got := ask(t, c, sendTo("orders")); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		c.Close()
	}
	must(t, n.Shutdown(t.Context()))
}
