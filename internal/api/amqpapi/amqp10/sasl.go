package amqp10

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
)

// The mechanisms.
const (
	Anonymous   = "ANONYMOUS"
	Plain       = "PLAIN"
	External    = "EXTERNAL"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
)

// Outcome codes of SASL (standard, part 5.3.3.6).
const (
	saslOK   = 0
	saslAuth = 1 // wrong user or password
	saslSys  = 2 // a mechanism that was not offered, or a message that makes no sense
)

// Login is what a server knows about users. Its methods are called inside Receive and must not wait.
type Login interface {
	// Mechanisms are those offered to this connection, best first.
	Mechanisms() []string
	// Prove reports whether proof, which is called once at most, takes the password of a user. An unknown user takes as long as a known
	// one.
	Prove(user string, proof func(password string) bool) bool
	// Salt is the salt of a user for SCRAM: always the same one for a name, also for one that does not exist.
	Salt(user string) []byte
	// External is the user that the transport has proved, for EXTERNAL.
	External() (user string, ok bool)
}

// Credentials are what a client logs in with.
type Credentials struct {
	Mechanism      string // "": no SASL layer
	User, Password string
}

// saslState is the SASL layer of one connection.
type saslState struct {
	mechanism string
	scram     *scramServer
	client    *scramClient
}

// saslFrame handles one frame of the SASL layer. done = true: the layer is over, well.
func (c *Conn) saslFrame(body []byte) (done bool, err error) {
	p, err := NewReader(body).Composite()
	if err != nil {
		return false, fmt.Errorf("SASL frame: %w", err)
	}
	if c.cfg.Client {
		return c.saslClient(p)
	}
	switch f := p.(type) {
	case *SASLInit:
		if c.sasl.mechanism != "" {
			return false, errors.New("a second sasl-init")
		}
		c.sasl.mechanism = f.Mechanism
		return c.saslInit(f)
	case *SASLResponse:
		return c.saslResponse(f.Response)
	}
	return false, fmt.Errorf("performative 0x%x in the SASL layer", p.Descriptor())
}

// outcome ends the layer.
func (c *Conn) outcome(code uint8, data []byte) (bool, error) {
	c.saslSend(&SASLOutcome{Code: code, AdditionalData: data})
	if code != saslOK {
		return false, errLogin
	}
	return true, nil
}

func (c *Conn) saslSend(p Composite) { c.out = appendFrame(c.out, frameSASL, 0, p) }

func (c *Conn) saslInit(f *SASLInit) (bool, error) {
	login := c.cfg.Login
	if !slices.Contains(login.Mechanisms(), f.Mechanism) {
		return c.outcome(saslSys, nil)
	}
	switch f.Mechanism {
	case Anonymous:
		return c.outcome(saslOK, nil)
	case External:
		user, ok := login.External()
		if !ok || len(f.InitialResponse) > 0 && string(f.InitialResponse) != user {
			return c.outcome(saslAuth, nil)
		}
		c.user = user
		return c.outcome(saslOK, nil)
	}
	if f.InitialResponse == nil {
		c.saslSend(&SASLChallenge{Challenge: []byte{}})
		return false, nil
	}
	return c.saslResponse(f.InitialResponse)
}

func (c *Conn) saslResponse(msg []byte) (bool, error) {
	s := &c.sasl
	switch {
	case s.mechanism == Plain:
		part := bytes.Split(msg, []byte{0})
		if len(part) != 3 {
			return c.outcome(saslSys, nil)
		}
		user := string(part[1])
		if !c.cfg.Login.Prove(user, func(want string) bool { return subtle.ConstantTimeCompare([]byte(want), part[2]) == 1 }) {
			return c.outcome(saslAuth, nil)
		}
		c.user = user
		return c.outcome(saslOK, nil)
	case s.mechanism != ScramSHA256 && s.mechanism != ScramSHA512:
		return c.outcome(saslSys, nil)
	case s.scram == nil:
		s.scram = &scramServer{hash: scramHash(s.mechanism), login: c.cfg.Login, nonce: c.cfg.Nonce, salt: c.cfg.Login.Salt}
		answer, err := s.scram.first(msg)
		if err != nil {
			return c.outcome(saslSys, nil)
		}
		c.saslSend(&SASLChallenge{Challenge: answer})
		return false, nil
	}
	final, err := s.scram.final(msg)
	if err != nil {
		return c.outcome(saslAuth, nil)
	}
	c.user = s.scram.user
	return c.outcome(saslOK, final)
}

func (c *Conn) saslClient(p Composite) (bool, error) {
	s, cred := &c.sasl, &c.cfg.Credentials
	switch f := p.(type) {
	case *SASLMechanisms:
		if !slices.Contains(f.SASLServerMechanisms, cred.Mechanism) {
			return false, fmt.Errorf("the server offers %q, not %s", f.SASLServerMechanisms, cred.Mechanism)
		}
		init := &SASLInit{Mechanism: cred.Mechanism, Hostname: c.cfg.Hostname}
		switch cred.Mechanism {
		case Plain:
			init.InitialResponse = []byte("\x00" + cred.User + "\x00" + cred.Password)
		case ScramSHA256, ScramSHA512:
			s.client = &scramClient{hash: scramHash(cred.Mechanism), user: cred.User, password: cred.Password, nonce: c.cfg.Nonce()}
			init.InitialResponse = s.client.first()
		}
		c.saslSend(init)
		return false, nil
	case *SASLChallenge:
		if s.client == nil {
			return false, errors.New("a challenge that was not expected")
		}
		answer, err := s.client.final(f.Challenge)
		if err != nil {
			return false, err
		}
		c.saslSend(&SASLResponse{Response: answer})
		return false, nil
	case *SASLOutcome:
		if f.Code != saslOK {
			return false, fmt.Errorf("%w: outcome %d", errLogin, f.Code)
		}
		if s.client != nil {
			if err := s.client.verify(f.AdditionalData); err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return false, fmt.Errorf("performative 0x%x in the SASL layer", p.Descriptor())
}

// randomNonce is the default of Config.Nonce.
func randomNonce() string { return rand.Text() }
