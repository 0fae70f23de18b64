package controller

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cometmq/cometmq/internal/protocol"
)

// history is what must hold over all states of a set.
type history struct {
	masters map[int32]int64  // by epoch
	owners  map[int64]string // check codes by id
}

// drawCommand makes a command that is right in about half of its parts.
func drawCommand(t *rapid.T, s *State) *Command {
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "set")
	id := rapid.Int64Range(1, 5)
	c := &Command{
		Op:      rapid.SampledFrom([]Op{OpRead, OpAlter, OpAlter, OpElect, OpElect, OpElect, OpRegister, OpApplyID, OpApplyID, OpClean}).Draw(t, "op"),
		Cluster: "c1", Name: name, ID: id.Draw(t, "id"),
	}
	set := s.Set(name)
	for i := range int64(6) {
		if i > 0 && rapid.Bool().Draw(t, "alive") {
			c.View.Alive = append(c.View.Alive, Candidate{
				ID: i, Epoch: rapid.Int32Range(0, 2).Draw(t, "epoch"), MaxOffset: rapid.Int64Range(0, 3).Draw(t, "max"),
				Priority: rapid.Int32Range(0, 2).Draw(t, "priority"), Lease: time.Duration(rapid.IntRange(0, 3).Draw(t, "lease")) * time.Second,
			})
		}
	}
	c.View.Unclean = rapid.IntRange(0, 3).Draw(t, "unclean") == 0
	c.View.MayAct = rapid.Bool().Draw(t, "may act")
	c.View.MasterEpoch = rapid.Int32Range(0, 5).Draw(t, "view")
	if set != nil && rapid.Bool().Draw(t, "fresh") {
		c.View.MasterEpoch, c.MasterEpoch, c.SyncEpoch = set.MasterEpoch, set.MasterEpoch, set.SyncEpoch
		if c.Op == OpAlter && set.Master != 0 {
			c.ID = set.Master
		}
	}
	switch c.Op {
	case OpAlter:
		c.Sync = sorted(rapid.SliceOfN(id, 0, 4).Draw(t, "sync"))
		if rapid.Bool().Draw(t, "with itself") {
			c.Sync = sorted(append(c.Sync, c.ID))
		}
	case OpElect:
		c.Designate = rapid.IntRange(0, 3).Draw(t, "designate") == 0
		if rapid.Bool().Draw(t, "by the controller") {
			c.ID = noID
		}
	case OpApplyID:
		if rapid.Bool().Draw(t, "next") {
			c.ID = s.NextID(name)
		}
		c.CheckCode = fmt.Sprintf("h%d:1;%d", rapid.IntRange(1, 3).Draw(t, "host"), rapid.IntRange(1, 50).Draw(t, "ms"))
		c.Addr, _, _ = strings.Cut(c.CheckCode, ";")
	case OpRegister:
		c.Addr = fmt.Sprintf("h%d:1", rapid.IntRange(0, 3).Draw(t, "host"))
	case OpClean:
		c.IDs = sorted(rapid.SliceOfN(id, 0, 2).Draw(t, "ids"))
		c.Living = rapid.IntRange(0, 3).Draw(t, "living") == 0
	case OpRead:
	}
	return c
}

// TestStateKeepsItsPromises: one master an epoch, epochs grow, elected from the sync-state set unless allowed otherwise, ids are
// never given twice, whatever is asked in whatever order.
func TestStateKeepsItsPromises(t *testing.T) {
	t.Parallel()
	elections := 0
	rapid.Check(t, func(t *rapid.T) {
		s := &State{}
		past := map[string]*history{"a": {map[int32]int64{}, map[int64]string{}}, "b": {map[int32]int64{}, map[int64]string{}}}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c := drawCommand(t, s)
			before := s.AppendTo(nil)
			next, a := s.Apply(c)
			if !bytes.Equal(before, s.AppendTo(nil)) {
				t.Fatalf("Apply changed its input")
			}
			sameElsewhere(t, before, c, next, a)
			if next == s {
				continue
			}
			if a.Code != protocol.RespSuccess && a.Code != protocol.RespControllerMasterNotAvailable {
				t.Fatalf("%d %s: refused, and the state changed", a.Code, a.Remark)
			}
			old, set := s.sets[c.Name], next.sets[c.Name]
			if old == nil {
				old = &Set{NextID: firstID}
			}
			checkSet(t, set)
			checkChange(t, c, old, set)
			past[c.Name].check(t, set)
			if a.Elected {
				elections++
			}
			s = next
		}
	})
	if elections == 0 {
		t.Error("nobody was elected in any run")
	}
}

// sameElsewhere applies the command as another controller would, from a snapshot and from the log.
func sameElsewhere(t *rapid.T, before []byte, c *Command, next *State, a Answer) {
	other, err := DecodeState(before)
	if err != nil {
		t.Fatal(err)
	}
	var d Command
	if err = d.Decode(c.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	got, b := other.Apply(&d)
	if !bytes.Equal(got.AppendTo(nil), next.AppendTo(nil)) || a.Code != b.Code || a.Remark != b.Remark {
		t.Fatalf("another controller comes to %+v %s, this one to %+v %s", b, got.AppendTo(nil), a, next.AppendTo(nil))
	}
}

func checkSet(t *rapid.T, set *Set) {
	if _, ok := set.Replica(set.Master); set.Master != 0 && (!ok || !set.InSync(set.Master)) {
		t.Fatalf("the master is not there or not in sync: %+v", set)
	}
	for _, id := range set.Sync {
		if _, ok := set.Replica(id); !ok {
			t.Fatalf("%d is in sync and not there: %+v", id, set)
		}
	}
	for _, r := range set.Replicas {
		if r.ID >= set.NextID {
			t.Fatalf("%d has been given and is the next one: %+v", r.ID, set)
		}
	}
}

func checkChange(t *rapid.T, c *Command, old, set *Set) {
	if changed := old.Master != set.Master; set.MasterEpoch < old.MasterEpoch || (changed && set.MasterEpoch == old.MasterEpoch) {
		t.Fatalf("master %d of epoch %d became %d of epoch %d", old.Master, old.MasterEpoch, set.Master, set.MasterEpoch)
	}
	if changed := !slices.Equal(old.Sync, set.Sync); set.SyncEpoch < old.SyncEpoch || (changed && set.SyncEpoch == old.SyncEpoch) {
		t.Fatalf("in sync %v of epoch %d became %v of epoch %d", old.Sync, old.SyncEpoch, set.Sync, set.SyncEpoch)
	}
	if set.NextID < old.NextID {
		t.Fatalf("the next id was %d and is %d", old.NextID, set.NextID)
	}
	if set.Master != 0 && set.Master != old.Master {
		if len(old.Sync) > 0 && !old.InSync(set.Master) && !c.View.Unclean {
			t.Fatalf("%d was elected, in sync were %v", set.Master, old.Sync)
		}
		if old.Master != 0 && !c.Designate && c.View.mayAct(old) {
			t.Fatalf("%d was elected while %d may be acting: %+v", set.Master, old.Master, c)
		}
	}
}

func (h *history) check(t *rapid.T, set *Set) {
	if m, ok := h.masters[set.MasterEpoch]; ok && m != set.Master {
		t.Fatalf("epoch %d has the masters %d and %d", set.MasterEpoch, m, set.Master)
	}
	h.masters[set.MasterEpoch] = set.Master
	for _, r := range set.Replicas {
		if code, ok := h.owners[r.ID]; ok && code != r.CheckCode {
			t.Fatalf("id %d was given to %s and to %s", r.ID, code, r.CheckCode)
		}
		h.owners[r.ID] = r.CheckCode
	}
}

func TestBestCandidate(t *testing.T) {
	t.Parallel()
	c := func(id int64, epoch int32, maxOffset int64, priority int32) Candidate {
		return Candidate{ID: id, Epoch: epoch, MaxOffset: maxOffset, Priority: priority}
	}
	for _, tc := range []struct {
		name string
		in   []Candidate
		want int64
	}{
		{"the later epoch", []Candidate{c(1, 1, 900, 0), c(2, 2, 100, 9)}, 2},
		{"the longer log", []Candidate{c(1, 2, 100, 0), c(2, 2, 101, 9)}, 2},
		{"longer by more than 2 GiB, where Java's difference is cut to 32 bits", []Candidate{c(1, 2, 1, 0), c(2, 2, 1+3<<30, 9)}, 2},
		{"the lower priority", []Candidate{c(1, 2, 100, 5), c(2, 2, 100, 4)}, 2},
		{"the lower id", []Candidate{c(2, 2, 100, 4), c(1, 2, 100, 4)}, 1},
	} {
		set := &Set{Name: "s", MasterEpoch: 3, Sync: []int64{1, 2}, Replicas: []Replica{{ID: 1}, {ID: 2}}}
		if got := set.best(&Command{ID: noID, View: View{MasterEpoch: 3, Alive: tc.in}}); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

// TestEpochsGoOnAfterTheControllersLostTheirState: the brokers still know.
func TestEpochsGoOnAfterTheControllersLostTheirState(t *testing.T) {
	t.Parallel()
	s := &State{}
	for _, c := range []Command{
		{Op: OpApplyID, ID: 1, Addr: "h:1", CheckCode: "h:1;1"},
		{Op: OpElect, ID: 1, View: View{Alive: []Candidate{{ID: 1, Epoch: 7}, {ID: 2, Epoch: 2147483647}}}},
	} {
		c.Name = "a"
		next, a := s.Apply(&c)
		if a.Code != 0 {
			t.Fatal(a)
		}
		s = next
	}
	if set := s.Set("a"); set.Master != 1 || set.MasterEpoch != 8 {
		t.Errorf("%+v", set)
	}
}

// TestCleanedSetGoesOn: what brokers have in their files must not come back.
func TestCleanedSetGoesOn(t *testing.T) {
	t.Parallel()
	s := &State{}
	apply := func(want int32, c Command) {
		t.Helper()
		c.Cluster, c.Name = "c1", "a"
		next, a := s.Apply(&c)
		if a.Code != want {
			t.Fatalf("%+v: %d %s", c, a.Code, a.Remark)
		}
		s = next
	}
	apply(0, Command{Op: OpApplyID, ID: 1, Addr: "h:1", CheckCode: "h:1;1"})
	apply(0, Command{Op: OpApplyID, ID: 2, Addr: "h:2", CheckCode: "h:2;1"})
	apply(0, Command{Op: OpElect, ID: 1})
	apply(0, Command{Op: OpClean, IDs: []int64{2}, Living: true}) // Java forgets all of them
	if set := s.Set("a"); set == nil || len(set.Replicas) != 1 || set.Master != 1 {
		t.Fatalf("%+v", set)
	}
	apply(0, Command{Op: OpClean, Living: true})
	if s.Set("a") != nil || len(s.Sets()) != 0 || s.NextID("a") != 3 {
		t.Fatalf("%+v", s.sets["a"])
	}
	again, err := DecodeState(s.AppendTo(nil))
	if err != nil || !bytes.Equal(again.AppendTo(nil), s.AppendTo(nil)) {
		t.Fatal(err)
	}
	apply(protocol.RespControllerBrokerIDInvalid, Command{Op: OpApplyID, ID: 1, Addr: "h:1", CheckCode: "h:1;9"})
	apply(0, Command{Op: OpApplyID, ID: 3, Addr: "h:3", CheckCode: "h:3;1"})
	apply(0, Command{Op: OpElect, ID: 3})
	if set := s.Set("a"); set.MasterEpoch != 3 || set.Master != 3 {
		t.Errorf("%+v", set)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxText+1)
	for _, c := range []Command{
		{Op: OpApplyID, Name: long, ID: 1},
		{Op: OpApplyID, Name: "a", Cluster: long, ID: 1},
		{Op: OpApplyID, ID: 1},
		{Op: OpApplyID, Name: "a", ID: 1, CheckCode: long},
		{Op: 99, Name: "a"},
	} {
		s := &State{}
		if next, a := s.Apply(&c); next != s || a.Code != protocol.RespControllerInvalidRequest {
			t.Errorf("%d %s", a.Code, a.Remark)
		}
	}
	s := &State{sets: map[string]*Set{}}
	for i := range maxSets {
		name := fmt.Sprintf("set%d", i)
		s.sets[name] = &Set{Name: name, NextID: 2, Replicas: []Replica{{ID: 1}}}
	}
	if next, a := s.Apply(&Command{Op: OpApplyID, Name: "one more", ID: 1}); next != s || a.Code != protocol.RespControllerInvalidRequest {
		t.Errorf("%d %s", a.Code, a.Remark)
	}
}

func sampleState() *State {
	return &State{sets: map[string]*Set{
		"a": {
			Cluster: "c1", Name: "a", NextID: 4, Master: 2, MasterEpoch: 7, Lease: 10 * time.Second, Sync: []int64{2, 3}, SyncEpoch: 12,
			Replicas: []Replica{{1, "h:1", "h:1;1"}, {2, "h:2", "h:2;1"}, {3, "h:3", "h:3;1"}},
		},
		"b": {Cluster: "c1", Name: "b", NextID: 9, MasterEpoch: 3, SyncEpoch: 2, Lease: time.Second},
	}}
}

func TestSnapshotIsReadBackAndChecked(t *testing.T) {
	t.Parallel()
	s := sampleState()
	data := s.AppendTo(nil)
	got, err := DecodeState(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s.sets, got.sets); d != "" {
		t.Error(d)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if _, err := DecodeState(bad); !errors.Is(err, ErrSnapshot) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		if _, err := DecodeState(data[:i]); !errors.Is(err, ErrSnapshot) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	newer := bytes.Clone(data)
	newer[5] = 2
	if _, err := DecodeState(newer); err == nil || !strings.Contains(err.Error(), "version 2, this program knows 1") {
		t.Error(err)
	}
	m := newMachine(nil)
	m.state.Store(s)
	if err := m.Restore(newer); err == nil || m.state.Load() != s {
		t.Errorf("%v: the state was replaced", err)
	}
}

// TestImpossibleSnapshots have a right checksum and a state that cannot be.
func TestImpossibleSnapshots(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *Set){
		"no such master":    func(t *Set) { t.Master = 9 },
		"nobody in sync":    func(t *Set) { t.Sync = []int64{9} },
		"twice in sync":     func(t *Set) { t.Sync = []int64{2, 2} },
		"an id to come":     func(t *Set) { t.NextID = 2 },
		"ids out of order":  func(t *Set) { t.Replicas[0].ID = 3 },
		"an id that is not": func(t *Set) { t.Replicas[0].ID = 0 },
		"no name":           func(t *Set) { t.Name = "" },
	} {
		s := sampleState()
		spoil(s.sets["a"])
		if _, err := DecodeState(s.AppendTo(nil)); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeState(f *testing.F) {
	f.Add(sampleState().AppendTo(nil))
	f.Add((&State{}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeState(data)
		if err != nil {
			return
		}
		again, err := DecodeState(s.AppendTo(nil))
		if err != nil || !cmp.Equal(s.sets, again.sets) {
			t.Errorf("%v: %+v and %+v", err, s, again)
		}
	})
}

func FuzzDecodeCommand(f *testing.F) {
	for _, c := range []Command{
		{Op: OpRead},
		{Op: OpElect, Cluster: "c", Name: "n", ID: noID, Designate: true, View: View{MayAct: true, Unclean: true, MasterEpoch: 4, Alive: []Candidate{{1, 2, 3, 4, time.Second}}}},
		{Op: OpClean, Name: "n", IDs: []int64{1, 2}, Living: true},
		{Op: OpAlter, Name: "n", Sync: []int64{1, 5}, MasterEpoch: 3, SyncEpoch: 8},
		{Op: OpApplyID, Name: "n", ID: 3, Addr: "h:1", CheckCode: "h:1;2"},
	} {
		f.Add(c.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c, d Command
		if c.Decode(data) != nil {
			return
		}
		if err := d.Decode(c.AppendTo(nil)); err != nil || !cmp.Equal(c, d) {
			t.Errorf("%v: %+v and %+v", err, c, d)
		}
		_, _ = sampleState().Apply(&c)
	})
}

// TestMachineLeavesOutWhatItCannotRead.
func TestMachineLeavesOutWhatItCannotRead(t *testing.T) {
	t.Parallel()
	var d diary
	m := newMachine(logTo(&d))
	for _, data := range [][]byte{nil, {2}, {1, 2}, []byte("garbage")} {
		a, ok := m.Apply(data).(Answer)
		if !ok || a.Code != protocol.RespSystemError {
			t.Errorf("%q: %+v", data, a)
		}
	}
	if !strings.Contains(d.String(), "is left out") || len(m.state.Load().sets) != 0 {
		t.Error(d.String())
	}
}
