package tablefeed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A question, 54 bytes, integers big-endian:
//
//	 0  1  version, 1
//	 1  1  flags: 1 = tells only, expects no entries
//	 2  8  number of the follower, chosen by it at random
//	10  8  number of the stream, 0 = none yet
//	18  8  position up to which it has received the stream
//	26  8  position up to which it has applied it
//	34  8  number of the full state that it is fetching, 0 = none
//	42  8  how much of that it has
//	50  4  how long the question may wait, ms
//
// An answer, 26 bytes or, with a part of the full state, 50, then entries:
//
//	 0  1  version, 1
//	 1  1  kind: 0 nothing new, 1 entries, 2 a part of the full state
//	 2  8  number of the stream
//	10  8  position behind the entries; of the full state: where the stream goes on behind it
//	18  8  offset of the log that the entries speak of at most
//	26  8  number of the full state
//	34  8  its length
//	42  8  where this part of it begins
//
// An entry: source, length as an unsigned varint, record. A part of the full state may begin and end within an entry.
const (
	version      = 1
	questionSize = 54
	answerHead   = 26
	stateHead    = 50
	flagTell     = 1
)

// Kind is what an answer has.
type Kind byte

// Kinds of answers.
const (
	KindNothing Kind = 0
	KindEntries Kind = 1
	KindState   Kind = 2
)

// Question is what a follower asks.
type Question struct {
	Tell      bool
	Follower  uint64
	Stream    uint64
	Received  uint64
	Applied   uint64
	State     uint64
	StateHave uint64
	Wait      time.Duration
}

// AppendTo appends the bytes of q.
func (q *Question) AppendTo(dst []byte) []byte {
	flags := byte(0)
	if q.Tell {
		flags = flagTell
	}
	dst = append(dst, version, flags)
	for _, v := range [...]uint64{q.Follower, q.Stream, q.Received, q.Applied, q.State, q.StateHave} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(min(max(q.Wait.Milliseconds(), 0), 1<<31)))
}

// Decode reads the bytes of a question.
func (q *Question) Decode(b []byte) error {
	if len(b) != questionSize {
		return fmt.Errorf("a question about tables of %d bytes, want %d", len(b), questionSize)
	}
	if b[0] != version {
		return fmt.Errorf("a question about tables of version %d, want %d", b[0], version)
	}
	*q = Question{Tell: b[1]&flagTell != 0, Wait: time.Duration(binary.BigEndian.Uint32(b[50:])) * time.Millisecond}
	for i, p := range [...]*uint64{&q.Follower, &q.Stream, &q.Received, &q.Applied, &q.State, &q.StateHave} {
		*p = binary.BigEndian.Uint64(b[2+8*i:])
	}
	return nil
}

// Answer is what a follower is told. Entries alias the bytes that were decoded.
type Answer struct {
	Kind    Kind
	Stream  uint64
	Next    uint64
	End     int64
	State   uint64
	Total   uint64
	At      uint64
	Entries []byte
}

func (a *Answer) appendHead(dst []byte) []byte {
	dst = append(dst, version, byte(a.Kind))
	dst = binary.BigEndian.AppendUint64(dst, a.Stream)
	dst = binary.BigEndian.AppendUint64(dst, a.Next)
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.End))
	if a.Kind == KindState {
		dst = binary.BigEndian.AppendUint64(dst, a.State)
		dst = binary.BigEndian.AppendUint64(dst, a.Total)
		dst = binary.BigEndian.AppendUint64(dst, a.At)
	}
	return dst
}

// MaxState bounds what a follower takes for a full state.
const MaxState = 1 << 30

var errAnswer = errors.New("an answer about tables that cannot be read")

// Decode reads the bytes of an answer.
func (a *Answer) Decode(b []byte) error {
	if len(b) < answerHead || b[0] != version {
		return errAnswer
	}
	u := func(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	*a = Answer{Kind: Kind(b[1]), Stream: u(2), Next: u(10), End: int64(u(18)), Entries: b[answerHead:]}
	switch a.Kind {
	case KindNothing:
		if len(a.Entries) > 0 {
			return errAnswer
		}
	case KindEntries:
	case KindState:
		if len(b) < stateHead {
			return errAnswer
		}
		a.State, a.Total, a.At, a.Entries = u(26), u(34), u(42), b[stateHead:]
		if a.Total > MaxState || a.At > a.Total || uint64(len(a.Entries)) > a.Total-a.At || len(a.Entries) == 0 && a.Total > 0 {
			return errAnswer
		}
	default:
		return errAnswer
	}
	if a.End < 0 {
		return errAnswer
	}
	return nil
}

// Each calls fn for each entry of b until it fails. rec aliases b.
func Each(b []byte, fn func(src Source, rec []byte) error) error {
	for len(b) > 0 {
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || size > uint64(len(b)-1-n) {
			return fmt.Errorf("%w: an entry is cut short", errAnswer)
		}
		if err := fn(Source(b[0]), b[1+n:1+n+int(size)]); err != nil {
			return err
		}
		b = b[1+n+int(size):]
	}
	return nil
}
