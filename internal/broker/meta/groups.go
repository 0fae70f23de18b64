package meta

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
)

// Group is one subscription group. The broker keeps the pointer; see Entry.
type Group = Entry[mq.GroupConfig]

// Groups is Java's subscriptionGroup.json.
type Groups struct {
	*table[mq.GroupConfig]
	forbidden *forbidden
}

func newGroups(led *ledger, now func() time.Time) *Groups {
	g := &Groups{table: newTable(led, codec[mq.GroupConfig]{
		what: "group", member: "subscriptionGroupTable",
		encode: encodeGroup, decode: decodeGroup,
		attrs: func(c *mq.GroupConfig) *map[string]string { return &c.Attributes },
		known: knownGroupAttribute,
	}, now), forbidden: &forbidden{}}
	g.more = g.forbidden
	return g
}

// Put creates or updates a group, like Topics.Put. A retry policy or subscription data that is not JSON is refused.
func (g *Groups) Put(c mq.GroupConfig) (*Group, mq.DataVersion, error) {
	for _, raw := range []struct {
		name string
		text []byte
	}{{"groupRetryPolicy", c.RetryPolicy}, {"subscriptionDataSet", c.SubscriptionData}} {
		if raw.text == nil {
			continue
		}
		if _, err := fastjson.Parse(raw.text); err != nil {
			return nil, mq.DataVersion{}, mq.Errorf(mq.KindInvalidParameter, "%s: %s", raw.name, err.Error())
		}
	}
	return g.put(c.Name, cloneGroup(c))
}

// Ensure returns the group, created with Java's defaults when there is none.
func (g *Groups) Ensure(name string) (group *Group, created bool, v mq.DataVersion, err error) {
	return g.ensure(name, func() mq.GroupConfig { return mq.DefaultGroupConfig(strings.Clone(name)) })
}

// Update is like Topics.Update.
func (g *Groups) Update(name string, f func(c *mq.GroupConfig) bool) (*Group, mq.DataVersion, error) {
	return g.update(name, f)
}

// Delete removes a group and its row of the forbidden table.
func (g *Groups) Delete(name string) (deleted bool, v mq.DataVersion, err error) {
	return g.remove(name, func() {
		for _, topic := range g.forbidden.topics(name) {
			g.pending = g.forbidden.setLocked(g.pending, name, topic, 0)
		}
	})
}

// Forbidden returns the bits that are set for a group in a topic. Bit 2 (value 4) forbids reading. The strings may be
// borrowed.
func (g *Groups) Forbidden(group, topic string) int32 { return g.forbidden.get(group, topic) }

// Forbid sets or clears one bit and returns when that is on disk.
func (g *Groups) Forbid(group, topic string, bit int, on bool) (mq.DataVersion, error) {
	if bit < 0 || bit > 30 {
		return mq.DataVersion{}, mq.Errorf(mq.KindInvalidParameter, "forbidden index %d, allowed are 0 to 30", bit)
	}
	g.mu.Lock()
	bits := g.forbidden.get(group, topic)
	if on {
		bits |= 1 << bit
	} else {
		bits &^= 1 << bit
	}
	g.pending = g.forbidden.setLocked(g.pending, group, topic, bits)
	_, v, err := g.finish(nil)
	return v, err
}

// ForbiddenTable returns all bits by group and topic.
func (g *Groups) ForbiddenTable() map[string]map[string]int32 {
	out := map[string]map[string]int32{}
	for k, bits := range g.forbidden.load() {
		if out[k.group] == nil {
			out[k.group] = map[string]int32{}
		}
		out[k.group][k.topic] = bits
	}
	return out
}

// forbidden is the forbiddenTable of the document: a map that readers take as it is and writers replace.
type forbidden struct {
	bits atomic.Pointer[map[pairKey]int32]
}

func (f *forbidden) load() map[pairKey]int32 {
	if m := f.bits.Load(); m != nil {
		return *m
	}
	return nil
}

func (f *forbidden) get(group, topic string) int32 {
	m := f.load()
	if len(m) == 0 {
		return 0
	}
	return m[pairKey{group, topic}]
}

func (f *forbidden) topics(group string) (out []string) {
	for k := range f.load() {
		if k.group == group {
			out = append(out, k.topic)
		}
	}
	slices.Sort(out)
	return out
}

// setLocked changes one entry, 0 removes it, and appends the record.
func (f *forbidden) setLocked(pending []byte, group, topic string, bits int32) []byte {
	f.store(group, topic, bits)
	return appendForbid(pending, pairKey{group, topic}, bits)
}

func (f *forbidden) store(group, topic string, bits int32) {
	next := maps.Clone(f.load())
	if next == nil {
		next = map[pairKey]int32{}
	}
	k := pairKey{strings.Clone(group), strings.Clone(topic)}
	if bits == 0 {
		delete(next, k)
	} else {
		next[k] = bits
	}
	f.bits.Store(&next)
}

func (f *forbidden) member() string { return "forbiddenTable" }

func (f *forbidden) snapshotLocked() func(w *fastjson.Writer) {
	m := f.load()
	return func(w *fastjson.Writer) {
		keys := slices.SortedFunc(maps.Keys(m), func(a, b pairKey) int {
			if c := strings.Compare(a.group, b.group); c != 0 {
				return c
			}
			return strings.Compare(a.topic, b.topic)
		})
		w.ObjStart()
		for i, k := range keys {
			if i == 0 || keys[i-1].group != k.group {
				if i > 0 {
					w.ObjEnd()
				}
				w.Key(k.group)
				w.ObjStart()
			}
			w.Key(k.topic)
			w.Int(int64(m[k]))
		}
		if len(keys) > 0 {
			w.ObjEnd()
		}
		w.ObjEnd()
	}
}

func (f *forbidden) decodeLocked(v fastjson.Value) error {
	next := map[pairKey]int32{}
	if v.Exists() && v.Kind() != fastjson.Object {
		return fmt.Errorf("forbiddenTable: %w", errNoObject)
	}
	for _, g := range v.Members() {
		if g.Val.Exists() && g.Val.Kind() != fastjson.Object {
			return fmt.Errorf("forbiddenTable: %q: %w", g.Key.Str(), errNoObject)
		}
		for _, t := range g.Val.Members() {
			bits, err := intOf(t.Val, 32)
			if err != nil {
				return fmt.Errorf("forbiddenTable: %q: %q: %w", g.Key.Str(), t.Key.Str(), err)
			}
			next[pairKey{strings.Clone(g.Key.Str()), strings.Clone(t.Key.Str())}] = int32(bits)
		}
	}
	f.bits.Store(&next)
	return nil
}

func (f *forbidden) replayLocked(kind byte, r *journalfile.Reader) error {
	if kind != recForbid {
		return fmt.Errorf("unknown record %d", kind)
	}
	group, topic, bits := string(r.Bytes()), string(r.Bytes()), r.Int()
	if r.Err() == nil {
		f.store(group, topic, int32(bits))
	}
	return nil
}

func cloneGroup(c mq.GroupConfig) mq.GroupConfig {
	c.Name = strings.Clone(c.Name)
	c.RetryPolicy = bytes.Clone(c.RetryPolicy)
	c.SubscriptionData = bytes.Clone(c.SubscriptionData)
	c.Attributes = cloneStrings(c.Attributes)
	return c
}

// groupMembers are the members of a group, sorted.
var groupMembers = []string{
	"attributes", "brokerId", "consumeBroadcastEnable", "consumeEnable", "consumeFromMinEnable", "consumeMessageOrderly",
	"consumeTimeoutMinute", "groupName", "groupRetryPolicy", "groupSysFlag", "notifyConsumerIdsChangedEnable",
	"retryMaxTimes", "retryQueueNums", "subscriptionDataSet", "whichBrokerWhenConsumeSlowly",
}

func encodeGroup(w *fastjson.Writer, c *mq.GroupConfig, extra []fastjson.Member) {
	integer := func(n int64) func(w *fastjson.Writer) { return func(w *fastjson.Writer) { w.Int(n) } }
	boolean := func(b bool) func(w *fastjson.Writer) { return func(w *fastjson.Writer) { w.Bool(b) } }
	known := []member{
		{"attributes", func(w *fastjson.Writer) { writeStrings(w, c.Attributes) }},
		{"brokerId", integer(c.BrokerID)},
		{"consumeBroadcastEnable", boolean(c.ConsumeBroadcastEnable)},
		{"consumeEnable", boolean(c.ConsumeEnable)},
		{"consumeFromMinEnable", boolean(c.ConsumeFromMinEnable)},
		{"consumeMessageOrderly", boolean(c.ConsumeMessageOrderly)},
		{"consumeTimeoutMinute", integer(int64(c.ConsumeTimeoutMinutes))},
		{"groupName", func(w *fastjson.Writer) { w.Str(c.Name) }},
		{"groupRetryPolicy", func(w *fastjson.Writer) { writeRetryPolicy(w, c.RetryPolicy) }},
		{"groupSysFlag", integer(int64(c.SysFlag))},
		{"notifyConsumerIdsChangedEnable", boolean(c.NotifyConsumerIDsChanged)},
		{"retryMaxTimes", integer(int64(c.RetryMaxTimes))},
		{"retryQueueNums", integer(int64(c.RetryQueues))},
	}
	if c.SubscriptionData != nil {
		known = append(known, member{"subscriptionDataSet", func(w *fastjson.Writer) { writeRaw(w, c.SubscriptionData) }})
	}
	writeObject(w, append(known, member{"whichBrokerWhenConsumeSlowly", integer(c.WhichBrokerWhenSlow)}), extra)
}

func writeRetryPolicy(w *fastjson.Writer, policy []byte) {
	if policy != nil {
		writeRaw(w, policy)
		return
	}
	w.ObjStart()
	w.Key("type")
	w.Str("CUSTOMIZED")
	w.ObjEnd()
}

func decodeGroup(name string, v fastjson.Value) (c mq.GroupConfig, extra []fastjson.Member, err error) {
	if v.Kind() != fastjson.Object {
		return c, nil, errNoObject
	}
	f := fields{v: v}
	d := mq.DefaultGroupConfig(strings.Clone(name)) // the key counts, as in Java
	c = mq.GroupConfig{
		Name:                     d.Name,
		ConsumeEnable:            f.bool("consumeEnable", d.ConsumeEnable),
		ConsumeFromMinEnable:     f.bool("consumeFromMinEnable", d.ConsumeFromMinEnable),
		ConsumeBroadcastEnable:   f.bool("consumeBroadcastEnable", d.ConsumeBroadcastEnable),
		ConsumeMessageOrderly:    f.bool("consumeMessageOrderly", d.ConsumeMessageOrderly),
		RetryQueues:              f.int32("retryQueueNums", d.RetryQueues),
		RetryMaxTimes:            f.int32("retryMaxTimes", d.RetryMaxTimes),
		RetryPolicy:              f.raw("groupRetryPolicy"),
		BrokerID:                 f.int("brokerId", d.BrokerID, 64),
		WhichBrokerWhenSlow:      f.int("whichBrokerWhenConsumeSlowly", d.WhichBrokerWhenSlow, 64),
		NotifyConsumerIDsChanged: f.bool("notifyConsumerIdsChangedEnable", d.NotifyConsumerIDsChanged),
		SysFlag:                  f.int32("groupSysFlag", d.SysFlag),
		ConsumeTimeoutMinutes:    f.int32("consumeTimeoutMinute", d.ConsumeTimeoutMinutes),
		SubscriptionData:         f.raw("subscriptionDataSet"),
		Attributes:               f.strings("attributes"),
	}
	return c, f.rest(groupMembers), f.err
}
