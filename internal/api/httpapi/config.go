package httpapi

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

type configEntry struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Default string `json:"default,omitempty"`
	Doc     string `json:"doc,omitempty"`
	Live    bool   `json:"live,omitempty"`
	Secret  bool   `json:"secret,omitempty"`
	Known   bool   `json:"known,omitempty"`
}

type configAnswer struct {
	Items []configEntry `json:"items"`
}

// secretWords are in keys whose values nobody is shown, also of Java's brokers, which tell them.
var secretWords = []string{"password", "secret", "credential", "authenticationuser"}

// configOf reads a configuration and adds what is known of its keys.
func (c *call) configOf(role string, from mq.Configurable) (*configAnswer, error) {
	list, err := from.Config(c.ctx)
	if err != nil {
		return nil, err
	}
	out := &configAnswer{Items: []configEntry{}}
	for _, s := range list {
		e := configEntry{Key: s.Key, Value: s.Value}
		if c.a.o.Keys != nil {
			if k, ok := c.a.o.Keys(role, s.Key); ok {
				e.Default, e.Doc, e.Live, e.Secret, e.Known = k.Default, k.Doc, k.Live, k.Secret, true
			}
		}
		low := strings.ToLower(s.Key)
		if slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(low, w) }) {
			e.Secret = true
		}
		if e.Secret && e.Value != "" {
			e.Value = hidden
		}
		out.Items = append(out.Items, e)
	}
	slices.SortStableFunc(out.Items, func(a, b configEntry) int { return compareText(a.Key, b.Key) })
	return out, nil
}

const maxConfigKeys = 200

// patchConfig changes the keys that differ, one request each, so that the answer says which ones a server has taken.
func (c *call) patchConfig(role, nodeName, action string, to mq.Configurable) (any, error) {
	var in struct {
		Set map[string]string `json:"set"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if len(in.Set) == 0 || len(in.Set) > maxConfigKeys {
		return nil, badField("set", "missing", "1 to %d keys can be set", maxConfigKeys)
	}
	now, err := c.configOf(role, to)
	if err != nil {
		return nil, err
	}
	if err = c.unchanged(now); err != nil {
		return nil, err
	}
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(in.Set)) {
		v := in.Set[key]
		if key == "" || strings.ContainsAny(key, "=\r\n#! ") || strings.ContainsAny(v, "\r\n") {
			return nil, badField("set", "badKey", "%q: neither key nor value may have line breaks, nor the key = # ! or spaces", key)
		}
		i := slices.IndexFunc(now.Items, func(e configEntry) bool { return e.Key == key })
		s := step{Node: nodeName, Action: action, Target: key, After: v}
		if i >= 0 {
			e := &now.Items[i]
			if e.Value == v || e.Secret && v == hidden {
				continue
			}
			s.Before = e.Value
			if e.Secret {
				s.After = hidden
			}
		}
		p.add(s, func(ctx context.Context) (string, error) { return to.SetConfig(ctx, key, v) })
	}
	return p.runChanges()
}

// runChanges is run with the names of what was changed in the audit.
func (p *plan) runChanges() (any, error) {
	v, err := p.run()
	var before, after []string
	for i := range p.steps {
		if s := &p.steps[i]; s.Done {
			before, after = append(before, s.Target+"="+s.Before), append(after, s.Target+"="+s.After)
		}
	}
	p.c.before, p.c.after = strings.Join(before, "; "), strings.Join(after, "; ")
	return v, err
}

func getBrokerConfig(c *call) (any, error) {
	n, err := c.broker()
	if err != nil {
		return nil, err
	}
	return c.configOf(RoleBroker, n)
}

func patchBrokerConfig(c *call) (any, error) {
	n, err := c.broker()
	if err != nil {
		return nil, err
	}
	return c.patchConfig(RoleBroker, n.String(), "UPDATE_BROKER_CONFIG", n)
}

// nameServer is the one of the path, which must be one of the cluster's: the dashboard asks no other address.
func (c *call) nameServer() (mq.NameServerAdmin, error) {
	if _, err := c.cluster(); err != nil {
		return nil, err
	}
	addr := c.path("addr")
	if !slices.Contains(c.a.cluster.NameServers(), addr) {
		return nil, notFound("nameServerNotFound", "%s is no name server of this dashboard", addr)
	}
	return c.a.cluster.NameServer(addr), nil
}

func getNameServerConfig(c *call) (any, error) {
	n, err := c.nameServer()
	if err != nil {
		return nil, err
	}
	return c.configOf(RoleNameServer, n)
}

func patchNameServerConfig(c *call) (any, error) {
	n, err := c.nameServer()
	if err != nil {
		return nil, err
	}
	return c.patchConfig(RoleNameServer, c.path("addr"), "UPDATE_NAMESRV_CONFIG", n)
}

func getControllerConfig(c *call) (any, error) {
	k, err := c.controller()
	if err != nil {
		return nil, err
	}
	return c.configOf(RoleController, k)
}

func patchControllerConfig(c *call) (any, error) {
	k, err := c.controller()
	if err != nil {
		return nil, err
	}
	return c.patchConfig(RoleController, c.path("addr"), "UPDATE_CONTROLLER_CONFIG", k)
}
