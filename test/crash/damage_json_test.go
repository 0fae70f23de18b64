package crash

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/broker/meta"
)

// tableFiles are Java's files of the tables in a specimen.
var tableFiles = []string{root + "/config/topics.json", root + "/config/subscriptionGroup.json", root + "/config/consumerOffset.json"}

// A damaged JSON file is restored from its .bak and the journals, or the broker refuses to start and names it. Its
// tables never start with less than was there.
func TestDamageInJSONFiles(t *testing.T) {
	t.Run("flip", func(t *testing.T) {
		eachTables(t, "JSON file: one bit flipped", func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage) {
			for _, name := range tableFiles {
				for bit := r.Int64N(16); bit < 8*sizeOf(t, sp.disk, name); bit += 1 + r.Int64N(32) {
					disk := killed(sp.disk)
					flip(t, disk, name, bit)
					n.judge(t, sp, &damage{what: fmt.Sprintf("bit %d of %s", bit, name), disk: disk, files: []string{name}})
				}
			}
		})
	})
	t.Run("flip without bak", func(t *testing.T) {
		eachTables(t, "JSON file: one bit flipped, no .bak", func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage) {
			for _, name := range tableFiles {
				for bit := r.Int64N(64); bit < 8*sizeOf(t, sp.disk, name); bit += 1 + r.Int64N(128) {
					disk := killed(sp.disk)
					must(t, disk.Remove(name+".bak"))
					flip(t, disk, name, bit)
					n.judge(t, sp, &damage{what: fmt.Sprintf("bit %d of %s alone", bit, name), disk: disk, files: []string{name}, mayRefuse: true})
				}
			}
		})
	})
	for _, bak := range []bool{true, false} {
		kind := "JSON file: cut at each byte"
		if !bak {
			kind += ", no .bak"
		}
		t.Run(kind, func(t *testing.T) {
			eachTables(t, kind, func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage) {
				for _, name := range tableFiles {
					size := sizeOf(t, sp.disk, name)
					step := 1 + size/400
					for at := int64(0); at < size; at += 1 + r.Int64N(step) {
						disk := killed(sp.disk)
						resize(t, disk, name, at)
						if !bak {
							must(t, disk.Remove(name+".bak"))
						}
						n.judge(t, sp, &damage{what: fmt.Sprintf("%s cut at %d, bak %v", name, at, bak), disk: disk, files: []string{name}, mayRefuse: !bak})
					}
				}
			})
		})
	}
	t.Run("gone", func(t *testing.T) {
		eachTables(t, "JSON file: missing, zeroed; .bak missing, cut, flipped", func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage) {
			for _, name := range tableFiles {
				disk := killed(sp.disk)
				must(t, disk.Remove(name))
				n.judge(t, sp, &damage{what: name + " is missing", disk: disk})
				disk = killed(sp.disk)
				edit(t, disk, name, func(p []byte) { clear(p) })
				n.judge(t, sp, &damage{what: name + " is zeroed", disk: disk})
				disk = killed(sp.disk)
				must(t, disk.Remove(name+".bak"))
				n.judge(t, sp, &damage{what: name + ".bak is missing", disk: disk})
				disk = killed(sp.disk)
				must(t, disk.Remove(name+".bak"))
				must(t, disk.Remove(name))
				n.judge(t, sp, &damage{what: name + " and its .bak are missing", disk: disk, files: []string{name}, mayRefuse: true})
				for range 20 {
					size := sizeOf(t, sp.disk, name+".bak")
					disk = killed(sp.disk)
					resize(t, disk, name+".bak", r.Int64N(size))
					n.judge(t, sp, &damage{what: name + ".bak is cut", disk: disk})
					disk = killed(sp.disk)
					flip(t, disk, name+".bak", r.Int64N(8*size))
					n.judge(t, sp, &damage{what: name + ".bak is flipped", disk: disk})
				}
			}
		})
	})
}

// A damaged journal loses at most what the damaged frame held and no JSON file has, and says so.
func TestDamageInJournals(t *testing.T) {
	t.Run("flip", func(t *testing.T) {
		eachTables(t, "journal: one bit flipped", func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage) {
			for _, name := range journals(t, sp) {
				for bit := r.Int64N(16); bit < 8*sizeOf(t, sp.disk, name); bit += 1 + r.Int64N(48) {
					disk := killed(sp.disk)
					flip(t, disk, name, bit)
					n.judge(t, sp, &damage{what: fmt.Sprintf("bit %d of %s", bit, name), disk: disk, files: []string{name}, tables: between(t, sp, name)})
				}
			}
		})
	})
	t.Run("cut", func(t *testing.T) {
		eachTables(t, "journal: cut at each byte, missing", func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage) {
			for _, name := range journals(t, sp) {
				for at := int64(-1); at < sizeOf(t, sp.disk, name); at += 1 + r.Int64N(3) {
					disk := killed(sp.disk)
					if at < 0 {
						must(t, disk.Remove(name))
					} else {
						resize(t, disk, name, at)
					}
					// A cut between two frames looks like a journal that was never longer.
					n.judge(t, sp, &damage{what: fmt.Sprintf("%s cut at %d", name, at), disk: disk, files: []string{name}, tables: between(t, sp, "")})
				}
			}
		})
	})
}

// eachTables is eachSpecimen without the variant that concerns the log only.
func eachTables(t *testing.T, kind string, f func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage)) {
	t.Helper()
	eachSpecimen(t, kind, func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
		t.Helper()
		if stop != stopWalk {
			only := *sp
			only.msgs, only.tablesOnly = nil, true
			f(t, &only, r, n)
		}
	})
}

func journals(t *testing.T, sp *specimen) []string {
	t.Helper()
	var out []string
	for _, name := range files(t, sp.disk, root+"/cometmq") {
		if strings.HasSuffix(name, ".journal") {
			out = append(out, name)
		}
	}
	if len(out) < 3 {
		t.Fatalf("journals %v", out)
	}
	return out
}

// between accepts tables that hold at least what the JSON files hold and nothing that never was. When something is
// missing the log must name the file, if there is one to be named.
func between(t *testing.T, sp *specimen, name string) func(f *finding) error {
	t.Helper()
	disk := killed(sp.disk)
	for _, j := range journals(t, sp) {
		must(t, disk.Remove(j))
	}
	least, err := meta.Open(disk, root, meta.Options{Now: sp.o.Now})
	must(t, err)
	most, err := meta.Open(killed(sp.disk), root, meta.Options{Now: sp.o.Now})
	must(t, err)
	low, high := stateOf(least), stateOf(most)
	return func(f *finding) error {
		if f.meta == sp.meta {
			return nil
		}
		if name != "" && !strings.Contains(f.log, name) {
			return fmt.Errorf("something is missing and nothing says so:\n%s\nwas\n%s", f.meta, sp.meta)
		}
		return f.tables.within(low, high)
	}
}

// within compares tables with what they must and may hold.
func (got *tableState) within(least, most *tableState) error {
	for _, part := range []struct {
		what            string
		low, high, have map[string]string
	}{
		{"topic", least.topics, most.topics, got.topics},
		{"group", least.groups, most.groups, got.groups},
	} {
		for k := range part.low {
			if part.have[k] != part.high[k] {
				return fmt.Errorf("%s %s is %q, was %q", part.what, k, part.have[k], part.high[k])
			}
		}
		for k, v := range part.have {
			if part.high[k] != v {
				return fmt.Errorf("%s %s is %q, was %q", part.what, k, v, part.high[k])
			}
		}
	}
	for k, v := range least.offsets {
		if got.offsets[k] < v {
			return fmt.Errorf("offset %s is %d, the JSON file has %d", k, got.offsets[k], v)
		}
	}
	for k, v := range got.offsets {
		if v > most.offsets[k] {
			return fmt.Errorf("offset %s is %d, %d was committed", k, v, most.offsets[k])
		}
	}
	return nil
}

// tableState is what tables hold.
type tableState struct {
	topics, groups map[string]string
	offsets        map[string]int64
}

func stateOf(t *meta.Tables) *tableState {
	return &tableState{topicsOf(t), groupsOf(t), offsetsOf(t)}
}

func topicsOf(t *meta.Tables) map[string]string {
	out := map[string]string{}
	list, _ := t.Topics.List()
	for _, e := range list {
		out[e.Name()] = fmt.Sprintf("%+v", e.Config())
	}
	return out
}

func groupsOf(t *meta.Tables) map[string]string {
	out := map[string]string{}
	list, _ := t.Groups.List()
	for _, e := range list {
		c := e.Config()
		out[e.Name()] = fmt.Sprint(c.ConsumeEnable, c.RetryQueues, c.RetryMaxTimes, c.BrokerID)
	}
	return out
}

func offsetsOf(t *meta.Tables) map[string]int64 {
	out := map[string]int64{}
	for _, g := range []string{"g", "other"} {
		for _, topic := range t.Offsets.Topics(g) {
			for q, at := range t.Offsets.Queues(g, topic) {
				out[fmt.Sprintf("%s %s/%d", g, topic, q)] = int64(at)
			}
		}
	}
	return out
}
