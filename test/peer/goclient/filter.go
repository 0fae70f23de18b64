package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// filtered sends 100 messages with a number and consumes what a SQL92 expression wants; then one more to a waiting consumer.
func filtered(ns, topic, group, expression string, out map[string]any) {
	p := newProducer(ns, group+"_p")
	send := func(body string, n int) {
		m := primitive.NewMessage(topic, []byte(body))
		m.WithProperty("n", strconv.Itoa(n))
		_, err := p.SendSync(context.Background(), m)
		check(err)
	}
	for i := range 100 {
		send(fmt.Sprint("body-", i), i)
	}
	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer(strings.Split(ns, ";")), consumer.WithGroupName(group),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	check(err)
	var mu sync.Mutex
	var numbers []int
	last := time.Now()
	late := make(chan time.Duration, 10)
	check(c.Subscribe(topic, consumer.MessageSelector{Type: consumer.SQL92, Expression: expression},
		func(_ context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range ms {
				if at, isLate := strings.CutPrefix(string(m.Body), "late-"); isLate {
					ms, err := strconv.ParseInt(at, 10, 64)
					check(err)
					late <- time.Since(time.UnixMilli(ms))
					continue
				}
				n, err := strconv.Atoi(m.GetProperty("n"))
				check(err)
				numbers = append(numbers, n)
				last = time.Now()
			}
			return consumer.ConsumeSuccess, nil
		}))
	check(c.Start())
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		mu.Lock()
		quiet := len(numbers) > 0 && time.Since(last) > 2*time.Second
		mu.Unlock()
		if quiet {
			break
		}
	}
	send(fmt.Sprint("late-", time.Now().UnixMilli()), 12)
	out["late"] = -1
	select {
	case d := <-late:
		out["late"] = d.Milliseconds()
	case <-time.After(20 * time.Second):
	}
	mu.Lock()
	slices.Sort(numbers)
	out["numbers"] = fmt.Sprint(numbers)
	mu.Unlock()
	check(c.Shutdown())
	check(p.Shutdown())
}
