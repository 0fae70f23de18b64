package meta

import (
	"bytes"
	"testing"

	"github.com/cometmq/cometmq/internal/broker/journalfile"
)

// fuzzText checks that whatever text is accepted is written in a form that reads back alike.
func fuzzText(f *testing.F, name string, pick func(*Tables) (decode func([]byte) error, encode func() []byte)) {
	f.Helper()
	f.Add(javaFile(f, name))
	f.Add([]byte(`{'dataVersion':{counter:"1"},"x":[{{"a":1}:2}],}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		decode, encode := pick(open(t, newMem(t)))
		if decode(data) != nil {
			return
		}
		first := encode()
		decode, encode = pick(open(t, newMem(t)))
		if err := decode(first); err != nil {
			t.Fatalf("%v in our own text\n%s", err, first)
		}
		if second := encode(); !bytes.Equal(first, second) {
			t.Fatalf("first\n%s\nsecond\n%s", first, second)
		}
	})
}

func FuzzTopics(f *testing.F) {
	fuzzText(f, "topics.json", func(tb *Tables) (func([]byte) error, func() []byte) {
		return tb.Topics.decode, func() []byte { return tb.Topics.snapshot()() }
	})
}

func FuzzGroups(f *testing.F) {
	fuzzText(f, "subscriptionGroup.json", func(tb *Tables) (func([]byte) error, func() []byte) {
		return tb.Groups.decode, func() []byte { return tb.Groups.snapshot()() }
	})
}

func FuzzOffsets(f *testing.F) {
	fuzzText(f, "consumerOffset.json", func(tb *Tables) (func([]byte) error, func() []byte) {
		return tb.Offsets.decode, func() []byte { return tb.Offsets.snapshot()() }
	})
}

// FuzzJournal feeds bytes as a journal file and as the records of a frame.
func FuzzJournal(f *testing.F) {
	m := newMem(f)
	fill(f, m)
	for _, name := range []string{"topics", "groups", "offsets"} {
		f.Add(get(f, m, testRoot+"/cometmq/"+journalfile.Name(name, 2)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frames, res, err := scanJournal(data, 2)
		if err != nil {
			return
		}
		used := res.torn
		for _, fr := range frames {
			used += frameHead + len(fr.payload)
		}
		for _, h := range res.holes {
			used += h[1] - h[0]
		}
		if len(data) >= journalfile.HeadSize && used != len(data) && used != len(data)-journalfile.HeadSize {
			t.Fatalf("%d bytes of %d are accounted for", used, len(data))
		}
		tb := open(t, newMem(t))
		for _, fr := range append(frames, frame{payload: data}) {
			_ = tb.Topics.replay(fr.payload)
			_ = tb.Groups.replay(fr.payload)
			_ = tb.Offsets.replay(fr.payload)
		}
		// A whole store with such a file opens or says why not.
		c := newMem(t)
		put(t, c, testRoot+"/cometmq/"+journalfile.Name("topics", 2), data)
		if tb, err := Open(c, testRoot, Options{}); err == nil {
			must(t, tb.Close())
		}
	})
}
