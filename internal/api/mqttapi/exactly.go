package mqttapi

import (
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/mq"
)

// Publishes of QoS 2: a packet id stands for one message until PUBREL, over connections and restarts.

// arrived notes a packet id and returns the unique key for its message; again: the message was there already, and PUBREC is on its way.
func (s *session) arrived(b *burst, topic string, id uint16) (unique string, again bool, err error) {
	s.mu.Lock()
	a := s.incoming[id]
	keep := s.expiry > 0
	if a == nil {
		a = &arrival{unique: uniqueKey()}
		s.incoming[id] = a
		s.mu.Unlock()
		if keep {
			b.ops = append(b.ops, state.Op{Key: s.inKey(id), Value: []byte(a.unique)})
		}
		return a.unique, false, nil
	}
	old, stored := a.old, a.stored
	s.mu.Unlock()
	if old {
		if stored, err = s.srv.isStored(topic, a.unique); err != nil {
			return "", false, err
		}
		s.mu.Lock()
		a.old, a.stored = false, stored
		s.mu.Unlock()
		if !stored {
			return a.unique, false, nil
		}
	}
	if stored {
		b.c.send(func(dst []byte) []byte { return (&packet.AckPacket{ID: id}).AppendTo(dst, packet.Pubrec, b.c.version) })
	}
	return "", true, nil
}

// isStored asks whether the store has a message: its packet id is from before a restart.
func (srv *Server) isStored(topic, unique string) (bool, error) {
	r, err := srv.o.Core.QueryByKey(srv.ctx, &mq.KeyQuery{Topic: topic, Key: unique, Max: 1, End: 1<<63 - 1, Unique: true})
	if err != nil && mq.KindOf(err) != mq.KindQueryNotFound {
		return false, err
	}
	return err == nil && r.Count > 0, nil
}

// stored answers a publish of QoS 2 with PUBREC, on the connection that the session has now.
func (s *session) stored(id uint16, reason packet.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.conn
	if reason.Failed() {
		delete(s.incoming, id)
		s.srv.o.State.Apply([]state.Op{{Key: s.inKey(id)}}, nil)
		switch {
		case c == nil:
			return
		case s.version != packet.V5:
			c.end(reason)
			return
		}
		c.settle()
	} else if a := s.incoming[id]; a != nil {
		a.stored = true
	}
	if c != nil {
		c.send(func(dst []byte) []byte {
			return (&packet.AckPacket{ID: id, Reason: reason}).AppendTo(dst, packet.Pubrec, s.version)
		})
	}
}

// released answers PUBREL with PUBCOMP when the packet id is free on disk: after that the client may use it for another message.
func (s *session) released(c *conn, id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.incoming[id]
	answer := packet.AckPacket{ID: id}
	if a == nil {
		answer.Reason = packet.PacketIDNotFound
	}
	delete(s.incoming, id)
	pubcomp := func(dst []byte) []byte { return answer.AppendTo(dst, packet.Pubcomp, c.version) }
	if a == nil || s.expiry == 0 {
		c.settle()
		c.send(pubcomp)
		return
	}
	s.srv.o.State.Apply([]state.Op{{Key: s.inKey(id)}}, func(err error) {
		if err != nil {
			c.end(packet.Unspecified)
			return
		}
		c.settle()
		c.send(pubcomp)
	})
}
