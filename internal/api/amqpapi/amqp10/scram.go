package amqp10

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// scramRounds is the iteration count of RFC 7677.
const scramRounds = 4096

var errLogin = errors.New("not authenticated")

func scramHash(mechanism string) func() hash.Hash {
	if strings.HasSuffix(mechanism, "512") {
		return sha512.New
	}
	return sha256.New
}

func mac(h func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func digest(h func() hash.Hash, b []byte) []byte {
	d := h()
	d.Write(b)
	return d.Sum(nil)
}

// scramAttributes splits "a=x,b=y"; every attribute name is one letter.
func scramAttributes(s string) (map[byte]string, error) {
	m := map[byte]string{}
	for a := range strings.SplitSeq(s, ",") {
		if len(a) < 2 || a[1] != '=' {
			return nil, fmt.Errorf("SCRAM attribute %q", a)
		}
		m[a[0]] = a[2:]
	}
	return m, nil
}

// scramKeys computes the proof of the client and the signature of the server.
func scramKeys(h func() hash.Hash, password string, salt []byte, rounds int, message string) (stored, clientKey, signature, server []byte, err error) {
	salted, err := pbkdf2.Key(h, password, salt, rounds, h().Size())
	if err != nil {
		return nil, nil, nil, nil, fmt.Errorf("derive key: %w", err)
	}
	clientKey = mac(h, salted, "Client Key")
	stored = digest(h, clientKey)
	return stored, clientKey, mac(h, stored, message), mac(h, mac(h, salted, "Server Key"), message), nil
}

var unescape = strings.NewReplacer("=2C", ",", "=3D", "=")

// scramServer is the server's half of RFC 5802 without channel binding. A user that does not exist goes through the same steps as one
// that does, and fails in the last.
type scramServer struct {
	hash     func() hash.Hash
	login    Login
	nonce    func() string
	salt     func(user string) []byte
	user     string
	combined string // the nonce
	message  string // client-first-bare "," server-first
	gs2      string
	salted   []byte
}

// first answers the client's first message.
func (s *scramServer) first(msg []byte) ([]byte, error) {
	text := string(msg)
	i := strings.IndexByte(text, ',')
	j := -1
	if i >= 0 {
		j = strings.IndexByte(text[i+1:], ',')
	}
	if j < 0 || (text[:i] != "n" && text[:i] != "y") {
		return nil, errors.New("SCRAM: channel binding is not offered")
	}
	s.gs2 = text[:i+1+j+1]
	bare := text[len(s.gs2):]
	a, err := scramAttributes(bare)
	if err != nil {
		return nil, err
	}
	if a['m'] != "" || a['n'] == "" || a['r'] == "" {
		return nil, errors.New("SCRAM: no user, no nonce, or an extension")
	}
	s.user = unescape.Replace(a['n'])
	s.combined = a['r'] + s.nonce()
	s.salted = s.salt(s.user)
	answer := fmt.Sprintf("r=%s,s=%s,i=%d", s.combined, base64.StdEncoding.EncodeToString(s.salted), scramRounds)
	s.message = bare + "," + answer
	return []byte(answer), nil
}

// final checks the proof and returns the server's signature.
func (s *scramServer) final(msg []byte) ([]byte, error) {
	text := string(msg)
	i := strings.LastIndex(text, ",p=")
	if i < 0 {
		return nil, errors.New("SCRAM: no proof")
	}
	a, err := scramAttributes(text[:i])
	if err != nil {
		return nil, err
	}
	proof, err := base64.StdEncoding.DecodeString(text[i+3:])
	if err != nil {
		return nil, fmt.Errorf("SCRAM proof: %w", err)
	}
	if a['r'] != s.combined || a['c'] != base64.StdEncoding.EncodeToString([]byte(s.gs2)) {
		return nil, errLogin
	}
	var server []byte
	if !s.login.Prove(s.user, func(password string) bool {
		stored, _, signature, own, err := scramKeys(s.hash, password, s.salted, scramRounds, s.message+","+text[:i])
		if err != nil || len(proof) != len(signature) {
			return false
		}
		server = own
		key := make([]byte, len(proof))
		subtle.XORBytes(key, proof, signature)
		return subtle.ConstantTimeCompare(digest(s.hash, key), stored) == 1
	}) {
		return nil, errLogin
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(server)), nil
}

// scramClient is the client's half.
type scramClient struct {
	hash           func() hash.Hash
	user, password string
	nonce          string
	bare           string
	server         []byte
}

func (s *scramClient) first() []byte {
	s.bare = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s.user) + ",r=" + s.nonce
	return []byte("n,," + s.bare)
}

func (s *scramClient) final(challenge []byte) ([]byte, error) {
	a, err := scramAttributes(string(challenge))
	if err != nil {
		return nil, err
	}
	salt, err := base64.StdEncoding.DecodeString(a['s'])
	if err != nil {
		return nil, fmt.Errorf("SCRAM salt: %w", err)
	}
	if !strings.HasPrefix(a['r'], s.nonce) || a['i'] != strconv.Itoa(scramRounds) {
		return nil, errors.New("SCRAM: the server's nonce or count is not acceptable")
	}
	without := "c=biws,r=" + a['r']
	_, key, signature, server, err := scramKeys(s.hash, s.password, salt, scramRounds, s.bare+","+string(challenge)+","+without)
	if err != nil {
		return nil, err
	}
	s.server = server
	subtle.XORBytes(key, key, signature)
	return []byte(without + ",p=" + base64.StdEncoding.EncodeToString(key)), nil
}

// verify checks the server's signature.
func (s *scramClient) verify(final []byte) error {
	if string(final) != "v="+base64.StdEncoding.EncodeToString(s.server) {
		return errors.New("SCRAM: the server does not know the password")
	}
	return nil
}
