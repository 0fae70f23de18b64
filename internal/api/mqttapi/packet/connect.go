package packet

import "encoding/binary"

// ConnectPacket is CONNECT.
type ConnectPacket struct {
	Version   Version
	Clean     bool // clean session of 3.1.1, clean start of 5.0
	KeepAlive uint16
	Props     Properties
	ClientID  []byte
	Will      *Will
	User      []byte // nil: none
	Password  []byte // nil: none
}

// Will is the message that a server publishes for a client that is gone.
type Will struct {
	QoS     byte
	Retain  bool
	Props   Properties
	Topic   []byte
	Payload []byte
}

const (
	flagClean    = 1 << 1
	flagWill     = 1 << 2
	flagRetain   = 1 << 5
	flagPassword = 1 << 6
	flagUser     = 1 << 7
)

// Decode reads the body of a CONNECT. With an error of UnsupportedVersion p.Version is what the client asked for.
func (p *ConnectPacket) Decode(body []byte) error {
	*p = ConnectPacket{}
	r := reader{rest: body}
	name := string(r.text())
	p.Version = Version(r.byte())
	switch {
	case r.err != nil:
		return r.err
	case name == "MQIsdp" && p.Version == V31, name == "MQTT" && (p.Version == V311 || p.Version == V5):
	case name == "MQTT" || name == "MQIsdp":
		return &Error{UnsupportedVersion, "the protocol version is not supported"}
	default:
		return &Error{UnsupportedVersion, "the protocol is not MQTT"}
	}
	flags := r.byte()
	p.KeepAlive = r.uint16()
	p.Clean = flags&flagClean != 0
	qos := flags >> 3 & 3
	switch {
	case r.err != nil:
		return r.err
	case flags&1 != 0:
		return malformed("the reserved flag of CONNECT is set")
	case flags&flagWill == 0 && (qos != 0 || flags&flagRetain != 0):
		return malformed("there are flags of a will without a will")
	case qos == 3:
		return malformed("the will has QoS 3")
	case p.Version != V5 && flags&flagUser == 0 && flags&flagPassword != 0:
		return malformed("there is a password without a user name")
	}
	if p.Version == V5 {
		p.Props = r.properties(Connect)
	}
	p.ClientID = r.text()
	if flags&flagWill != 0 {
		w := &Will{QoS: qos, Retain: flags&flagRetain != 0}
		if p.Version == V5 {
			w.Props = r.properties(will)
		}
		w.Topic, w.Payload = r.text(), r.binary()
		p.Will = w
	}
	if flags&flagUser != 0 {
		p.User = r.text()
	}
	if flags&flagPassword != 0 {
		p.Password = r.binary()
	}
	if err := r.end(); err != nil {
		return err
	}
	if _, method := p.Props.Text(PropAuthMethod); !method {
		if _, data := p.Props.Text(PropAuthData); data {
			return illegal("there is authentication data without a method")
		}
	}
	return nil
}

// AppendTo appends the packet.
func (p *ConnectPacket) AppendTo(dst []byte) []byte {
	name := "MQTT"
	if p.Version == V31 {
		name = "MQIsdp"
	}
	var flags byte
	n := 2 + len(name) + 4 + 2 + len(p.ClientID)
	if p.Version == V5 {
		n += p.Props.Len()
	}
	if p.Clean {
		flags |= flagClean
	}
	if w := p.Will; w != nil {
		flags |= flagWill | w.QoS<<3
		if w.Retain {
			flags |= flagRetain
		}
		if p.Version == V5 {
			n += w.Props.Len()
		}
		n += 4 + len(w.Topic) + len(w.Payload)
	}
	if p.User != nil {
		flags |= flagUser
		n += 2 + len(p.User)
	}
	if p.Password != nil {
		flags |= flagPassword
		n += 2 + len(p.Password)
	}
	dst = appendText(appendHead(dst, Connect, 0, n), name)
	dst = binary.BigEndian.AppendUint16(append(dst, byte(p.Version), flags), p.KeepAlive)
	if p.Version == V5 {
		dst = p.Props.AppendTo(dst)
	}
	dst = appendText(dst, p.ClientID)
	if w := p.Will; w != nil {
		if p.Version == V5 {
			dst = w.Props.AppendTo(dst)
		}
		dst = appendText(appendText(dst, w.Topic), w.Payload)
	}
	if p.User != nil {
		dst = appendText(dst, p.User)
	}
	if p.Password != nil {
		dst = appendText(dst, p.Password)
	}
	return dst
}

// ConnackPacket is CONNACK. Code is a Reason in version 5 and a return code before.
type ConnackPacket struct {
	SessionPresent bool
	Code           byte
	Props          Properties
}

// Decode reads the body.
func (p *ConnackPacket) Decode(body []byte, v Version) error {
	*p = ConnackPacket{}
	r := reader{rest: body}
	flags := r.byte()
	if flags > 1 {
		r.fail("the reserved flags of CONNACK are set")
	}
	p.SessionPresent, p.Code = flags == 1, r.byte()
	if v == V5 {
		p.Props = r.properties(Connack)
	}
	return r.end()
}

// AppendTo appends the packet.
func (p *ConnackPacket) AppendTo(dst []byte, v Version) []byte {
	n := 2
	if v == V5 {
		n += p.Props.Len()
	}
	var flags byte
	if p.SessionPresent && v != V31 {
		flags = 1
	}
	dst = append(appendHead(dst, Connack, 0, n), flags, p.Code)
	if v == V5 {
		dst = p.Props.AppendTo(dst)
	}
	return dst
}
