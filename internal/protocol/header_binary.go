package protocol

import "encoding/binary"

// binaryFixed is the size of a binary header without remark and ext fields.
const binaryFixed = 21

// DecodeBinary decodes the ROCKETMQ form:
//
//	int16 code, int8 language, int16 version, int32 opaque, int32 flag,
//	int32 n, remark; int32 n, ext fields: { int16 n, key, int32 n, value }...
//
// The form has only 16 bits for the code, see Widen. Texts of length 0 are null. Fields alias src.
func (h *Header) DecodeBinary(src []byte) error {
	h.Fields = h.Fields[:0]
	h.Remark = nil
	if len(src) < binaryFixed {
		return headerErrorf("%d bytes, at least %d", len(src), binaryFixed)
	}
	h.Code = int32(int16(binary.BigEndian.Uint16(src)))
	h.Language = src[2]
	h.Version = int32(int16(binary.BigEndian.Uint16(src[3:])))
	h.Opaque = int32(binary.BigEndian.Uint32(src[5:]))
	h.Flag = int32(binary.BigEndian.Uint32(src[9:]))
	n := int64(binary.BigEndian.Uint32(src[13:]))
	if n > int64(len(src)-binaryFixed) {
		return headerErrorf("remark of %d bytes in a header of %d", n, len(src))
	}
	if n > 0 {
		h.Remark = src[17 : 17+n : 17+n]
	}
	src = src[17+n:]
	n = int64(binary.BigEndian.Uint32(src))
	src = src[4:]
	if n > int64(len(src)) {
		return headerErrorf("ext fields of %d bytes, %d left", n, len(src))
	}
	return h.decodeBinaryFields(src[:n])
}

func (h *Header) decodeBinaryFields(src []byte) error {
	fs := h.Fields
	for len(src) > 0 {
		if len(src) < 6 || len(fs) == maxFields {
			h.Fields = fs
			return headerErrorf("field %d is cut or one too many", len(fs))
		}
		kn := int(src[0])<<8 | int(src[1])
		if kn+6 > len(src) {
			h.Fields = fs
			return headerErrorf("key of field %d: %d bytes", len(fs), kn)
		}
		key := src[2 : 2+kn : 2+kn]
		vn := int64(binary.BigEndian.Uint32(src[2+kn:]))
		src = src[6+kn:]
		if vn > int64(len(src)) {
			h.Fields = fs
			return headerErrorf("value of field %q: %d bytes", key, vn)
		}
		var val []byte
		if vn > 0 {
			val = src[:vn:vn]
		}
		src = src[vn:]
		fs = append(fs, Field{Key: key, Val: val})
	}
	h.Fields = fs
	return nil
}
