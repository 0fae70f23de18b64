package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// Queue is one queue of a topic on one master broker.
type Queue struct {
	Broker string
	Addr   string
	ID     int
}

// Route is where the queues of a topic are.
type Route struct {
	Write, Read []Queue
}

// Masters asks a name server for the addresses of the master brokers, of a topic or ("") of the whole cluster.
func Masters(ctx context.Context, dial Dialer, ns, topic string) ([]string, error) {
	if topic != "" {
		r, err := RouteOf(ctx, dial, ns, topic)
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		var out []string
		for _, q := range r.Write {
			if !seen[q.Addr] {
				seen[q.Addr] = true
				out = append(out, q.Addr)
			}
		}
		return out, nil
	}
	c, err := Dial(ctx, dial, ns, protocol.JSON)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r, err := c.Call(protocol.ReqGetBrokerClusterInfo, nil, nil)
	if err != nil {
		return nil, err
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	var info protocol.ClusterInfo
	if err := info.Decode(r.Body); err != nil {
		return nil, fmt.Errorf("cluster information: %w", err)
	}
	var out []string
	for _, b := range info.BrokerAddrTable {
		if a, ok := b.BrokerAddrs[0]; ok {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("name server %s knows no master broker", ns)
	}
	sort.Strings(out)
	return out, nil
}

// defaultTopic is asked for when a topic is not there yet: the broker will create it from this one.
const defaultTopic = "TBW102"

// RouteOf asks a name server where a topic is.
func RouteOf(ctx context.Context, dial Dialer, ns, topic string) (Route, error) {
	c, err := Dial(ctx, dial, ns, protocol.JSON)
	if err != nil {
		return Route{}, err
	}
	defer c.Close()
	r, err := c.Call(protocol.ReqGetRouteInfoByTopic, &protocol.GetRouteInfoRequestHeader{Topic: topic, AcceptStandardJsonOnly: true}, nil)
	if err != nil {
		return Route{}, err
	}
	if err := r.Err(); err != nil {
		return Route{}, err
	}
	var data protocol.TopicRouteData
	if err := data.Decode(r.Body); err != nil {
		return Route{}, fmt.Errorf("route of %s: %w", topic, err)
	}
	addr := map[string]string{}
	for _, b := range data.BrokerDatas {
		if a, ok := b.BrokerAddrs[0]; ok {
			addr[b.BrokerName] = a
		}
	}
	var route Route
	for _, q := range data.QueueDatas {
		a, ok := addr[q.BrokerName]
		if !ok {
			continue
		}
		if q.Perm&2 != 0 {
			for i := range int(q.WriteQueueNums) {
				route.Write = append(route.Write, Queue{Broker: q.BrokerName, Addr: a, ID: i})
			}
		}
		if q.Perm&4 != 0 {
			for i := range int(q.ReadQueueNums) {
				route.Read = append(route.Read, Queue{Broker: q.BrokerName, Addr: a, ID: i})
			}
		}
	}
	return route, nil
}

// Outgoing is a message to send.
type Outgoing struct {
	Body       []byte
	Tags, Keys string
}

// Sent says where a message was stored.
type Sent struct {
	MsgID  string
	Queue  int64
	Offset int64
}

// Sender sends single messages to a topic, queue after queue.
type Sender struct {
	topic string
	route Route
	next  int
	conns map[string]*Client
	ctx   context.Context // bounds the connections of a short-lived command
	dial  Dialer
}

// NewSender looks the topic up; a topic that is not there yet is sent to where the default topic is.
func NewSender(ctx context.Context, dial Dialer, ns, topic string) (*Sender, error) {
	route, err := RouteOf(ctx, dial, ns, topic)
	var ce *CodeError
	if errors.As(err, &ce) && ce.Code == protocol.RespTopicNotExist {
		if route, err = RouteOf(ctx, dial, ns, defaultTopic); err == nil {
			for i := range route.Write {
				route.Write[i].ID %= 4 // Java's defaultTopicQueueNums
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if len(route.Write) == 0 {
		return nil, fmt.Errorf("topic %s has no queue that may be written", topic)
	}
	return &Sender{ctx: ctx, dial: dial, topic: topic, route: route, next: rand.IntN(len(route.Write)), conns: map[string]*Client{}}, nil
}

// Send stores one message.
func (s *Sender) Send(m Outgoing) (Sent, error) {
	q := s.route.Write[s.next%len(s.route.Write)]
	s.next++
	c, ok := s.conns[q.Addr]
	if !ok {
		var err error
		if c, err = Dial(s.ctx, s.dial, q.Addr, protocol.JSON); err != nil {
			return Sent{}, err
		}
		s.conns[q.Addr] = c
	}
	var props []byte
	if m.Tags != "" {
		props = record.AppendProp(props, "TAGS", m.Tags)
	}
	if m.Keys != "" {
		props = record.AppendProp(props, "KEYS", m.Keys)
	}
	r, err := c.Call(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "cometmq_send", Topic: s.topic, DefaultTopic: defaultTopic, DefaultTopicQueueNums: 4, QueueID: int32(q.ID),
		BornTimestamp: time.Now().UnixMilli(), Properties: string(props), MaxReconsumeTimes: -1,
	}, m.Body)
	if err != nil {
		return Sent{}, err
	}
	if err = r.Err(); err != nil {
		return Sent{}, err
	}
	id, _ := r.Fields.Get("msgId")
	queue, err := r.Int("queueId")
	if err != nil {
		return Sent{}, err
	}
	off, err := r.Int("queueOffset")
	return Sent{MsgID: string(id), Queue: queue, Offset: off}, err
}

// Close ends the connections.
func (s *Sender) Close() {
	for _, c := range s.conns {
		_ = c.Close()
	}
}

// TailOptions say what Tail shows.
type TailOptions struct {
	Namesrv, Topic, Tags string
	FromStart            bool
	Count                int // 0 = until ctx ends
}

// Incoming is a message that Tail shows. Body is valid until the callback returns.
type Incoming struct {
	Broker string
	Queue  int
	Offset int64
	Stored time.Time
	Tags   string
	Body   []byte
}

// Tag is the tag in brackets with a space behind it, or nothing.
func (m *Incoming) Tag() string {
	if m.Tags == "" {
		return ""
	}
	return "[" + m.Tags + "] "
}

// Tail long-polls all queues of a topic and hands messages to show, one at a time.
func Tail(ctx context.Context, dial Dialer, o TailOptions, show func(Incoming) error) error {
	route, err := RouteOf(ctx, dial, o.Namesrv, o.Topic)
	if err != nil {
		return err
	}
	if len(route.Read) == 0 {
		return fmt.Errorf("topic %s has no queue that may be read", o.Topic)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	left := o.Count
	var wg sync.WaitGroup
	for _, q := range route.Read {
		wg.Go(func() {
			err := tailQueue(ctx, dial, &o, q, func(m Incoming) error {
				mu.Lock()
				defer mu.Unlock()
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err := show(m); err != nil {
					return err
				}
				if left--; left == 0 {
					cancel(errEnough)
				}
				return nil
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errEnough) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

var errEnough = errors.New("enough")

func tailQueue(ctx context.Context, dial Dialer, o *TailOptions, q Queue, show func(Incoming) error) error {
	c, err := Dial(ctx, dial, q.Addr, protocol.JSON)
	if err != nil {
		return err
	}
	defer c.Close()
	at, hi, err := c.Bounds(o.Topic, q.ID)
	if err != nil {
		return err
	}
	if !o.FromStart {
		at = hi
	}
	wanted := wantTags(o.Tags)
	for {
		h := pullHeader(o.Topic, "cometmq_tail", q.ID, at, 32, 15*time.Second)
		if o.Tags != "" {
			h.Subscription = o.Tags
		}
		r, err := c.Call(protocol.ReqPullMessage, h, nil)
		if err != nil {
			return err
		}
		_, at, err = pulled(r, at, func(index int64, rec []byte) error {
			var m record.Message
			if _, bad := record.Decode(rec, &m, true); bad != nil {
				return bad
			}
			tags, _ := m.Props.Get("TAGS")
			if !wanted(string(tags)) { // the broker compares hashes only
				return nil
			}
			return show(Incoming{
				Broker: q.Broker, Queue: q.ID, Offset: index, Stored: time.UnixMilli(m.StoreTime), Tags: string(tags), Body: m.Body,
			})
		})
		if err != nil {
			return err
		}
	}
}

func wantTags(expr string) func(string) bool {
	if expr = strings.TrimSpace(expr); expr == "" || expr == "*" {
		return func(string) bool { return true }
	}
	set := map[string]bool{}
	for t := range strings.SplitSeq(expr, "||") {
		set[strings.TrimSpace(t)] = true
	}
	return func(t string) bool { return set[t] }
}
