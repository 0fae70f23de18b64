package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/cometmq/cometmq/internal/vfs"
)

// Plain is the accounts of Java's ACL 1.0: conf/plain_acl.yml and conf/acl/*.yml below the home of RocketMQ.
//
// When the broker starts, an account whose user does not exist becomes a user with policies, as Java's migrateAuthFromV1Enabled does.
//
// Differs from Java: later changes of the files count, too, as they did with ACL 1.0. An account that is new or changed becomes what
// the file says, one that is gone loses its user. Files that cannot be read change nothing.
type Plain struct {
	g    *Guard
	home string
	last map[string]account // what the files said last, nil before they were read
	bad  string             // the error that was reported last
}

// account is an entry of the files.
type account struct {
	AccessKey          string   `yaml:"accessKey"`
	SecretKey          string   `yaml:"secretKey"`
	WhiteRemoteAddress string   `yaml:"whiteRemoteAddress"`
	Admin              bool     `yaml:"admin"`
	DefaultTopicPerm   string   `yaml:"defaultTopicPerm"`
	DefaultGroupPerm   string   `yaml:"defaultGroupPerm"`
	TopicPerms         []string `yaml:"topicPerms"`
	GroupPerms         []string `yaml:"groupPerms"`
}

type plainFile struct {
	White    []string  `yaml:"globalWhiteRemoteAddresses"`
	Accounts []account `yaml:"accounts"`
}

// maxPlain bounds what is read of one file.
const maxPlain = 4 << 20

// NewPlain reads the files for g. An error means that nothing was taken over.
func NewPlain(g *Guard, home string) (*Plain, error) {
	p := &Plain{g: g, home: home}
	accounts, err := p.read()
	if err != nil {
		return nil, fmt.Errorf("migrateAuthFromV1Enabled: %w", err)
	}
	p.last = accounts
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		if g.now.Load().accounts[name] != nil {
			continue
		}
		if err := func() error { a := accounts[name]; return p.put(&a) }(); err != nil {
			g.o.Log.Error("an account of plain_acl.yml is left out", "user", name, "err", err)
		}
	}
	return p, nil
}

// Run looks at the files every so often until ctx ends.
func (p *Plain) Run(ctx context.Context, every time.Duration) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			p.reload()
		}
	}
}

// reload takes over what has changed in the files. An error is reported once.
func (p *Plain) reload() {
	accounts, err := p.read()
	if err != nil {
		if p.bad != err.Error() {
			p.bad = err.Error()
			p.g.o.Log.Error("plain_acl.yml cannot be used, what it said before stays in force", "err", err)
		}
		return
	}
	p.bad = ""
	for _, name := range slices.Sorted(maps.Keys(p.last)) {
		if _, ok := accounts[name]; !ok {
			if err := p.g.DeleteUser(byFile, name); err != nil {
				p.g.o.Log.Error("a user that is not in plain_acl.yml any more is still there", "user", name, "err", err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		a := accounts[name]
		if old, ok := p.last[name]; ok && reflect.DeepEqual(old, a) {
			continue
		}
		if err := p.put(&a); err != nil {
			p.g.o.Log.Error("an account of plain_acl.yml is left out", "user", name, "err", err)
		}
	}
	p.last = accounts
}

// byFile is who makes the changes that the files ask for.
var byFile = By{From: "plain_acl.yml"}

// put makes the user of an account what it says.
func (p *Plain) put(a *account) error {
	u := User{Name: a.AccessKey, Secret: a.SecretKey, Super: a.Admin}
	acl := a.acl(func(perm string) {
		p.g.o.Log.Warn("a permission of plain_acl.yml is left out", "user", a.AccessKey, "permission", perm)
	})
	err := p.g.change(func(s *snapshot) error {
		switch {
		case blank(u.Name):
			return refuse("username can not be blank")
		case blank(u.Secret):
			return refuse("password can not be blank")
		}
		if old := s.accounts[u.Name]; old != nil {
			u.Disabled = old.Disabled
		}
		s.put(u)
		if acl == nil {
			s.revoke(u.Name)
		} else {
			s.grant(acl)
		}
		return nil
	})
	after := "type " + userType(u.Super) + ", a new secret"
	if acl != nil {
		after += ", " + string(aclInfo(acl).AppendTo(nil, false))
	}
	p.g.audit(byFile, "import user", u.Name, "", after, err)
	return err
}

// read returns the accounts of all files; the first of a name counts.
func (p *Plain) read() (map[string]account, error) {
	names := p.files(filepath.Join(p.home, "conf", "acl"), 0)
	names = append(names, filepath.Join(p.home, "conf", "plain_acl.yml"))
	all := map[string]account{}
	for _, name := range names {
		data, err := vfs.ReadFile(p.g.o.FS, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && len(data) > maxPlain {
			err = fmt.Errorf("%d bytes are too many", len(data))
		}
		var f plainFile
		if err == nil {
			d := yaml.NewDecoder(bytes.NewReader(data))
			if err = d.Decode(&f); errors.Is(err, io.EOF) {
				err = nil
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		for _, a := range f.Accounts {
			if _, ok := all[a.AccessKey]; !ok {
				all[a.AccessKey] = a
			}
		}
	}
	return all, nil
}

const maxDepth = 8 // of folders

func (p *Plain) files(dir string, depth int) []string {
	entries, err := p.g.o.FS.ReadDir(dir)
	if err != nil || depth > maxDepth {
		return nil
	}
	var out []string
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		switch ext := filepath.Ext(name); {
		case e.IsDir():
			out = append(out, p.files(name, depth+1)...)
		case ext == ".yml", ext == ".yaml":
			out = append(out, name)
		}
	}
	return out
}

// acl is the policies of an account, nil when it has none. What cannot be said in a policy is told to left.
func (a *account) acl(left func(perm string)) *ACL {
	out := &ACL{User: a.AccessKey}
	var custom, def []Entry
	add := func(list []string, make func(string) Resource) {
		for _, perm := range list {
			f := strings.FieldsFunc(perm, func(r rune) bool { return r == '=' })
			if len(f) != 2 || strings.HasSuffix(strings.TrimSpace(f[0]), "*") { // a name there, and not a pattern
				left(perm)
				continue
			}
			custom = append(custom, plainEntry(make(strings.TrimSpace(f[0])), f[1]))
		}
	}
	add(a.TopicPerms, Topic)
	add(a.GroupPerms, Group)
	if !blank(a.DefaultTopicPerm) {
		def = append(def, plainEntry(Resource{Kind: KindTopic, Pattern: AnyName}, a.DefaultTopicPerm))
	}
	if !blank(a.DefaultGroupPerm) {
		def = append(def, plainEntry(Resource{Kind: KindGroup, Pattern: AnyName}, a.DefaultGroupPerm))
	}
	if custom != nil {
		out.Policies = append(out.Policies, Policy{Type: Custom, Entries: custom})
	}
	if def != nil {
		out.Policies = append(out.Policies, Policy{Type: Default, Entries: def})
	}
	if out.Policies == nil {
		return nil
	}
	return out
}

// plainEntry is a permission of ACL 1.0 as Java's migration has it: DENY denies everything, and what is not PUB or SUB allows
// everything.
func plainEntry(r Resource, perm string) Entry {
	e := Entry{Resource: r, Actions: []Action{All}}
	switch strings.TrimSpace(perm) {
	case "PUB":
		e.Actions = []Action{Pub}
	case "SUB":
		e.Actions = []Action{Sub}
	case "PUB|SUB", "SUB|PUB":
		e.Actions = []Action{Pub, Sub}
	case "DENY":
		e.Deny = true
	}
	return e
}
