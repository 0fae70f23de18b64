package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/vfs"
)

// FileName is the file of users and policies in the folder of Options.
//
// Differs from Java: it keeps them in two RocksDB tables (config/users and config/acls), which nothing here reads or writes. Users move
// with mqadmin or with plain_acl.yml.
const FileName = "auth.json"

func (g *Guard) load() error {
	g.file = filepath.Join(g.o.Dir, FileName)
	var t protocol.AuthTables
	data, err := vfs.ReadFile(g.o.FS, g.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("users and policies: %w", err)
	default:
		if err := t.Decode(data); err != nil {
			return fmt.Errorf("users and policies in %s: %w", g.file, err)
		}
	}
	s := &snapshot{accounts: map[string]*Account{}, acls: map[string]*ACL{}}
	for i := range t.Users {
		u := &t.Users[i]
		s.put(User{Name: u.Username, Secret: u.Password, Super: u.UserType == userType(true), Disabled: u.UserStatus == userStatus(true)})
	}
	for i := range t.ACLs {
		a, err := aclOf(&t.ACLs[i], "")
		if err != nil {
			return fmt.Errorf("policies of %s in %s: %w", t.ACLs[i].Subject, g.file, err)
		}
		s.grant(a)
	}
	g.now.Store(s)
	return nil
}

// change makes a new snapshot with f, writes it and makes it the one that decides. f must not change what the old one has.
func (g *Guard) change(f func(s *snapshot) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.now.Load()
	s := &snapshot{accounts: maps.Clone(old.accounts), acls: maps.Clone(old.acls)}
	if err := f(s); err != nil {
		return err
	}
	var t protocol.AuthTables
	for _, name := range slices.Sorted(maps.Keys(s.accounts)) {
		u := infoOf(&s.accounts[name].User)
		u.Password = s.accounts[name].Secret
		t.Users = append(t.Users, u)
	}
	for _, name := range slices.Sorted(maps.Keys(s.acls)) {
		t.ACLs = append(t.ACLs, *aclInfo(s.acls[name]))
	}
	if err := g.o.FS.MkdirAll(g.o.Dir); err != nil {
		return fmt.Errorf("users and policies: %w", err)
	}
	if err := vfs.WritePrivateAtomic(g.o.FS, g.file, append(t.AppendTo(nil), '\n')); err != nil {
		return fmt.Errorf("users and policies: %w", err)
	}
	g.now.Store(s)
	return nil
}

// put enters a user, new or changed.
func (s *snapshot) put(u User) {
	a := &Account{User: u, signers: newSigners(u.Secret)}
	a.adopt(s.acls[u.Name])
	s.accounts[u.Name] = a
}

// grant enters policies in the place of those that the user has.
func (s *snapshot) grant(acl *ACL) {
	s.acls[acl.User] = acl
	s.refresh(acl.User)
}

func (s *snapshot) revoke(user string) {
	delete(s.acls, user)
	s.refresh(user)
}

// refresh makes the account of a user anew.
func (s *snapshot) refresh(user string) {
	if a := s.accounts[user]; a != nil {
		b := &Account{User: a.User, signers: a.signers}
		b.adopt(s.acls[user])
		s.accounts[user] = b
	}
}

func (a *Account) adopt(acl *ACL) {
	if acl == nil {
		return
	}
	a.acl = true
	// As in Java the first policy of a type counts.
	for i := range slices.Backward(acl.Policies) {
		p := &acl.Policies[i]
		if p.Type == Default {
			a.def = compile(p.Entries)
		} else {
			a.custom = compile(p.Entries)
		}
	}
}

func userType(super bool) string {
	if super {
		return "Super"
	}
	return "Normal"
}

func userStatus(disabled bool) string {
	if disabled {
		return "disable"
	}
	return "enable"
}

// infoOf is a user as it is told, without its secret.
//
// Differs from Java: it returns passwords in clear to whoever may list users.
func infoOf(u *User) protocol.UserInfo {
	return protocol.UserInfo{Username: u.Name, UserType: userType(u.Super), UserStatus: userStatus(u.Disabled)}
}

func aclInfo(a *ACL) *protocol.ACLInfo {
	out := &protocol.ACLInfo{Subject: subject(a.User)}
	for i := range a.Policies {
		p := protocol.PolicyInfo{PolicyType: a.Policies[i].Type.String()}
		for _, e := range a.Policies[i].Entries {
			info := protocol.PolicyEntryInfo{Resource: e.Resource.String(), SourceIPs: e.SourceIPs, Decision: decision(e.Deny)}
			for _, x := range e.Actions {
				info.Actions = append(info.Actions, x.String())
			}
			p.Entries = append(p.Entries, info)
		}
		out.Policies = append(out.Policies, p)
	}
	return out
}

// aclOf checks policies that somebody sends. subject counts when they name none.
func aclOf(in *protocol.ACLInfo, subjectKey string) (*ACL, error) {
	key := in.Subject
	if _, ok := userOf(key); !ok {
		key = subjectKey
	}
	user, ok := userOf(key)
	if !ok {
		return nil, errors.New("the subject is missing: want User:name")
	}
	acl := &ACL{User: user}
	for i := range in.Policies {
		p := &in.Policies[i]
		if len(p.Entries) == 0 {
			continue
		}
		out := Policy{Type: ParsePolicyType(p.PolicyType)}
		for j := range p.Entries {
			e, err := entryOf(&p.Entries[j])
			if err != nil {
				return nil, err
			}
			out.Entries = append(out.Entries, e)
		}
		acl.Policies = append(acl.Policies, out)
	}
	if len(acl.Policies) == 0 {
		return nil, refuse("The policies is empty.")
	}
	return acl, nil
}

func userOf(subjectKey string) (string, bool) {
	kind, name, _ := strings.Cut(subjectKey, ":")
	return name, strings.EqualFold(kind, "User")
}

func entryOf(in *protocol.PolicyEntryInfo) (e Entry, err error) {
	r, ok := ParseResource(in.Resource)
	if !ok {
		return e, refuse("The resource is null.")
	}
	e.Resource = r
	for _, name := range in.Actions {
		if a, ok := ParseAction(name); ok {
			e.Actions = append(e.Actions, a)
		}
	}
	switch {
	case len(e.Actions) == 0:
		return e, refuse("The actions is empty.")
	case slices.Contains(e.Actions, Any):
		return e, refuse("The actions can not be Any.")
	}
	for _, ip := range in.SourceIPs {
		if strings.TrimSpace(ip) == "" {
			return e, refuse("The source ip is empty.")
		}
		if _, ok := parseSpan(ip); !ok {
			return e, refuse("The source ip is invalid.")
		}
	}
	e.SourceIPs = in.SourceIPs
	switch {
	case strings.EqualFold(in.Decision, "Deny"):
		e.Deny = true
	case !strings.EqualFold(in.Decision, "Allow"):
		return e, refuse("The decision is null or illegal.")
	}
	return e, nil
}
