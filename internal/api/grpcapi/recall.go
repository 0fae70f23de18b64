package grpcapi

import (
	"context"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// RecallMessage takes back a message that waits for its time.
//
// Differs from Java: a handle that cannot be read is BAD_REQUEST; there it is INTERNAL_SERVER_ERROR.
func (d *Door) RecallMessage(ctx context.Context, r *v2.RecallMessageRequest) (*v2.RecallMessageResponse, error) {
	resp := &v2.RecallMessageResponse{}
	resp.Status = d.serve(ctx, famProducer, func(c *call) error {
		if err := c.mayPublish(r.GetTopic().GetName()); err != nil {
			return err
		}
		topic, err := topicOf(r.GetTopic())
		if err != nil {
			return err
		}
		t, err := c.core.Admin.Topic(ctx, topic)
		if err != nil {
			return err
		}
		if !d.o.Limits.AnyType && !slices.Contains(typesOf(&t), v2.MessageType_DELAY) {
			return errKind(typeNameOf(&t), v2.MessageType_DELAY.String())
		}
		type outcome struct {
			id      string
			refusal *mq.Error
		}
		done := make(chan outcome, 1)
		q := mq.RecallRequest{Group: topic, Topic: topic, Handle: r.GetRecallHandle(), From: c.from}
		c.core.Service.Recall(ctx, &q, func(id string, refusal *mq.Error) { done <- outcome{strings.Clone(id), refusal} })
		out := <-done
		if out.refusal != nil {
			return out.refusal
		}
		resp.MessageId = out.id
		return nil
	})
	return resp, nil
}
