package delay

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"strconv"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// copies are the deliveries that a former broker had stored but not written down as done: what is delivered, and how often. The log is
// asked about that after a crash, so that nothing needs to be written while messages are delivered.
//
// A kept message and its copy are matched by all that they share. Messages that are alike in that are alike for everybody, so it does not
// matter which of them is left out, only how many.
type copies struct {
	seeds [2]maphash.Seed
	n     map[copyKey]int32
	buf   []byte
}

type copyKey [2]uint64

// maxCopies bounds the memory, to some 100 MiB. What is beyond it is delivered again.
const maxCopies = 2_000_000

// notShared are the properties that a kept message and its copy need not both have: set at delivery or where a message is stored.
var notShared = []string{
	record.PropTimerEnqueueMS, record.PropTimerDequeueMS, record.PropTimerDueMS, record.PropTimerRollTimes, record.PropMultiOffset,
	record.PropInnerNum, record.PropInnerBase, record.PropCRC32,
}

func newCopies() *copies {
	return &copies{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, n: map[copyKey]int32{}}
}

// key returns what m, a kept message or a copy, has in common with the other. kind is the level or one of the two below, enqueued when a
// timer was noted, 0 for levels.
func (c *copies) key(m *record.Message, kind int32, enqueued int64) copyKey {
	be := binary.BigEndian
	b := m.Props.AppendWithout(c.buf[:0], notShared...)
	b = be.AppendUint32(b, uint32(len(b)))
	b = be.AppendUint32(b, uint32(kind))
	b = be.AppendUint64(b, uint64(enqueued))
	b = be.AppendUint32(b, uint32(m.Flag))
	b = be.AppendUint32(b, uint32(m.SysFlag&^(record.SysFlagBornV6|record.SysFlagStoreV6)))
	b = be.AppendUint32(b, uint32(m.Reconsume))
	b = be.AppendUint64(b, uint64(m.BornTime))
	host, port := m.BornHost.Addr().As16(), m.BornHost.Port()
	b = be.AppendUint16(append(b, host[:]...), port)
	b = append(b, m.Body...)
	c.buf = b
	k := copyKey{maphash.Bytes(c.seeds[0], c.buf), maphash.Bytes(c.seeds[1], c.buf)}
	if cap(c.buf) > batchBytes {
		c.buf = nil
	}
	return k
}

// Kinds of copies beside the levels.
const (
	kindTimer int32 = -1
	kindRoll  int32 = -2 // a timer that was stored again on its way
)

// addTimer counts m, a record of the log, if it is a delivered or rolled timer.
func (c *copies) addTimer(m *record.Message) {
	if _, ok := m.Props.Get(record.PropTimerDequeueMS); !ok {
		return
	}
	kind := kindTimer
	if string(m.Topic) == TimerTopic {
		kind = kindRoll
	} else if to, _ := m.Props.Get(record.PropRealTopic); !bytes.Equal(to, m.Topic) {
		return // on its way to somewhere else since
	}
	text, _ := m.Props.Get(record.PropTimerEnqueueMS)
	enqueued, err := strconv.ParseInt(bytesview.String(text), 10, 64)
	if err == nil && len(c.n) < maxCopies {
		c.n[c.key(m, kind, enqueued)]++
	}
}

// addLevel counts m, a record of the log, if one of the levels has delivered it and from says that it matters: the end of what is known
// to be done of each level, -1 for a level that is of no interest.
func (c *copies) addLevel(m *record.Message, from []mq.Offset) {
	text, ok := m.Props.Get(record.PropDelay)
	if !ok {
		return
	}
	n, err := strconv.ParseInt(bytesview.String(text), 10, 32)
	if err != nil || n < 1 || n > int64(len(from)) || from[n-1] < 0 || m.Offset < from[n-1] {
		return
	}
	if to, _ := m.Props.Get(record.PropRealTopic); bytes.Equal(to, m.Topic) && len(c.n) < maxCopies {
		c.n[c.key(m, int32(n), 0)]++
	}
}

// take reports whether there is a copy with this key that does not stand for another message.
func (c *copies) take(k copyKey) bool {
	n := c.n[k]
	switch n {
	case 0:
		return false
	case 1:
		delete(c.n, k)
	default:
		c.n[k] = n - 1
	}
	return true
}
