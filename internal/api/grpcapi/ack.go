package grpcapi

import (
	"context"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// AckMessage settles messages. The answer leaves when that survives a kill of the process.
//
// Differs from Java: what counts is whether the group still holds the message by that handle, not the time in it: an acknowledgement that
// comes late but before the message was handed out again is taken.
func (d *Door) AckMessage(ctx context.Context, r *v2.AckMessageRequest) (*v2.AckMessageResponse, error) {
	resp := &v2.AckMessageResponse{}
	resp.Status = d.serve(ctx, famConsumer, func(c *call) error {
		if err := c.mayConsume(r.GetGroup().GetName(), r.GetTopic().GetName()); err != nil {
			return err
		}
		group, topic, err := groupAndTopic(r.GetGroup(), r.GetTopic())
		if err != nil {
			return err
		}
		if len(r.GetEntries()) == 0 {
			return refuse(v2.Code_INTERNAL_SERVER_ERROR, "ack message result is empty")
		}
		for _, e := range r.GetEntries() {
			resp.Entries = append(resp.Entries, &v2.AckMessageResultEntry{
				MessageId: e.GetMessageId(), ReceiptHandle: e.GetReceiptHandle(), Status: statusOf(c.ack(group, topic, e)),
			})
		}
		if err = c.core.Service.SyncPops(); err != nil {
			resp.Entries = nil
		}
		return err
	})
	if len(resp.Entries) > 0 {
		resp.Status = together(resp.Entries)
	}
	return resp, nil
}

func (c *call) ack(group, topic string, e *v2.AckMessageEntry) error {
	text := c.d.leases.end(c.id, group, e.GetReceiptHandle())
	r, err := c.d.parseHandle(text)
	if err != nil {
		return err
	}
	q := c.askedBy(&r, text, group, topic, e.GetLiteTopic())
	note, err := c.core.Service.Ack(c.ctx, &q)
	if err != nil {
		return gone(err)
	}
	if note != "" {
		return refuse(v2.Code_INVALID_RECEIPT_HANDLE, "%s", note)
	}
	return nil
}

// ChangeInvisibleDuration hides a message for another time. It is not renewed any more.
func (d *Door) ChangeInvisibleDuration(ctx context.Context, r *v2.ChangeInvisibleDurationRequest) (*v2.ChangeInvisibleDurationResponse, error) {
	resp := &v2.ChangeInvisibleDurationResponse{}
	resp.Status = d.serve(ctx, famConsumer, func(c *call) error {
		if err := c.mayConsume(r.GetGroup().GetName(), ""); err != nil {
			return err
		}
		group, topic, err := groupAndTopic(r.GetGroup(), r.GetTopic())
		if err != nil {
			return err
		}
		invisible := r.GetInvisibleDuration().AsDuration()
		if err = checkInvisible(invisible, 0, d.o.Limits.MaxInvisible); err != nil {
			return err
		}
		text := d.leases.end(c.id, group, r.GetReceiptHandle())
		rc, err := d.parseHandle(text)
		if err != nil {
			return err
		}
		resp.ReceiptHandle, err = c.hide(&mq.ChangeInvisibleRequest{
			AckRequest: c.askedBy(&rc, text, group, topic, r.GetLiteTopic()), Invisible: invisible.Milliseconds(), Suspend: r.GetSuspend(),
		}, rc)
		if err == nil {
			err = c.core.Service.SyncPops()
		}
		if err != nil {
			resp.ReceiptHandle = ""
		}
		return err
	})
	return resp, nil
}

// hide hides a message for another time and returns its new handle.
func (c *call) hide(q *mq.ChangeInvisibleRequest, rc mq.Receipt) (handle string, err error) {
	return hide(c.ctx, c.core.Service, q, rc)
}

func hide(ctx context.Context, svc mq.Service, q *mq.ChangeInvisibleRequest, rc mq.Receipt) (handle string, err error) {
	res, err := svc.ChangeInvisible(ctx, q)
	if err != nil {
		return "", gone(err)
	}
	if res.Note != "" {
		return "", refuse(v2.Code_INVALID_RECEIPT_HANDLE, "%s", res.Note)
	}
	rc.Start, rc.PopTime, rc.Invisible, rc.ReviveQID = rc.Index, res.PopTime, res.Invisible, res.ReviveQID
	return string(rc.AppendTo(nil)), nil
}

// ForwardMessageToDeadLetterQueue gives a message up: FIFO consumers that have tried it often enough.
//
// Differs from Java: the place in the log that the handle names must hold the message that it names otherwise. Java copies whatever is there.
func (d *Door) ForwardMessageToDeadLetterQueue(ctx context.Context, r *v2.ForwardMessageToDeadLetterQueueRequest) (*v2.ForwardMessageToDeadLetterQueueResponse, error) {
	resp := &v2.ForwardMessageToDeadLetterQueueResponse{}
	resp.Status = d.serve(ctx, famProducer, func(c *call) error {
		if err := c.mayConsume(r.GetGroup().GetName(), r.GetTopic().GetName()); err != nil {
			return err
		}
		group, topic, err := groupAndTopic(r.GetGroup(), r.GetTopic())
		if err != nil {
			return err
		}
		text := d.leases.end(c.id, group, r.GetReceiptHandle())
		rc, err := d.parseHandle(text)
		if err != nil {
			return err
		}
		if rc.Offset < 0 {
			return refuse(v2.Code_INVALID_RECEIPT_HANDLE, "receipt handle: the offset in the log is missing")
		}
		q := c.askedBy(&rc, text, group, topic, r.GetLiteTopic())
		if err = c.holds(&q, rc.Offset); err != nil {
			return err
		}
		if err = c.forward(group, rc.Offset); err != nil {
			return err
		}
		if _, err = c.core.Service.Ack(ctx, &q); err != nil {
			d.o.Log.Warn("a dead letter comes again, too", "group", group, "topic", topic, "err", err)
			return nil
		}
		return c.core.Service.SyncPops()
	})
	return resp, nil
}

// holds checks that the message at a place of the log is the one that q is about.
func (c *call) holds(q *mq.AckRequest, at mq.Offset) error {
	rec, err := c.core.Service.MessageAt(c.ctx, at, nil)
	var m record.Message
	if err == nil {
		_, err = record.Decode(rec, &m, false)
	}
	switch {
	case err != nil:
		return refuse(v2.Code_INVALID_RECEIPT_HANDLE, "receipt handle: there is no message at offset %d", at)
	case string(m.Topic) != q.Topic, q.LiteTopic == "" && (m.QueueID != q.QueueID || m.Index != q.Index):
		return refuse(v2.Code_INVALID_RECEIPT_HANDLE, "receipt handle: another message is at offset %d", at)
	}
	return nil
}
