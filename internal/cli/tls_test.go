package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/node"
	"github.com/cometmq/cometmq/internal/testkit/certs"
)

// TestCommandsOverTLS has the commands that are clients work with a cluster that wants TLS and certificates.
func TestCommandsOverTLS(t *testing.T) {
	t.Parallel()
	dir, _ := certs.Folder(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	keys := map[string]string{
		"tls.server.mode": "enforcing", "tls.server.certPath": at("server.pem"), "tls.server.keyPath": at("server.key"), "tls.server.trustCertPath": at("ca.pem"),
		"tls.server.need.client.auth": "require",
		"tls.client.certPath":         at("client.pem"), "tls.client.keyPath": at("client.key"), "tls.client.trustCertPath": at("ca.pem"),
	}
	_, b, err := temporary(t.TempDir(), 0, 0, keys)
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]string{"bindAddress": "127.0.0.1", "listenPort": "0"}
	maps.Copy(flags, b.TLSSettings())
	ns, _, err := config.LoadNamesrv(config.Sources{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Start(t.Context(), node.Options{Namesrv: ns, Broker: b, ShutdownWait: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	run := func(args ...string) (code int, text string) {
		var out, errs bytes.Buffer
		code = Run(t.Context(), Env{In: strings.NewReader(""), Out: &out, Err: &errs}, args)
		return code, out.String() + errs.String()
	}
	mtls := []string{"--tls-ca", at("ca.pem"), "--tls-cert", at("client.pem"), "--tls-key", at("client.key"), "-n", n.NamesrvAddr()}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) { // until the broker has registered
		if _, text := run(append([]string{"admin", "clusterList"}, mtls...)...); strings.Contains(text, "broker-a") || time.Now().After(end) {
			break
		}
	}
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{append([]string{"admin", "clusterList"}, mtls...), 0, "broker-a"},
		{append([]string{"send", "-t", "hello", "-b", "encrypted"}, mtls...), 0, "offset 0"},
		{append([]string{"tail", "-t", "hello", "--from-start", "--count", "1"}, mtls...), 0, "encrypted"},
		{append([]string{"bench", "produce", "--count", "50", "-t", "b"}, mtls...), 0, `"messages":50`},
		{[]string{"admin", "clusterList", "-n", n.NamesrvAddr()}, 1, n.NamesrvAddr()},
		{[]string{"send", "-t", "hello", "-b", "x", "-n", n.NamesrvAddr()}, 1, n.NamesrvAddr()},
		{[]string{"send", "-t", "hello", "-b", "x", "--tls", "-n", n.NamesrvAddr()}, 1, "unknown authority"},
		{[]string{"send", "-t", "hello", "-b", "x", "--tls-insecure", "-n", n.NamesrvAddr()}, 1, n.NamesrvAddr()}, // TLS 1.3: the write or the read fails
		{[]string{"admin", "clusterList", "--tls-insecure", "--tls-ca", at("ca.pem"), "-n", n.NamesrvAddr()}, 1, "do not go together"},
		{[]string{"send", "-t", "hello", "-b", "x", "--tls-insecure", "--tls-ca", at("ca.pem")}, 2, "do not go together"},
		{[]string{"send", "-t", "hello", "-b", "x", "--tls-cert", at("client.pem")}, 1, "tls.client.keyPath"},
		{[]string{"tail", "-t", "hello", "--tls-ca", at("nothing")}, 1, "nothing"},
	} {
		if code, text := run(tc.args...); code != tc.code || !strings.Contains(text, tc.want) {
			t.Errorf("%v: code %d, want %d with %q\n%s", tc.args, code, tc.code, tc.want, text)
		}
	}
	consoleSpeaksTLS(t, "-n", n.NamesrvAddr(), "--servers-tls-ca", at("ca.pem"), "--servers-tls-cert", at("client.pem"), "--servers-tls-key", at("client.key"))
}

// consoleSpeaksTLS serves the console, in the clear, over servers that want TLS.
func consoleSpeaksTLS(t *testing.T, servers ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- Run(ctx, Env{In: strings.NewReader(""), Out: in, Err: io.Discard}, append([]string{"dashboard", "--auth", "none", "--listen", "127.0.0.1:0", "--dir", t.TempDir()}, servers...))
		in.Close()
	}()
	defer func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("the console ended with code %d", code)
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, out) }() // until the console has ended
	url := strings.Fields(line)
	if err != nil || len(url) < 2 {
		t.Errorf("the console says %q: %v", line, err)
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(url[1], "/")+"/api/v1/clusters", http.NoBody)
	if err != nil {
		t.Error(err)
		return
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("DefaultCluster")) {
		t.Errorf("%d: %s, %v", answer.StatusCode, body, err)
	}
}

// TestToolsReadJavasSettings: the environment says what -Dtls.enable and tls.properties say to Java's tools.
func TestToolsReadJavasSettings(t *testing.T) {
	t.Parallel()
	dir, _ := certs.Folder(t)
	certs.Write(t, filepath.Join(dir, "tls.properties"), []byte("tls.client.trustCertPath="+filepath.Join(dir, "ca.pem")+"\n"))
	for _, tc := range []struct {
		environ []string
		flags   tlsFlags
		dials   bool
	}{
		{nil, tlsFlags{}, false},
		{[]string{"COMETMQ_TLS_ENABLE=true"}, tlsFlags{}, true},
		{[]string{"COMETMQ_USE_TLS=true", "COMETMQ_TLS_CONFIG_FILE=" + filepath.Join(dir, "tls.properties")}, tlsFlags{}, true},
		{nil, tlsFlags{on: true}, true},
		{nil, tlsFlags{insecure: true}, true},
		{nil, tlsFlags{ca: filepath.Join(dir, "ca.pem")}, true},
	} {
		dial, err := tc.flags.dialer(tc.environ)
		if err != nil || (dial != nil) != tc.dials {
			t.Errorf("%v %+v: %v, %t", tc.environ, tc.flags, err, dial != nil)
		}
	}
	if _, err := (&tlsFlags{}).dialer([]string{"COMETMQ_USE_TLS=true", "COMETMQ_TLS_CONFIG_FILE=" + filepath.Join(dir, "none")}); err == nil {
		t.Error("a file that is not there")
	}
}
