package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
)

// timerCheckSize is that of Java's TimerCheckpoint without its version: last read time, last flushed, last queue offset, master's.
const timerCheckSize = 32

var errTimerCheck = errors.New("a timer checkpoint is shorter than 32 bytes")

func (b *broker) TimerProgress(ctx context.Context) (out mq.TimerProgress, err error) {
	err = b.read(ctx, protocol.ReqGetTimerCheckPoint, nil, func(data []byte) error {
		if len(data) < timerCheckSize {
			return errTimerCheck
		}
		out = mq.TimerProgress{Time: int64(binary.BigEndian.Uint64(data)), Index: mq.Index(binary.BigEndian.Uint64(data[16:]))}
		return nil
	})
	return out, err
}

func (b *broker) TimerCounts(ctx context.Context) (out []mq.TimerCount, err error) {
	err = b.ask(ctx, protocol.ReqGetTimerMetrics, nil, func(v fastjson.Value) {
		for _, m := range v.Get("timingCount").Members() {
			out = append(out, mq.TimerCount{Topic: strings.Clone(m.Key.Str()), Count: m.Val.Get("count").Int64(), Updated: m.Val.Get("timeStamp").Int64()})
		}
	})
	slices.SortFunc(out, func(x, y mq.TimerCount) int { return strings.Compare(x.Topic, y.Topic) })
	return out, err
}

func (b *broker) Recall(ctx context.Context, r *mq.RecallRequest) (string, error) {
	const code = protocol.ReqRecallMessage
	resp, err := b.call(ctx, code, &protocol.RecallMessageRequestHeader{ProducerGroup: r.Group, Topic: r.Topic, RecallHandle: r.Handle}, nil)
	if err != nil {
		return "", err
	}
	var h protocol.RecallMessageResponseHeader
	if err := h.Decode(resp.Fields); err != nil {
		return "", malformed(b.addr, code, err)
	}
	return strings.Clone(h.MsgID), nil
}

func (b *broker) Forbid(ctx context.Context, group, topic string, forbidden bool) error {
	_, err := b.call(ctx, protocol.ReqUpdateAndGetGroupForbidden, &forbidHeader{group, topic, !forbidden}, nil)
	return err
}

// forbidHeader always says what is wanted: without it a broker only answers.
type forbidHeader struct {
	group, topic string
	readable     bool
}

func (h *forbidHeader) AppendTo(w *protocol.FieldWriter) {
	w.Str("group", h.group)
	w.Str("topic", h.topic)
	readable := "false"
	if h.readable {
		readable = "true"
	}
	w.Str("readable", readable)
}

// Flags of END_TRANSACTION (Java MessageSysFlag).
const (
	endCommit   = 2 << 2
	endRollback = 3 << 2
)

func (b *broker) Decide(ctx context.Context, e *mq.End, topic, id string) error {
	h := &protocol.EndTransactionRequestHeader{
		Topic: topic, ProducerGroup: e.Group, TranStateTableOffset: int64(e.Index), CommitLogOffset: int64(e.Offset), CommitOrRollback: endRollback,
		FromTransactionCheck: e.FromCheck, MsgID: id, TransactionID: id,
	}
	if e.Commit {
		h.CommitOrRollback = endCommit
	}
	_, err := b.call(ctx, protocol.ReqEndTransaction, h, nil)
	return err
}

func (b *broker) AskAgain(ctx context.Context, topic, offsetID string) error {
	_, err := b.call(ctx, protocol.ReqResumeCheckHalfMessage, &protocol.ResumeCheckHalfMessageRequestHeader{Topic: topic, MsgID: offsetID}, nil)
	return err
}
