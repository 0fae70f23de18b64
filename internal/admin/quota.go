package admin

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/quota"
)

func quotaCommand() Command {
	return Command{
		Name: "quota", About: "What topics, users and clients may send a second, what they do, and how long topics keep messages", Ours: true, Changes: true, OneOf: either, Run: quotas,
		Flags: []Flag{
			toBroker, toCluster, opt("", "set", "add or change one, such as topic:Orders:bytes=1048576 or client:*:messages=1000"),
			opt("", "remove", "remove one, such as topic:Orders:bytes, or all of a name, such as topic:Orders"),
		},
	}
}

// quotasKey is the key of the configuration that has the rules.
const quotasKey = "quotas"

// quotaRow is somebody who has a quota and sends, or a rule.
type quotaRow struct {
	Addr          string `json:"addr"`
	Kind          string `json:"kind"`
	Name          string `json:"name"`
	BytesLimit    int64  `json:"bytesLimit"`
	MessagesLimit int64  `json:"messagesLimit"`
	BytesRate     int64  `json:"bytesRate"`
	MessagesRate  int64  `json:"messagesRate"`
	Delayed       int64  `json:"delayed"`
	Refused       int64  `json:"refused"`
}

func quotas(c *Call) error {
	if c.Has("set") && c.Has("remove") {
		return usage("quota: --set and --remove at once")
	}
	if c.Has("set") {
		if _, err := quota.Parse([]string{c.Str("set")}); err != nil {
			return usage("quota: --set: %s", err)
		}
	}
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if c.Has("set") || c.Has("remove") {
			err = c.changeQuotas(&t)
		} else {
			err = c.listQuotas(&t)
		}
		if err != nil {
			c.Failed(err)
		}
	}
	return nil
}

// changeQuotas rewrites the rules of one broker.
func (c *Call) changeQuotas(t *target) error {
	rules, err := c.rulesOf(t)
	if err != nil {
		return err
	}
	if text := c.Str("set"); text != "" {
		what, _, _ := strings.Cut(text, "=")
		rules = append(withoutRule(rules, strings.TrimSpace(what)), strings.TrimSpace(text))
	} else {
		what := strings.TrimSpace(c.Str("remove"))
		left := withoutRule(rules, what)
		if len(left) == len(rules) {
			return usage("quota: %s has no rule for %s; it has: %s", t.addr, what, strings.Join(rules, "; "))
		}
		rules = left
	}
	text := strings.Join(rules, ";")
	if c.Change(func() error { return c.set(t.broker, t.addr, quotasKey, text) }, "set %s=%s on %s", quotasKey, text, t.addr) {
		c.Row(map[string]string{"addr": t.addr, quotasKey: text}, "%s: %s\n", t.addr, strings.Join(rules, "; "))
	}
	return nil
}

// withoutRule leaves out the rules that say something about what: kind:name:unit, or kind:name for both units.
func withoutRule(rules []string, what string) []string {
	return slices.DeleteFunc(slices.Clone(rules), func(r string) bool {
		about, _, _ := strings.Cut(r, "=")
		name, _, _ := cutLast(about)
		return strings.TrimSpace(about) == what || name == what
	})
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// rulesOf are the rules that one broker has.
func (c *Call) rulesOf(t *target) ([]string, error) {
	list, err := t.broker.Config(c.Ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if s.Key != quotasKey {
			continue
		}
		var rules []string
		for r := range strings.SplitSeq(s.Value, ";") {
			if r = strings.TrimSpace(r); r != "" {
				rules = append(rules, r)
			}
		}
		return rules, nil
	}
	return nil, usage("quota: %s has no quotas: it is no CometMQ, or an old one", t.addr)
}

func (c *Call) listQuotas(t *target) error {
	texts, err := c.rulesOf(t)
	if err != nil {
		return err
	}
	rules, err := quota.Parse(texts)
	if err != nil {
		return err
	}
	info, err := t.broker.RuntimeInfo(c.Ctx)
	if err != nil {
		return err
	}
	const format = "%-22s %-7s %-32s %14s %14s %14s %14s %10s %10s\n"
	c.Say(format, "#Broker Addr", "#Kind", "#Name", "#Bytes/s max", "#Messages/s max", "#Bytes/s", "#Messages/s", "#Delayed", "#Refused")
	var rows []quotaRow
	for key, v := range info {
		if rest, ok := strings.CutPrefix(key, "quota."); ok {
			r := quotaRow{Addr: t.addr}
			r.Kind, r.Name, _ = strings.Cut(rest, ".")
			r.fill(v)
			rows = append(rows, r)
		}
	}
	for _, rule := range rules { // nobody to whom it applies has sent anything yet
		k := rule.Kind.String()
		if !slices.ContainsFunc(rows, func(r quotaRow) bool { return r.Kind == k && r.Name == rule.Name }) {
			rows = append(rows, quotaRow{Addr: t.addr, Kind: k, Name: rule.Name, BytesLimit: rule.Bytes, MessagesLimit: rule.Messages})
		}
	}
	slices.SortFunc(rows, func(a, b quotaRow) int { return strings.Compare(a.Kind+":"+a.Name, b.Kind+":"+b.Name) })
	num := func(n int64) string { return strconv.FormatInt(n, 10) }
	most := func(n int64) string {
		if n == 0 {
			return "-"
		}
		return num(n)
	}
	for _, r := range rows {
		c.Row(r, format, r.Addr, r.Kind, cut(r.Name, 32), most(r.BytesLimit), most(r.MessagesLimit), num(r.BytesRate), num(r.MessagesRate), num(r.Delayed), num(r.Refused))
	}
	c.listReserved(t, info)
	return nil
}

// listReserved prints the topics that keep their messages for a time of their own.
func (c *Call) listReserved(t *target, info map[string]string) {
	type row struct {
		Addr    string `json:"addr"`
		Topic   string `json:"topic"`
		Hours   int64  `json:"retentionHours"`
		Expired int64  `json:"expired"`
	}
	for _, key := range slices.Sorted(maps.Keys(info)) {
		topic, ok := strings.CutPrefix(key, "retention.")
		if !ok {
			continue
		}
		r := row{Addr: t.addr, Topic: topic}
		readFigures(info[key], map[string]*int64{"hours": &r.Hours, "expired": &r.Expired})
		c.Row(r, "%s: messages of topic %s are given out for %d hours, %d have expired\n", r.Addr, r.Topic, r.Hours, r.Expired)
	}
}

// readFigures reads a line of name=number pairs.
func readFigures(text string, into map[string]*int64) {
	for f := range strings.FieldsSeq(text) {
		k, v, _ := strings.Cut(f, "=")
		if p := into[k]; p != nil {
			*p, _ = strconv.ParseInt(v, 10, 64)
		}
	}
}

// fill reads what a broker says in its runtime information.
func (r *quotaRow) fill(text string) {
	readFigures(text, map[string]*int64{
		"bytesLimit": &r.BytesLimit, "messagesLimit": &r.MessagesLimit, "bytesRate": &r.BytesRate, "messagesRate": &r.MessagesRate,
		"delayed": &r.Delayed, "refused": &r.Refused,
	})
}
