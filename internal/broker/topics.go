package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/mq"
)

// PutTopic implements mq.TopicAdmin.
func (b *Broker) PutTopic(ctx context.Context, t mq.TopicConfig) error {
	begin := b.o.Now()
	err := b.putTopic(ctx, t)
	b.topicsMade.note(b.o.Now().Sub(begin), err != nil)
	return err
}

func (b *Broker) putTopic(ctx context.Context, t mq.TopicConfig) error {
	if refusal := b.checkPut(&t); refusal != nil {
		return refusal
	}
	if b.isLight(t.Name) {
		return nil // as Java: it is what it is
	}
	if e, ok := b.meta.Topics.Get(t.Name); ok && sameTopic(e.Config(), t) {
		return nil
	}
	undo, refusal := b.makeKind(&t)
	if refusal != nil {
		return refusal
	}
	e, v, err := b.meta.Topics.Put(t)
	switch {
	case errors.As(err, &refusal):
		undo()
		return refusal
	case err != nil:
		return mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	kept := e.Config()
	b.compact(&kept)
	b.o.Log.Info("topic changed", "topic", e.Name(), "config", javaTopic(&t))
	b.announce(ctx, v, e.Config())
	return nil
}

// checkPut refuses what no operator may ask for.
func (b *Broker) checkPut(t *mq.TopicConfig) *mq.Error {
	if refusal := checkTopicName(t.Name); refusal != nil {
		return refusal
	}
	if refusal := b.systemConflict(t.Name); refusal != nil {
		return refusal
	}
	switch {
	case t.Attributes["+message.type"] == "MIXED":
		return mq.Errorf(mq.KindInvalidParameter, "MIXED message type is not supported.")
	case t.ReadQueues < 0 || t.WriteQueues < 0 || t.ReadQueues > maxQueues || t.WriteQueues > maxQueues:
		return mq.Errorf(mq.KindInvalidParameter, "readQueueNums %d and writeQueueNums %d must be 0 to %d.",
			t.ReadQueues, t.WriteQueues, maxQueues)
	}
	return nil
}

// sameTopic reports whether a request changes nothing.
func sameTopic(have, want mq.TopicConfig) bool {
	if want.Filter == "" {
		want.Filter = have.Filter
	}
	return len(want.Attributes) == 0 && have.ReadQueues == want.ReadQueues && have.WriteQueues == want.WriteQueues &&
		have.Perm == want.Perm && have.Filter == want.Filter && have.SysFlag == want.SysFlag && have.Order == want.Order
}

func (b *Broker) systemConflict(name string) *mq.Error {
	if meta.IsSystemTopic(b.system, name) {
		return mq.Errorf(mq.KindInvalidParameter, "The topic[%s] is conflict with system topic.", name)
	}
	return nil
}

// DeleteTopic implements mq.TopicAdmin. The pop retry topics of the topic's groups and its lite topics go with it.
func (b *Broker) DeleteTopic(ctx context.Context, name string) error {
	if isBlank(name) {
		return mq.Errorf(mq.KindInvalidParameter, "The specified topic is blank.")
	}
	if refusal := b.systemConflict(name); refusal != nil {
		return refusal
	}
	children := b.childrenOf(name)
	doomed := []string{name}
	for _, g := range b.meta.Offsets.Groups(name) {
		for _, sep := range []string{"+", "_"} {
			retry := retryPrefix + g + sep + name
			if _, ok := b.meta.Topics.Get(retry); ok {
				doomed = append(doomed, retry)
			}
		}
	}
	for _, t := range doomed {
		if err := b.deleteTopic(t); err != nil {
			return mq.Errorf(mq.KindInternal, "%s", err.Error())
		}
	}
	b.deleteLites(ctx, children)
	b.awaitDeleted()
	return nil
}

func (b *Broker) deleteTopic(name string) error {
	// First the configuration, so that nobody finds the topic any more, then what belongs to it.
	deleted, _, err := b.meta.Topics.Delete(name)
	err = errors.Join(err, b.meta.Offsets.DeleteTopic(name), b.store.DeleteTopic(name))
	b.polls.WakeTopic(name)
	if err != nil {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	if serr := b.meta.Statics.Delete(name); serr != nil {
		return fmt.Errorf("delete topic %s: %w", name, serr)
	}
	if deleted {
		b.o.Log.Info("topic deleted", "topic", name)
	}
	return nil
}

// Topic implements mq.TopicAdmin.
func (b *Broker) Topic(_ context.Context, name string) (mq.TopicConfig, error) {
	e, ok := b.meta.Topics.Get(name)
	if !ok {
		return mq.TopicConfig{}, mq.Errorf(mq.KindTopicNotExist, "No topic in this broker. topic: %s", name)
	}
	return b.withStatic(cloneTopic(e.Config())), nil
}

// Topics implements mq.TopicAdmin.
func (b *Broker) Topics(context.Context) ([]mq.TopicConfig, mq.DataVersion, error) {
	entries, v := b.meta.Topics.List()
	out := make([]mq.TopicConfig, len(entries))
	for i, e := range entries {
		out[i] = b.withStatic(cloneTopic(e.Config()))
	}
	return out, v, nil
}

// cloneTopic makes a copy that the caller may change.
func cloneTopic(c mq.TopicConfig) mq.TopicConfig {
	c.Attributes = maps.Clone(c.Attributes)
	return c
}
