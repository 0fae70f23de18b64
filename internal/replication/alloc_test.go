package replication

import (
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// A report of a slave, and the label of a frame, cost no memory: there are as many as messages when each is waited for.
func TestReportsAllocateNothing(t *testing.T) {
	disk := vfs.NewMem(vfs.MemOptions{})
	s := open(t, disk, false, false)
	m, err := NewSwitchMaster(SwitchMasterOptions{Store: s.store, Epochs: epochsOn(t, disk), ID: 1, Epoch: 1, Set: []int64{1, 2, 3}, AllAck: true})
	must(t, err)
	end := put(t, s.store, "one")
	x := &sender{m: m.server, asked: make(chan record.Offset, 1)}
	talk := &switchTalk{m: m, s: x, who: handshake{id: 2}, met: true}
	talk.in.hello = true
	x.d = talk
	m.add(x)
	must(t, x.start(end, false))
	report, head := appendSwitchReport(nil, end), make([]byte, 0, switchHeaderLen)
	if n := testing.AllocsPerRun(1000, func() {
		must(t, talk.hear(report))
		talk.offered(end)
		head = talk.header(head[:0], 0, 100)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	must(t, s.store.Close())
}
