package jobs

import (
	"context"
	"errors"

	"github.com/cometmq/cometmq/internal/mq"
)

// Purge deletes the dead letters of a group, which is deleting their topic: the next dead letter makes it again.
type Purge struct {
	Cluster mq.Cluster
	Name    string // of the cluster
	Group   string
}

// Spec says what the job is about.
func (p *Purge) Spec(cluster, user string) Spec {
	return Spec{Kind: KindPurge, Cluster: cluster, Target: p.Group, User: user}
}

// Step is one thing that Purge does.
type Step struct {
	Node     string // address
	Messages int64  // that are deleted there; 0 of name servers
	Broker   bool   // else a name server
}

// Plan returns what would be done.
func (p *Purge) Plan(ctx context.Context) ([]Step, error) {
	topic := deadPrefix + p.Group
	route, err := p.Cluster.NameServer("").Route(ctx, topic)
	if err != nil {
		return nil, err
	}
	var out []Step
	for i := range route.Brokers {
		master := route.Brokers[i].Master()
		if master == "" {
			return nil, errors.New("broker " + route.Brokers[i].Name + " has no master: the dead letters there could not be deleted")
		}
		st, err := p.Cluster.Broker(master).TopicStats(ctx, topic)
		if err != nil {
			return nil, err
		}
		s := Step{Node: master, Broker: true}
		for _, q := range st.Queues {
			s.Messages += int64(q.Max - q.Min)
		}
		out = append(out, s)
	}
	for _, ns := range p.Cluster.NameServers() {
		out = append(out, Step{Node: ns})
	}
	return out, nil
}

// Run implements Body. An item is a step.
func (p *Purge) Run(ctx context.Context, t *Task) error {
	steps, err := p.Plan(ctx)
	if err != nil {
		return err
	}
	t.Expect(int64(len(steps)))
	for _, s := range steps {
		if err := p.Do(ctx, s); err != nil {
			t.Fail(s.Node, CodeRefused, err)
			continue
		}
		t.Through(1)
	}
	return ctx.Err()
}

// Do does one step of a plan.
func (p *Purge) Do(ctx context.Context, s Step) error {
	topic := deadPrefix + p.Group
	if s.Broker {
		return p.Cluster.Broker(s.Node).DeleteTopic(ctx, topic)
	}
	err := p.Cluster.NameServer(s.Node).DropTopic(ctx, topic, p.Name)
	if err != nil && mq.KindOf(err) == mq.KindTopicNotExist {
		return nil // brokers have told it already
	}
	return err
}
