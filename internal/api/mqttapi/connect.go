package mqttapi

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/message"
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/topic"
)

const never = 0xffff_ffff // a session expiry that never comes

// connect handles CONNECT. A refused client gets its answer, and the connection ends.
func (c *conn) connect(body []byte) (bye bool, err error) {
	var p packet.ConnectPacket
	if err = p.Decode(body); err != nil {
		if bad, ok := err.(*packet.Error); ok && bad.Reason == packet.UnsupportedVersion { //nolint:errorlint // it is not wrapped
			return false, c.refuse(p.Version, bad.Reason)
		}
		return false, errGone
	}
	var props packet.Properties
	id := string(p.ClientID)
	if id == "" {
		if p.Version != packet.V5 && !p.Clean {
			return false, c.refuse(p.Version, packet.ClientIDInvalid)
		}
		id = assignedID()
		props = props.WithText(packet.PropAssignedClientID, []byte(id))
	}
	if _, enhanced := p.Props.Text(packet.PropAuthMethod); enhanced {
		return false, c.refuse(p.Version, packet.BadAuthMethod)
	}
	w, reason := c.willOf(&p, id)
	if reason == packet.Success {
		reason = c.srv.o.Login(c.srv.ctx, &Login{ClientID: id, User: string(p.User), Password: p.Password, Remote: c.remote})
	}
	if reason != packet.Success {
		return false, c.refuse(p.Version, reason)
	}
	c.client, c.user = id, string(p.User)
	if w != nil && !c.may(true, w.message.Topic) {
		return false, c.refuse(p.Version, packet.NotAuthorized)
	}
	c.version = p.Version
	if v, ok := p.Props.Num(packet.PropMaximumPacket); ok {
		c.limit = int(v)
	}
	props = c.keepAlive(p.KeepAlive, props)
	expiry := c.srv.expiryOf(&p)
	if asked, ok := p.Props.Num(packet.PropSessionExpiry); ok && asked != expiry {
		props = props.WithNum(packet.PropSessionExpiry, expiry)
	}
	window := c.srv.o.MaxInflight
	if v, ok := p.Props.Num(packet.PropReceiveMaximum); ok {
		window = min(window, int(v))
	}
	props = props.WithNum(packet.PropReceiveMaximum, uint32(c.srv.o.ReceiveMaximum)).
		WithNum(packet.PropMaximumPacket, uint32(c.srv.o.MaxPacket)).WithNum(packet.PropAliasMaximum, uint32(c.srv.o.MaxAliases))
	s, present := c.srv.open(c, id, p.Clean, expiry, window, w)
	if s == nil {
		return false, c.refuse(p.Version, packet.NotAuthorized)
	}
	c.s = s
	s.recheck(c)
	c.send(func(dst []byte) []byte {
		return (&packet.ConnackPacket{SessionPresent: present, Props: props}).AppendTo(dst, c.version)
	})
	s.resume(c)
	return false, nil
}

// refuse answers CONNECT with a failure.
func (c *conn) refuse(v packet.Version, reason packet.Reason) error {
	a := packet.ConnackPacket{Code: byte(reason)}
	if v < packet.V5 {
		a.Code = reason.ReturnCode()
	} else {
		v = packet.V5
	}
	c.send(func(dst []byte) []byte { return a.AppendTo(dst, v) })
	return errGone
}

// keepAlive sets how long the client may be silent.
func (c *conn) keepAlive(seconds uint16, props packet.Properties) packet.Properties {
	longest := uint16(min(c.srv.o.KeepAlive/time.Second, 65535))
	if c.version == packet.V5 && (seconds == 0 || seconds > longest) {
		seconds = longest
		props = props.WithNum(packet.PropServerKeepAlive, uint32(seconds))
	}
	c.idle = time.Duration(seconds) * 1500 * time.Millisecond
	c.setDeadline(c.idle)
	return props
}

// expiryOf returns how long after the connection the session lives, in seconds.
func (s *Server) expiryOf(p *packet.ConnectPacket) uint32 {
	longest := uint32(min(s.o.MaxExpiry/time.Second, never-1))
	if p.Version != packet.V5 {
		if p.Clean {
			return 0
		}
		return longest
	}
	v, _ := p.Props.Num(packet.PropSessionExpiry)
	return min(v, longest)
}

// testament is a will.
type testament struct {
	message *message.Message
	delay   uint32 // seconds
}

func (c *conn) willOf(p *packet.ConnectPacket, id string) (*testament, packet.Reason) {
	if p.Will == nil {
		return nil, packet.Success
	}
	name := string(p.Will.Topic)
	if !topic.ValidName(name, c.srv.o.MaxLevels) || !topic.CanBeTopic(topic.First(name)) || topic.Reserved(topic.First(name)) {
		return nil, packet.TopicInvalid
	}
	m := &message.Message{
		Topic: name, Payload: append([]byte(nil), p.Will.Payload...), QoS: p.Will.QoS, Retain: p.Will.Retain, Client: id, Clean: p.Clean,
	}
	w := &testament{message: m}
	w.delay, _ = p.Will.Props.Num(packet.PropWillDelay)
	m.Props = forwarded(p.Will.Props)
	if v, ok := p.Will.Props.Num(packet.PropMessageExpiry); ok {
		m.Expiry = -int64(v) // counts from when it is published
	}
	return w, packet.Success
}

// forwarded returns a copy of the properties of a publish that subscribers get as they are.
func forwarded(ps packet.Properties) (out packet.Properties) {
	for _, p := range ps {
		switch p.ID {
		case packet.PropPayloadFormat, packet.PropContentType, packet.PropResponseTopic, packet.PropCorrelation, packet.PropUser:
			p.Text, p.Val = append([]byte{}, p.Text...), append([]byte{}, p.Val...)
			out = append(out, p)
		default:
		}
	}
	return out
}

func assignedID() string {
	var b [12]byte
	rand.Read(b[:])
	return "cometmq-" + strings.ToUpper(hex.EncodeToString(b[:]))
}
