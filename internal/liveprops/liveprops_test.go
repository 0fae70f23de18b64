package liveprops_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/cometmq/cometmq/internal/liveprops"
	"github.com/cometmq/cometmq/internal/vfs"
)

var defaults = map[string]string{"port": "1", "on": "false", "name": "", "configBlackList": "a;b"}

func TestChanges(t *testing.T) {
	t.Parallel()
	was := liveprops.Over(defaults, map[string]string{"port": "x", "mine": "1"})
	now := was.With(map[string]string{"port": "2", "on": "TRUE", "name": "n", "unknown": "u", "mine": "m"})
	for _, c := range []struct {
		t    liveprops.Table
		want string
	}{
		{was, "configBlackList=a;b\nmine=1\nname=\non=false\nport=1\n"},
		{now, "configBlackList=a;b\nmine=1\nname=n\non=true\nport=2\n"}, // a number needs a number
		{now.With(map[string]string{"on": "yes"}), "configBlackList=a;b\nmine=1\nname=n\non=false\nport=2\n"},
	} {
		if got := string(c.t.Text()); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if was.On("on") || !now.On("on") || now.Get("name") != "n" || now.Get("unknown") != "" {
		t.Errorf("%q", now.Text())
	}
	for key, want := range map[string]bool{"a": true, "b": true, "port": false, "always": true} {
		if got := was.Locked(map[string]string{key: ""}, []string{"always"}); got != want {
			t.Errorf("%s is locked: %v", key, got)
		}
	}
}

func TestStoreKeepsWhatTheOperatorWrote(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem(vfs.MemOptions{})
	table := liveprops.Over(defaults, map[string]string{"port": "7"})
	var asked map[string]string
	edit := func(file []byte, values map[string]string) []byte {
		asked = values
		return append(bytes.Clone(file), "edited"...)
	}
	for _, c := range []struct {
		edit liveprops.Edit
		want string
	}{
		{edit, string(table.Text())}, // there was no file
		{edit, string(table.Text()) + "edited"},
		{nil, string(table.Text())},
	} {
		if err := table.Store(fs, "/etc/mq/x.conf", map[string]string{"port": "7", "unknown": "1"}, c.edit); err != nil {
			t.Fatal(err)
		}
		if got, err := vfs.ReadFile(fs, "/etc/mq/x.conf"); err != nil || string(got) != c.want {
			t.Errorf("%q %v, want %q", got, err, c.want)
		}
	}
	if len(asked) != 1 || asked["port"] != "7" {
		t.Errorf("%q", asked)
	}
	broken := errors.New("broken")
	bad := vfs.NewFaulty(fs, func(op vfs.Op) error {
		if op.Kind == vfs.OpOpen {
			return broken
		}
		return nil
	})
	if err := table.Store(bad, "/etc/mq/x.conf", nil, edit); !errors.Is(err, broken) || errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := liveprops.Parse([]byte("# c\na = ${b}\nb=1\n"))
	if err != nil || len(got) != 2 || got["a"] != "${b}" || got["b"] != "1" {
		t.Errorf("%q %v", got, err)
	}
	if _, err = liveprops.Parse([]byte(`a=\u12`)); err == nil {
		t.Error("a cut escape is taken")
	}
}
