package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/cometmq/cometmq/internal/mq"
)

// Reset sets the positions of several groups.
type Reset struct {
	Cluster mq.Cluster
	Groups  []string
	Topic   string // "": all topics in which a group has positions
	Time    int64  // store time in ms to go to; < 0: the end
	Force   bool   // also forward
}

// Spec says what the job is about.
func (r *Reset) Spec(cluster, user string) Spec {
	target := r.Topic
	if len(r.Groups) == 1 {
		target = r.Groups[0]
	}
	return Spec{Kind: KindReset, Cluster: cluster, Target: target, User: user}
}

// Validate checks the request.
func (r *Reset) Validate() error {
	switch {
	case len(r.Groups) == 0:
		return errors.New("no group is named")
	case len(r.Groups) > maxNamed:
		return fmt.Errorf("at most %d groups can be named", maxNamed)
	}
	return nil
}

// Run implements Body. An item is a group in a topic on a broker.
func (r *Reset) Run(ctx context.Context, t *Task) error {
	info, err := r.Cluster.NameServer("").ClusterInfo(ctx)
	if err != nil {
		return err
	}
	sets := info.In("")
	for _, group := range r.Groups {
		for i := range sets {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if sets[i].Master() != "" {
				r.group(ctx, t, &sets[i], group)
			}
		}
	}
	return nil
}

// group resets one group on one broker.
func (r *Reset) group(ctx context.Context, t *Task, set *mq.BrokerSet, group string) {
	at := r.Cluster.Broker(set.Master())
	topics, err := at.ConsumerTopics(ctx, group)
	if err != nil {
		t.Fail(group+" on "+set.Name, CodeRefused, err)
		return
	}
	for _, topic := range topics {
		if r.Topic != "" && topic != r.Topic {
			continue
		}
		item := group + " in " + topic + " on " + set.Name
		_, err := at.ResetPositions(ctx, &mq.PositionReset{Group: group, Topic: topic, QueueID: -1, Time: r.Time, Force: r.Force})
		if err != nil && mq.KindOf(err) == mq.KindConsumerNotOnline {
			err = r.offline(ctx, at, group, topic)
		}
		if err != nil {
			t.Fail(item, CodeRefused, err)
			continue
		}
		t.Through(1)
	}
}

// offline sets the positions of a group of which no client is there, queue by queue.
func (r *Reset) offline(ctx context.Context, at mq.RemoteBroker, group, topic string) error {
	st, err := at.ConsumeStats(ctx, group, topic, nil)
	if err != nil {
		return err
	}
	for _, q := range st.Queues {
		to := q.End
		if r.Time >= 0 {
			if to, err = at.IndexAtTime(ctx, topic, q.Queue.ID, r.Time, mq.BoundaryLower); err != nil {
				return err
			}
		}
		if to > q.Committed && !r.Force && r.Time >= 0 {
			continue
		}
		if err := at.CommitIndex(ctx, group, topic, q.Queue.ID, to); err != nil {
			return err
		}
	}
	return nil
}
