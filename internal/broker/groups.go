package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/cometmq/cometmq/internal/mq"
)

// PutGroup implements mq.GroupAdmin.
func (b *Broker) PutGroup(_ context.Context, g mq.GroupConfig) error {
	begin := b.o.Now()
	err := b.putGroup(g)
	b.groupsMade.note(b.o.Now().Sub(begin), err != nil)
	return err
}

func (b *Broker) putGroup(g mq.GroupConfig) error {
	if refusal := checkGroupName(g.Name); refusal != nil {
		return refusal
	}
	e, _, err := b.meta.Groups.Put(g)
	var refusal *mq.Error
	switch {
	case errors.As(err, &refusal):
		return refusal
	case err != nil:
		return mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	b.o.Log.Info("group changed", "group", e.Name())
	return nil
}

// DeleteGroup implements mq.GroupAdmin. As in Java a group that is not there is no error.
func (b *Broker) DeleteGroup(_ context.Context, name string, cleanOffsets bool) error {
	deleted, _, err := b.meta.Groups.Delete(name)
	if cleanOffsets {
		err = errors.Join(err, b.meta.Offsets.DeleteGroup(name))
	}
	if err != nil {
		return mq.Errorf(mq.KindInternal, "%s", fmt.Errorf("delete group %s: %w", name, err).Error())
	}
	if deleted {
		b.o.Log.Info("group deleted", "group", name)
	}
	return nil
}

// Group implements mq.GroupAdmin. A group that would be made on demand is made.
func (b *Broker) Group(_ context.Context, name string) (mq.GroupConfig, error) {
	g := b.ensureGroup(name)
	if g == nil {
		return mq.GroupConfig{}, mq.Errorf(mq.KindGroupNotExist, "No group in this broker")
	}
	return cloneGroup(g.entry.Config()), nil
}

// Groups implements mq.GroupAdmin.
func (b *Broker) Groups(context.Context) ([]mq.GroupConfig, mq.DataVersion, error) {
	entries, v := b.meta.Groups.List()
	out := make([]mq.GroupConfig, len(entries))
	for i, e := range entries {
		out[i] = cloneGroup(e.Config())
	}
	return out, v, nil
}

// cloneGroup makes a copy that the caller may change.
func cloneGroup(c mq.GroupConfig) mq.GroupConfig {
	c.Attributes = maps.Clone(c.Attributes)
	c.RetryPolicy, c.SubscriptionData = bytes.Clone(c.RetryPolicy), bytes.Clone(c.SubscriptionData)
	return c
}
