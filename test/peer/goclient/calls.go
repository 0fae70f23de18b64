package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// pushConsumer starts a consumer of a topic that reads from its begin.
func pushConsumer(ns, topic, group string, consume func(m *primitive.MessageExt)) rocketmq.PushConsumer {
	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer(strings.Split(ns, ";")), consumer.WithGroupName(group),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithInstance(fmt.Sprint("c", time.Now().UnixNano())))
	check(err)
	check(c.Subscribe(topic, consumer.MessageSelector{}, func(_ context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range ms {
			consume(m)
		}
		return consumer.ConsumeSuccess, nil
	}))
	check(c.Start())
	return c
}

// called consumes until count messages came, while the broker calls the client.
func called(ns, topic, group string, count int, out map[string]any) {
	var got atomic.Int64
	all := make(chan struct{})
	c := pushConsumer(ns, topic, group, func(*primitive.MessageExt) {
		if got.Add(1) == int64(count) {
			close(all)
		}
	})
	select {
	case <-all:
		out["all"] = true
	case <-time.After(100 * time.Second):
		out["all"] = false
	}
	time.Sleep(500 * time.Millisecond)
	check(c.Shutdown())
	out["got"] = got.Load()
}

// request asks and answers.
func request(ns, topic, group string, count int, out map[string]any) {
	replier, asker := newProducer(ns, group+"_replier"), newProducer(ns, group+"_asker")
	var refused atomic.Int64
	c := pushConsumer(ns, topic, group, func(m *primitive.MessageExt) {
		reply, err := consumer.CreateReplyMessage(m, nil)
		check(err)
		reply.Body = []byte("answer to " + string(m.Body)) // the library takes it for properties and drops it
		if _, err := replier.SendSync(context.Background(), reply); err != nil {
			fmt.Fprintln(os.Stderr, err)
			refused.Add(1)
		}
	})
	_, err := asker.Request(context.Background(), 5*time.Second, primitive.NewMessage(topic, []byte("first")))
	// The library asks before it has told the brokers who it is, and does so with its next heartbeat only.
	out["first"] = err == nil
	time.Sleep(time.Second)
	ok := 0
	for i := range count {
		text := fmt.Sprint("sync ", i)
		r, err := asker.Request(context.Background(), 10*time.Second, primitive.NewMessage(topic, []byte(text)))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		} else if r != nil && string(r.Body) == "answer to "+text {
			ok++
		}
	}
	out["sync"] = ok
	var wg sync.WaitGroup
	var async atomic.Int64
	for i := range count {
		wg.Add(1)
		text := fmt.Sprint("async ", i)
		var once sync.Once // this library may call back twice
		check(asker.RequestAsync(context.Background(), 10*time.Second, func(_ context.Context, r *primitive.Message, err error) {
			if err == nil && r != nil && string(r.Body) == "answer to "+text {
				once.Do(func() { async.Add(1); wg.Done() })
			}
			once.Do(wg.Done)
		}, primitive.NewMessage(topic, []byte(text))))
	}
	wg.Wait()
	out["async"], out["refused"] = async.Load(), refused.Load()
	check(c.Shutdown())
	check(asker.Shutdown())
	check(replier.Shutdown())
}
