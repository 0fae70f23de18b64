package grpcapi

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"

	"github.com/cometmq/cometmq/internal/record"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// Clients call any compressed body GZIP: in C++ it is zlib, which is also what a stored body is when its flags name nothing else, and what
// consumers over remoting expect.

// isGzip reports whether b begins like a gzip file.
func isGzip(b []byte) bool { return len(b) > 2 && b[0] == 0x1F && b[1] == 0x8B }

// bodyOf is the body that is stored.
//
// Differs from Java: what is really gzip is stored as it was before; consumers over remoting could not read it.
func (l *Limits) bodyOf(m *v2.Message) ([]byte, error) {
	body := m.GetBody()
	if m.GetSystemProperties().GetBodyEncoding() != v2.Encoding_GZIP || !isGzip(body) {
		return body, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, refuse(v2.Code_MESSAGE_CORRUPTED, "the body is not what its encoding says: %s", err.Error())
	}
	plain, fits, err := inflate(r, l.Body)
	switch {
	case err != nil:
		return nil, refuse(v2.Code_MESSAGE_CORRUPTED, "the body is not what its encoding says: %s", err.Error())
	case !fits:
		return nil, refuse(v2.Code_MESSAGE_BODY_TOO_LARGE, "message body cannot exceed the max %d", l.Body)
	}
	return plain, nil
}

// compressed reports whether what is stored of m is compressed.
func compressed(m *v2.Message) bool {
	return m.GetSystemProperties().GetBodyEncoding() == v2.Encoding_GZIP && !isGzip(m.GetBody())
}

// inflateMost bounds what a body may become that was stored compressed: other clients have other limits than those here.
const inflateMost = 64 << 20

// delivered is the body that a client gets, and how it is encoded.
//
// Differs from Java: a body is decompressed where that is possible, since not each client can. Java hands out what is stored.
func delivered(m *record.Message) ([]byte, v2.Encoding) {
	if m.SysFlag&record.SysFlagCompressed == 0 {
		return m.Body, v2.Encoding_IDENTITY
	}
	switch m.SysFlag & record.SysFlagCompressionMask {
	case 0, record.SysFlagZLIB:
		if r, err := zlib.NewReader(bytes.NewReader(m.Body)); err == nil {
			if plain, fits, err := inflate(r, inflateMost); err == nil && fits {
				return plain, v2.Encoding_IDENTITY
			}
		}
	}
	return m.Body, v2.Encoding_GZIP
}

// inflate reads r, at most so many bytes; fits is false when there are more.
func inflate(r io.Reader, most int) (plain []byte, fits bool, err error) {
	plain, err = io.ReadAll(io.LimitReader(r, int64(most)+1))
	return plain, len(plain) <= most, err
}
