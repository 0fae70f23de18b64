package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// listener commits a third of the messages, rolls a third back and leaves a third unknown until it is asked.
type listener struct {
	mu    sync.Mutex
	asked map[int]bool
}

func number(body []byte) int {
	i, err := strconv.Atoi(strings.TrimPrefix(string(body), "body-"))
	check(err)
	return i
}

// ExecuteLocalTransaction decides when the half message is stored.
func (l *listener) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	switch number(m.Body) % 3 {
	case 0:
		return primitive.CommitMessageState
	case 1:
		return primitive.RollbackMessageState
	}
	return primitive.UnkonwnState
}

// CheckLocalTransaction decides when the broker asks.
func (l *listener) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	i := number(m.Body)
	l.mu.Lock()
	l.asked[i] = true
	l.mu.Unlock()
	if i%2 == 0 {
		return primitive.CommitMessageState
	}
	return primitive.RollbackMessageState
}

func transactions(ns, topic, group string, count int, out map[string]any) {
	l := &listener{asked: map[int]bool{}}
	p, err := rocketmq.NewTransactionProducer(l, producer.WithNameServer(strings.Split(ns, ";")), producer.WithGroupName(group),
		producer.WithInstanceName(fmt.Sprint("t", time.Now().UnixNano())))
	check(err)
	check(p.Start())
	ok := 0
	for i := range count {
		r, err := p.SendMessageInTransaction(context.Background(), primitive.NewMessage(topic, fmt.Appendf(nil, "body-%d", i)))
		check(err)
		if r.Status == primitive.SendOK {
			ok++
		}
	}
	asked := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.asked)
	}
	for k := 0; k < 600 && asked() < count/3; k++ {
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
	out["ok"], out["asked"] = ok, asked()
	check(p.Shutdown())
}
