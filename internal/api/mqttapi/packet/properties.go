package packet

import "encoding/binary"

// PropID is the identifier of a property (MQTT 5.0, 2.2.2.2).
type PropID byte

// The properties.
const (
	PropPayloadFormat     PropID = 1
	PropMessageExpiry     PropID = 2
	PropContentType       PropID = 3
	PropResponseTopic     PropID = 8
	PropCorrelation       PropID = 9
	PropSubscriptionID    PropID = 11
	PropSessionExpiry     PropID = 17
	PropAssignedClientID  PropID = 18
	PropServerKeepAlive   PropID = 19
	PropAuthMethod        PropID = 21
	PropAuthData          PropID = 22
	PropRequestProblem    PropID = 23
	PropWillDelay         PropID = 24
	PropRequestResponse   PropID = 25
	PropResponseInfo      PropID = 26
	PropServerReference   PropID = 28
	PropReason            PropID = 31
	PropReceiveMaximum    PropID = 33
	PropAliasMaximum      PropID = 34
	PropAlias             PropID = 35
	PropMaximumQoS        PropID = 36
	PropRetainAvailable   PropID = 37
	PropUser              PropID = 38
	PropMaximumPacket     PropID = 39
	PropWildcardAvailable PropID = 40
	PropSubIDAvailable    PropID = 41
	PropSharedAvailable   PropID = 42
)

// form is how the value of a property is written.
type form byte

const (
	formBool form = iota + 1 // a byte that is 0 or 1
	formUint16
	formUint32
	formVarint
	formText
	formBinary
	formPair
)

// rule says what a property looks like and in which packets it may be.
type rule struct {
	form form
	in   uint16 // a bit for each Type
	zero bool   // the value 0 is allowed
}

func in(types ...Type) (set uint16) {
	for _, t := range types {
		set |= 1 << t
	}
	return set
}

const everywhere = 0xffff &^ (1<<Pingreq | 1<<Pingresp)

var rules = [43]rule{
	PropPayloadFormat:     {formBool, in(Publish, will), true},
	PropMessageExpiry:     {formUint32, in(Publish, will), true},
	PropContentType:       {formText, in(Publish, will), true},
	PropResponseTopic:     {formText, in(Publish, will), true},
	PropCorrelation:       {formBinary, in(Publish, will), true},
	PropSubscriptionID:    {formVarint, in(Publish, Subscribe), false},
	PropSessionExpiry:     {formUint32, in(Connect, Connack, Disconnect), true},
	PropAssignedClientID:  {formText, in(Connack), true},
	PropServerKeepAlive:   {formUint16, in(Connack), true},
	PropAuthMethod:        {formText, in(Connect, Connack, Auth), true},
	PropAuthData:          {formBinary, in(Connect, Connack, Auth), true},
	PropRequestProblem:    {formBool, in(Connect), true},
	PropWillDelay:         {formUint32, in(will), true},
	PropRequestResponse:   {formBool, in(Connect), true},
	PropResponseInfo:      {formText, in(Connack), true},
	PropServerReference:   {formText, in(Connack, Disconnect), true},
	PropReason:            {formText, in(Connack, Puback, Pubrec, Pubrel, Pubcomp, Suback, Unsuback, Disconnect, Auth), true},
	PropReceiveMaximum:    {formUint16, in(Connect, Connack), false},
	PropAliasMaximum:      {formUint16, in(Connect, Connack), true},
	PropAlias:             {formUint16, in(Publish), true}, // 0 has a reason code of its own
	PropMaximumQoS:        {formBool, in(Connack), true},
	PropRetainAvailable:   {formBool, in(Connack), true},
	PropUser:              {formPair, everywhere, true},
	PropMaximumPacket:     {formUint32, in(Connect, Connack), false},
	PropWildcardAvailable: {formBool, in(Connack), true},
	PropSubIDAvailable:    {formBool, in(Connack), true},
	PropSharedAvailable:   {formBool, in(Connack), true},
}

// Property is one property. Which of the fields count depends on ID.
type Property struct {
	ID   PropID
	Num  uint32
	Text []byte // a text, a binary, or the name of a user property
	Val  []byte // the value of a user property
}

// Properties are the properties of a packet in the order of the wire. All but user properties and the subscription ids of a PUBLISH are
// there at most once.
type Properties []Property

// Num returns the value of a number.
func (p Properties) Num(id PropID) (v uint32, ok bool) {
	for i := range p {
		if p[i].ID == id {
			return p[i].Num, true
		}
	}
	return 0, false
}

// Text returns a text or a binary.
func (p Properties) Text(id PropID) (v []byte, ok bool) {
	for i := range p {
		if p[i].ID == id {
			return p[i].Text, true
		}
	}
	return nil, false
}

// WithNum returns p with a number more.
func (p Properties) WithNum(id PropID, v uint32) Properties {
	return append(p, Property{ID: id, Num: v})
}

// WithText returns p with a text or a binary more.
func (p Properties) WithText(id PropID, v []byte) Properties {
	return append(p, Property{ID: id, Text: v})
}

// WithUser returns p with a user property more.
func (p Properties) WithUser(k, v []byte) Properties {
	return append(p, Property{ID: PropUser, Text: k, Val: v})
}

// properties reads the length and the properties of a packet of type t.
func (r *reader) properties(t Type) (ps Properties) {
	body := reader{rest: r.take(int(r.varint()))}
	var seen uint64
	for len(body.rest) > 0 && body.err == nil {
		p := Property{ID: PropID(body.byte())}
		if int(p.ID) >= len(rules) || rules[p.ID].form == 0 {
			body.fail("an unknown property")
			break
		}
		looks := rules[p.ID]
		if looks.in&(1<<t) == 0 {
			body.err = illegal("a property that this packet cannot have")
			break
		}
		if seen&(1<<p.ID) != 0 && p.ID != PropUser && (p.ID != PropSubscriptionID || t != Publish) {
			body.err = illegal("a property is there twice")
			break
		}
		seen |= 1 << p.ID
		p.read(&body, looks)
		ps = append(ps, p)
	}
	if r.err == nil {
		r.err = body.err
	}
	if r.err != nil {
		return nil
	}
	return ps
}

func (p *Property) read(r *reader, rule rule) {
	number := true
	switch rule.form {
	case formBool:
		if p.Num = uint32(r.byte()); p.Num > 1 && r.err == nil {
			r.err = illegal("a property is neither 0 nor 1")
		}
	case formUint16:
		p.Num = uint32(r.uint16())
	case formUint32:
		p.Num = r.uint32()
	case formVarint:
		p.Num = r.varint()
	case formText:
		p.Text, number = r.text(), false
	case formBinary:
		p.Text, number = r.binary(), false
	case formPair:
		p.Text, p.Val, number = r.text(), r.text(), false
	}
	if number && !rule.zero && p.Num == 0 && r.err == nil {
		r.err = illegal("a property is 0")
	}
}

// bodyLen is the length without the length in front.
func (p Properties) bodyLen() (n int) {
	for i := range p {
		n++
		switch rules[p[i].ID].form {
		case formBool:
			n++
		case formUint16:
			n += 2
		case formUint32:
			n += 4
		case formVarint:
			n += varintLen(p[i].Num)
		case formText, formBinary:
			n += 2 + len(p[i].Text)
		case formPair:
			n += 4 + len(p[i].Text) + len(p[i].Val)
		}
	}
	return n
}

// Len is the length on the wire.
func (p Properties) Len() int {
	n := p.bodyLen()
	return varintLen(uint32(n)) + n
}

// AppendTo appends the length and the properties.
func (p Properties) AppendTo(dst []byte) []byte {
	dst = appendVarint(dst, uint32(p.bodyLen()))
	for i := range p {
		q := &p[i]
		dst = append(dst, byte(q.ID))
		switch rules[q.ID].form {
		case formBool:
			dst = append(dst, byte(q.Num))
		case formUint16:
			dst = binary.BigEndian.AppendUint16(dst, uint16(q.Num))
		case formUint32:
			dst = binary.BigEndian.AppendUint32(dst, q.Num)
		case formVarint:
			dst = appendVarint(dst, q.Num)
		case formText, formBinary:
			dst = appendText(dst, q.Text)
		case formPair:
			dst = appendText(appendText(dst, q.Text), q.Val)
		}
	}
	return dst
}

// ParseProperties reads what AppendTo wrote, as the properties of a PUBLISH.
func ParseProperties(src []byte) (Properties, error) {
	r := reader{rest: src}
	ps := r.properties(Publish)
	return ps, r.end()
}
