package commitlog

import (
	"context"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/record"
)

// Flush makes everything that is appended now durable.
func (l *Log) Flush() error {
	l.syncing <- struct{}{}
	defer func() { <-l.syncing }()
	if e := l.failed.Load(); e != nil {
		return e
	}
	from, to := l.flushed.Load(), l.appended.Load()
	if from >= to {
		return nil
	}
	ms := l.stamped.Load()
	begin := l.o.Now()
	l.load.syncing.Store(begin.UnixNano())
	err := l.set.Sync(from, to)
	took := l.o.Now().Sub(begin)
	l.load.synced(to-from, took)
	if l.o.Synced != nil {
		l.o.Synced(took)
	}
	if err != nil {
		return l.fail(err)
	}
	l.flushMs = ms
	l.flushed.Store(to)
	l.waits.fire()
	l.watchers.tell()
	if l.o.OnFlush != nil {
		l.o.OnFlush()
	}
	return nil
}

// Settle flushes and ends all waiting, now and in future.
func (l *Log) Settle() error {
	err := l.Flush()
	l.waits.giveUp()
	return err
}

// FlushTo makes the log up to off durable if it is not yet.
func (l *Log) FlushTo(off record.Offset) error {
	if l.Flushed() >= off {
		return nil
	}
	return l.Flush()
}

// Run flushes, keeps deadlines and makes files in advance until ctx ends. It flushes once more then.
func (l *Log) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { l.waits.runDeadlines(ctx) })
	wg.Go(func() { l.runPrepare(ctx) })
	err := l.runFlush(ctx)
	wg.Wait()
	return err
}

func (l *Log) runFlush(ctx context.Context) error {
	tick := time.NewTicker(l.o.FlushInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.Flush()
		case <-l.wake:
		case <-tick.C:
		}
		if l.failed.Load() != nil {
			l.waits.expire(time.Time{}, true)
			continue
		}
		// An error has been logged by fail; appends say it to everybody who asks.
		if err := l.Flush(); err != nil {
			l.o.Log.Debug("flush", "err", err)
		}
	}
}

func (l *Log) runPrepare(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.prepare:
		}
		err := l.Prepare()
		if err != nil && !failing { // once: each append asks again
			// The roll will try again and refuse messages if it must.
			l.o.Log.Warn("next log file could not be made in advance", "err", err)
		}
		failing = err != nil
	}
}

// Prepare makes the file behind the one that holds the end, unless there is one.
func (l *Log) Prepare() error {
	if size := l.set.FileSize(); l.set.End() > l.appended.Load()/size*size+size {
		return nil
	}
	_, err := l.set.Grow(0)
	return err
}
