package broker

import (
	"context"
	"strings"

	"github.com/cometmq/cometmq/internal/broker/rebalance"
	"github.com/cometmq/cometmq/internal/mq"
)

// modePop is Java's MessageRequestMode of a consumer that pops.
const modePop = "POP"

// SetRequestMode implements mq.Service.
func (b *Broker) SetRequestMode(_ context.Context, m mq.RequestMode) error {
	switch {
	case strings.HasPrefix(m.Topic, retryPrefix):
		return mq.Errorf(mq.KindNoPermission, "retry topic is not allowed to set mode")
	case m.Mode != modePull && m.Mode != modePop:
		return mq.Errorf(mq.KindInvalidParameter, "mode %q is neither PULL nor POP", m.Mode)
	}
	if _, ok := b.topic(m.Topic); !ok {
		return mq.Errorf(mq.KindTopicNotExist, "topic[%s] not exist", m.Topic)
	}
	if b.ensureGroup(m.Group) == nil {
		return mq.Errorf(mq.KindGroupNotExist, "subscription group does not exist")
	}
	if err := b.meta.Modes.Put(m); err != nil {
		return mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	b.o.Log.Info("message request mode changed", "topic", m.Topic, "group", m.Group, "mode", m.Mode)
	return nil
}

// RequestModes implements mq.Service.
func (b *Broker) RequestModes(context.Context) ([]mq.RequestMode, error) {
	return b.meta.Modes.List(), nil
}

// requestMode is how a group consumes a topic. Retry topics are always pulled.
func (b *Broker) requestMode(topic, group string) mq.RequestMode {
	if m, ok := b.meta.Modes.Get(topic, group); ok {
		return m
	}
	m := mq.RequestMode{Topic: topic, Group: group, Mode: b.o.RequestMode, ShareQueues: b.o.PopShareQueues}
	if strings.HasPrefix(topic, retryPrefix) {
		m.Mode = modePull
	}
	return m
}

// allocate shares queues out by the mode of the group.
func allocate(m mq.RequestMode, r *mq.AssignmentRequest, queues []mq.Queue, members []string) ([]mq.Queue, bool) {
	if m.Mode != modePop {
		return rebalance.Allocate(r.Strategy, r.ClientID, queues, members)
	}
	return rebalance.AllocatePop(r.Strategy, r.ClientID, queues, members, int(m.ShareQueues))
}
