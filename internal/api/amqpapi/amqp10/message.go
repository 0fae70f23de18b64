package amqp10

import "fmt"

// Descriptors of the sections that are no lists (standard, part 3.2).
const (
	codeDeliveryAnnotations   = 0x71
	codeMessageAnnotations    = 0x72
	codeApplicationProperties = 0x74
	codeData                  = 0x75
	codeSequence              = 0x76
	codeAmqpValue             = 0x77
	codeFooter                = 0x78
)

// BodyKind is what the body of a message is made of.
type BodyKind uint8

// Kinds of body.
const (
	NoBody BodyKind = iota
	DataBody
	SequenceBody
	ValueBody
)

// Message is a message in its sections. What was decoded is borrowed from the encoded form.
type Message struct {
	Header                *Header
	DeliveryAnnotations   Value
	MessageAnnotations    Value
	Properties            *Properties
	ApplicationProperties Value
	Kind                  BodyKind
	Body                  []byte // the encoded sections of the body
	Footer                Value
}

// DecodeMessage reads a message. The body is checked no further than to be sections of one kind.
func DecodeMessage(b []byte) (*Message, error) {
	m := &Message{}
	r := NewReader(b)
	bodyAt, last := 0, uint64(0)
	for r.Len() > 0 {
		at := r.pos
		code, err := r.descriptor()
		if err != nil {
			return nil, err
		}
		repeated := code == last && (code == codeData || code == codeSequence)
		if code < codeHeader || code > codeFooter || code <= last && !repeated || last >= codeData && code < codeFooter && !repeated {
			return nil, r.fail("section 0x%x behind 0x%x", code, last)
		}
		last = code
		if err := m.section(r, code); err != nil {
			return nil, err
		}
		if code >= codeData && code <= codeAmqpValue {
			if m.Kind == NoBody {
				bodyAt = at
			}
			m.Kind = BodyKind(code-codeData) + DataBody
			m.Body = b[bodyAt:r.pos:r.pos]
		}
	}
	return m, nil
}

func (m *Message) section(r *Reader, code uint64) (err error) {
	switch code {
	case codeHeader:
		m.Header = new(Header)
		return m.Header.decode(r)
	case codeDeliveryAnnotations:
		m.DeliveryAnnotations, err = r.mapValue()
	case codeMessageAnnotations:
		m.MessageAnnotations, err = r.mapValue()
	case codeProperties:
		m.Properties = new(Properties)
		return m.Properties.decode(r)
	case codeApplicationProperties:
		m.ApplicationProperties, err = r.mapValue()
	case codeFooter:
		m.Footer, err = r.mapValue()
	case codeData:
		_, err = r.bytes(Binary)
	case codeSequence:
		if r.Len() == 0 || kindOf[r.src[r.pos]] != List {
			return r.fail("a sequence that is no list")
		}
		return r.Skip()
	default:
		return r.Skip()
	}
	return err
}

func (r *Reader) mapValue() (Value, error) {
	v, err := r.Value()
	if err == nil && v.Kind != MapKind && v.Kind != Null {
		err = r.fail("a map expected, not %s", v.Kind)
	}
	return v, err
}

// AppendTo appends the encoded form.
func (m *Message) AppendTo(dst []byte) []byte {
	if m.Header != nil {
		dst = m.Header.AppendTo(dst)
	}
	dst = appendSection(dst, codeDeliveryAnnotations, m.DeliveryAnnotations)
	dst = appendSection(dst, codeMessageAnnotations, m.MessageAnnotations)
	if m.Properties != nil {
		dst = m.Properties.AppendTo(dst)
	}
	dst = appendSection(dst, codeApplicationProperties, m.ApplicationProperties)
	dst = append(dst, m.Body...)
	return appendSection(dst, codeFooter, m.Footer)
}

func appendSection(dst []byte, code uint64, v Value) []byte {
	if v.Kind != MapKind {
		return dst
	}
	return AppendValue(appendDescriptor(dst, code), v)
}

// Data returns the bytes of a DataBody; they are borrowed when it is one section.
func (m *Message) Data() ([]byte, error) {
	if m.Kind != DataBody {
		return nil, fmt.Errorf("the body is of kind %d, not data", m.Kind)
	}
	var all []byte
	r := NewReader(m.Body)
	for first := true; r.Len() > 0; first = false {
		if _, err := r.descriptor(); err != nil {
			return nil, err
		}
		b, err := r.bytes(Binary)
		if err != nil {
			return nil, err
		}
		if first {
			all = b
		} else {
			all = append(all, b...)
		}
	}
	return all, nil
}

// Text returns the text of a ValueBody that is a string; it is borrowed.
func (m *Message) Text() (text []byte, ok bool) {
	if m.Kind != ValueBody {
		return nil, false
	}
	r := NewReader(m.Body)
	if _, err := r.descriptor(); err != nil {
		return nil, false
	}
	b, err := r.bytes(String)
	return b, err == nil
}

// SetData makes b the body.
func (m *Message) SetData(b []byte) {
	m.Kind, m.Body = DataBody, AppendBinary(appendDescriptor(nil, codeData), b)
}

// SetValue makes v the body.
func (m *Message) SetValue(v Value) {
	m.Kind, m.Body = ValueBody, AppendValue(appendDescriptor(nil, codeAmqpValue), v)
}
