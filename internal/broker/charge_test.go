package broker_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/quota"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// limited is a broker with quotas and a clock of its own.
func limited(t *testing.T, delay time.Duration, rules ...string) (r *rig, q *quota.Table, pass func(time.Duration)) {
	t.Helper()
	list, err := quota.Parse(rules)
	must(t, err)
	begin := time.Now()
	var passed atomic.Int64
	q = quota.New(begin)
	q.Set(list, delay)
	r = start(t, func(o *setup) {
		o.idle, o.NoFastFailure, o.Quotas = true, true, q
		o.Now = func() time.Time { return begin.Add(time.Duration(passed.Load())) }
	})
	return r, q, func(d time.Duration) { passed.Add(int64(d)) }
}

func overQuota(t *testing.T, err *mq.Error, text string) {
	t.Helper()
	if err == nil || err.Kind != mq.KindBusy || !strings.HasPrefix(err.Detail, "[QUOTA]broker busy, start flow control for a while, ") || !strings.Contains(err.Detail, text) {
		t.Errorf("%v, want %s", err, text)
	}
}

func TestQuotasOfTopicsUsersAndClients(t *testing.T) {
	t.Parallel()
	r, q, pass := limited(t, 100*time.Millisecond, "topic:A:messages=50", "user:bob:bytes=1000", "client:*:messages=50")
	for _, topic := range []string{"A", "B", "C"} {
		r.topic(topic, 1)
	}
	minute := func(m mq.SendRequest) (taken int, last mq.SendResult, waited time.Duration) {
		t.Helper()
		for range 60_000 / 10 {
			pass(10 * time.Millisecond)
			res, _ := r.send(m)
			if res[0].Err == nil {
				taken++
				waited = max(waited, res[0].Wait)
				continue
			}
			last = res[0]
		}
		return taken, last, waited
	}
	within := func(what string, got, want int) {
		t.Helper()
		if float64(got) < 0.98*float64(want) || float64(got) > 1.02*float64(want) {
			t.Errorf("%s: %d messages in a minute, want %d", what, got, want)
		}
	}
	n, last, waited := minute(message("A", 0, "x"))
	within("topic", n, 3000)
	overQuota(t, last.Err, "quota of topic A: 50 messages/s, behind by 1")
	if waited <= 0 || waited > 100*time.Millisecond {
		t.Errorf("answers waited %s", waited)
	}

	// Its neighbours do not notice.
	if n, _, waited = minute(message("B", 0, "x")); n != 6000 || waited != 0 {
		t.Errorf("%d messages, waited %s", n, waited)
	}
	m := message("B", 0, strings.Repeat("x", 20))
	m.User = "bob"
	n, last, _ = minute(m)
	within("user", n, 3000)
	overQuota(t, last.Err, "quota of user bob: 1000 bytes/s")
	m.User, m.Client = "eve", "c1"
	n, last, _ = minute(m)
	within("client", n, 3000)
	overQuota(t, last.Err, "quota of client c1: 50 messages/s")

	// What one quota refuses does not count for another.
	uses := q.Uses()
	both := message("A", 0, "x")
	both.Client = "c1"
	pass(time.Minute)
	for range 1000 {
		r.send(both)
	}
	for _, u := range q.Uses() {
		for _, was := range uses {
			if u.Name == "A" && was.Name == "A" && u.Taken-was.Taken > 30 {
				t.Errorf("%+v, was %+v", u, was)
			}
		}
	}
}

func TestBatchesCountAllTheirMessages(t *testing.T) {
	t.Parallel()
	r, q, _ := limited(t, time.Second, "topic:A:messages=1000")
	r.topic("A", 1)
	m := message("A", 0, batchOf(5))
	m.Batch = true
	if res, _ := r.send(m); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	if u := q.Uses(); len(u) != 1 || u[0].Taken != 5 || u[0].TakenBytes != int64(len(m.Body)) {
		t.Errorf("%+v", u)
	}
}

func TestQuotasOnAllTopicsSpareTheBrokersOwn(t *testing.T) {
	t.Parallel()
	r, q, _ := limited(t, 0, "topic:*:messages=1")
	for range 5 {
		if res, _ := r.send(message("%RETRY%g", 0, "x")); res[0].Err != nil {
			t.Fatal(res[0].Err)
		}
	}
	if u := q.Uses(); len(u) != 0 {
		t.Errorf("%+v", u)
	}
}

func TestQuotasAreTold(t *testing.T) {
	t.Parallel()
	r, q, pass := limited(t, time.Millisecond, "topic:A:messages=10", "topic:A:bytes=1000")
	r.topic("A", 1)
	for range 10 {
		r.send(message("A", 0, "x"))
		pass(10 * time.Millisecond)
	}
	q.Sample(time.Second)
	info, err := r.RuntimeInfo(t.Context())
	must(t, err)
	const want = "bytesLimit=1000 messagesLimit=10 bytesRate=3 messagesRate=3 delayed=0 refused=7"
	if got := info["quota.topic.A"]; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	values := map[string]float64{}
	telemetry.Collect([]telemetry.Source{{Collect: func(s *telemetry.Sink) { r.Collect(s, false) }}}, 0, func(s *telemetry.Sample) {
		if strings.HasPrefix(s.Metric.Name, "cometmq_quota_") {
			values[s.Metric.Name+" "+strings.Join(s.Labels, " ")] = s.Value
		}
	})
	for name, v := range map[string]float64{
		"cometmq_quota_limit topic A messages": 10, "cometmq_quota_limit topic A bytes": 1000, "cometmq_quota_taken_total topic A messages": 3,
		"cometmq_quota_refused_messages_total topic A": 7, "cometmq_quota_delayed_messages_total topic A": 0,
	} {
		if got, ok := values[name]; !ok || got != v {
			t.Errorf("%s: %v, want %v of %v", name, got, v, values)
		}
	}
	q.Set(nil, 0)
	if info, err = r.RuntimeInfo(t.Context()); err != nil || info["quota.topic.A"] != "" {
		t.Errorf("%v %v", info["quota.topic.A"], err)
	}
}

func TestSendsUnderQuotasCostNoMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, rules := range [][]string{nil, {"topic:*:messages=1000000000", "user:*:bytes=1000000000000", "client:*:messages=1000000000"}} {
		list, err := quota.Parse(rules)
		must(t, err)
		q := quota.New(time.Now())
		q.Set(list, time.Second)
		r := start(t, func(o *setup) { o.onDisk(t); o.idle, o.storage.SegmentSize, o.Quotas = true, 64<<20, q })
		r.topic("T", 8)
		b := sendBatch(64, 128, "T")
		for i := range b.Requests {
			b.Requests[i].User, b.Requests[i].Client = "bob", "10.0.0.1@7"
		}
		for range 50 {
			r.Send(t.Context(), b)
		}
		if n := testing.AllocsPerRun(50, func() { r.Send(t.Context(), b) }); n > 0 {
			t.Errorf("with %v: %v allocations", rules, n)
		}
	}
}
