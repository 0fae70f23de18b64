package grpcapi

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// client is what the door keeps of a client that has sent settings: by its id, whatever connections it has. It ends when it says so, when
// the core has not heard of it for too long (Close), or when its stream ends before it has registered for anything.
type client struct {
	d  *Door
	id string
	// session is how the core knows it.
	session mq.Session

	mu       sync.Mutex // guards the rest
	settings *v2.Settings
	beat     mq.Heartbeat // what it registers; nothing in it is changed, only replaced
	tube     *tube        // its stream, nil when there is none
	asked    map[string]func(*v2.TelemetryCommand, error)
	nonce    int64
	seen     time.Time
}

// silence is after what time a client without a stream is forgotten of which nothing was heard.
const silence = 2 * time.Minute

// known returns the client of an id, nil when it has sent no settings.
func (d *Door) known(id string) *client {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clients[id]
}

// clientOf returns the client of a call, a new one if need be.
func (d *Door) clientOf(c *call) (*client, error) {
	d.sweep()
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.clients[c.id]
	if k != nil {
		return k, nil
	}
	if len(d.clients) >= d.o.Limits.Clients {
		return nil, refuse(v2.Code_TOO_MANY_REQUESTS, "too many clients, max is %d", d.o.Limits.Clients)
	}
	k = &client{d: d, id: c.id, seen: d.o.Now()}
	k.session = mq.Session{ClientID: c.id, Language: c.language, Version: clientVersion, Remote: c.from, Peer: k}
	d.clients[c.id] = k
	return k, nil
}

// sweep forgets clients that have gone without a word and that the core does not know: nobody else would. It looks once in a while when
// another one comes.
func (d *Door) sweep() {
	now := d.o.Now()
	var gone []*client
	d.mu.Lock()
	if now.Sub(d.swept) >= silence {
		d.swept = now
		for _, k := range d.clients {
			k.mu.Lock()
			if k.tube == nil && now.Sub(k.seen) > silence {
				gone = append(gone, k)
			}
			k.mu.Unlock()
		}
	}
	d.mu.Unlock()
	for _, k := range gone {
		k.end()
	}
}

// clientVersion is the version of gRPC clients in the tables of clients, which have numbers of Java's releases there: V5_5_0.
//
// Differs from Java: there it is the one that a client's own version text looks like, and the server's if it looks like none.
const clientVersion = 515

// end forgets the client. What it held comes back soon.
func (k *client) end() {
	d := k.d
	d.mu.Lock()
	if d.clients[k.id] == k {
		delete(d.clients, k.id)
	}
	d.mu.Unlock()
	d.leases.endAll(k.id)
	k.mu.Lock()
	asked := k.asked
	k.asked = nil
	k.mu.Unlock()
	for _, done := range asked {
		done(nil, mq.Errorf(mq.KindInternal, "the client has left"))
	}
}

// now returns the settings. They are not changed.
func (k *client) now() *v2.Settings {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.settings
}

func (k *client) lite() bool {
	t := k.now().GetClientType()
	return t == v2.ClientType_LITE_PUSH_CONSUMER || t == v2.ClientType_LITE_SIMPLE_CONSUMER
}

func (k *client) requestTimeout() time.Duration { return k.now().GetRequestTimeout().AsDuration() }

// unsettled is how many messages of it are renewed.
func (k *client) unsettled() int { return k.d.leases.count(k.id) }

// attach makes t the stream of the client: the latest wins.
func (k *client) attach(t *tube) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tube = t
}

// detach ends the stream. Who has registered for nothing is forgotten at once, as nobody else would.
func (k *client) detach(t *tube) {
	k.mu.Lock()
	if k.tube != t {
		k.mu.Unlock()
		return
	}
	k.tube, k.seen = nil, k.d.o.Now()
	registered := len(k.beat.Consumers)+len(k.beat.Producers) > 0
	k.mu.Unlock()
	if !registered {
		k.end()
	}
}

// tell sends a command; false when there is no stream, or it does not take what it is sent.
func (k *client) tell(cmd *v2.TelemetryCommand) bool {
	k.mu.Lock()
	t := k.tube
	k.mu.Unlock()
	return t != nil && t.send(cmd)
}

// ask sends the command that make makes of a nonce, and has done called once with the answer or why there is none.
func (k *client) ask(within time.Duration, command func(nonce string) *v2.TelemetryCommand, done func(*v2.TelemetryCommand, error)) {
	k.mu.Lock()
	k.nonce++
	nonce := strconv.FormatInt(k.nonce, 10)
	if k.asked == nil {
		k.asked = map[string]func(*v2.TelemetryCommand, error){}
	}
	var late *time.Timer
	k.asked[nonce] = func(cmd *v2.TelemetryCommand, err error) {
		late.Stop()
		done(cmd, err)
	}
	late = time.AfterFunc(within, func() {
		k.answered(nonce, nil, mq.Errorf(mq.KindTimeout, "call remote timeout"))
	})
	k.mu.Unlock()
	if !k.tell(command(nonce)) {
		k.answered(nonce, nil, mq.Errorf(mq.KindInternal, "the client has no telemetry stream"))
	}
}

// answered hands an answer to whoever has asked.
func (k *client) answered(nonce string, cmd *v2.TelemetryCommand, err error) {
	k.mu.Lock()
	done := k.asked[nonce]
	delete(k.asked, nonce)
	k.mu.Unlock()
	if done != nil {
		done(cmd, err)
	}
}

// apply takes settings of a client, registers it, and returns what counts.
func (k *client) apply(ctx context.Context, core *serving, s *v2.Settings, c *call) (*v2.Settings, error) {
	beat, err := c.register(core, s)
	if err != nil {
		return nil, err
	}
	agreed := k.d.agree(ctx, core, proto.CloneOf(s))
	k.mu.Lock()
	was := k.beat
	k.settings, k.beat, k.seen = agreed, *beat, k.d.o.Now()
	k.mu.Unlock()
	for _, topic := range was.Producers {
		if !slices.Contains(beat.Producers, topic) {
			core.Service.Leave(ctx, &k.session, topic, "")
		}
	}
	for i := range was.Consumers {
		if len(beat.Consumers) == 0 || beat.Consumers[0].Group != was.Consumers[i].Group {
			core.Service.Leave(ctx, &k.session, "", was.Consumers[i].Group)
		}
	}
	_, err = core.Service.Heartbeat(ctx, &k.session, beat)
	return agreed, err
}

// register checks settings and makes of them what the core registers: a producer stands in the group that is called like its topic.
func (c *call) register(core *serving, s *v2.Settings) (*mq.Heartbeat, error) {
	c.core = core
	switch {
	case s.GetPublishing() != nil:
		h := &mq.Heartbeat{}
		for _, r := range s.GetPublishing().GetTopics() {
			if err := c.mayPublish(r.GetName()); err != nil {
				return nil, err
			}
			topic, err := topicOf(r)
			if err != nil {
				return nil, err
			}
			h.Producers = append(h.Producers, topic)
		}
		return h, nil
	case s.GetSubscription() != nil:
		sub := s.GetSubscription()
		if err := c.mayConsume(sub.GetGroup().GetName(), ""); err != nil {
			return nil, err
		}
		group, err := groupOf(sub.GetGroup())
		if err != nil {
			return nil, err
		}
		data := mq.ConsumerData{Group: group, Type: mq.ConsumePassively, FromWhere: "CONSUME_FROM_LAST_OFFSET"}
		if t := s.GetClientType(); t == v2.ClientType_SIMPLE_CONSUMER || t == v2.ClientType_LITE_SIMPLE_CONSUMER {
			data.Type = mq.ConsumeActively
		}
		now := c.d.o.Now().UnixMilli()
		for _, e := range sub.GetSubscriptions() {
			one, err := c.subscription(e, now)
			if err != nil {
				return nil, err
			}
			data.Subscriptions = append(data.Subscriptions, one)
		}
		return &mq.Heartbeat{Consumers: []mq.ConsumerData{data}}, nil
	}
	return nil, refuse(v2.Code_BAD_REQUEST, "there is no publishing or subscription data in settings")
}

// subscription is what a consumer wants of one topic, in the core's terms.
func (c *call) subscription(e *v2.SubscriptionEntry, now int64) (mq.Subscription, error) {
	if err := c.may(auth.Topic(e.GetTopic().GetName()), auth.Sub); err != nil {
		return mq.Subscription{}, err
	}
	topic, err := topicOf(e.GetTopic())
	if err != nil {
		return mq.Subscription{}, err
	}
	rc := receipt{call: c}
	kind, text, err := rc.filter(e.GetExpression())
	if err != nil {
		return mq.Subscription{}, err
	}
	one := mq.Subscription{Topic: topic, Expression: text, ExpressionType: kind, Tags: rc.tags, Version: now}
	for _, tag := range rc.tags {
		one.Codes = append(one.Codes, hashOf(tag))
	}
	return one, nil
}

// registered returns what the client registers. It is there.
func (k *client) registered() mq.Heartbeat {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = k.d.o.Now()
	return k.beat
}

// speaker returns the client that calls. group, if it names one, must be one that it may consume for.
func (c *call) speaker(group *v2.Resource) (*client, error) {
	if group != nil {
		if err := c.mayConsume(group.GetName(), ""); err != nil {
			return nil, err
		}
	}
	k := c.d.known(c.id)
	if k == nil {
		return nil, refuse(v2.Code_UNRECOGNIZED_CLIENT_TYPE, "cannot find client settings for this client")
	}
	return k, nil
}

// Heartbeat says that a client is there.
//
// Differs from Java: what a client is follows from its settings only, as there; a LITE_SIMPLE_CONSUMER is taken, too.
func (d *Door) Heartbeat(ctx context.Context, r *v2.HeartbeatRequest) (*v2.HeartbeatResponse, error) {
	resp := &v2.HeartbeatResponse{}
	resp.Status = d.serve(ctx, famClient, func(c *call) error {
		k, err := c.speaker(r.GetGroup())
		if err != nil {
			return err
		}
		switch k.now().GetClientType() {
		case v2.ClientType_PRODUCER:
		case v2.ClientType_PUSH_CONSUMER, v2.ClientType_SIMPLE_CONSUMER, v2.ClientType_LITE_PUSH_CONSUMER, v2.ClientType_LITE_SIMPLE_CONSUMER:
			if _, err = groupOf(r.GetGroup()); err != nil {
				return err
			}
		default:
			return refuse(v2.Code_UNRECOGNIZED_CLIENT_TYPE, "")
		}
		beat := k.registered()
		_, err = c.core.Service.Heartbeat(ctx, &k.session, &beat)
		return err
	})
	return resp, nil
}

// NotifyClientTermination says that a client ends: what it held comes back soon.
func (d *Door) NotifyClientTermination(ctx context.Context, r *v2.NotifyClientTerminationRequest) (*v2.NotifyClientTerminationResponse, error) {
	resp := &v2.NotifyClientTerminationResponse{}
	resp.Status = d.serve(ctx, famClient, func(c *call) error { //nolint:contextcheck // giving messages back does not end with the call
		k, err := c.speaker(r.GetGroup())
		if err != nil {
			return err
		}
		if k.now().GetSubscription() != nil {
			if _, err = groupOf(r.GetGroup()); err != nil {
				return err
			}
		}
		k.end()
		c.core.Service.Detach(&k.session)
		return nil
	})
	return resp, nil
}
