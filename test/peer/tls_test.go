//go:build peer

package peer

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/certificate"
	"github.com/cometmq/cometmq/internal/testkit/certs"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestJavaClientsOverTLS: the unmodified client with the properties of Java's manual, against both modes that take TLS.
func TestJavaClientsOverTLS(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, java55)

	t.Run("permissive", func(t *testing.T) {
		t.Parallel()
		covers(t, java55, "TLS in test mode")
		c := newCluster(t, target.Options{Kind: target.Ours}) // no key of TLS is set: test mode on both sides
		tlsOn := []string{"-Dtls.enable=true"}
		want(t, javaMainWith(t, java55, tlsOn, "PeerClient", "send", c.NS, "tls_t", "tls_p", "50"), "ok", 50)
		want(t, javaMainWith(t, java55, tlsOn, "PeerClient", "push", c.NS, "tls_t", "tls_c", "50"), "distinct", 50)
	})

	t.Run("enforcing", func(t *testing.T) {
		t.Parallel()
		covers(t, java55, "TLS with certificates of both sides")
		dir, a := certs.Folder(t)
		at := func(name string) string { return filepath.Join(dir, name) }
		cert, key := a.IssueRSA(t, "localhost") // as most are
		certs.Write(t, at("server.pem"), cert)
		certs.Write(t, at("plain.key"), key)
		encrypt(t, at("plain.key"), at("server.key"))
		conf := map[string]string{
			"tls.server.mode": "enforcing", "tls.server.certPath": at("server.pem"), "tls.server.keyPath": at("server.key"), "tls.server.keyPassword": "1234",
			"tls.server.need.client.auth": "require", "tls.server.trustCertPath": at("ca.pem"),
			"tls.client.certPath": at("client.pem"), "tls.client.keyPath": at("client.key"), "tls.client.trustCertPath": at("ca.pem"),
		}
		c := target.New(t, target.Options{Kind: target.Ours, Conf: conf, NSConf: conf})
		k, err := certificate.Open(certificate.Options{Client: certificate.Files{Cert: at("client.pem"), Key: at("client.key"), Trust: at("ca.pem")}})
		if err != nil {
			t.Fatal(err)
		}
		dial := bench.Dialer(k.Dial(new(net.Dialer).DialContext))
		for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
			r, err := bench.RouteOf(t.Context(), dial, c.NS, "TBW102")
			if err == nil && len(r.Write) > 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the broker has not registered: %v\n%s", err, c.Brokers[0].Log())
			}
		}
		jvm := []string{
			"-Dtls.enable=true", "-Dtls.test.mode.enable=false", "-Dtls.client.authServer=true", "-Dtls.client.trustCertPath=" + at("ca.pem"),
			"-Dtls.client.certPath=" + at("client.pem"), "-Dtls.client.keyPath=" + at("client.key"),
		}
		want(t, javaMainWith(t, java55, jvm, "PeerClient", "send", c.NS, "tls_t", "tls_p", "50"), "ok", 50)
		want(t, javaMainWith(t, java55, jvm, "PeerClient", "push", c.NS, "tls_t", "tls_c", "50"), "distinct", 50)
		for try := 1; *everyVariant; try++ { // mqadmin's patience is 5 s, which a machine under load may need for the first handshake
			out := target.MQAdminWith(t, jvm, c.NS, "clusterList", "-n", c.NS)
			if strings.Contains(out, "broker-a") {
				break
			}
			if try == 5 {
				t.Fatalf("mqadmin: %s", out)
			}
		}

		// Neither a plain connection nor one without a certificate gets an answer.
		nobody, err := certificate.Open(certificate.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, addr := range []string{c.NS, c.Addrs[0]} {
			for name, d := range map[string]bench.Dialer{"plain": nil, "no certificate": bench.Dialer(nobody.Dial(new(net.Dialer).DialContext))} {
				if r, err := bench.RouteOf(t.Context(), d, addr, "TBW102"); err == nil {
					t.Errorf("%s, %s: %v", addr, name, r)
				}
			}
		}
	})
}

// encrypt makes an encrypted PKCS#8 key as the manual says.
func encrypt(t *testing.T, from, to string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl here")
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:1234", "-in", from, "-out", to)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
}
