package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// delayed sends messages with the levels 1 to 3, which are 1, 2 and 3 seconds, and consumes them.
func delayed(ns, topic, group string, count int, out map[string]any) {
	p := newProducer(ns, group+"_p")
	for i := range count {
		level := 1 + i%3
		m := primitive.NewMessage(topic, fmt.Appendf(nil, "%d %d", time.Now().UnixMilli()+int64(level)*1000, i))
		m.WithDelayTimeLevel(level)
		_, err := p.SendSync(context.Background(), m)
		check(err)
	}
	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer(strings.Split(ns, ";")), consumer.WithGroupName(group),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	check(err)
	var mu sync.Mutex
	distinct := map[string]bool{}
	early, latest := false, int64(-1)
	check(c.Subscribe(topic, consumer.MessageSelector{}, func(_ context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range ms {
			var due int64
			_, err := fmt.Sscan(string(m.Body), &due)
			check(err)
			distinct[string(m.Body)] = true
			early = early || m.StoreTimestamp < due
			latest = max(latest, m.StoreTimestamp-due)
		}
		return consumer.ConsumeSuccess, nil
	}))
	check(c.Start())
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		mu.Lock()
		done := len(distinct) >= count
		mu.Unlock()
		if done {
			break
		}
	}
	check(c.Shutdown())
	check(p.Shutdown())
	out["distinct"], out["early"], out["latest"] = len(distinct), early, latest
}
