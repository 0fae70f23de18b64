package grpcapi

import (
	"context"
	"slices"
	"strconv"

	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// defaultLiteQuota is how many lite topics a client may subscribe to whose group says nothing (Java LiteSubscriptionQuota).
const defaultLiteQuota = 2000

func liteQuota(g *mq.GroupConfig) int32 {
	if n, err := strconv.ParseInt(g.Attributes["lite.sub.client.quota"], 10, 32); err == nil && n > 0 {
		return int32(n)
	}
	return defaultLiteQuota
}

var liteActions = map[v2.LiteSubscriptionAction]mq.LiteAction{
	v2.LiteSubscriptionAction_PARTIAL_ADD: mq.LiteAdd, v2.LiteSubscriptionAction_PARTIAL_REMOVE: mq.LiteRemove,
	v2.LiteSubscriptionAction_COMPLETE_ADD: mq.LiteSet, v2.LiteSubscriptionAction_COMPLETE_REMOVE: mq.LiteRemoveAll,
}

// SyncLiteSubscription says to which lite topics a client subscribes.
func (d *Door) SyncLiteSubscription(ctx context.Context, r *v2.SyncLiteSubscriptionRequest) (*v2.SyncLiteSubscriptionResponse, error) {
	resp := &v2.SyncLiteSubscriptionResponse{}
	resp.Status = d.serve(ctx, famClient, func(c *call) error {
		if len(r.GetLiteTopicSet()) > 0 {
			if err := c.mayConsume(r.GetGroup().GetName(), r.GetTopic().GetName()); err != nil {
				return err
			}
		}
		group, topic, err := groupAndTopic(r.GetGroup(), r.GetTopic())
		if err != nil {
			return err
		}
		action, ok := liteActions[r.GetAction()]
		if !ok {
			return refuse(v2.Code_BAD_REQUEST, "unknown LiteSubscriptionAction: %d", r.GetAction())
		}
		if action == mq.LiteAdd {
			for _, name := range r.GetLiteTopicSet() {
				if err = d.o.Limits.checkLite(name); err != nil {
					return err
				}
			}
		}
		change := mq.LiteChange{
			Action: action, ClientID: c.id, Group: group, Topic: topic, Lites: slices.Clone(r.GetLiteTopicSet()), Start: startOf(r.GetOffsetOption()),
		}
		k := d.known(c.id)
		if k == nil {
			return refuse(v2.Code_UNRECOGNIZED_CLIENT_TYPE, "cannot find client settings for this client")
		}
		return c.core.Service.SubscribeLite(ctx, k, []mq.LiteChange{change})
	})
	return resp, nil
}

func startOf(o *v2.OffsetOption) *mq.LiteStart {
	switch t := o.GetOffsetType().(type) {
	case *v2.OffsetOption_Policy_:
		return &mq.LiteStart{Kind: "POLICY", Value: int64(t.Policy)}
	case *v2.OffsetOption_Offset:
		return &mq.LiteStart{Kind: "OFFSET", Value: t.Offset}
	case *v2.OffsetOption_TailN:
		return &mq.LiteStart{Kind: "TAIL_N", Value: t.TailN}
	case *v2.OffsetOption_Timestamp:
		return &mq.LiteStart{Kind: "TIMESTAMP", Value: t.Timestamp}
	}
	return nil
}
