package node

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"github.com/cometmq/cometmq/internal/api/remotingapi"
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// access is the access control of a broker. It lives as long as the process: users do not change with the role.
type access struct {
	guard *auth.Guard
	gate  *remotingapi.Gate
	audit *auth.Audit
	plain *auth.Plain // nil without plain_acl.yml
	poll  time.Duration
}

// openAccess opens it, when anything of it is switched on.
func openAccess(o *Options) (*access, error) {
	c := &o.Broker.Auth
	if !c.Any() && !c.Migrate {
		return nil, nil //nolint:nilnil // none is no error
	}
	log := o.Log.With("role", "auth", "broker", o.Broker.Identity.Name)
	dir := cmp.Or(c.Dir, filepath.Join(o.Broker.Store.Root, "auth"))
	if err := o.FS.MkdirAll(dir); err != nil {
		return nil, err
	}
	a := &access{poll: c.Poll}
	var err error
	if a.audit, err = auth.OpenAudit(o.FS, filepath.Join(dir, auth.AuditName), log, time.Now); err != nil {
		return nil, err
	}
	ao := auth.Options{
		Authenticate: c.Authenticate, Authorize: c.Authorize, Unsigned: config.Codes(c.Unsigned), Unchecked: config.Codes(c.Unchecked),
		FailBurst: c.FailBurst, FailEvery: c.FailEvery, FS: o.FS, Dir: dir, Audit: a.audit, Log: log,
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
	if a.guard, err = auth.Open(ao); err == nil && c.Migrate && o.Broker.Process.Home != "" {
		a.plain, err = auth.NewPlain(a.guard, o.Broker.Process.Home)
	}
	if err != nil {
		_ = a.audit.Close()
		return nil, err
	}
	if c.Any() {
		a.gate = remotingapi.NewGate(a.guard, o.Broker.Identity.Cluster)
	}
	if c.Authenticate && len(a.guard.Users("")) == 0 {
		log.Error("there is no user, so nobody can use this broker: make one with cometmq auth init, or set initAuthenticationUser")
	}
	return a, nil
}

// admit is what the server of the broker asks before each request, nil when nothing is checked.
func (a *access) admit() func(*remoting.Conn, *remoting.Request) bool {
	if a == nil || a.gate == nil {
		return nil
	}
	return a.gate.Admit
}

// users keeps users and policies, nil without access control.
func (a *access) users() *auth.Guard {
	if a == nil {
		return nil
	}
	return a.guard
}

// collect tells what was refused.
func (a *access) collect(s *telemetry.Sink) {
	if a == nil {
		return
	}
	failed, denied := a.guard.Refusals()
	for reason, n := range failed {
		s.Int(telemetry.AuthFailed, n, reason)
	}
	for reason, n := range denied {
		s.Int(telemetry.AuthDenied, n, reason)
	}
	s.Int(telemetry.AuthLimited, int64(a.guard.Remembered()))
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
