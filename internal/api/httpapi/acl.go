package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/mq"
)

type aclUser struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Status  string   `json:"status"`
	Brokers []string `json:"brokers"`
	Differs bool     `json:"differs,omitempty"`
}

// aclUsers merges the users of all masters: each broker keeps its own.
func (k *cluster) aclUsers(ctx context.Context) (map[string]*aclUser, int, []*nodeError) {
	answers, errs := ask(ctx, k.readers(), func(ctx context.Context, n *node) ([]mq.User, error) { return n.Users(ctx, "") })
	out := map[string]*aclUser{}
	for _, a := range answers {
		for _, u := range a.v {
			o := out[u.Name]
			if o == nil {
				o = &aclUser{Name: u.Name, Type: orText(u.Type, "Normal"), Status: orText(u.Status, "enable")}
				out[u.Name] = o
			}
			o.Differs = o.Differs || o.Type != orText(u.Type, "Normal") || o.Status != orText(u.Status, "enable")
			o.Brokers = append(o.Brokers, a.node.set.Name)
		}
	}
	for _, o := range out {
		o.Differs = o.Differs || len(o.Brokers) < len(answers)
		slices.Sort(o.Brokers)
	}
	return out, len(answers), errs
}

func orText(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// oneFailed is the error when no broker has answered.
func oneFailed(n int, errs []*nodeError) error {
	if n > 0 || len(errs) == 0 {
		return nil
	}
	p := problemf(http.StatusBadGateway, errs[0].Code, "%s", errs[0].Detail)
	p.Node, p.RemotingCode = errs[0].Node, errs[0].RemotingCode
	if p.Code == "notSupported" {
		p.Status = http.StatusNotImplemented
	}
	return p
}

func listAclUsers(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	all, n, errs := k.aclUsers(c.ctx)
	if err := oneFailed(n, errs); err != nil {
		return nil, err
	}
	var out []aclUser
	for _, u := range all {
		if q.wants(u.Name) {
			out = append(out, *u)
		}
	}
	return pageOf(c, q, out, errs, text("name", func(u *aclUser) string { return u.Name }), text("type", func(u *aclUser) string { return u.Type }),
		text("status", func(u *aclUser) string { return u.Status }))
}

func (c *call) aclUser(k *cluster, name string) (*aclUser, error) {
	all, n, errs := k.aclUsers(c.ctx)
	if err := oneFailed(n, errs); err != nil {
		return nil, err
	}
	u := all[name]
	if u == nil {
		return nil, notFound("aclUserNotFound", "no broker of cluster %s has user %q", k.name, name)
	}
	return u, nil
}

func getAclUser(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	return c.aclUser(k, c.path("user"))
}

type aclUserWrite struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Type     string `json:"type"`
	Status   string `json:"status"`
}

func (w *aclUserWrite) check() error {
	switch {
	case w.Type != "" && w.Type != "Super" && w.Type != "Normal":
		return badField("type", "unknownType", "want Super or Normal, not %q", w.Type)
	case w.Status != "" && w.Status != "enable" && w.Status != "disable":
		return badField("status", "unknownStatus", "want enable or disable, not %q", w.Status)
	}
	return nil
}

// text is a user for the audit. The password is never in it.
func (w *aclUserWrite) text() string {
	out := "type=" + w.Type + " status=" + w.Status
	if w.Password != "" {
		out += " password=" + hidden
	}
	return out
}

// onMasters does the same on all masters.
func (c *call) onMasters(k *cluster, s step, do func(ctx context.Context, n *node) error) (any, error) {
	p, masters, err := c.planMasters(k, nil)
	if err != nil {
		return nil, err
	}
	for i := range masters {
		n := &masters[i]
		s.Node = n.String()
		p.add(s, func(ctx context.Context) (string, error) { return "", do(ctx, n) })
	}
	return p.run()
}

func createAclUser(c *call) (any, error) {
	var in aclUserWrite
	if err := c.body(&in); err != nil {
		return nil, err
	}
	c.target = in.Name
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.Name == "" {
		return nil, badField("name", "missing", "a name is needed")
	}
	if in.Password == "" {
		return nil, badField("password", "missing", "a password is needed")
	}
	in.Type, in.Status = orText(in.Type, "Normal"), orText(in.Status, "enable")
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	u := mq.User{Name: in.Name, Password: in.Password, Type: in.Type, Status: in.Status}
	return c.onMasters(k, step{Action: "AUTH_CREATE_USER", Target: in.Name, After: in.text()}, func(ctx context.Context, n *node) error { return n.PutUser(ctx, u, true) })
}

func putAclUser(c *call) (any, error) {
	var in aclUserWrite
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	was, err := c.aclUser(k, c.path("user"))
	if err != nil {
		return nil, err
	}
	u := mq.User{Name: was.Name, Password: in.Password, Type: orText(in.Type, was.Type), Status: orText(in.Status, was.Status)}
	before := aclUserWrite{Type: was.Type, Status: was.Status}
	after := aclUserWrite{Type: u.Type, Status: u.Status, Password: in.Password}
	s := step{Action: "AUTH_UPDATE_USER", Target: was.Name, Before: before.text(), After: after.text()}
	return c.onMasters(k, s, func(ctx context.Context, n *node) error {
		there, err := n.User(ctx, was.Name)
		if err == nil && there == nil && in.Password == "" {
			return problemf(http.StatusConflict, "passwordNeeded", "the user is not on %s yet: it needs a password there", n)
		}
		if err != nil {
			return err
		}
		return n.PutUser(ctx, u, there == nil)
	})
}

func deleteAclUser(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	was, err := c.aclUser(k, c.path("user"))
	if err != nil {
		return nil, err
	}
	before := aclUserWrite{Type: was.Type, Status: was.Status}
	s := step{Action: "AUTH_DELETE_USER", Target: was.Name, Before: before.text()}
	return c.onMasters(k, s, func(ctx context.Context, n *node) error { return n.DeleteUser(ctx, was.Name) })
}

type aclEntry struct {
	Resource string   `json:"resource"`
	Actions  []string `json:"actions"`
	Sources  []string `json:"sources,omitempty"`
	Decision string   `json:"decision"`
}

type aclGroup struct {
	Type    string     `json:"type"`
	Entries []aclEntry `json:"entries"`
}

type aclPolicy struct {
	Subject  string     `json:"subject"`
	Policies []aclGroup `json:"policies"`
	Brokers  []string   `json:"brokers,omitempty"`
	Differs  bool       `json:"differs,omitempty"`
}

func policyOf(a *mq.ACL) aclPolicy {
	out := aclPolicy{Subject: a.Subject, Policies: []aclGroup{}}
	for _, p := range a.Policies {
		g := aclGroup{Type: orText(p.Type, "Custom"), Entries: []aclEntry{}}
		for _, e := range p.Entries {
			g.Entries = append(g.Entries, aclEntry{e.Resource, append([]string{}, e.Actions...), e.Sources, e.Decision})
		}
		out.Policies = append(out.Policies, g)
	}
	return out
}

func (k *cluster) policies(ctx context.Context, subject, resource string) (map[string]*aclPolicy, int, []*nodeError) {
	answers, errs := ask(ctx, k.readers(), func(ctx context.Context, n *node) ([]mq.ACL, error) { return n.ACLs(ctx, subject, resource) })
	out := map[string]*aclPolicy{}
	for _, a := range answers {
		for i := range a.v {
			p := policyOf(&a.v[i])
			o := out[p.Subject]
			if o == nil {
				o = &p
				out[p.Subject] = o
			} else if !reflect.DeepEqual(o.Policies, p.Policies) {
				o.Differs = true
			}
			o.Brokers = append(o.Brokers, a.node.set.Name)
		}
	}
	for _, o := range out {
		o.Differs = o.Differs || len(o.Brokers) < len(answers)
		slices.Sort(o.Brokers)
	}
	return out, len(answers), errs
}

func listAclPolicies(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	all, n, errs := k.policies(c.ctx, "", c.query("resource"))
	if err := oneFailed(n, errs); err != nil {
		return nil, err
	}
	var out []aclPolicy
	for _, p := range all {
		if q.wants(p.Subject) {
			out = append(out, *p)
		}
	}
	return pageOf(c, q, out, errs, text("subject", func(p *aclPolicy) string { return p.Subject }))
}

func (c *call) policy(k *cluster, subject string) (*aclPolicy, error) {
	all, n, errs := k.policies(c.ctx, subject, "")
	if err := oneFailed(n, errs); err != nil {
		return nil, err
	}
	return all[subject], nil
}

func getAclPolicy(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	p, err := c.policy(k, c.path("subject"))
	if err == nil && p == nil {
		err = notFound("policyNotFound", "%s has no policies", c.path("subject"))
	}
	return p, err
}

func policyText(p *aclPolicy) string {
	if p == nil {
		return ""
	}
	var out []string
	for _, g := range p.Policies {
		for _, e := range g.Entries {
			out = append(out, strings.Join([]string{g.Type, e.Decision, e.Resource, strings.Join(e.Actions, ","), strings.Join(e.Sources, ",")}, " "))
		}
	}
	return joinTexts(out)
}

func putAclPolicy(c *call) (any, error) {
	var in aclPolicy
	if err := c.body(&in); err != nil {
		return nil, err
	}
	in.Subject = orText(in.Subject, c.path("subject"))
	if in.Subject != c.path("subject") {
		return nil, badField("subject", "wrongSubject", "the body is about another subject than the path")
	}
	if !strings.HasPrefix(in.Subject, "User:") {
		return nil, badField("subject", "badSubject", "a subject is User:name")
	}
	a := mq.ACL{Subject: in.Subject}
	for _, g := range in.Policies {
		np := mq.Policy{Type: orText(g.Type, "Custom")}
		for _, e := range g.Entries {
			if e.Resource == "" || len(e.Actions) == 0 || e.Decision != "Allow" && e.Decision != "Deny" {
				return nil, badField("policies", "badEntry", "an entry needs resource, actions and Allow or Deny")
			}
			np.Entries = append(np.Entries, mq.PolicyEntry(e))
		}
		a.Policies = append(a.Policies, np)
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	was, err := c.policy(k, in.Subject)
	if err != nil {
		return nil, err
	}
	s := step{Action: "AUTH_UPDATE_ACL", Target: in.Subject, Before: policyText(was), After: policyText(&in)}
	return c.onMasters(k, s, func(ctx context.Context, n *node) error {
		there, err := n.ACL(ctx, in.Subject)
		if err != nil {
			return err
		}
		return n.PutACL(ctx, a, there == nil)
	})
}

func deleteAclPolicy(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	was, err := c.policy(k, c.path("subject"))
	if err != nil {
		return nil, err
	}
	if was == nil {
		return nil, notFound("policyNotFound", "%s has no policies", c.path("subject"))
	}
	resource := c.query("resource")
	s := step{Action: "AUTH_DELETE_ACL", Target: strings.TrimSpace(was.Subject + " " + resource), Before: policyText(was)}
	return c.onMasters(k, s, func(ctx context.Context, n *node) error { return n.DeleteACL(ctx, was.Subject, resource) })
}

// checkAcl tells whether a user may do something, by the users and policies that the brokers have.
func checkAcl(c *call) (any, error) {
	var in struct {
		User     string `json:"user"`
		Resource string `json:"resource"`
		Action   string `json:"action"`
		Source   string `json:"source"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(in.User, "User:")
	if name == "" || in.Resource == "" || in.Action == "" {
		return nil, badField("user", "missing", "user, resource and action are needed")
	}
	var from netip.Addr
	if in.Source != "" {
		var err error
		if from, err = netip.ParseAddr(in.Source); err != nil {
			return nil, badField("source", "badAddress", "%v", err)
		}
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	all, n, errs := k.aclUsers(c.ctx)
	if err = oneFailed(n, errs); err != nil {
		return nil, err
	}
	out := &aclVerdict{Subject: "User:" + name}
	u := all[name]
	switch {
	case u == nil:
		out.Reason = "noUser"
		return out, nil
	case u.Status == "disable":
		out.Reason = "disabled"
		return out, nil
	case u.Type == "Super":
		out.Allowed, out.Reason = true, "superUser"
		return out, nil
	}
	what, ok := auth.ParseResource(in.Resource)
	if !ok {
		return nil, badField("resource", "badResource", "%q: want Topic:name, Group:name or Cluster:name", in.Resource)
	}
	action, ok := auth.ParseAction(in.Action)
	if !ok {
		return nil, badField("action", "unknownAction", "%q: want Pub, Sub, Create, Update, Delete, Get or List", in.Action)
	}
	p, err := c.policy(k, out.Subject)
	if err != nil {
		return nil, err
	}
	out.judge(p, what, action, from)
	return out, nil
}

// judge asks the same rules that a CometMQ broker decides by.
func (v *aclVerdict) judge(p *aclPolicy, what auth.Resource, action auth.Action, from netip.Addr) {
	v.Reason = "noPolicy"
	if p == nil {
		return
	}
	var policies []auth.Policy
	shown := map[*auth.Entry]*aclEntry{}
	for _, g := range p.Policies {
		ap := auth.Policy{Type: auth.ParsePolicyType(g.Type), Entries: make([]auth.Entry, 0, len(g.Entries))}
		for i := range g.Entries {
			e := &g.Entries[i]
			r, ok := auth.ParseResource(e.Resource)
			if !ok {
				continue
			}
			ae := auth.Entry{Resource: r, SourceIPs: e.Sources, Deny: strings.EqualFold(e.Decision, "Deny")}
			for _, name := range e.Actions {
				if a, ok := auth.ParseAction(name); ok {
					ae.Actions = append(ae.Actions, a)
				}
			}
			ap.Entries = append(ap.Entries, ae)
			shown[&ap.Entries[len(ap.Entries)-1]] = e
		}
		policies = append(policies, ap)
	}
	m := auth.Decide(policies, what, action, from)
	if m == nil {
		return
	}
	v.Entry, v.Allowed, v.Reason = shown[m], !m.Deny, "allowed"
	if m.Deny {
		v.Reason = "denied"
	}
}

type aclVerdict struct {
	Allowed bool      `json:"allowed"`
	Reason  string    `json:"reason"`
	Entry   *aclEntry `json:"entry,omitempty"`
	Subject string    `json:"subject"`
}
