package protocol

import "github.com/cometmq/cometmq/internal/fastjson"

// UserInfo is a user in the bodies of codes 3001, 3002, 3004 and 3005. What is "" was not said.
type UserInfo struct {
	Username   string
	Password   string
	UserType   string // Super or Normal
	UserStatus string // enable or disable
}

// Write writes u.
func (u *UserInfo) Write(w *fastjson.Writer) {
	w.ObjStart()
	optField(w, "password", u.Password)
	optField(w, "userStatus", u.UserStatus)
	optField(w, "userType", u.UserType)
	optField(w, "username", u.Username)
	w.ObjEnd()
}

func (u *UserInfo) read(v fastjson.Value) {
	*u = UserInfo{
		Username: v.Get("username").Str(), Password: v.Get("password").Str(),
		UserType: v.Get("userType").Str(), UserStatus: v.Get("userStatus").Str(),
	}
}

// Decode reads u.
func (u *UserInfo) Decode(data []byte) error { return decodeBody(data, u.read) }

// AppendTo appends u.
func (u *UserInfo) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, u.Write) }

// PolicyEntryInfo is one rule of an AclInfo.
type PolicyEntryInfo struct {
	Resource  string // *, Topic:name, Topic:prefix*, Topic:*
	Actions   []string
	SourceIPs []string
	Decision  string // Allow or Deny
}

func (e *PolicyEntryInfo) write(w *fastjson.Writer) {
	w.ObjStart()
	if e.Actions != nil {
		w.Key("actions")
		w.Strs(e.Actions)
	}
	optField(w, "decision", e.Decision)
	optField(w, "resource", e.Resource)
	if e.SourceIPs != nil {
		w.Key("sourceIps")
		w.Strs(e.SourceIPs)
	}
	w.ObjEnd()
}

func (e *PolicyEntryInfo) read(v fastjson.Value) {
	*e = PolicyEntryInfo{
		Resource: v.Get("resource").Str(), Actions: v.Get("actions").Strs(), SourceIPs: v.Get("sourceIps").Strs(), Decision: v.Get("decision").Str(),
	}
}

// PolicyInfo is the rules of one type of an AclInfo.
type PolicyInfo struct {
	PolicyType string // Custom or Default
	Entries    []PolicyEntryInfo
}

func (p *PolicyInfo) write(w *fastjson.Writer) {
	w.ObjStart()
	if p.Entries != nil {
		listField(w, "entries", p.Entries, func(w *fastjson.Writer, e *PolicyEntryInfo) { e.write(w) })
	}
	optField(w, "policyType", p.PolicyType)
	w.ObjEnd()
}

func (p *PolicyInfo) read(v fastjson.Value) {
	*p = PolicyInfo{PolicyType: v.Get("policyType").Str(), Entries: readList(v.Get("entries"), (*PolicyEntryInfo).read)}
}

// ACLInfo is the policies of a subject in the bodies of codes 3006, 3007, 3009 and 3010.
type ACLInfo struct {
	Subject  string // User:name
	Policies []PolicyInfo
}

// Write writes a.
func (a *ACLInfo) Write(w *fastjson.Writer) {
	w.ObjStart()
	if a.Policies != nil {
		listField(w, "policies", a.Policies, func(w *fastjson.Writer, p *PolicyInfo) { p.write(w) })
	}
	optField(w, "subject", a.Subject)
	w.ObjEnd()
}

func (a *ACLInfo) read(v fastjson.Value) {
	*a = ACLInfo{Subject: v.Get("subject").Str(), Policies: readList(v.Get("policies"), (*PolicyInfo).read)}
}

// Decode reads a.
func (a *ACLInfo) Decode(data []byte) error { return decodeBody(data, a.read) }

// AppendTo appends a.
func (a *ACLInfo) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, a.Write) }

// AppendUsers appends the answer to code 3005.
func AppendUsers(dst []byte, list []UserInfo) []byte {
	return appendBody(dst, false, func(w *fastjson.Writer) {
		w.ArrStart()
		for i := range list {
			list[i].Write(w)
		}
		w.ArrEnd()
	})
}

// AppendACLs appends the answer to code 3010.
func AppendACLs(dst []byte, list []ACLInfo) []byte {
	return appendBody(dst, false, func(w *fastjson.Writer) {
		w.ArrStart()
		for i := range list {
			list[i].Write(w)
		}
		w.ArrEnd()
	})
}

// AuthTables are the users and policies of a broker as cometmq keeps them in a file.
type AuthTables struct {
	Users []UserInfo
	ACLs  []ACLInfo
}

// Write writes t.
func (t *AuthTables) Write(w *fastjson.Writer) {
	w.ObjStart()
	listField(w, "acls", t.ACLs, func(w *fastjson.Writer, a *ACLInfo) { a.Write(w) })
	listField(w, "users", t.Users, func(w *fastjson.Writer, u *UserInfo) { u.Write(w) })
	w.ObjEnd()
}

func (t *AuthTables) read(v fastjson.Value) {
	*t = AuthTables{Users: readList(v.Get("users"), (*UserInfo).read), ACLs: readList(v.Get("acls"), (*ACLInfo).read)}
}

// Decode reads t.
func (t *AuthTables) Decode(data []byte) error { return decodeBody(data, t.read) }

// AppendTo appends t.
func (t *AuthTables) AppendTo(dst []byte) []byte { return appendBody(dst, false, t.Write) }
