package auth

import (
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// TestAFloodOfBadAuthentications: what is remembered of 100,000 of them, from one address and from many, under known and unknown names,
// is bounded, each is counted by its reason, and who is not meant gets in all the while.
// It is not parallel: it looks at the memory of the process.
func TestAFloodOfBadAuthentications(t *testing.T) {
	now := time.Unix(0, 0)
	g := open(t, Options{Authenticate: true, Now: func() time.Time { return now }})
	user(t, g, "alice", "secret", "")
	var sc Scratch
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := 100_000
	if raceEnabled { // slow, and no more is shared
		n = 20_000
	}
	for i := range n {
		r := request("alice", "guess")
		switch i % 4 {
		case 1:
			r = request("nobody"+string(rune('a'+i%26)), "x")
		case 2:
			r.From = netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
		case 3:
			r.Fields = nil
		}
		if _, err := g.Authenticate(r, &sc); err == nil {
			t.Fatal("authentic")
		}
		if g.Remembered() > maxDebts {
			t.Fatalf("%d are remembered after %d", g.Remembered(), i)
		}
		if i%10_000 == 0 {
			friend := request("alice", "secret")
			friend.From = netip.MustParseAddr("10.200.0.1")
			if _, err := g.Authenticate(friend, &sc); err != nil {
				t.Fatal("locked out by others:", err)
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d bytes more are kept", grown)
	}
	failed, denied := g.Refusals()
	total := int64(0)
	for _, c := range failed {
		total += c
	}
	if total != int64(n) || failed["no_user"] != int64(n/4) || failed["too_many_failures"] < int64(n*9/20) || failed["bad_signature"] < int64(n/4) || len(denied) != 5 {
		t.Errorf("%d in all: %v, %v", total, failed, denied)
	}
	now = now.Add(time.Minute)
	if _, err := g.Authenticate(request("alice", "secret"), &sc); err != nil {
		t.Error("after a minute:", err)
	}
}
