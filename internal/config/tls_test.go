package config

import (
	"crypto/tls"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// loadTLS loads a broker's configuration from a text and tls.properties.
func loadTLS(text, properties string) (*Broker, []Notice, error) {
	files := map[string]string{"broker.conf": text, "/etc/tls.properties": properties}
	if properties == "" {
		delete(files, "/etc/tls.properties")
	}
	return LoadBroker(Sources{
		File: "broker.conf", Host: &Host{Name: "h", IP: "10.0.0.1", Home: "/home/x", TLSFile: "/etc/tls.properties"},
		ReadFile: func(name string) ([]byte, error) {
			if s, ok := files[name]; ok {
				return []byte(s), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	})
}

func TestTLSDefaultsAreJavas(t *testing.T) {
	t.Parallel()
	b, notices, err := loadTLS("", "")
	if err != nil || len(notices) != 0 {
		t.Fatal(err, notices)
	}
	if x := &b.TLS; x.Mode != TLSPermissive || !x.Test || x.Client || x.Ask != AskNone || x.Verify || x.ClientVerify || b.Replica.TLS {
		t.Errorf("%+v", x)
	}
}

func TestTLSKeys(t *testing.T) {
	t.Parallel()
	const pair = "tls.server.certPath=c\ntls.server.keyPath=k\n"
	for _, tc := range []struct {
		name, text, properties string
		ok                     func(*TLS) bool
		notice                 string // part of one, "" = there is none
	}{
		{"the file of Java", "", pair + "tls.server.keyPassword=1234\ntls.server.need.client.auth=REQUIRE\ntls.server.trustCertPath=t\n", func(x *TLS) bool {
			return x.Cert == "c" && x.Key == "k" && x.Password == "1234" && x.Ask == AskRequire && x.Trust == "t" && !x.Test
		}, ""},
		{"the configuration wins over the file", "tls.server.certPath=mine\n", pair, func(x *TLS) bool { return x.Cert == "mine" && x.Key == "k" }, ""},
		{"another key in the file", "", "listenPort=1\n" + pair, func(x *TLS) bool { return x.Cert == "c" }, "is no key of TLS"},
		{"a certificate ends test mode", pair, "", func(x *TLS) bool { return !x.Test }, ""},
		{"but not when it is wanted", pair + "tls.test.mode.enable=true", "", func(x *TLS) bool { return x.Test }, "it is not used"},
		{"enforcing means to use it, too", pair + "tls.server.mode=enforcing\ntls.client.trustCertPath=t", "", func(x *TLS) bool { return x.Client }, ""},
		{"unless somebody says no", pair + "tls.server.mode=enforcing\nuseTLS=false", "", func(x *TLS) bool { return !x.Client }, ""},
		{"Java's property for clients", "tls.enable=true", "", func(x *TLS) bool { return x.Client }, ""},
		{"who does not check is told", pair + "useTLS=true", "", func(x *TLS) bool { return x.Client }, "does not check who they are"},
		{"who asks for any certificate is told", pair + "tls.server.need.client.auth=require", "", func(x *TLS) bool { return x.Ask == AskRequire }, "every certificate will do"},
		{"enforcing with nothing to trust", "tls.server.mode=enforcing", "", func(x *TLS) bool { return x.Test && x.Client }, "cannot tell who they talk to"},
		{"a certificate that is not used", pair + "tls.server.mode=disabled", "", func(x *TLS) bool { return x.Mode == TLSDisabled }, "it is not used"},
		{"protocols", "tls.protocols=TLSv1.3,TLSv1.2", "", func(x *TLS) bool { return x.MinVersion == tls.VersionTLS12 && x.MaxVersion == tls.VersionTLS13 }, ""},
		{"one protocol", "tls.protocols=TLSv1.2", "", func(x *TLS) bool { return x.MaxVersion == tls.VersionTLS12 }, ""},
		{"cipher suites", "tls.ciphers=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_AES_128_GCM_SHA256", "", func(x *TLS) bool {
			return slices.Equal(x.Suites, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256})
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b, notices, err := loadTLS(tc.text, tc.properties)
			if err != nil {
				t.Fatal(err)
			}
			if !tc.ok(&b.TLS) {
				t.Errorf("%+v", b.TLS)
			}
			all := ""
			for _, n := range notices {
				all += n.String() + "\n"
			}
			if tc.notice == "" && all != "" || !strings.Contains(all, tc.notice) {
				t.Errorf("notices %q, want %q", all, tc.notice)
			}
		})
	}
}

func TestTLSMistakesAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"tls.server.mode=on":                           "tls.server.mode",
		"tls.server.need.client.auth=maybe":            "none, optional, require",
		"tls.server.certPath=c":                        "both tls.server.keyPath and tls.server.certPath",
		"tls.client.keyPath=c":                         "both tls.client.keyPath and tls.client.certPath",
		"tls.test.mode.enable=false":                   "a certificate, since tls.test.mode.enable = false",
		"tls.config.file=/nowhere":                     "a file that can be read",
		"tls.protocols=TLSv1.1":                        "TLSv1.2, TLSv1.3 or both",
		"tls.ciphers=TLS_RSA_WITH_RC4_128_SHA":         "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		"tls.ha.enable=true\ntls.server.mode=disabled": "tls.ha.enable",
	} {
		if _, _, err := loadTLS(text, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestPasswordsOfKeysAreNotShown(t *testing.T) {
	t.Parallel()
	b, _, err := loadTLS("tls.server.certPath=c\ntls.server.keyPath=k\ntls.server.keyPassword=secret-1\ntls.client.keyPassword=secret-2\n", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, props := range []map[string]string{b.Properties(), b.JavaProperties()} {
		if all := Format(props); strings.Contains(all, "secret-") || !strings.Contains(all, "tls.server.keyPassword="+Hidden) {
			t.Error(all)
		}
	}
}

func TestTLSOfTheOtherRoles(t *testing.T) {
	t.Parallel()
	host := &Host{Name: "h", IP: "10.0.0.1", Home: "/home/x"}
	n, _, err := LoadNamesrv(Sources{Host: host, Flags: map[string]string{
		"tls.server.mode": "enforcing", "enableControllerInNamesrv": "true", "controllerDLegerGroup": "g", "controllerDLegerPeers": "n0-127.0.0.1:9878", "controllerDLegerSelfId": "n0",
	}})
	if err != nil || n.TLS.Mode != TLSEnforcing || !n.TLS.Client || n.Controller.TLS.Mode != TLSEnforcing {
		t.Errorf("%v %+v", err, n)
	}
	if _, _, err := LoadController(Sources{Host: host, Flags: map[string]string{"tls.server.certPath": "c"}}); err == nil || !strings.Contains(err.Error(), "tls.server.keyPath") {
		t.Errorf("%v", err)
	}
}
