package controller

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Op is what a Command asks for. The numbers stand in the replicated log.
type Op uint8

// The commands.
const (
	OpRead     Op = 1 // changes nothing: what is read after it is not older than it
	OpAlter    Op = 2 // the master proposes a sync-state set: Sync, SyncEpoch, ID, MasterEpoch
	OpElect    Op = 3 // elect a master: ID who asks or is designated, noID for the controller itself
	OpRegister Op = 4 // a broker has started: ID, Addr
	OpApplyID  Op = 5 // a new broker takes an id: ID, Addr, CheckCode
	OpClean    Op = 6 // forget brokers: IDs, all of the set when there are none; Living also live ones
)

// noID in place of a broker's id means that no broker asks.
const noID = -1

// Command is one entry of the replicated log. Whatever decides is in it: the leader puts what it has seen of the brokers
// into View, so that each controller comes to the same result.
type Command struct {
	Op            Op
	Cluster, Name string
	ID            int64
	Addr          string
	CheckCode     string
	MasterEpoch   int32
	SyncEpoch     int32
	Sync          []int64 // ascending, each once
	IDs           []int64
	Designate     bool // OpElect: ID and no other
	Living        bool // OpClean
	View          View
}

// View is what the leader knew of the brokers of a set when it proposed a command.
type View struct {
	// MasterEpoch is the epoch that the view is about. When the set has gone on since, nothing is known of its master.
	MasterEpoch int32
	// MayAct: the master may believe that it is one, because it has neither been silent for its lease nor lost its connections.
	MayAct bool
	// Unclean: enableElectUncleanMaster.
	Unclean bool
	// Alive are the brokers that send heartbeats, by id.
	Alive []Candidate
}

// Candidate is a live broker, as its last heartbeat described it.
type Candidate struct {
	ID        int64
	Epoch     int32
	MaxOffset int64
	Priority  int32         // the lower the better
	Lease     time.Duration // after that much silence it counts as dead; as master it stops to acknowledge
}

func (v *View) alive(id int64) (*Candidate, bool) {
	for i := range v.Alive {
		if v.Alive[i].ID == id {
			return &v.Alive[i], true
		}
	}
	return nil, false
}

// commandVersion is the first byte of a Command in the log.
const commandVersion = 1

// ErrCommand is wrapped by errors about entries of the log that are no commands.
var ErrCommand = errors.New("bad command")

// AppendTo appends the form in the log:
//
//	uint8    version, 1
//	uint8    op
//	uint8    1 designate, 2 living, 4 may act, 8 unclean
//	varint   id, master epoch, epoch of the sync-state set, master epoch of the view
//	text     cluster, name, address, check code; each: uvarint n, bytes[n]
//	uvarint  n, varint id [n]           the sync-state set
//	uvarint  n, varint id [n]           ids to clean
//	uvarint  n, candidate [n]: varint id, epoch, max offset, priority, lease in ms
func (c *Command) AppendTo(b []byte) []byte {
	b = append(b, commandVersion, byte(c.Op), flags(c.Designate, c.Living, c.View.MayAct, c.View.Unclean))
	b = appendInts(b, c.ID, int64(c.MasterEpoch), int64(c.SyncEpoch), int64(c.View.MasterEpoch))
	for _, s := range []string{c.Cluster, c.Name, c.Addr, c.CheckCode} {
		b = appendText(b, s)
	}
	b = appendList(b, c.Sync)
	b = appendList(b, c.IDs)
	b = binary.AppendUvarint(b, uint64(len(c.View.Alive)))
	for _, a := range c.View.Alive {
		b = appendInts(b, a.ID, int64(a.Epoch), a.MaxOffset, int64(a.Priority), a.Lease.Milliseconds())
	}
	return b
}

// Decode reads what AppendTo wrote. The result owns its memory.
func (c *Command) Decode(data []byte) error {
	r := reader{b: data}
	if v := r.byte(); v != commandVersion {
		return fmt.Errorf("%w: version %d, this program knows %d", ErrCommand, v, commandVersion)
	}
	*c = Command{Op: Op(r.byte())}
	f := r.byte()
	c.Designate, c.Living, c.View.MayAct, c.View.Unclean = f&1 != 0, f&2 != 0, f&4 != 0, f&8 != 0
	c.ID, c.MasterEpoch, c.SyncEpoch, c.View.MasterEpoch = r.int(), r.int32(), r.int32(), r.int32()
	c.Cluster, c.Name, c.Addr, c.CheckCode = r.text(), r.text(), r.text(), r.text()
	c.Sync, c.IDs = r.list(), r.list()
	for range r.count(maxReplicas) {
		c.View.Alive = append(c.View.Alive, Candidate{
			ID: r.int(), Epoch: r.int32(), MaxOffset: r.int(), Priority: r.int32(), Lease: time.Duration(r.int()) * time.Millisecond,
		})
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("%d bytes too many", len(r.b))
	}
	if r.err != nil {
		return fmt.Errorf("%w: %w", ErrCommand, r.err)
	}
	return nil
}

func flags(set ...bool) byte {
	var f byte
	for i, on := range set {
		if on {
			f |= 1 << i
		}
	}
	return f
}

func appendInts(b []byte, n ...int64) []byte {
	for _, n := range n {
		b = binary.AppendVarint(b, n)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendList(b []byte, ids []int64) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	return appendInts(b, ids...)
}

// reader takes values from b. After the first error all values are zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = errors.New(what)
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail("it ends too early")
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail("a number is cut off or too large")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int32() int32 {
	v := r.int()
	if int64(int32(v)) != v {
		r.fail("a number has more than 32 bits")
		return 0
	}
	return int32(v)
}

// count reads a number of elements, each of which takes a byte at least.
func (r *reader) count(most int) int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64(most) || v > uint64(len(r.b)-n) {
		r.fail("a count is cut off or too large")
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *reader) text() string {
	n := r.count(maxText)
	if r.err != nil {
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) list() []int64 {
	n := r.count(maxReplicas)
	if n == 0 {
		return nil
	}
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = r.int()
	}
	return ids
}

// sorted returns ids ascending and each once.
func sorted(ids []int64) []int64 {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}
