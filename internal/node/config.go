package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// configuration is a broker's while it runs. Who changes it has the broker's turn.
type configuration struct {
	p       *brokerPart
	running atomic.Pointer[config.Broker]
	stored  atomic.Pointer[storedConfig]
}

// storedConfig is what the next start would find.
type storedConfig struct {
	*config.Broker
	version mq.DataVersion
}

func newConfiguration(p *brokerPart, c *config.Broker) *configuration {
	k := &configuration{p: p}
	k.running.Store(c)
	k.stored.Store(&storedConfig{c, mq.DataVersion{Timestamp: time.Now().UnixMilli()}})
	return k
}

// options are those of the process with the configuration of the moment.
func (p *brokerPart) options() *Options {
	o := *p.o
	o.Broker = p.conf.running.Load()
	return &o
}

// Properties implements mq.ConfigAdmin.
func (k *configuration) Properties(context.Context) (map[string]string, mq.DataVersion, error) {
	s := k.stored.Load()
	return s.JavaProperties(), s.version, nil
}

// SetProperties implements mq.ConfigAdmin. What is good is written to the operator's file and takes effect; when it cannot be written
// it stays until the next start, as in Java, and the remark says so.
func (k *configuration) SetProperties(ctx context.Context, values map[string]string, from string) (string, error) {
	p := k.p
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return "", mq.Errorf(mq.KindInternal, "the broker is busy with another change: %s", ctx.Err())
	}
	was := k.stored.Load()
	u, err := k.running.Load().Plan(was.Broker, values)
	var locked *config.LockedError
	switch {
	case errors.As(err, &locked):
		p.log.Warn("a change of the configuration was refused", "key", locked.Key, "peer", from, "err", err)
		return "", mq.Errorf(mq.KindNoPermission, "Can not update config in black list.")
	case err != nil:
		p.log.Warn("a change of the configuration was refused", "peer", from, "err", err)
		return "", mq.Errorf(mq.KindInvalidParameter, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	var remarks []string
	if err := k.save(u); err != nil {
		p.log.Error("the changed configuration is not on disk, it will be gone after the next start", "file", u.Stored.Process.ConfigPath, "err", err)
		remarks = append(remarks, "not stored, it will be gone after the next start: "+err.Error())
	}
	for _, c := range u.Changes {
		audit := []any{"key", c.Key, "old", shown(c.Key, c.Old), "new", shown(c.Key, c.New), "effect", c.Effect.String(), "peer", from}
		if c.Note != "" {
			audit = append(audit, "note", c.Note)
			remarks = append(remarks, c.Key+": "+c.Note)
		}
		switch c.Effect {
		case config.EffectUnknown:
			p.log.Warn("a change of the configuration was ignored", audit...)
			continue
		case config.EffectRestart:
			remarks = append(remarks, c.Key+": it counts after the next start of the broker")
		case config.EffectNow, config.EffectNone:
		}
		p.log.Info("configuration changed", audit...)
	}
	v := was.version
	v.Counter++
	v.Timestamp = time.Now().UnixMilli()
	k.stored.Store(&storedConfig{u.Stored, v})
	k.running.Store(u.Running)
	p.retune(ctx)
	return strings.Join(remarks, "; "), nil
}

// shown is a value as it may stand in a log.
func shown(key, value string) string {
	if config.IsSecret(key) && value != "" {
		return config.Hidden
	}
	return value
}

// save writes what has changed to the operator's file and leaves the rest of it as it is.
func (k *configuration) save(u *config.Update) error {
	values := map[string]string{}
	for _, c := range u.Changes {
		if c.Effect != config.EffectUnknown {
			values[c.Key] = c.New
		}
	}
	name := u.Stored.Process.ConfigPath
	if len(values) == 0 {
		return nil
	}
	if name == "" {
		return errors.New("the broker was started without a configuration file")
	}
	fs := k.p.o.FS
	old, err := vfs.ReadFile(fs, name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return vfs.WriteFileAtomic(fs, name, config.Edit(old, values), true)
}

// retune makes the parts of the broker follow the configuration. The caller has the turn.
func (p *brokerPart) retune(ctx context.Context) {
	o, e := p.options(), p.now()
	role := e.now()
	if o.Level != nil {
		_ = o.Level.UnmarshalText([]byte(o.Broker.Process.LogLevel)) // one of the words that the key allows
	}
	if own, bad := config.ParseLogLevels(o.Broker.Process.LogLevels); o.Levels != nil && bad == "" {
		o.Levels.Replace(own)
	}
	names := o.Broker.Routes.NameServers
	if o.ownNames != "" {
		names = knownTo(o.Broker, o.ownNames).Routes.NameServers
	}
	p.registrar.Use(names)
	if p.set != nil {
		p.set.Use(names)
	}
	p.registrar.Retune(mq.Perm(o.Broker.Identity.Permission), p.registerPeriod(role.Kind))
	p.bound(&o.Broker.Quotas)
	e.api.Retrace(o.Broker.Topics.TraceOn)
	e.store.Retune(storeOptions(o, &role, p.advertised))
	e.core.Retune(ctx, brokerOptions(o, &role, p.advertised))
}
