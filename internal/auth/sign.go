package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the wire form of Java's clients
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"io"
	"slices"
	"sync"

	"github.com/cometmq/cometmq/internal/protocol"
)

// The ext fields of a signed request.
const (
	FieldAccessKey     = "AccessKey"
	FieldSignature     = "Signature"
	FieldSecurityToken = "SecurityToken"

	fieldUniqueQuery = "_UNIQUE_KEY_QUERY"
)

const sumLen = 28 // base64 of 20 bytes

// signer computes signatures with one secret. It is reused: the key's blocks are hashed once.
type signer struct {
	mac  hash.Hash
	sum  [sha1.Size]byte
	text [sumLen]byte
}

func newSigner(secret string) *signer { return &signer{mac: hmac.New(sha1.New, []byte(secret))} }

// signers lends signers of one secret.
type signers struct{ pool sync.Pool }

func newSigners(secret string) *signers {
	s := &signers{}
	s.pool.New = func() any { return newSigner(secret) }
	return s
}

// sign returns base64(HMAC-SHA1(secret, values in the order of their keys || body)). The result is s's own.
func (s *signer) sign(sorted protocol.Fields, body []byte) []byte {
	s.mac.Reset()
	for i := range sorted {
		_, _ = s.mac.Write(sorted[i].Val)
	}
	_, _ = s.mac.Write(body)
	s.mac.Sum(s.sum[:0])
	base64.StdEncoding.Encode(s.text[:], s.sum[:])
	return s.text[:]
}

// signText returns HMAC-SHA1(secret, text), s's own.
func (s *signer) signText(text string) []byte {
	s.mac.Reset()
	_, _ = io.WriteString(s.mac, text)
	s.mac.Sum(s.sum[:0])
	return s.sum[:]
}

// content puts the fields that are signed into dst, in the order of their keys. twice reports that a key is there more than once:
// then what was signed, what is checked and what is done may be three things.
//
// Differs from Java: a null value counts as empty there, too, but Java's string builder writes "null" for it, so that requests with
// empty values in the binary header fail.
func content(dst protocol.Fields, fields protocol.Fields, version int32) (sorted protocol.Fields, twice bool) {
	dst = dst[:0]
	for i := range fields {
		k := fields[i].Key
		if string(k) == FieldSignature || version <= protocol.Version4_9_3 && string(k) == fieldUniqueQuery {
			continue
		}
		dst = append(dst, fields[i])
	}
	slices.SortFunc(dst, func(a, b protocol.Field) int { return bytes.Compare(a.Key, b.Key) })
	for i := 1; i < len(dst); i++ {
		if bytes.Equal(dst[i].Key, dst[i-1].Key) {
			return dst, true
		}
	}
	return dst, false
}

func same(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// Credentials sign what this process asks others.
type Credentials struct {
	AccessKey, SecretKey, SecurityToken string
}

// Sign returns the fields that sign a request with these fields and this body: AccessKey, Signature, and SecurityToken when there is
// one.
func (c *Credentials) Sign(fields protocol.Fields, body []byte) protocol.Fields {
	add := protocol.Fields{{Key: []byte(FieldAccessKey), Val: []byte(c.AccessKey)}}
	if c.SecurityToken != "" {
		add = append(add, protocol.Field{Key: []byte(FieldSecurityToken), Val: []byte(c.SecurityToken)})
	}
	sorted, _ := content(nil, slices.Concat(fields, add), protocol.VersionServed)
	return append(add, protocol.Field{Key: []byte(FieldSignature), Val: newSigner(c.SecretKey).sign(sorted, body)})
}
