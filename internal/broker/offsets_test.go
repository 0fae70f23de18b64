package broker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

func TestCommitAndQuery(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 2)
	ctx := t.Context()
	refused(t, r.CommitIndex(ctx, "none", "T", 0, 1), mq.KindGroupNotExist, "Group none not exist!")
	must(t, r.PutGroup(ctx, mq.DefaultGroupConfig("g")))
	refused(t, r.CommitIndex(ctx, "g", "None", 0, 1), mq.KindTopicNotExist, "Topic None not exist!")
	for _, at := range []mq.Index{100, 7, 0} { // also backwards
		must(t, r.CommitIndex(ctx, "g", "T", 1, at))
		if got, err := r.QueryIndex(ctx, "g", "T", 1, false); err != nil || got != at {
			t.Errorf("%d %v", got, err)
		}
	}
	must(t, r.CommitIndex(ctx, "g", "T", 1, 55))
	fs := r.fs
	r.stop()
	r = start(t, func(o *setup) { o.FS = fs })
	if got, err := r.QueryIndex(ctx, "g", "T", 1, true); err != nil || got != 55 {
		t.Errorf("after a restart: %d %v", got, err)
	}
}

func TestGroupsWithoutPositionStartYoungQueuesAtTheirBegin(t *testing.T) {
	t.Parallel()
	const again, first = "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first", "Not found, do not set to zero, maybe this group boot first"
	r := start(t, func(o *setup) { o.HotBytes = 2000 })
	r.topic("T", 2)
	ctx := t.Context()
	_, err := r.QueryIndex(ctx, "g", "T", 0, true)
	refused(t, err, mq.KindQueryNotFound, again) // an empty queue has no message 0
	r.fill("T", 0, 3)
	if at, qerr := r.QueryIndex(ctx, "g", "T", 0, true); qerr != nil || at != 0 {
		t.Errorf("young queue: %d %v", at, qerr)
	}
	_, err = r.QueryIndex(ctx, "g", "T", 0, false)
	refused(t, err, mq.KindQueryNotFound, first)
	r.fill("T", 1, 50) // message 0 of queue 0 is far from the end now
	_, err = r.QueryIndex(ctx, "g", "T", 0, true)
	refused(t, err, mq.KindQueryNotFound, again)
	must(t, r.CommitIndex(ctx, "TOOLS_CONSUMER", "T", 0, -1))
	_, err = r.QueryIndex(ctx, "TOOLS_CONSUMER", "T", 0, true)
	refused(t, err, mq.KindQueryNotFound, again) // a negative position is none
}

func TestEndsOfQueues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 2)
		ctx := t.Context()
		check := func(what string, got mq.Index, err error, want mq.Index) {
			t.Helper()
			if err != nil || got != want {
				t.Errorf("%s is %d (%v), want %d", what, got, err, want)
			}
		}
		for _, q := range []struct {
			topic string
			queue int32
		}{{"None", 0}, {"T", 0}, {"T", 99}, {"T", -1}} {
			at, err := r.MinIndex(ctx, q.topic, q.queue)
			check("min", at, err, 0)
			at, err = r.MaxIndex(ctx, q.topic, q.queue)
			check("max", at, err, 0)
			at, err = r.IndexAtTime(ctx, q.topic, q.queue, 5, mq.BoundaryLower)
			check("by time", at, err, 0)
			if ms, err := r.EarliestStoreTime(ctx, q.topic, q.queue); err != nil || ms != -1 {
				t.Errorf("earliest %d %v", ms, err)
			}
		}
		began := time.Now().UnixMilli()
		for range 5 { // two messages each 10 s
			r.fill("T", 0, 2)
			time.Sleep(10 * time.Second)
		}
		at, err := r.MaxIndex(ctx, "T", 0)
		check("max", at, err, 10)
		at, err = r.MinIndex(ctx, "T", 0)
		check("min", at, err, 0)
		for _, c := range []struct {
			ms    int64
			b     mq.Boundary
			index mq.Index
		}{
			{began - 1, mq.BoundaryLower, 0},
			{began, mq.BoundaryLower, 0},
			{began + 1, mq.BoundaryLower, 2},
			{began + 10_000, mq.BoundaryLower, 2},
			{began + 10_000, mq.BoundaryUpper, 3},
			{began + 99_000, mq.BoundaryLower, 10},
		} {
			at, err := r.IndexAtTime(ctx, "T", 0, c.ms, c.b)
			check("by time", at, err, c.index)
		}
		if ms, err := r.EarliestStoreTime(ctx, "T", 0); err != nil || ms != began {
			t.Errorf("earliest %d %v, want %d", ms, err, began)
		}
		r.stop()
	})
}

func TestQueries(t *testing.T) {
	t.Parallel()
	r := start(t)
	ctx := t.Context()
	r.topic("T", 1)
	res, _ := r.send(
		message("T", 0, "one", "KEYS", "a  b", "UNIQ_KEY", "U1"), message("T", 0, "two", "KEYS", "b"), message("T", 0, "three"))
	r.settle()
	now := time.Now().UnixMilli()
	query := func(key string, n int, unique bool) (mq.KeyResult, error) {
		return r.QueryByKey(ctx, &mq.KeyQuery{Topic: "T", Key: key, Max: n, Begin: now - 60_000, End: now + 60_000, Unique: unique})
	}
	for _, c := range []struct {
		key    string
		n      int
		unique bool
		want   int
	}{{"a", 32, false, 1}, {"b", 32, false, 2}, {"b", 1, false, 1}, {"U1", 1, true, 1}, {res[2].UniqueKey, 0, true, 1}} {
		got, err := query(c.key, c.n, c.unique)
		must(t, err)
		if got.Count != c.want || len(messages(t, got.Records)) != c.want || got.LastUpdateAt == 0 {
			t.Errorf("%s: %d of %d, %+v", c.key, got.Count, c.want, got)
		}
	}
	for _, key := range []string{"c", "", " "} {
		_, err := query(key, 32, false)
		refused(t, err, mq.KindQueryNotFound, "can not find message, maybe time range not correct")
	}
	_, err := r.QueryByKey(ctx, &mq.KeyQuery{Topic: "T", Key: "a", Max: 32, Begin: 0, End: 1})
	if mq.KindOf(err) != mq.KindQueryNotFound {
		t.Error(err)
	}
	rec, err := r.MessageAt(ctx, res[1].Offset, []byte("kept"))
	must(t, err)
	if ms := messages(t, rec[4:]); string(rec[:4]) != "kept" || len(ms) != 1 || string(ms[0].Body) != "two" {
		t.Errorf("%+v", ms)
	}
	for _, off := range []mq.Offset{-1, res[1].Offset + 1, r.store.Appended(), 1 << 40} {
		_, err = r.MessageAt(ctx, off, nil)
		if mq.KindOf(err) != mq.KindInternal || err == nil {
			t.Errorf("at %d: %v", off, err)
		}
	}
	_, err = r.MessageAt(ctx, 12345678, nil)
	refused(t, err, mq.KindInternal, "can not find message by the offset, 12345678")
}

func TestQueryWithoutIndex(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.storage.IndexEnabled = false })
	r.put(message("T", 0, "x", "KEYS", "k"))
	r.settle()
	_, err := r.QueryByKey(t.Context(), &mq.KeyQuery{Topic: "T", Key: "k", Max: 32, End: 1 << 60})
	refused(t, err, mq.KindQueryNotFound, "can not find message, maybe time range not correct")
}
