package amqp10

import (
	"encoding/base64"
	"errors"
	"testing"
)

type login struct {
	mechanisms []string
	users      map[string]string
	external   string
	salt       []byte
}

func (l *login) Mechanisms() []string { return l.mechanisms }

func (l *login) Prove(user string, proof func(string) bool) bool {
	p, ok := l.users[user]
	return proof(p) && ok
}

func (l *login) Salt(string) []byte {
	if l.salt == nil {
		return []byte("salt")
	}
	return l.salt
}
func (l *login) External() (string, bool) { return l.external, l.external != "" }

func TestLogins(t *testing.T) {
	t.Parallel()
	all := []string{ScramSHA512, ScramSHA256, Plain, External, Anonymous}
	for _, c := range []struct {
		cred     Credentials
		external string
		offered  []string
		user     string
		ok       bool
	}{
		{Credentials{Plain, "u", "secret"}, "", all, "u", true},
		{Credentials{Plain, "u", "wrong"}, "", all, "", false},
		{Credentials{Plain, "nobody", ""}, "", all, "", false},
		{Credentials{ScramSHA256, "u", "secret"}, "", all, "u", true},
		{Credentials{ScramSHA512, "u", "secret"}, "", all, "u", true},
		{Credentials{ScramSHA512, "a,b=c", "x"}, "", all, "a,b=c", true},
		{Credentials{ScramSHA256, "u", "wrong"}, "", all, "", false},
		{Credentials{ScramSHA256, "nobody", ""}, "", all, "", false},
		{Credentials{External, "", ""}, "cn", all, "cn", true},
		{Credentials{External, "", ""}, "", all, "", false},
		{Credentials{Anonymous, "", ""}, "", all, "", true},
		{Credentials{Anonymous, "", ""}, "", all[:3], "", false},
	} {
		l := &login{mechanisms: c.offered, users: map[string]string{"u": "secret", "a,b=c": "x"}, external: c.external}
		p := newPair(Config{Credentials: c.cred}, Config{Login: l}).run()
		if ok := p.server.phase == opened; ok != c.ok || p.server.LoginName() != c.user || (p.clientErr == nil) != c.ok {
			t.Errorf("%+v: %v, user %q, %v, %v", c.cred, ok, p.server.LoginName(), p.clientErr, p.serverErr)
		}
	}
}

func TestSASLLayerIsNotOptional(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		p := newPair(Config{}, Config{Login: &login{mechanisms: []string{Plain}}, AllowBare: bare}).run()
		if ok := p.server.phase == opened; ok != bare {
			t.Errorf("without SASL: %v", ok)
		}
	}
}

func TestMechanismThatWasNotOffered(t *testing.T) {
	t.Parallel()
	for _, m := range []string{"CRAM-MD5", Plain} {
		e := &end{}
		e.Conn = New(Config{Login: &login{mechanisms: []string{ScramSHA256}}}, e, start)
		in := appendFrame([]byte(headerSASL), frameSASL, 0, &SASLInit{Mechanism: m, InitialResponse: []byte("\x00u\x00p")})
		if err := e.Receive(start, in); !errors.Is(err, errLogin) || !e.Done() {
			t.Errorf("%s: %v", m, err)
		}
	}
	for name, second := range map[string]Composite{
		"second init": &SASLInit{Mechanism: ScramSHA256}, "outcome": &SASLOutcome{}, "garbage": &SASLResponse{Response: []byte("=,=,")},
		"binding": &SASLResponse{Response: []byte("p=x,,n=u,r=1")}, "extension": &SASLResponse{Response: []byte("n,,m=1,n=u,r=1")},
	} {
		e := &end{}
		e.Conn = New(Config{Login: &login{mechanisms: []string{ScramSHA256}}}, e, start)
		in := appendFrame([]byte(headerSASL), frameSASL, 0, &SASLInit{Mechanism: ScramSHA256})
		if err := e.Receive(start, appendFrame(in, frameSASL, 0, second)); err == nil || !e.Done() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestScramAsInRFC7677 is the conversation of RFC 7677, section 3.
func TestScramAsInRFC7677(t *testing.T) {
	t.Parallel()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	l := &login{users: map[string]string{"user": "pencil"}, salt: salt}
	s := &scramServer{hash: scramHash(ScramSHA256), login: l, salt: l.Salt, nonce: func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" }}
	c := &scramClient{hash: scramHash(ScramSHA256), user: "user", password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO"}
	say := func(who string, got []byte, err error, want string) []byte {
		t.Helper()
		if err != nil || string(got) != want {
			t.Fatalf("%s: %q, %v", who, got, err)
		}
		return got
	}
	m := say("client", c.first(), nil, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
	m, err = s.first(m)
	m = say("server", m, err, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
	m, err = c.final(m)
	m = say("client", m, err, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
	m, err = s.final(m)
	m = say("server", m, err, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
	if err := c.verify(m); err != nil {
		t.Error(err)
	}
}
