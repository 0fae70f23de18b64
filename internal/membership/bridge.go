package membership

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Bridge stores messages of an acting slave with the masters of other sets, as Java's EscapeBridge does (enableRemoteEscape).
//
// Messages of one queue go to one queue of one broker as long as that takes them, so they keep their order; Java takes the queues
// in turn.
type Bridge struct {
	r     *Registrar
	group string

	mu     sync.Mutex // guards routes
	routes map[string]bridgeRoute
}

type bridgeRoute struct {
	to    []bridgeEnd
	until time.Time
}

// bridgeEnd is the master of another set that takes messages of a topic.
type bridgeEnd struct {
	broker, addr string
	queues       int32
}

const (
	escapeCall   = 3 * time.Second // Java's SEND_TIMEOUT
	defaultTopic = "TBW102"
	newQueues    = 8 // of a topic that the other set makes for the message
)

var errNoOther = errors.New("no other set of brokers takes messages of this topic")

// NewBridge returns a Bridge that asks r's name servers.
func NewBridge(r *Registrar) *Bridge {
	return &Bridge{
		r: r, group: "InnerProducerGroup_" + r.o.Name + "_" + strconv.FormatInt(r.o.ID, 10), routes: map[string]bridgeRoute{},
	}
}

// Escape stores m with one of the other sets.
func (b *Bridge) Escape(ctx context.Context, m *mq.Escaped) error {
	to, err := b.route(ctx, m.Topic)
	if err != nil {
		return err
	}
	if len(to) == 0 {
		return fmt.Errorf("topic %s: %w", m.Topic, errNoOther)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(m.Topic))
	_, _ = h.Write([]byte{byte(m.Queue), byte(m.Queue >> 8)})
	first := int(h.Sum32() % uint32(len(to)))
	var errs []error
	for n := range to {
		err := b.send(ctx, &to[(first+n)%len(to)], m)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	b.forget(m.Topic)
	return errors.Join(errs...)
}

func (b *Bridge) send(ctx context.Context, to *bridgeEnd, m *mq.Escaped) error {
	ctx, cancel := context.WithTimeout(ctx, escapeCall)
	defer cancel()
	resp, err := b.r.o.Client.Invoke(ctx, to.addr, &remoting.Command{
		Code: protocol.ReqSendMessageV2,
		Header: &protocol.SendMessageRequestHeaderV2{
			ProducerGroup: cmp.Or(m.Group, b.group), Topic: m.Topic, DefaultTopic: defaultTopic, DefaultTopicQueueNums: newQueues,
			QueueID: m.Queue % to.queues, SysFlag: m.SysFlag, BornTimestamp: m.BornTime, Flag: m.Flag,
			Properties: string(m.Props), ReconsumeTimes: m.Reconsume, MaxReconsumeTimes: -1, BrokerName: to.broker,
		},
		Body: m.Body,
	})
	if err != nil {
		return fmt.Errorf("send to %s: %w", to.broker, err)
	}
	switch resp.Code {
	case protocol.RespSuccess:
		return nil
	case protocol.RespFlushDiskTimeout, protocol.RespSlaveNotAvailable, protocol.RespFlushSlaveTimeout:
		return nil // it is stored there; sent again it would be there twice
	}
	return fmt.Errorf("%s refuses the message with code %d: %s", to.broker, resp.Code, resp.Remark)
}

// route returns who takes messages of a topic; of one that nobody knows, who makes topics.
func (b *Bridge) route(ctx context.Context, topic string) ([]bridgeEnd, error) {
	to, err := b.known(ctx, topic)
	if err != nil || len(to) > 0 {
		return to, err
	}
	if to, err = b.known(ctx, defaultTopic); err != nil {
		return nil, err
	}
	ends := make([]bridgeEnd, len(to))
	for i := range to {
		ends[i] = to[i]
		ends[i].queues = min(to[i].queues, newQueues)
	}
	return ends, nil
}

func (b *Bridge) known(ctx context.Context, topic string) ([]bridgeEnd, error) {
	now := time.Now()
	b.mu.Lock()
	r, ok := b.routes[topic]
	b.mu.Unlock()
	if ok && now.Before(r.until) {
		return r.to, nil
	}
	var errs []error
	for _, s := range b.r.servers() {
		to, err := b.ask(ctx, s, topic)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fresh := routeFresh
		if len(to) == 0 {
			fresh = routeMissFresh
		}
		b.mu.Lock()
		if len(b.routes) >= maxRoutes {
			clear(b.routes)
		}
		b.routes[strings.Clone(topic)] = bridgeRoute{to, now.Add(fresh)}
		b.mu.Unlock()
		return to, nil
	}
	return nil, errors.Join(errs...)
}

func (b *Bridge) forget(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.routes, topic)
	delete(b.routes, defaultTopic)
}

func (b *Bridge) ask(ctx context.Context, s *server, topic string) (to []bridgeEnd, err error) {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	err = s.call(ctx, &remoting.Command{
		Code:   protocol.ReqGetRouteInfoByTopic,
		Header: &protocol.GetRouteInfoRequestHeader{Topic: topic},
	}, func(resp *remoting.Command) error {
		to, err = otherMasters(b.r.o.Name, resp.Body)
		return err
	})
	if refused, ok := errors.AsType[*refusal](err); ok && refused.code == protocol.RespTopicNotExist {
		return nil, nil
	}
	return to, err
}

// otherMasters reads a route answer. A slave that acts as the master is shown as one, but not writable.
func otherMasters(own string, body []byte) ([]bridgeEnd, error) {
	var d protocol.TopicRouteData
	if err := d.Decode(body); err != nil {
		return nil, err
	}
	addrs := map[string]string{}
	for _, b := range d.BrokerDatas {
		addrs[b.BrokerName] = b.BrokerAddrs[0]
	}
	var to []bridgeEnd
	for _, q := range d.QueueDatas {
		addr := addrs[q.BrokerName]
		if q.BrokerName == own || addr == "" || q.WriteQueueNums <= 0 || !mq.Perm(q.Perm).Writable() {
			continue
		}
		to = append(to, bridgeEnd{strings.Clone(q.BrokerName), strings.Clone(addr), min(q.WriteQueueNums, maxQueues)})
	}
	return to, nil
}
