package replication

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Epoch is the term of one master: the log from Start on, up to the next epoch, was written in it.
type Epoch struct {
	Number int32
	Start  record.Offset
}

// forever ends the last epoch.
const forever = record.Offset(math.MaxInt64)

// Epochs is the list of epochs of a log, in a file. Numbers and starts both ascend strictly: an epoch in which nothing was
// written gives way to the next one.
//
// The file epochFileCheckpoint is Java's:
//
//	2                number of lines that follow the next one
//	1060914517       CRC-32 of these lines without its highest bit; 0: not checked
//	1-0              epoch and log offset
//	3-328
//
// Differs from Java: it is replaced at once and made durable, the previous one stays as .bak; Java overwrites it and syncs
// nothing. An empty list is written, too; Java leaves the old one there.
type Epochs struct {
	fs   vfs.FS
	path string

	turn chan struct{} // a token: who has it may write the file
	mu   sync.Mutex    // guards list, which is replaced, never changed
	list []Epoch
}

// OpenEpochs reads the file at path (storePathEpochFile); without a file the list is empty. When the file is damaged the .bak
// is taken; the error says that neither can be read.
func OpenEpochs(fsys vfs.FS, path string, log *slog.Logger) (*Epochs, error) {
	e := &Epochs{fs: fsys, path: path, turn: make(chan struct{}, 1)}
	list, err := readEpochs(fsys, path)
	if err != nil {
		bak, berr := readEpochs(fsys, path+".bak")
		switch {
		case berr == nil:
			if !errors.Is(err, fs.ErrNotExist) && log != nil {
				log.Error("file of epochs cannot be read, the one before it is taken", "path", path, "err", err)
			}
			list = bak
		case errors.Is(err, fs.ErrNotExist) && errors.Is(berr, fs.ErrNotExist):
		default:
			return nil, errors.Join(err, berr)
		}
	}
	e.list = list
	return e, nil
}

// maxEpochFile bounds what is read: Java's list grows with each change of the master until the log is deleted.
const maxEpochFile = 4 << 20

func readEpochs(fsys vfs.FS, path string) ([]Epoch, error) {
	if st, err := fsys.Stat(path); err == nil && st.Size() > maxEpochFile {
		return nil, fmt.Errorf("read %s: it has %d bytes", path, st.Size())
	}
	data, err := vfs.ReadFile(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	list, err := parseEpochs(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return list, nil
}

func parseEpochs(data []byte) ([]Epoch, error) {
	line := func() []byte {
		l, rest, _ := bytes.Cut(data, []byte("\n"))
		data = rest
		return bytes.TrimSuffix(l, []byte("\r")) // Java on Windows
	}
	n, err := strconv.ParseUint(string(line()), 10, 31)
	if err != nil {
		return nil, errors.New("the first line is not the number of epochs")
	}
	sum, err := strconv.ParseUint(string(line()), 10, 31)
	if err != nil {
		return nil, errors.New("the second line is not a checksum")
	}
	if got := epochSum(data); sum != 0 && sum != uint64(got) {
		return nil, fmt.Errorf("checksum is %d, the file says %d", got, sum)
	}
	var list []Epoch
	for len(data) > 0 {
		l := line()
		a, b, ok := bytes.Cut(l, []byte("-"))
		num, err1 := strconv.ParseInt(string(a), 10, 32)
		start, err2 := strconv.ParseUint(string(b), 10, 63)
		if !ok || err1 != nil || err2 != nil {
			return nil, fmt.Errorf("line %q is no epoch", l)
		}
		list = append(list, Epoch{int32(num), record.Offset(start)})
	}
	if uint64(len(list)) != n {
		return nil, fmt.Errorf("%d epochs, the file says %d", len(list), n)
	}
	return list, checkEpochs(list)
}

// checkEpochs refuses a list that goes backwards.
func checkEpochs(list []Epoch) error {
	for i, e := range list {
		if e.Start < 0 || i > 0 && (e.Number <= list[i-1].Number || e.Start < list[i-1].Start) {
			return fmt.Errorf("epochs go backwards: number %d from log offset %d on", e.Number, e.Start)
		}
	}
	return nil
}

func epochSum(lines []byte) uint32 { return crc32.ChecksumIEEE(lines) & math.MaxInt32 }

func encodeEpochs(list []Epoch) []byte {
	var lines []byte
	for _, e := range list {
		lines = strconv.AppendInt(lines, int64(e.Number), 10)
		lines = strconv.AppendInt(append(lines, '-'), int64(e.Start), 10)
		lines = append(lines, '\n')
	}
	return append(fmt.Appendf(nil, "%d\n%d\n", len(list), epochSum(lines)), lines...)
}

// List returns the epochs, oldest first. It must not be changed.
func (e *Epochs) List() []Epoch {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.list
}

// Last returns the newest epoch, the zero value when there is none.
func (e *Epochs) Last() Epoch {
	list := e.List()
	if len(list) == 0 {
		return Epoch{}
	}
	return list[len(list)-1]
}

// Written returns the number of the newest epoch in which a log that ends at end was written, 0 when there is none.
func (e *Epochs) Written(end record.Offset) int32 { return max(lastWritten(e.List(), end), 0) }

// edit replaces the list by what f makes of it, in the file first. f gets a copy.
func (e *Epochs) edit(f func(list []Epoch) []Epoch) error {
	e.turn <- struct{}{}
	defer func() { <-e.turn }()
	old := e.List()
	list := f(slices.Clone(old))
	if len(list) > maxEpochs {
		list = list[len(list)-maxEpochs:]
	}
	if slices.Equal(list, old) {
		return nil
	}
	if err := vfs.WriteFileAtomic(e.fs, e.path, encodeEpochs(list), true); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = list
	return nil
}

// add appends x, durably. Epochs in which nothing was written give way.
func (e *Epochs) add(x Epoch) error {
	if last := e.Last(); len(e.List()) > 0 && (x.Number <= last.Number || x.Start < last.Start) {
		return fmt.Errorf("epoch %d from log offset %d on does not follow epoch %d from %d on", x.Number, x.Start, last.Number, last.Start)
	}
	return e.edit(func(list []Epoch) []Epoch { return addEpoch(list, x) })
}

func addEpoch(list []Epoch, x Epoch) []Epoch {
	for len(list) > 0 && list[len(list)-1].Start >= x.Start {
		list = list[:len(list)-1]
	}
	return append(list, x)
}

// cut forgets the epochs that begin behind end, where the log ends.
func (e *Epochs) cut(end record.Offset) error {
	return e.edit(func(list []Epoch) []Epoch {
		return slices.DeleteFunc(list, func(x Epoch) bool { return x.Start > end })
	})
}

// Forget forgets the epochs that end at or before begin: that part of the log has been deleted.
func (e *Epochs) Forget(begin record.Offset) error {
	list := e.List()
	n := 0
	for n+1 < len(list) && list[n+1].Start <= begin {
		n++
	}
	if n == 0 {
		return nil
	}
	return e.edit(func(list []Epoch) []Epoch { return list[n:] })
}

// epochAt returns the epoch of the byte at off and where it ends. What is older than the list counts as of its first epoch.
func epochAt(list []Epoch, off record.Offset) (e Epoch, end record.Offset) {
	if len(list) == 0 {
		return Epoch{}, forever
	}
	i := max(epochsBefore(list, off+1)-1, 0)
	if i+1 < len(list) {
		return list[i], list[i+1].Start
	}
	return list[i], forever
}

// epochsBefore returns how many epochs begin before off.
func epochsBefore(list []Epoch, off record.Offset) int {
	n, _ := slices.BinarySearchFunc(list, off, func(e Epoch, off record.Offset) int {
		if e.Start < off {
			return -1
		}
		return 1
	})
	return n
}

// lastWritten returns the newest epoch in which a log that ends at end was written.
func lastWritten(list []Epoch, end record.Offset) int32 {
	if n := epochsBefore(list, end); n > 0 {
		return list[n-1].Number
	}
	return math.MinInt32
}

// common finds up to where two logs are the same: the newest epoch of ours that the other list has, too, with the same begin,
// and in it the end of the shorter one. at is its place in ours.
func common(ours []Epoch, ourEnd record.Offset, theirs []Epoch, theirEnd record.Offset) (at int, point record.Offset, ok bool) {
	end := ourEnd
	for i, e := range slices.Backward(ours) {
		if k := slices.Index(theirs, e); k >= 0 {
			other := theirEnd
			if k+1 < len(theirs) {
				other = theirs[k+1].Start
			}
			return i, max(min(end, other), e.Start), true
		}
		end = min(end, e.Start)
	}
	return 0, 0, false
}

// union completes a list with what another one knows of the same log. Where they contradict each other the first one is right.
func union(list, other []Epoch) []Epoch {
	out := slices.Clone(list)
	for _, e := range other {
		i, found := slices.BinarySearchFunc(out, e, func(a, b Epoch) int { return int(a.Number) - int(b.Number) })
		if found || i > 0 && out[i-1].Start >= e.Start || i < len(out) && out[i].Start <= e.Start {
			continue
		}
		out = slices.Insert(out, i, e)
	}
	return out
}
