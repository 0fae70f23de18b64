package storetool

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Remote is the log of a broker that runs.
type Remote interface {
	// Extent is what it holds now.
	Extent(ctx context.Context) (Extent, error)
	// Message returns the message that begins at a place of the log as it is stored, ErrNoMessage when none does. It may be called at once
	// from several goroutines.
	Message(ctx context.Context, off int64) ([]byte, error)
}

// ErrNoMessage says that no message begins at a place of the other log.
var ErrNoMessage = errors.New("no message begins there")

const (
	remoteBatch = 512 // messages that are compared at a time
	remoteAsks  = 32  // questions that are under way at a time
)

// VerifyRemote compares a log with that of a running broker, message by message. Only what both have is compared: the running one writes
// on, and may delete old files. No broker may run on p. progress, if not nil, is told how far the comparison is.
func VerifyRemote(ctx context.Context, fsys vfs.FS, p Place, name string, other Remote, progress func(off, end int64)) (*Comparison, error) {
	extent, err := other.Extent(ctx)
	if err != nil {
		return nil, err
	}
	c := &Comparison{Dir: p.Root, Against: name, Log: Extent{First: -1}, Other: extent}
	v := &remoteVerify{c: c, fs: fsys, dir: p.log(), other: other}
	var batch []piece
	for x, err := range pieces(ctx, fsys, p.log()) {
		if err != nil {
			return nil, err
		}
		if c.Log.First < 0 {
			c.Log.First = x.off
		}
		c.Log.End = x.end()
		if x.damage != nil {
			c.Faults = append(c.Faults, Fault{Damage: *x.damage})
		} else if x.end() <= extent.First || x.off >= extent.End {
			continue
		}
		if batch = append(batch, x); len(batch) < remoteBatch {
			continue
		}
		if err := v.batch(ctx, batch); err != nil {
			return nil, err
		}
		if batch = batch[:0]; progress != nil {
			progress(x.end(), extent.End)
		}
	}
	if err := v.batch(ctx, batch); err != nil {
		return nil, err
	}
	if c.Log.First < 0 {
		return nil, fmt.Errorf("nothing to compare: %s has no messages", p.log())
	}
	return c, nil
}

// remoteVerify is a comparison under way.
type remoteVerify struct {
	c     *Comparison
	fs    vfs.FS
	dir   string
	other Remote
	fault int // of c.Faults, the next one
}

// batch compares some messages in their order.
func (v *remoteVerify) batch(ctx context.Context, list []piece) error {
	got := make([]answer, len(list))
	var wg sync.WaitGroup
	slots := make(chan struct{}, remoteAsks)
	for i := range list {
		if list[i].damage != nil {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			got[i] = v.ask(ctx, list[i].off)
			<-slots
		})
	}
	wg.Wait()
	if slices.ContainsFunc(got, func(a answer) bool { return errors.Is(a.err, ErrNoMessage) }) {
		now, err := v.other.Extent(ctx) // it may have deleted old files meanwhile
		if err != nil {
			return err
		}
		v.c.Other.First = max(v.c.Other.First, now.First)
	}
	for i := range list {
		x, y := &list[i], &got[i]
		if x.damage != nil {
			if err := v.look(ctx, x); err != nil {
				return err
			}
			continue
		}
		switch {
		case errors.Is(y.err, ErrNoMessage) && x.off < v.c.Other.First:
		case errors.Is(y.err, ErrNoMessage):
			v.differ(x.off, fmt.Sprintf("a message of %d bytes here, none begins there", x.size))
		case y.err != nil:
			return y.err
		case y.size != x.size:
			v.differ(x.off, fmt.Sprintf("a message of %d bytes here, one of %d there", x.size, y.size))
		case y.sum != x.sum:
			v.differ(x.off, fmt.Sprintf("two messages of %d bytes that are not the same", x.size))
		default:
			v.c.Same++
			v.c.Bytes += x.size
		}
	}
	return nil
}

// answer is a message of the other log.
type answer struct {
	size int64
	sum  uint32
	err  error
}

func (v *remoteVerify) ask(ctx context.Context, off int64) answer {
	rec, err := v.other.Message(ctx, off)
	if err != nil {
		return answer{err: err}
	}
	return answer{size: int64(len(rec)), sum: crc32.Checksum(rec, castagnoli)}
}

// look finds out whether the other log has all the messages that belong into a damaged part. What it has there is hostile until it is
// read as messages.
func (v *remoteVerify) look(ctx context.Context, x *piece) error {
	f := &v.c.Faults[v.fault]
	v.fault++
	if x.off < v.c.Other.First || x.end() > v.c.Other.End {
		return nil
	}
	at := x.off
	for at < x.end() {
		rec, err := v.other.Message(ctx, at)
		if errors.Is(err, ErrNoMessage) { // nor has it when it was deleted meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		var m record.Message
		n, err := record.Decode(rec, &m, true)
		if err != nil || n != len(rec) || int64(m.Offset) != at {
			return nil //nolint:nilerr // it is damaged there, too
		}
		at += int64(n)
	}
	f.Whole = at == x.end()
	return nil
}

func (v *remoteVerify) differ(off int64, reason string) {
	if v.c.Count++; len(v.c.Differences) < maxDifferences {
		v.c.Differences = append(v.c.Differences, Difference{Offset: off, Here: fileAt(v.fs, v.dir, off), Reason: reason})
	}
}
