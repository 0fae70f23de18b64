package certificate

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func keyFile(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// The files are openssl's; the name says how it was asked.
func TestKeysOfAllKindsAreRead(t *testing.T) {
	t.Parallel()
	k, err := parseKey(keyFile(t, "plain.pem"), "")
	if err != nil {
		t.Fatal(err)
	}
	want, _ := k.(*ecdsa.PrivateKey)
	for name, password := range map[string]string{
		"sec1.pem": "", "plain.pem": "not needed", "aes256-sha256.pem": "pässword", "aes128-sha1.pem": "pässword", "aes192-sha512.pem": "pässword",
		"des3-sha256.pem": "pässword", "pkcs12-3des.pem": "password", "pkcs12-rc4.pem": "password", "pbes1-md5-des.pem": "password",
	} {
		k, err := parseKey(keyFile(t, name), password)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !want.Equal(k) {
			t.Errorf("%s: another key", name)
		}
	}
	if k, err := parseKey(keyFile(t, "pkcs1.pem"), ""); err != nil {
		t.Error(err)
	} else if _, ok := k.(*rsa.PrivateKey); !ok {
		t.Errorf("%T", k)
	}
}

func TestKeysThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"scrypt.pem": "not supported", "legacy-pem.pem": "not supported", "aes256-sha256.pem": "the password does not open the key",
		"pkcs12-rc4.pem": "the password does not open the key", "pkcs12-3des.pem": "the password does not open the key",
	} {
		if _, err := parseKey(keyFile(t, name), "wrong"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if _, err := parseKey(keyFile(t, "aes256-sha256.pem"), ""); err == nil || !strings.Contains(err.Error(), "no password") {
		t.Errorf("%v", err)
	}
	if _, err := parseKey([]byte("rubbish"), ""); err == nil || !strings.Contains(err.Error(), "BEGIN PRIVATE KEY") {
		t.Errorf("%v", err)
	}
}

func FuzzDecrypt(f *testing.F) {
	all, err := filepath.Glob("testdata/*.pem")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range all {
		if b, _ := pem.Decode(keyFile(f, filepath.Base(name))); b != nil {
			f.Add(b.Bytes)
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		out, err := decrypt(der, "password", 4096)
		if err == nil && len(out) > len(der) {
			t.Errorf("%d bytes of %d", len(out), len(der))
		}
	})
}

func TestCertificateAndKeyMustFit(t *testing.T) {
	t.Parallel()
	d, _ := world(t)
	for _, tc := range []struct {
		name  string
		files Files
		want  string
	}{
		{"the key of another", Files{Cert: "server.pem", Key: "client.key"}, "not the key of the certificate"},
		{"no key", Files{Cert: "server.pem"}, "private key of the server: no file is named"},
		{"no certificate", Files{Key: "server.key"}, "certificate of the server: no file is named"},
		{"swapped", Files{Cert: "server.key", Key: "server.pem"}, "BEGIN CERTIFICATE"},
		{"trust without certificates", Files{Trust: "server.key"}, "there is no certificate in it"},
		{"a file that is not there", Files{Cert: "nobody", Key: "server.key"}, "nobody"},
	} {
		if _, err := Open(Options{Disk: d, Server: tc.files}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	d.put("huge", make([]byte, maxFile+1), farAway)
	if _, err := Open(Options{Disk: d, Server: Files{Trust: "huge"}}); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a huge file: %v", err)
	}
}
