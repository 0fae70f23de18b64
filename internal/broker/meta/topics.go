package meta

import (
	"maps"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
)

// Topic is one topic. The broker keeps the pointer; see Entry.
type Topic = Entry[mq.TopicConfig]

// Topics is Java's topics.json.
type Topics struct{ *table[mq.TopicConfig] }

// Defaults of Java's TopicConfig, for members that a file does not have.
const (
	defaultTopicQueues = 16
	filterSingleTag    = "SINGLE_TAG"
)

func newTopics(led *ledger, now func() time.Time) *Topics {
	return &Topics{newTable(led, codec[mq.TopicConfig]{
		what: "topic", member: "topicConfigTable",
		encode: encodeTopic, decode: decodeTopic,
		attrs: func(c *mq.TopicConfig) *map[string]string { return &c.Attributes },
		known: knownTopicAttribute,
	}, now)}
}

// Detached makes an entry that is in no table.
func Detached(c mq.TopicConfig) *Topic {
	c = cloneTopic(c)
	e := &Topic{name: c.Name}
	e.row.Store(&row[mq.TopicConfig]{cfg: c})
	return e
}

// Put creates or updates a topic. Attributes carry Java's signs (remoting spec 5.5); nil changes none. It returns when the
// change is on disk. The error is an *mq.Error when Java refuses such attributes; any other error means that the topic is
// in memory but not on disk yet. c may hold borrowed strings.
func (t *Topics) Put(c mq.TopicConfig) (*Topic, mq.DataVersion, error) {
	return t.put(c.Name, cloneTopic(c))
}

// Ensure returns the topic called c.Name, created as c (whose attributes have no signs) when there is none. created tells
// exactly one of several callers that it did it.
func (t *Topics) Ensure(c mq.TopicConfig) (topic *Topic, created bool, v mq.DataVersion, err error) {
	return t.ensure(c.Name, func() mq.TopicConfig { return cloneTopic(c) })
}

// Update changes a topic by f, which may replace but not change maps and returns false to leave the topic as it is. The
// error is ErrNotFound when there is no such topic.
func (t *Topics) Update(name string, f func(c *mq.TopicConfig) bool) (*Topic, mq.DataVersion, error) {
	return t.update(name, f)
}

// Delete removes a topic. It returns when that is on disk.
func (t *Topics) Delete(name string) (deleted bool, v mq.DataVersion, err error) {
	return t.remove(name, nil)
}

// DeleteLight tells slaves that a light queue, which is a topic without an entry here, is deleted.
func (t *Topics) DeleteLight(name string) error {
	t.mu.Lock()
	t.pending = appendBytes(append(t.pending, recDelete), name)
	t.seq++
	seq := t.seq
	t.mu.Unlock()
	return t.persist(seq)
}

func cloneTopic(c mq.TopicConfig) mq.TopicConfig {
	c.Name = strings.Clone(c.Name)
	c.Filter = strings.Clone(c.Filter)
	if c.Filter == "" {
		c.Filter = filterSingleTag
	}
	c.Attributes = cloneStrings(c.Attributes)
	return c
}

func cloneStrings(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range maps.All(m) {
		out[strings.Clone(k)] = strings.Clone(v)
	}
	return out
}

// topicMembers are the members of a topic, sorted.
var topicMembers = []string{
	"attributes", "order", "perm", "readQueueNums", "topicFilterType", "topicName", "topicSysFlag", "writeQueueNums",
}

func encodeTopic(w *fastjson.Writer, c *mq.TopicConfig, extra []fastjson.Member) {
	writeObject(w, []member{
		{"attributes", func(w *fastjson.Writer) { writeStrings(w, c.Attributes) }},
		{"order", func(w *fastjson.Writer) { w.Bool(c.Order) }},
		{"perm", func(w *fastjson.Writer) { w.Int(int64(c.Perm)) }},
		{"readQueueNums", func(w *fastjson.Writer) { w.Int(int64(c.ReadQueues)) }},
		{"topicFilterType", func(w *fastjson.Writer) { w.Str(c.Filter) }},
		{"topicName", func(w *fastjson.Writer) { w.Str(c.Name) }},
		{"topicSysFlag", func(w *fastjson.Writer) { w.Int(int64(c.SysFlag)) }},
		{"writeQueueNums", func(w *fastjson.Writer) { w.Int(int64(c.WriteQueues)) }},
	}, extra)
}

func decodeTopic(name string, v fastjson.Value) (c mq.TopicConfig, extra []fastjson.Member, err error) {
	if v.Kind() != fastjson.Object {
		return c, nil, errNoObject
	}
	f := fields{v: v}
	c = mq.TopicConfig{
		Name:        strings.Clone(name), // the key counts, as in Java
		ReadQueues:  f.int32("readQueueNums", defaultTopicQueues),
		WriteQueues: f.int32("writeQueueNums", defaultTopicQueues),
		Perm:        mq.Perm(f.int32("perm", int32(mq.PermRead|mq.PermWrite))),
		Filter:      f.str("topicFilterType", filterSingleTag),
		SysFlag:     f.int32("topicSysFlag", 0),
		Order:       f.bool("order", false),
		Attributes:  f.strings("attributes"),
	}
	return c, f.rest(topicMembers), f.err
}
