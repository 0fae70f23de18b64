package grpcapi_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cometmq/cometmq/internal/api/grpcapi"
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/vfs"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

type stream = grpc.BidiStreamingClient[v2.TelemetryCommand, v2.TelemetryCommand]

// telemetry opens a stream and sends settings; the answer is what was agreed.
func (r *rig) telemetry(ctx context.Context, s *v2.Settings) (stream, *v2.TelemetryCommand) {
	r.Helper()
	st, err := r.client.Telemetry(ctx)
	must(r, err)
	return st, r.settle(st, s)
}

func (r *rig) settle(st stream, s *v2.Settings) *v2.TelemetryCommand {
	r.Helper()
	must(r, st.Send(&v2.TelemetryCommand{Command: &v2.TelemetryCommand_Settings{Settings: s}}))
	cmd, err := st.Recv()
	must(r, err)
	return cmd
}

func producer(topics ...string) *v2.Settings {
	p := &v2.Publishing{}
	for _, t := range topics {
		p.Topics = append(p.Topics, res(t))
	}
	return &v2.Settings{
		ClientType: v2.ClientType_PRODUCER.Enum(), PubSub: &v2.Settings_Publishing{Publishing: p}, RequestTimeout: durationpb.New(3 * time.Second),
		AccessPoint: &v2.Endpoints{Scheme: v2.AddressScheme_IPv4, Addresses: []*v2.Address{{Host: "127.0.0.1", Port: 8081}}},
	}
}

func consumer(kind v2.ClientType, group string, topics ...string) *v2.Settings {
	sub := &v2.Subscription{Group: res(group)}
	for _, t := range topics {
		sub.Subscriptions = append(sub.Subscriptions, &v2.SubscriptionEntry{Topic: res(t), Expression: &v2.FilterExpression{Expression: "*"}})
	}
	return &v2.Settings{
		ClientType: kind.Enum(), PubSub: &v2.Settings_Subscription{Subscription: sub}, RequestTimeout: durationpb.New(3 * time.Second),
	}
}

func (r *rig) heartbeat(ctx context.Context, group string) *v2.Status {
	r.Helper()
	q := &v2.HeartbeatRequest{}
	if group != "" {
		q.Group = res(group)
	}
	resp, err := r.client.Heartbeat(ctx, q)
	must(r, err)
	return resp.GetStatus()
}

func TestSettings(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		g := mq.DefaultGroupConfig("fifo")
		g.ConsumeMessageOrderly, g.RetryMaxTimes = true, 2
		g.RetryPolicy = []byte(`{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":100,"max":5000,"multiplier":3}}`)
		r.group(g)

		st, cmd := r.telemetry(r.ctx, producer("T"))
		r.ok(cmd.GetStatus())
		s := cmd.GetSettings()
		if b := s.GetBackoffPolicy(); b.GetMaxAttempts() != 3 || b.GetExponentialBackoff().GetInitial().AsDuration() != 10*time.Millisecond {
			r.Errorf("backoff %v", b)
		}
		if !s.GetPublishing().GetValidateMessageType() || s.GetPublishing().GetMaxBodySize() != 4<<20 || s.GetMetric().GetOn() ||
			s.GetRequestTimeout().AsDuration() != 3*time.Second || len(s.GetAccessPoint().GetAddresses()) != 1 {
			r.Errorf("settings %v", s)
		}
		r.ok(r.heartbeat(r.ctx, ""))
		if list, err := r.core.Producers(r.ctx, "T"); err != nil || len(list) != 1 || list[0].ClientID != "client-1" || list[0].Language != "GO" {
			r.Errorf("producers %v, %v", list, err)
		}
		must(r, st.CloseSend())
		if _, err := st.Recv(); !errors.Is(err, io.EOF) {
			r.Error(err)
		}

		ctx := as(r.Context(), "client-2")
		two, cmd := r.telemetry(ctx, consumer(v2.ClientType_PUSH_CONSUMER, "plain", "T"))
		s = cmd.GetSettings()
		if b := s.GetBackoffPolicy(); b.GetMaxAttempts() != 17 || len(b.GetCustomizedBackoff().GetNext()) != 18 {
			r.Errorf("backoff %v", b)
		}
		if s.GetSubscription().GetFifo() || s.GetSubscription().GetReceiveBatchSize() != 32 || s.GetSubscription().GetLongPollingTimeout().AsDuration() != 20*time.Second {
			r.Errorf("settings %v", s)
		}
		if g, err := r.core.Consumers(ctx, "plain"); err != nil || g.Type != mq.ConsumePassively || len(g.Connections) != 1 || g.Subscriptions[0].Topic != "T" {
			r.Errorf("consumers %+v, %v", g, err)
		}
		// Another group on the same stream: the former one is left.
		s = r.settle(two, consumer(v2.ClientType_SIMPLE_CONSUMER, "fifo", "T")).GetSettings()
		if b := s.GetBackoffPolicy(); b.GetMaxAttempts() != 3 || b.GetExponentialBackoff().GetMultiplier() != 3 || !s.GetSubscription().GetFifo() {
			r.Errorf("settings %v", s)
		}
		if g, err := r.core.Consumers(ctx, "plain"); err == nil {
			r.Errorf("still there: %+v", g)
		}
		if g, err := r.core.Consumers(ctx, "fifo"); err != nil || g.Type != mq.ConsumeActively {
			r.Errorf("%+v, %v", g, err)
		}
		r.is(r.heartbeat(ctx, ""), v2.Code_ILLEGAL_CONSUMER_GROUP)
		r.ok(r.heartbeat(ctx, "fifo"))
		bye, err := r.client.NotifyClientTermination(ctx, &v2.NotifyClientTerminationRequest{Group: res("fifo")})
		must(r, err)
		r.ok(bye.GetStatus())
		if g, err := r.core.Consumers(ctx, "fifo"); err == nil {
			r.Errorf("still there: %+v", g)
		}
		r.is(r.heartbeat(ctx, "fifo"), v2.Code_UNRECOGNIZED_CLIENT_TYPE)
		must(r, two.CloseSend())
		_, _ = two.Recv()
	})
}

func TestBadSettingsEndTheStream(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		for _, s := range []*v2.Settings{
			{}, producer("a b"), consumer(v2.ClientType_PUSH_CONSUMER, "", "T"), consumer(v2.ClientType_PUSH_CONSUMER, "g", "TBW102"),
		} {
			st, err := r.client.Telemetry(r.ctx)
			must(r, err)
			must(r, st.Send(&v2.TelemetryCommand{Command: &v2.TelemetryCommand_Settings{Settings: s}}))
			if _, err = st.Recv(); status.Code(err) != codes.InvalidArgument {
				r.Errorf("%v: %v", s, err)
			}
		}
		st, err := r.client.Telemetry(r.Context()) // no client id
		must(r, err)
		cmd, err := st.Recv()
		must(r, err)
		r.is(cmd.GetStatus(), v2.Code_CLIENT_ID_REQUIRED)
		if _, err = st.Recv(); !errors.Is(err, io.EOF) {
			r.Error(err)
		}
		// Who says nothing is not kept.
		began := time.Now()
		st, err = r.client.Telemetry(r.ctx)
		must(r, err)
		if _, err = st.Recv(); status.Code(err) != codes.InvalidArgument || time.Since(began) > time.Minute {
			r.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestASilentClientIsForgotten(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		_, cmd := r.telemetry(r.ctx, producer("T"))
		r.ok(cmd.GetStatus())
		for range 20 {
			time.Sleep(10 * time.Second)
			r.ok(r.heartbeat(r.ctx, ""))
		}
		time.Sleep(3 * time.Minute)
		r.is(r.heartbeat(r.ctx, ""), v2.Code_UNRECOGNIZED_CLIENT_TYPE)
		if list, err := r.core.Producers(r.ctx, "T"); err == nil && len(list) > 0 {
			r.Errorf("still there: %v", list)
		}
	})
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "TRANSACTION", 2)
		st, cmd := r.telemetry(r.ctx, producer("T"))
		r.ok(cmd.GetStatus())
		half := func(body string) string {
			m := r.message("T", body)
			m.SystemProperties.MessageType = v2.MessageType_TRANSACTION
			return r.send(m).GetTransactionId()
		}
		end := func(id string, how v2.TransactionResolution, from v2.TransactionSource) *v2.Status {
			resp, err := r.client.EndTransaction(r.ctx, &v2.EndTransactionRequest{
				Topic: res("T"), MessageId: id, TransactionId: id, Resolution: how, Source: from,
			})
			must(r, err)
			return resp.GetStatus()
		}
		one, two, three := half("one"), half("two"), half("three")
		synctest.Wait()
		if s, list := r.receive(ask("g", "T")); len(list) != 0 {
			r.Fatalf("%v %v", s, list)
		}
		r.ok(end(one, v2.TransactionResolution_COMMIT, v2.TransactionSource_SOURCE_CLIENT))
		r.ok(end(one, v2.TransactionResolution_COMMIT, v2.TransactionSource_SOURCE_CLIENT)) // again
		r.ok(end(two, v2.TransactionResolution_ROLLBACK, v2.TransactionSource_SOURCE_CLIENT))
		r.ok(end(three, v2.TransactionResolution_TRANSACTION_RESOLUTION_UNSPECIFIED, v2.TransactionSource_SOURCE_CLIENT))
		m := r.take(ask("g", "T"), 1)[0]
		if string(m.GetBody()) != "one" || m.GetSystemProperties().GetMessageType() != v2.MessageType_TRANSACTION {
			r.Errorf("%v", m)
		}
		r.ok(r.ack("g", "T", m).GetStatus())
		// The broker asks about the third one.
		cmd, err := st.Recv()
		must(r, err)
		q := cmd.GetRecoverOrphanedTransactionCommand()
		if q.GetTransactionId() != three || string(q.GetMessage().GetBody()) != "three" || q.GetMessage().GetTopic().GetName() != "T" {
			r.Fatalf("%v", cmd)
		}
		r.ok(end(three, v2.TransactionResolution_COMMIT, v2.TransactionSource_SOURCE_SERVER_CHECK))
		if m = r.take(ask("g", "T"), 1)[0]; string(m.GetBody()) != "three" {
			r.Errorf("%v", m)
		}
		// Another door, as after a restart, knows a transaction by its half message.
		id := half("four")
		synctest.Wait()
		other := grpcapi.New(grpcapi.Options{Broker: "broker-a"})
		other.Swap(&grpcapi.Core{Service: r.core, Admin: r.core})
		in := metadata.NewIncomingContext(r.Context(), metadata.Pairs("x-mq-client-id", "c"))
		resp, err := other.EndTransaction(in, &v2.EndTransactionRequest{
			Topic: res("T"), TransactionId: id, Resolution: v2.TransactionResolution_COMMIT,
		})
		must(r, err)
		r.ok(resp.GetStatus())
		if m = r.take(ask("g", "T"), 1)[0]; string(m.GetBody()) != "four" {
			r.Errorf("%v", m)
		}
		other.Close(r.Context())
	})
}

func TestAPushConsumerKeepsAMessageForAsLongAsItIsThere(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		_, cmd := r.telemetry(r.ctx, consumer(v2.ClientType_PUSH_CONSUMER, "g", "T"))
		r.ok(cmd.GetStatus())
		beat := func(d time.Duration) {
			for range int(d / (10 * time.Second)) {
				time.Sleep(10 * time.Second)
				r.ok(r.heartbeat(r.ctx, "g"))
			}
		}
		q := ask("g", "T")
		q.AutoRenew, q.InvisibleDuration = true, nil
		r.send(r.message("T", "slow"))
		m := r.take(q, 1)[0]
		beat(10 * time.Minute)
		if _, list := r.receive(ask("g", "T")); len(list) != 0 {
			r.Fatalf("somebody else gets %v", list)
		}
		r.ok(r.ack("g", "T", m).GetStatus())
		// One that leaves gives its messages back.
		r.send(r.message("T", "left"))
		r.take(q, 1)
		beat(2 * time.Minute)
		bye, err := r.client.NotifyClientTermination(r.ctx, &v2.NotifyClientTerminationRequest{Group: res("g")})
		must(r, err)
		r.ok(bye.GetStatus())
		began := time.Now()
		m = r.take(ask("g", "T"), 1)[0]
		if took := time.Since(began); took > 3*time.Second || m.GetSystemProperties().GetDeliveryAttempt() != 2 {
			r.Errorf("attempt %d after %v", m.GetSystemProperties().GetDeliveryAttempt(), took)
		}
	})
}

func TestTheBrokerAsksItsClients(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		st, cmd := r.telemetry(r.ctx, consumer(v2.ClientType_PUSH_CONSUMER, "g", "T"))
		r.ok(cmd.GetStatus())
		answer := make(chan mq.ClientAnswer, 1)
		failed := make(chan error, 1)
		done := func(a mq.ClientAnswer, err error) {
			if err != nil {
				failed <- err
				return
			}
			answer <- a
		}
		q := &mq.RunningInfoRequest{Group: "g", ClientID: "client-1"}
		r.core.RunningInfo(r.ctx, q, done)
		if a := <-answer; !strings.Contains(string(a.Body), `"topic":"T"`) {
			r.Errorf("%s", a.Body)
		}
		q.Stacks = true
		r.core.RunningInfo(r.ctx, q, done)
		cmd, err := st.Recv()
		must(r, err)
		must(r, st.Send(&v2.TelemetryCommand{Command: &v2.TelemetryCommand_ThreadStackTrace{ThreadStackTrace: &v2.ThreadStackTrace{
			Nonce: cmd.GetPrintThreadStackTraceCommand().GetNonce(), ThreadStackTrace: new("main: sleeping"),
		}}}))
		if a := <-answer; !strings.Contains(string(a.Body), "main: sleeping") {
			r.Errorf("%s", a.Body)
		}
		r.core.RunningInfo(r.ctx, q, done) // it does not answer
		if err = <-failed; mq.KindOf(err) != mq.KindTimeout {
			r.Error(err)
		}
		_, err = st.Recv()
		must(r, err)
		e := r.send(r.message("T", "verify"))
		synctest.Wait()
		found, err := r.core.QueryByKey(r.ctx, &mq.KeyQuery{Topic: "T", Key: e.GetMessageId(), Max: 1, End: time.Now().Add(time.Hour).UnixMilli(), Unique: true})
		must(r, err)
		r.core.ConsumeDirectly(r.ctx, &mq.DirectRequest{Group: "g", ClientID: "client-1", MessageID: "id", HasMessage: true, At: offsetOf(r, found.Records)}, done)
		cmd, err = st.Recv()
		must(r, err)
		if string(cmd.GetVerifyMessageCommand().GetMessage().GetBody()) != "verify" {
			r.Errorf("%v", cmd)
		}
		must(r, st.Send(&v2.TelemetryCommand{
			Status:  &v2.Status{Code: v2.Code_OK},
			Command: &v2.TelemetryCommand_VerifyMessageResult{VerifyMessageResult: &v2.VerifyMessageResult{Nonce: cmd.GetVerifyMessageCommand().GetNonce()}},
		}))
		if a := <-answer; !strings.Contains(string(a.Body), `"consumeResult":"CR_SUCCESS"`) {
			r.Errorf("%s", a.Body)
		}
	})
}

func TestRoleChanges(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		_, cmd := r.telemetry(r.ctx, producer("T"))
		r.ok(cmd.GetStatus())
		r.door.Swap(nil)()
		r.is(r.sendAll(r.message("T", "x")).GetStatus(), v2.Code_INTERNAL_SERVER_ERROR)
		r.door.Swap(&grpcapi.Core{Service: r.core, Admin: r.core, ID: 1})()
		r.ok(r.heartbeat(r.ctx, "")) // what it has said before still counts
		resp, err := r.client.QueryRoute(r.ctx, &v2.QueryRouteRequest{Topic: res("T")})
		must(r, err)
		if id := resp.GetMessageQueues()[0].GetBroker().GetId(); id != 1 {
			r.Errorf("broker %d", id)
		}
		r.send(r.message("T", "x"))
		r.take(ask("g", "T"), 1)
	})
}

// The door's Close ends what waits: streams and requests for messages.
func TestCloseEndsWhatWaits(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		st, cmd := r.telemetry(r.ctx, producer("T"))
		r.ok(cmd.GetStatus())
		q := ask("g", "T")
		q.LongPollingTimeout = durationpb.New(20 * time.Second)
		got := make(chan *v2.Status, 1)
		go func() {
			s, _ := r.receive(q)
			got <- s
		}()
		synctest.Wait()
		began := time.Now()
		r.door.Close(r.Context())
		r.is(<-got, v2.Code_MESSAGE_NOT_FOUND)
		if _, err := st.Recv(); status.Code(err) != codes.Unavailable || time.Since(began) > time.Second {
			r.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	var guard *auth.Guard
	bubble(t, func(r *rig) {
		must(r, guard.CreateUser(auth.By{}, &protocol.UserInfo{Username: "writer", Password: "secret-1", UserType: "Normal"}))
		must(r, guard.PutACL(auth.By{}, "User:writer", &protocol.ACLInfo{Subject: "User:writer", Policies: []protocol.PolicyInfo{{
			PolicyType: "Custom", Entries: []protocol.PolicyEntryInfo{{Resource: "Topic:T", Actions: []string{"Pub"}, Decision: "Allow"}},
		}}}))
		r.topic("T", "", 1)
		r.topic("U", "", 1)
		as := func(user, secret string, change func(string) string) context.Context {
			const at = "20261123T101112Z"
			mac := hmac.New(sha1.New, []byte(secret))
			_, _ = mac.Write([]byte(at))
			h := "MQv2-HMAC-SHA1 Credential=" + user + "//Rocketmq, SignedHeaders=x-mq-date-time, Signature=" + change(hex.EncodeToString(mac.Sum(nil)))
			return metadata.NewOutgoingContext(r.Context(), metadata.Pairs("x-mq-client-id", "c", "x-mq-date-time", at, "authorization", h))
		}
		same := func(s string) string { return s }
		send := func(ctx context.Context, topic string) v2.Code {
			resp, err := r.client.SendMessage(ctx, &v2.SendMessageRequest{Messages: []*v2.Message{r.message(topic, "x")}})
			must(r, err)
			return resp.GetStatus().GetCode()
		}
		for _, c := range []struct {
			name string
			ctx  context.Context
			to   string
			want v2.Code
		}{
			{"nobody", r.ctx, "T", v2.Code_UNAUTHORIZED},
			{"who may", as("writer", "secret-1", same), "T", v2.Code_OK},
			{"in upper case", as("writer", "secret-1", strings.ToUpper), "T", v2.Code_OK},
			{"elsewhere", as("writer", "secret-1", same), "U", v2.Code_UNAUTHORIZED},
			{"a wrong secret", as("writer", "secret-2", same), "T", v2.Code_UNAUTHORIZED},
			{"no hex", as("writer", "secret-1", func(string) string { return "zz" }), "T", v2.Code_UNAUTHORIZED},
			{"a stranger", as("reader", "secret-1", same), "T", v2.Code_UNAUTHORIZED},
		} {
			if got := send(c.ctx, c.to); got != c.want {
				r.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
		ctx := as("writer", "secret-1", same)
		st, _ := r.receiveAs(ctx, ask("g", "T"))
		r.is(st, v2.Code_UNAUTHORIZED)
		_, cmd := r.telemetry(ctx, consumer(v2.ClientType_PUSH_CONSUMER, "g", "T"))
		r.is(cmd.GetStatus(), v2.Code_UNAUTHORIZED)
	}, func(o *grpcapi.Options, _ *broker.Options) {
		var err error
		guard, err = auth.Open(auth.Options{Authenticate: true, Authorize: true, FS: vfs.NewMem(vfs.MemOptions{}), Dir: "/auth"})
		must(t, err)
		o.Guard = guard
	})
}
