package broker_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// When the journal cannot be written acknowledgements fail with the cause, messages are handed out all the same, and when it can
// be written again nothing of what was said is forgotten.
func TestPopJournalFails(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	mem := vfs.NewMem(vfs.MemOptions{})
	faulty := vfs.NewFaulty(mem, func(op vfs.Op) error {
		if broken.Load() && strings.Contains(op.Name, "/cometmq/pop.") && (op.Kind == vfs.OpWrite || op.Kind == vfs.OpCreate) {
			return errors.New("no space for that")
		}
		return nil
	})
	r := start(t, func(o *setup) { o.FS, o.idle = faulty, true })
	r.topic("T", 1)
	r.putN("T", 6)
	r.store.CatchUp()
	q := popRequest("g", "T", time.Hour)
	q.MaxMessages = 3
	first := r.pop(q)
	broken.Store(true)
	if note, err := r.Ack(t.Context(), r.ackOf("g", "T", first[0])); err != nil || note != "" {
		t.Fatal(note, err)
	}
	if err := r.SyncPops(); err == nil || mq.KindOf(err) != mq.KindInternal || !strings.Contains(err.Error(), "no space for that") {
		t.Errorf("the answer to an acknowledgement: %v", err)
	}
	var res mq.PopResult
	c := *q
	if err := r.Pop(t.Context(), &c, &res); err != nil || res.Count != 3 {
		t.Errorf("%d messages, %v", res.Count, err)
	}
	broken.Store(false)
	must(t, r.SyncPops())
	r2 := start(t, func(o *setup) { o.FS = r.fsOf(mem) })
	if list := r2.pop(popRequest("g", "T", time.Hour)); len(list) != 0 {
		t.Errorf("after a kill: %v", list)
	}
	r2.ack("g", "T", first[1:]...)
	if at, err := r2.QueryIndex(t.Context(), "g", "T", 0, false); err != nil || at != 3 {
		t.Errorf("position %d %v", at, err)
	}
}
