package grpcapi_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

func TestAMessageThereAndBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 4)
		m := r.message("T", "hello")
		p := m.GetSystemProperties()
		p.Tag, p.Keys, p.TraceContext = new("red"), []string{"k1", "k2"}, new("trace")
		p.BornHost, p.BornTimestamp = "somewhere", timestamppb.New(time.UnixMilli(1_700_000_000_123))
		m.UserProperties = map[string]string{"colour": "blue", "größe": "groß"}
		e := r.send(m)
		if e.GetMessageId() != p.GetMessageId() || e.GetTransactionId() != p.GetMessageId() || e.GetOffset() != 0 {
			r.Errorf("outcome %v", e)
		}
		got := r.take(ask("g", "T"), 1)[0]
		s := got.GetSystemProperties()
		if string(got.GetBody()) != "hello" || got.GetTopic().GetName() != "T" || got.GetUserProperties()["größe"] != "groß" || len(got.GetUserProperties()) != 3 { // TRACE_CONTEXT is told twice, as in Java
			r.Errorf("message %v", got)
		}
		if s.GetTag() != "red" || !slices.Equal(s.GetKeys(), []string{"k1", "k2"}) || s.GetMessageId() != p.GetMessageId() || s.GetTraceContext() != "trace" ||
			s.GetBornHost() != "somewhere" || s.GetBornTimestamp().AsTime().UnixMilli() != 1_700_000_000_123 || s.GetDeliveryAttempt() != 1 ||
			s.GetMessageType() != v2.MessageType_NORMAL || s.GetBodyEncoding() != v2.Encoding_IDENTITY ||
			s.GetBodyDigest().GetChecksum() != "5D41402ABC4B2A76B9719D911017C592" || s.GetStoreHost() != "10.0.0.2:10911" {
			r.Errorf("properties %v", s)
		}
		r.ok(r.ack("g", "T", got).GetStatus())
		r.ok(r.ack("g", "T", got).GetStatus()) // again
		time.Sleep(40 * time.Second)
		st, list := r.receive(ask("g", "T"))
		r.is(st, v2.Code_MESSAGE_NOT_FOUND)
		if len(list) != 0 {
			r.Errorf("%v comes again", list)
		}
	})
}

func TestWhatIsNotAcknowledgedComesAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		r.send(r.message("T", "x"))
		first := r.take(ask("g", "T"), 1)[0]
		st, _ := r.receive(ask("g", "T"))
		r.is(st, v2.Code_MESSAGE_NOT_FOUND)
		time.Sleep(31 * time.Second)
		second := r.take(ask("g", "T"), 1)[0]
		if n := second.GetSystemProperties().GetDeliveryAttempt(); n != 2 {
			r.Errorf("attempt %d", n)
		}
		r.is(r.ack("g", "T", first).GetStatus(), v2.Code_INVALID_RECEIPT_HANDLE) // somebody else has it now
		r.ok(r.ack("g", "T", second).GetStatus())
	})
}

func TestAWaitingReceiveIsWoken(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 4)
		q := ask("g", "T")
		q.LongPollingTimeout = durationpb.New(20 * time.Second)
		r.receive(q) // the group is known from here on
		began := time.Now()
		got := make(chan []*v2.Message)
		go func() {
			_, list := r.receive(q)
			got <- list
		}()
		time.Sleep(3 * time.Second)
		r.send(r.message("T", "now"))
		if list := <-got; len(list) != 1 || time.Since(began) > 4*time.Second {
			r.Errorf("%d messages after %v", len(list), time.Since(began))
		}
		began = time.Now()
		st, _ := r.receive(q)
		r.is(st, v2.Code_MESSAGE_NOT_FOUND)
		if took := time.Since(began); took < 19*time.Second || took > 21*time.Second {
			r.Errorf("an empty answer after %v", took)
		}
	})
}

// A message does not wait for the end of a request whose client has gone.
func TestAClientThatLeavesTakesNoMessage(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		q := ask("g", "T")
		q.LongPollingTimeout = durationpb.New(20 * time.Second)
		for range 3 {
			ctx, cancel := context.WithCancel(r.ctx)
			_, err := r.client.ReceiveMessage(ctx, q)
			must(r, err)
			synctest.Wait()
			cancel()
			synctest.Wait()
		}
		got := make(chan []*v2.Message)
		go func() {
			_, list := r.receive(q)
			got <- list
		}()
		synctest.Wait()
		r.send(r.message("T", "x"))
		began := time.Now()
		list := <-got
		if len(list) != 1 || time.Since(began) > time.Second || list[0].GetSystemProperties().GetDeliveryAttempt() != 1 {
			r.Errorf("%v after %v", list, time.Since(began))
		}
	})
}

func TestPollTimes(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		poll := func(deadline, asked time.Duration) (v2.Code, time.Duration) {
			ctx, q := r.ctx, ask("g", "T")
			if deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, deadline)
				defer cancel()
			}
			q.LongPollingTimeout = nil
			if asked > 0 {
				q.LongPollingTimeout = durationpb.New(asked)
			}
			began := time.Now()
			st, _ := r.receiveAs(ctx, q)
			return st.GetCode(), time.Since(began).Round(time.Second)
		}
		for _, c := range []struct {
			deadline, asked, want time.Duration
			code                  v2.Code
		}{
			{0, time.Second, 5 * time.Second, v2.Code_MESSAGE_NOT_FOUND},
			{0, time.Hour, 20 * time.Second, v2.Code_MESSAGE_NOT_FOUND},
			{0, 0, 20 * time.Second, v2.Code_MESSAGE_NOT_FOUND},
			{time.Minute, 7 * time.Second, 7 * time.Second, v2.Code_MESSAGE_NOT_FOUND},
			{4 * time.Second, 10 * time.Second, 0, v2.Code_ILLEGAL_POLLING_TIME},
		} {
			if code, took := poll(c.deadline, c.asked); code != c.code || took != c.want {
				r.Errorf("deadline %v, asked for %v: %v after %v, want %v after %v", c.deadline, c.asked, code, took, c.code, c.want)
			}
		}
	})
}

func TestInvisibleDuration(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		r.send(r.message("T", "x"))
		m := r.take(ask("g", "T"), 1)[0]
		change := func(handle string, d time.Duration, suspend bool) *v2.ChangeInvisibleDurationResponse {
			resp, err := r.client.ChangeInvisibleDuration(r.ctx, &v2.ChangeInvisibleDurationRequest{
				Group: res("g"), Topic: res("T"), ReceiptHandle: handle, InvisibleDuration: durationpb.New(d), Suspend: new(suspend),
			})
			must(r, err)
			return resp
		}
		old := m.GetSystemProperties().GetReceiptHandle()
		time.Sleep(time.Second)
		longer := change(old, 2*time.Minute, false)
		r.ok(longer.GetStatus())
		r.is(change(old, time.Minute, false).GetStatus(), v2.Code_INVALID_RECEIPT_HANDLE) // it was replaced
		time.Sleep(100 * time.Second)
		st, _ := r.receive(ask("g", "T"))
		r.is(st, v2.Code_MESSAGE_NOT_FOUND)
		now := change(longer.GetReceiptHandle(), 0, true)
		r.ok(now.GetStatus())
		m = r.take(ask("g", "T"), 1)[0]
		if n := m.GetSystemProperties().GetDeliveryAttempt(); n != 1 {
			r.Errorf("attempt %d after a suspended one", n)
		}
		r.is(change(m.GetSystemProperties().GetReceiptHandle(), -time.Second, false).GetStatus(), v2.Code_ILLEGAL_INVISIBLE_TIME)
		r.is(change(m.GetSystemProperties().GetReceiptHandle(), 13*time.Hour, false).GetStatus(), v2.Code_ILLEGAL_INVISIBLE_TIME)
		if resp := change("nonsense", time.Minute, false); resp.GetReceiptHandle() != "" {
			r.Errorf("a handle %q with %v", resp.GetReceiptHandle(), resp.GetStatus())
		}
	})
}

func TestFilters(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		for _, tag := range []string{"a", "b", "c", "Aa", "BB"} { // the last two have the same hash
			m := r.message("T", tag)
			m.SystemProperties.Tag = new(tag)
			m.UserProperties = map[string]string{"n": tag}
			r.send(m)
		}
		get := func(group string, kind v2.FilterType, text string) (all []string) {
			q := ask(group, "T")
			q.FilterExpression = &v2.FilterExpression{Type: kind, Expression: text}
			_, list := r.receive(q)
			for _, m := range list {
				all = append(all, string(m.GetBody()))
			}
			return all
		}
		if got := get("g1", v2.FilterType_TAG, "a || c"); !slices.Equal(got, []string{"a", "c"}) {
			r.Errorf("%q", got)
		}
		if got := get("g2", v2.FilterType_TAG, "BB"); !slices.Equal(got, []string{"BB"}) {
			r.Errorf("%q", got)
		}
		if got := get("g3", v2.FilterType_SQL, "n = 'b' OR TAGS = 'Aa'"); !slices.Equal(got, []string{"b", "Aa"}) {
			r.Errorf("%q", got)
		}
		for _, f := range []*v2.FilterExpression{{Type: v2.FilterType_SQL, Expression: "n ="}, {Type: v2.FilterType_TAG, Expression: " || "}} {
			q := ask("g4", "T")
			q.FilterExpression = f
			st, _ := r.receive(q)
			r.is(st, v2.Code_ILLEGAL_FILTER_EXPRESSION)
		}
	})
}

func TestFIFO(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "FIFO", 8)
		g := mq.DefaultGroupConfig("g")
		g.ConsumeMessageOrderly = true
		r.group(g)
		for _, body := range []string{"1", "2", "3"} {
			m := r.message("T", body)
			m.SystemProperties.MessageGroup = new("order-1")
			r.send(m)
		}
		q := ask("g", "T")
		q.BatchSize = 2
		q.AttemptId = new("attempt")
		list := r.take(q, 2)
		for i, m := range list {
			s := m.GetSystemProperties()
			if string(m.GetBody()) != string('1'+rune(i)) || s.GetQueueId() != 3 || s.GetMessageGroup() != "order-1" || s.GetMessageType() != v2.MessageType_FIFO {
				r.Errorf("message %d: %v", i, m)
			}
		}
		if again := r.take(q, 2); string(again[0].GetBody()) != "1" || again[0].GetSystemProperties().GetDeliveryAttempt() != 1 {
			r.Errorf("the same attempt: %v", again)
		} else {
			list = again
		}
		q.AttemptId = new("another")
		st, _ := r.receive(q) // the queue is blocked
		r.is(st, v2.Code_MESSAGE_NOT_FOUND)
		r.ok(r.ack("g", "T", list[0]).GetStatus())
		time.Sleep(31 * time.Second)
		list = r.take(q, 2)
		if string(list[0].GetBody()) != "2" || list[0].GetSystemProperties().GetDeliveryAttempt() != 2 || list[1].GetSystemProperties().GetDeliveryAttempt() != 1 {
			r.Errorf("again: %v", list)
		}
		fwd, err := r.client.ForwardMessageToDeadLetterQueue(r.ctx, &v2.ForwardMessageToDeadLetterQueueRequest{
			Group: res("g"), Topic: res("T"), ReceiptHandle: list[0].GetSystemProperties().GetReceiptHandle(),
		})
		must(r, err)
		r.ok(fwd.GetStatus())
		r.ok(r.ack("g", "T", list[1]).GetStatus())
		dead := r.take(ask("dead", "%DLQ%g"), 1)[0]
		if string(dead.GetBody()) != "2" || dead.GetSystemProperties().GetMessageType() != v2.MessageType_FIFO {
			r.Errorf("dead letter %v", dead)
		}
	})
}

func TestADeadLetterAfterTheLastAttempt(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		g := mq.DefaultGroupConfig("g")
		g.RetryMaxTimes = 1
		r.group(g)
		r.send(r.message("T", "poison"))
		for range 2 {
			r.take(ask("g", "T"), 1)
			time.Sleep(31 * time.Second)
		}
		st, list := r.receive(ask("g", "T"))
		r.is(st, v2.Code_MESSAGE_NOT_FOUND)
		if len(list) != 0 {
			r.Errorf("%v", list)
		}
		if dead := r.take(ask("dead", "%DLQ%g"), 1); string(dead[0].GetBody()) != "poison" {
			r.Errorf("%v", dead)
		}
		time.Sleep(31 * time.Second)
		if st, list = r.receive(ask("g", "T")); len(list) != 0 {
			r.Errorf("%v %v", st, list)
		}
	})
}

func TestDelayAndRecall(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "DELAY", 1)
		send := func(in time.Duration) *v2.SendResultEntry {
			m := r.message("T", in.String())
			m.SystemProperties.DeliveryTimestamp = timestamppb.New(time.Now().Add(in))
			return r.send(m)
		}
		send(-time.Minute)
		r.take(ask("g", "T"), 1)
		send(30 * time.Second)
		st, _ := r.receive(ask("g", "T"))
		r.is(st, v2.Code_MESSAGE_NOT_FOUND)
		time.Sleep(30 * time.Second)
		if m := r.take(ask("g2", "T"), 2)[1]; m.GetSystemProperties().GetMessageType() != v2.MessageType_DELAY || m.GetSystemProperties().GetDeliveryTimestamp() == nil {
			r.Errorf("%v", m)
		}
		e := send(time.Minute)
		back, err := r.client.RecallMessage(r.ctx, &v2.RecallMessageRequest{Topic: res("T"), RecallHandle: e.GetRecallHandle()})
		must(r, err)
		r.is(back.GetStatus(), v2.Code_FORBIDDEN) // recallMessageEnable is off
		back, err = r.client.RecallMessage(r.ctx, &v2.RecallMessageRequest{Topic: res("nothing"), RecallHandle: e.GetRecallHandle()})
		must(r, err)
		r.is(back.GetStatus(), v2.Code_TOPIC_NOT_FOUND)
	})
}
