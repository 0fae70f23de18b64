package remotingapi

import (
	"context"
	"net/netip"

	"github.com/cometmq/cometmq/internal/mq"
)

func (f *fake) Pop(_ context.Context, r *mq.PopRequest, _ *mq.PopResult) error {
	return f.note("pop %s %s %d", r.Group, r.Topic, r.QueueID)
}

func (f *fake) Ack(_ context.Context, r *mq.AckRequest) (string, error) {
	return "", f.note("ack %s %s %d %d %s", r.Group, r.Topic, r.QueueID, r.Index, r.Receipt)
}

func (f *fake) AckBatch(_ context.Context, r *mq.BatchAck) (string, error) {
	return "", f.note("ack batch %s %s %d", r.Group, r.Topic, r.QueueID)
}

func (f *fake) ChangeInvisible(_ context.Context, r *mq.ChangeInvisibleRequest) (mq.ChangeInvisibleResult, error) {
	return mq.ChangeInvisibleResult{}, f.note("change %s %s %d %d", r.Group, r.Topic, r.QueueID, r.Invisible)
}

func (f *fake) SyncPops() error { return nil }

func (f *fake) Peek(_ context.Context, r *mq.PeekRequest, _ *mq.PopResult) error {
	return f.note("peek %s %s %d", r.Group, r.Topic, r.QueueID)
}

func (f *fake) HasPop(_ context.Context, r *mq.PopRequest) (bool, error) {
	return true, f.note("has %s %s %d", r.Group, r.Topic, r.QueueID)
}

func (f *fake) ParkPop(*mq.PopRequest, *mq.Waiter) mq.PopPark { return mq.PopTimeout }

func (f *fake) Polling(_ context.Context, group, topic string, queue int32, _ netip.AddrPort) (int, error) {
	return 0, f.note("polling %s %s %d", group, topic, queue)
}

func (f *fake) SetRequestMode(_ context.Context, m mq.RequestMode) error {
	return f.note("mode %s %s %s", m.Topic, m.Group, m.Mode)
}

func (f *fake) RequestModes(context.Context) ([]mq.RequestMode, error) {
	return nil, f.note("modes")
}
