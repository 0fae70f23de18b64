package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// tallyDamage is what the cases of one kind of damage add up to.
type tallyDamage struct {
	cases, refused int
	damaged        int // damaged messages that were missing
	beyond         int // messages that were missing although they were not damaged
	silent         int // cases in which something was missing and nothing said so
	keys           int // keys that were not found
	errors         int
}

// damage is one case.
type damage struct {
	what  string
	disk  *vfs.Mem
	files []string        // one of them must be named when something is missing
	hit   map[string]bool // messages that may be missing
	// mayRefuse: an error that names the file is as good as opening.
	mayRefuse bool
	endFrom   record.Offset // the log may end from here on, 0 = it must end where it did
	unseen    bool          // nothing can tell this from a store that never had the messages
	tables    func(f *finding) error
}

// misfiled returns the damaged message with body: no checksum covers its topic and queue.
func (d *damage) misfiled(sp *specimen, body string) *stored {
	i := slices.IndexFunc(sp.msgs, func(m stored) bool { return m.body == body && d.hit[m.name()] })
	if i < 0 {
		return nil
	}
	return &sp.msgs[i]
}

// maxErrors is how many failing cases of a kind are printed.
const maxErrors = 10

// judge examines one case.
func (n *tallyDamage) judge(tt *testing.T, sp *specimen, d *damage) {
	tt.Helper()
	t := &limited{tt, n}
	n.cases++
	f, err := examine(d.disk, sp, d.hit, n.cases%8 == 1)
	if err != nil {
		t.Errorf("%s: %v\n%s", d.what, err, f.log)
		n.beyond++
		return
	}
	named := func(text string) bool {
		return slices.ContainsFunc(d.files, func(name string) bool { return strings.Contains(text, name) })
	}
	if f.refused != nil {
		if n.refused++; !d.mayRefuse || !named(f.refused.Error()) {
			t.Errorf("%s: does not open: %v", d.what, f.refused)
			n.beyond++
		}
		return
	}
	if f.end != sp.end && (d.endFrom == 0 || f.end < d.endFrom) {
		t.Errorf("%s: the log ends at %d, it ended at %d\n%s", d.what, f.end, sp.end, f.log)
		n.beyond++
	}
	missing := 0
	for i := range sp.msgs {
		m := &sp.msgs[i]
		if q := fmt.Sprintf("%s/%d", m.topic, m.queue); f.max[q] <= m.index && !d.hit[m.name()] {
			t.Errorf("%s: queue %s ends at %d, %d was there\n%s", d.what, q, f.max[q], m.index, f.log)
			n.beyond++
		}
		switch body, ok := f.found[m.name()]; {
		case ok && body == m.body:
		case ok && !d.hit[m.name()]:
			t.Errorf("%s: %s has another body %.40q", d.what, m.name(), body)
			n.beyond++
		case !ok && d.hit[m.name()]:
			missing++
			n.damaged++
		case !ok:
			t.Errorf("%s: %s at %d..%d is missing\n%s", d.what, m.name(), m.offset, int(m.offset)+m.size, f.log)
			n.beyond++
		default: // a bit that no checksum covers
		}
		delete(f.found, m.name())
	}
	for id, body := range f.found {
		if m := d.misfiled(sp, body); m != nil {
			if m.index == 0 {
				missing-- // as good as any first message of a queue
			}
			continue
		}
		t.Errorf("%s: %s with body %.40q was never stored", d.what, id, body)
		n.beyond++
	}
	if missing > 0 && f.reports == 0 && !named(f.log) && !d.unseen {
		n.silent++
		t.Errorf("%s: %d messages are missing and nothing says so\n%s", d.what, missing, f.log)
	}
	if missing == 0 {
		n.keys += len(sp.msgs) - f.keys
	}
	if d.tables == nil {
		d.tables = func(f *finding) error {
			if f.meta != sp.meta {
				return fmt.Errorf("tables changed:\n%s\nwere\n%s", f.meta, sp.meta)
			}
			return nil
		}
	}
	if err := d.tables(&f); err != nil {
		n.beyond++
		t.Errorf("%s: %v\n%s", d.what, err, f.log)
	}
}

// limited prints the first errors of a kind only.
type limited struct {
	*testing.T
	n *tallyDamage
}

func (l *limited) Errorf(format string, args ...any) {
	l.Helper()
	if l.n.errors++; l.n.errors > maxErrors {
		l.Fail()
		return
	}
	l.T.Errorf(format, args...)
}

func hits(ms ...*stored) map[string]bool {
	out := map[string]bool{}
	for _, m := range ms {
		out[m.name()] = true
	}
	return out
}

// stops are the ways in which the process that made a specimen may have ended.
var stops = []struct {
	name string
	stop lastStop
}{{"clean", stopClean}, {"killed", stopKilled}, {"walk", stopWalk}}

// eachSpecimen runs f on a specimen for each way of stopping and puts the sum into the table.
func eachSpecimen(t *testing.T, kind string, f func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage)) {
	t.Helper()
	t.Parallel()
	var total tallyDamage
	for _, s := range stops {
		t.Run(s.name, func(t *testing.T) {
			t.Helper()
			r := rand.New(rand.NewPCG(max(*seed, 1), 7))
			f(t, newSpecimen(t, s.stop), s.stop, r, &total)
		})
	}
	t.Logf("%+v", total)
	table.damage(kind, total)
}

func TestDamageFlipInTheLog(t *testing.T) {
	eachSpecimen(t, "log: one bit flipped", func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
		one := &sp.msgs[77]
		for i := range 300 + 8*one.size {
			m := &sp.msgs[r.IntN(len(sp.msgs)-1)]
			bit := r.IntN(8 * m.size)
			if i >= 300 { // each bit of one record
				if m, bit = one, i-300; stop != stopWalk && i%8 > 0 || i%2 > 0 {
					continue
				}
			}
			disk := killed(sp.disk)
			name, at := sp.logFile(m.offset)
			flip(t, disk, name, 8*at+int64(bit))
			n.judge(t, sp, &damage{
				what: fmt.Sprintf("bit %d of %s at %s+%d", bit, m.name(), name, at), disk: disk, files: []string{name}, hit: hits(m),
			})
		}
	})
}

// tornTail is what the log says of a torn end.
const tornTail = "torn tail of the log"

func TestDamageFlipInTheLastRecord(t *testing.T) {
	eachSpecimen(t, "log: one bit flipped in the last record", func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
		m := &sp.msgs[len(sp.msgs)-1]
		name, at := sp.logFile(m.offset)
		for bit := 0; bit < 8*m.size; bit += 1 + r.IntN(12) {
			disk := killed(sp.disk)
			flip(t, disk, name, 8*at+int64(bit))
			n.judge(t, sp, &damage{
				what: fmt.Sprintf("bit %d of the last record", bit), disk: disk, files: []string{name, tornTail}, hit: hits(m), endFrom: m.offset,
			})
		}
	})
}

func TestDamageFlipBetweenRecords(t *testing.T) {
	eachSpecimen(t, "log: one bit flipped in free space", func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
		for range 100 {
			disk := killed(sp.disk)
			// Behind the end of the log, or in the filling at the end of a file.
			from := sp.end
			if r.IntN(2) == 0 {
				i := slices.IndexFunc(sp.msgs, func(m stored) bool { return int64(m.offset) >= sp.o.SegmentSize }) - 1
				from = sp.msgs[i].offset + record.Offset(sp.msgs[i].size)
			}
			name, at := sp.logFile(from)
			bit := r.Int64N(8 * (sp.o.SegmentSize - at))
			flip(t, disk, name, 8*at+bit)
			n.judge(t, sp, &damage{what: fmt.Sprintf("bit %d behind %s+%d", bit, name, at), disk: disk, files: []string{name}, endFrom: sp.end})
		}
	})
}

// The end of the log is torn anywhere in what was not synced: all that lies before the tear is there.
func TestDamageTornTail(t *testing.T) {
	for _, c := range []struct {
		kind string
		harm func(p []byte, r *rand.Rand)
	}{
		{"log: tail zeroed from a random byte on", func(p []byte, _ *rand.Rand) { clear(p) }},
		{"log: tail overwritten with garbage from a random byte on", func(p []byte, r *rand.Rand) {
			for i := range p {
				p[i] = byte(r.Uint32())
			}
		}},
		{"log: tail torn, sectors lost at random", func(p []byte, r *rand.Rand) {
			for i := 0; i < len(p); i += 512 {
				if r.IntN(2) == 0 {
					clear(p[i:min(i+512, len(p))])
				}
			}
		}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			eachSpecimen(t, c.kind, func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
				first := sp.msgs[110].offset // behind the last synced mark of a killed process
				for range 100 {
					cut := first + record.Offset(r.Int64N(int64(sp.end-first)))
					d := &damage{what: fmt.Sprintf("%s: from %d on", c.kind, cut), disk: killed(sp.disk), hit: map[string]bool{}, endFrom: cut - 400}
					for i := range sp.msgs {
						if m := &sp.msgs[i]; m.offset+record.Offset(m.size) > cut {
							d.hit[m.name()] = true
						}
					}
					for off := cut; off < sp.end; off += record.Offset(sp.o.SegmentSize) - off%record.Offset(sp.o.SegmentSize) {
						name, at := sp.logFile(off)
						d.files = append(d.files, name)
						edit(t, d.disk, name, func(p []byte) { c.harm(p[at:], r) })
					}
					d.files = append(d.files, tornTail, "missing at the end")
					// Zeros from the end of a record on look like free space. The size of a record begins with zeros.
					d.unseen = stop == stopWalk && strings.Contains(c.kind, "zeroed") && !slices.ContainsFunc(sp.msgs, func(m stored) bool {
						return cut >= m.offset+4 && cut < m.offset+record.Offset(m.size)
					})
					n.judge(t, sp, d)
				}
			})
		})
	}
}

func TestDamageHalfMadeSegment(t *testing.T) {
	eachSpecimen(t, "log: half-made or missing preallocated file", func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
		list := files(t, sp.disk, root+"/commitlog")
		var last record.Offset
		_, err := fmt.Sscanf(list[len(list)-1], root+"/commitlog/%d", &last)
		must(t, err)
		next, _ := sp.logFile(last + record.Offset(sp.o.SegmentSize))
		for _, size := range []int64{0, 1, 511, 4096, sp.o.SegmentSize - 1, sp.o.SegmentSize} {
			disk := killed(sp.disk)
			h, err := disk.Create(next)
			must(t, err)
			must(t, h.Truncate(size))
			must(t, h.Close())
			if size > 0 {
				d := &damage{
					what: fmt.Sprintf("next file of %d bytes with something in it", size), disk: killed(disk), files: []string{next},
					mayRefuse: size < sp.o.SegmentSize,
				}
				edit(t, d.disk, next, func(p []byte) { p[len(p)/2] = 7 }) // not empty: only a file of full length can be ours
				n.judge(t, sp, d)
			}
			n.judge(t, sp, &damage{what: fmt.Sprintf("next file of %d bytes", size), disk: disk})
		}
		if last >= sp.end {
			disk := killed(sp.disk)
			must(t, disk.Remove(list[len(list)-1]))
			n.judge(t, sp, &damage{what: "preallocated file missing", disk: disk})
		}
	})
}

func TestDamageMissingLogFile(t *testing.T) {
	eachSpecimen(t, "log: a file missing", func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
		for at := record.Offset(0); at < sp.end; at += record.Offset(sp.o.SegmentSize) {
			disk := killed(sp.disk)
			name, _ := sp.logFile(at)
			must(t, disk.Remove(name))
			d := &damage{what: name + " is missing", disk: disk, hit: map[string]bool{}, files: []string{name[len(name)-20:]}, mayRefuse: true, endFrom: at}
			for i := range sp.msgs {
				m := &sp.msgs[i]
				if f, _ := sp.logFile(m.offset); f == name {
					d.hit[m.name()] = true
				}
			}
			if at == 0 {
				continue // nothing tells it from a deletion by age
			}
			if at+record.Offset(sp.o.SegmentSize) >= sp.end {
				d.files = append(d.files, "missing at the end")
				d.unseen = stop == stopWalk
			}
			n.judge(t, sp, d)
		}
	})
}

func TestDamageInQueueFiles(t *testing.T) {
	eachSpecimen(t, "consume queue: one bit flipped", func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
		for range 300 {
			m := &sp.msgs[r.IntN(len(sp.msgs))]
			disk := killed(sp.disk)
			name, at := sp.queueFile(m)
			if _, err := disk.Stat(name); err != nil {
				continue
			}
			bit := r.Int64N(160)
			flip(t, disk, name, 8*at+bit)
			last := !slices.ContainsFunc(sp.msgs, func(x stored) bool { return x.topic == m.topic && x.queue == m.queue && x.index > m.index })
			n.judge(t, sp, &damage{
				what: fmt.Sprintf("bit %d of the unit of %s", bit, m.name()), disk: disk, files: []string{name}, hit: hits(m),
				unseen: last, // it looks like one that a crash left behind
			})
		}
	})
}

func TestDamageQueueFileCut(t *testing.T) {
	eachSpecimen(t, "consume queue: a file cut, emptied or missing", func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
		for range 100 {
			m := &sp.msgs[r.IntN(len(sp.msgs))]
			disk := killed(sp.disk)
			name, _ := sp.queueFile(m)
			if _, err := disk.Stat(name); err != nil {
				continue
			}
			d := &damage{disk: disk, files: []string{name}, hit: map[string]bool{}, mayRefuse: true}
			size := r.Int64N(sp.o.QueueFileSize)
			switch r.IntN(3) {
			case 0:
				size = 0
				fallthrough
			case 1:
				resize(t, disk, name, size)
				d.what = fmt.Sprintf("%s cut to %d bytes", name, size)
			default:
				size = 0
				must(t, disk.Remove(name))
				d.what = name + " is missing"
				// The queue is as it was before the file was made.
				list := files(t, sp.disk, path.Dir(name))
				d.unseen = list[len(list)-1] == name
			}
			for i := range sp.msgs {
				x := &sp.msgs[i]
				if f, at := sp.queueFile(x); f == name && at+20 > size {
					d.hit[x.name()] = true
				}
			}
			n.judge(t, sp, d)
		}
	})
}

func TestDamageInTheIndex(t *testing.T) {
	eachSpecimen(t, "key index: one bit flipped", func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
		list := files(t, sp.disk, root+"/index")
		for i := range 300 {
			disk := killed(sp.disk)
			name := list[r.IntN(len(list))]
			bits := 8 * sizeOf(t, disk, name)
			if i%2 == 0 {
				bits = 8 * 80 // header and slots
			}
			bit := r.Int64N(bits)
			flip(t, disk, name, bit)
			n.judge(t, sp, &damage{what: fmt.Sprintf("bit %d of %s", bit, name), disk: disk, files: []string{name}, mayRefuse: true})
		}
	})
}

func TestDamageIndexFileCut(t *testing.T) {
	eachSpecimen(t, "key index: a file cut, emptied or missing", func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
		for _, name := range files(t, sp.disk, root+"/index") {
			for _, size := range []int64{-1, 0, 1, 39, 40, 79, 80, 500} {
				disk := killed(sp.disk)
				if size < 0 {
					must(t, disk.Remove(name))
				} else {
					resize(t, disk, name, size)
				}
				n.judge(t, sp, &damage{what: fmt.Sprintf("%s cut to %d bytes", name, size), disk: disk, files: []string{name}, mayRefuse: size > 0})
			}
		}
	})
}

func TestDamageInCheckpointAndMarks(t *testing.T) {
	for _, c := range []struct {
		kind, name string
		used       int64
	}{{"checkpoint", root + "/checkpoint", 48}, {"dispatch mark", root + "/cometmq/dispatch", 8192 + 164}} {
		t.Run(c.kind, func(t *testing.T) {
			eachSpecimen(t, c.kind+": one bit flipped, cut, garbage, missing", func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
				if stop == stopWalk {
					return // there is none
				}
				size := sizeOf(t, sp.disk, c.name)
				for range 200 {
					disk := killed(sp.disk)
					bit := r.Int64N(8 * min(size, c.used))
					if r.IntN(2) == 0 { // where something is
						bit = r.Int64N(8*164) + 8*4096*r.Int64N(3)
					}
					bit %= 8 * size
					flip(t, disk, c.name, bit)
					n.judge(t, sp, &damage{what: fmt.Sprintf("bit %d of %s", bit, c.name), disk: disk})
				}
				for range 50 {
					disk := killed(sp.disk)
					to := r.Int64N(size + 1)
					resize(t, disk, c.name, to)
					n.judge(t, sp, &damage{what: fmt.Sprintf("%s cut to %d", c.name, to), disk: disk})
					disk = killed(sp.disk)
					edit(t, disk, c.name, func(p []byte) {
						for i := range p[:min(size, c.used)] {
							p[i] = byte(r.Uint32())
						}
					})
					n.judge(t, sp, &damage{what: c.name + " is garbage", disk: disk})
				}
				disk := killed(sp.disk)
				must(t, disk.Remove(c.name))
				n.judge(t, sp, &damage{what: c.name + " is missing", disk: disk})
			})
		})
	}
}

func TestDamageAbortFile(t *testing.T) {
	eachSpecimen(t, "abort file: missing, empty, garbage", func(t *testing.T, sp *specimen, stop lastStop, r *rand.Rand, n *tallyDamage) {
		name := root + "/abort"
		for _, content := range []string{"-", "", "x", strings.Repeat("\xff", 5000)} {
			disk := killed(sp.disk)
			if content == "-" {
				if err := disk.Remove(name); err != nil && stop != stopClean {
					t.Fatal(err)
				}
			} else {
				h, err := disk.Create(name)
				must(t, err)
				if content != "" {
					_, err = h.WriteAt([]byte(content), 0)
				}
				must(t, errors.Join(err, h.Close()))
			}
			n.judge(t, sp, &damage{what: fmt.Sprintf("abort %.5q", content), disk: disk})
		}
	})
}
