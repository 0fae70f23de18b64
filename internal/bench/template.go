package bench

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strconv"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// template is an encoded send request in which only the opaque, the born time and the body change from message to
// message: encoding costs the generator next to nothing.
type template struct {
	frame    []byte // up to the body
	opaqueAt int
	queueAt  int // of the queue's digit, where it may change
	bornAt   int
	jsonHead bool
	body     []byte
}

const (
	// Stand-ins of full width that are searched in the encoded frame.
	bornMark   = 1234567890123
	opaqueMark = 1987654321
)

// opaqueLimit keeps opaques at ten digits in a JSON header.
const (
	opaqueBase  = 1000000000
	opaqueLimit = 1000000000
)

// newTemplate encodes a send of one message, or of a batch of n equal ones, to one queue.
func newTemplate(c *Client, topic, group, props string, queue int, body []byte, n int) *template {
	return encodeTemplate(c, topic, group, props, queue, 0, body, n)
}

// newHalfTemplate encodes a half message.
func newHalfTemplate(c *Client, topic, group, props string, queue int, body []byte) *template {
	return encodeTemplate(c, topic, group, props, queue, record.SysFlagPrepared, body, 1)
}

func encodeTemplate(c *Client, topic, group, props string, queue int, sysFlag int32, body []byte, n int) *template {
	h := &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: group, Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: int32(queue),
		BornTimestamp: bornMark, Properties: props, MaxReconsumeTimes: -1, Batch: n > 1,
		SysFlag: sysFlag,
	}
	code := protocol.ReqSendMessageV2
	if n > 1 {
		code = protocol.ReqSendBatchMessage
		body = batchBody(body, props, n)
		h.Properties = ""
	}
	t := &template{jsonHead: c.serial == protocol.JSON, body: body}
	t.frame = c.begin(nil, code, opaqueMark, h, len(body))
	t.bornAt = bytes.Index(t.frame, []byte(strconv.Itoa(bornMark)))
	if t.jsonHead {
		t.opaqueAt = bytes.Index(t.frame, []byte(strconv.Itoa(opaqueMark)))
	} else {
		t.opaqueAt = protocol.PrefixLen + 5
	}
	return t
}

// newTemplates makes one template for each queue of a topic; for many topics one for each topic, whose queue changes.
func newTemplates(c *Client, o *Options, body []byte) []*template {
	var ts []*template
	if o.Topics <= 1 {
		for q := range o.Queues {
			ts = append(ts, newTemplate(c, o.Topic, o.Group, o.Props, q, body, o.Batch))
		}
		return ts
	}
	for i := range o.Topics {
		name := topicName(o.Topic, i)
		t := newTemplate(c, name, o.Group, o.Props, 1, body, o.Batch)
		other := newTemplate(c, name, o.Group, o.Props, 2, body, o.Batch)
		for t.frame[t.queueAt] == other.frame[t.queueAt] {
			t.queueAt++
		}
		ts = append(ts, t)
	}
	return ts
}

// topicName is the i-th of many topics.
func topicName(prefix string, i int) string { return prefix + "-" + strconv.Itoa(i) }

// batchBody is the body of a code-320 request (remoting protocol: size, 0, 0, flag, length, body, length, properties).
func batchBody(body []byte, props string, n int) []byte {
	var out []byte
	for range n {
		out = binary.BigEndian.AppendUint32(out, uint32(22+len(body)+len(props)))
		out = append(out, make([]byte, 12)...)
		out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
		out = append(out, body...)
		out = binary.BigEndian.AppendUint16(out, uint16(len(props)))
		out = append(out, props...)
	}
	return out
}

// appendTo appends one request. It returns where its body starts, for generators that number their messages.
func (t *template) appendTo(dst []byte, opaque int32, bornMs int64) (out []byte, bodyAt int) {
	at := len(dst)
	dst = append(dst, t.frame...)
	if t.jsonHead {
		strconv.AppendInt(dst[:at+t.opaqueAt], int64(opaqueBase+opaque%opaqueLimit), 10)
	} else {
		binary.BigEndian.PutUint32(dst[at+t.opaqueAt:], uint32(opaque))
	}
	strconv.AppendInt(dst[:at+t.bornAt], bornMs, 10)
	bodyAt = len(dst)
	return append(dst, t.body...), bodyAt
}

// setQueue changes the queue of a request that was appended with its body at bodyAt; one digit only.
func (t *template) setQueue(out []byte, bodyAt, queue int) {
	out[bodyAt-len(t.frame)+t.queueAt] = byte('0' + queue)
}

// number returns the opaque that appendTo was given.
func (t *template) number(r *Reply) int32 {
	if t.jsonHead {
		return r.opaque - opaqueBase
	}
	return r.opaque
}

// filler makes a body that does not compress to nothing.
func filler(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return b
}
