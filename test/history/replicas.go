package history

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
)

// Replicas is what a comparison of two logs found.
type Replicas struct {
	Bytes    int64  // compared
	CRC      uint32 // of what both hold
	Differs  string // where, "" when they are equal
	Distance int64  // how much longer one of them is
}

// CompareLogs compares the log files of two stores from the begin of the shorter one to the end of the shorter one. What has
// been preallocated and not written yet does not count.
func CompareLogs(a, b string) (Replicas, error) {
	var r Replicas
	x, err := logFiles(a)
	if err != nil {
		return r, err
	}
	y, err := logFiles(b)
	if err != nil {
		return r, err
	}
	if len(x) == 0 || len(y) == 0 {
		r.Differs = fmt.Sprintf("%d and %d files", len(x), len(y))
		return r, nil
	}
	first := max(x[0], y[0])
	h := crc32.NewIEEE()
	for _, name := range x {
		if name < first {
			continue
		}
		p, err := written(a, name)
		if err != nil {
			return r, err
		}
		var q []byte
		if slices.Contains(y, name) {
			if q, err = written(b, name); err != nil {
				return r, err
			}
		}
		n := min(len(p), len(q))
		r.Distance += int64(max(len(p), len(q)) - n)
		if i := differ(p[:n], q[:n]); i >= 0 && r.Differs == "" {
			r.Differs = fmt.Sprintf("%s at %d", name, i)
		}
		_, _ = h.Write(p[:n])
		r.Bytes += int64(n)
	}
	for _, name := range y {
		if name > x[len(x)-1] {
			q, err := written(b, name)
			if err != nil {
				return r, err
			}
			r.Distance += int64(len(q))
		}
	}
	r.CRC = h.Sum32()
	return r, nil
}

// Equal reports that both hold the same and neither more.
func (r Replicas) Equal() bool { return r.Differs == "" && r.Distance == 0 && r.Bytes > 0 }

// String is for a line of a table.
func (r Replicas) String() string {
	switch {
	case r.Differs != "":
		return "differ: " + r.Differs
	case r.Distance != 0:
		return fmt.Sprintf("equal over %d bytes, one is %d longer", r.Bytes, r.Distance)
	}
	return fmt.Sprintf("equal, %d bytes, CRC-32 %08x", r.Bytes, r.CRC)
}

func logFiles(store string) ([]string, error) {
	list, err := os.ReadDir(filepath.Join(store, "commitlog"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range list {
		if len(e.Name()) != 20 {
			continue
		}
		p, err := written(store, e.Name())
		if err != nil {
			return nil, err
		}
		if len(p) > 0 { // else made in advance
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// written is a file without the zeros at its end.
func written(store, name string) ([]byte, error) {
	p, err := os.ReadFile(filepath.Join(store, "commitlog", name))
	return bytes.TrimRight(p, "\x00"), err
}

// differ is where two pieces of the same length differ, -1 for nowhere.
func differ(p, q []byte) int {
	if bytes.Equal(p, q) {
		return -1
	}
	for i := range p {
		if p[i] != q[i] {
			return i
		}
	}
	return -1
}
