package amqpapi

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/cometmq/cometmq/internal/api/amqpapi/amqp10"
	"github.com/cometmq/cometmq/internal/auth"
)

// login is the SASL layer of a connection: it asks the users of the broker.
type login struct{ c *conn }

// Mechanisms implements amqp10.Login. PLAIN tells the password to whoever listens.
func (l login) Mechanisms() []string {
	s := l.c.s
	if !s.authenticates() {
		return []string{amqp10.Anonymous, amqp10.Plain}
	}
	m := []string{amqp10.ScramSHA512, amqp10.ScramSHA256}
	if s.o.ClearPasswords || l.c.encrypted() || l.c.remote.Addr().Unmap().IsLoopback() {
		m = append(m, amqp10.Plain)
	}
	return m
}

// Prove implements amqp10.Login.
func (l login) Prove(user string, proof func(password string) bool) bool {
	if !l.c.s.authenticates() {
		return true
	}
	err := l.c.s.o.Auth.Prove(user, l.c.remote.Addr(), proof)
	if err != nil {
		l.c.log.Info("an AMQP client could not log in", "user", user, "err", err)
	}
	return err == nil
}

// Salt implements amqp10.Login.
func (l login) Salt(user string) []byte {
	m := hmac.New(sha256.New, l.c.s.saltKey)
	_, _ = m.Write([]byte(user))
	return m.Sum(nil)[:16]
}

// External implements amqp10.Login.
func (login) External() (string, bool) { return "", false }

func (s *Server) authenticates() bool { return s.o.Auth != nil && s.o.Auth.Authenticates() }

var (
	toSend    = auth.ActionsOf(auth.Pub)
	toConsume = auth.ActionsOf(auth.Sub)
)

// may asks whether the user of c may do something with a topic, and with a group unless that is "".
func (c *conn) may(actions auth.Actions, topic, group string) error {
	g := c.s.o.Auth
	if g == nil || !g.Authorizes() {
		return nil
	}
	what := auth.Topic(topic)
	if err := g.May(c.user, &what, actions, c.remote.Addr()); err != nil || group == "" {
		return forbidden(err)
	}
	what = auth.Group(group)
	return forbidden(g.May(c.user, &what, actions, c.remote.Addr()))
}
