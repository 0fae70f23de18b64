package httpapi

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime/debug"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Argon2id as RFC 9106's second choice has it, with less passes: 64 MiB for each login is enough to make guessing dear.
const (
	argonMemory  = 64 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16

	minPassword = 8
	maxPassword = 256
)

// hashing lets one password be hashed at a time: each takes 64 MiB and a core.
var hashing = make(chan struct{}, 1)

func argon(ctx context.Context, password string, salt []byte, time, memory uint32, threads uint8, size uint32) ([]byte, error) {
	select {
	case hashing <- struct{}{}:
		defer func() { <-hashing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	key := argon2.IDKey([]byte(password), salt, time, memory, threads, size)
	debug.FreeOSMemory() // the 64 MiB are not needed again soon
	return key, nil
}

func hashPassword(ctx context.Context, password string, memory uint32) (string, error) {
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // it never fails
	key, err := argon(ctx, password, salt, argonTime, memory, argonThreads, argonKey)
	if err != nil {
		return "", err
	}
	return encodeHash(salt, key, memory), nil
}

func encodeHash(salt, key []byte, memory uint32) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, argonTime, argonThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// passwordFits checks a password against a hash with the hash's own parameters.
func (a *API) passwordFits(ctx context.Context, password, hash string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || len(password) > maxPassword {
		return false
	}
	var memory, time uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil || memory > 1<<20 || time > 16 || time == 0 || threads == 0 {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) == 0 {
		return false
	}
	key, err := argon(ctx, password, salt, time, memory, threads, uint32(len(want)))
	return err == nil && subtle.ConstantTimeCompare(key, want) == 1
}

// dummyHash is what unknown users are checked against, so that they take as long as known ones.
func (a *API) dummyHash() string {
	return encodeHash(make([]byte, argonSalt), make([]byte, argonKey), a.o.PasswordMemory)
}

// newHash checks a new password of a field and hashes it.
func (a *API) newHash(ctx context.Context, field, password string) (string, error) {
	switch {
	case len(password) < minPassword:
		return "", badField(field, "passwordTooShort", "the password needs %d characters", minPassword)
	case len(password) > maxPassword:
		return "", badField(field, "passwordTooLong", "the password may have %d bytes", maxPassword)
	}
	return hashPassword(ctx, password, a.o.PasswordMemory)
}
