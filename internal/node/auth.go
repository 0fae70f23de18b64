package node

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/cometmq/cometmq/internal/api/remotingapi"
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// access is the access control of a role. It lives as long as the process: users do not change with a broker's role.
type access struct {
	guard *auth.Guard
	audit *auth.Audit
	plain *auth.Plain // nil without plain_acl.yml
	poll  time.Duration
}

// openAccess opens it, when anything of it is switched on. home is where Java's ACL 1.0 files are.
func openAccess(o *Options, c *config.Auth, home string, log *slog.Logger) (*access, error) {
	if !c.Any() && !c.Migrate {
		return nil, nil //nolint:nilnil // none is no error
	}
	if err := o.FS.MkdirAll(c.Dir); err != nil {
		return nil, err
	}
	a := &access{poll: c.Poll}
	var err error
	if a.audit, err = auth.OpenAudit(o.FS, filepath.Join(c.Dir, auth.AuditName), log, time.Now); err != nil {
		return nil, err
	}
	ao := auth.Options{
		Authenticate: c.Authenticate, Authorize: c.Authorize, Unsigned: config.Codes(c.Unsigned), Unchecked: config.Codes(c.Unchecked),
		FailBurst: c.FailBurst, FailEvery: c.FailEvery, FS: o.FS, Dir: c.Dir, Audit: a.audit, Log: log,
	}
	if c.FailBurst == 0 {
		ao.FailBurst = -1
	}
	if u, ok := c.InitUser(); ok {
		ao.Super = append(ao.Super, auth.Credentials{AccessKey: u.Name, SecretKey: u.Secret})
	}
	if u, ok := c.InnerUser(); ok {
		ao.Super = append(ao.Super, auth.Credentials{AccessKey: u.Name, SecretKey: u.Secret})
	}
	if a.guard, err = auth.Open(ao); err == nil && c.Migrate && home != "" {
		a.plain, err = auth.NewPlain(a.guard, home)
	}
	if err != nil {
		_ = a.audit.Close()
		return nil, err
	}
	if c.Authenticate && len(a.guard.Users("")) == 0 {
		log.Error("there is no user, so nobody can use this process: set initAuthenticationUser, or for a broker make one with cometmq auth init")
	}
	return a, nil
}

// admit is what the server of a broker asks before each request, nil when nothing is checked.
func (a *access) admit(cluster string) func(*remoting.Conn, *remoting.Request) bool {
	if a == nil || !a.guard.Authenticates() && !a.guard.Authorizes() {
		return nil
	}
	return remotingapi.NewGate(a.guard, cluster).Admit
}

// admitStrictly is admit of a server of another role, which has a resource of the kind cluster with its name.
func (a *access) admitStrictly(role string) func(*remoting.Conn, *remoting.Request) bool {
	if a == nil || !a.guard.Authenticates() && !a.guard.Authorizes() {
		return nil
	}
	return remotingapi.NewGate(a.guard, role).Strict().Admit
}

// attach lets mqadmin manage the users of a role that is no broker.
func (a *access) attach(s *remoting.Server) {
	if a != nil {
		remotingapi.HandleUsers(s, a.guard)
	}
}

// users keeps users and policies, nil without access control.
func (a *access) users() *auth.Guard {
	if a == nil {
		return nil
	}
	return a.guard
}

// collectAccess tells what the roles of a process have refused; those without access control are nil.
func collectAccess(s *telemetry.Sink, all []*access) {
	all = slices.DeleteFunc(all, func(a *access) bool { return a == nil })
	if len(all) == 0 {
		return
	}
	failed, denied, limited := map[string]int64{}, map[string]int64{}, 0
	for _, a := range all {
		f, d := a.guard.Refusals()
		for reason, n := range f {
			failed[reason] += n
		}
		for reason, n := range d {
			denied[reason] += n
		}
		limited += a.guard.Remembered()
	}
	for reason, n := range failed {
		s.Int(telemetry.AuthFailed, n, reason)
	}
	for reason, n := range denied {
		s.Int(telemetry.AuthDenied, n, reason)
	}
	s.Int(telemetry.AuthLimited, int64(limited))
}

// run follows plain_acl.yml until ctx ends.
func (a *access) run(ctx context.Context) error {
	if a == nil || a.plain == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return a.plain.Run(ctx, a.poll)
}

func (a *access) close() error {
	if a == nil {
		return nil
	}
	return a.audit.Close()
}

// signer signs what this process asks others, nil when it has no credentials.
func signer(c interface{ InnerUser() (config.Account, bool) }) func(protocol.Fields, []byte) protocol.Fields {
	u, ok := c.InnerUser()
	if !ok {
		return nil
	}
	return (&auth.Credentials{AccessKey: u.Name, SecretKey: u.Secret}).Sign
}
