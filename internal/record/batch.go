package record

import (
	"encoding/binary"
	"fmt"
)

// A batch (request code 320) is messages back to back:
//
//	size (4) | 0 (4) | 0 (4) | flag (4) | body length (4) | body | properties length (2) | properties

const batchHead = 20

// BatchIter reads the messages of a batch. Like Java's broker it goes by the lengths of the parts and does not look at
// the size, which only clients need.
type BatchIter struct {
	rest  []byte
	count int
	err   error
}

// IterBatch returns an iterator over a batch body.
func IterBatch(body []byte) BatchIter { return BatchIter{rest: body} }

// Next returns the next message; body and props are parts of the batch. ok is false at the end and at an error.
func (it *BatchIter) Next() (flag int32, body []byte, props Props, ok bool) {
	if len(it.rest) == 0 || it.err != nil {
		return 0, nil, nil, false
	}
	if len(it.rest) < batchHead+2 {
		return it.fail()
	}
	be := binary.BigEndian
	flag = int32(be.Uint32(it.rest[12:]))
	n := int(int32(be.Uint32(it.rest[16:])))
	b := it.rest[batchHead:]
	if n < 0 || n > len(b)-2 {
		return it.fail()
	}
	body, b = b[:n:n], b[n:]
	n = int(int16(be.Uint16(b)))
	b = b[2:]
	if n < 0 || n > len(b) {
		return it.fail()
	}
	props, it.rest = Props(b[:n:n]), b[n:]
	it.count++
	return flag, body, props, true
}

func (it *BatchIter) fail() (int32, []byte, Props, bool) {
	it.err = fmt.Errorf("batch message %d: %w", it.count, ErrLayout)
	return 0, nil, nil, false
}

// Err returns why Next ended early, nil at the regular end.
func (it *BatchIter) Err() error { return it.err }

// AppendBatchItem appends one message to a batch body. props are at most MaxProps bytes.
func AppendBatchItem(dst []byte, flag int32, body []byte, props Props) []byte {
	be := binary.BigEndian
	dst = be.AppendUint32(dst, uint32(batchHead+len(body)+2+len(props)))
	dst = be.AppendUint64(dst, 0)
	dst = be.AppendUint32(dst, uint32(flag))
	dst = be.AppendUint32(dst, uint32(len(body)))
	dst = append(dst, body...)
	dst = be.AppendUint16(dst, uint16(len(props)))
	return append(dst, props...)
}
