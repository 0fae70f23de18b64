package controller

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"time"
)

// snapshotMagic begins a snapshot: four letters and the version of the layout.
const snapshotMagic = "CMQC\x00\x01"

// ErrSnapshot is wrapped by errors about bytes that are no snapshot of a State.
var ErrSnapshot = errors.New("bad snapshot")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendTo appends a snapshot of s:
//
//	bytes[4]  "CMQC"
//	uint16    version, 1
//	uvarint   n, set [n] by name:
//	            text    cluster, name
//	            varint  next id, master, master epoch, lease in ms, epoch of the sync-state set
//	            uvarint n, varint id [n]   the sync-state set
//	            uvarint n, replica [n]:    varint id, text address, text check code
//	uint32    CRC-32C of all before it
//
// Numbers of fixed size are big endian; a text is uvarint n, bytes[n].
func (s *State) AppendTo(b []byte) []byte {
	start := len(b)
	b = append(b, snapshotMagic...)
	b = binary.AppendUvarint(b, uint64(len(s.sets)))
	for _, name := range slices.Sorted(maps.Keys(s.sets)) {
		t := s.sets[name]
		b = appendText(appendText(b, t.Cluster), t.Name)
		b = appendInts(b, t.NextID, t.Master, int64(t.MasterEpoch), t.Lease.Milliseconds(), int64(t.SyncEpoch))
		b = appendList(b, t.Sync)
		b = binary.AppendUvarint(b, uint64(len(t.Replicas)))
		for _, r := range t.Replicas {
			b = appendText(appendText(appendInts(b, r.ID), r.Addr), r.CheckCode)
		}
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// DecodeState reads what AppendTo wrote and checks that it is a state that Apply can have made.
func DecodeState(data []byte) (*State, error) {
	if len(data) < len(snapshotMagic)+4 || string(data[:4]) != snapshotMagic[:4] {
		return nil, fmt.Errorf("%w: these %d bytes are something else", ErrSnapshot, len(data))
	}
	if v := binary.BigEndian.Uint16(data[4:]); v != uint16(snapshotMagic[5]) {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrSnapshot, v, snapshotMagic[5])
	}
	body := data[:len(data)-4]
	if want, got := binary.BigEndian.Uint32(data[len(body):]), crc32.Checksum(body, castagnoli); want != got {
		return nil, fmt.Errorf("%w: checksum %08x, the content has %08x", ErrSnapshot, want, got)
	}
	r := reader{b: body[len(snapshotMagic):]}
	s := &State{sets: map[string]*Set{}}
	last := ""
	for range r.count(maxSets) {
		t := r.set()
		if r.err == nil && (t.Name <= last && last != "" || t.Name == "") {
			r.fail("sets out of order")
		}
		last = t.Name
		s.sets[t.Name] = t
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail("bytes behind the end")
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, r.err)
	}
	return s, nil
}

func (r *reader) set() *Set {
	t := &Set{Cluster: r.text(), Name: r.text(), NextID: r.int(), Master: r.int(), MasterEpoch: r.int32()}
	t.Lease, t.SyncEpoch = time.Duration(r.int())*time.Millisecond, r.int32()
	t.Sync = r.list()
	var last int64
	for range r.count(maxReplicas) {
		p := Replica{ID: r.int(), Addr: r.text(), CheckCode: r.text()}
		if r.err == nil && (p.ID <= last || p.ID >= t.NextID) {
			r.fail("ids out of order")
		}
		last = p.ID
		t.Replicas = append(t.Replicas, p)
	}
	last = 0
	for _, id := range t.Sync {
		if _, ok := t.Replica(id); r.err == nil && (!ok || id <= last) {
			r.fail("the sync-state set has a broker that is not there")
		}
		last = id
	}
	if _, ok := t.Replica(t.Master); r.err == nil && t.Master != 0 && !ok {
		r.fail("the master is not there")
	}
	return t
}
