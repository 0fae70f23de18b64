package certificate

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// pair makes a certificate of a PEM file with a chain, leaf first, and one with its key.
func pair(chain, key []byte, password string) (*tls.Certificate, error) {
	c := &tls.Certificate{Certificate: blocks(chain, "CERTIFICATE")}
	if len(c.Certificate) == 0 {
		return nil, errors.New("there is no certificate in it (PEM is wanted: -----BEGIN CERTIFICATE-----)")
	}
	var err error
	if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
		return nil, err
	}
	priv, err := parseKey(key, password)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	pub, ok := priv.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(c.Leaf.PublicKey) {
		return nil, errors.New("private key: it is not the key of the certificate")
	}
	c.PrivateKey = priv
	return c, nil
}

// blocks returns the contents of a PEM file that have a type.
func blocks(data []byte, kind string) [][]byte {
	var out [][]byte
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return out
		}
		if b.Type == kind {
			out = append(out, b.Bytes)
		}
	}
}

// parseKey reads the first private key of a PEM file: PKCS#8, encrypted or not, PKCS#1 or SEC 1. A password that is not needed is no error,
// as in Java.
func parseKey(data []byte, password string) (crypto.Signer, error) {
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return nil, errors.New("there is none in the file (PEM is wanted: -----BEGIN PRIVATE KEY-----)")
		}
		if !strings.HasSuffix(b.Type, "PRIVATE KEY") {
			continue
		}
		if b.Headers["DEK-Info"] != "" {
			return nil, errNoScheme
		}
		k, err := keyOf(b, password)
		if err != nil {
			return nil, err
		}
		s, ok := k.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("a %T cannot sign", k)
		}
		return s, nil
	}
}

func keyOf(b *pem.Block, password string) (any, error) {
	switch b.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(b.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		if password == "" {
			return nil, errors.New("it is encrypted and there is no password")
		}
		der, err := decrypt(b.Bytes, password, maxIterations)
		if err != nil {
			return nil, err
		}
		k, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, errPassword
		}
		return k, nil
	}
	return x509.ParsePKCS8PrivateKey(b.Bytes)
}

// pool is the certificates of a PEM file, which are believed.
func pool(data []byte) (*x509.CertPool, error) {
	p := x509.NewCertPool()
	all := blocks(data, "CERTIFICATE")
	for _, b := range all {
		c, err := x509.ParseCertificate(b)
		if err != nil {
			return nil, err
		}
		p.AddCert(c)
	}
	if len(all) == 0 {
		if len(bytes.TrimSpace(data)) == 0 {
			return nil, errors.New("the file is empty")
		}
		return nil, errors.New("there is no certificate in it (PEM is wanted: -----BEGIN CERTIFICATE-----)")
	}
	return p, nil
}
