package crash

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

const goldenDir = "../../internal/storage/testdata/java/5.5.0"

// goldenSpecimen loads a store directory that Java made.
func goldenSpecimen(t *testing.T, name string) *specimen {
	t.Helper()
	sp := &specimen{o: specimenOptions()}
	sp.o.SegmentSize, sp.o.QueueFileSize, sp.o.IndexSlots, sp.o.IndexCapacity = 4096, 2000, 10, 50
	sp.o.AppendPropCRC = name == "crc"
	sp.disk = vfs.NewMem(vfs.MemOptions{Now: sp.o.Now})
	dir := filepath.Join(goldenDir, name)
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := root + strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(dir))
		if d.IsDir() {
			return sp.disk.MkdirAll(to)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := sp.disk.Create(to)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(data, 0); err != nil && len(data) > 0 {
			return err
		}
		return f.Close()
	}))
	must(t, sp.disk.SyncFS("/"))
	var manifest struct {
		MaxOffset int64
		Records   []struct {
			Size, QueueID int
			Index, Offset int64
			Topic, Keys   string
			UniqKey       string `json:"uniqKey"`
		}
	}
	data, err := os.ReadFile(dir + ".json")
	must(t, err)
	must(t, json.Unmarshal(data, &manifest))
	sp.end = record.Offset(manifest.MaxOffset)
	for _, x := range manifest.Records {
		m := stored{
			topic: x.Topic, queue: int32(x.QueueID), index: record.Index(x.Index), offset: record.Offset(x.Offset), size: x.Size,
			key: x.UniqKey,
		}
		if k, _, _ := strings.Cut(x.Keys, " "); m.key == "" {
			m.key = k
		}
		name, at := sp.logFile(m.offset)
		p, err := vfs.ReadFile(sp.disk, name)
		must(t, err)
		var msg record.Message
		_, err = record.Decode(p[at:], &msg, true)
		must(t, err)
		m.body = string(msg.Body)
		sp.msgs = append(sp.msgs, m)
	}
	return sp
}

// eachGolden runs f on each store of Java's.
func eachGolden(t *testing.T, kind string, f func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage)) {
	t.Helper()
	t.Parallel()
	var total tallyDamage
	for _, name := range []string{"clean", "killed", "crc"} {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			if _, err := os.Stat(filepath.Join(goldenDir, name)); err != nil {
				t.Skip("no store made by Java: run `make golden`")
			}
			f(t, goldenSpecimen(t, name), rand.New(rand.NewPCG(max(*seed, 1), 8)), &total)
		})
	}
	t.Logf("%+v", total)
	table.damage("Java's store: "+kind, total)
}

func TestDamageInJavasLog(t *testing.T) {
	eachGolden(t, "log: one bit flipped", func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage) {
		for range 300 {
			m := &sp.msgs[r.IntN(len(sp.msgs)-1)]
			disk := killed(sp.disk)
			name, at := sp.logFile(m.offset)
			bit := r.IntN(8 * m.size)
			flip(t, disk, name, 8*at+int64(bit))
			n.judge(t, sp, &damage{what: fmt.Sprintf("bit %d of %s at %s+%d", bit, m.name(), name, at), disk: disk, files: []string{name}, hit: hits(m)})
		}
	})
}

func TestDamageJavasTail(t *testing.T) {
	eachGolden(t, "log: tail zeroed from a random byte on", func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage) {
		first := sp.end - sp.end%record.Offset(sp.o.SegmentSize)
		for range 60 {
			cut := first + record.Offset(r.Int64N(int64(sp.end-first)))
			d := &damage{what: fmt.Sprintf("zeroed from %d on", cut), disk: killed(sp.disk), hit: map[string]bool{}, endFrom: cut - 400, files: []string{tornTail}}
			name, at := sp.logFile(cut)
			edit(t, d.disk, name, func(p []byte) { clear(p[at:]) })
			inside := false
			for i := range sp.msgs {
				m := &sp.msgs[i]
				if end := m.offset + record.Offset(m.size); end > cut {
					d.hit[m.name()] = true
					inside = inside || cut >= m.offset+4
				}
			}
			d.unseen = !inside
			n.judge(t, sp, d)
		}
	})
}

func TestDamageInJavasQueues(t *testing.T) {
	eachGolden(t, "consume queue: one bit flipped", func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage) {
		for range 200 {
			m := &sp.msgs[r.IntN(len(sp.msgs))]
			disk := killed(sp.disk)
			name, at := sp.queueFile(m)
			bit := r.Int64N(160)
			flip(t, disk, name, 8*at+bit)
			last := !slices.ContainsFunc(sp.msgs, func(x stored) bool { return x.topic == m.topic && x.queue == m.queue && x.index > m.index })
			n.judge(t, sp, &damage{
				what: fmt.Sprintf("bit %d of the unit of %s", bit, m.name()), disk: disk, files: []string{name}, hit: hits(m), unseen: last,
			})
		}
	})
}

func TestDamageInJavasIndexAndCheckpoint(t *testing.T) {
	eachGolden(t, "index, checkpoint: one bit flipped, cut", func(t *testing.T, sp *specimen, r *rand.Rand, n *tallyDamage) {
		list := append(files(t, sp.disk, root+"/index"), root+"/checkpoint")
		for range 200 {
			name := pick(r, list...)
			disk := killed(sp.disk)
			bit := r.Int64N(8 * min(sizeOf(t, disk, name), 1080))
			flip(t, disk, name, bit)
			n.judge(t, sp, &damage{what: fmt.Sprintf("bit %d of %s", bit, name), disk: disk, files: []string{name}, mayRefuse: true})
			disk = killed(sp.disk)
			size := r.Int64N(min(sizeOf(t, disk, name), 1080))
			resize(t, disk, name, size)
			n.judge(t, sp, &damage{what: fmt.Sprintf("%s cut to %d", name, size), disk: disk, files: []string{name}, mayRefuse: true})
		}
	})
}
