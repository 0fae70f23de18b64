package broker_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

const sqlType = "SQL92"

// sqlRig has a topic with 100 messages whose property n is 0 to 9 again and again.
func sqlRig(t *testing.T, change ...func(*setup)) *rig {
	t.Helper()
	r := start(t, append([]func(*setup){func(o *setup) { o.PropFilter = true }}, change...)...)
	r.topic("T", 1)
	b := &mq.SendBatch{}
	for i := range 100 {
		b.Requests = append(b.Requests, message("T", 0, "x", "n", string(rune('0'+i%10))))
	}
	r.Send(t.Context(), b)
	r.settle()
	return r
}

func TestSQLFilteredPull(t *testing.T) {
	t.Parallel()
	r := sqlRig(t)
	s := session("c")
	hb := func(expr string, version int64) {
		r.consume(s, mq.ConsumerData{Group: "g", Subscriptions: []mq.Subscription{
			{Topic: "T", Expression: expr, ExpressionType: sqlType, Version: version},
		}})
	}
	hb("n BETWEEN 3 AND 4", 10)
	p := pull("T", 0, 0)
	p.HasExpression, p.SubVersion = false, 10
	p.Group = "g"
	f, err := r.Pull(t.Context(), p, nil)
	must(t, err)
	if f.Count != 20 || f.Next != 100 || f.Status != mq.FetchFound {
		t.Errorf("%s %d next %d", f.Status, f.Count, f.Next)
	}
	for _, m := range messages(t, f.Records) {
		if n, _ := m.Props.Get("n"); string(n) != "3" && string(n) != "4" {
			t.Errorf("n = %s", n)
		}
	}
	p.SubVersion = 11
	_, err = r.Pull(t.Context(), p, nil)
	refused(t, err, mq.KindSubscriptionNotLatest, "the consumer's subscription not latest")
	hb("n >", 11)
	_, err = r.Pull(t.Context(), p, nil)
	if mq.KindOf(err) != mq.KindFilterDataNotExist || !strings.HasPrefix(err.Error(), "The broker's consumer filter data is not exist!Your expression may be wrong! ") ||
		!strings.Contains(err.Error(), "at line 1, column 3") {
		t.Error(err)
	}
	hb("n = 7", 12)
	f, err = r.Pull(t.Context(), p, nil)
	must(t, err)
	if f.Count != 10 || f.Props == nil || f.Match != nil {
		t.Errorf("%d messages", f.Count)
	}

	// Expressions that come with the pull.
	p.HasExpression, p.ExpressionType, p.Expression = true, sqlType, "n = 1"
	for range 2 {
		if f, err = r.Pull(t.Context(), p, nil); err != nil || f.Count != 10 {
			t.Errorf("%d %v", f.Count, err)
		}
	}
	p.Expression = "n > 9"
	if f, err = r.Pull(t.Context(), p, nil); err != nil || f.Status != mq.FetchNoMatchedMessage || f.Next != 100 {
		t.Errorf("%s %d %v", f.Status, f.Next, err)
	}
	p.Expression = "n LIKE 'x'"
	if f, err = r.Pull(t.Context(), p, nil); err != nil || f.Count != 0 { // "n", and the rest is ignored
		t.Errorf("%d %v", f.Count, err)
	}
	for _, c := range []struct{ kind, expr, text string }{
		{sqlType, "n = ", "parse the consumer's subscription failed: "},
		{sqlType, "", "parse the consumer's subscription failed"},
		{"LUA", "n = 1", "parse the consumer's subscription failed: unknown expression type \"LUA\""},
	} {
		p.ExpressionType, p.Expression = c.kind, c.expr
		_, err = r.Pull(t.Context(), p, nil)
		if mq.KindOf(err) != mq.KindSubscriptionIllegal || !strings.HasPrefix(err.Error(), c.text) {
			t.Errorf("%s: %v", c.expr, err)
		}
	}
}

func TestCheckFilterOfSQL(t *testing.T) {
	t.Parallel()
	r := sqlRig(t)
	check := func(r *rig, kind, expr string) error {
		return r.CheckFilter(t.Context(), "g", &mq.Subscription{Topic: "T", Expression: expr, ExpressionType: kind})
	}
	must(t, check(r, "TAG", "||"))
	must(t, check(r, sqlType, "n = 1"))
	err := check(r, sqlType, "n = 1 and")
	if mq.KindOf(err) != mq.KindSubscriptionIllegal || !strings.Contains(err.Error(), "at line 1, column 9.") {
		t.Error(err)
	}
	off := start(t)
	err = check(off, sqlType, "n = 1")
	refused(t, err, mq.KindInternal, "The broker does not support consumer to filter message by SQL92")
}

// TestSQLWaitersGetTheProperties parks pulls and sends messages that one of them wants.
func TestSQLWaitersGetTheProperties(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := sqlRig(t)
		woken := make(chan string, 2)
		for _, expr := range []string{"n = 3", "n = 4"} {
			p := pull("T", 0, 100)
			p.ExpressionType, p.Expression = sqlType, expr
			f, err := r.Pull(t.Context(), p, nil)
			must(t, err)
			w := &mq.Waiter{Topic: "T", From: f.Next, Match: f.Match, Props: f.Props, Deadline: time.Now().Add(time.Hour)}
			w.Wake = func(*mq.Waiter) { woken <- expr }
			if !r.Park(w) {
				t.Fatal("not parked")
			}
		}
		r.put(message("T", 0, "x", "n", "5"))
		r.put(message("T", 0, "x", "n", "4"))
		if got := <-woken; got != "n = 4" || len(woken) != 0 {
			t.Errorf("woken: %s", got)
		}
		r.stop()
		<-woken
	})
}

func TestGroupsThatLeftAreForgottenLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := sqlRig(t, func(o *setup) { o.FilterKeep = time.Hour })
		s := session("c")
		hb := mq.ConsumerData{Group: "g", Subscriptions: []mq.Subscription{{Topic: "T", Expression: "n = 1", ExpressionType: sqlType, Version: 1}}}
		r.consume(s, hb)
		r.Detach(s)
		time.Sleep(2 * time.Hour)
		s2 := session("c")
		hb.Subscriptions[0].Expression, hb.Subscriptions[0].Version = "n = 2", 1
		r.consume(s2, hb) // the same version: if the old data were still there, they would count
		p := pull("T", 0, 0)
		p.Group, p.HasExpression, p.SubVersion = "g", false, 1
		f, err := r.Pull(t.Context(), p, nil)
		must(t, err)
		if m := messages(t, f.Records); len(m) != 10 || m[0].Index != 2 {
			t.Errorf("%d messages", len(m))
		}
		r.stop()
	})
}

// TestFilterSupportRetry: an expression on the retry topic means the one for the topic that a message came from.
func TestFilterSupportRetry(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		r := sqlRig(t, func(o *setup) { o.FilterRetry = on })
		s := session("c")
		r.consume(s, mq.ConsumerData{Group: "g", Subscriptions: []mq.Subscription{
			{Topic: "T", Expression: "n = 1", ExpressionType: sqlType, Version: 1},
			{Topic: "%RETRY%g", Expression: "n = 2", ExpressionType: sqlType, Version: 1},
		}})
		for _, n := range []string{"1", "2", "3"} {
			r.put(message("%RETRY%g", 0, "x", "n", n, "RETRY_TOPIC", "T"))
		}
		r.put(message("%RETRY%g", 0, "x", "n", "9", "RETRY_TOPIC", "unknown"))
		r.settle()
		p := pull("%RETRY%g", 0, 0)
		p.Group, p.HasExpression, p.SubVersion = "g", false, 1
		f, err := r.Pull(t.Context(), p, nil)
		must(t, err)
		var got []string
		for _, m := range messages(t, f.Records) {
			n, _ := m.Props.Get("n")
			got = append(got, string(n))
		}
		want := "2"
		if on {
			want = "1 9"
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("filterSupportRetry=%v: %s", on, s)
		}
	}
}

func TestSQLPullAllocatesNothing(t *testing.T) { // not parallel: it counts allocations
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := sqlRig(t)
	p := pull("T", 0, 0)
	p.ExpressionType, p.Expression = sqlType, "n BETWEEN 3 AND 4 AND missing IS NULL"
	buf := make([]byte, 0, 1<<20)
	if n := testing.AllocsPerRun(100, func() {
		if f, err := r.Pull(t.Context(), p, buf); err != nil || f.Count != 20 {
			t.Error(f.Count, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
