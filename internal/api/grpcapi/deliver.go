package grpcapi

import (
	"crypto/md5" //nolint:gosec // the digest that clients expect
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/record"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

func stamp(ms int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMilli(ms)) }

// messageOf is a stored message as clients get it. It refers to the record.
func messageOf(m *record.Message) *v2.Message {
	body, encoding := delivered(m)
	sum := md5.Sum(body) //nolint:gosec // as above
	p := &v2.SystemProperties{
		BodyDigest:   &v2.Digest{Type: v2.DigestType_MD5, Checksum: strings.ToUpper(hex.EncodeToString(sum[:]))},
		BodyEncoding: encoding, BornTimestamp: stamp(m.BornTime), BornHost: m.BornHost.String(), StoreTimestamp: stamp(m.StoreTime),
		StoreHost: m.StoreHost.String(), QueueId: m.QueueID, QueueOffset: new(int64(m.Index)), DeliveryAttempt: new(m.Reconsume + 1),
	}
	out := &v2.Message{Topic: resource(string(m.Topic)), SystemProperties: p, Body: body}
	dead := &v2.DeadLetterQueue{}
	transaction, delayed := false, false
	m.Props.ForEach(func(k, raw []byte) bool {
		v := bytesview.String(raw)
		switch string(k) {
		case record.PropTags:
			p.Tag = &v
		case record.PropKeys:
			p.Keys = strings.Fields(v)
		case record.PropUniqKey:
			p.MessageId = v
		case record.PropTransaction:
			transaction = true
		case record.PropDelay:
			delayed = delayed || v != "0"
		case record.PropTimerDelayMS, record.PropTimerDelaySec:
			delayed = true
		case record.PropTimerDeliverMS:
			delayed = true
			if ms, err := strconv.ParseInt(v, 10, 64); err == nil {
				p.DeliveryTimestamp = stamp(ms)
			}
		case record.PropBornHost:
			p.BornHost = v
		case record.PropShardingKey:
			p.MessageGroup = &v
		case propTrace:
			p.TraceContext = &v
		case record.PropLiteTopic:
			p.LiteTopic = &v
		case record.PropPriority:
			if n, err := strconv.ParseInt(v, 10, 32); err == nil {
				p.Priority = new(int32(n))
			}
		case record.PropDLQOriginTopic:
			dead.Topic = v
		case record.PropDLQOriginID:
			dead.MessageId = v
		}
		if !reserved[bytesview.String(k)] {
			if out.UserProperties == nil {
				out.UserProperties = map[string]string{}
			}
			out.UserProperties[bytesview.String(k)] = v
		}
		return true
	})
	if dead.Topic != "" && dead.MessageId != "" {
		p.DeadLetterQueue = dead
	}
	if p.MessageId == "" {
		p.MessageId = string(record.AppendOffsetID(nil, m.StoreHost, m.Offset))
	}
	switch {
	case transaction:
		p.MessageType = v2.MessageType_TRANSACTION
	case delayed:
		p.MessageType = v2.MessageType_DELAY
	case p.MessageGroup != nil:
		p.MessageType = v2.MessageType_FIFO
	case p.Priority != nil:
		p.MessageType = v2.MessageType_PRIORITY
	case p.LiteTopic != nil:
		p.MessageType = v2.MessageType_LITE
	default:
		p.MessageType = v2.MessageType_NORMAL
	}
	return out
}

func dur(d time.Duration) *durationpb.Duration { return durationpb.New(d) }
