// Command goclient is an ordinary application on the unmodified rocketmq-client-go/v2: one action a run, one line of JSON as
// its result. Usage: goclient ACTION namesrv topic group count
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

func main() {
	rlog.SetLogLevel("error")
	action, ns, topic, group := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	count, err := strconv.Atoi(os.Args[5])
	check(err)
	out := map[string]any{"action": action}
	switch action {
	case "chaos-send":
		chaosSend(ns, topic, group, count)
	case "chaos-consume":
		chaosConsume(ns, topic, group, count)
	case "delay":
		delayed(ns, topic, group, count, out)
	case "filter": // the expression stands behind the count
		filtered(ns, topic, group, os.Args[6], count, out)
	case "send":
		p := newProducer(ns, group)
		ok := 0
		for i := range count {
			r, err := p.SendSync(context.Background(), message(topic, i))
			check(err)
			if r.Status == primitive.SendOK {
				ok++
			}
			out["msgId"], out["offsetMsgId"] = r.MsgID, r.OffsetMsgID
		}
		out["ok"] = ok
		check(p.Shutdown())
	case "batch":
		p := newProducer(ns, group)
		ok := 0
		for i := 0; i < count; i += 32 {
			var ms []*primitive.Message
			for k := i; k < min(i+32, count); k++ {
				ms = append(ms, message(topic, k))
			}
			r, err := p.SendSync(context.Background(), ms...)
			check(err)
			if r.Status == primitive.SendOK {
				ok += len(ms)
			}
		}
		out["ok"] = ok
		check(p.Shutdown())
	case "async":
		p := newProducer(ns, group)
		var ok atomic.Int64
		var wg sync.WaitGroup
		for i := range count {
			wg.Add(1)
			check(p.SendAsync(context.Background(), func(_ context.Context, r *primitive.SendResult, err error) {
				if err == nil && r.Status == primitive.SendOK {
					ok.Add(1)
				}
				wg.Done()
			}, message(topic, i)))
		}
		wg.Wait()
		out["ok"] = ok.Load()
		check(p.Shutdown())
	case "push", "orderly":
		c, err := rocketmq.NewPushConsumer(consumer.WithNameServer(strings.Split(ns, ";")), consumer.WithGroupName(group),
			consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithConsumerOrder(action == "orderly"),
			consumer.WithInstance(fmt.Sprint("c", time.Now().UnixNano())), consumer.WithCredentials(credentials()))
		check(err)
		var mu sync.Mutex
		seen := map[string]bool{}
		got := 0
		done := make(chan struct{})
		check(c.Subscribe(topic, consumer.MessageSelector{}, func(_ context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range ms {
				got++
				seen[string(m.Body)] = true
				if len(seen) == count && done != nil {
					close(done)
					done = nil
				}
			}
			return consumer.ConsumeSuccess, nil
		}))
		wait := done
		check(c.Start())
		select {
		case <-wait:
		case <-time.After(60 * time.Second):
		}
		time.Sleep(300 * time.Millisecond)
		check(c.Shutdown())
		mu.Lock()
		out["got"], out["distinct"] = got, len(seen)
		mu.Unlock()
	case "called":
		called(ns, topic, group, count, out)
	case "request":
		request(ns, topic, group, count, out)
	case "fail", "suspend", "dead", "broadcast", "trace":
		retryAction(action, ns, topic, group, count, out)
	case "transactions":
		transactions(ns, topic, group, count, out)
	default:
		check(fmt.Errorf("unknown action %q", action))
	}
	b, err := json.Marshal(out)
	check(err)
	fmt.Println(string(b))
	os.Exit(0)
}

func newProducer(ns, group string) rocketmq.Producer {
	p, err := rocketmq.NewProducer(producer.WithNameServer(strings.Split(ns, ";")), producer.WithGroupName(group),
		producer.WithRetry(2), producer.WithSendMsgTimeout(10*time.Second), producer.WithInstanceName(fmt.Sprint("p", time.Now().UnixNano())),
		producer.WithCredentials(credentials()))
	check(err)
	check(p.Start())
	return p
}

// credentials are those of the environment; empty ones sign nothing.
func credentials() primitive.Credentials {
	return primitive.Credentials{AccessKey: os.Getenv("PEER_ACCESS_KEY"), SecretKey: os.Getenv("PEER_SECRET_KEY")}
}

func message(topic string, i int) *primitive.Message {
	m := primitive.NewMessage(topic, []byte(fmt.Sprintf("body-%d", i)))
	m.WithTag([]string{"TagA", "TagB"}[i%2])
	m.WithKeys([]string{fmt.Sprintf("key%d", i)})
	return m
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
