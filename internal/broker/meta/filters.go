package meta

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/selector"
)

// FilterData is what a group wants of a topic by an expression that is not made of tags (Java's ConsumerFilterData). It never
// changes after it was made.
type FilterData struct {
	Topic, Group     string
	Expression, Type string
	Version          int64 // the client's version of the subscription, ms
	Born             int64 // ms
	Dead             int64 // ms; at or after Born: the group has left
	// Filter is the compiled expression; nil when the one in the file does not compile.
	Filter *selector.SQL
	// bloom is the raw bloomFilterData of a file that Java wrote.
	bloom []byte
}

// IsDead reports whether the group has left.
func (d *FilterData) IsDead() bool { return d.Dead >= d.Born }

// Filters is Java's consumerFilter.json: what heartbeats registered. Nothing of it is promised to anybody, so there is no
// journal: after a kill the file is as old as Java's, and clients register again.
type Filters struct {
	led  *ledger
	now  func() time.Time
	keep time.Duration // how long the data of a group that has left are kept
	feed *tablefeed.Feed

	mu    sync.RWMutex // guards the fields below
	table map[string]map[string]*FilterData
	extra []fastjson.Member
	dirty bool
	kick  kick
}

func newFilters(led *ledger, now func() time.Time, keep time.Duration) *Filters {
	f := &Filters{led: led, now: now, keep: keep, table: map[string]map[string]*FilterData{}, kick: newKick()}
	led.drain = func(dst []byte) ([]byte, uint64) { return dst, 0 }
	led.snapshot = f.snapshot
	return f
}

// Get returns the data of a group in a topic, nil when there are none. The strings may be borrowed.
func (f *Filters) Get(topic, group string) *FilterData {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.table[topic][group]
}

// Register takes the subscriptions of a group's heartbeat: expressions that are not made of tags are kept when they compile
// and are newer than what is known, and what the group does not subscribe to any more is dead. The strings may be borrowed.
func (f *Filters) Register(group string, subs []mq.Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range subs {
		if s := &subs[i]; !selector.IsTag(s.ExpressionType) && s.Expression != "" {
			f.registerLocked(group, s)
		}
	}
	now := f.now().UnixMilli()
	for topic, groups := range f.table {
		d := groups[group]
		if d != nil && !d.IsDead() && !slices.ContainsFunc(subs, func(s mq.Subscription) bool { return s.Topic == topic }) {
			f.dieLocked(d, now)
		}
	}
}

func (f *Filters) registerLocked(group string, s *mq.Subscription) {
	old := f.table[s.Topic][group]
	if old != nil {
		same := old.Expression == s.Expression && old.Type == s.ExpressionType
		switch {
		case s.Version < old.Version, s.Version == old.Version && !old.IsDead():
			return
		case s.Version == old.Version || same: // the group is back, or says the same again
			d := *old
			d.Version, d.Dead = s.Version, 0
			f.putLocked(&d)
			return
		}
	}
	filter, err := CompileFilter(s.ExpressionType, s.Expression)
	if err != nil {
		if old != nil { // so that pulls are refused and the client sees why
			delete(f.table[s.Topic], group)
			f.changedLocked()
		}
		return
	}
	d := &FilterData{
		Topic: strings.Clone(s.Topic), Group: strings.Clone(group), Expression: filter.Text(), Type: selector.TypeSQL92,
		Version: s.Version, Born: f.now().UnixMilli(), Filter: filter,
	}
	if old != nil {
		d.bloom = old.bloom // it depends on the names alone
	}
	f.putLocked(d)
}

// CompileFilter compiles an expression that is not made of tags.
func CompileFilter(kind, expression string) (*selector.SQL, error) {
	if kind != selector.TypeSQL92 {
		return nil, fmt.Errorf("unknown expression type %q", kind)
	}
	return selector.ParseSQL(expression)
}

func (f *Filters) putLocked(d *FilterData) {
	groups := f.table[d.Topic]
	if groups == nil {
		groups = map[string]*FilterData{}
		f.table[d.Topic] = groups
	}
	groups[d.Group] = d
	f.tellLocked(d)
	f.changedLocked()
}

func (f *Filters) dieLocked(d *FilterData, now int64) {
	dead := *d
	dead.Dead = now
	f.putLocked(&dead)
}

func (f *Filters) changedLocked() {
	f.dirty = true
	f.kick.fold()
}

// Leave marks the data of a group that has no members any more.
func (f *Filters) Leave(group string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now().UnixMilli()
	for _, groups := range f.table {
		if d := groups[group]; d != nil && !d.IsDead() {
			f.dieLocked(d, now)
		}
	}
}

// Clean forgets groups that left long ago.
func (f *Filters) Clean() {
	f.mu.Lock()
	defer f.mu.Unlock()
	limit := f.now().Add(-f.keep).UnixMilli()
	for topic, groups := range f.table {
		for group, d := range groups {
			if d.IsDead() && d.Dead <= limit {
				delete(groups, group)
				f.tellGoneLocked(topic, group)
				f.changedLocked()
			}
		}
		if len(groups) == 0 {
			delete(f.table, topic)
		}
	}
}

// Fold writes the JSON file if it is behind.
func (f *Filters) Fold() error {
	f.mu.RLock()
	dirty := f.dirty
	f.mu.RUnlock()
	if !dirty {
		return nil
	}
	if err := f.led.fold(); err != nil {
		f.mu.Lock()
		f.dirty = true
		f.mu.Unlock()
		return err
	}
	return nil
}

func (f *Filters) snapshot() func() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirty = false
	table := make(map[string]map[string]*FilterData, len(f.table))
	for topic, groups := range f.table {
		table[topic] = maps.Clone(groups)
	}
	extra := f.extra
	return func() []byte {
		w := fastjson.NewWriter(nil, fastjson.Pretty)
		writeObject(w, []member{{"filterDataByTopic", func(w *fastjson.Writer) {
			w.ObjStart()
			for _, topic := range slices.Sorted(maps.Keys(table)) {
				w.Key(topic)
				w.ObjStart()
				w.Key("groupFilterData")
				w.ObjStart()
				for _, group := range slices.Sorted(maps.Keys(table[topic])) {
					w.Key(group)
					table[topic][group].write(w)
				}
				w.ObjEnd()
				w.Key("topic")
				w.Str(topic)
				w.ObjEnd()
			}
			w.ObjEnd()
		}}}, extra)
		return w.Bytes()
	}
}

func (d *FilterData) write(w *fastjson.Writer) {
	w.ObjStart()
	if d.bloom != nil {
		w.Key("bloomFilterData")
		writeRaw(w, d.bloom)
	}
	w.Key("bornTime")
	w.Int(d.Born)
	w.Key("clientVersion")
	w.Int(d.Version)
	w.Key("consumerGroup")
	w.Str(d.Group)
	w.Key("dead")
	w.Bool(d.IsDead())
	w.Key("deadTime")
	w.Int(d.Dead)
	w.Key("expression")
	w.Str(d.Expression)
	w.Key("expressionType")
	w.Str(d.Type)
	w.Key("topic")
	w.Str(d.Topic)
	w.ObjEnd()
}

func (f *Filters) load() error {
	return f.led.load(f.decode, func([]byte) error { return nil })
}

// lastSeen: whoever was alive when the file was written died that long before the start, as in Java.
const lastSeen = 30 * time.Second

func (f *Filters) decode(data []byte) error {
	table := map[string]map[string]*FilterData{}
	var extra []fastjson.Member
	if data != nil {
		doc, err := parseDocument(data)
		if err != nil {
			return err
		}
		for _, m := range doc.Members() {
			if m.Key.Str() != "filterDataByTopic" {
				extra = append(extra, m)
				continue
			}
			for _, t := range m.Val.Members() {
				for _, g := range t.Val.Get("groupFilterData").Members() {
					d, err := f.decodeData(t.Key.Str(), g.Key.Str(), g.Val)
					if err != nil {
						return fmt.Errorf("filterDataByTopic: topic %q: group %q: %w", t.Key.Str(), g.Key.Str(), err)
					}
					if table[d.Topic] == nil {
						table[d.Topic] = map[string]*FilterData{}
					}
					table[d.Topic][d.Group] = d
				}
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.table, f.extra = table, extra
	return nil
}

func (f *Filters) decodeData(topic, group string, v fastjson.Value) (*FilterData, error) {
	in := fields{v: v}
	d := &FilterData{
		Topic: strings.Clone(topic), Group: strings.Clone(group),
		Expression: in.str("expression", ""), Type: in.str("expressionType", ""),
		Version: in.int("clientVersion", 0, 64), Born: in.int("bornTime", 0, 64), Dead: in.int("deadTime", 0, 64),
		bloom: in.raw("bloomFilterData"),
	}
	if in.err != nil {
		return nil, in.err
	}
	if d.Dead == 0 {
		d.Dead = max(d.Born, f.now().Add(-lastSeen).UnixMilli())
	}
	if filter, err := CompileFilter(d.Type, d.Expression); err == nil {
		d.Filter = filter
	} else {
		f.led.log.Error("an expression in the file does not compile", "file", f.led.json, "topic", topic, "group", group, "err", err)
	}
	return d, nil
}
