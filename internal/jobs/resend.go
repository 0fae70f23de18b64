package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// Resend sends copies of dead letters to the topic that they came from.
type Resend struct {
	Cluster mq.Cluster
	Group   string
	Selection
	Topic string // instead of where a message came from
	Rate  int    // messages a second, 100
	// Allowed says whether the user may send to a topic; nil: to all.
	Allowed func(topic string) error
}

const usualRate = 100

// PropResent marks a copy with the offset id of its dead letter. `cometmq admin replay` writes the same.
const PropResent = "COMETMQ_REPLAY_OF"

// dropped are the properties that retries, timers and brokers add. All others are the user's and stay, the unique key too.
var dropped = []string{
	record.PropDLQOriginTopic, record.PropDLQOriginID, record.PropRetryTopic, record.PropReconsume, record.PropOriginID, record.PropMaxReconsume,
	record.PropFirstPopTime, record.PropPopCheckpoint, record.PropPopCKOffset, record.PropDelay, record.PropTimerOutMS, record.PropTimerEnqueueMS,
	record.PropTimerDequeueMS, record.PropTimerRollTimes, record.PropTimerDueMS, record.PropTimerDelayMS, record.PropTimerDelaySec,
	record.PropTimerDeliverMS, record.PropTransaction, record.PropTransactionID, record.PropPreparedIndex, record.PropCluster, record.PropRegion,
	record.PropTraceOn, record.PropRealTopic, record.PropRealQueueID, record.PropMinOffset, record.PropMaxOffset, record.PropWait, record.PropCRC32,
	record.PropMultiDispatch, record.PropMultiOffset, record.PropInnerNum, record.PropInnerBase, PropResent,
}

// keptFlags say how a body is packed and tags are meant.
const keptFlags = record.SysFlagCompressed | record.SysFlagCompressionMask | record.SysFlagMultiTags

// Origin is the topic that a dead letter came from, "" when nobody has noted it.
func Origin(p record.Props) string {
	for _, k := range []string{record.PropDLQOriginTopic, record.PropRetryTopic} {
		if v, ok := p.Get(k); ok {
			return string(v)
		}
	}
	return ""
}

// Spec says what the job is about.
func (r *Resend) Spec(cluster, user string) Spec {
	return Spec{Kind: KindResend, Cluster: cluster, Target: r.Group, User: user}
}

// Validate checks the request.
func (r *Resend) Validate() error {
	if r.Rate < 0 {
		return errors.New("the rate must not be negative")
	}
	return r.Selection.Validate()
}

// Run implements Body.
func (r *Resend) Run(ctx context.Context, t *Task) error {
	rd, err := newReader(ctx, r.Cluster, deadPrefix+r.Group)
	if err != nil {
		return err
	}
	s := &sender{c: r.Cluster, queues: map[string][]span{}, pause: time.Second / usualRate}
	if r.Rate > 0 {
		s.pause = time.Second / time.Duration(r.Rate)
	}
	return rd.each(ctx, t, &r.Selection, func(m *message) error {
		to := r.Topic
		if to == "" {
			to = Origin(m.Props)
		}
		item := m.ref.String()
		if to == "" {
			t.Fail(item, CodeNoOrigin, errors.New("the message does not say which topic it came from: choose one"))
			return nil
		}
		if r.Allowed != nil {
			if err := r.Allowed(to); err != nil {
				t.Fail(item, CodeDenied, err)
				return nil
			}
		}
		switch st, err := s.send(ctx, to, m); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			t.Fail(item, CodeRefused, err)
		case st.Status != mq.SendOK:
			t.Fail(item, CodeWeak, fmt.Errorf("stored in %s, but %s: it may be lost if the broker fails now", to, st.Status))
		default:
			t.Through(1)
		}
		return nil
	})
}

// sender sends copies, not faster than one in pause.
type sender struct {
	c      mq.Cluster
	queues map[string][]span
	turn   int
	pause  time.Duration
	last   time.Time
}

func (s *sender) send(ctx context.Context, to string, m *message) (mq.Stored, error) {
	list, ok := s.queues[to]
	if !ok {
		var err error
		if list, err = writable(ctx, s.c, to); err != nil {
			return mq.Stored{}, err
		}
		s.queues[to] = list
	}
	if wait := time.Until(s.last.Add(s.pause)); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return mq.Stored{}, ctx.Err()
		case <-timer.C:
		}
	}
	s.last = time.Now()
	q := list[s.turn%len(list)]
	s.turn++
	if key := m.prop(record.PropShardingKey); key != "" { // messages of one key stay in one queue, in their order
		q = list[uint32(record.HashCode(key))%uint32(len(list))]
	}
	props := m.Props.AppendWithout(nil, dropped...)
	props = record.AppendProp(props, PropResent, string(record.AppendOffsetID(nil, m.StoreHost, m.Offset)))
	return q.at.Put(ctx, &mq.SendRequest{
		Topic: to, Group: sendGroup, QueueID: q.queue, Flag: m.Flag, SysFlag: m.SysFlag & keptFlags, Props: props, Body: m.Body,
	})
}
