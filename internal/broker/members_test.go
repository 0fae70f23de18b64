package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

func subscriptions(version int64, topics ...string) []mq.Subscription {
	var out []mq.Subscription
	for _, name := range topics {
		out = append(out, mq.Subscription{Topic: name, Expression: "*", Version: version})
	}
	return out
}

func TestHeartbeatMakesTheRetryTopic(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	must(t, r.PutTopic(t.Context(), mq.TopicConfig{Name: "Ordered", ReadQueues: 1, WriteQueues: 1, Perm: 6, Order: true}))
	g := mq.DefaultGroupConfig("wide")
	g.RetryQueues = 3
	must(t, r.PutGroup(t.Context(), g))
	r.topicsAnnounced()
	s := session("c")
	for _, c := range []struct {
		d    mq.ConsumerData
		want string
	}{
		{mq.ConsumerData{Group: "g", Subscriptions: subscriptions(1, "T")}, "%RETRY%g 1 6 0 false"},
		{mq.ConsumerData{Group: "g", Subscriptions: subscriptions(1, "T")}, ""},
		{mq.ConsumerData{Group: "g", Subscriptions: subscriptions(1, "T", "Ordered")}, "%RETRY%g 1 6 0 true"},
		{mq.ConsumerData{Group: "g", Subscriptions: subscriptions(1, "T")}, "%RETRY%g 1 6 0 false"},
		{mq.ConsumerData{Group: "wide", UnitMode: true}, "%RETRY%wide 3 6 2 false"},
		{mq.ConsumerData{Group: "not legal"}, ""},
	} {
		r.consume(s, c.d)
		got := ""
		for _, a := range r.topicsAnnounced() {
			got += fmt.Sprint(a.Name, " ", a.WriteQueues, " ", a.Perm, " ", a.SysFlag, " ", a.Order)
		}
		if got != c.want {
			t.Errorf("%s: announced %q, want %q", c.d.Group, got, c.want)
		}
	}
	if _, err := r.Topic(t.Context(), "%RETRY%g"); err != nil {
		t.Error(err)
	}
	if groups, _, _ := r.Groups(t.Context()); slices.ContainsFunc(groups, func(g mq.GroupConfig) bool { return g.Name == "not legal" }) {
		t.Error("an illegal group was made")
	}
}

func TestMembersAndNotification(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	quiet := mq.DefaultGroupConfig("quiet")
	quiet.NotifyConsumerIDsChanged = false
	must(t, r.PutGroup(t.Context(), quiet))
	_, err := r.Members(t.Context(), "g")
	refused(t, err, mq.KindInternal, "no consumer for this group, g")
	a, b := session("a"), session("b")
	told := func(s *mq.Session, want int32) {
		t.Helper()
		if got := s.Peer.(*peer).told.Swap(0); got != want {
			t.Errorf("%s was told %d times, want %d", s.ClientID, got, want)
		}
	}
	d := mq.ConsumerData{Group: "g", Subscriptions: subscriptions(1, "T")}
	r.consume(a, d)
	told(a, 1)
	r.consume(b, d)
	told(a, 1)
	told(b, 1)
	r.consume(a, d)
	told(b, 0)
	told(a, 0)
	r.consume(a, mq.ConsumerData{Group: "quiet"})
	told(a, 0)
	ids, err := r.Members(t.Context(), "g")
	must(t, err)
	if !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("%q", ids)
	}
	r.Leave(t.Context(), b, "PG", "g")
	told(a, 1)
	told(b, 0)
	r.consume(b, d)
	told(a, 1)
	told(b, 1)
	r.Detach(b)
	told(a, 1)
	r.Leave(t.Context(), a, "", "g")
	told(a, 0)
	if _, err := r.Members(t.Context(), "g"); err == nil {
		t.Error("an empty group has members")
	}
}

func TestHeartbeatReplies(t *testing.T) {
	t.Parallel()
	r := start(t)
	s := session("c")
	for i, c := range []struct {
		print   int32
		without bool
		want    bool
	}{{5, false, false}, {5, true, false}, {6, true, true}, {6, true, false}, {0, false, true}, {0, true, true}} {
		reply, err := r.Heartbeat(t.Context(), s, &mq.Heartbeat{
			Fingerprint: c.print, WithoutSubs: c.without, Producers: []string{"PG"},
			Consumers: []mq.ConsumerData{{Group: "g", Subscriptions: subscriptions(1, "T")}},
		})
		if err != nil || reply.SubsChanged != c.want {
			t.Errorf("step %d: %+v %v", i, reply, err)
		}
	}
}

func TestClientsWithoutHeartbeatAreClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		dead, live := session("dead"), session("live")
		d := mq.ConsumerData{Group: "g", Subscriptions: subscriptions(1, "T")}
		r.consume(dead, d)
		for range 5 {
			r.consume(live, d)
			time.Sleep(30 * time.Second)
		}
		ids, err := r.Members(t.Context(), "g")
		must(t, err)
		if !slices.Equal(ids, []string{"live"}) || !dead.Peer.(*peer).closed.Load() || live.Peer.(*peer).closed.Load() {
			t.Errorf("%q", ids)
		}
		r.stop()
	})
}

func TestLocksExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		q := []mq.Queue{{Topic: "T", Broker: "broker-a", ID: 1}}
		lock := func(client string) int {
			got, err := r.Lock(t.Context(), &mq.LockRequest{Group: "g", ClientID: client, Queues: q})
			must(t, err)
			return len(got)
		}
		if lock("a") != 1 || lock("b") != 0 {
			t.Error("lock")
		}
		time.Sleep(time.Minute)
		if lock("b") != 0 {
			t.Error("taken over within a minute")
		}
		time.Sleep(time.Millisecond)
		if lock("b") != 1 {
			t.Error("not free after a minute")
		}
		must(t, r.Unlock(t.Context(), &mq.LockRequest{Group: "g", ClientID: "b", Queues: q}))
		if lock("a") != 1 {
			t.Error("not free after unlock")
		}
		r.stop()
	})
}

func TestAssign(t *testing.T) {
	t.Parallel()
	routes := 0
	fail := false
	r := start(t, func(o *setup) {
		o.Routes = func(_ context.Context, topic string) ([]mq.Queue, error) {
			routes++
			if fail {
				return nil, errors.New("no name server")
			}
			if topic != "T" {
				return nil, nil
			}
			return []mq.Queue{{Topic: "T", Broker: "b", ID: 0}, {Topic: "T", Broker: "a", ID: 1}, {Topic: "T", Broker: "a", ID: 0}}, nil
		}
	})
	for _, id := range []string{"c2", "c1"} {
		r.consume(session(id), mq.ConsumerData{Group: "g", Subscriptions: subscriptions(1, "T")})
	}
	for _, c := range []struct {
		name string
		r    mq.AssignmentRequest
		want string
	}{
		{"first", mq.AssignmentRequest{Topic: "T", Group: "g", ClientID: "c1", Strategy: "AVG"}, "a0 a1 "},
		{"second", mq.AssignmentRequest{Topic: "T", Group: "g", ClientID: "c2", Strategy: "AVG"}, "b0 "},
		{"circle", mq.AssignmentRequest{Topic: "T", Group: "g", ClientID: "c1", Strategy: "AVG_BY_CIRCLE"}, "a0 b0 "},
		{"not a member", mq.AssignmentRequest{Topic: "T", Group: "g", ClientID: "c3", Strategy: "AVG"}, ""},
		{"broadcast", mq.AssignmentRequest{Topic: "T", Group: "g", ClientID: "c3", Strategy: "AVG", Broadcast: true}, "b0 a1 a0 "},
		{"strategy", mq.AssignmentRequest{Topic: "T", Group: "g", ClientID: "c1", Strategy: "X"}, "nil"},
		{"topic", mq.AssignmentRequest{Topic: "U", Group: "g", ClientID: "c1", Strategy: "AVG"}, "nil"},
		{"group", mq.AssignmentRequest{Topic: "T", Group: "h", ClientID: "c1", Strategy: "AVG"}, "nil"},
	} {
		got, err := r.Assign(t.Context(), &c.r)
		must(t, err)
		text := ""
		for _, a := range got {
			if a.Mode != "PULL" {
				t.Error(a.Mode)
			}
			text += fmt.Sprint(a.Queue.Broker, a.Queue.ID, " ")
		}
		if got == nil {
			text = "nil"
		}
		if text != c.want {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
	if routes != 2 { // T once, U once
		t.Errorf("asked %d times for routes", routes)
	}
	fail = true
	if got, err := r.Assign(t.Context(), &mq.AssignmentRequest{Topic: "V", Group: "g", ClientID: "c1", Strategy: "AVG"}); got != nil || err != nil {
		t.Error(got, err)
	}
}

func TestAssignWithoutNameServersOrBalancing(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.NoBalancing = true })
	r.topic("T", 2)
	got, err := r.Assign(t.Context(), &mq.AssignmentRequest{Topic: "T", Group: "g", ClientID: "c", Strategy: "AVG"})
	must(t, err)
	if len(got) != 2 || got[1].Queue != (mq.Queue{Topic: "T", Broker: "broker-a", ID: 1}) {
		t.Errorf("%+v", got)
	}
}

func TestCheckFilter(t *testing.T) {
	t.Parallel()
	r := start(t)
	must(t, r.CheckFilter(t.Context(), "g", &mq.Subscription{Expression: "a || b"}))
	refused(t, r.CheckFilter(t.Context(), "g", &mq.Subscription{Expression: "a > 1", ExpressionType: "SQL92"}), mq.KindInternal,
		"The broker does not support consumer to filter message by SQL92")
}
