package amqpapi

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cometmq/cometmq/internal/api/amqpapi/amqp10"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// Values of propBody.
const (
	bodyText     = "s" // a string, stored as UTF-8
	bodySections = "v" // anything else, stored as the encoded sections
)

// Message annotations of Qpid JMS.
const (
	annMsgType  = "x-opt-jms-msg-type"
	annDelivery = "x-opt-delivery-time"
)

// msgTypeText is the annMsgType of a JMS TextMessage.
const msgTypeText = 5

// maxProps is how long the properties of a stored message may be.
const maxProps = 32767

func encode64(b []byte) string { return base64.RawStdEncoding.EncodeToString(b) }

func decode64(p record.Props, name string) ([]byte, bool) {
	s, ok := p.Get(name)
	if !ok {
		return nil, false
	}
	b, err := base64.RawStdEncoding.DecodeString(string(s))
	return b, err == nil
}

// decode reads a message that a client has sent. The error is an *mq.Error.
func decode(payload []byte) (*amqp10.Message, error) {
	m, err := amqp10.DecodeMessage(payload)
	if err != nil {
		return nil, mq.Errorf(mq.KindMessageIllegal, "message: %v", err)
	}
	return m, nil
}

// toStored makes of an AMQP message what other clients can read: the body is the bytes of a data body or the text of a string, and
// application properties are properties. What has no counterpart is kept beside, so that an AMQP client gets the same message back. now
// is in ms and counts for a time to live without a creation time. The error is an *mq.Error.
func toStored(m *amqp10.Message, now int64) (body []byte, props record.Props, err error) {
	var p []byte
	if body, p, err = bodyToStored(m, p); err != nil {
		return nil, nil, mq.Errorf(mq.KindMessageIllegal, "body: %v", err)
	}
	if t := m.MessageAnnotations.Get(annMsgType); t.Kind == amqp10.Byte {
		p = record.AppendProp(p, propMsgType, strconv.FormatInt(t.Int(), 10))
	}
	if t := m.MessageAnnotations.Get(annDelivery); (t.Kind == amqp10.Long || t.Kind == amqp10.Timestamp) && t.Int() > now {
		p = record.AppendProp(p, record.PropTimerDeliverMS, strconv.FormatInt(t.Int(), 10))
	}
	p = standardToStored(m, p, now)
	p = appendApplication(p, m.ApplicationProperties)

	kept := &amqp10.Message{Header: m.Header, MessageAnnotations: m.MessageAnnotations, Properties: m.Properties}
	if kept.Header != nil {
		h := *kept.Header
		h.DeliveryCount, h.FirstAcquirer = 0, false // those are of the link that it came on
		kept.Header = &h
	}
	if b := kept.AppendTo(nil); len(b) > 0 {
		p = record.AppendProp(p, propHdr, encode64(b))
	}
	if len(p) > maxProps {
		return nil, nil, mq.Errorf(mq.KindMessageIllegal, "properties of %d bytes, %d are possible", len(p), maxProps)
	}
	return body, p, nil
}

func bodyToStored(m *amqp10.Message, p []byte) ([]byte, []byte, error) {
	if m.Kind == amqp10.DataBody {
		if b, err := m.Data(); err != nil || len(b) > 0 {
			return b, p, err
		}
	} else if b, ok := m.Text(); ok && len(b) > 0 {
		return b, record.AppendProp(p, propBody, bodyText), nil
	}
	// A stored body is never empty: it is the sections then, too.
	b := m.Body
	if m.Kind == amqp10.NoBody {
		var null amqp10.Message
		null.SetValue(amqp10.Value{})
		b = null.Body
	}
	return b, record.AppendProp(p, propBody, bodySections), nil
}

// standardToStored appends what RocketMQ has words for: tag, keys, sharding key and expiry.
func standardToStored(m *amqp10.Message, p []byte, now int64) []byte {
	var expiry int64
	created := now
	if h := m.Properties; h != nil {
		if s := h.Subject.V; legalTag(s) {
			p = record.AppendProp(p, record.PropTags, s)
		}
		if s := h.CorrelationID.Text(); s != "" && record.ValidProp(record.PropKeys, s) {
			p = record.AppendProp(p, record.PropKeys, s)
		}
		if s := h.GroupID.V; s != "" && record.ValidProp(record.PropShardingKey, s) {
			p = record.AppendProp(p, record.PropShardingKey, s)
		}
		expiry = h.AbsoluteExpiryTime.V
		created = h.CreationTime.Or(now)
	}
	if h := m.Header; expiry == 0 && h != nil && h.TTL.V > 0 {
		expiry = created + int64(h.TTL.V)
	}
	if expiry > 0 {
		p = record.AppendProp(p, propExpiry, strconv.FormatInt(expiry, 10))
	}
	return p
}

// legalTag reports whether a JMS type can be a tag that consumers ask for.
func legalTag(s string) bool {
	return s != "" && s != "*" && !strings.ContainsAny(s, "| \t\r\n") && record.ValidProp(record.PropTags, s)
}

// expired reports whether a stored message is of no use at now (ms).
func expired(p record.Props, now int64) bool {
	s, ok := p.Get(propExpiry)
	if !ok {
		return false
	}
	at, err := strconv.ParseInt(string(s), 10, 64)
	return err == nil && at <= now
}

// fromStored makes the AMQP message of a stored one. Messages of other clients are data, or text when they say so with propMsgType or
// when textByDefault is set and they are UTF-8.
func fromStored(s *record.Message, textByDefault bool) (*amqp10.Message, error) {
	m := &amqp10.Message{}
	hdr, ours := decode64(s.Props, propHdr)
	if ours {
		var err error
		if m, err = amqp10.DecodeMessage(hdr); err != nil {
			return nil, fmt.Errorf("property %s: %w", propHdr, err)
		}
	}
	if m.Header == nil {
		m.Header = &amqp10.Header{Durable: amqp10.Some(true), Priority: 4}
	}
	m.Header.DeliveryCount = uint32(max(s.Reconsume, 0))
	if m.Properties == nil {
		m.Properties = &amqp10.Properties{}
	}
	h := m.Properties
	x := s.Props.Indexed()
	if h.MessageID.IsNull() && len(x.UniqKey) > 0 {
		h.MessageID = amqp10.StringValue(string(x.UniqKey))
	}
	if !ours {
		h.To = amqp10.StringValue(spokenName(string(s.Topic)))
		h.CreationTime = amqp10.Some(s.BornTime)
		if len(x.Tags) > 0 {
			h.Subject = amqp10.Some(string(x.Tags))
		}
		if key, ok := s.Props.Get(record.PropShardingKey); ok {
			h.GroupID = amqp10.Some(string(key))
		}
	}
	m.ApplicationProperties = application(s.Props)
	bodyFromStored(m, s, !ours, textByDefault)
	return m, nil
}

func bodyFromStored(m *amqp10.Message, s *record.Message, foreign, textByDefault bool) {
	kind, _ := s.Props.Get(propBody)
	body := unpack(s)
	msgType, typed := s.Props.Get(propMsgType)
	switch {
	case string(kind) == bodySections:
		m.Body = body
	case string(kind) == bodyText,
		foreign && utf8.Valid(body) && (typed && string(msgType) == strconv.Itoa(msgTypeText) || !typed && textByDefault):
		m.SetValue(amqp10.Value{Kind: amqp10.String, Bytes: body})
	default:
		m.SetData(body)
	}
}

// maxUnpacked bounds a body that is unpacked.
const maxUnpacked = 64 << 20

// unpack returns the body as the producer gave it to its client; one that cannot be unpacked stays as it is.
func unpack(m *record.Message) []byte {
	if m.SysFlag&record.SysFlagCompressed == 0 {
		return m.Body
	}
	if kind := m.SysFlag & record.SysFlagCompressionMask; kind == 0 || kind == record.SysFlagZLIB {
		if z, err := zlib.NewReader(bytes.NewReader(m.Body)); err == nil {
			if b, err := io.ReadAll(io.LimitReader(z, maxUnpacked)); err == nil {
				return b
			}
		}
	}
	return m.Body
}
