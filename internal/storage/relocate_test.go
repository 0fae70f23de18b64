package storage

import (
	"fmt"
	"testing"

	"github.com/cometmq/cometmq/internal/vfs"
)

// TestDamagedQueueEntryCostsNoMessage flips each bit of a queue entry that says where its message is: the message is found in
// the log all the same, once and in its place.
func TestDamagedQueueEntryCostsNoMessage(t *testing.T) {
	t.Parallel()
	const n = 60
	o := options(t)
	made := vfs.NewMem(vfs.MemOptions{})
	s := open(t, made, o)
	want := numbered(n)
	for i, body := range want {
		put(t, s, "T", 0, body)
		put(t, s, "T", 1, body)
		put(t, s, "U", 0, fmt.Sprint("other ", i))
	}
	settle(t, s)
	must(t, s.thorough())
	for _, victim := range []int{1, 17, n - 2} {
		for bit := range 12 * 8 { // offset and size
			disk := kill(made)
			change(t, disk, "/store/consumequeue/T/0/00000000000000000000", int64(victim)*20, 20, flip(bit))
			s := open(t, disk, o)
			for range 2 { // the second time it is known
				got := all(t, s, "T", 0)
				if len(got) != n {
					t.Fatalf("entry %d, bit %d: %d of %d messages", victim, bit, len(got), n)
				}
				equal(t, got, want)
			}
			must(t, s.Close())
		}
	}
}

// TestDamagedRecordIsNotSearchedForEver has both damaged, entry and record: one message is missing, and each further read is told
// so without another walk over the log.
func TestDamagedRecordIsNotSearchedForEver(t *testing.T) {
	t.Parallel()
	o := options(t)
	disk, want, at, _ := filled(t, o, 60)
	change(t, disk, "/store/consumequeue/T/0/00000000000000000000", 17*20, 20, flip(50))
	name, pos := logFile(o, at[17])
	change(t, disk, name, pos, 100, flip(8*90))
	s := open(t, disk, o)
	defer s.Close()
	for range 2 {
		if got := all(t, s, "T", 0); len(got) != len(want)-1 {
			t.Fatalf("%d of %d messages", len(got), len(want))
		}
	}
	if n := len(s.relocated.found); n != 1 {
		t.Errorf("%d findings are remembered", n)
	}
}

// TestDamagedFirstMessageIsNotOneOfADeletedTopic damages the first message of a topic, by its body or as a whole, that was deleted
// and made again: the message that had its index before must not come back.
func TestDamagedFirstMessageIsNotOneOfADeletedTopic(t *testing.T) {
	t.Parallel()
	o := options(t)
	made := vfs.NewMem(vfs.MemOptions{})
	s := open(t, made, o)
	put(t, s, "T", 0, "of the old topic")
	put(t, s, "U", 0, "between")
	must(t, s.DeleteTopic("T"))
	_, first := put(t, s, "T", 0, "first of the new topic")
	put(t, s, "T", 0, "second")
	settle(t, s)
	must(t, s.thorough())
	for bit := range 80 * 8 {
		disk := kill(made)
		name, pos := logFile(o, first)
		change(t, disk, name, pos, 80, flip(bit))
		s := open(t, disk, o)
		for _, body := range all(t, s, "T", 0) {
			if body == "of the old topic" {
				t.Fatalf("bit %d: a message of the deleted topic comes back", bit)
			}
		}
		must(t, s.Close())
	}
}
