package broker_test

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// back gives a message back and waits for the answer.
func (r *rig) back(q mq.GiveBackRequest) error {
	r.t.Helper()
	answers := make(chan *mq.Error, 2)
	r.GiveBack(context.Background(), &q, func(err *mq.Error) { answers <- err })
	err := <-answers
	if len(answers) > 0 {
		r.t.Error("answered twice")
	}
	if err == nil {
		return nil
	}
	return err
}

func offsetID(at record.Offset) string { return string(record.AppendOffsetID(nil, storeHost, at)) }

func TestGivenBackForGoodIsADeadLetter(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	req := message("T", 0, "hello", "TAGS", "blue", "KEYS", "k1")
	req.Flag, req.SysFlag = 7, record.SysFlagCompressed
	sent := r.put(req)
	r.topicsAnnounced()
	must(t, r.back(mq.GiveBackRequest{Group: "g", At: sent.Offset, DelayLevel: -1}))

	var perms []string
	for _, c := range r.topicsAnnounced() {
		perms = append(perms, c.Name+" "+strconv.Itoa(int(c.Perm))+" "+strconv.Itoa(int(c.ReadQueues)))
	}
	if got := strings.Join(perms, ", "); got != "%RETRY%g 6 1, %DLQ%g 6 1" {
		t.Errorf("announced before the answer: %s", got)
	}
	dead := r.read("%DLQ%g", 0)
	if len(dead) != 1 {
		t.Fatalf("%d dead letters, want 1", len(dead))
	}
	m := &dead[0]
	if string(m.Body) != "hello" || m.Flag != 7 || m.SysFlag != record.SysFlagCompressed || m.BornTime != req.BornTime || m.BornHost != client || m.Reconsume != 1 {
		t.Errorf("message %+v", m)
	}
	for name, want := range map[string]string{
		"TAGS": "blue", "KEYS": "k1", "UNIQ_KEY": sent.UniqueKey, "RETRY_TOPIC": "T", "ORIGIN_MESSAGE_ID": offsetID(sent.Offset), "DELAY": "0", "WAIT": "false",
	} {
		if got := prop(m, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	// Once more, by another group, from there: what it was first is kept.
	must(t, r.back(mq.GiveBackRequest{Group: "h", At: m.Offset, DelayLevel: -1}))
	again := r.read("%DLQ%h", 0)
	if len(again) != 1 || prop(&again[0], "RETRY_TOPIC") != "T" || prop(&again[0], "ORIGIN_MESSAGE_ID") != offsetID(sent.Offset) || again[0].Reconsume != 2 {
		t.Errorf("second copy %+v", again)
	}
	if n := strings.Count(string(again[0].Props), "ORIGIN_MESSAGE_ID"); n != 1 {
		t.Errorf("%d origin ids", n)
	}
}

func TestTriesEndWhereTheGroupOrTheClientSays(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	g := mq.DefaultGroupConfig("g")
	g.RetryMaxTimes = 2
	must(t, r.PutGroup(t.Context(), g))
	for _, tc := range []struct {
		name  string
		tried int32
		q     mq.GiveBackRequest
		dead  bool
	}{
		{"the group's last", 2, mq.GiveBackRequest{}, true},
		{"more than the group's", 3, mq.GiveBackRequest{}, true},
		{"the client's last", 1, mq.GiveBackRequest{MaxReconsume: 1, HasMax: true}, true},
		{"the client allows none", 0, mq.GiveBackRequest{HasMax: true}, true},
		{"a level of the client counts for nothing then", 2, mq.GiveBackRequest{DelayLevel: 1}, true},
	} {
		m := message("T", 0, tc.name)
		m.Reconsume = tc.tried
		tc.q.Group, tc.q.At = "g", r.put(m).Offset
		must(t, r.back(tc.q))
		dead := r.read("%DLQ%g", 0)
		if got := len(dead) > 0 && string(dead[len(dead)-1].Body) == tc.name; got != tc.dead {
			t.Errorf("%s: dead letter %v, want %v", tc.name, got, tc.dead)
		}
	}
}

func TestGiveBackRefusals(t *testing.T) {
	t.Parallel()
	t.Run("unknown group", func(t *testing.T) {
		t.Parallel()
		r := start(t, func(o *setup) { o.AutoCreateGroup = false })
		refused(t, r.back(mq.GiveBackRequest{Group: "nobody"}), mq.KindGroupNotExist, "subscription group not exist, nobody "+
			"\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.")
	})
	t.Run("read-only broker", func(t *testing.T) {
		t.Parallel()
		r := start(t, func(o *setup) { o.Perm = mq.PermRead })
		refused(t, r.back(mq.GiveBackRequest{Group: "g"}), mq.KindNoPermission, "the broker[10.0.0.2] sending message is forbidden")
	})
	t.Run("read-only retry topic", func(t *testing.T) {
		t.Parallel()
		r := start(t)
		must(t, r.PutTopic(t.Context(), mq.TopicConfig{Name: "%RETRY%g", ReadQueues: 1, WriteQueues: 1, Perm: mq.PermRead}))
		refused(t, r.back(mq.GiveBackRequest{Group: "g"}), mq.KindNoPermission, "the topic[%RETRY%g] sending message is forbidden")
	})
	t.Run("a group that wants nothing back", func(t *testing.T) {
		t.Parallel()
		r := start(t)
		g := mq.DefaultGroupConfig("g")
		g.RetryQueues = 0
		must(t, r.PutGroup(t.Context(), g))
		end := r.store.Appended()
		must(t, r.back(mq.GiveBackRequest{Group: "g", At: 99, DelayLevel: -1}))
		if r.store.Appended() != end {
			t.Error("something was stored")
		}
	})
	t.Run("no such message", func(t *testing.T) {
		t.Parallel()
		r := start(t)
		r.topic("T", 1)
		at := r.put(message("T", 0, "a message that is long enough for one more in it", "k", strings.Repeat("v", 100))).Offset
		for _, off := range []mq.Offset{-1, at + 7, at + 91, 1 << 40, r.store.Appended()} {
			refused(t, r.back(mq.GiveBackRequest{Group: "g", At: off, DelayLevel: -1}), mq.KindInternal, "look message by offset failed, "+strconv.FormatInt(int64(off), 10))
		}
		if _, err := r.Topic(t.Context(), "%DLQ%g"); err == nil {
			t.Error("a dead-letter topic was made for nothing")
		}
		if _, err := r.Topic(t.Context(), "%RETRY%g"); err == nil {
			t.Error("a retry topic was made for nothing")
		}
	})
	t.Run("a disk that does not write", func(t *testing.T) {
		t.Parallel()
		var f fault
		r := start(t, func(o *setup) { o.FS = vfs.NewFaulty(o.FS, f.rule) })
		r.topic("T", 1)
		at := r.put(message("T", 0, "x")).Offset
		f.set(true)
		err := r.back(mq.GiveBackRequest{Group: "g", At: at, DelayLevel: -1})
		if mq.KindOf(err) != mq.KindUnavailable {
			t.Errorf("error %v", err)
		}
	})
}

func TestGiveBackIsAnsweredWhenSafe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(o *setup) { o.FlushSync, o.FlushTimeout, o.idle = true, time.Second, true })
		r.topic("T", 1)
		var at mq.Offset
		b := &mq.SendBatch{Requests: []mq.SendRequest{message("T", 0, "x")}, Done: func(*mq.SendBatch, mq.SendStatus) {}}
		if !r.Send(t.Context(), b) {
			t.Fatal("not pending")
		}
		at = b.Results[0].Offset
		must(t, r.store.Flush())
		answers := make(chan *mq.Error, 1)
		r.GiveBack(t.Context(), &mq.GiveBackRequest{Group: "g", At: at, DelayLevel: -1}, func(e *mq.Error) { answers <- e })
		if len(answers) != 0 {
			t.Fatal("answered before it is on disk")
		}
		must(t, r.store.Flush())
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	})
}

// toRetry is a message as a client sends it to its retry topic.
func toRetry(group string, tried, limit int32) mq.SendRequest {
	m := message("%RETRY%"+group, 0, "tried "+strconv.Itoa(int(tried)), "RETRY_TOPIC", "T", "ORIGIN_MESSAGE_ID", "FF", "DELAY", strconv.Itoa(int(3+tried)))
	m.Reconsume, m.MaxReconsume = tried, limit
	return m
}

func TestSendToRetryTopicBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	for _, m := range []mq.SendRequest{toRetry("g", 17, -1), toRetry("g", 3, 2), toRetry("g", 1, 0)} {
		r.topicsAnnounced()
		res := r.put(m)
		dead := r.read("%DLQ%g", 0)
		if len(dead) == 0 || !bytes.Equal(dead[len(dead)-1].Body, m.Body) || int(res.Index) != len(dead)-1 {
			t.Fatalf("%s: dead letters %d, result %+v", m.Body, len(dead), res)
		}
		last := &dead[len(dead)-1]
		if prop(last, "DELAY") != "-1" || prop(last, "RETRY_TOPIC") != "T" || prop(last, "ORIGIN_MESSAGE_ID") != "FF" || last.Reconsume != m.Reconsume {
			t.Errorf("dead letter %+v", last)
		}
	}
}

func TestOrderlyGroupsSendDeadLettersAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	r := start(t, func(o *setup) { o.idle, o.Now = true, func() time.Time { return now } })
	r.topic("T", 1)
	lock := &mq.LockRequest{Group: "g", ClientID: "c", Queues: []mq.Queue{{Topic: "T", Broker: "broker-a"}}}
	if got, err := r.Lock(t.Context(), lock); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	now = now.Add(time.Minute)
	r.put(toRetry("g", 0, 16))
	if n := len(r.read("%DLQ%g", 0)); n != 1 {
		t.Errorf("%d dead letters while a queue is locked, want 1", n)
	}
	now = now.Add(time.Millisecond) // the lock is over
	m := toRetry("g", 1, 16)
	m.Props = m.Props.AppendWithout(nil, "DELAY")
	r.put(m)
	if n := len(r.read("%DLQ%g", 0)); n != 1 {
		t.Errorf("%d dead letters after the lock is over, want 1", n)
	}
	if n := len(r.read("%RETRY%g", 0)); n != 1 {
		t.Errorf("%d messages to try again, want 1", n)
	}
}

// ladder is how long Java waits before each new try.
var ladder = []time.Duration{
	10 * time.Second, 30 * time.Second, 1 * time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 5 * time.Minute,
	6 * time.Minute, 7 * time.Minute, 8 * time.Minute, 9 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
	1 * time.Hour, 2 * time.Hour, 2 * time.Hour, 2 * time.Hour,
}

// tries consumes a message that always fails and returns when it was delivered, counted from the first time.
func (r *rig) tries(group string, q mq.GiveBackRequest) (at []time.Duration) {
	r.t.Helper()
	r.put(message("T", 0, "poison", "TAGS", "blue"))
	begin := time.Now()
	todo := r.read("T", 0)[1:]
	seen, retry := 0, "%RETRY%"+group
	for quiet := time.Duration(0); quiet < 3*time.Hour; {
		for i := range todo {
			if want := int32(len(at)); todo[i].Reconsume != want || string(todo[i].Body) != "poison" || prop(&todo[i], "TAGS") != "blue" {
				r.t.Errorf("delivery %d: %+v", want, todo[i])
			}
			at = append(at, time.Since(begin).Round(time.Second))
			q.Group, q.At = group, todo[i].Offset
			must(r.t, r.back(q))
			quiet = 0
		}
		time.Sleep(time.Second)
		quiet += time.Second
		all := r.read(retry, 0)
		todo, seen = all[seen:], len(all)
	}
	return at
}

func TestExactlyTheConfiguredNumberOfDeliveries(t *testing.T) {
	for _, tc := range []struct {
		name  string
		times int32
		q     mq.GiveBackRequest
		gaps  []time.Duration
	}{
		{"the default ladder", 16, mq.GiveBackRequest{}, ladder[:16]},
		{"longer than the ladder", 18, mq.GiveBackRequest{}, ladder[:18]},
		{"the group allows three", 3, mq.GiveBackRequest{}, ladder[:3]},
		{"the group allows none", 0, mq.GiveBackRequest{}, nil},
		{"the client allows two", 16, mq.GiveBackRequest{MaxReconsume: 2, HasMax: true}, ladder[:2]},
		{"a level of the client's", 4, mq.GiveBackRequest{DelayLevel: 2}, []time.Duration{5 * time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second}},
		{"a level that is too high", 1, mq.GiveBackRequest{DelayLevel: 99}, []time.Duration{2 * time.Hour}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if raceEnabled && len(tc.gaps) > 4 {
				t.Skip("twelve hours on the virtual clock take a minute with the race detector, and the short cases run the same code")
			}
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(o *setup) { o.storage.TagsCode = delay.JavaLevels().Tags })
				r.topic("T", 1)
				g := mq.DefaultGroupConfig("g")
				g.RetryMaxTimes = tc.times
				must(t, r.PutGroup(t.Context(), g))
				first := r.put(message("T", 0, "fine")).Offset // what is not given back is not delivered again
				got := r.tries("g", tc.q)
				want := []time.Duration{0}
				for _, gap := range tc.gaps {
					want = append(want, want[len(want)-1]+gap)
				}
				if len(got) != len(want) {
					t.Fatalf("%d deliveries, want %d", len(got), len(want))
				}
				for i := range want {
					if d := got[i] - want[i]; d < 0 || d > 2*time.Duration(i+1)*time.Second {
						t.Errorf("delivery %d after %v, want %v", i, got[i], want[i])
					}
				}
				dead := r.read("%DLQ%g", 0)
				if len(dead) != 1 {
					t.Fatalf("%d dead letters, want 1", len(dead))
				}
				m := &dead[0]
				if int(m.Reconsume) != len(want) || prop(m, "RETRY_TOPIC") != "T" || prop(m, "ORIGIN_MESSAGE_ID") == offsetID(first) || prop(m, "DELAY") != "0" {
					t.Errorf("dead letter %+v", m)
				}
			})
		})
	}
}
