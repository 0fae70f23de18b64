package grpcapi

import (
	"encoding/json"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// How the core calls a client back: mq.Peer.

// answerWithin is how long a client may take, as in Java's proxy.
const answerWithin = 5 * time.Second

var errNoSuchCall = mq.Errorf(mq.KindUnsupported, "a client of gRPC cannot be asked for that")

// ConsumerIDsChanged has nothing to say: these clients do not share queues.
func (k *client) ConsumerIDsChanged(string) {}

// UnsubscribeLite tells the client that it has lost a lite topic.
func (k *client) UnsubscribeLite(_, _, lite string) {
	k.tell(&v2.TelemetryCommand{Command: &v2.TelemetryCommand_NotifyUnsubscribeLiteCommand{
		NotifyUnsubscribeLiteCommand: &v2.NotifyUnsubscribeLiteCommand{LiteTopic: lite},
	}})
}

// ResetPositions has nothing to say: the positions are the broker's.
func (k *client) ResetPositions(*mq.PositionReset, []mq.QueuePosition) {}

// Positions are the broker's, too.
func (k *client) Positions(_, _ string, done func([]mq.QueuePosition, error)) {
	done(nil, errNoSuchCall)
}

// runningInfo and directResult are Java's JSON of what clients answer.
type runningInfo struct {
	Properties    map[string]string `json:"properties"`
	Subscriptions []subscriptionOf  `json:"subscriptionSet"`
	MQTable       struct{}          `json:"mqTable"`
	MQPopTable    struct{}          `json:"mqPopTable"`
	StatusTable   struct{}          `json:"statusTable"`
	Stack         string            `json:"jstack,omitempty"`
}

type subscriptionOf struct {
	Topic      string   `json:"topic"`
	Expression string   `json:"subString"`
	Type       string   `json:"expressionType"`
	Tags       []string `json:"tagsSet"`
	Codes      []int32  `json:"codeSet"`
	Version    int64    `json:"subVersion"`
}

type directResult struct {
	Order      bool   `json:"order"`
	AutoCommit bool   `json:"autoCommit"`
	Result     string `json:"consumeResult"`
	Remark     string `json:"remark,omitempty"`
	Took       int64  `json:"spentTimeMills"`
}

// RunningInfo tells what the door knows; with stacks the client is asked for them.
func (k *client) RunningInfo(r *mq.RunningInfoRequest, done func(mq.ClientAnswer, error)) {
	s := k.now()
	info := runningInfo{Properties: map[string]string{
		"PROP_CLIENT_VERSION": s.GetUserAgent().GetVersion(), "PROP_CONSUME_TYPE": string(mq.ConsumePop), "PROP_CONSUMEORDERLY": "false",
		"PROP_NAMESERVER_ADDR": "", "PROP_THREADPOOL_CORE_SIZE": "-1", "PROP_CONSUMER_START_TIMESTAMP": "0",
	}, Subscriptions: []subscriptionOf{}}
	if s.GetSubscription().GetFifo() {
		info.Properties["PROP_CONSUMEORDERLY"] = "true"
	}
	k.mu.Lock()
	for i := range k.beat.Consumers {
		for _, sub := range k.beat.Consumers[i].Subscriptions {
			info.Subscriptions = append(info.Subscriptions, subscriptionOf{
				Topic: sub.Topic, Expression: sub.Expression, Type: sub.ExpressionType, Version: sub.Version,
				Tags: append([]string{}, sub.Tags...), Codes: append([]int32{}, sub.Codes...),
			})
		}
	}
	k.mu.Unlock()
	answer := func() {
		body, err := json.Marshal(info)
		done(mq.ClientAnswer{Body: body}, err)
	}
	if !r.Stacks {
		answer()
		return
	}
	k.ask(answerWithin, func(nonce string) *v2.TelemetryCommand {
		return &v2.TelemetryCommand{Command: &v2.TelemetryCommand_PrintThreadStackTraceCommand{
			PrintThreadStackTraceCommand: &v2.PrintThreadStackTraceCommand{Nonce: nonce},
		}}
	}, func(cmd *v2.TelemetryCommand, err error) {
		if err != nil {
			done(mq.ClientAnswer{}, err)
			return
		}
		info.Stack = cmd.GetThreadStackTrace().GetThreadStackTrace()
		answer()
	})
}

// ConsumeDirectly has the client consume a message.
func (k *client) ConsumeDirectly(r *mq.DirectRequest, done func(mq.ClientAnswer, error)) {
	var m record.Message
	rec := append([]byte(nil), r.Record...) // it is kept until it is sent
	if _, err := record.Decode(rec, &m, false); err != nil {
		done(mq.ClientAnswer{}, mq.Errorf(mq.KindInternal, "the message cannot be read: %s", err.Error()))
		return
	}
	began := k.d.o.Now()
	k.ask(answerWithin, func(nonce string) *v2.TelemetryCommand {
		return &v2.TelemetryCommand{Command: &v2.TelemetryCommand_VerifyMessageCommand{
			VerifyMessageCommand: &v2.VerifyMessageCommand{Nonce: nonce, Message: messageOf(&m)},
		}}
	}, func(cmd *v2.TelemetryCommand, err error) {
		if err != nil {
			done(mq.ClientAnswer{}, err)
			return
		}
		res := directResult{
			Order: k.now().GetSubscription().GetFifo(), AutoCommit: true, Result: "CR_LATER", Took: k.d.o.Now().Sub(began).Milliseconds(),
			Remark: "from gRPC client",
		}
		switch cmd.GetStatus().GetCode() {
		case v2.Code_OK:
			res.Result = "CR_SUCCESS"
		case v2.Code_MESSAGE_CORRUPTED:
			res.Result = "CR_RETURN_NULL"
		default:
		}
		body, err := json.Marshal(res)
		done(mq.ClientAnswer{Body: body}, err)
	})
}

// PushReply has nobody to go to: these clients make no requests.
func (k *client) PushReply(_ *mq.PushedReply, done func(error)) { done(errNoSuchCall) }

// Flush has nothing to do.
func (k *client) Flush() {}

// CheckTransaction asks the client what became of a transaction.
func (k *client) CheckTransaction(c *mq.TransactionCheck) bool {
	var m record.Message
	rec := append([]byte(nil), c.Record...) // it is kept until it is sent
	if _, err := record.Decode(rec, &m, false); err != nil {
		return false
	}
	msg := messageOf(&m)
	msg.SystemProperties.MessageType = v2.MessageType_TRANSACTION
	id := string(append([]byte(nil), c.TransactionID...))
	k.d.halves.put(half{string(append([]byte(nil), c.Group...)), id}, halfAt{c.Index, c.Offset})
	return k.tell(&v2.TelemetryCommand{Command: &v2.TelemetryCommand_RecoverOrphanedTransactionCommand{
		RecoverOrphanedTransactionCommand: &v2.RecoverOrphanedTransactionCommand{Message: msg, TransactionId: id},
	}})
}

// Close ends a client of which nothing was heard for too long. If it is there after all it connects again.
func (k *client) Close() {
	k.mu.Lock()
	t := k.tube
	k.mu.Unlock()
	k.end()
	if t != nil {
		t.end()
	}
}
