package grpcapi_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cometmq/cometmq/internal/api/grpcapi"
	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

func TestWhatASendIsRefusedFor(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("normal", "", 2)
		r.topic("fifo", "FIFO", 2)
		r.topic("delay", "DELAY", 2)
		r.topic("tx", "TRANSACTION", 2)
		many := map[string]string{}
		for i := range 129 {
			many[strings.Repeat("k", i+1)] = "v"
		}
		p := func(f func(*v2.SystemProperties)) func(*v2.Message) {
			return func(m *v2.Message) { f(m.SystemProperties) }
		}
		user := func(k, v string) func(*v2.Message) {
			return func(m *v2.Message) { m.UserProperties = map[string]string{k: v} }
		}
		at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(d)) }
		for _, c := range []struct {
			name, topic string
			change      func(*v2.Message)
			want        v2.Code
		}{
			{"nothing wrong", "normal", func(*v2.Message) {}, v2.Code_OK},
			{"blank topic", " ", func(*v2.Message) {}, v2.Code_ILLEGAL_TOPIC},
			{"letters of a topic", "a b", func(*v2.Message) {}, v2.Code_ILLEGAL_TOPIC},
			{"long topic", strings.Repeat("t", 128), func(*v2.Message) {}, v2.Code_ILLEGAL_TOPIC},
			{"system topic", "TBW102", func(*v2.Message) {}, v2.Code_ILLEGAL_TOPIC},
			{"system prefix", "rmq_sys_wheel_timer", func(*v2.Message) {}, v2.Code_ILLEGAL_TOPIC},
			{"no topic", "nothing", func(*v2.Message) {}, v2.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE},
			{"empty body", "normal", func(m *v2.Message) { m.Body = nil }, v2.Code_MESSAGE_BODY_EMPTY},
			{"largest body", "normal", func(m *v2.Message) { m.Body = make([]byte, 1000) }, v2.Code_OK},
			{"large body", "normal", func(m *v2.Message) { m.Body = make([]byte, 1001) }, v2.Code_MESSAGE_BODY_TOO_LARGE},
			{"many properties", "normal", func(m *v2.Message) { m.UserProperties = many }, v2.Code_MESSAGE_PROPERTIES_TOO_LARGE},
			{"large properties", "normal", user("k", strings.Repeat("v", 16<<10)), v2.Code_MESSAGE_PROPERTIES_TOO_LARGE},
			{"largest properties", "normal", user("k", strings.Repeat("v", 16<<10-1)), v2.Code_OK},
			{"reserved key", "normal", user("TAGS", "v"), v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY},
			{"control in a key", "normal", user("a\x01b", "v"), v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY},
			{"control in a value", "normal", user("a", "v\u0085"), v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY},
			{"blank tag", "normal", p(func(s *v2.SystemProperties) { s.Tag = new("  ") }), v2.Code_ILLEGAL_MESSAGE_TAG},
			{"bar in a tag", "normal", p(func(s *v2.SystemProperties) { s.Tag = new("a|b") }), v2.Code_ILLEGAL_MESSAGE_TAG},
			{"control in a tag", "normal", p(func(s *v2.SystemProperties) { s.Tag = new("a\x02") }), v2.Code_ILLEGAL_MESSAGE_TAG},
			{"blank key", "normal", p(func(s *v2.SystemProperties) { s.Keys = []string{" "} }), v2.Code_ILLEGAL_MESSAGE_KEY},
			{"control in a message key", "normal", p(func(s *v2.SystemProperties) { s.Keys = []string{"a", "b\x7f"} }), v2.Code_ILLEGAL_MESSAGE_KEY},
			{"no id", "normal", p(func(s *v2.SystemProperties) { s.MessageId = "" }), v2.Code_ILLEGAL_MESSAGE_ID},
			{"control in an id", "normal", p(func(s *v2.SystemProperties) { s.MessageId = "a\x02b" }), v2.Code_ILLEGAL_MESSAGE_ID},
			{"group", "fifo", p(func(s *v2.SystemProperties) { s.MessageGroup = new(strings.Repeat("g", 63)) }), v2.Code_OK},
			{"blank group", "fifo", p(func(s *v2.SystemProperties) { s.MessageGroup = new(" ") }), v2.Code_ILLEGAL_MESSAGE_GROUP},
			{"long group", "fifo", p(func(s *v2.SystemProperties) { s.MessageGroup = new(strings.Repeat("g", 64)) }), v2.Code_ILLEGAL_MESSAGE_GROUP},
			{"control in a group", "fifo", p(func(s *v2.SystemProperties) { s.MessageGroup = new("a\n") }), v2.Code_ILLEGAL_MESSAGE_GROUP},
			{"no group in a FIFO topic", "fifo", func(*v2.Message) {}, v2.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE},
			{"a group elsewhere", "normal", p(func(s *v2.SystemProperties) { s.MessageGroup = new("g") }), v2.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE},
			{"a delay elsewhere", "normal", p(func(s *v2.SystemProperties) { s.DeliveryTimestamp = at(time.Hour) }), v2.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE},
			{"a delay", "delay", p(func(s *v2.SystemProperties) { s.DeliveryTimestamp = at(24 * time.Hour) }), v2.Code_OK},
			{"a long delay", "delay", p(func(s *v2.SystemProperties) { s.DeliveryTimestamp = at(25 * time.Hour) }), v2.Code_ILLEGAL_DELIVERY_TIME},
			{"a transaction elsewhere", "fifo", p(func(s *v2.SystemProperties) { s.MessageType = v2.MessageType_TRANSACTION }), v2.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE},
			{"a long recovery", "tx", p(func(s *v2.SystemProperties) {
				s.MessageType, s.OrphanedTransactionRecoveryDuration = v2.MessageType_TRANSACTION, durationpb.New(2*time.Hour)
			}), v2.Code_BAD_REQUEST},
			{"lite topic", "delay", p(func(s *v2.SystemProperties) { s.LiteTopic = new("a.b") }), v2.Code_ILLEGAL_LITE_TOPIC},
			{"long lite topic", "delay", p(func(s *v2.SystemProperties) { s.LiteTopic = new(strings.Repeat("l", 65)) }), v2.Code_ILLEGAL_LITE_TOPIC},
			{"no properties at all", "normal", func(m *v2.Message) { m.SystemProperties = nil }, v2.Code_ILLEGAL_MESSAGE_ID},
		} {
			m := r.message(c.topic, "x")
			c.change(m)
			if resp := r.sendAll(m); resp.GetStatus().GetCode() != c.want || resp.GetStatus().GetMessage() == "" {
				r.Errorf("%s: %v, want %v", c.name, resp.GetStatus(), c.want)
			} else if (len(resp.GetEntries()) == 1) != (c.want == v2.Code_OK) {
				r.Errorf("%s: %d entries", c.name, len(resp.GetEntries()))
			}
		}
		r.is(r.sendAll().GetStatus(), v2.Code_MESSAGE_CORRUPTED)
		r.is(r.sendAll(r.message("normal", "x"), r.message("delay", "x")).GetStatus(), v2.Code_MESSAGE_CORRUPTED)
		if resp := r.sendAll(r.message("normal", "x"), r.message("normal", "y")); len(resp.GetEntries()) != 2 {
			r.Errorf("%v", resp)
		} else {
			r.ok(resp.GetStatus())
		}
	}, func(o *grpcapi.Options, _ *broker.Options) { o.Limits.Body = 1000 })
}

func TestWhatOtherCallsAreRefusedFor(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		must(r, r.core.PutTopic(r.ctx, mq.TopicConfig{Name: "closed", ReadQueues: 1, WriteQueues: 1, Perm: 2}))
		must(r, r.core.PutTopic(r.ctx, mq.TopicConfig{Name: "full", ReadQueues: 1, WriteQueues: 1, Perm: 4}))
		receive := func(change func(*v2.ReceiveMessageRequest)) v2.Code {
			q := ask("g", "T")
			change(q)
			st, _ := r.receive(q)
			return st.GetCode()
		}
		assign := func(group, topic string) v2.Code {
			resp, err := r.client.QueryAssignment(r.ctx, &v2.QueryAssignmentRequest{Group: res(group), Topic: res(topic)})
			must(r, err)
			return resp.GetStatus().GetCode()
		}
		route := func(topic string) v2.Code {
			resp, err := r.client.QueryRoute(r.ctx, &v2.QueryRouteRequest{Topic: res(topic)})
			must(r, err)
			return resp.GetStatus().GetCode()
		}
		ack := func(group, topic, handle string) v2.Code {
			m := &v2.Message{SystemProperties: &v2.SystemProperties{ReceiptHandle: &handle}}
			return r.ack(group, topic, m).GetStatus().GetCode()
		}
		forward := func(handle string) v2.Code {
			resp, err := r.client.ForwardMessageToDeadLetterQueue(r.ctx, &v2.ForwardMessageToDeadLetterQueueRequest{
				Group: res("g"), Topic: res("T"), ReceiptHandle: handle,
			})
			must(r, err)
			return resp.GetStatus().GetCode()
		}
		end := func(topic, id string) v2.Code {
			resp, err := r.client.EndTransaction(r.ctx, &v2.EndTransactionRequest{Topic: res(topic), TransactionId: id})
			must(r, err)
			return resp.GetStatus().GetCode()
		}
		beat, err := r.client.Heartbeat(r.ctx, &v2.HeartbeatRequest{Group: res("g")})
		must(r, err)
		bye, err := r.client.NotifyClientTermination(r.ctx, &v2.NotifyClientTerminationRequest{Group: res("g")})
		must(r, err)
		recall, err := r.client.RecallMessage(r.ctx, &v2.RecallMessageRequest{Topic: res("T"), RecallHandle: "x"})
		must(r, err)
		for _, c := range []struct {
			name      string
			got, want v2.Code
		}{
			{"route of nothing", route("nothing"), v2.Code_TOPIC_NOT_FOUND},
			{"route of a system topic", route("SELF_TEST_TOPIC"), v2.Code_ILLEGAL_TOPIC},
			{"route", route("T"), v2.Code_OK},
			{"route of retries", route("%RETRY%g_T"), v2.Code_TOPIC_NOT_FOUND},
			{"assignment of nothing", assign("g", "nothing"), v2.Code_TOPIC_NOT_FOUND},
			{"assignment without a group", assign("", "T"), v2.Code_ILLEGAL_CONSUMER_GROUP},
			{"assignment of a long group", assign(strings.Repeat("g", 121), "T"), v2.Code_ILLEGAL_CONSUMER_GROUP},
			{"assignment of a system group", assign("CID_RMQ_SYS_TRANS", "T"), v2.Code_ILLEGAL_CONSUMER_GROUP},
			{"assignment of what cannot be read", assign("g", "closed"), v2.Code_FORBIDDEN},
			{"send to what cannot be written", r.sendAll(r.message("full", "x")).GetStatus().GetCode(), v2.Code_FORBIDDEN},
			{"receive nothing", receive(func(q *v2.ReceiveMessageRequest) { q.MessageQueue.Topic = res("nothing") }), v2.Code_TOPIC_NOT_FOUND},
			{"receive without a queue", receive(func(q *v2.ReceiveMessageRequest) { q.MessageQueue = nil }), v2.Code_ILLEGAL_TOPIC},
			{"receive without a group", receive(func(q *v2.ReceiveMessageRequest) { q.Group = nil }), v2.Code_ILLEGAL_CONSUMER_GROUP},
			{"receive for a moment", receive(func(q *v2.ReceiveMessageRequest) { q.InvisibleDuration = durationpb.New(9 * time.Second) }), v2.Code_ILLEGAL_INVISIBLE_TIME},
			{"receive for ever", receive(func(q *v2.ReceiveMessageRequest) { q.InvisibleDuration = durationpb.New(13 * time.Hour) }), v2.Code_ILLEGAL_INVISIBLE_TIME},
			{"receive elsewhere", receive(func(q *v2.ReceiveMessageRequest) { q.MessageQueue.Broker = &v2.Broker{Name: "broker-b"} }), v2.Code_BAD_REQUEST},
			{"receive what cannot be read", receive(func(q *v2.ReceiveMessageRequest) { q.MessageQueue.Topic = res("closed") }), v2.Code_FORBIDDEN},
			{"ack of nonsense", ack("g", "T", "nonsense"), v2.Code_INVALID_RECEIPT_HANDLE},
			{"ack elsewhere", ack("g", "T", "0 1 2 0 0 broker-b 0 0"), v2.Code_INVALID_RECEIPT_HANDLE},
			{"ack of another queue", ack("g", "T", "0 1 2 0 0 broker-a 7 0"), v2.Code_INVALID_RECEIPT_HANDLE},
			{"ack of an index that is not there", ack("g", "T", "0 1 2 0 0 broker-a 0 99"), v2.Code_INVALID_RECEIPT_HANDLE},
			{"ack of a strange retry", ack("g", "T", "0 1 2 0 9 broker-a 0 0"), v2.Code_INVALID_RECEIPT_HANDLE},
			{"ack of a retry that is not there", ack("g", "T", "0 1 2 0 1 broker-a 0 0"), v2.Code_INVALID_RECEIPT_HANDLE},
			{"ack of nothing", r.ack("g", "T").GetStatus().GetCode(), v2.Code_INTERNAL_SERVER_ERROR},
			{"dead letter of nonsense", forward("nonsense"), v2.Code_INVALID_RECEIPT_HANDLE},
			{"dead letter without a place", forward("0 1 2 0 0 broker-a 0 0"), v2.Code_INVALID_RECEIPT_HANDLE},
			{"dead letter that is not there", forward("0 1 2 0 0 broker-a 0 0 5000"), v2.Code_INVALID_RECEIPT_HANDLE},
			{"transaction without an id", end("T", " "), v2.Code_INVALID_TRANSACTION_ID},
			{"transaction that is not there", end("T", "unknown"), v2.Code_INVALID_TRANSACTION_ID},
			{"transaction of a system topic", end("TBW102", "x"), v2.Code_ILLEGAL_TOPIC},
			{"heartbeat before settings", beat.GetStatus().GetCode(), v2.Code_UNRECOGNIZED_CLIENT_TYPE},
			{"end before settings", bye.GetStatus().GetCode(), v2.Code_UNRECOGNIZED_CLIENT_TYPE},
			{"recall in a topic without delays", recall.GetStatus().GetCode(), v2.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE},
		} {
			if c.got != c.want {
				r.Errorf("%s: %v, want %v", c.name, c.got, c.want)
			}
		}
		none, err := r.client.QueryRoute(r.Context(), &v2.QueryRouteRequest{Topic: res("T")}) // no headers
		must(r, err)
		r.is(none.GetStatus(), v2.Code_CLIENT_ID_REQUIRED)
		_, err = r.client.GetOffset(r.ctx, &v2.GetOffsetRequest{})
		if status.Code(err) != codes.Unimplemented {
			r.Errorf("GetOffset: %v", err)
		}
	})
}

// A message of another topic cannot be made a dead letter of one's own group.
func TestADeadLetterIsTheMessageOfItsHandle(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("mine", "", 1)
		r.topic("theirs", "", 1)
		r.send(r.message("theirs", "secret"))
		r.send(r.message("mine", "x"))
		m := r.take(ask("g", "mine"), 1)[0]
		handle := m.GetSystemProperties().GetReceiptHandle()
		forged := handle[:strings.LastIndexByte(handle, ' ')] + " 0" // where the other one is
		resp, err := r.client.ForwardMessageToDeadLetterQueue(r.ctx, &v2.ForwardMessageToDeadLetterQueueRequest{
			Group: res("g"), Topic: res("mine"), ReceiptHandle: forged,
		})
		must(r, err)
		r.is(resp.GetStatus(), v2.Code_INVALID_RECEIPT_HANDLE)
	})
}
