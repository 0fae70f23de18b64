package broker_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// slowDisk takes bytes at a rate: a sync of the log lasts as long as what was written since the last one needs.
type slowDisk struct {
	rate int64 // bytes a second

	mu    sync.Mutex // guards dirty
	dirty int64
}

func (d *slowDisk) rule(op vfs.Op) error {
	if !strings.Contains(op.Name, "commitlog") {
		return nil
	}
	switch op.Kind {
	case vfs.OpWrite:
		d.mu.Lock()
		d.dirty += op.Len
		d.mu.Unlock()
	case vfs.OpDatasync, vfs.OpSync:
		d.mu.Lock()
		n := d.dirty
		d.dirty = 0
		d.mu.Unlock()
		time.Sleep(time.Millisecond + time.Duration(n*int64(time.Second)/d.rate))
	default:
	}
	return nil
}

// TestThreeTimesTheLoadOfTheDisk sends three times what the disk makes durable, for a while of virtual time, without
// waiting for answers. What is accepted must be answered soon, and the disk must be kept busy with it.
func TestThreeTimesTheLoadOfTheDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := &slowDisk{rate: 16 << 20}
		r := start(t, func(o *setup) {
			o.FS = vfs.NewFaulty(o.FS, disk.rule)
			o.FlushSync = true
			o.storage.SegmentSize = 128 << 20 // no second file: making one waits for a sync, and a mutex stops the clock
			o.storage.IndexEnabled = false
		})
		r.topic("T", 1)
		const body, burst, seconds = 8 << 10, 32, 5
		text := strings.Repeat("x", body)
		var mu sync.Mutex // guards the following
		var waits []time.Duration
		accepted, refusedN := int64(0), int64(0)
		remarks := map[string]bool{}
		every := time.Duration(int64(time.Second) * body * burst / (3 * disk.rate))
		begin := time.Now()
		for time.Since(begin) < seconds*time.Second {
			sb := &mq.SendBatch{}
			for range burst {
				sb.Requests = append(sb.Requests, message("T", 0, text, "WAIT", "true"))
			}
			sent := time.Now()
			sb.Done = func(b *mq.SendBatch, s mq.SendStatus) {
				mu.Lock()
				defer mu.Unlock()
				if s == mq.SendOK {
					accepted += int64(len(b.Requests))
				}
				waits = append(waits, time.Since(sent))
			}
			if !r.Send(t.Context(), sb) {
				mu.Lock()
				for _, res := range sb.Results {
					if res.Err == nil {
						t.Error("decided at once")
						continue
					}
					if res.Err.Kind != mq.KindBusy {
						t.Error(res.Err)
					}
					refusedN++
				}
				if e := sb.Results[0].Err; e != nil {
					remarks[strings.SplitN(e.Detail, ",", 2)[0]] = true
					if !strings.Contains(e.Detail, "flush lag: the disk takes ") || !strings.Contains(e.Detail, "limit 200ms") {
						t.Error(e.Detail)
					}
				}
				mu.Unlock()
			}
			time.Sleep(every)
		}
		took := time.Since(begin)
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		slices.Sort(waits)
		p99, worst := waits[len(waits)*99/100], waits[len(waits)-1]
		goodput := float64(accepted*body) / took.Seconds() / float64(disk.rate)
		t.Logf("goodput %.1f %% of the disk, %d accepted, %d refused, p50 %v p99 %v worst %v", 100*goodput, accepted, refusedN,
			waits[len(waits)/2], p99, worst)
		if goodput < 0.9 || p99 > 200*time.Millisecond || refusedN == 0 || !remarks["[TIMEOUT_CLEAN_QUEUE]broker busy"] || len(remarks) != 1 {
			t.Errorf("goodput %.3f, p99 %v, remarks %v", goodput, p99, remarks)
		}
		mu.Unlock()
		r.stop()
	})
}

func TestAWriteThatTakesTooLongIsBusy(t *testing.T) {
	t.Parallel()
	var gate stall
	var now sync.Map
	var ahead time.Duration
	r := start(t, func(o *setup) {
		o.FS = vfs.NewFaulty(o.FS, gate.rule)
		o.Now = func() time.Time {
			v, _ := now.LoadOrStore("ahead", ahead)
			return time.Now().Add(v.(time.Duration))
		}
	})
	r.put(message("T", 0, "x"))
	r.settle()
	gate.close()
	done := make(chan mq.SendResult, 1)
	go func() {
		res, _ := r.send(message("T", 0, "held"))
		done <- res[0]
	}()
	gate.wait()
	now.Store("ahead", 2*time.Second)
	res, _ := r.send(message("T", 0, "x"))
	if e := res[0].Err; e == nil || e.Kind != mq.KindBusy || !strings.HasPrefix(e.Detail, "[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: 2") ||
		!strings.Contains(e.Detail, "size of queue: 4, append queue: a write to the commit log takes longer than 1s") {
		t.Errorf("%+v", e)
	}
	gate.open()
	if res := <-done; res.Err != nil {
		t.Error(res.Err)
	}
	r.put(message("T", 0, "x"))
}
