package httpapi

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"sync"
	"time"
)

// setup is the way to the first administrator: a token of 128 bits that is printed once and valid for an hour.
type setup struct {
	a *API

	mu      sync.Mutex // guards what is below
	token   string     // "": there is a user, or none is needed
	expires time.Time
}

const setupValid = time.Hour

// newSetup looks whether there is a user. Without one and with a password in the options, it makes the user admin.
func newSetup(a *API) (*setup, error) {
	s := &setup{a: a}
	if a.o.Auth != AuthFile {
		return s, nil
	}
	any := false
	if err := a.eachUser(func(*user) error {
		any = true
		return errStop
	}); err != nil {
		return nil, err
	}
	if any {
		return s, nil
	}
	if a.o.AdminPassword != "" {
		hash, err := a.newHash(a.ctx, "password", a.o.AdminPassword)
		if err != nil {
			return nil, err
		}
		return s, a.keep.put(usersBucket, "admin", &user{Name: "admin", Role: roleAdmin, Created: a.now().UnixMilli(), Hash: hash})
	}
	s.renew()
	return s, nil
}

func (s *setup) renew() {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	s.token, s.expires = hex.EncodeToString(b[:]), s.a.now().Add(setupValid)
}

func (s *setup) needed() bool { return s.current() != "" }

// current is the token that counts. An old one is replaced, and the log has the new one.
func (s *setup) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && s.a.now().After(s.expires) {
		s.renew()
		s.a.log.Warn("the setup token of the dashboard has expired, there is a new one", "token", s.token)
	}
	return s.token
}

func getSetup(c *call) (any, error) {
	return &struct {
		Required bool `json:"required"`
	}{c.a.setup.needed()}, nil
}

var errSetupToken = problemf(http.StatusForbidden, "badSetupToken", "the setup token is wrong or has expired: the log has the current one")

func doSetup(c *call) (any, error) {
	var in struct{ Token, User, Password string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	c.target = in.User
	s, from := c.a.setup, addressOf(c.r)
	if wait := c.a.logins.wait("", from); wait > 0 {
		return nil, problemf(http.StatusTooManyRequests, "tooManyLogins", "too many wrong tokens: wait %s", wait.Round(time.Second))
	}
	want := s.current()
	if want == "" {
		return nil, problemf(http.StatusConflict, "setupDone", "there is an administrator: sign in")
	}
	if subtle.ConstantTimeCompare([]byte(in.Token), []byte(want)) != 1 {
		c.a.logins.failed("", from)
		return nil, errSetupToken
	}
	if !userName.MatchString(in.User) {
		return nil, badField("user", "badName", "a user name has 1 to 64 letters, digits and . _ @ -")
	}
	hash, err := c.a.newHash(c.ctx, "password", in.Password)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.token != want { // somebody else was quicker
		s.mu.Unlock()
		return nil, errSetupToken
	}
	s.token = ""
	s.mu.Unlock()
	u := &user{Name: in.User, Role: roleAdmin, Created: c.a.now().UnixMilli(), Hash: hash}
	if err := c.a.keep.put(usersBucket, u.Name, u); err != nil {
		s.mu.Lock()
		s.token = want
		s.mu.Unlock()
		return nil, err
	}
	return c.signIn(u)
}
