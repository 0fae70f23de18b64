// Package certs makes certificates for tests: an authority, and what it signs.
package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FarAway is after each test.
var FarAway = time.Unix(1<<33, 0)

// Authority signs certificates.
type Authority struct {
	PEM  []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one.
func NewAuthority(tb testing.TB, name string) *Authority {
	tb.Helper()
	key := newKey(tb)
	t := &x509.Certificate{
		SerialNumber: serial(tb), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: FarAway,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	must(tb, err)
	cert, err := x509.ParseCertificate(der)
	must(tb, err)
	return &Authority{PEM: block("CERTIFICATE", der), cert: cert, key: key}
}

// Issue makes a certificate for the host name, and for 127.0.0.1, that is valid until notAfter. The key is PKCS#8.
func (a *Authority) Issue(tb testing.TB, name string, notAfter time.Time) (cert, key []byte) {
	tb.Helper()
	return a.sign(tb, name, notAfter, newKey(tb))
}

// IssueRSA is Issue with an RSA key of 2048 bits, as most have.
func (a *Authority) IssueRSA(tb testing.TB, name string) (cert, key []byte) {
	tb.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	must(tb, err)
	return a.sign(tb, name, FarAway, k)
}

func (a *Authority) sign(tb testing.TB, name string, notAfter time.Time, k crypto.Signer) (cert, key []byte) {
	tb.Helper()
	t := &x509.Certificate{
		SerialNumber: serial(tb), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Unix(0, 0), NotAfter: notAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, k.Public(), a.key)
	must(tb, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	must(tb, err)
	return block("CERTIFICATE", der), block("PRIVATE KEY", keyDER)
}

// Folder writes ca.pem, server.pem, server.key, client.pem and client.key of a new authority into a folder of the test.
func Folder(tb testing.TB) (dir string, a *Authority) {
	tb.Helper()
	dir, a = tb.TempDir(), NewAuthority(tb, "authority of a test")
	Write(tb, filepath.Join(dir, "ca.pem"), a.PEM)
	for _, n := range []string{"server", "client"} {
		cert, key := a.Issue(tb, n, FarAway)
		Write(tb, filepath.Join(dir, n+".pem"), cert)
		Write(tb, filepath.Join(dir, n+".key"), key)
	}
	return dir, a
}

// Write writes a file.
func Write(tb testing.TB, name string, data []byte) {
	tb.Helper()
	must(tb, os.WriteFile(name, data, 0o600))
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	return k
}

func serial(tb testing.TB) *big.Int {
	tb.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	must(tb, err)
	return n
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
