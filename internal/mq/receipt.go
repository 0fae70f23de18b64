package mq

import (
	"errors"
	"strconv"
	"strings"
)

// OrderedReviveQID is the revive queue of handles of ordered pops (Java KeyBuilder.POP_ORDER_REVIVE_QUEUE).
const OrderedReviveQID = 999

// Receipt is the handle of a popped message, Java's extraInfo: eight fields with a space between, and a ninth, the log offset, in
// handles that a proxy made.
type Receipt struct {
	Start     Index // first index of the batch it was handed out with
	PopTime   int64 // ms
	Invisible int64 // ms
	ReviveQID int32
	Retry     string // "0" the topic itself, "1" and "2" its retry topics
	Broker    string
	QueueID   int32
	Index     Index
	Offset    Offset // -1 when there is none
}

// ReceiptError names the field of a handle that is wrong.
type ReceiptError struct{ Field, Text string }

// Error says which field.
func (e *ReceiptError) Error() string {
	return "receipt handle: " + e.Field + " " + strconv.Quote(e.Text) + " is illegal"
}

var errReceiptFields = errors.New("receipt handle: it needs 8 fields")

// ParseReceipt reads a handle. The result refers to s.
func ParseReceipt(s string) (Receipt, error) {
	r := Receipt{Offset: -1}
	var f [9]string
	n := 0
	for rest, more := s, true; more; n++ {
		if n == len(f) {
			break // what is behind is not ours
		}
		f[n], rest, more = strings.Cut(rest, " ")
	}
	if n < 8 {
		return r, errReceiptFields
	}
	var bad *ReceiptError
	number := func(i int, name string, bits int) int64 {
		v, err := strconv.ParseInt(f[i], 10, bits)
		if (err != nil || v < 0) && bad == nil {
			bad = &ReceiptError{name, f[i]}
		}
		return v
	}
	r.Start = Index(number(0, "ckQueueOffset", 64))
	r.PopTime = number(1, "popTime", 64)
	r.Invisible = number(2, "invisibleTime", 64)
	r.ReviveQID = int32(number(3, "reviveQid", 32))
	r.Retry = f[4]
	r.Broker = f[5]
	r.QueueID = int32(number(6, "queueId", 32))
	r.Index = Index(number(7, "msgQueueOffset", 64))
	if r.Broker == "" && bad == nil {
		bad = &ReceiptError{"brokerName", f[5]}
	}
	if n == 9 {
		if at, err := strconv.ParseInt(f[8], 10, 64); err == nil {
			r.Offset = Offset(at)
		}
	}
	if bad != nil {
		return r, bad
	}
	return r, nil
}

// AppendTo appends the text of r.
func (r *Receipt) AppendTo(dst []byte) []byte {
	num := func(v int64) { dst = append(strconv.AppendInt(dst, v, 10), ' ') }
	num(int64(r.Start))
	num(r.PopTime)
	num(r.Invisible)
	num(int64(r.ReviveQID))
	dst = append(append(dst, r.Retry...), ' ')
	dst = append(append(dst, r.Broker...), ' ')
	num(int64(r.QueueID))
	dst = strconv.AppendInt(dst, int64(r.Index), 10)
	if r.Offset >= 0 {
		dst = strconv.AppendInt(append(dst, ' '), int64(r.Offset), 10)
	}
	return dst
}
