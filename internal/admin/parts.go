package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// partCommands are about parts of Java's broker: containers, cold reads, read-ahead, the engine of timers. Where CometMQ does not have
// the part, the broker's answer says so.
func partCommands() []Command {
	group := need("g", "consumerGroup", "consumer group")
	return []Command{
		{
			Name: "addBroker", About: "Start a broker in a Java broker container", Changes: true, Run: addBroker,
			Flags: []Flag{need("c", "brokerContainerAddr", "the container's address"), need("b", "brokerConfigPath", "the broker's configuration, a path on the container's machine")},
		},
		{
			Name: "removeBroker", About: "Stop a broker in a Java broker container", Changes: true, Destroys: true, Run: removeBroker,
			Flags: []Flag{need("c", "brokerContainerAddr", "the container's address"), need("b", "brokerIdentity", "cluster:broker:id")},
		},
		{
			Name: "getColdDataFlowCtrInfo", About: "What consumer groups read of old messages, and their limits", OneOf: either, Run: coldReads,
			Flags: []Flag{toBroker, toCluster},
		},
		{
			Name: "updateColdDataFlowCtrGroupConfig", About: "Limit what a consumer group reads of old messages", Changes: true, OneOf: either, Run: setColdLimit,
			Flags: []Flag{toBroker, toCluster, group, need("v", "threshold", "bytes a second").num(64)},
		},
		{
			Name: "removeColdDataFlowCtrGroupConfig", About: "Remove a consumer group's limit for old messages", Changes: true, OneOf: either, Run: dropColdLimit,
			Flags: []Flag{toBroker, toCluster, group},
		},
		{
			Name: "setCommitLogReadAheadMode", About: "How brokers read the commit log ahead", Changes: true, OneOf: either, Run: setReadAhead,
			Flags: []Flag{toBroker, toCluster, need("m", "commitLogReadAheadMode", "0 normal, 1 random reads")},
		},
		{
			Name: "switchTimerEngine", About: "Which engine keeps timers", Changes: true, OneOf: either, Run: switchTimers,
			Flags: []Flag{toBroker, toCluster, need("e", "engineType", "R RocksDB, F files")},
		},
	}
}

func addBroker(c *Call) error {
	addr, path := c.Str("c"), c.Str("b")
	if c.Change(func() error { return c.Broker(addr).AddBroker(c.Ctx, path) }, "have container %s start a broker with %s", addr, path) {
		c.Only(map[string]string{"container": addr, "config": path}, "add broker to %s success\n", addr)
	}
	return nil
}

func removeBroker(c *Call) error {
	addr := c.Str("c")
	part := strings.Split(c.Str("b"), ":")
	if len(part) != 3 {
		return usage("removeBroker: -b %q: want cluster:broker:id", c.Str("b"))
	}
	id, err := strconv.ParseInt(strings.TrimSpace(part[2]), 10, 64)
	if err != nil || id < 0 {
		return usage("removeBroker: -b %q: the id %q must be a number from 0 on", c.Str("b"), part[2])
	}
	cluster, name := strings.TrimSpace(part[0]), strings.TrimSpace(part[1])
	if c.Change(func() error { return c.Broker(addr).RemoveBroker(c.Ctx, cluster, name, id) }, "have container %s stop broker %s-%d of %s", addr, name, id, cluster) {
		c.Only(map[string]any{"container": addr, "cluster": cluster, "broker": name, "brokerId": id}, "remove broker from %s success\n", addr)
	}
	return nil
}

// heading is the line above what a broker says, of commands that ask masters and slaves.
func (c *Call) heading(t *target) string {
	switch {
	case !c.Has("c"):
		return "============" + t.addr + "============"
	case t.id != 0:
		return "============My Master: " + t.set.Master() + "=====Slave: " + t.addr + "============"
	}
	return "============Master: " + t.addr + "============"
}

func coldReads(c *Call) error {
	targets, err := c.targets(true)
	if err != nil {
		return err
	}
	for i := range targets {
		t := &targets[i]
		data, err := t.broker.ColdReads(c.Ctx)
		if err != nil {
			c.Failed(err)
			continue
		}
		c.Say(" %s\n", c.heading(t))
		if len(data) == 0 {
			c.Row(map[string]any{"addr": t.addr}, "Broker[%s] has no cold ctr table !\n", t.addr)
			continue
		}
		if data, err = readableTimes(data); err != nil {
			c.Failed(fmt.Errorf("%s: %w", t.addr, err))
			continue
		}
		c.Row(map[string]any{"addr": t.addr, "info": json.RawMessage(data)}, "%s\n", pretty(data))
	}
	return nil
}

// readableTimes replaces the times of each group's counters by text, as Java's tool does.
func readableTimes(data []byte) ([]byte, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, err
	}
	var table map[string]map[string]any
	if err := json.Unmarshal(top["runtimeTable"], &table); err != nil || len(table) == 0 {
		return data, err
	}
	for _, row := range table {
		for _, k := range [][2]string{{"lastColdReadTimeMills", "lastColdReadTimeFormat"}, {"createTimeMills", "createTimeFormat"}} {
			if ms, ok := row[k[0]].(float64); ok {
				row[k[1]] = time.UnixMilli(int64(ms)).Format("2006-01-02 15:04:05")
				delete(row, k[0])
			}
		}
	}
	b, err := json.Marshal(table)
	if err != nil {
		return nil, err
	}
	top["runtimeTable"] = b
	return json.Marshal(top)
}

// pretty is JSON as Java's tools print it: tabs, and no space behind the colon.
func pretty(data []byte) []byte {
	var wide bytes.Buffer
	if json.Indent(&wide, data, "", "\t") != nil {
		return data
	}
	out := make([]byte, 0, wide.Len())
	text := false
	b := wide.Bytes()
	for i := 0; i < len(b); i++ {
		switch out = append(out, b[i]); {
		case text && b[i] == '\\':
			i++
			out = append(out, b[i])
		case b[i] == '"':
			text = !text
		case !text && b[i] == ':':
			i++ // the space
		}
	}
	return out
}

func setColdLimit(c *Call) error {
	group, limit := c.Str("g"), c.Str("v")
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if c.Change(func() error { return t.broker.SetColdLimit(c.Ctx, group, limit) }, "limit the reads of old messages of group %s to %s on %s", group, limit, t.addr) {
			c.Row(map[string]string{"addr": t.addr, "group": group, "threshold": limit}, "updateColdDataFlowCtrGroupConfig success, %s\n", t.addr)
		}
	}
	return nil
}

func dropColdLimit(c *Call) error {
	group := c.Str("g")
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if c.Change(func() error { return t.broker.DropColdLimit(c.Ctx, group) }, "remove the limit for old messages of group %s on %s", group, t.addr) {
			c.Row(map[string]string{"addr": t.addr, "group": group}, "remove broker cold read threshold success, %s\n", t.addr)
		}
	}
	return nil
}

func setReadAhead(c *Call) error {
	mode := c.Str("m")
	if mode != "0" && mode != "1" {
		return usage("set the read mode error; 0 is default, 1 random read")
	}
	targets, err := c.targets(true)
	if err != nil {
		return err
	}
	for i := range targets {
		t := &targets[i]
		var remark string
		if c.Change(func() (err error) {
			remark, err = t.broker.SetReadAhead(c.Ctx, mode)
			return err
		}, "set the read-ahead mode of %s to %s", t.addr, mode) {
			c.Row(map[string]string{"addr": t.addr, "mode": mode, "remark": remark}, " %s\ncommitLog set readAhead mode rstStr%s\n", c.heading(t), remark)
		}
	}
	return nil
}

func switchTimers(c *Call) error {
	engine := c.Str("e")
	name, ok := map[string]string{"R": "ROCKSDB_TIMELINE", "F": "FILE_TIME_WHEEL"}[engine]
	if !ok {
		return usage("switchTimerEngine engineType must be R or F")
	}
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if c.Change(func() error { return t.broker.SwitchTimers(c.Ctx, engine) }, "have %s keep timers in %s", t.addr, name) {
			c.Row(map[string]string{"addr": t.addr, "engine": name}, "switchTimerEngine to %s success, %s\n", name, t.addr)
		}
	}
	return nil
}
