package httpapi

import (
	"crypto/subtle"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Roles, from the least to the most. A route may also want public or any.
const (
	roleViewer   = "viewer"   // no message bodies
	roleReader   = "reader"   // bodies, tail, export
	roleOperator = "operator" // send, reset, resend, create
	roleAdmin    = "admin"    // delete, configuration, users

	rolePublic = "public" // everybody
	roleAny    = "any"    // whoever has signed in
)

var ranks = []string{roleViewer, roleReader, roleOperator, roleAdmin}

// atLeast compares roles.
func atLeast(have, want string) bool {
	return slices.Index(ranks, have) >= slices.Index(ranks, want)
}

func validRole(s string) bool { return slices.Contains(ranks, s) }

// caller is who makes a request; nil: nobody has signed in.
type caller struct {
	user           string
	role           string
	topics, groups *regexp.Regexp // nil: all
	session        *session
	token          bool
	open           bool // nobody has to sign in
}

// name is how the audit calls it.
func (w *caller) name() string {
	switch {
	case w == nil:
		return ""
	case w.open:
		return "local"
	}
	return w.user
}

func (w *caller) may(role string) bool { return w != nil && atLeast(w.role, role) }

// sees holds a topic or group against a scope.
func sees(re *regexp.Regexp, name string) bool {
	if re == nil {
		return true
	}
	for _, prefix := range []string{retryPrefix, dlqPrefix} {
		name = strings.TrimPrefix(name, prefix)
	}
	return re.MatchString(name)
}

func (w *caller) seesTopic(name string) bool {
	if strings.HasPrefix(name, retryPrefix) || strings.HasPrefix(name, dlqPrefix) {
		return sees(w.groups, name)
	}
	return sees(w.topics, name)
}

func (w *caller) seesGroup(name string) bool { return sees(w.groups, name) }

// scope compiles the scope of a role: the whole name must match.
func scope(expr string) (*regexp.Regexp, error) {
	if expr == "" {
		return nil, nil //nolint:nilnil // nil is: all
	}
	return regexp.Compile(`^(?:` + expr + `)$`)
}

const (
	plainCookie  = "cometmqsid"
	secureCookie = "__Host-cometmqsid"
	csrfHeader   = "X-CSRF-Token"
)

var (
	errSignIn = problemf(http.StatusUnauthorized, "signInNeeded", "sign in first")
	errSetup  = problemf(http.StatusUnauthorized, "setupNeeded", "there is no user yet: make the first one at /setup with the token that the log shows")
	errToken  = problemf(http.StatusUnauthorized, "badToken", "the API token is unknown, has expired or was revoked")
	errCSRF   = problemf(http.StatusForbidden, "csrf", "the header X-CSRF-Token is missing or wrong: get it from /session")
	errRole   = problemf(http.StatusForbidden, "roleTooLow", "your role does not allow this")
	errScope  = problemf(http.StatusForbidden, "outOfScope", "your role is not for this topic or group")
)

// identify finds out who makes a request. No session is no error: some routes are public.
func (a *API) identify(r *http.Request) (*caller, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		return a.byToken(h)
	}
	if a.o.Auth == AuthNone {
		return &caller{user: "local", role: roleAdmin, open: true}, nil
	}
	id := cookieOf(r)
	if id == "" {
		return nil, nil //nolint:nilnil // nobody
	}
	s, err := a.sessions.find(id)
	if err != nil || s == nil {
		return nil, err
	}
	u, err := a.user(s.User)
	if err != nil || u == nil || u.Disabled {
		return nil, err
	}
	w := &caller{user: u.Name, role: u.Role, session: s}
	if err := w.limit(u.TopicScope, u.GroupScope); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *caller) limit(topics, groups string) (err error) {
	if w.topics, err = scope(topics); err != nil {
		return err
	}
	w.groups, err = scope(groups)
	return err
}

func cookieOf(r *http.Request) string {
	for _, name := range []string{secureCookie, plainCookie} {
		if c, err := r.Cookie(name); err == nil && (name == secureCookie) == (r.TLS != nil) {
			return c.Value
		}
	}
	return ""
}

// allowed holds the caller against the route.
func (c *call) allowed() error {
	w := c.who
	if w == nil {
		if c.rt.role == rolePublic {
			return nil
		}
		if c.a.setup.needed() {
			return errSetup
		}
		return errSignIn
	}
	if c.r.Method != http.MethodGet && !w.token && !c.rt.beforeSignIn && !c.a.csrfFits(w, c.r.Header.Get(csrfHeader)) {
		return errCSRF
	}
	switch c.rt.role {
	case rolePublic, roleAny:
		return nil
	}
	if !atLeast(w.role, c.rt.role) {
		return errRole
	}
	if t := c.path("topic"); t != "" && !w.seesTopic(t) {
		return errScope
	}
	if t := c.query("topic"); t != "" && !w.seesTopic(t) {
		return errScope
	}
	if g := c.path("group"); g != "" && !w.seesGroup(g) {
		return errScope
	}
	return nil
}

// csrf is the token of a caller: bound to the session, or to the process when nobody has to sign in.
func (a *API) csrf(w *caller) string {
	if w.session != nil {
		return w.session.CSRF
	}
	return a.sessions.processToken()
}

func (a *API) csrfFits(w *caller, got string) bool {
	return subtle.ConstantTimeCompare([]byte(got), []byte(a.csrf(w))) == 1
}

// addressOf is where a request comes from, without the port.
func addressOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
