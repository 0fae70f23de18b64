package node

import (
	"flag"
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

var powerSeeds = flag.Int("power-seeds", 2, "seeds of TestBrokersThatLosePowerAndAreBackAtOnceLoseNothing")

// Without SYNC_FLUSH a machine that loses its power comes back with less than it has acknowledged, and here so soon that nobody has
// missed it. The others have what it lost. Heartbeats are rare, so that what the controllers know of the logs is old.
func TestBrokersThatLosePowerAndAreBackAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	set := maps.Clone(safe)
	set["brokerHeartbeatInterval"], set["controllerHeartBeatTimeoutMills"] = "5000", "20000"
	for seed := range *powerSeeds {
		for _, who := range []string{"master", "slave, then master"} {
			t.Run(who+" "+strconv.Itoa(seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := newFleet(t, 1, 3, set)
					f.rng = rand.New(rand.NewPCG(uint64(seed), 5))
					defer f.close()
					f.inSync(time.Minute)
					p := f.produce()
					time.Sleep(7*time.Second + time.Duration(f.rng.IntN(5000))*time.Millisecond)
					m := f.master()
					blink := func(m *machine) {
						m.kill(true)
						time.Sleep(time.Duration(20+f.rng.IntN(500)) * time.Millisecond)
						m.revive()
					}
					if who == "master" {
						blink(m)
					} else {
						for _, s := range f.brokers {
							if s != m {
								blink(s)
								break
							}
						}
						time.Sleep(time.Duration(f.rng.IntN(3000)) * time.Millisecond)
						m.kill(false)
						time.Sleep(5 * time.Second)
						m.revive()
					}
					f.inSync(time.Minute)
					time.Sleep(time.Second)
					f.check(f.master(), p.end())
				})
			})
		}
	}
}
