package remotingapi

import (
	"context"

	"github.com/cometmq/cometmq/internal/mq"
)

func (f *fake) SubscribeLite(_ context.Context, _ mq.Peer, list []mq.LiteChange) error {
	for _, c := range list {
		if err := f.note("lite %s %s %s %s %v", c.Action, c.ClientID, c.Group, c.Topic, c.Lites); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) LiteBroker(context.Context) (mq.LiteBroker, error) {
	return mq.LiteBroker{}, f.note("lite info")
}

func (f *fake) LiteParent(_ context.Context, topic string) (mq.LiteParent, error) {
	return mq.LiteParent{}, f.note("lite parent %s", topic)
}

func (f *fake) LiteTopic(_ context.Context, parent, lite string) (mq.LiteTopic, error) {
	return mq.LiteTopic{}, f.note("lite topic %s %s", parent, lite)
}

func (f *fake) LiteClient(_ context.Context, parent, group, client string) (mq.LiteClient, error) {
	return mq.LiteClient{}, f.note("lite client %s %s %s", parent, group, client)
}

func (f *fake) LiteGroup(_ context.Context, group, lite string, most int32) (mq.LiteGroup, error) {
	return mq.LiteGroup{}, f.note("lite group %s %s %d", group, lite, most)
}

func (f *fake) TriggerLite(_ context.Context, group, client string) error {
	return f.note("lite dispatch %s %s", group, client)
}
