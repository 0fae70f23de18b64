package admin

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// completeWait bounds all questions for one press of Tab: nobody waits longer for a list of names.
const completeWait = 700 * time.Millisecond

// Suggestions is what may stand in the place of a word.
type Suggestions struct {
	Words []string // each with a tab and a description, or without
	Files bool     // a name of a file is wanted
}

// Complete returns what word, behind args, may become: commands, flags, and names that the cluster has now. Without a cluster there are no
// names, and no error.
func Complete(ctx context.Context, env Env, args []string, word string) Suggestions {
	var s Suggestions
	if len(args) == 0 {
		for _, c := range commands() {
			s.Words = append(s.Words, c.Name+"\t"+c.About)
		}
		return s.begin("", word)
	}
	cmd := lookup(args[0])
	if cmd == nil {
		return s
	}
	flags := cmd.all()
	if name, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(word, "-") {
		if f, _, _ := find(flags, name); f != nil && f.Arg {
			return valuesOf(ctx, &env, cmd, f, args).begin(name+"=", value)
		}
		return s
	}
	if len(args) > 1 {
		if f, _, has := find(flags, args[len(args)-1]); f != nil && f.Arg && !has && strings.HasPrefix(args[len(args)-1], "-") {
			return valuesOf(ctx, &env, cmd, f, args).begin("", word)
		}
	}
	for i := range flags {
		f := &flags[i]
		if f.Short != "" {
			s.Words = append(s.Words, "-"+f.Short+"\t"+f.About)
		}
		if f.Long != "" && !strings.Contains(f.Long, " ") {
			s.Words = append(s.Words, "--"+f.Long+"\t"+f.About)
		}
	}
	return s.begin("", word)
}

// begin keeps what begins with word, and puts before in front of it.
func (s Suggestions) begin(before, word string) Suggestions {
	out := s.Words[:0]
	for _, w := range s.Words {
		if strings.HasPrefix(w, word) {
			out = append(out, before+w)
		}
	}
	s.Words = out
	return s
}

// choices are the values of flags that have few.
var choices = map[string][]string{
	"output": {"table", "wide", "json", "yaml"}, "mode": {"PULL", "POP"}, "method": {"put", "get", "delete"}, "perm": {"2\twrite", "4\tread", "6\tboth"},
	"userType": {"Super", "Normal"}, "userStatus": {"enable", "disable"}, "decision": {"Allow", "Deny"}, "engineType": {"F\tfiles", "R\tRocksDB"},
	"commitLogReadAheadMode": {"0\tnormal", "1\trandom reads"}, "configType": {"topics", "subscriptionGroups", "consumerOffsets"},
	"actions": {"Pub", "Sub", "Create", "Update", "Delete", "Get", "List", "All"},
}

// valuesOf returns the values that a flag may have.
func valuesOf(ctx context.Context, env *Env, cmd *Command, f *Flag, args []string) Suggestions {
	if list, ok := choices[f.Long]; ok {
		return Suggestions{Words: slices.Clone(list)}
	}
	if strings.HasSuffix(f.About, "true or false") || strings.Contains(f.About, "true or false (default)") || strings.Contains(f.About, "true (default) or false") {
		return Suggestions{Words: []string{"true", "false"}}
	}
	kind := kindOf(f)
	switch kind {
	case "":
		return Suggestions{}
	case "file":
		return Suggestions{Files: true}
	}
	n := liveNames(ctx, env, cmd, args)
	return Suggestions{Words: map[string][]string{"topic": n.Topics, "group": n.Groups, "broker": n.Brokers, "addr": n.Addrs, "cluster": n.Clusters}[kind]}
}

// kindOf tells what a flag names: topic, group, broker, addr, cluster, file, or "".
func kindOf(f *Flag) string {
	switch f.Long {
	case "topic", "topicName", "parentTopic", "lmqParentTopic", "routeTopic", "traceTopic", "to":
		return "topic"
	case "group", "groupName", "consumerGroup", "srcGroup", "destGroup", "consumer":
		return "group"
	case "brokerName", "brokers":
		return "broker"
	case "brokerAddr", "fromBroker", "toBroker":
		return "addr"
	case "broker":
		if strings.Contains(f.About, "address") {
			return "addr"
		}
		return "broker"
	case "clusterName", "cluster", "clusters":
		if strings.HasPrefix(f.About, "topic ") {
			return "topic"
		}
		return "cluster"
	case "file", "filename", "filePath", "mapFile", "path", "configPath", "exportFile":
		return "file"
	}
	return ""
}

// live is what a cluster has by name.
type live struct {
	Topics   []string `json:"topics"`
	Groups   []string `json:"groups"`
	Brokers  []string `json:"brokers"`
	Addrs    []string `json:"addrs"`
	Clusters []string `json:"clusters"`
}

// liveNames asks the cluster of a command line, or takes what somebody asked seconds ago.
func liveNames(ctx context.Context, env *Env, cmd *Command, args []string) live {
	var n live
	flags, got := cmd.all(), map[string]string{}
	for i, a := range args[1:] {
		f, value, has := find(flags, a)
		switch {
		case f == nil:
		case has || !f.Arg:
			got[f.Long] = value
		case i+2 < len(args):
			got[f.Long] = args[i+2]
		}
	}
	t := targetOf(env, got)
	t.Timeout = completeWait
	if env.Recall != nil {
		if data := env.Recall(t.NameServers); data != nil && json.Unmarshal(data, &n) == nil {
			return n
		}
	}
	ctx, cancel := context.WithTimeout(ctx, completeWait)
	defer cancel()
	c, err := env.Connect(t)
	if err != nil {
		return n
	}
	defer c.Close()
	info, err := c.NameServer("").ClusterInfo(ctx)
	if err != nil {
		return n
	}
	topics, err := c.NameServer("").Topics(ctx)
	if err != nil {
		return n
	}
	groups := map[string]bool{}
	for _, t := range topics {
		if g, ok := strings.CutPrefix(t, retryPrefix); ok {
			groups[g] = true
		}
		n.Topics = append(n.Topics, t)
	}
	whole := true
	for _, s := range info.In("") {
		n.Brokers = append(n.Brokers, s.Name)
		for _, id := range slices.Sorted(maps.Keys(s.Addrs)) {
			n.Addrs = append(n.Addrs, s.Addrs[id]+"\t"+s.Name)
		}
		list, _, err := c.Broker(s.Any()).Groups(ctx)
		whole = whole && err == nil
		for i := range list {
			groups[list[i].Name] = true
		}
	}
	slices.Sort(n.Topics)
	n.Groups, n.Clusters = sortedKeys(groups), slices.Sorted(maps.Keys(info.Clusters))
	if data, err := json.Marshal(n); err == nil && whole && env.Keep != nil {
		env.Keep(t.NameServers, data)
	}
	return n
}
