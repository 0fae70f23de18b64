package grpcapi

import (
	"bytes"
	"strconv"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// maxHandle bounds what is read of a handle: eight numbers and the name of a broker.
const maxHandle = 1024

// Where a message was popped, as handles say it.
const (
	retryNone = "0"
	retryV1   = "1"
	retryV2   = "2"
)

// parseHandle reads a receipt handle of this broker.
//
// Differs from Java: a handle that cannot be read is INVALID_RECEIPT_HANDLE; there it is INTERNAL_SERVER_ERROR, and push consumers try
// again for ever.
func (d *Door) parseHandle(text string) (mq.Receipt, error) {
	if len(text) > maxHandle {
		return mq.Receipt{}, refuse(v2.Code_INVALID_RECEIPT_HANDLE, "receipt handle is longer than %d bytes", maxHandle)
	}
	r, err := mq.ParseReceipt(text)
	switch {
	case err != nil:
		return r, refuse(v2.Code_INVALID_RECEIPT_HANDLE, "%s", err.Error())
	case r.Broker != d.o.Broker:
		return r, refuse(v2.Code_INVALID_RECEIPT_HANDLE, "receipt handle: broker %s is not known here", r.Broker)
	case r.Retry != retryNone && r.Retry != retryV1 && r.Retry != retryV2:
		return r, refuse(v2.Code_INVALID_RECEIPT_HANDLE, "receipt handle: retry flag %q is illegal", r.Retry)
	}
	return r, nil
}

// topicIn is the topic that the message of a handle is in: topic, or one of its retry topics.
func topicIn(r *mq.Receipt, group, topic string) string {
	switch r.Retry {
	case retryV1:
		return retryPrefix + group + "_" + topic
	case retryV2:
		return retryPrefix + group + "+" + topic
	}
	return topic
}

// askedBy is the request about one message that a client has got.
func (c *call) askedBy(r *mq.Receipt, text, group, topic, lite string) mq.AckRequest {
	return mq.AckRequest{
		Group: group, Topic: topicIn(r, group, topic), QueueID: r.QueueID, Index: r.Index, Receipt: text, LiteTopic: lite, ClientHost: c.from,
	}
}

// gone turns what is wrong for good with a message that a client holds into the one code that keeps it from trying again.
func gone(err error) error {
	switch mq.KindOf(err) {
	case mq.KindTopicNotExist, mq.KindMessageIllegal, mq.KindNoMessage, mq.KindInvalidParameter, mq.KindGroupNotExist:
		return refuse(v2.Code_INVALID_RECEIPT_HANDLE, "%s", err.Error())
	default:
		return err
	}
}

// popped is what one pop has found, message by message.
type popped struct {
	d       *Door
	res     *mq.PopResult
	group   string
	topic   string
	lite    bool
	counts  map[string]int32 // of an ordered pop, by Java's key
	perItem []int32          // of a pop of lite topics: by message
	starts  map[int32]mq.Index
}

func (d *Door) popped(q *mq.PopRequest, res *mq.PopResult) *popped {
	p := &popped{d: d, res: res, group: q.Group, topic: q.Topic, lite: q.LiteClient != ""}
	for part := range bytes.SplitSeq(res.StartOffsets, []byte(";")) {
		f := bytes.Fields(part)
		if len(f) != 3 || string(f[0]) != retryNone {
			continue
		}
		id, err := strconv.ParseInt(string(f[1]), 10, 32)
		at, aerr := strconv.ParseInt(string(f[2]), 10, 64)
		if err == nil && aerr == nil {
			if p.starts == nil {
				p.starts = map[int32]mq.Index{}
			}
			p.starts[int32(id)] = mq.Index(at)
		}
	}
	if len(res.OrderCounts) == 0 {
		return p
	}
	p.counts = map[string]int32{}
	for part := range bytes.SplitSeq(res.OrderCounts, []byte(";")) {
		f := bytes.Fields(part)
		if len(f) == 0 {
			continue
		}
		n, err := strconv.ParseInt(string(f[len(f)-1]), 10, 32)
		if err != nil {
			continue
		}
		p.perItem = append(p.perItem, int32(n))
		if len(f) == 3 {
			p.counts[string(f[1])] = int32(n)
		}
	}
	return p
}

// item is one popped message.
type item struct {
	record.Message
	receipt  mq.Receipt
	handle   string // its text
	lite     string // its lite topic
	attempts int32  // how often it was tried before
}

// read takes the i-th message out of rest and returns what is behind it; nil at the end.
func (p *popped) read(i int, rest []byte, it *item) []byte {
	n, err := record.Decode(rest, &it.Message, false)
	if err != nil || n <= 0 || n > len(rest) {
		return nil // the core checked them
	}
	it.lite, it.attempts = "", it.Reconsume
	it.receipt = mq.Receipt{
		Start: it.Index, PopTime: p.res.PopTime, Invisible: p.res.Invisible, ReviveQID: p.res.ReviveQID, Retry: retryNone, Broker: p.d.o.Broker,
		QueueID: it.QueueID, Index: it.Index, Offset: it.Offset,
	}
	switch ck, ok := it.Props.Get(record.PropPopCheckpoint); {
	case p.lite:
		p.readLite(i, it)
	case ok: // it is from a retry topic
		if r, err := mq.ParseReceipt(string(ck)); err == nil {
			r.Offset = it.Offset
			it.receipt = r
		}
	default:
		if at, ok := p.starts[it.QueueID]; ok {
			it.receipt.Start = at
		}
		switch string(it.Topic) {
		case retryPrefix + p.group + "_" + p.topic:
			it.receipt.Retry = retryV1
		case retryPrefix + p.group + "+" + p.topic:
			it.receipt.Retry = retryV2
		}
		if p.counts != nil {
			queue := strconv.Itoa(int(it.QueueID))
			count, ok := p.counts["qo"+queue+"%"+strconv.FormatInt(int64(it.Index), 10)]
			if !ok {
				count = p.counts[queue]
			}
			it.attempts = count
		}
	}
	it.handle = string(it.receipt.AppendTo(nil))
	return rest[n:]
}

// readLite is read for a message of a lite topic: what counts is where it is in that one's queue.
func (p *popped) readLite(i int, it *item) {
	lite, _ := it.Props.Get(record.PropLiteTopic)
	it.lite = string(lite)
	queue := litePrefix + p.topic + "$" + it.lite
	names, indexes := it.Props.Multi()
	for more := len(names) > 0; more; {
		var name, index []byte
		name, names, more = bytes.Cut(names, []byte(","))
		index, indexes, _ = bytes.Cut(indexes, []byte(","))
		if string(name) != queue {
			continue
		}
		if at, err := strconv.ParseInt(string(index), 10, 64); err == nil {
			it.receipt.Index, it.receipt.Start, it.receipt.QueueID = mq.Index(at), mq.Index(at), 0
		}
		break
	}
	if len(p.perItem) == p.res.Count {
		it.attempts = p.perItem[i]
	}
}
