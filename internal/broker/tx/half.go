package tx

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/broker/meta"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/record"
)

// Why a record is no half message.
var (
	errNotHalf = errors.New("the record is not in the half topic")
	errNoPlace = errors.New("the half message does not say where it belongs")
)

// Half is a half message in parts. Its slices are parts of the record that it was decoded from.
type Half struct {
	Msg    record.Message
	Topic  []byte // REAL_TOPIC
	Queue  int32  // REAL_QID
	Group  []byte // PGROUP
	Unique []byte // UNIQ_KEY
	// Origin is the index of the half message that this is a copy of; its own when it is none.
	Origin record.Index

	checks      int // how often producers were asked
	hasImmunity bool
	immunity    time.Duration // not to be asked about before this age; < 0: as long as usual
}

// Decode fills h from a stored record. The body's checksum is the store's business.
func (h *Half) Decode(rec []byte) error {
	_, err := h.decode(rec)
	return err
}

// decode also returns the length of the record, 0 when src does not begin with one.
func (h *Half) decode(src []byte) (n int, err error) {
	*h = Half{Queue: -1, Origin: -1}
	if n, err = record.Decode(src, &h.Msg, false); err != nil {
		return 0, err
	}
	if string(h.Msg.Topic) != meta.TopicHalf {
		return n, errNotHalf
	}
	h.Msg.Props.ForEach(func(k, v []byte) bool {
		switch string(k) {
		case record.PropRealTopic:
			h.Topic = v
		case record.PropRealQueueID:
			h.Queue = int32(number(v, -1, math.MaxInt32))
		case record.PropProducerGroup:
			h.Group = v
		case record.PropUniqKey:
			h.Unique = v
		case record.PropCheckTimes:
			h.checks = int(number(v, 0, math.MaxInt32))
		case record.PropPreparedIndex:
			h.Origin = record.Index(number(v, -1, math.MaxInt64))
		case record.PropCheckImmunity:
			h.hasImmunity, h.immunity = true, -1
			// The upper bound is some 68 years and keeps the product in its type.
			if n := number(v, -1, math.MaxInt32); n >= 0 {
				h.immunity = time.Duration(n) * time.Second
			}
		}
		return true
	})
	if h.Origin < 0 || h.Origin > h.Msg.Index {
		h.Origin = h.Msg.Index
	}
	if len(h.Topic) == 0 || h.Queue < 0 {
		return n, errNoPlace
	}
	return n, nil
}

// number is Java's getLong with a default; what is too large counts as the limit.
func number(v []byte, otherwise, limit int64) int64 {
	n, err := strconv.ParseInt(bytesview.String(v), 10, 64)
	switch {
	case err != nil, n < 0:
		return otherwise
	case n > limit:
		return limit
	}
	return n
}

// Expired reports whether a producer that was not asked comes too late: the message's immunity time has passed, and what
// it says now may contradict the answer to a check.
func (h *Half) Expired(now time.Time, timeout time.Duration) bool {
	return h.hasImmunity && h.age(now) > h.patience(timeout)
}

func (h *Half) age(now time.Time) time.Duration {
	return now.Sub(time.UnixMilli(h.Msg.BornTime))
}

// patience is the age from which a producer is asked.
func (h *Half) patience(timeout time.Duration) time.Duration {
	if h.hasImmunity && h.immunity >= 0 {
		return h.immunity
	}
	return timeout
}

// AppendHalfProps appends the properties of a new half message to dst: p, which is to be seen in topic and queue. What the
// broker writes there itself is dropped from p, whoever put it there: a consumer that sends on what it received does.
//
// Differs from Java: TRANSACTION_CHECK_TIMES and TRAN_PREPARED_QUEUE_OFFSET of a client are dropped. Java takes them for
// its own: a message that was received and sent on as a half message starts with the checks of the old one.
func AppendHalfProps(dst []byte, p record.Props, topic string, queue int32, unique string) []byte {
	dst = p.AppendWithout(dst, record.PropRealTopic, record.PropRealQueueID, record.PropTransactionID, record.PropCheckTimes,
		record.PropPreparedIndex)
	if unique != "" {
		dst = record.AppendProp(dst, record.PropTransactionID, unique)
	}
	dst = record.AppendProp(dst, record.PropRealTopic, topic)
	return appendNumber(dst, record.PropRealQueueID, int64(queue))
}

// AppendCommitProps appends the properties of the message that h becomes when it is committed. later: it goes where
// messages wait until they are due.
//
// As Java 5.5.0 writes them: without REAL_TOPIC and REAL_QID, and without TRAN_MSG if it waits first.
func (h *Half) AppendCommitProps(dst []byte, later bool) []byte {
	if later {
		return h.Msg.Props.AppendWithout(dst, record.PropRealTopic, record.PropRealQueueID, record.PropTransaction)
	}
	return h.Msg.Props.AppendWithout(dst, record.PropRealTopic, record.PropRealQueueID)
}

// appendCopyProps appends the properties of a copy of h. As in Java it is the half message with the number of checks; ours
// also says in each copy, not only in those of immune messages, which half message it stems from.
func (h *Half) appendCopyProps(dst []byte, checks int) []byte {
	dst = h.Msg.Props.AppendWithout(dst, record.PropCheckTimes, record.PropPreparedIndex)
	if checks > 0 {
		dst = appendNumber(dst, record.PropCheckTimes, int64(checks))
	}
	return appendNumber(dst, record.PropPreparedIndex, int64(h.Origin))
}

func appendNumber(dst []byte, name string, n int64) []byte {
	var digits [20]byte
	return record.AppendProp(dst, name, bytesview.String(strconv.AppendInt(digits[:0], n, 10)))
}
