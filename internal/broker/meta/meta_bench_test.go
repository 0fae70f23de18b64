package meta

import (
	"fmt"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

func BenchmarkGet(b *testing.B) {
	tb := open(b, newMem(b))
	for i := range 10000 {
		tb.Topics.seed(fmt.Sprintf("topic-%d", i), topic("T"))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := tb.Topics.Get("topic-4711"); !ok {
			b.Fatal("lost")
		}
	}
}

func BenchmarkCommit(b *testing.B) {
	tb := open(b, newMem(b))
	for i := range 10000 {
		tb.Offsets.Commit("group", fmt.Sprintf("topic-%d", i), 0, 1)
	}
	must(b, tb.Offsets.Sync())
	b.ReportAllocs()
	at := mq.Index(0)
	for b.Loop() {
		at++
		tb.Offsets.Commit("group", "topic-4711", 0, at)
	}
}

// BenchmarkCommitSync is a two-way commit of one client on a real disk.
func BenchmarkCommitSync(b *testing.B) { commitSync(b, nil) }

// BenchmarkCommitSyncFollowed is the same with a slave that waits for changes.
func BenchmarkCommitSyncFollowed(b *testing.B) { commitSync(b, followed(b)) }

// followed returns a feed that a slave follows.
func followed(tb testing.TB) *tablefeed.Feed {
	tb.Helper()
	feed := tablefeed.New(tablefeed.Options{State: func() []byte { return nil }, End: func() int64 { return 0 }})
	tb.Cleanup(feed.Close)
	q := tablefeed.Question{Follower: 1, Wait: time.Hour}
	var ask func(b []byte)
	ask = func(b []byte) {
		var a tablefeed.Answer
		must(tb, a.Decode(b))
		q.Stream, q.Received = a.Stream, a.Next
		_ = feed.Serve(q.AppendTo(nil), ask) // until it is closed
	}
	must(tb, feed.Serve(q.AppendTo(nil), ask))
	return feed
}

func commitSync(b *testing.B, feed *tablefeed.Feed) {
	b.Helper()
	tb, err := Open(vfs.OS(), b.TempDir(), Options{Feed: feed})
	must(b, err)
	b.ReportAllocs()
	at := mq.Index(0)
	for b.Loop() {
		at++
		tb.Offsets.Commit("group", "topic", 0, at)
		must(b, tb.Offsets.Sync())
	}
	must(b, tb.Close())
}

// BenchmarkCreate10k creates 10,000 topics one by one on a real disk, each on disk before the next.
func BenchmarkCreate10k(b *testing.B) {
	for b.Loop() {
		tb, err := Open(vfs.OS(), b.TempDir(), Options{})
		must(b, err)
		for i := range 10000 {
			_, _, err := tb.Topics.Put(topic(fmt.Sprintf("topic-%d", i)))
			must(b, err)
		}
		must(b, tb.Close())
	}
}

// BenchmarkFold80k folds the positions of 10,000 topics of 8 queues.
func BenchmarkFold80k(b *testing.B) {
	tb, err := Open(vfs.OS(), b.TempDir(), Options{})
	must(b, err)
	for i := range 10000 {
		for q := range int32(8) {
			tb.Offsets.Commit("group", fmt.Sprintf("topic-%d", i), q, mq.Index(i))
		}
	}
	for b.Loop() {
		tb.Offsets.Commit("group", "topic-0", 0, 1)
		must(b, tb.Offsets.Fold())
	}
	must(b, tb.Close())
}
