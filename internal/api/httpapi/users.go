package httpapi

import (
	"encoding/json"
	"net/http"
	"regexp"
)

// user is a user of the console.
type user struct {
	Name       string `json:"name"`
	Role       string `json:"role"`
	TopicScope string `json:"topicScope,omitempty"`
	GroupScope string `json:"groupScope,omitempty"`
	Created    int64  `json:"created"` // ms
	LastLogin  int64  `json:"lastLogin,omitempty"`
	Disabled   bool   `json:"disabled,omitempty"`
	Hash       string `json:"hash,omitempty"` // never in an answer
}

// shown is a user without secrets.
func (u *user) shown() user {
	v := *u
	v.Hash = ""
	return v
}

func unmarshal(raw []byte, into any) error { return json.Unmarshal(raw, into) }

// user returns nil for a name that is not there.
func (a *API) user(name string) (*user, error) {
	u := new(user)
	ok, err := a.keep.get(usersBucket, name, u)
	if err != nil || !ok {
		return nil, err
	}
	return u, nil
}

func (a *API) eachUser(show func(u *user) error) error {
	return a.keep.scan(usersBucket, false, func(_ string, raw []byte) error {
		u := new(user)
		if err := unmarshal(raw, u); err != nil {
			return err
		}
		return show(u)
	})
}

var userName = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,64}$`)

// userWrite is what an administrator may set.
type userWrite struct {
	Name       string  `json:"name"`
	Password   string  `json:"password"`
	Role       string  `json:"role"`
	TopicScope *string `json:"topicScope"`
	GroupScope *string `json:"groupScope"`
	Disabled   *bool   `json:"disabled"`
}

// apply checks and takes over what is given.
func (w *userWrite) apply(c *call, u *user) (err error) {
	if w.Role != "" {
		if !validRole(w.Role) {
			return badField("role", "unknownRole", "%q is none of viewer, reader, operator, admin", w.Role)
		}
		u.Role = w.Role
	}
	for _, s := range []struct {
		name string
		from *string
		to   *string
	}{{"topicScope", w.TopicScope, &u.TopicScope}, {"groupScope", w.GroupScope, &u.GroupScope}} {
		if s.from == nil {
			continue
		}
		if _, bad := scope(*s.from); bad != nil {
			return badField(s.name, "badRegex", "%v", bad)
		}
		*s.to = *s.from
	}
	if w.Disabled != nil {
		u.Disabled = *w.Disabled
	}
	if w.Password != "" {
		u.Hash, err = c.a.newHash(c.ctx, "password", w.Password)
	}
	return err
}

func listUsers(c *call) (any, error) {
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	var out []user
	if err = c.a.eachUser(func(u *user) error {
		if q.wants(u.Name) {
			out = append(out, u.shown())
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return pageOf(c, q, out, nil, text("name", func(u *user) string { return u.Name }), text("role", func(u *user) string { return u.Role }),
		number("lastLogin", func(u *user) int64 { return u.LastLogin }))
}

func createUser(c *call) (any, error) {
	var in userWrite
	if err := c.body(&in); err != nil {
		return nil, err
	}
	c.target = in.Name
	if !userName.MatchString(in.Name) {
		return nil, badField("name", "badName", "a user name has 1 to 64 letters, digits and . _ @ -")
	}
	old, err := c.a.user(in.Name)
	if err != nil {
		return nil, err
	}
	if old != nil {
		return nil, problemf(http.StatusConflict, "userExists", "there is a user %s", in.Name)
	}
	u := &user{Name: in.Name, Role: roleViewer, Created: c.a.now().UnixMilli()}
	if in.Password == "" {
		return nil, badField("password", "missing", "a password is needed")
	}
	if err := in.apply(c, u); err != nil {
		return nil, err
	}
	c.after = u.text()
	if err := c.a.keep.put(usersBucket, u.Name, u); err != nil {
		return nil, err
	}
	return u.shown(), nil
}

// text is a user for the audit.
func (u *user) text() string {
	v := u.shown()
	b, _ := json.Marshal(&v) // strings and numbers always can be
	return string(b)
}

func (c *call) pathUser() (*user, error) {
	u, err := c.a.user(c.path("user"))
	if err == nil && u == nil {
		err = notFound("userNotFound", "there is no user %q", c.path("user"))
	}
	return u, err
}

func getUser(c *call) (any, error) {
	u, err := c.pathUser()
	if err != nil {
		return nil, err
	}
	return u.shown(), nil
}

func putUser(c *call) (any, error) {
	var in userWrite
	if err := c.body(&in); err != nil {
		return nil, err
	}
	u, err := c.pathUser()
	if err != nil {
		return nil, err
	}
	was := *u
	c.before = u.text()
	if err := in.apply(c, u); err != nil {
		return nil, err
	}
	if err := c.lastAdmin(&was, u.Role == roleAdmin && !u.Disabled); err != nil {
		return nil, err
	}
	c.after = u.text()
	if err := c.a.keep.put(usersBucket, u.Name, u); err != nil {
		return nil, err
	}
	if u.Hash != was.Hash || u.Disabled {
		keepHash := ""
		if c.who.session != nil && !u.Disabled {
			keepHash = c.who.session.Hash
		}
		if err := c.a.sessions.endAll(u.Name, keepHash); err != nil {
			return nil, err
		}
	}
	return u.shown(), nil
}

// lastAdmin refuses what would leave nobody who may do everything.
func (c *call) lastAdmin(was *user, stays bool) error {
	if stays || was.Role != roleAdmin || was.Disabled {
		return nil
	}
	left := 0
	if err := c.a.eachUser(func(u *user) error {
		if u.Role == roleAdmin && !u.Disabled && u.Name != was.Name {
			left++
		}
		return nil
	}); err != nil {
		return err
	}
	if left == 0 {
		return problemf(http.StatusConflict, "lastAdmin", "%s is the last administrator", was.Name)
	}
	return nil
}

func deleteUser(c *call) (any, error) {
	u, err := c.pathUser()
	if err != nil {
		return nil, err
	}
	if err := c.lastAdmin(u, false); err != nil {
		return nil, err
	}
	c.before = u.text()
	if err := c.a.keep.remove(usersBucket, u.Name); err != nil {
		return nil, err
	}
	if err := c.a.dropTokensOf(u.Name); err != nil {
		return nil, err
	}
	return nil, c.a.sessions.endAll(u.Name, "")
}
