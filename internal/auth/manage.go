package auth

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/protocol"
)

// By is who asks for a change, and from where.
type By struct{ User, From string }

// Kinds of refusal that Java answers in another way than with a lack of permission.
var (
	// ErrSuperOnly: only super users may make a super user.
	ErrSuperOnly = errors.New("The super user can only be create by super user") //nolint:staticcheck // Java's text
	// ErrSuperUpdate: or make one of somebody.
	ErrSuperUpdate = errors.New("The super user can only be update by super user") //nolint:staticcheck // Java's text
)

const textSuperUpdate = "The super user can only be update by super user"

// lowly reports that by is somebody who is no super user. Who says no name is nobody: requests are not authenticated then.
func (s *snapshot) lowly(by By) bool {
	a := s.accounts[by.User]
	return by.User != "" && (a == nil || !a.Super)
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// CreateUser makes a user of what is said; without a type it is a normal one, without a status enabled.
func (g *Guard) CreateUser(by By, u *protocol.UserInfo) error {
	err := g.change(func(s *snapshot) error {
		super := strings.EqualFold(u.UserType, userType(true))
		switch {
		case super && s.lowly(by):
			return ErrSuperOnly
		case blank(u.Username):
			return refuse("username can not be blank")
		case blank(u.Password):
			return refuse("password can not be blank")
		case s.accounts[u.Username] != nil:
			return refuse("The user is existed")
		}
		s.put(User{Name: u.Username, Secret: u.Password, Super: super, Disabled: strings.EqualFold(u.UserStatus, userStatus(true))})
		return nil
	})
	g.audit(by, "create user", u.Username, "", describeUser(u), err)
	return err
}

// describeUser is what the audit log says of a user.
func describeUser(u *protocol.UserInfo) string {
	var said []string
	if u.UserType != "" {
		said = append(said, "type "+u.UserType)
	}
	if u.UserStatus != "" {
		said = append(said, "status "+u.UserStatus)
	}
	if u.Password != "" {
		said = append(said, "a new secret")
	}
	return strings.Join(said, ", ")
}

// UpdateUser changes what is said of a user.
func (g *Guard) UpdateUser(by By, u *protocol.UserInfo) error {
	before := ""
	err := g.change(func(s *snapshot) error {
		a := s.accounts[u.Username]
		super := strings.EqualFold(u.UserType, userType(true))
		switch {
		case super && s.lowly(by):
			return ErrSuperUpdate
		case a == nil:
			return refuse("The user is not exist")
		case a.Super && s.lowly(by):
			return refuse(textSuperUpdate)
		}
		old := infoOf(&a.User)
		before = describeUser(&old)
		n := a.User
		if !blank(u.Password) {
			n.Secret = u.Password
		}
		if super || strings.EqualFold(u.UserType, userType(false)) {
			n.Super = super
		}
		if off := strings.EqualFold(u.UserStatus, userStatus(true)); off || strings.EqualFold(u.UserStatus, userStatus(false)) {
			n.Disabled = off
		}
		s.put(n)
		return nil
	})
	g.audit(by, "update user", u.Username, before, describeUser(u), err)
	return err
}

// DeleteUser deletes a user and its policies. It is no error when there is none.
func (g *Guard) DeleteUser(by By, name string) error {
	if blank(name) {
		return refuse("username can not be blank")
	}
	if g.now.Load().accounts[name] == nil {
		return nil
	}
	err := g.change(func(s *snapshot) error {
		if a := s.accounts[name]; a != nil && a.Super && s.lowly(by) {
			return refuse(textSuperUpdate)
		}
		delete(s.accounts, name)
		delete(s.acls, name)
		return nil
	})
	g.audit(by, "delete user", name, "", "", err)
	return err
}

// User returns a user without its secret.
func (g *Guard) User(name string) (protocol.UserInfo, bool) {
	a := g.now.Load().accounts[name]
	if a == nil {
		return protocol.UserInfo{}, false
	}
	return infoOf(&a.User), true
}

// Users are those whose name contains filter, sorted, without their secrets.
func (g *Guard) Users(filter string) []protocol.UserInfo {
	s := g.now.Load()
	var out []protocol.UserInfo
	for _, name := range slices.Sorted(maps.Keys(s.accounts)) {
		if blank(filter) || strings.Contains(name, filter) {
			out = append(out, infoOf(&s.accounts[name].User))
		}
	}
	return out
}

// PutACL adds policies to those of a user: an entry about a resource takes the place of the one about it. subjectKey counts when in
// names nobody.
func (g *Guard) PutACL(by By, subjectKey string, in *protocol.ACLInfo) error {
	acl, err := aclOf(in, subjectKey)
	if err == nil {
		err = g.change(func(s *snapshot) error {
			if s.accounts[acl.User] == nil {
				return refuse("The subject of " + subject(acl.User) + " is not exist.")
			}
			s.grant(merged(s.acls[acl.User], acl))
			return nil
		})
	}
	name := subjectKey
	if acl != nil {
		name = subject(acl.User)
	}
	g.audit(by, "update acl", name, "", string(in.AppendTo(nil, false)), err)
	return err
}

// merged is a with b's entries, both of one user. a may be nil; neither is changed.
func merged(a, b *ACL) *ACL {
	if a == nil {
		return b // as it is, doubled entries and all, as in Java
	}
	out := &ACL{User: b.User}
	for _, p := range a.Policies {
		out.Policies = append(out.Policies, Policy{Type: p.Type, Entries: slices.Clone(p.Entries)})
	}
	for _, p := range b.Policies {
		at := slices.IndexFunc(out.Policies, func(q Policy) bool { return q.Type == p.Type })
		if at < 0 {
			out.Policies = append(out.Policies, p)
			continue
		}
		q := &out.Policies[at]
		for _, e := range p.Entries {
			if i := slices.IndexFunc(q.Entries, func(x Entry) bool { return x.Resource == e.Resource }); i >= 0 {
				q.Entries[i] = e
			} else {
				q.Entries = append(q.Entries, e)
			}
		}
	}
	return out
}

// DeleteACL deletes the entry about a resource from the policies of one type, or all policies of a user when resource is "".
//
// Differs from Java: a resource that cannot be read is refused. Java takes it for none and deletes everything.
func (g *Guard) DeleteACL(by By, subjectKey, policyType, resource string) error {
	user, ok := userOf(subjectKey)
	if !ok {
		return refuse("The subject is null.")
	}
	all := blank(resource)
	r, ok := ParseResource(resource)
	if !ok && !all {
		return refuse("The resource is illegal: " + clip(resource))
	}
	err := g.change(func(s *snapshot) error {
		old := s.acls[user]
		switch {
		case s.accounts[user] == nil:
			return refuse("The subject is not exist.")
		case old == nil:
			return refuse("The acl is not exist.")
		}
		left := &ACL{User: user}
		for _, p := range old.Policies {
			if p.Type == ParsePolicyType(policyType) {
				p.Entries = slices.DeleteFunc(slices.Clone(p.Entries), func(e Entry) bool { return e.Resource == r })
			}
			if len(p.Entries) > 0 {
				left.Policies = append(left.Policies, p)
			}
		}
		if all || len(left.Policies) == 0 {
			s.revoke(user)
		} else {
			s.grant(left)
		}
		return nil
	})
	g.audit(by, "delete acl", subjectKey, "", strings.TrimSpace(policyType+" "+resource), err)
	return err
}

// ACL returns the policies of a subject, nil when it has none.
func (g *Guard) ACL(subjectKey string) (*protocol.ACLInfo, error) {
	user, ok := userOf(subjectKey)
	if !ok {
		return nil, errors.New("the subject is missing: want User:name")
	}
	s := g.now.Load()
	if s.accounts[user] == nil {
		return nil, refuse("The subject is not exist.")
	}
	if s.acls[user] == nil {
		return nil, nil //nolint:nilnil // none is no error
	}
	return aclInfo(s.acls[user]), nil
}

// ACLs are the policies of all subjects whose key contains subjectFilter, of which the entries whose resource contains resourceFilter.
func (g *Guard) ACLs(subjectFilter, resourceFilter string) []protocol.ACLInfo {
	s := g.now.Load()
	var out []protocol.ACLInfo
	for _, name := range slices.Sorted(maps.Keys(s.acls)) {
		key := subject(name)
		if !blank(subjectFilter) && !strings.Contains(key, subjectFilter) {
			continue
		}
		info := aclInfo(s.acls[name])
		if !blank(resourceFilter) && !strings.Contains(key, resourceFilter) {
			info.Policies = slices.DeleteFunc(info.Policies, func(p protocol.PolicyInfo) bool {
				return !slices.ContainsFunc(p.Entries, func(e protocol.PolicyEntryInfo) bool { return strings.Contains(e.Resource, resourceFilter) })
			})
			for i := range info.Policies {
				p := &info.Policies[i]
				p.Entries = slices.DeleteFunc(p.Entries, func(e protocol.PolicyEntryInfo) bool { return !strings.Contains(e.Resource, resourceFilter) })
			}
		}
		if len(info.Policies) > 0 {
			out = append(out, *info)
		}
	}
	return out
}

// ensureSuper makes a super user of c when there is no user of the name.
func (g *Guard) ensureSuper(c Credentials) error {
	if g.now.Load().accounts[c.AccessKey] != nil {
		return nil
	}
	return g.CreateUser(By{From: "configuration"}, &protocol.UserInfo{Username: c.AccessKey, Password: c.SecretKey, UserType: userType(true)})
}
