package broker_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/tablefeed"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/vfs"
)

// TestTablesAreEqualAfterRestarts ends and kills slave and master while tables change; at rest they are the same.
func TestTablesAreEqualAfterRestarts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newCouple(t, seed)
				time.Sleep(100 * time.Millisecond)
				p.fill()
				work := func(m *rig) {
					for i := range 20 {
						m.put(message("a", 0, strconv.Itoa(i)))
						must(t, m.CommitIndex(t.Context(), "g", "a", 0, mq.Index(10+i)))
						m.topic("r"+strconv.Itoa(p.rng.IntN(40)), 1)
						if i%5 == 0 {
							m.settle()
							for _, x := range m.pop(popRequest("pg", "a", time.Hour)) {
								if p.rng.IntN(2) == 0 {
									m.ack("pg", "a", x)
								}
							}
							must(t, m.DeleteTopic(t.Context(), "r"+strconv.Itoa(p.rng.IntN(40))))
						}
						time.Sleep(time.Duration(p.rng.IntN(20)) * time.Millisecond)
					}
				}
				work(p.master)
				for range 4 {
					p.part()
					restart := func(r *rig, as func(o *setup)) *rig {
						fs := r.fs
						if p.rng.IntN(2) == 0 {
							r.stop()
						} else {
							fs = fs.(*vfs.Mem).CrashClone(p.rng, vfs.ProcessKill)
							r.stop() // on a disk that nobody looks at any more
						}
						return start(t, func(o *setup) { as(o); o.FS = fs })
					}
					if p.rng.IntN(2) == 0 {
						work(p.master) // the slave is away
						p.slave = restart(p.slave, asSlave)
					} else {
						p.master = restart(p.master, asMaster)
						p.slave.ForgetMaster()
					}
					p.connect()
					work(p.master)
				}
				time.Sleep(3 * time.Second)
				if d := differ(t, p.master, p.slave); d != "" {
					t.Error(d)
				}
				p.part()
			})
		})
	}
}

// TestATopicThatIsMadeAgainBeginsAtZeroOnTheSlave: its messages are not hidden by those of the one before.
func TestATopicThatIsMadeAgainBeginsAtZeroOnTheSlave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newCouple(t, 1)
		p.delay.Store(int64(5 * time.Millisecond))
		time.Sleep(time.Second)
		for round := range 5 {
			p.master.topic("again", 1)
			for i := range 3 + round {
				p.master.put(message("again", 0, fmt.Sprintf("%d-%d", round, i)))
			}
			time.Sleep(100 * time.Millisecond)
			var want, got []string
			for _, m := range p.master.all("again", 0) {
				want = append(want, string(m.Body))
			}
			for _, m := range p.slave.all("again", 0) {
				got = append(got, string(m.Body))
			}
			if len(want) != 3+round || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("round %d: the slave has %v, the master %v", round, got, want)
			}
			must(t, p.master.DeleteTopic(t.Context(), "again"))
		}
		p.part()
	})
}

// BenchmarkFullState makes and takes over the full state of 10,000 topics and 100,000 positions.
func BenchmarkFullState(b *testing.B) {
	m := start(b, asMaster)
	must(b, m.PutGroup(b.Context(), mq.DefaultGroupConfig("g")))
	for i := range 10_000 {
		name := "topic-" + strconv.Itoa(i)
		m.topic(name, 10)
		for q := range int32(10) {
			must(b, m.CommitIndex(b.Context(), "g", name, q, 0))
		}
	}
	size := 0
	for b.Loop() {
		q := tablefeed.Question{Follower: rand.Uint64()}
		for {
			answer := make(chan []byte, 1)
			must(b, m.FollowTables(q.AppendTo(nil), func(x []byte) { answer <- x }))
			var a tablefeed.Answer
			must(b, a.Decode(<-answer))
			if q.State, q.StateHave = a.State, a.At+uint64(len(a.Entries)); q.StateHave == a.Total {
				size = int(a.Total)
				break
			}
		}
	}
	b.ReportMetric(float64(size), "bytes")
}
