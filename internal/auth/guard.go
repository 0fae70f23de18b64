package auth

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Options tune a Guard. The zero value lets everybody do everything.
type Options struct {
	Authenticate, Authorize bool
	// Unsigned and Unchecked are the codes that need no signature, and those that need no permission (Java's white lists).
	Unsigned, Unchecked []int32
	// Super are users that are made super users when they do not exist: initAuthenticationUser and the owner of
	// innerClientAuthenticationCredentials.
	Super []Credentials
	// FailBurst and FailEvery limit failed authentications of one address and user: so many at once, then one in this time. Default 20
	// and 1 s; negative FailBurst: no limit.
	FailBurst int
	FailEvery time.Duration

	FS    vfs.FS // default: vfs.OS
	Dir   string // folder of the files
	Audit *Audit // nil: changes are only logged
	Log   *slog.Logger
	Now   func() time.Time
}

// Refused says why a request is refused. The text is for the client: Java's, and behind it the rule when there is one. All else that a
// Guard returns is an error of its own.
type Refused struct{ Text string }

// Error is the text.
func (r *Refused) Error() string { return r.Text }

func refuse(text string) error { return &Refused{Text: text} }

// Guard answers who may do what. All methods may be called from any goroutine.
type Guard struct {
	o        Options
	unsigned map[int32]bool
	free     map[int32]bool
	limit    *limiter
	refused  [reasons]atomic.Int64

	now  atomic.Pointer[snapshot]
	mu   sync.Mutex // one change at a time
	file string
}

// snapshot is users and policies at one moment. It is not changed.
type snapshot struct {
	accounts map[string]*Account
	acls     map[string]*ACL
}

// Account is a user as requests meet it.
type Account struct {
	User
	signers *signers
	custom  rules
	def     rules
	acl     bool
}

// Open reads users and policies.
func Open(o Options) (*Guard, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	g := &Guard{o: o, unsigned: set(o.Unsigned), free: set(o.Unchecked), limit: newLimiter(o.FailBurst, o.FailEvery, o.Now)}
	if err := g.load(); err != nil {
		return nil, err
	}
	for _, c := range o.Super {
		if err := g.ensureSuper(c); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func set(codes []int32) map[int32]bool {
	if len(codes) == 0 {
		return nil
	}
	m := make(map[int32]bool, len(codes))
	for _, c := range codes {
		m[c] = true
	}
	return m
}

// Authenticates and Authorizes report what is switched on.
func (g *Guard) Authenticates() bool { return g.o.Authenticate }

// Authorizes reports whether permissions are checked.
func (g *Guard) Authorizes() bool { return g.o.Authorize }

// reason is why a request was refused, as metrics tell.
type reason uint8

const (
	noUser reason = iota // from here on: who sends is not known
	unknownUser
	disabledUser
	badSignature
	tooManyFailures
	doubledField
	noSubject // from here on: who sends may not do that
	unknownSubject
	disabledSubject
	noPolicy
	denied
	reasons
)

var reasonNames = [reasons]string{
	"no_user", "unknown_user", "disabled_user", "bad_signature", "too_many_failures", "doubled_field",
	"no_user", "unknown_user", "disabled_user", "no_policy", "denied",
}

// Refusals counts the refused requests so far by reason, those that were not authenticated and those that were not authorized.
func (g *Guard) Refusals() (failed, refused map[string]int64) {
	failed, refused = map[string]int64{}, map[string]int64{}
	for r := range reasons {
		if r < noSubject {
			failed[reasonNames[r]] = g.refused[r].Load()
			continue
		}
		refused[reasonNames[r]] = g.refused[r].Load()
	}
	return failed, refused
}

// Counts are the refusals so far.
func (g *Guard) Counts() (failedAuthentications, unauthorized int64) {
	for r := range reasons {
		if r < noSubject {
			failedAuthentications += g.refused[r].Load()
			continue
		}
		unauthorized += g.refused[r].Load()
	}
	return failedAuthentications, unauthorized
}

// Remembered is how many addresses and users have failed lately.
func (g *Guard) Remembered() int { return g.limit.size() }

func (g *Guard) refuse(why reason, text string) error {
	g.refused[why].Add(1)
	return refuse(text)
}

// Request is what is signed.
type Request struct {
	Code    int32
	Version int32 // of the client
	Fields  protocol.Fields
	Body    []byte
	From    netip.Addr
}

// Scratch is memory for one request at a time.
type Scratch struct{ sorted protocol.Fields }

// Texts of refusals that Java's clients know.
const (
	textNoUser    = "username cannot be null."
	textSignature = "check signature failed."
	textNoSubject = "Authorization failed. Please verify your access rights and try again."
)

// Authenticate returns the account that r says it comes from, nil when it says none or an unknown one, and checks the signature unless
// that is switched off or not needed for the code. The error is a *Refused.
func (g *Guard) Authenticate(r *Request, sc *Scratch) (*Account, error) {
	name, named := r.Fields.Get(FieldAccessKey)
	var a *Account
	if named {
		a = g.now.Load().accounts[string(name)]
	}
	if !g.o.Authenticate || g.unsigned[r.Code] {
		if g.o.Authorize && twice(r.Fields, sc) {
			return nil, g.refuse(doubledField, "a field is given twice.")
		}
		return a, nil
	}
	if err := g.check(r, name, a, sc); err != nil {
		return nil, err
	}
	return a, nil
}

// fewFields is how many fields are compared each with each other: real requests have fewer than 30.
const fewFields = 64

func twice(f protocol.Fields, sc *Scratch) (doubled bool) {
	if len(f) > fewFields {
		sc.sorted, doubled = content(sc.sorted, f, 0)
		clear(sc.sorted) // views of the frame
		return doubled
	}
	for i := range f {
		for j := range i {
			if bytes.Equal(f[i].Key, f[j].Key) {
				return true
			}
		}
	}
	return false
}

func (g *Guard) check(r *Request, name []byte, a *Account, sc *Scratch) error {
	who, err := g.suspect(name, a, r.From)
	if err != nil {
		return err
	}
	sorted, doubled := content(sc.sorted, r.Fields, r.Version)
	sc.sorted = sorted
	got, _ := r.Fields.Get(FieldSignature)
	s, _ := a.signers.pool.Get().(*signer)
	ok := !doubled && same(s.sign(sorted, r.Body), got)
	a.signers.pool.Put(s)
	clear(sorted) // views of the frame
	if !ok {
		g.limit.failed(who)
		return g.refuse(badSignature, textSignature)
	}
	return nil
}

// suspect refuses who cannot be let in whatever the signature is.
func (g *Guard) suspect(name []byte, a *Account, from netip.Addr) (who limitKey, err error) {
	if len(name) == 0 {
		return who, g.refuse(noUser, textNoUser)
	}
	who = limitKey{from: from}
	if a != nil {
		who.user = a.Name
	}
	if g.limit.refuses(who) {
		return who, g.refuse(tooManyFailures, "too many failed authentications from "+addr(from)+", try again later.")
	}
	switch {
	case a == nil:
		g.limit.failed(who)
		return who, g.refuse(unknownUser, "User:"+text(name)+" is not found.")
	case a.Disabled:
		return who, g.refuse(disabledUser, "User:"+a.Name+" is disabled.")
	}
	return who, nil
}

// AuthenticateText is Authenticate for who signs one text only: sum is its HMAC-SHA1 with the secret.
func (g *Guard) AuthenticateText(name, signed string, sum []byte, from netip.Addr) (*Account, error) {
	a := g.now.Load().accounts[name]
	if !g.o.Authenticate {
		return a, nil
	}
	who, err := g.suspect([]byte(name), a, from)
	if err != nil {
		return nil, err
	}
	s, _ := a.signers.pool.Get().(*signer)
	ok := same(s.signText(signed), sum)
	a.signers.pool.Put(s)
	if !ok {
		g.limit.failed(who)
		return nil, g.refuse(badSignature, textSignature)
	}
	return a, nil
}

// maxText bounds what a refusal repeats of a request.
const maxText = 256

func text(b []byte) string { return string(b[:min(len(b), maxText)]) }

func addr(a netip.Addr) string {
	if !a.IsValid() {
		return "unknown"
	}
	return a.Unmap().String()
}

// Checks reports whether requests with the code need permissions.
func (g *Guard) Checks(code int32) bool { return g.o.Authorize && !g.free[code] }

// Authorize decides whether the user named name, whose account a is, may do any of the actions with the resource. named is false when
// the request names no user. The error is a *Refused.
func (g *Guard) Authorize(a *Account, name []byte, named bool, what *Resource, actions Actions, from netip.Addr) error {
	switch {
	case a != nil && a.Super && !a.Disabled:
		return nil
	case a != nil && a.Disabled:
		return g.refuse(disabledSubject, "User:"+a.Name+" is disabled.")
	case !named:
		return g.refuse(noSubject, textNoSubject)
	case a == nil:
		return g.refuse(unknownSubject, "User:"+text(name)+" not found.")
	}
	m := a.custom.match(what, actions, from)
	policy := Custom
	if m == nil {
		m, policy = a.def.match(what, actions, from), Default
	}
	if m != nil && !m.entry.Deny {
		return nil
	}
	t := "User:" + a.Name + " has no permission to access " + clip(what.String()) + " from " + addr(from)
	if m == nil {
		return g.refuse(noPolicy, t+", no matched policies.")
	}
	// Differs from Java: the answer names the rule that denies.
	return g.refuse(denied, t+", the decision is deny. ("+policy.String()+" rule: "+m.entry.String()+")")
}

func clip(s string) string { return s[:min(len(s), maxText)] }

// IsSuper reports whether there is such a user and it is a super user.
func (g *Guard) IsSuper(name string) bool {
	a := g.now.Load().accounts[name]
	return a != nil && a.Super
}

// AsRefused returns the text of a refusal.
func AsRefused(err error) (text string, ok bool) {
	r, ok := errors.AsType[*Refused](err)
	if !ok {
		return "", false
	}
	return r.Text, true
}
