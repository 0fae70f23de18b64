package membership

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// maxRoutes bounds the cache; a broker asks only for topics that its consumers have.
const maxRoutes = 20000

// routeCache remembers what name servers said about topics.
type routeCache struct {
	mu     sync.Mutex
	topics map[string]route
	last   int // the name server that answered last
}

type route struct {
	queues []mq.Queue
	until  time.Time
}

func (c *routeCache) init() { c.topics = make(map[string]route) }

func (c *routeCache) get(topic string) (r route, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok = c.topics[topic]
	return r, ok
}

func (c *routeCache) put(topic string, r route, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.topics) >= maxRoutes {
		for t, old := range c.topics {
			if now.After(old.until) || len(c.topics) >= maxRoutes {
				delete(c.topics, t)
			}
		}
	}
	c.topics[strings.Clone(topic)] = r
}

// forget drops the routes of topics that changed here.
func (c *routeCache) forget(changed []mq.TopicConfig) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range changed {
		delete(c.topics, changed[i].Name)
	}
}

func (c *routeCache) first() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

func (c *routeCache) answered(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = i
}

// Routes returns the readable queues that all brokers have of a topic, sorted by broker and id; none for a topic that
// no name server knows. Answers are remembered for 30 s, and for as long as no name server can be reached. The
// caller must not change the slice.
func (r *Registrar) Routes(ctx context.Context, topic string) ([]mq.Queue, error) {
	if len(r.servers()) == 0 {
		return r.ownQueues(topic), nil
	}
	now := time.Now()
	old, known := r.routes.get(topic)
	if known && now.Before(old.until) {
		return old.queues, nil
	}
	queues, err := r.askRoute(ctx, topic)
	if err != nil {
		if known && ctx.Err() == nil {
			old.until = now.Add(routeMissFresh) // ask again soon, not for every call
			r.routes.put(topic, old, now)
			return old.queues, nil
		}
		return nil, err
	}
	fresh := routeFresh
	if len(queues) == 0 {
		fresh = routeMissFresh
	}
	r.routes.put(topic, route{queues: queues, until: now.Add(fresh)}, now)
	return queues, nil
}

// askRoute asks the name servers one after the other, first the one that answered last.
func (r *Registrar) askRoute(ctx context.Context, topic string) ([]mq.Queue, error) {
	var errs []error
	first := r.routes.first()
	servers := r.servers()
	for n := range servers {
		i := (first + n) % len(servers)
		queues, err := servers[i].route(ctx, topic)
		if err == nil {
			r.routes.answered(i)
			return queues, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (s *server) route(ctx context.Context, topic string) (queues []mq.Queue, err error) {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	err = s.call(ctx, &remoting.Command{
		Code:   protocol.ReqGetRouteInfoByTopic,
		Header: &protocol.GetRouteInfoRequestHeader{Topic: topic},
	}, func(resp *remoting.Command) error {
		queues, err = readableQueues(topic, resp.Body)
		return err
	})
	var refused *refusal
	if errors.As(err, &refused) && refused.code == protocol.RespTopicNotExist {
		return nil, nil
	}
	return queues, err
}

// ownQueues is the route table of a broker that has no name server: itself.
func (r *Registrar) ownQueues(topic string) []mq.Queue {
	topics, _ := r.o.Topics()
	i := slices.IndexFunc(topics, func(t mq.TopicConfig) bool { return t.Name == topic })
	if i < 0 || !topics[i].Perm.Readable() || !r.as.Load().perm.Readable() {
		return nil
	}
	queues := make([]mq.Queue, 0, topics[i].ReadQueues)
	for id := range topics[i].ReadQueues {
		queues = append(queues, mq.Queue{Topic: topics[i].Name, Broker: r.o.Name, ID: id})
	}
	return queues
}

// Bounds of what is believed: queues of one broker and of a route.
const (
	maxQueues      = 65536
	maxRouteQueues = 1 << 20
)

// logicalQueues are the queues of a static topic as clients see them: all of them, whoever leads them now.
func logicalQueues(topic string, d *protocol.TopicRouteData) []mq.Queue {
	type scope struct {
		epoch int64
		total int32
	}
	scopes := map[string]scope{}
	for _, m := range d.TopicQueueMappingByBroker {
		s := scopes[m.Scope]
		if m.Epoch > s.epoch || (m.Epoch == s.epoch && m.TotalQueues > s.total) {
			s = scope{m.Epoch, m.TotalQueues}
		}
		scopes[m.Scope] = s
	}
	var queues []mq.Queue
	for _, name := range slices.Sorted(maps.Keys(scopes)) {
		broker := logicqueue.MockBroker(strings.Clone(cmp.Or(name, logicqueue.ScopeGlobal)))
		for id := range min(scopes[name].total, maxQueues) {
			queues = append(queues, mq.Queue{Topic: topic, Broker: broker, ID: id})
		}
	}
	return queues
}

// readableQueues reads a route answer.
func readableQueues(topic string, body []byte) ([]mq.Queue, error) {
	var d protocol.TopicRouteData
	if err := d.Decode(body); err != nil {
		return nil, err
	}
	topic = strings.Clone(topic)
	if len(d.TopicQueueMappingByBroker) > 0 {
		return logicalQueues(topic, &d), nil
	}
	var queues []mq.Queue
	for _, q := range d.QueueDatas {
		if !mq.Perm(q.Perm).Readable() {
			continue
		}
		if len(queues) > maxRouteQueues {
			return nil, fmt.Errorf("route of %s: over %d queues", topic, maxRouteQueues)
		}
		broker := strings.Clone(q.BrokerName)
		for id := range min(q.ReadQueueNums, maxQueues) {
			queues = append(queues, mq.Queue{Topic: topic, Broker: broker, ID: id})
		}
	}
	slices.SortFunc(queues, func(a, b mq.Queue) int {
		return cmp.Or(strings.Compare(a.Broker, b.Broker), cmp.Compare(a.ID, b.ID))
	})
	return queues, nil
}
