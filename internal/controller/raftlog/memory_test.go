package raftlog

import (
	"errors"
	"io"
	"testing"

	"github.com/hashicorp/raft"
)

func TestMemoryKeepsWhatAKilledMemberHad(t *testing.T) {
	t.Parallel()
	m := new(Memory)
	known, err := raft.HasExistingState(m, m, m)
	if err != nil || known {
		t.Fatalf("an empty one is taken for a used one: %v", err)
	}
	for i := uint64(1); i <= 9; i++ {
		must(t, m.StoreLog(&raft.Log{Index: i, Term: 1, Data: []byte{byte(i)}}))
	}
	must(t, m.DeleteRange(1, 3)) // behind a snapshot
	must(t, m.DeleteRange(8, 9)) // in conflict with the leader's
	must(t, m.SetUint64([]byte("CurrentTerm"), 7))
	must(t, m.Set([]byte("LastVoteCand"), []byte("n1")))
	s, err := m.Create(1, 3, 1, raft.Configuration{}, 1, nil)
	must(t, err)
	_, err = s.Write([]byte("state"))
	must(t, err)
	c := m.Clone() // before the snapshot is whole
	must(t, s.Close())
	must(t, m.SetUint64([]byte("CurrentTerm"), 8))

	first, _ := c.FirstIndex()
	last, _ := c.LastIndex()
	term, _ := c.GetUint64([]byte("CurrentTerm"))
	vote, _ := c.Get([]byte("LastVoteCand"))
	if first != 4 || last != 7 || term != 7 || string(vote) != "n1" {
		t.Errorf("%d..%d, term %d, vote %q", first, last, term, vote)
	}
	var e raft.Log
	if err = c.GetLog(8, &e); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("a deleted entry: %v", err)
	}
	if l, _ := c.List(); len(l) != 0 {
		t.Errorf("half a snapshot is taken for one: %v", l[0])
	}
	l, err := m.List()
	if err != nil || len(l) != 1 || l[0].Index != 3 || l[0].Size != 5 {
		t.Fatalf("snapshots %v, %v", l, err)
	}
	_, r, err := m.Open(l[0].ID)
	must(t, err)
	if b, err := io.ReadAll(r); err != nil || string(b) != "state" {
		t.Errorf("%q, %v", b, err)
	}
	must(t, m.DeleteRange(4, 7))
	first, _ = m.FirstIndex()
	last, _ = m.LastIndex()
	if first != 0 || last != 0 {
		t.Errorf("an empty log is %d..%d", first, last)
	}
}
