package record_test

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
)

func TestOffsetID(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"10.0.0.2:10911", "[2001:db8::1]:10911", "0.0.0.0:0"} {
		ap := netip.MustParseAddrPort(host)
		id := string(record.AppendOffsetID(nil, ap, 0x1234567890))
		got, off, err := record.ParseOffsetID(id)
		if err != nil || got != ap || off != 0x1234567890 {
			t.Errorf("%s: %v %d %v", id, got, off, err)
		}
		if got, _, err = record.ParseOffsetID(strings.ToLower(id)); err != nil || got != ap {
			t.Errorf("lower case: %v %v", got, err)
		}
	}
	for _, bad := range []string{"", "0A", strings.Repeat("G", 32), strings.Repeat("F", 32), strings.Repeat("0", 33), strings.Repeat("F", 56)} {
		if _, _, err := record.ParseOffsetID(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestUniqueIDs(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("here", 8*3600)
	u := record.NewUniqueIDs(netip.MustParseAddr("10.0.0.1"), 0x1F234)
	at := time.Date(2026, 2, 1, 0, 0, 1, 5e6, zone)
	a := string(u.Append([]byte("x"), at))
	if len(a) != 33 || !strings.HasPrefix(a, "x0A000001F234") || !strings.HasSuffix(a, "000003ED0000") {
		t.Errorf("first id %s", a)
	}
	if b := string(u.Append(nil, at.Add(-2*time.Second))); !strings.HasSuffix(b, "000000000001") || b[:20] != a[1:21] {
		t.Errorf("clock went back: %s", b)
	}
	if b := string(u.Append(nil, at.AddDate(0, 1, 0))); !strings.HasSuffix(b, "000003ED0002") {
		t.Errorf("next month: %s", b)
	}
	if b := string(u.Append(nil, time.Date(2026, 3, 31, 0, 0, 0, 0, zone))); !strings.HasSuffix(b, "9A7EC8000003") {
		t.Errorf("end of the month: %s", b)
	}
	if b := record.NewUniqueIDs(netip.MustParseAddr("2001:db8::1"), 1).Append(nil, at); len(b) != 56 {
		t.Errorf("IPv6: %s", b)
	}
	if b := record.NewUniqueIDs(netip.MustParseAddr("::ffff:10.0.0.1"), 1).Append(nil, at); len(b) != 32 {
		t.Errorf("mapped: %s", b)
	}
}

func TestUniqueIDsAreUnique(t *testing.T) {
	t.Parallel()
	u := record.NewUniqueIDs(netip.MustParseAddr("10.0.0.1"), 1)
	now := time.Now()
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[string]bool{}
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				id := string(u.Append(nil, now))
				mu.Lock()
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 4000 {
		t.Errorf("%d different ids", len(seen))
	}
}
