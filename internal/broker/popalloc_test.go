package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// A pop of 32 messages and their acknowledgements allocate nothing once the queue is in use, besides what writing the journal of
// the file system in memory takes.
func TestAllocationsOfPops(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := start(t, func(o *setup) { o.idle = true })
	r.topic("T", 1)
	var batch []mq.SendRequest
	for i := range 6400 {
		batch = append(batch, message("T", 0, fmt.Sprintf("m%d", i)))
	}
	r.send(batch...)
	r.store.CatchUp()
	var res mq.PopResult
	res.Records = make([]byte, 0, 64<<10)
	var handle []byte
	q := popRequest("g", "T", time.Minute)
	ack := mq.AckRequest{Group: "g", Topic: "T", ClientHost: client}
	next := mq.Index(0)
	n := testing.AllocsPerRun(150, func() {
		c := *q
		res.Records = res.Records[:0]
		if err := r.Pop(t.Context(), &c, &res); err != nil || res.Count != 32 {
			t.Fatalf("%d messages, %v", res.Count, err)
		}
		for range res.Count {
			rc := mq.Receipt{PopTime: res.PopTime, Invisible: res.Invisible, ReviveQID: res.ReviveQID, Retry: "0", Broker: "broker-a", Index: next, Offset: -1}
			handle = rc.AppendTo(handle[:0])
			ack.Index, ack.Receipt = next, string(handle)
			if note, err := r.Ack(t.Context(), &ack); err != nil || note != "" {
				t.Fatal(note, err)
			}
			next++
		}
	})
	// One string for each handle is the test's own.
	if n > 32+2 {
		t.Errorf("%v allocations for a pop of 32 messages and their acknowledgements, 32 of them the test's", n)
	}
}
