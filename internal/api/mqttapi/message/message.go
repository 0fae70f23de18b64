// Package message turns an application message of MQTT into a message of RocketMQ and back, with the properties of
// apache/rocketmq-mqtt, so that its consumers understand ours and we understand its producers'.
//
// What the gateway has no property for is in properties of our own: mqttRetain, mqttExpiry (ms since the epoch when the message ends),
// mqttProps (the other properties of version 5 as they were on the wire, base64), and each user property as mqtt5.<name> for consumers
// of RocketMQ.
package message

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// Properties of the gateway (its class Constants), and ours.
const (
	propOrigin  = "originMqttTopic"
	propQoS     = "qosLevel"
	propClean   = "cleanSessionFlag"
	propClient  = "clientId"
	propRetries = "retryTimes"
	propExt     = "extData"
	propEmpty   = "IS_EMPTY_MSG"

	propTopic  = "mqttTopic" // what a producer of RocketMQ may name the topic with
	propRetain = "mqttRetain"
	propExpiry = "mqttExpiry"
	propProps  = "mqttProps"
	propUser   = "mqtt5."

	tag = "MQTT_COMMON"
)

// placeholder is the body that the gateway stores for an empty payload.
const placeholder = "★\r\n\t☀"

// Message is an application message.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	Clean   bool   // the publisher's session is a clean one
	Client  string // of the publisher, "" when it is not known
	Expiry  int64  // ms since the epoch, 0: never
	Props   packet.Properties
	// Unique is the unique key that it is stored with, "" lets the broker make one.
	Unique string
	Born   int64 // ms

	Index mq.Index // of one that was read
}

// Left is how long the message counts from now on, in seconds; ok = false: it is over. 0 stands for no end.
func (m *Message) Left(nowMs int64) (seconds uint32, ok bool) {
	switch {
	case m.Expiry == 0:
		return 0, true
	case m.Expiry <= nowMs:
		return 0, false
	}
	return uint32((m.Expiry - nowMs + 999) / 1000), true
}

// Request fills r but for its queue and host. Nothing in r refers to m but Body.
func (m *Message) Request(r *mq.SendRequest, place topic.Place) {
	put := func(k, v string) {
		if record.ValidProp(k, v) {
			r.Props = record.AppendProp(r.Props, k, v)
		}
	}
	qos := strconv.Itoa(int(m.QoS))
	r.Topic, r.BornTime, r.MaxReconsume = place.Topic, m.Born, -1
	r.Body = m.Payload
	if len(m.Payload) == 0 {
		r.Body = []byte(placeholder)
	}
	put(record.PropTags, tag)
	put(record.PropUniqKey, m.Unique)
	put(propOrigin, m.Topic)
	put(propEmpty, strconv.FormatBool(len(m.Payload) == 0))
	put(propQoS, qos)
	put(propClean, strconv.FormatBool(m.Clean))
	put(propClient, m.Client)
	put(propRetries, "0")
	put(propExt, `{"`+propQoS+`":"`+qos+`"}`)
	put(record.PropMultiDispatch, topic.Light(place.Queue))
	if m.Retain {
		put(propRetain, "true")
	}
	if m.Expiry > 0 {
		put(propExpiry, strconv.FormatInt(m.Expiry, 10))
	}
	if len(m.Props) > 0 {
		put(propProps, base64.RawURLEncoding.EncodeToString(m.Props.AppendTo(nil)))
	}
	for i := range m.Props {
		if p := &m.Props[i]; p.ID == packet.PropUser {
			put(propUser+string(p.Text), string(p.Val))
		}
	}
}

// Read makes a message of a stored record. Payload refers to rec. bridge says whether messages that no MQTT client sent count: without
// it a message needs a property that names its MQTT topic.
func Read(rec []byte, bridge bool) (m Message, n int, ok bool, err error) {
	var r record.Message
	if n, err = record.Decode(rec, &r, false); err != nil {
		return m, n, false, fmt.Errorf("read a stored message: %w", err)
	}
	r.Body = unpack(&r)
	m = Message{Payload: r.Body, Index: r.Index, Born: r.BornTime, QoS: 1}
	var tags, user string
	named := false
	var others packet.Properties
	r.Props.ForEach(func(k, v []byte) bool {
		switch string(k) {
		case propOrigin:
			m.Topic, named = string(v), true
		case propTopic:
			if !named {
				m.Topic = string(v)
			}
		case propQoS:
			if len(v) == 1 && v[0] >= '0' && v[0] <= '2' {
				m.QoS = v[0] - '0'
			}
		case propClient:
			m.Client = string(v)
		case propEmpty:
			if string(v) == "true" && string(r.Body) == placeholder {
				m.Payload = nil
			}
		case propRetain:
			m.Retain = string(v) == "true"
		case propExpiry:
			m.Expiry, _ = strconv.ParseInt(string(v), 10, 64) // one that is no number does not count
		case propProps:
			user = string(v)
		case record.PropTags:
			tags = string(v)
		case record.PropMultiDispatch:
			if m.Topic == "" {
				m.Topic = topic.FromLight(string(v))
			}
		default:
			others = bridged(others, k, v)
		}
		return true
	})
	switch raw, derr := base64.RawURLEncoding.DecodeString(user); {
	case user == "" || derr != nil:
		m.Props = others
	default:
		if m.Props, derr = packet.ParseProperties(raw); derr != nil {
			m.Props = others
		}
	}
	if m.Topic == "" && bridge {
		m.Topic = string(r.Topic)
		if tags != "" {
			m.Topic += "/" + tags
		}
	}
	return m, n, m.Topic != "", nil
}

// maxBody is how many bytes of a body are unpacked.
const maxBody = 4 << 20

// unpack returns the body of a message as its producer had it: Java's packs what is longer than 4 KiB. What is packed in another way than
// zlib, damaged or too long is left as it is.
func unpack(r *record.Message) []byte {
	kind := r.SysFlag & record.SysFlagCompressionMask
	if r.SysFlag&record.SysFlagCompressed == 0 || kind == record.SysFlagLZ4 || kind == record.SysFlagZSTD {
		return r.Body
	}
	z, err := zlib.NewReader(bytes.NewReader(r.Body))
	if err != nil {
		return r.Body
	}
	out, err := io.ReadAll(io.LimitReader(z, maxBody+1))
	if err != nil || len(out) > maxBody {
		return r.Body
	}
	return out
}

// bridged adds a property of a RocketMQ producer as a user property. RocketMQ's own have capital letters and underscores only, or are
// the gateway's.
func bridged(to packet.Properties, k, v []byte) packet.Properties {
	switch name := string(k); {
	case strings.ToUpper(name) == name, strings.HasPrefix(name, propUser), name == propClean, name == propRetries, name == propExt:
		return to
	}
	if !packet.ValidText(k) || !packet.ValidText(v) {
		return to
	}
	return to.WithUser(append([]byte(nil), k...), append([]byte(nil), v...))
}
