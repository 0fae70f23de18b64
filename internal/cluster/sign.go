package cluster

import (
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// signed is a header with the fields that sign it.
type signed struct {
	header remoting.HeaderAppender
	body   []byte
	by     *auth.Credentials
}

// AppendTo writes the header twice: once to see which fields are signed.
func (s *signed) AppendTo(w *protocol.FieldWriter) {
	var fields protocol.Fields
	if s.header != nil {
		var scratch protocol.FieldWriter
		scratch.Begin(nil, protocol.JSON, &protocol.Head{})
		s.header.AppendTo(&scratch)
		var h protocol.Header
		if err := h.Decode(protocol.JSON, scratch.End(0)[protocol.PrefixLen:]); err == nil { // it is our own text
			fields = h.Fields
		}
		s.header.AppendTo(w)
	}
	s.by.Sign(fields, s.body).AppendTo(w)
}
