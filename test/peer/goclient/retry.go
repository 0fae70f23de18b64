package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// tries is what consumers of this file saw.
type tries struct {
	mu    sync.Mutex // guards what follows
	got   int
	wrong int
	seen  map[string]int
	last  time.Time
	note  string

	warmedBy map[string]bool // consumer and queue
}

// quiet returns when nothing has been delivered for a while, after at least n deliveries.
func (s *tries) quiet(n int, d time.Duration) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		s.mu.Lock()
		done := s.got >= n && time.Since(s.last) > d
		s.mu.Unlock()
		if done {
			return
		}
	}
}

// queues is how many the topic has that is broadcast.
const queues = 4

// warm sends until each of so many consumers has heard something of each queue: a broadcasting one begins at the end.
func (s *tries) warm(p rocketmq.Producer, topic string, consumers int) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		_, err := p.SendSync(context.Background(), primitive.NewMessage(topic, []byte("warm")))
		check(err)
		s.mu.Lock()
		done := len(s.warmedBy) == queues*consumers
		s.mu.Unlock()
		if done {
			return
		}
	}
}

func (s *tries) warmed(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warmedBy[who] = true
}

func (s *tries) heard(m *primitive.MessageExt, ok func(n int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	s.got++
	n := s.seen[string(m.Body)]
	s.seen[string(m.Body)]++
	if !ok(n) {
		s.wrong++
		s.note = fmt.Sprintf("delivery %d: %v", n, m)
	}
}

func retryAction(action, ns, topic, group string, count int, out map[string]any) {
	limit := 1
	if len(os.Args) > 6 {
		n, err := strconv.Atoi(os.Args[6])
		check(err)
		limit = n
	}
	servers := strings.Split(ns, ";")
	s := &tries{seen: map[string]int{}, last: time.Now(), warmedBy: map[string]bool{}}
	options := func(o ...consumer.Option) []consumer.Option {
		return append(o, consumer.WithNameServer(servers), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
			consumer.WithInstance(fmt.Sprint("c", time.Now().UnixNano())))
	}
	start := func(topic string, f func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error), o ...consumer.Option) rocketmq.PushConsumer {
		c, err := rocketmq.NewPushConsumer(options(o...)...)
		check(err)
		check(c.Subscribe(topic, consumer.MessageSelector{}, f))
		check(c.Start())
		return c
	}
	switch action {
	case "fail":
		c := start(topic, func(ctx context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range ms {
				s.heard(m, func(n int) bool { return int(m.ReconsumeTimes) == n && m.Topic == topic })
			}
			if cc, ok := primitive.GetConcurrentlyCtx(ctx); ok {
				cc.DelayLevelWhenNextConsume = 1
			}
			return consumer.ConsumeRetryLater, nil
		}, consumer.WithGroupName(group), consumer.WithMaxReconsumeTimes(int32(limit)))
		s.quiet(count*(limit+1), 3*time.Second)
		check(c.Shutdown())
	case "suspend":
		c := start(topic, func(ctx context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range ms {
				s.heard(m, func(int) bool { return m.Topic == topic })
			}
			if oc, ok := primitive.GetOrderlyCtx(ctx); ok {
				oc.SuspendCurrentQueueTimeMillis = 50
			}
			return consumer.SuspendCurrentQueueAMoment, nil
		}, consumer.WithGroupName(group), consumer.WithMaxReconsumeTimes(int32(limit)), consumer.WithConsumerOrder(true))
		s.quiet(count*(limit+1), 3*time.Second)
		check(c.Shutdown())
	case "dead":
		c := start("%DLQ%"+group, func(_ context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range ms {
				s.heard(m, func(int) bool {
					return (limit < 0 || int(m.ReconsumeTimes) == limit) && m.GetProperty("RETRY_TOPIC") == topic && m.GetProperty("ORIGIN_MESSAGE_ID") != ""
				})
			}
			return consumer.ConsumeSuccess, nil
		}, consumer.WithGroupName(group+"_dead"))
		s.quiet(count, 1500*time.Millisecond)
		check(c.Shutdown())
	case "broadcast":
		p := newProducer(ns, group+"_p")
		var all []rocketmq.PushConsumer
		for i := range limit {
			all = append(all, start(topic, func(_ context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
				for _, m := range ms {
					m.Body = append(m.Body, fmt.Sprint(" of ", i)...)
					if strings.HasPrefix(string(m.Body), "warm") {
						s.warmed(fmt.Sprint(i, m.Queue))
						continue
					}
					s.heard(m, func(n int) bool { return n == 0 })
				}
				return consumer.ConsumeSuccess, nil
			}, consumer.WithGroupName(group), consumer.WithConsumerModel(consumer.BroadCasting)))
		}
		s.warm(p, topic, limit)
		for i := range count {
			_, err := p.SendSync(context.Background(), message(topic, i))
			check(err)
		}
		s.quiet(count*limit, 2500*time.Millisecond)
		for _, c := range all {
			check(c.Shutdown())
		}
		check(p.Shutdown())
	case "trace":
		trace := &primitive.TraceConfig{GroupName: group + "_p", Access: primitive.Local, NamesrvAddrs: servers, Resolver: primitive.NewPassthroughResolver(servers)}
		p, err := rocketmq.NewProducer(producer.WithNameServer(servers), producer.WithGroupName(group+"_p"), producer.WithTrace(trace),
			producer.WithInstanceName(fmt.Sprint("p", time.Now().UnixNano())))
		check(err)
		check(p.Start())
		var ids []string
		for i := range count {
			r, err := p.SendSync(context.Background(), message(topic, i))
			check(err)
			ids = append(ids, r.MsgID)
		}
		var mu sync.Mutex
		var text strings.Builder
		c := start("RMQ_SYS_TRACE_TOPIC", func(_ context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range ms {
				mu.Lock()
				text.Write(m.Body)
				mu.Unlock()
				s.heard(m, func(int) bool { return strings.HasPrefix(string(m.Body), "Pub\x01") })
			}
			return consumer.ConsumeSuccess, nil
		}, consumer.WithGroupName(group+"_t"))
		pub := 0
		for end := time.Now().Add(time.Minute); pub < count && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			mu.Lock()
			all := text.String()
			mu.Unlock()
			pub = 0
			for _, id := range ids {
				if strings.Contains(all, id) {
					pub++
				}
			}
		}
		check(c.Shutdown())
		out["Pub"] = pub
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out["got"], out["distinct"], out["wrong"] = s.got, len(s.seen), s.wrong
	if s.note != "" {
		out["wrongAt"] = s.note
	}
}
