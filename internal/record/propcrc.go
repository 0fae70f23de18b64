package record

import "bytes"

// The property CRC (Java: enabledAppendPropCRC) protects the whole record: it is the last property, exactly 20 bytes,
//
//	__CRC32# 0x01 dddddddddd 0x02
//
// where the ten digits are the decimal CRC of everything before the property, least significant digit first, filled up
// with zeros on the right.

// PropCRCSize is the length of the property.
const PropCRCSize = len(PropCRC32) + 1 + crcDigits + 1

const crcDigits = 10

// putPropsWithCRC writes the properties and room for their CRC into b, which has the length from propsLen.
func (m *Message) putPropsWithCRC(b []byte) {
	body := b[:len(b)-PropCRCSize]
	if _, drop := m.propsLen(); drop {
		m.Props.AppendWithout(body[:0:len(body)], PropCRC32)
	} else {
		m.Props.AppendTerminated(body[:0:len(body)])
	}
	b = b[len(body):]
	n := copy(b, PropCRC32)
	b[n] = nameEnd
	for i := range crcDigits {
		b[n+1+i] = '0'
	}
	b[PropCRCSize-1] = valueEnd
}

// SealCRC fills the property CRC of a record that AppendTo made with ReserveCRC. It comes last: after Patch.
func SealCRC(rec []byte) {
	at := len(rec) - PropCRCSize
	if at < 0 {
		return
	}
	digits(rec[at+len(PropCRC32)+1:], sum(rec[:at]))
}

func digits(b []byte, crc uint32) {
	for i := range crcDigits {
		b[i] = '0' + byte(crc%10)
		crc /= 10
	}
}

// VerifyCRC checks the property CRC of exactly one record: nil, ErrCRC, or ErrNoCRC when it has none.
func VerifyCRC(rec []byte) error {
	at := len(rec) - PropCRCSize
	if at < MinSize || !isKey(rec[at:len(rec)-1], PropCRC32) || rec[len(rec)-1] != valueEnd {
		return ErrNoCRC
	}
	var want [crcDigits]byte
	digits(want[:], sum(rec[:at]))
	if !bytes.Equal(rec[at+len(PropCRC32)+1:len(rec)-1], want[:]) {
		return ErrCRC
	}
	return nil
}
