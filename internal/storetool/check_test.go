package storetool

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/vfs"
)

func check(tb testing.TB, fsys vfs.FS) *Report {
	tb.Helper()
	r, err := Check(tb.Context(), fsys, Place{Root: root})
	must(tb, err)
	return r
}

func TestCheckOfSoundStores(t *testing.T) {
	t.Parallel()
	for _, spare := range []bool{false, true} {
		m, all := build(t, 100, spare)
		r := check(t, m)
		last := all[len(all)-1]
		if !r.OK() || !r.Clean || r.Messages != 100 || r.Units != 100 || r.Queues != 4 || r.Missing != 0 || r.First != 0 ||
			r.End != last.off+int64(last.size) || r.Tail != nil {
			t.Errorf("spare file %v: %+v", spare, r)
		}
	}
}

func TestCheckFindsFlippedBits(t *testing.T) {
	t.Parallel()
	// Positions in a record: every byte of the header that something can be told from, the topic's length, the body.
	for name, at := range map[string]int64{"size": 1, "low byte of size": 3, "magic": 5, "queue offset": 27, "offset": 35, "body": 90, "topic length": 96} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, all := build(t, 100, true)
			victim := all[40]
			flip(t, m, victim.off+at)
			r := check(t, m)
			if name == "queue offset" { // no checksum holds it: the unit tells
				if r.OK() || len(r.Damages) != 0 || r.Wrong != 1 || r.Messages != 100 || !strings.Contains(r.WrongFirst, "the message has index") {
					t.Errorf("%+v", r)
				}
				return
			}
			if r.OK() || len(r.Damages) != 1 || r.Messages != 99 || r.Wrong != 0 || r.Tail != nil {
				t.Fatalf("%+v", r)
			}
			if d := r.Damages[0]; d.Offset != victim.off || d.Length != int64(victim.size) || !strings.HasSuffix(d.File, fmt.Sprintf("%020d", victim.off/fileSize*fileSize)) {
				t.Errorf("damage %+v, want all of %+v", d, victim)
			}
		})
	}
}

// at is where a hit of several records begins and ends.
func TestCheckFindsOverwrittenRegions(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]byte{"zeroes": 0, "garbage": 0x5A} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, all := build(t, 100, false)
			from, to := all[10].off+5, all[14].off+7
			overwrite(t, m, from, bytes.Repeat([]byte{fill}, int(to-from))...)
			r := check(t, m)
			if r.Messages != 95 || len(r.Damages) != 1 || r.Damages[0].Offset != all[10].off || r.Damages[0].Length != all[15].off-all[10].off {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestARecordInsideABodyIsNotFound(t *testing.T) {
	t.Parallel()
	m, all := build(t, 100, false)
	data, err := vfs.ReadFile(m, root+"/commitlog/00000000000000000000")
	must(t, err)
	inner := data[all[2].off : all[2].off+int64(all[2].size)]
	overwrite(t, m, all[20].off, append([]byte{1, 2, 3, 4}, inner...)...) // a copy that says it stands elsewhere
	if r := check(t, m); r.Messages != 98 || len(r.Damages) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestTornTail(t *testing.T) {
	t.Parallel()
	m, all := build(t, 100, true)
	last := all[99]
	overwrite(t, m, last.off+50, make([]byte, last.size-50)...) // the end of the last record was not written
	r := check(t, m)
	if r.OK() || r.Tail == nil || r.Tail.Offset != last.off || r.Messages != 99 || len(r.Damages) != 0 || r.Beyond != 1 || r.Wrong != 0 {
		t.Errorf("after a clean end: %+v", r)
	}
	if r.Tail != nil && (r.Tail.Length > 50 || r.Tail.Length < 40) {
		t.Errorf("the tail has %d bytes, want what was written", r.Tail.Length)
	}
	put(t, m, root+"/abort", nil)
	if r = check(t, m); !r.OK() || r.Clean || r.Tail == nil {
		t.Errorf("after a kill: %+v", r)
	}
}

func TestCheckFindsMissingFiles(t *testing.T) {
	t.Parallel()
	name := func(i int) string { return fmt.Sprintf("%s/commitlog/%020d", root, i*fileSize) }
	m, all := build(t, 100, false)
	must(t, m.Remove(name(1)))
	r := check(t, m)
	lost := int64(0)
	for _, s := range all {
		if s.off/fileSize == 1 {
			lost++
		}
	}
	if len(r.Damages) != 1 || r.Damages[0].Offset != fileSize || r.Damages[0].Length != fileSize || r.Messages != 100-lost || r.Wrong != 0 {
		t.Errorf("in the middle: %+v, lost %d", r, lost)
	}
	m, all = build(t, 100, false)
	must(t, m.Remove(name(0)))
	if r = check(t, m); !r.OK() || r.Wrong != 0 {
		t.Errorf("the first is what retention deletes: %+v", r)
	}
	files := int(all[99].off/fileSize) + 1
	m, _ = build(t, 100, false)
	must(t, m.Remove(name(files-1)))
	if r = check(t, m); r.OK() || r.Beyond == 0 {
		t.Errorf("the last: %+v", r)
	}
	if _, err := Check(t.Context(), m, Place{Root: "/nothing"}); err == nil {
		t.Error("no error without a log")
	}
}

func TestCheckComparesUnits(t *testing.T) {
	t.Parallel()
	unit := func(off int64, size int) []byte {
		u := binary.BigEndian.AppendUint64(nil, uint64(off))
		return append(binary.BigEndian.AppendUint32(u, uint32(size)), make([]byte, 8)...)
	}
	_, all := build(t, 100, false)
	for name, tc := range map[string]struct {
		unit                   []byte
		wrong, beyond, missing int64
		text                   string
	}{
		"names another message": {unit(all[8].off, all[8].size), 1, 0, 0, "has index 2"},
		"wrong size":            {unit(all[0].off, all[0].size+1), 1, 0, 0, "bytes, the unit says"},
		"between messages":      {unit(all[0].off+1, all[0].size), 1, 0, 0, "bad magic"},
		"behind the log":        {unit(1<<40, 100), 0, 1, 0, ""},
		"a blank":               {unit(0, 0x7FFFFFFF), 0, 0, 0, ""},
		"nothing":               {make([]byte, unitSize), 0, 0, 25, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := build(t, 100, false)
			f, err := m.Open(root + "/consumequeue/Topic0/0/00000000000000000000")
			must(t, err)
			_, err = f.WriteAt(tc.unit, 0)
			must(t, err)
			must(t, f.Close())
			r := check(t, m)
			if r.Wrong != tc.wrong || r.Beyond != tc.beyond || r.Missing != tc.missing || !strings.Contains(r.WrongFirst, tc.text) {
				t.Errorf("%+v", r)
			}
			if r.OK() != (tc.wrong+tc.beyond == 0) {
				t.Errorf("OK is %v: %+v", r.OK(), r)
			}
		})
	}
	m, _ := build(t, 100, false)
	must(t, m.RemoveAll(root+"/consumequeue/Topic1"))
	if r := check(t, m); !r.OK() || r.Missing != 50 || r.Queues != 2 {
		t.Errorf("a topic's queues are gone: %+v", r)
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	t.Parallel()
	m, _ := build(t, 100, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ctx, m, Place{Root: root}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCheckReportsReadErrors(t *testing.T) {
	t.Parallel()
	m, _ := build(t, 100, false)
	broken := errors.New("broken disk")
	for _, n := range []int{1, 2, 5} {
		_, err := Check(t.Context(), vfs.NewFaulty(m, vfs.FailNth(vfs.OpRead, n, broken)), Place{Root: root})
		if !errors.Is(err, broken) {
			t.Errorf("read %d: %v", n, err)
		}
	}
}

func TestLogInAnotherDirectory(t *testing.T) {
	t.Parallel()
	m, _ := build(t, 100, false)
	must(t, m.Rename(root+"/commitlog", "/elsewhere"))
	r, err := Check(t.Context(), m, Place{Root: root, Log: "/elsewhere"})
	if err != nil || !r.OK() || r.Messages != 100 {
		t.Errorf("%+v, %v", r, err)
	}
}

func dump(tb testing.TB, fsys vfs.FS, o DumpOptions) (lines []Line, damages []Damage) {
	tb.Helper()
	var out bytes.Buffer
	must(tb, Dump(tb.Context(), fsys, Place{Root: root}, o, &out, func(d Damage) { damages = append(damages, d) }))
	for l := range bytes.Lines(out.Bytes()) {
		var v Line
		must(tb, json.Unmarshal(l, &v))
		lines = append(lines, v)
	}
	return lines, damages
}

func TestDump(t *testing.T) {
	t.Parallel()
	m, all := build(t, 100, true)
	lines, damages := dump(t, m, DumpOptions{Body: true})
	if len(lines) != 100 || len(damages) != 0 {
		t.Fatalf("%d lines, %d damages", len(lines), len(damages))
	}
	l := lines[7]
	if l.Offset != all[7].off || l.Topic != all[7].topic || l.Queue != all[7].queue || l.Index != all[7].index || l.Body != "body 007" ||
		l.Size != 8 || l.Props["KEYS"] != "k7" || l.BornHost != "127.0.0.1:10911" || l.Stored.UnixMilli() != 1_700_000_000_007 {
		t.Errorf("%+v", l)
	}
	if lines, _ = dump(t, m, DumpOptions{Topic: "Topic1", Limit: 3}); len(lines) != 3 || lines[2].Topic != "Topic1" || lines[2].Body != "" {
		t.Errorf("three of a topic: %+v", lines)
	}
	if lines, _ = dump(t, m, DumpOptions{From: all[90].off}); len(lines) != 10 || lines[0].Offset != all[90].off {
		t.Errorf("from an offset: %d lines", len(lines))
	}
	flip(t, m, all[50].off+90)
	flip(t, m, all[99].off+5)
	if lines, damages = dump(t, m, DumpOptions{}); len(lines) != 98 || len(damages) != 2 {
		t.Errorf("damaged: %d lines, damages %+v", len(lines), damages)
	}
}

// FuzzCheck takes any bytes for a log: it ends, does not panic, and what it calls readable and damaged does not overlap.
func FuzzCheck(f *testing.F) {
	m, _ := build(f, 20, false)
	seed, err := vfs.ReadFile(m, root+"/commitlog/00000000000000000000")
	must(f, err)
	f.Add(seed)
	f.Add(seed[:1000])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		m := vfs.NewMem(vfs.MemOptions{})
		put(t, m, root+"/commitlog/00000000000000000000", data)
		r := check(t, m)
		sum := r.Bytes
		for _, d := range r.Damages {
			sum += d.Length
		}
		if sum > int64(len(data)) || r.End > int64(len(data)) {
			t.Errorf("%+v of %d bytes", r, len(data))
		}
	})
}
