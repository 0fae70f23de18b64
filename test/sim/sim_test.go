package sim

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seeds = flag.Int("seeds", 50, "how many seeds to run")
	from  = flag.Uint64("from", 1, "the first seed")
	only  = flag.Uint64("seed", 0, "run this seed alone")
	tell  = flag.Bool("tell", false, "print what the machines of a set log, also when nothing is wrong")
)

// TestCluster runs clusters through some minutes with faults.
func TestCluster(t *testing.T) {
	first, n := *from, *seeds
	if *only != 0 {
		first, n = *only, 1
	}
	var acked, crashes, cuts int
	var virtual time.Duration
	faults := map[string]int{}
	for s := first; s < first+uint64(n); s++ {
		ok := t.Run(fmt.Sprint("seed ", s), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				w := newWorld(t, s)
				w.start()
				w.live(6, 20*time.Second)
				w.finish()
				acked, crashes, cuts = acked+w.acked(), crashes+w.crashes, cuts+w.cuts
				for name, k := range w.faults {
					faults[name] += k
				}
				virtual += time.Since(began)
			})
		})
		if !ok {
			t.Fatalf("seed %d failed; alone: go test ./test/sim -run 'TestCluster$' -seed %d", s, s)
		}
	}
	t.Logf("%d seeds, %v of virtual time, %d crashes, %d of them power cuts, %d messages acknowledged, 0 lost", n, virtual.Round(time.Second), crashes, cuts, acked)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		list = append(list, fmt.Sprintf("%s %d", name, faults[name]))
	}
	t.Log(strings.Join(list, ", "))
	if *only == 0 && (acked < 100*n || crashes < n/2) {
		t.Errorf("%d acknowledged and %d crashes in %d seeds: the run proves nothing", acked, crashes, n)
	}
}

// TestHours runs a cluster through a day: few messages, a fault now and then, and log files that are deleted by age.
func TestHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, max(*only, 1))
		w.pace = 5 * time.Second
		hours := make([]string, 24)
		for i := range hours {
			hours[i] = fmt.Sprintf("%02d", i)
		}
		w.conf = map[string]string{"fileReservedTime": "2", "deleteWhen": strings.Join(hours, ";")}
		w.start()
		w.live(24, 2*time.Hour)
		c := w.client(brokerAddr)
		begin, end, err := c.Bounds(topic, 0)
		w.must(err)
		if begin == 0 || end < 1000 {
			t.Errorf("queue 0 is %d..%d: nothing was deleted by age", begin, end)
		}
		w.must(c.Close())
		w.finish()
		t.Logf("%d messages acknowledged, %d crashes, queue 0 is %d..%d", w.acked(), w.crashes, begin, end)
	})
}

// TestRouteEndsAfterSilence: a broker that says nothing for 120 s loses its routes, not before, and has them again as soon as
// it is heard.
func TestRouteEndsAfterSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.start()
		w.net.Partition(brokerHost, nsHost)
		silent := time.Now()
		for {
			time.Sleep(time.Second)
			if _, err := w.route(); err != nil {
				break
			}
			if time.Since(silent) > 3*time.Minute {
				t.Fatal("the route stays for ever")
			}
		}
		// The last heartbeat was up to 30 s before the silence, the name server looks every 10 s.
		if d := time.Since(silent); d < 85*time.Second || d > 135*time.Second {
			t.Errorf("the route ended after %v of silence", d)
		}
		w.net.Heal(brokerHost, nsHost)
		w.routeReturns()
		w.finish()
	})
}
