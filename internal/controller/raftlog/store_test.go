package raftlog

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

func openTest(t *testing.T, name string) *store {
	t.Helper()
	s, err := openStore(name)
	must(t, err)
	t.Cleanup(func() { _ = s.close() })
	return s
}

func TestStoreKeepsEntriesAndVotes(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "db")
	s := openTest(t, name)
	if first, err := s.FirstIndex(); first != 0 || err != nil {
		t.Error(first, err)
	}
	if _, err := s.GetUint64([]byte("CurrentTerm")); err == nil || err.Error() != "not found" {
		t.Errorf("the library wants this text: %v", err)
	}
	at := time.Unix(1_700_000_000, 5)
	var in []*raft.Log
	for i := range uint64(500) {
		in = append(in, &raft.Log{Index: i + 3, Term: i / 10, Type: raft.LogCommand, Data: bytes.Repeat([]byte{byte(i)}, int(i)), AppendedAt: at})
	}
	in[7].Extensions, in[8].Data, in[9].AppendedAt = []byte("ext"), nil, time.Time{}
	must(t, s.StoreLogs(in))
	must(t, s.SetUint64([]byte("CurrentTerm"), 7))
	must(t, s.Set([]byte("vote"), []byte("n1")))
	must(t, s.close())
	s = openTest(t, name)
	for _, want := range in {
		var got raft.Log
		must(t, s.GetLog(want.Index, &got))
		if len(got.Data) == 0 {
			got.Data = nil
		}
		if d := cmp.Diff(want, &got); d != "" && len(want.Data) > 0 {
			t.Fatal(d)
		}
	}
	if v, err := s.GetUint64([]byte("CurrentTerm")); v != 7 || err != nil {
		t.Error(v, err)
	}
	if v, err := s.Get([]byte("vote")); string(v) != "n1" || err != nil {
		t.Error(v, err)
	}
	must(t, s.DeleteRange(0, 100))
	must(t, s.DeleteRange(400, 502))
	must(t, s.DeleteRange(1000, 2000))
	first, err := s.FirstIndex()
	must(t, err)
	last, err := s.LastIndex()
	must(t, err)
	if first != 101 || last != 399 {
		t.Errorf("%d to %d are left", first, last)
	}
	var e raft.Log
	if err := s.GetLog(100, &e); !errors.Is(err, raft.ErrLogNotFound) {
		t.Error(err)
	}
}

func TestEntriesAreChecked(t *testing.T) {
	t.Parallel()
	e := &raft.Log{Index: 9, Term: 4, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: time.Unix(5, 0)}
	key := indexKey(9)
	v, err := appendEntry(nil, key, e)
	must(t, err)
	var got raft.Log
	must(t, decodeEntry(key, v, &got))
	if d := cmp.Diff(e, &got); d != "" {
		t.Error(d)
	}
	for i := range v {
		bad := bytes.Clone(v)
		bad[i] ^= 16
		if err := decodeEntry(key, bad, &got); !errors.Is(err, errDamaged) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		if err := decodeEntry(key, v[:i], &got); !errors.Is(err, errDamaged) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if err := decodeEntry(indexKey(8), v, &got); !errors.Is(err, errDamaged) {
		t.Errorf("under another index: %v", err)
	}
	if err := decodeEntry([]byte("k"), v, &got); !errors.Is(err, errDamaged) {
		t.Errorf("under another key: %v", err)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	v, _ := appendEntry(nil, indexKey(1), &raft.Log{Index: 1, Term: 2, Data: []byte("x")})
	f.Add(v)
	f.Fuzz(func(_ *testing.T, v []byte) {
		var e raft.Log
		_ = decodeEntry(indexKey(1), v, &e)
	})
}
