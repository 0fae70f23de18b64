package amqp10

import "strings"

//go:generate go run ../../../../tools/genamqp/main.go -in types.tsv -out types_gen.go

// Composite is one of the described lists of the standard. The types are in types_gen.go.
type Composite interface {
	// Descriptor is the code that stands before the list.
	Descriptor() uint64
	// AppendTo appends the encoded form, with its descriptor.
	AppendTo(dst []byte) []byte
	decode(r *Reader) error
}

// Opt is a field that may be absent.
type Opt[T any] struct {
	V  T
	OK bool
}

// Some makes an Opt that is there.
func Some[T any](v T) Opt[T] { return Opt[T]{V: v, OK: true} }

// Or returns the value, or def when it is absent.
func (o Opt[T]) Or(def T) T {
	if o.OK {
		return o.V
	}
	return def
}

func appendDescriptor(dst []byte, code uint64) []byte {
	return append(dst, codeDescribed, codeSmallUlong, byte(code))
}

func appendEmpty(dst []byte, code uint64) []byte {
	return append(appendDescriptor(dst, code), codeList0)
}

// readEmpty reads a list of which no field is known.
func (r *Reader) readEmpty() error {
	_, end, err := r.list()
	if err != nil {
		return err
	}
	return r.skipTo(end)
}

// descriptor reads 0x00 and a descriptor; 0 is one that is none of ours.
func (r *Reader) descriptor() (uint64, error) {
	c, err := r.code()
	if err != nil {
		return 0, err
	}
	if c != codeDescribed {
		r.pos--
		return 0, r.fail("a described type was expected, not constructor 0x%02x", c)
	}
	// The form that everybody sends, without making a Value.
	if r.Len() >= 2 && r.src[r.pos] == codeSmallUlong {
		r.pos += 2
		return uint64(r.src[r.pos-1]), nil
	}
	d, err := r.Value()
	if err != nil {
		return 0, err
	}
	switch d.Kind {
	case Ulong:
		return d.Num, nil
	case Symbol:
		return codeOfSymbol(string(d.Bytes)), nil
	default:
		return 0, r.fail("a descriptor of type %s", d.Kind)
	}
}

// Composite reads one composite. Binaries and values in it are borrowed.
func (r *Reader) Composite() (Composite, error) {
	code, err := r.descriptor()
	if err != nil {
		return nil, err
	}
	t := newComposite(code)
	if t == nil {
		return nil, r.fail("no type has the descriptor 0x%x", code)
	}
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	if err := t.decode(r); err != nil {
		return nil, err
	}
	return t, nil
}

func (r *Reader) readComposite() (Composite, error) { return r.Composite() }

func (r *Reader) readError() (*Error, error) {
	c, err := r.Composite()
	if err != nil {
		return nil, err
	}
	e, ok := c.(*Error)
	if !ok {
		return nil, r.fail("descriptor 0x%x where an error belongs", c.Descriptor())
	}
	return e, nil
}

func (r *Reader) readAny() (Value, error) { return r.Value() }

// number reads a value of kind k of at most 8 bytes.
func (r *Reader) number(k Kind) (uint64, error) {
	c, err := r.code()
	if err != nil {
		return 0, err
	}
	if kindOf[c] != k {
		r.pos--
		return 0, r.fail("%s expected, not constructor 0x%02x", k, c)
	}
	return r.fixed(c)
}

// bytes reads a value of kind k of variable length, borrowed.
func (r *Reader) bytes(k Kind) ([]byte, error) {
	c, err := r.code()
	if err != nil {
		return nil, err
	}
	if kindOf[c] != k {
		r.pos--
		return nil, r.fail("%s expected, not constructor 0x%02x", k, c)
	}
	return r.variable(c, k)
}

func (r *Reader) readBool() (bool, error) {
	n, err := r.number(Bool)
	return n != 0, err
}

func (r *Reader) readUbyte() (uint8, error) {
	n, err := r.number(Ubyte)
	return uint8(n), err
}

func (r *Reader) readUshort() (uint16, error) {
	n, err := r.number(Ushort)
	return uint16(n), err
}

func (r *Reader) readUint() (uint32, error) {
	n, err := r.number(Uint)
	return uint32(n), err
}

func (r *Reader) readUlong() (uint64, error) { return r.number(Ulong) }

func (r *Reader) readTimestamp() (int64, error) {
	n, err := r.number(Timestamp)
	return int64(n), err
}

func (r *Reader) readString() (string, error) {
	b, err := r.bytes(String)
	return string(b), err
}

func (r *Reader) readSymbol() (string, error) {
	b, err := r.bytes(Symbol)
	return string(b), err
}

func (r *Reader) readBinary() ([]byte, error) {
	b, err := r.bytes(Binary)
	if b == nil && err == nil {
		b = []byte{} // nil is an absent one
	}
	return b, err
}

// readSymbols reads one symbol or an array of them.
func (r *Reader) readSymbols() ([]string, error) {
	v, err := r.Value()
	if err != nil {
		return nil, err
	}
	if v.Kind == Symbol {
		return []string{string(v.Bytes)}, nil
	}
	if v.Kind != Array {
		return nil, r.fail("symbols expected, not %s", v.Kind)
	}
	list := make([]string, len(v.Items))
	for i, e := range v.Items {
		if e.Kind != Symbol {
			return nil, r.fail("symbols expected, not an array of %s", e.Kind)
		}
		list[i] = string(e.Bytes)
	}
	return list, nil
}

// Error returns condition and description.
func (t *Error) Error() string {
	return strings.TrimSuffix(t.Condition+": "+t.Description, ": ")
}

// Conditions of the standard.
const (
	CondInternal        = "amqp:internal-error"
	CondNotFound        = "amqp:not-found"
	CondUnauthorized    = "amqp:unauthorized-access"
	CondDecode          = "amqp:decode-error"
	CondResourceLimit   = "amqp:resource-limit-exceeded"
	CondNotAllowed      = "amqp:not-allowed"
	CondInvalidField    = "amqp:invalid-field"
	CondNotImplemented  = "amqp:not-implemented"
	CondResourceLocked  = "amqp:resource-locked"
	CondPrecondition    = "amqp:precondition-failed"
	CondResourceDeleted = "amqp:resource-deleted"
	CondIllegalState    = "amqp:illegal-state"
	CondFrameSize       = "amqp:frame-size-too-small"
	CondForced          = "amqp:connection:forced"
	CondFraming         = "amqp:connection:framing-error"
	CondRedirect        = "amqp:connection:redirect"
	CondWindow          = "amqp:session:window-violation"
	CondErrantLink      = "amqp:session:errant-link"
	CondHandleInUse     = "amqp:session:handle-in-use"
	CondUnattached      = "amqp:session:unattached-handle"
	CondDetachForced    = "amqp:link:detach-forced"
	CondTransferLimit   = "amqp:link:transfer-limit-exceeded"
	CondMessageSize     = "amqp:link:message-size-exceeded"
	CondStolen          = "amqp:link:stolen"
	CondRollback        = "amqp:transaction:rollback"
	CondUnknownTxn      = "amqp:transaction:unknown-id"
)

// NewError makes an Error.
func NewError(condition, description string) *Error {
	return &Error{Condition: condition, Description: description}
}
