package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

func configCommands() []Command {
	key, value := need("k", "key", "config key"), need("v", "value", "config value")
	space := need("s", "namespace", "namespace")
	return []Command{
		{Name: "getBrokerConfig", About: "The configuration of brokers", Flags: []Flag{toBroker, toCluster}, OneOf: either, Run: getBrokerConfig},
		{
			Name: "updateBrokerConfig", About: "Change a key of brokers' configuration", Changes: true, Run: updateBrokerConfig,
			Flags: []Flag{toBroker, toCluster, opt("a", "updateAllBroker", "slaves too, true or false"), key, value},
		},
		{Name: "getNamesrvConfig", About: "The configuration of the name servers", Run: getNamesrvConfig},
		{
			Name: "updateNamesrvConfig", About: "Change a key of the name servers' configuration", Changes: true, Flags: []Flag{key, value},
			Run: updateNamesrvConfig,
		},
		{
			Name: "updateKvConfig", About: "Write a key of the name servers' KV tables", Changes: true,
			Flags: []Flag{space, need("k", "key", "key"), need("v", "value", "value")}, Run: updateKV,
		},
		{
			Name: "deleteKvConfig", About: "Delete a key of the name servers' KV tables", Changes: true, Destroys: true,
			Flags: []Flag{space, need("k", "key", "key")}, Run: deleteKV,
		},
	}
}

// set changes one key of one server and passes on what it says about it.
func (c *Call) set(at mq.Configurable, addr, key, value string) error {
	remark, err := at.SetConfig(c.Ctx, key, value)
	if remark != "" {
		fmt.Fprintf(c.env.Err, "%s: %s\n", addr, remark)
	}
	return err
}

// settingsOf prints one server's configuration, sorted.
func (c *Call) settingsOf(addr, title string, from mq.Configurable) {
	list, err := from.Config(c.Ctx)
	if err != nil {
		c.Failed(err)
		return
	}
	slices.SortFunc(list, func(a, b mq.Setting) int { return strings.Compare(a.Key, b.Key) })
	m := map[string]string{}
	for _, s := range list {
		m[s.Key] = s.Value
	}
	c.Row(struct {
		Addr   string            `json:"addr"`
		Config map[string]string `json:"config"`
	}{addr, m}, "%s\n", title)
	for _, s := range list {
		c.Say("%-50s=  %s\n", s.Key, s.Value)
	}
}

func getBrokerConfig(c *Call) error {
	targets, err := c.targets(true)
	if err != nil {
		return err
	}
	for _, t := range targets {
		title := "============" + t.addr + "============"
		if c.Has("c") {
			title = "============Master: " + t.addr + "============"
			if t.id != 0 {
				title = "============My Master: " + t.set.Master() + "=====Slave: " + t.addr + "============"
			}
		}
		c.settingsOf(t.addr, title, t.broker)
		c.Say("\n")
	}
	return nil
}

func updateBrokerConfig(c *Call) error {
	targets, err := c.targets(c.Bool("a", false))
	if err != nil {
		return err
	}
	k, v := c.Str("k"), c.Str("v")
	for _, t := range targets {
		if c.Change(func() error { return c.set(t.broker, t.addr, k, v) }, "set %s=%s on %s", k, v, t.addr) {
			c.Row(map[string]string{"addr": t.addr, "key": k, "value": v}, "update broker config success, %s\n", t.addr)
		}
	}
	return nil
}

func getNamesrvConfig(c *Call) error {
	for _, addr := range c.NameServers() {
		c.settingsOf(addr, "============"+addr+"============", c.NameServer(addr))
	}
	return nil
}

func updateNamesrvConfig(c *Call) error {
	k, v := c.Str("k"), c.Str("v")
	done := false
	for _, addr := range c.NameServers() {
		done = c.Change(func() error { return c.set(c.NameServer(addr), addr, k, v) }, "set %s=%s on %s", k, v, addr) || done
	}
	if done && len(c.errs) == 0 {
		c.Only(map[string]string{"key": k, "value": v}, "update name server config success!\n%s : %s\n", k, v)
	}
	return nil
}

func updateKV(c *Call) error {
	s, k, v := c.Str("s"), c.Str("k"), c.Str("v")
	if c.Change(func() error {
		return c.everyNameServer(func(ns mq.NameServerAdmin) error { return ns.PutKV(c.Ctx, s, k, v) })
	}, "set %s=%s in namespace %s of name servers %s", k, v, s, strings.Join(c.NameServers(), ", ")) {
		c.Only(map[string]string{"namespace": s, "key": k, "value": v}, "create or update kv config to namespace success.\n")
	}
	return nil
}

func deleteKV(c *Call) error {
	s, k := c.Str("s"), c.Str("k")
	if c.Change(func() error {
		return c.everyNameServer(func(ns mq.NameServerAdmin) error { return ns.DeleteKV(c.Ctx, s, k) })
	}, "delete %s of namespace %s in name servers %s", k, s, strings.Join(c.NameServers(), ", ")) {
		c.Only(map[string]string{"namespace": s, "key": k}, "delete kv config from namespace success.\n")
	}
	return nil
}

// kv lists a namespace.
func kv(c *Call) error {
	m, err := c.NameServer("").KVs(c.Ctx, c.Str("s"))
	if err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		c.Row(mq.Setting{Key: k, Value: m[k]}, "%-50s=  %s\n", k, m[k])
	}
	return nil
}
