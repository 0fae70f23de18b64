package httpapi

import (
	"net/http"
	"strings"
	"time"
)

// token is an API token. It is no more than its user may, now: its role is the lower one of both.
type token struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	User     string `json:"user"`
	Role     string `json:"role"`
	Created  int64  `json:"created"` // ms
	Expires  int64  `json:"expires,omitempty"`
	LastUsed int64  `json:"lastUsed,omitempty"`
	Hash     string `json:"hash,omitempty"` // never in an answer
}

const (
	tokenPrefix   = "cometmqt_"
	tokenLifetime = 90 * 24 * time.Hour
	maxTokens     = 1000
)

// byToken identifies a program. The token names its entry, so that no table of hashes is needed.
func (a *API) byToken(header string) (*caller, error) {
	text, ok := strings.CutPrefix(header, "Bearer "+tokenPrefix)
	if !ok {
		return nil, errToken
	}
	id, rest, _ := strings.Cut(text, "_")
	t := new(token)
	ok, err := a.keep.get(tokensBucket, id, t)
	if err != nil {
		return nil, err
	}
	now := a.now().UnixMilli()
	if !ok || hashOf(rest) != t.Hash || t.Expires != 0 && now > t.Expires {
		return nil, errToken
	}
	w := &caller{user: t.User, role: t.Role, token: true}
	if a.o.Auth != AuthNone {
		u, err := a.user(t.User)
		if err != nil {
			return nil, err
		}
		if u == nil || u.Disabled {
			return nil, errToken
		}
		if !atLeast(u.Role, t.Role) {
			w.role = u.Role
		}
		if err := w.limit(u.TopicScope, u.GroupScope); err != nil {
			return nil, err
		}
	}
	if now-t.LastUsed > touchEvery.Milliseconds() {
		t.LastUsed = now
		if err := a.keep.put(tokensBucket, t.ID, t); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (a *API) tokens() ([]token, error) {
	var out []token
	err := a.keep.scan(tokensBucket, false, func(_ string, raw []byte) error {
		var t token
		if err := unmarshal(raw, &t); err != nil {
			return err
		}
		t.Hash = ""
		out = append(out, t)
		return nil
	})
	return out, err
}

func (a *API) dropTokensOf(user string) error {
	all, err := a.tokens()
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.User == user {
			if err := a.keep.remove(tokensBucket, t.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func listTokens(c *call) (any, error) {
	all, err := c.a.tokens()
	if err != nil {
		return nil, err
	}
	out := []token{}
	for _, t := range all {
		if t.User == c.who.user || c.who.may(roleAdmin) {
			out = append(out, t)
		}
	}
	return whole(out, nil), nil
}

func createToken(c *call) (any, error) {
	var in struct {
		Name    string `json:"name"`
		Role    string `json:"role"`
		Expires int64  `json:"expires"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	now := c.a.now()
	switch {
	case in.Name == "" || len(in.Name) > 100:
		return nil, badField("name", "badName", "a token needs a name of 1 to 100 characters")
	case !validRole(in.Role):
		return nil, badField("role", "unknownRole", "%q is none of viewer, reader, operator, admin", in.Role)
	case !atLeast(c.who.role, in.Role):
		return nil, errRole
	case in.Expires == 0:
		in.Expires = now.Add(tokenLifetime).UnixMilli()
	case in.Expires <= now.UnixMilli():
		return nil, badField("expires", "inThePast", "the token would be expired at once")
	}
	all, err := c.a.tokens()
	if err != nil {
		return nil, err
	}
	if len(all) >= maxTokens {
		return nil, problemf(http.StatusConflict, "tooManyTokens", "there are %d tokens: revoke some", len(all))
	}
	text := secret()
	t := &token{ID: strings.ToLower(newID()), Name: in.Name, User: c.who.user, Role: in.Role, Created: now.UnixMilli(), Expires: in.Expires, Hash: hashOf(text)}
	c.target = t.ID
	c.after = t.Name + " " + t.Role
	if err := c.a.keep.put(tokensBucket, t.ID, t); err != nil {
		return nil, err
	}
	t.Hash = ""
	return &struct {
		Token  *token `json:"token"`
		Secret string `json:"secret"`
	}{t, tokenPrefix + t.ID + "_" + text}, nil
}

func deleteToken(c *call) (any, error) {
	t := new(token)
	ok, err := c.a.keep.get(tokensBucket, c.path("token"), t)
	if err != nil {
		return nil, err
	}
	if !ok || t.User != c.who.user && !c.who.may(roleAdmin) {
		return nil, notFound("tokenNotFound", "you have no token %q", c.path("token"))
	}
	c.before = t.Name + " " + t.Role
	return nil, c.a.keep.remove(tokensBucket, t.ID)
}
