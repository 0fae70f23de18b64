package config

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
)

// TLS is how connections are encrypted. The keys are Java's, which has them as system properties (-Dtls.server.mode=...) and in the
// file that tls.config.file names; here they stand in the configuration of the role, too.
//
// Differs from Java: what stands in the configuration of the role, in a variable or a flag wins over that file, and tls.server.mode may
// stand in it. Test mode is about the certificate of a server only: what tls.client says counts in any case.
type TLS struct {
	File     string `key:"tls.config.file" doc:"file with more tls keys, Java's tls.properties; default /etc/rocketmq/tls.properties, if there is one"`
	Mode     string `key:"tls.server.mode" enum:"permissive enforcing disabled" doc:"take connections with and without TLS, only with, or only without"`
	Test     bool   `key:"tls.test.mode.enable" doc:"show a self-signed certificate that is made when it is needed; off when the configuration names a certificate"`
	Cert     string `key:"tls.server.certPath" doc:"certificate that clients are shown, PEM, with its chain"`
	Key      string `key:"tls.server.keyPath" doc:"its private key, PEM: PKCS#8, encrypted or not, PKCS#1 or SEC 1"`
	Password string `key:"tls.server.keyPassword" doc:"password of that key"`
	Ask      string `key:"tls.server.need.client.auth" enum:"none optional require" doc:"whether clients are asked for a certificate"`
	Verify   bool   `key:"tls.server.authClient" doc:"without tls.server.trustCertPath: believe only certificates of clients that this machine believes"`
	Trust    string `key:"tls.server.trustCertPath" doc:"certificates of authorities, PEM: those of clients must be signed by one"`

	Client   bool `key:"useTLS" doc:"use TLS towards name servers, controllers and brokers; default true with tls.server.mode = enforcing"`
	ClientOn bool `key:"tls.enable" doc:"the same"`

	ClientCert     string `key:"tls.client.certPath" doc:"certificate that servers are shown, PEM, with its chain"`
	ClientKey      string `key:"tls.client.keyPath" doc:"its private key, PEM"`
	ClientPassword string `key:"tls.client.keyPassword" doc:"password of that key"`
	ClientVerify   bool   `key:"tls.client.authServer" doc:"without tls.client.trustCertPath: believe only servers that this machine believes"`
	ClientTrust    string `key:"tls.client.trustCertPath" doc:"certificates of authorities, PEM: those of servers must be signed by one"`
	ClientHost     bool   `key:"tls.client.verifyHost" doc:"the certificate of a server must be for the name or address that is dialed"`

	Ciphers   []string      `key:"tls.ciphers" sep:"," doc:"cipher suites of TLS 1.2, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256; default Go's choice"`
	Protocols []string      `key:"tls.protocols" sep:"," doc:"TLSv1.2, TLSv1.3 or both"`
	Poll      time.Duration `key:"tls.reloadInterval" unit:"ms" min:"10" max:"3600000" doc:"time between looks whether the files have changed"`

	// What the lists come to, 0 and nil where Go's defaults count.
	MinVersion, MaxVersion uint16   `key:"-"`
	Suites                 []uint16 `key:"-"`
}

// LoadTLS returns the settings of a tool, which only asks others: those of the environment and of tls.properties. flags are keys that win.
func LoadTLS(s Sources) (*TLS, []Notice, error) {
	cfg := struct{ TLS TLS }{defaultTLS()}
	s.Env = slices.DeleteFunc(slices.Clone(s.Env), func(v string) bool {
		return !strings.HasPrefix(v, "COMETMQ_TLS_") && !strings.HasPrefix(v, "COMETMQ_USE_TLS=")
	})
	l := loader{sources: s, kind: KindBroker}
	set := load(&l, &cfg)
	l.checkTLS(&cfg.TLS, set)
	return finish(&l, &cfg.TLS)
}

// TLSSettings are the values of keys of TLS that somebody set, for another role in the same process.
func (b *Broker) TLSSettings() map[string]string {
	out := map[string]string{}
	for _, f := range fieldsOf(reflect.TypeFor[TLS]()) {
		if s, ok := b.Set[f.key]; ok {
			out[f.key] = s.Value
		}
	}
	return out
}

// javasTLS is where a key of TLS stands in Java, "" for those of ours.
func javasTLS(key string) string {
	switch {
	case key == "tls.client.verifyHost", key == "tls.reloadInterval", key == "tls.ha.enable", !strings.HasPrefix(key, "tls."):
		return ""
	case key == "tls.server.mode", key == "tls.config.file", key == "tls.enable":
		return "Java: a system property"
	}
	return "Java: a system property, or in tls.properties"
}

// Words of tls.server.mode and tls.server.need.client.auth.
const (
	TLSPermissive = "permissive"
	TLSEnforcing  = "enforcing"
	TLSDisabled   = "disabled"

	AskNone     = "none"
	AskOptional = "optional"
	AskRequire  = "require"
)

// defaultTLS returns Java's defaults.
func defaultTLS() TLS {
	return TLS{Mode: TLSPermissive, Test: true, Ask: AskNone, Poll: 500 * time.Millisecond}
}

// readTLSFile adds what the file of tls.config.file says about keys that nobody has set.
func (l *loader) readTLSFile(set settings) {
	name, named := l.sources.host().TLSFile, false
	if e, ok := set["tls.config.file"]; ok {
		name, named = e.value, true
	}
	if name == "" {
		return
	}
	read := l.sources.ReadFile
	if read == nil {
		read = os.ReadFile // the operator's file, not the store's
	}
	data, err := read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return
	case err != nil:
		// Differs from Java: it goes on without the file, which would mean without its certificate.
		l.bad("tls.config.file", entry{name, set.source("tls.config.file")}, "a file that can be read: "+err.Error())
		return
	}
	props, err := ParseProperties(data)
	if err != nil {
		l.bad("tls.config.file", entry{name, set.source("tls.config.file")}, "Java's properties: "+err.Error())
		return
	}
	for k, v := range props {
		if _, ok := set[k]; ok {
			continue
		}
		if !strings.HasPrefix(k, "tls.") || k == "tls.config.file" {
			l.notice(slog.LevelWarn, k, name, "is no key of TLS, it is ignored")
			continue
		}
		set[k] = entry{v, name}
	}
}

// checkTLS checks what one tag cannot say and settles what depends on other keys.
func (l *loader) checkTLS(t *TLS, set settings) {
	bad := func(key, value, allowed string) { l.bad(key, entry{value, set.source(key)}, allowed) }
	warn := func(key, text string) { l.notice(slog.LevelWarn, key, set.source(key), "%s", text) }
	_, test := set["tls.test.mode.enable"]
	named := t.Cert != "" || t.Key != ""
	// Differs from Java: who names a certificate need not know that test mode is on by default and would ignore it.
	if named && !test {
		t.Test = false
	}
	_, one := set["useTLS"]
	_, other := set["tls.enable"]
	t.Client = t.Client || t.ClientOn || t.Mode == TLSEnforcing && !one && !other
	for _, p := range []struct{ key, cert, keyName, certName string }{
		{t.Key, t.Cert, "tls.server.keyPath", "tls.server.certPath"}, {t.ClientKey, t.ClientCert, "tls.client.keyPath", "tls.client.certPath"},
	} {
		if (p.key == "") != (p.cert == "") {
			bad(p.keyName, p.key, "both "+p.keyName+" and "+p.certName+", or none")
		}
	}
	switch {
	case t.Mode == TLSDisabled && named:
		warn("tls.server.certPath", "it is not used: tls.server.mode = disabled")
	case t.Mode != TLSDisabled && t.Test && named:
		warn("tls.server.certPath", "it is not used: tls.test.mode.enable = true shows a self-signed certificate")
	case t.Mode != TLSDisabled && !t.Test && !named:
		bad("tls.server.certPath", "", "a certificate, since tls.test.mode.enable = false; or set tls.server.mode = disabled")
	case t.Mode == TLSEnforcing && t.Test:
		warn("tls.server.mode", "connections are encrypted, but clients cannot tell who they talk to: name a certificate in tls.server.certPath")
	}
	if t.Ask != AskNone && t.Trust == "" && !t.Verify && !t.Test {
		warn("tls.server.need.client.auth", "every certificate will do, also one that a client has made itself: name an authority in tls.server.trustCertPath")
	}
	if t.Client && !t.Test && t.ClientTrust == "" && !t.ClientVerify {
		warn("tls.client.trustCertPath", "what this process asks others is encrypted, but it does not check who they are: name an authority")
	}
	l.checkProtocols(t, set)
	l.checkSuites(t, set)
}

func (l *loader) checkProtocols(t *TLS, set settings) {
	t.MinVersion, t.MaxVersion = 0, 0
	for _, p := range t.Protocols {
		v, ok := map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}[p]
		if !ok {
			l.bad("tls.protocols", entry{p, set.source("tls.protocols")}, "TLSv1.2, TLSv1.3 or both; older ones are not safe")
			continue
		}
		if t.MinVersion == 0 || v < t.MinVersion {
			t.MinVersion = v
		}
		t.MaxVersion = max(t.MaxVersion, v)
	}
}

func (l *loader) checkSuites(t *TLS, set settings) {
	t.Suites = nil
	known := tls.CipherSuites()
	for _, name := range t.Ciphers {
		i := slices.IndexFunc(known, func(s *tls.CipherSuite) bool { return s.Name == name })
		switch {
		case i < 0:
			names := make([]string, 0, len(known))
			for _, s := range known {
				names = append(names, s.Name)
			}
			l.bad("tls.ciphers", entry{name, set.source("tls.ciphers")}, "some of "+strings.Join(names, ", "))
		case slices.Contains(known[i].SupportedVersions, tls.VersionTLS12): // those of TLS 1.3 are always on
			t.Suites = append(t.Suites, known[i].ID)
		}
	}
}
