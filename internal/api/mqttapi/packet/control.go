package packet

// Flags checks the low half of a packet's first byte and returns its type.
func Flags(head byte) (Type, error) {
	t := Type(head >> 4)
	want := byte(0)
	switch t {
	case 0:
		return t, malformed("packet type 0")
	case Publish:
		return t, nil
	case Pubrel, Subscribe, Unsubscribe:
		want = 2
	default:
	}
	if head&15 != want {
		return t, malformed("the flags of a " + t.String() + " are wrong")
	}
	return t, nil
}

// DisconnectPacket is DISCONNECT. Before version 5 it is empty.
type DisconnectPacket struct {
	Reason Reason
	Props  Properties
}

// Decode reads the body.
func (p *DisconnectPacket) Decode(body []byte, v Version) error {
	var err error
	p.Reason, p.Props, err = reasonAndProps(Disconnect, body, v)
	return err
}

// AppendTo appends the packet.
func (p *DisconnectPacket) AppendTo(dst []byte, v Version) []byte {
	return appendReason(dst, Disconnect, p.Reason, p.Props, v)
}

// AuthPacket is AUTH, which only version 5 has.
type AuthPacket struct {
	Reason Reason
	Props  Properties
}

// Decode reads the body.
func (p *AuthPacket) Decode(body []byte, v Version) error {
	if v != V5 {
		return illegal("an AUTH before version 5")
	}
	var err error
	p.Reason, p.Props, err = reasonAndProps(Auth, body, v)
	if err == nil && p.Reason != Success && p.Reason != ContinueAuthentication && p.Reason != ReAuthenticate {
		err = illegal("the reason of an AUTH is wrong")
	}
	return err
}

// AppendTo appends the packet.
func (p *AuthPacket) AppendTo(dst []byte) []byte {
	return appendReason(dst, Auth, p.Reason, p.Props, V5)
}

func reasonAndProps(t Type, body []byte, v Version) (reason Reason, props Properties, err error) {
	r := reader{rest: body}
	if v == V5 && len(r.rest) > 0 {
		reason = Reason(r.byte())
		if len(r.rest) > 0 {
			props = r.properties(t)
		}
	}
	return reason, props, r.end()
}

func appendReason(dst []byte, t Type, reason Reason, props Properties, v Version) []byte {
	n := 0
	switch {
	case v != V5:
	case len(props) > 0:
		n = 1 + props.Len()
	case reason != Success:
		n = 1
	}
	dst = appendHead(dst, t, 0, n)
	if n > 0 {
		dst = append(dst, byte(reason))
	}
	if n > 1 {
		dst = props.AppendTo(dst)
	}
	return dst
}

// AppendPingreq appends a PINGREQ.
func AppendPingreq(dst []byte) []byte { return append(dst, byte(Pingreq)<<4, 0) }

// AppendPingresp appends a PINGRESP.
func AppendPingresp(dst []byte) []byte { return append(dst, byte(Pingresp)<<4, 0) }

// Empty checks that a PINGREQ or PINGRESP has no body.
func Empty(body []byte) error {
	r := reader{rest: body}
	return r.end()
}
