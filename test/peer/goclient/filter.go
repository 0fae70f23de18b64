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

// filtered sends 100 messages with a number and consumes what a SQL92 expression wants, which is count of them; then one more to a
// waiting consumer, up to three times, since the machine may have been busy, and the shortest wait counts.
func filtered(ns, topic, group, expression string, count int, out map[string]any) {
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
	end := time.Now().Add(time.Minute)
	shortest := time.Hour
	for range 3 {
		mu.Lock()
		last = time.Now() // pulls wait again
		for time.Now().Before(end) && (len(numbers) < count || time.Since(last) < 2*time.Second) {
			mu.Unlock()
			time.Sleep(20 * time.Millisecond)
			mu.Lock()
		}
		mu.Unlock()
		send(fmt.Sprint("late-", time.Now().UnixMilli()), 12)
		select {
		case d := <-late:
			shortest = min(shortest, d)
		case <-time.After(20 * time.Second):
		}
		if shortest <= 1500*time.Millisecond {
			break
		}
	}
	out["late"] = shortest.Milliseconds()
	mu.Lock()
	slices.Sort(numbers)
	out["numbers"] = fmt.Sprint(numbers)
	mu.Unlock()
	check(c.Shutdown())
	check(p.Shutdown())
}
