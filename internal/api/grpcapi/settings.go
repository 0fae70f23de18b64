package grpcapi

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

func hashOf(tag string) int32 { return record.HashCode(tag) }

// What producers are told (Java ProxyConfig).
const (
	sendAttempts   = 3
	sendBackoff    = 10 * time.Millisecond
	sendBackoffMax = time.Second
	backoffFactor  = 2
)

// agree fills in what the server decides; the rest stays what the client says.
func (d *Door) agree(ctx context.Context, core *serving, s *v2.Settings) *v2.Settings {
	l := &d.o.Limits
	s.Metric = &v2.Metric{}
	if p := s.GetPublishing(); p != nil {
		s.BackoffPolicy = exponential(sendAttempts, sendBackoff, sendBackoffMax, backoffFactor)
		p.ValidateMessageType, p.MaxBodySize = !l.AnyType, int32(l.Body)
		return s
	}
	sub := s.GetSubscription()
	if sub == nil {
		return s
	}
	g, err := core.Admin.Group(ctx, sub.GetGroup().GetName())
	if err != nil {
		g = mq.DefaultGroupConfig(sub.GetGroup().GetName())
	}
	s.BackoffPolicy = backoffOf(&g)
	sub.ReceiveBatchSize, sub.LongPollingTimeout = new(l.Batch), dur(l.MaxPoll)
	sub.Fifo = new(g.ConsumeMessageOrderly)
	if t := s.GetClientType(); t == v2.ClientType_LITE_PUSH_CONSUMER || t == v2.ClientType_LITE_SIMPLE_CONSUMER {
		sub.LiteSubscriptionQuota, sub.MaxLiteTopicSize = new(liteQuota(&g)), new(int32(l.LiteTopicSize))
	}
	return s
}

func exponential(attempts int32, initial, most time.Duration, factor float32) *v2.RetryPolicy {
	return &v2.RetryPolicy{MaxAttempts: attempts, Strategy: &v2.RetryPolicy_ExponentialBackoff{
		ExponentialBackoff: &v2.ExponentialBackoff{Initial: dur(initial), Max: dur(most), Multiplier: factor},
	}}
}

// retryPolicy is a group's groupRetryPolicy, Java's JSON. Times are in ms.
type retryPolicy struct {
	Type        string `json:"type"`
	Exponential *struct {
		Initial    int64   `json:"initial"`
		Max        int64   `json:"max"`
		Multiplier float32 `json:"multiplier"`
	} `json:"exponentialRetryPolicy"`
	Customized *struct {
		Next []int64 `json:"next"`
	} `json:"customizedRetryPolicy"`
}

// nextRetries is Java's CustomizedRetryPolicy by default.
var nextRetries = []time.Duration{
	time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute,
	5 * time.Minute, 6 * time.Minute, 7 * time.Minute, 8 * time.Minute, 9 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	30 * time.Minute, time.Hour, 2 * time.Hour,
}

// backoffOf is how often and when the messages of a group are tried again.
func backoffOf(g *mq.GroupConfig) *v2.RetryPolicy {
	var p retryPolicy
	if len(g.RetryPolicy) > 0 && json.Unmarshal(g.RetryPolicy, &p) != nil {
		p = retryPolicy{}
	}
	attempts := g.RetryMaxTimes + 1
	if p.Type == "EXPONENTIAL" {
		initial, most, factor := 5*time.Second, 2*time.Hour, float32(backoffFactor)
		if e := p.Exponential; e != nil && e.Initial > 0 && e.Max >= e.Initial && e.Multiplier > 0 {
			initial, most, factor = time.Duration(e.Initial)*time.Millisecond, time.Duration(e.Max)*time.Millisecond, e.Multiplier
		}
		return exponential(attempts, initial, most, factor)
	}
	next := make([]*durationpb.Duration, 0, len(nextRetries))
	if c := p.Customized; c != nil && len(c.Next) > 0 {
		for _, ms := range c.Next {
			next = append(next, dur(time.Duration(ms)*time.Millisecond))
		}
	} else {
		for _, t := range nextRetries {
			next = append(next, dur(t))
		}
	}
	return &v2.RetryPolicy{MaxAttempts: attempts, Strategy: &v2.RetryPolicy_CustomizedBackoff{
		CustomizedBackoff: &v2.CustomizedBackoff{Next: next},
	}}
}
