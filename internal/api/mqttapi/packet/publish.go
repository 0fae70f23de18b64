package packet

import "encoding/binary"

// PublishPacket is PUBLISH.
type PublishPacket struct {
	Dup, Retain bool
	QoS         byte
	ID          uint16 // 0 with QoS 0
	Topic       []byte
	Props       Properties
	Payload     []byte
}

// Decode reads the body; head is the first byte of the packet.
func (p *PublishPacket) Decode(head byte, body []byte, v Version) error {
	*p = PublishPacket{Dup: head&8 != 0, QoS: head >> 1 & 3, Retain: head&1 != 0}
	switch {
	case p.QoS == 3:
		return malformed("a PUBLISH has QoS 3")
	case p.QoS == 0 && p.Dup:
		return malformed("a PUBLISH of QoS 0 is a duplicate")
	}
	r := reader{rest: body}
	p.Topic = r.text()
	if p.QoS > 0 {
		p.ID = r.id()
	}
	if v == V5 {
		p.Props = r.properties(Publish)
	}
	if r.err != nil {
		return r.err
	}
	p.Payload = r.rest
	return nil
}

// Len is the length on the wire.
func (p *PublishPacket) Len(v Version) int {
	n := p.remaining(v)
	return 1 + varintLen(uint32(n)) + n
}

func (p *PublishPacket) remaining(v Version) int {
	n := 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	if v == V5 {
		n += p.Props.Len()
	}
	return n
}

// AppendTo appends the packet.
func (p *PublishPacket) AppendTo(dst []byte, v Version) []byte {
	flags := p.QoS << 1
	if p.Dup {
		flags |= 8
	}
	if p.Retain {
		flags |= 1
	}
	dst = appendText(appendHead(dst, Publish, flags, p.remaining(v)), p.Topic)
	if p.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, p.ID)
	}
	if v == V5 {
		dst = p.Props.AppendTo(dst)
	}
	return append(dst, p.Payload...)
}

// AckPacket is PUBACK, PUBREC, PUBREL or PUBCOMP.
type AckPacket struct {
	ID     uint16
	Reason Reason
	Props  Properties
}

// Decode reads the body.
func (p *AckPacket) Decode(t Type, body []byte, v Version) error {
	*p = AckPacket{}
	r := reader{rest: body}
	p.ID = r.id()
	if v == V5 && len(r.rest) > 0 {
		p.Reason = Reason(r.byte())
		if len(r.rest) > 0 {
			p.Props = r.properties(t)
		}
	}
	return r.end()
}

// AppendTo appends the packet.
func (p *AckPacket) AppendTo(dst []byte, t Type, v Version) []byte {
	var flags byte
	if t == Pubrel {
		flags = 2
	}
	n := 2
	switch {
	case v != V5:
	case len(p.Props) > 0:
		n += 1 + p.Props.Len()
	case p.Reason != Success:
		n++
	}
	dst = binary.BigEndian.AppendUint16(appendHead(dst, t, flags, n), p.ID)
	if n > 2 {
		dst = append(dst, byte(p.Reason))
	}
	if n > 3 {
		dst = p.Props.AppendTo(dst)
	}
	return dst
}
