package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// chaosSend and chaosConsume go on through accidents and say line by line what they were told: "S sender number" was
// acknowledged, "C sender number" was consumed. They end when their input ends.

var saying sync.Mutex

func say(kind string, what any) {
	saying.Lock()
	defer saying.Unlock()
	fmt.Println(kind, what)
}

func untilInputEnds() {
	_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
	os.Exit(0)
}

// toSender sends each message to the queue of its sender.
type toSender struct{}

func (toSender) Select(m *primitive.Message, qs []*primitive.MessageQueue, _ string) *primitive.MessageQueue {
	var sender int
	_, _ = fmt.Sscan(string(m.Body), &sender)
	for _, q := range qs {
		if q.QueueId == sender%len(qs) {
			return q
		}
	}
	return qs[0]
}

func chaosSend(ns, topic, group string, ms int) {
	p, err := rocketmq.NewProducer(producer.WithNameServer(strings.Split(ns, ";")), producer.WithGroupName(group),
		producer.WithRetry(0), producer.WithSendMsgTimeout(3*time.Second), producer.WithQueueSelector(toSender{}))
	check(err)
	check(p.Start())
	for sender := range 4 {
		go func() {
			for n := 0; ; n++ {
				body := fmt.Sprintf("%d %d", sender, n)
				for {
					r, err := p.SendSync(context.Background(), primitive.NewMessage(topic, []byte(body)))
					if err == nil {
						if r.Status == primitive.SendOK {
							say("S", body)
						}
						break
					}
					time.Sleep(50 * time.Millisecond)
				}
				time.Sleep(time.Duration(ms) * time.Millisecond)
			}
		}()
	}
	untilInputEnds()
}

func chaosConsume(ns, topic, group string, ms int) {
	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer(strings.Split(ns, ";")), consumer.WithGroupName(group),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithInstance(fmt.Sprint("c", time.Now().UnixNano())))
	check(err)
	check(c.Subscribe(topic, consumer.MessageSelector{}, func(_ context.Context, ms2 ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range ms2 {
			say("C", string(m.Body))
		}
		time.Sleep(time.Duration(ms) * time.Millisecond)
		return consumer.ConsumeSuccess, nil
	}))
	check(c.Start())
	untilInputEnds()
}
