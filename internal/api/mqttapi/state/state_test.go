package state_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/kvfile"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestChangesAreDoneInOrderAndKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mqtt.db")
	open := func() *state.Store { return state.Open(kvfile.New(kvfile.Options{FS: vfs.OS(), Path: path})) }
	s := open()
	const n = 500
	done := make(chan int, n)
	for i := range n {
		s.Apply([]state.Op{{Key: "a/" + strconv.Itoa(i%7), Value: []byte(strconv.Itoa(i))}, {Key: "b", Value: []byte("x")}}, func(err error) {
			if err != nil {
				t.Error(err)
			}
			done <- i
		})
	}
	for i := range n {
		if got := <-done; got != i {
			t.Fatalf("change %d is done after %d", got, i-1)
		}
	}
	s.Apply([]state.Op{{Key: "a/0"}}, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer s.Close()
	got := map[string]string{}
	if err := s.Load("a/", func(k string, v []byte) error { got[k] = string(v); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 6 || got["a/6"] != "496" || got["a/1"] != "498" {
		t.Errorf("%v", got)
	}
}

func TestAFileThatCannotBeWrittenFailsAllThatFollows(t *testing.T) {
	t.Parallel()
	f := kvfile.New(kvfile.Options{FS: vfs.OS(), Path: filepath.Join(t.TempDir(), "mqtt.db")})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s := state.Open(f)
	defer s.Close()
	for range 2 {
		failed := make(chan error, 1)
		s.Apply([]state.Op{{Key: "k", Value: []byte("v")}}, func(err error) { failed <- err })
		if <-failed == nil {
			t.Fatal("no error")
		}
	}
}
