package httpapi

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"time"
)

const (
	sessionIdle     = 30 * time.Minute
	sessionAbsolute = 12 * time.Hour
	// touchEvery is how often the use of a session is written down.
	touchEvery = time.Minute
)

// session is who has signed in. Only the hash of its id is kept.
type session struct {
	Hash    string `json:"-"`
	User    string `json:"user"`
	CSRF    string `json:"csrf"`
	Created int64  `json:"created"` // ms
	Used    int64  `json:"used"`    // ms
	Address string `json:"address"`
}

func (s *session) idleExpires() int64 { return s.Used + sessionIdle.Milliseconds() }
func (s *session) expires() int64     { return s.Created + sessionAbsolute.Milliseconds() }

// sessions knows who has signed in.
type sessions struct {
	keep *keep
	now  func() time.Time
	csrf string // of the process
	once sync.Once
}

func (s *sessions) processToken() string {
	s.once.Do(func() { s.csrf = secret() })
	return s.csrf
}

// secret returns 256 random bits.
func secret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// begin makes a session and returns its id.
func (s *sessions) begin(user, address string) (string, *session, error) {
	id := secret()
	now := s.now().UnixMilli()
	n := &session{Hash: hashOf(id), User: user, CSRF: secret(), Created: now, Used: now, Address: address}
	s.sweep()
	return id, n, s.keep.put(sessionsBucket, n.Hash, n)
}

// find returns the session of an id, nil when there is none any more.
func (s *sessions) find(id string) (*session, error) {
	n := &session{Hash: hashOf(id)}
	ok, err := s.keep.get(sessionsBucket, n.Hash, n)
	if err != nil || !ok {
		return nil, err
	}
	now := s.now().UnixMilli()
	if now > n.idleExpires() || now > n.expires() {
		return nil, s.keep.remove(sessionsBucket, n.Hash)
	}
	if now-n.Used >= touchEvery.Milliseconds() {
		n.Used = now
		if err := s.keep.put(sessionsBucket, n.Hash, n); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// end ends one session, or all of a user but keepHash.
func (s *sessions) end(hash string) error { return s.keep.remove(sessionsBucket, hash) }

func (s *sessions) endAll(user, keepHash string) error {
	var gone []string
	err := s.each(func(n *session) {
		if n.User == user && n.Hash != keepHash {
			gone = append(gone, n.Hash)
		}
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	return s.keep.remove(sessionsBucket, gone...)
}

func (s *sessions) each(show func(n *session)) error {
	return s.keep.scan(sessionsBucket, false, func(key string, raw []byte) error {
		n := &session{Hash: key}
		if unmarshal(raw, n) == nil { // a damaged one is no session
			show(n)
		}
		return nil
	})
}

// sweep forgets sessions that have expired.
func (s *sessions) sweep() {
	now := s.now().UnixMilli()
	var gone []string
	_ = s.each(func(n *session) { // the next login tries again
		if now > n.idleExpires() || now > n.expires() {
			gone = append(gone, n.Hash)
		}
	})
	if len(gone) > 0 {
		_ = s.keep.remove(sessionsBucket, gone...) // likewise
	}
}

// sessionAnswer is GET /session.
type sessionAnswer struct {
	Authenticated bool   `json:"authenticated"`
	Open          bool   `json:"open"`
	SetupRequired bool   `json:"setupRequired"`
	Secure        bool   `json:"secure"`
	User          string `json:"user,omitempty"`
	Role          string `json:"role,omitempty"`
	TopicScope    string `json:"topicScope,omitempty"`
	GroupScope    string `json:"groupScope,omitempty"`
	CSRF          string `json:"csrfToken,omitempty"`
	IdleExpires   int64  `json:"idleExpires,omitempty"`
	Expires       int64  `json:"expires,omitempty"`
	Authenticator string `json:"authenticator"`
	Version       string `json:"version"`
	ServerTime    int64  `json:"serverTime"`
}

func (c *call) sessionOf(w *caller) *sessionAnswer {
	a := c.a
	out := &sessionAnswer{
		Authenticated: w != nil, Open: a.o.Auth == AuthNone, SetupRequired: a.setup.needed(), Secure: c.r.TLS != nil,
		Authenticator: a.o.Auth, Version: a.o.Version, ServerTime: a.now().UnixMilli(),
	}
	if w == nil {
		return out
	}
	out.User, out.Role = w.user, w.role
	if !w.token {
		out.CSRF = a.csrf(w)
	}
	if w.session != nil {
		out.IdleExpires, out.Expires = w.session.idleExpires(), w.session.expires()
		if u, err := a.user(w.user); err == nil && u != nil {
			out.TopicScope, out.GroupScope = u.TopicScope, u.GroupScope
		}
	}
	return out
}

func getSession(c *call) (any, error) { return c.sessionOf(c.who), nil }

var errLogin = problemf(http.StatusUnauthorized, "badLogin", "user or password is wrong")

// login checks a password. Unknown users take as long as known ones.
func login(c *call) (any, error) {
	var in struct{ User, Password string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	c.target = in.User
	if c.a.o.Auth == AuthNone {
		return c.sessionOf(c.who), nil
	}
	from := addressOf(c.r)
	if wait := c.a.logins.wait(in.User, from); wait > 0 {
		p := problemf(http.StatusTooManyRequests, "tooManyLogins", "too many failed logins: wait %s", wait.Round(time.Second))
		p.RetryAfterMs = wait.Milliseconds()
		return nil, p
	}
	u, err := c.a.user(in.User)
	if err != nil {
		return nil, err
	}
	hash := c.a.dummyHash()
	if u != nil {
		hash = u.Hash
	}
	if !c.a.passwordFits(c.ctx, in.Password, hash) || u == nil || u.Disabled {
		c.a.logins.failed(in.User, from)
		return nil, errLogin
	}
	c.a.logins.good(in.User, from)
	return c.signIn(u)
}

// signIn makes a session, always a new one, and ends the one that the browser had.
func (c *call) signIn(u *user) (any, error) {
	if c.who != nil && c.who.session != nil {
		if err := c.a.sessions.end(c.who.session.Hash); err != nil {
			return nil, err
		}
	}
	id, s, err := c.a.sessions.begin(u.Name, addressOf(c.r).String())
	if err != nil {
		return nil, err
	}
	u.LastLogin = s.Created
	if err := c.a.keep.put(usersBucket, u.Name, u); err != nil {
		return nil, err
	}
	c.setCookie(id, int(sessionAbsolute.Seconds()))
	c.who = &caller{user: u.Name, role: u.Role, session: s}
	return c.sessionOf(c.who), nil
}

func (c *call) setCookie(value string, maxAge int) {
	ck := &http.Cookie{Name: plainCookie, Value: value, Path: c.a.base + "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: maxAge}
	if c.r.TLS != nil {
		ck.Name, ck.Secure, ck.Path = secureCookie, true, "/"
	}
	http.SetCookie(c.w, ck)
}

func logout(c *call) (any, error) {
	all, err := c.boolean("everywhere")
	if err != nil {
		return nil, err
	}
	if s := c.who.session; s != nil {
		if err := c.a.sessions.end(s.Hash); err != nil {
			return nil, err
		}
	}
	if all && !c.who.open && !c.who.token {
		if err := c.a.sessions.endAll(c.who.user, ""); err != nil {
			return nil, err
		}
	}
	c.setCookie("", -1)
	return nil, nil
}

func changePassword(c *call) (any, error) {
	var in struct{ Old, New string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if c.who.session == nil {
		return nil, problemf(http.StatusConflict, "noSession", "only who has signed in with a password can change it")
	}
	c.target = c.who.user
	from := addressOf(c.r)
	if wait := c.a.logins.wait(c.who.user, from); wait > 0 {
		return nil, problemf(http.StatusTooManyRequests, "tooManyLogins", "too many failed logins: wait %s", wait.Round(time.Second))
	}
	u, err := c.a.user(c.who.user)
	if err != nil {
		return nil, err
	}
	if u == nil || !c.a.passwordFits(c.ctx, in.Old, u.Hash) {
		c.a.logins.failed(c.who.user, from)
		return nil, badField("old", "badLogin", "the old password is wrong")
	}
	if u.Hash, err = c.a.newHash(c.ctx, "new", in.New); err != nil {
		return nil, err
	}
	if err := c.a.keep.put(usersBucket, u.Name, u); err != nil {
		return nil, err
	}
	return nil, c.a.sessions.endAll(u.Name, c.who.session.Hash)
}
