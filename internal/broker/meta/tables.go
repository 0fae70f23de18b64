package meta

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Options of the tables. The zero value is Java's behaviour without any topic or group of its own.
type Options struct {
	// SystemTopics exist from the start (see SystemTopics); a topic of the same name in the file wins.
	SystemTopics []mq.TopicConfig
	// SystemGroups exist from the start; nil means SystemGroups().
	SystemGroups []mq.GroupConfig
	// TopicFold and GroupFold: the JSON is at most that old while Run runs. Default 500 ms.
	TopicFold, GroupFold time.Duration
	// OffsetFold is Java's flushConsumerOffsetInterval. Default 5 s.
	OffsetFold time.Duration
	// LightOffsets: the positions are in lmqConsumerOffset.json, as Java keeps them with enableLmq.
	LightOffsets bool
	// OffsetFlush: a commit without Sync is in the journal after that time. Default 20 ms.
	OffsetFlush time.Duration
	// FilterFold is the age of consumerFilter.json, default 10 s as in Java; FilterKeep is Java's filterDataCleanTimeSpan, default
	// 24 h.
	FilterFold, FilterKeep time.Duration
	// LogEnd is up to where the commit log certainly holds what was written (storage.Store.Intact): delay positions in the
	// journal that need more are void.
	LogEnd mq.Offset
	// Feed tells slaves what changes; may be nil.
	Feed *tablefeed.Feed
	// Retry is the pause after a failed write. Default 1 s.
	Retry time.Duration

	Now func() time.Time
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.TopicFold, 500*time.Millisecond)
	def(&o.GroupFold, 500*time.Millisecond)
	def(&o.OffsetFold, 5*time.Second)
	def(&o.OffsetFlush, 20*time.Millisecond)
	def(&o.FilterFold, 10*time.Second)
	def(&o.FilterKeep, 24*time.Hour)
	def(&o.Retry, time.Second)
	if o.SystemGroups == nil {
		o.SystemGroups = SystemGroups()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Tables is all that a broker knows besides messages.
type Tables struct {
	Topics  *Topics
	Groups  *Groups
	Offsets *Offsets
	Delays  *Delays
	Filters *Filters
	Modes   *Modes
	Statics *Statics
	o       Options
}

// Open loads the tables from the store directory root. The caller holds the store's lock. It starts no goroutine.
func Open(fsys vfs.FS, root string, o Options) (*Tables, error) {
	o = o.withDefaults()
	offsets, err := openOffsets(fsys, root, o)
	if err != nil {
		return nil, err
	}
	t := &Tables{
		Topics:  newTopics(newLedger(fsys, root, "topics.json", "topics", o.Log), o.Now),
		Groups:  newGroups(newLedger(fsys, root, "subscriptionGroup.json", "groups", o.Log), o.Now),
		Offsets: offsets,
		Delays:  newDelays(newLedger(fsys, root, "delayOffset.json", "delays", o.Log), o.Now, int64(o.LogEnd)),
		Filters: newFilters(newLedger(fsys, root, "consumerFilter.json", "filters", o.Log), o.Now, o.FilterKeep),
		Modes:   newModes(fsys, root),
		Statics: newStatics(fsys, root, o.Now),
		o:       o,
	}
	t.Topics.led.follow(o.Feed, tablefeed.Topics, true)
	t.Groups.led.follow(o.Feed, tablefeed.Groups, true)
	t.Offsets.led.follow(o.Feed, tablefeed.Offsets, false)
	t.Delays.led.follow(o.Feed, tablefeed.Delays, false)
	t.Filters.feed, t.Modes.feed, t.Statics.feed = o.Feed, o.Feed, o.Feed
	err = errors.Join(t.Topics.load(), t.Groups.load(), t.Offsets.load(), t.Delays.load(), t.Filters.load(), t.Modes.load(), t.Statics.load())
	if err != nil {
		return nil, err
	}
	if n := t.Delays.stale; n > 0 {
		o.Log.Warn("delayed messages will be delivered again: the log lost the first delivery", "positions", n)
	}
	for _, c := range o.SystemTopics {
		t.Topics.seed(c.Name, c)
	}
	for _, c := range o.SystemGroups {
		t.Groups.seed(c.Name, c)
	}
	return t, nil
}

// Run writes what changes, in the background, until ctx ends. It returns when its goroutines did.
func (t *Tables) Run(ctx context.Context) error {
	loops := []loop{
		{wake: t.Topics.kick.folds, delay: t.o.TopicFold, spare: foldSpare, work: t.Topics.Fold, what: t.Topics.led.json},
		{wake: t.Groups.kick.folds, delay: t.o.GroupFold, spare: foldSpare, work: t.Groups.Fold, what: t.Groups.led.json},
		{wake: t.Offsets.kick.folds, delay: t.o.OffsetFold, spare: foldSpare, work: t.Offsets.Fold, what: t.Offsets.led.json},
		{wake: t.Filters.kick.folds, delay: t.o.FilterFold, spare: foldSpare, work: t.Filters.Fold, what: t.Filters.led.json},
		{wake: t.Offsets.kick.flushes, delay: t.o.OffsetFlush, work: t.Offsets.Sync, what: t.Offsets.led.name + journalfile.Suffix},
	}
	var wg sync.WaitGroup
	for _, l := range loops {
		l.retry, l.log = t.o.Retry, t.o.Log
		wg.Go(func() { l.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Close writes the JSON files and ends. Run must have returned.
func (t *Tables) Close() error {
	return errors.Join(
		t.Topics.Fold(), t.Groups.Fold(), t.Offsets.Fold(), t.Delays.Fold(), t.Filters.Fold(),
		t.Topics.led.close(), t.Groups.led.close(), t.Offsets.led.close(), t.Delays.led.close(), t.Filters.led.close(),
	)
}
