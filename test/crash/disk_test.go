package crash

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/cometmq/cometmq/internal/vfs"
)

// errPower is what every operation returns once the power is off.
var errPower = errors.New("the power is off")

// powered is a disk that loses its power in the middle of a run: the operation that is under way is not done, or half
// done if it is a write, and none after it is. What the next start finds is next's.
type powered struct {
	mem *vfs.Mem
	fs  vfs.FS

	mu    sync.Mutex // guards what follows
	rng   *rand.Rand
	left  int // operations until the cut, 0 = no cut
	dead  bool
	ops   int
	where vfs.Op // what was under way
	// before is called before each operation that changes the disk, nested operations excluded.
	before func(op vfs.Op)
	nested bool
}

func newPowered(mem *vfs.Mem, rng *rand.Rand, left int) *powered {
	d := &powered{mem: mem, rng: rng, left: left}
	d.fs = vfs.NewFaulty(mem, d.rule)
	return d
}

// reads are the operations that leave the disk as it is: a cut there is one at the next write.
func reads(k vfs.OpKind) bool {
	switch k {
	case vfs.OpOpen, vfs.OpReadDir, vfs.OpStat, vfs.OpUsage, vfs.OpRead, vfs.OpClose:
		return true
	default:
		return false
	}
}

func (d *powered) rule(op vfs.Op) error {
	d.mu.Lock()
	if f := d.before; f != nil && !d.dead && !d.nested && !reads(op.Kind) {
		d.nested = true
		d.mu.Unlock()
		f(op)
		d.mu.Lock()
		d.nested = false
	}
	defer d.mu.Unlock()
	if d.dead {
		return errPower
	}
	if reads(op.Kind) {
		return nil
	}
	d.ops++
	if d.left == 0 {
		return nil
	}
	if d.left--; d.left > 0 {
		return nil
	}
	d.dead, d.where = true, op
	if op.Kind == vfs.OpWrite && d.rng.IntN(2) == 0 {
		return &vfs.ShortWrite{Bytes: int(d.part(op)), Err: errPower}
	}
	return errPower
}

// part is how much of a write gets done: all of it, or up to the end of a page. A killed process leaves no page half
// written, because the kernel looks for signals between pages; what a power cut does to pages is CrashClone's.
func (d *powered) part(op vfs.Op) int64 {
	const page = 4096
	done := (1+d.rng.Int64N(op.Len/page+1))*page - op.Off%page
	return min(done, op.Len)
}

func (d *powered) off() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

func (d *powered) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
}

// next returns what the disk holds after the crash.
func (d *powered) next(mode vfs.CrashMode) *vfs.Mem { return d.mem.CrashClone(d.rng, mode) }

// tree returns the contents of all files below dir by name, to see whether something was touched.
func tree(fsys vfs.FS, dir string) map[string]string {
	out := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		list, err := fsys.ReadDir(dir)
		if err != nil {
			out[dir] = err.Error()
			return
		}
		for _, e := range list {
			name := strings.TrimSuffix(dir, "/") + "/" + e.Name()
			if e.IsDir() {
				out[name] = "dir"
				walk(name)
				continue
			}
			data, err := vfs.ReadFile(fsys, name)
			if err != nil {
				data = []byte(err.Error())
			}
			out[name] = string(data)
		}
	}
	walk(dir)
	return out
}
