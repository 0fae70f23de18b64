package httpapi

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/cometmq/cometmq/internal/mq"
)

func getOffsets(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	out, _ := k.lag(c.ctx, c.path("group"), c.query("topic"))
	return &struct {
		Items []queueLag `json:"items"`
		partial
	}{out.Items, out.partial}, nil
}

// Where offsets can be moved to.
const (
	toTime     = "time"
	toOffset   = "offset"
	toEarliest = "earliest"
	toLatest   = "latest"
	toShift    = "shift"
	toGroup    = "group"
)

type offsetChange struct {
	Topic  string `json:"topic"`
	To     string `json:"to"`
	Time   *int64 `json:"time"`
	Offset *i64   `json:"offset"`
	Shift  *i64   `json:"shift"`
	Group  string `json:"group"`
	Queues []struct {
		Broker string `json:"broker"`
		Queue  int32  `json:"queue"`
	} `json:"queues"`
}

func (o *offsetChange) check() error {
	if err := validName("topic", o.Topic); err != nil {
		return err
	}
	switch o.To {
	case toTime:
		if o.Time == nil || *o.Time < 0 {
			return badField("time", "missing", "a time in ms is needed")
		}
	case toOffset:
		if o.Offset == nil || *o.Offset < 0 {
			return badField("offset", "missing", "an offset of 0 or more is needed")
		}
	case toShift:
		if o.Shift == nil {
			return badField("shift", "missing", "a number of messages is needed, negative: back")
		}
	case toGroup:
		if err := validName("group", o.Group); err != nil {
			return err
		}
	case toEarliest, toLatest:
	default:
		return badField("to", "unknownPlace", "want time, offset, earliest, latest, shift or group, not %q", o.To)
	}
	return nil
}

// means says whether a queue is chosen.
func (o *offsetChange) means(broker string, queue int32) bool {
	if len(o.Queues) == 0 {
		return true
	}
	for _, q := range o.Queues {
		if q.Broker == broker && q.Queue == queue {
			return true
		}
	}
	return false
}

type plannedQueue struct {
	Topic   string     `json:"topic"`
	Broker  string     `json:"broker"`
	Queue   int32      `json:"queue"`
	Min     i64        `json:"min"`
	Max     i64        `json:"max"`
	Current *i64       `json:"current,omitempty"`
	Target  i64        `json:"target"`
	Again   i64        `json:"again"`
	Skipped i64        `json:"skipped"`
	Done    bool       `json:"done"`
	Error   *nodeError `json:"error,omitempty"`

	node *node
}

type offsetPlan struct {
	DryRun  bool           `json:"dryRun"`
	Online  *bool          `json:"online,omitempty"`
	Method  string         `json:"method"`
	Items   []plannedQueue `json:"items"`
	Again   i64            `json:"again"`
	Skipped i64            `json:"skipped"`
	partial
}

// changeOffsets plans new offsets, and without dryRun applies them. What is planned is what is applied: positions are computed here and
// set one by one, by the broker that tells its clients when there are any (222), else as a commit (15).
func changeOffsets(c *call) (any, error) {
	var in offsetChange
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if !c.who.seesTopic(in.Topic) || in.Group != "" && !c.who.seesGroup(in.Group) {
		return nil, errScope
	}
	dry, err := c.dryRun()
	if err != nil {
		return nil, err
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	group := c.path("group")
	if there, errs := groupConfigs(c.ctx, k.readers(), group); len(there) == 0 && len(errs) == 0 {
		return nil, notFound("groupNotFound", "no broker of cluster %s has group %s", k.name, group)
	}
	out := &offsetPlan{DryRun: dry, Method: "commit"}
	if m, merr := k.members(c.ctx, group); merr == nil {
		online := len(m.clients) > 0
		out.Online = &online
		if online {
			out.Method = "broker"
		}
		if m.model == "broadcasting" {
			return nil, problemf(http.StatusConflict, "broadcasting", "the clients of group %s keep their offsets themselves: it consumes by broadcast", group)
		}
	}
	errs, err := in.plan(c.ctx, k, group, out)
	if err != nil {
		return nil, err
	}
	if len(out.Items) == 0 && len(errs) == 0 {
		return nil, badField("queues", "unknownQueue", "the topic has no such queue")
	}
	out.partial = partialOf(errs)
	if !dry {
		c.applyOffsets(group, out)
	}
	return out, nil
}

// plan computes where each queue goes.
func (o *offsetChange) plan(ctx context.Context, k *cluster, group string, out *offsetPlan) ([]*nodeError, error) {
	r, _, err := k.route(ctx, o.Topic)
	if err != nil {
		return nil, err
	}
	var list []node
	var errs []*nodeError
	for _, s := range r.Brokers {
		if s.Cluster != "" && s.Cluster != k.name {
			continue
		}
		if s.Master() == "" {
			errs = append(errs, &nodeError{Node: s.Name, Code: "noMaster", Detail: "the set has no master: its offsets stay"})
			continue
		}
		list = append(list, node{k.Broker(s.Master()), s, 0, s.Master()})
	}
	answers, more := ask(ctx, list, func(ctx context.Context, n *node) ([]plannedQueue, error) { return o.planOf(ctx, n, group) })
	for _, a := range answers {
		out.Items = append(out.Items, a.v...)
	}
	for i := range out.Items {
		out.Again += out.Items[i].Again
		out.Skipped += out.Items[i].Skipped
	}
	return slices.Concat(errs, more), nil
}

// planOf computes the queues of one broker.
func (o *offsetChange) planOf(ctx context.Context, n *node, group string) ([]plannedQueue, error) {
	at := n // the pointer outlives the call
	st, err := n.TopicStats(ctx, o.Topic)
	if err != nil {
		return nil, err
	}
	current, err := positions(ctx, n, group, o.Topic)
	if err != nil {
		return nil, err
	}
	var other map[int32]mq.Index
	if o.To == toGroup {
		if other, err = positions(ctx, n, o.Group, o.Topic); err != nil {
			return nil, err
		}
	}
	var out []plannedQueue
	for _, s := range st.Queues {
		if s.Queue.Topic != o.Topic || !o.means(n.set.Name, s.Queue.ID) {
			continue
		}
		q := plannedQueue{Topic: o.Topic, Broker: n.set.Name, Queue: s.Queue.ID, Min: i64(s.Min), Max: i64(s.Max), node: at}
		now, known := current[q.Queue]
		if known {
			q.Current = opt(int64(now))
		}
		target, ok := now, true
		switch o.To {
		case toEarliest:
			target = s.Min
		case toLatest:
			target = s.Max
		case toOffset:
			target = mq.Index(*o.Offset)
		case toShift:
			if target, ok = shifted(now, int64(*o.Shift)), known; !ok {
				q.Error = &nodeError{Node: n.String(), Code: "noOffset", Detail: "the group has no offset in this queue that could be shifted"}
			}
		case toGroup:
			if target, ok = other[q.Queue]; !ok {
				q.Error = &nodeError{Node: n.String(), Code: "noOffset", Detail: fmt.Sprintf("group %s has no offset in this queue", o.Group)}
			}
		case toTime:
			if target, err = n.timeIndex(ctx, o.Topic, &s, *o.Time); err != nil {
				return nil, err
			}
		}
		if !ok {
			target = now
		}
		target = min(max(target, s.Min), s.Max)
		q.Target = i64(target)
		if known && ok {
			q.Again = i64(max(now-target, 0))
			q.Skipped = i64(max(target-max(now, s.Min), 0))
		}
		out = append(out, q)
	}
	return out, nil
}

// shifted adds without leaving the range of numbers.
func shifted(at mq.Index, by int64) mq.Index {
	if by > 0 && int64(at) > math.MaxInt64-by {
		return math.MaxInt64
	}
	return at + mq.Index(by)
}

// timeIndex is the first message at or after a time; the end when all are older.
func (n *node) timeIndex(ctx context.Context, topic string, s *mq.QueueStats, ms int64) (mq.Index, error) {
	if s.Max <= s.Min || s.LastUpdate > 0 && s.LastUpdate < ms {
		return s.Max, nil
	}
	return n.IndexAtTime(ctx, topic, s.Queue.ID, ms, mq.BoundaryLower)
}

// positions are those of a group in a topic on one broker. Brokers tell 0 for queues without one, so that whether there are any is asked
// for first.
func positions(ctx context.Context, n *node, group, topic string) (map[int32]mq.Index, error) {
	topics, err := n.ConsumerTopics(ctx, group)
	if topics, err = without(topics, err, mq.KindTopicNotExist, mq.KindGroupNotExist, mq.KindConsumerNotOnline, mq.KindQueryNotFound); err != nil || !slices.Contains(topics, topic) {
		return nil, err
	}
	s, err := n.ConsumeStats(ctx, group, topic, nil)
	s, err = without(s, err, mq.KindTopicNotExist, mq.KindGroupNotExist, mq.KindConsumerNotOnline, mq.KindQueryNotFound)
	out := map[int32]mq.Index{}
	for _, q := range s.Queues {
		if q.Queue.Topic == topic && q.Committed >= 0 {
			out[q.Queue.ID] = q.Committed
		}
	}
	return out, err
}

// applyOffsets sets what was planned, queue by queue.
func (c *call) applyOffsets(group string, out *offsetPlan) {
	var before, after []string
	for i := range out.Items {
		q := &out.Items[i]
		if q.Error != nil {
			c.partial = true
			continue
		}
		var err error
		if out.Method == "broker" {
			_, err = q.node.ResetPositions(c.ctx, &mq.PositionReset{
				Group: group, Topic: q.Topic, QueueID: q.Queue, Time: -1, HasIndex: true, Index: mq.Index(q.Target), Force: true,
			})
		} else {
			err = q.node.CommitIndex(c.ctx, group, q.Topic, q.Queue, mq.Index(q.Target))
		}
		if err != nil {
			q.Error = nodeErrorOf(q.node.String(), err)
			out.Partial, out.Errors, c.partial = true, append(out.Errors, q.Error), true
			continue
		}
		q.Done = true
		place := fmt.Sprintf("%s %s/%d=", q.Topic, q.Broker, q.Queue)
		if q.Current != nil {
			before = append(before, place+strconv.FormatInt(int64(*q.Current), 10))
		}
		after = append(after, place+strconv.FormatInt(int64(q.Target), 10))
	}
	c.before, c.after = joinTexts(before), joinTexts(after)
}
