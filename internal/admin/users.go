package admin

import (
	"errors"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

func userCommands() []Command {
	name, needName := opt("u", "username", "user name"), need("u", "username", "user name")
	subject, needSubject := opt("s", "subject", "subject, User:name"), need("s", "subject", "subject, User:name")
	rule := []Flag{
		toBroker, toCluster, needSubject, need("r", "resources", "resources with commas: *, Topic:name, Group:prefix*"),
		need("a", "actions", "actions with commas: Pub, Sub, Create, Update, Delete, Get, List, All"),
		opt("i", "sourceIp", "addresses or networks with commas"), need("d", "decision", "Allow or Deny"),
	}
	from, to := need("f", "fromBroker", "address of the broker that has them"), need("t", "toBroker", "address of the broker that gets them")
	return []Command{
		{
			Name: "createUser", About: "Create a user", Changes: true, OneOf: either, Run: func(c *Call) error { return putUser(c, true) },
			Flags: []Flag{toBroker, toCluster, needName, need("p", "password", "password"), opt("t", "userType", "Super or Normal (default)")},
		},
		{
			Name: "updateUser", About: "Change a user", Changes: true, OneOf: either, Run: func(c *Call) error { return putUser(c, false) },
			Flags: []Flag{
				toBroker, toCluster, needName, opt("p", "password", "password"), opt("t", "userType", "Super or Normal"), opt("s", "userStatus", "enable or disable"),
			},
		},
		{Name: "deleteUser", About: "Delete a user", Changes: true, Destroys: true, OneOf: either, Flags: []Flag{toBroker, toCluster, needName}, Run: deleteUser},
		{Name: "getUser", About: "One user", OneOf: either, Flags: []Flag{toBroker, toCluster, name}, Run: getUser},
		{Name: "listUser", About: "Users", OneOf: either, Flags: []Flag{toBroker, toCluster, opt("f", "filter", "part of the name")}, Run: listUser},
		{
			Name: "copyUser", About: "Copy users to another broker", Changes: true, Run: copyUser,
			Flags: []Flag{from, to, opt("u", "usernames", "names with commas, default: all")},
		},
		{Name: "createAcl", About: "Give a user a rule", Changes: true, OneOf: either, Flags: rule, Run: func(c *Call) error { return putACL(c, true) }},
		{Name: "updateAcl", About: "Change a rule of a user", Changes: true, OneOf: either, Flags: rule, Run: func(c *Call) error { return putACL(c, false) }},
		{
			Name: "deleteAcl", About: "Delete rules of a user", Changes: true, Destroys: true, OneOf: either, Run: deleteACL,
			Flags: []Flag{toBroker, toCluster, needSubject, opt("r", "resources", "only the rule of this resource")},
		},
		{Name: "getAcl", About: "The rules of a user", OneOf: either, Flags: []Flag{toBroker, toCluster, subject}, Run: getACL},
		{
			Name: "listAcl", About: "Rules of users", OneOf: either, Run: listACL,
			Flags: []Flag{toBroker, toCluster, opt("s", "subject", "part of the subject"), opt("r", "resource", "part of the resource")},
		},
		{
			Name: "copyAcl", About: "Copy rules to another broker", Changes: true, Run: copyACL,
			Flags: []Flag{from, to, opt("s", "subjects", "subjects with commas, default: all")},
		},
	}
}

// onEach does something at each master that -b or -c mean.
func (c *Call) onEach(do func(t *target)) error {
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	for i := range targets {
		do(&targets[i])
	}
	return nil
}

// commas splits a list and drops what is empty.
func commas(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func putUser(c *Call, create bool) error {
	u := mq.User{Name: c.Str("u"), Password: c.Str("p"), Type: c.Str("t"), Status: c.Str("s")}
	verb := "update"
	if create {
		verb = "create"
	}
	return c.onEach(func(t *target) {
		if c.Change(func() error { return t.broker.PutUser(c.Ctx, u, create) }, "%s user %s on %s", verb, u.Name, t.addr) {
			c.Row(map[string]string{"user": u.Name, "addr": t.addr}, "%s user to %s success.\n", verb, t.addr)
		}
	})
}

func deleteUser(c *Call) error {
	return c.onEach(func(t *target) {
		if c.Change(func() error { return t.broker.DeleteUser(c.Ctx, c.Str("u")) }, "delete user %s on %s", c.Str("u"), t.addr) {
			c.Row(map[string]string{"user": c.Str("u"), "addr": t.addr}, "delete user to %s success.\n", t.addr)
		}
	})
}

// userRow is a user without its password.
type userRow struct {
	Addr   string `json:"addr"`
	Name   string `json:"username"`
	Type   string `json:"userType"`
	Status string `json:"userStatus"`
}

// Differs from Java: getUser and listUser of mqadmin print the passwords that brokers send; a password is never printed here.
func (c *Call) users(addr string, list []mq.User) {
	const row = "%-16s  %-22s  %-22s  %-22s\n"
	c.Say(row, "#UserName", "#Password", "#UserType", "#UserStatus")
	slices.SortFunc(list, func(a, b mq.User) int { return strings.Compare(a.Name, b.Name) })
	for _, u := range list {
		c.Row(userRow{addr, u.Name, u.Type, u.Status}, row, u.Name, "***", u.Type, u.Status)
	}
}

func getUser(c *Call) error {
	return c.onEach(func(t *target) {
		u, err := t.broker.User(c.Ctx, c.Str("u"))
		switch {
		case err != nil:
			c.Failed(err)
		case u == nil:
			c.Failed(errors.New("broker " + t.addr + " has no user " + c.Str("u")))
		default:
			c.users(t.addr, []mq.User{*u})
		}
	})
}

func listUser(c *Call) error {
	return c.onEach(func(t *target) {
		list, err := t.broker.Users(c.Ctx, c.Str("f"))
		if err != nil {
			c.Failed(err)
			return
		}
		c.users(t.addr, list)
	})
}

// copyUser copies passwords, too, where the source sends them: Java does.
func copyUser(c *Call) error {
	from, to := c.Broker(c.Str("f")), c.Broker(c.Str("t"))
	list, err := from.Users(c.Ctx, "")
	if err != nil {
		return err
	}
	only := commas(c.Str("u"))
	for _, u := range list {
		if len(only) > 0 && !slices.Contains(only, u.Name) {
			continue
		}
		if u.Password == "" {
			c.Failed(errors.New("user " + u.Name + ": the broker does not tell its password, create it with createUser"))
			continue
		}
		if c.Change(func() error {
			old, err := to.User(c.Ctx, u.Name)
			if err != nil {
				return err
			}
			return to.PutUser(c.Ctx, u, old == nil)
		}, "copy user %s to %s", u.Name, c.Str("t")) {
			c.Row(map[string]string{"user": u.Name}, "copy user of %s from %s to %s success.\n", u.Name, c.Str("f"), c.Str("t"))
		}
	}
	return nil
}

func putACL(c *Call, create bool) error {
	p := mq.Policy{Type: "Custom"}
	for _, r := range commas(c.Str("r")) {
		p.Entries = append(p.Entries, mq.PolicyEntry{Resource: r, Actions: commas(c.Str("a")), Sources: commas(c.Str("i")), Decision: c.Str("d")})
	}
	a := mq.ACL{Subject: c.Str("s"), Policies: []mq.Policy{p}}
	verb := "update"
	if create {
		verb = "create"
	}
	return c.onEach(func(t *target) {
		if c.Change(func() error { return t.broker.PutACL(c.Ctx, a, create) }, "%s the rules of %s for %s on %s", verb, a.Subject, c.Str("r"), t.addr) {
			c.Row(map[string]string{"subject": a.Subject, "addr": t.addr}, "%s acl to %s success.\n", verb, t.addr)
		}
	})
}

func deleteACL(c *Call) error {
	return c.onEach(func(t *target) {
		resources := commas(c.Str("r"))
		if len(resources) == 0 {
			resources = []string{""}
		}
		for _, r := range resources {
			if !c.Change(func() error { return t.broker.DeleteACL(c.Ctx, c.Str("s"), r) }, "delete the rules of %s %s on %s", c.Str("s"), r, t.addr) {
				return
			}
		}
		if !c.Has("dry-run") {
			c.Row(map[string]string{"subject": c.Str("s"), "addr": t.addr}, "delete acl to %s success.\n", t.addr)
		}
	})
}

// ruleRow is one rule.
type ruleRow struct {
	Addr     string   `json:"addr"`
	Subject  string   `json:"subject"`
	Policy   string   `json:"policyType"`
	Resource string   `json:"resource"`
	Actions  []string `json:"actions"`
	Sources  []string `json:"sourceIps"`
	Decision string   `json:"decision"`
}

func (c *Call) rules(addr string, list []mq.ACL) {
	const row = "%-16s  %-10s  %-22s  %-20s  %-24s  %-10s\n"
	c.Say(row, "#Subject", "#PolicyType", "#Resource", "#Actions", "#SourceIp", "#Decision")
	slices.SortFunc(list, func(a, b mq.ACL) int { return strings.Compare(a.Subject, b.Subject) })
	for _, a := range list {
		for _, p := range a.Policies {
			for _, e := range p.Entries {
				c.Row(ruleRow{addr, a.Subject, p.Type, e.Resource, e.Actions, e.Sources, e.Decision}, row, a.Subject, p.Type, e.Resource,
					"["+strings.Join(e.Actions, ", ")+"]", "["+strings.Join(e.Sources, ", ")+"]", e.Decision)
			}
		}
	}
}

func getACL(c *Call) error {
	return c.onEach(func(t *target) {
		a, err := t.broker.ACL(c.Ctx, c.Str("s"))
		switch {
		case err != nil:
			c.Failed(err)
		case a == nil:
			c.Failed(errors.New("broker " + t.addr + " has no rules of " + c.Str("s")))
		default:
			c.rules(t.addr, []mq.ACL{*a})
		}
	})
}

func listACL(c *Call) error {
	return c.onEach(func(t *target) {
		list, err := t.broker.ACLs(c.Ctx, c.Str("s"), c.Str("r"))
		if err != nil {
			c.Failed(err)
			return
		}
		c.rules(t.addr, list)
	})
}

func copyACL(c *Call) error {
	from, to := c.Broker(c.Str("f")), c.Broker(c.Str("t"))
	list, err := from.ACLs(c.Ctx, "", "")
	if err != nil {
		return err
	}
	only := commas(c.Str("s"))
	for _, a := range list {
		if len(only) > 0 && !slices.Contains(only, a.Subject) {
			continue
		}
		if c.Change(func() error {
			old, err := to.ACL(c.Ctx, a.Subject)
			if err != nil {
				return err
			}
			return to.PutACL(c.Ctx, a, old == nil)
		}, "copy the rules of %s to %s", a.Subject, c.Str("t")) {
			c.Row(map[string]string{"subject": a.Subject}, "copy acl of %s from %s to %s success.\n", a.Subject, c.Str("f"), c.Str("t"))
		}
	}
	return nil
}
