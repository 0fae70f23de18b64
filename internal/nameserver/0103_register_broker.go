package nameserver

import (
	"hash/crc32"
	"hash/maphash"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// REGISTER_BROKER 103. Brokers send it every 30 s with all their topics, megabytes of them, mostly unchanged: a body with
// the fingerprint of the last one is not decoded. All forms of the body are read: JSON, compressed (which Java's
// brokers announce wrongly but its name server reads) and the one of brokers before 3.0.11.
//
// Differs from Java: a registration without names is refused instead of being taken in part.

func (s *Server) registerBroker(c *remoting.Conn, r *remoting.Request) {
	to := r.ReplyTo()
	fail := func(remark string) { c.Reply(to, protocol.RespSystemError, remark, nil, nil) }

	var h protocol.RegisterBrokerRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		fail(err.Error())
		return
	}
	if h.BodyCRC32 != 0 && int32(crc32.ChecksumIEEE(r.Body)&0x7FFFFFFF) != h.BodyCRC32 {
		s.log.Warn("registration with a wrong checksum", "peer", c.Remote(), "broker", h.BrokerName)
		fail("crc32 not match")
		return
	}
	if h.ClusterName == "" || h.BrokerName == "" || h.BrokerAddr == "" {
		fail("clusterName, brokerName or brokerAddr is missing")
		return
	}
	_, hasActing := r.Fields.Get("enableActingMaster")
	zone, _ := field(r, "__ZONE_NAME")
	g := &registration{
		cluster: h.ClusterName, name: h.BrokerName, addr: h.BrokerAddr, haAddr: h.HAServerAddr, zone: zone, id: h.BrokerID,
		timeout: time.Duration(h.HeartbeatTimeoutMillis) * time.Millisecond,
		acting:  h.EnableActingMaster, hasActing: hasActing, conn: c, print: s.fingerprint(r.Body, h.Compressed),
	}
	c.SetState(registrant{})
	res, ok := s.refresh(g)
	if !ok {
		if err := decodeBody(g, r.Body, h.Compressed, r.Version); err != nil {
			s.log.Warn("registration that cannot be read", "peer", c.Remote(), "broker", h.BrokerName, "err", err)
			fail("Failed to decode RegisterBrokerBody: " + err.Error())
			return
		}
		var err error
		if res, err = s.register(g); err != nil {
			fail(err.Error())
			return
		}
	}
	var body []byte
	if s.conf().returnOrder {
		body, _ = s.kv.list(orderNamespace)
	}
	c.Reply(to, protocol.RespSuccess, "", &protocol.RegisterBrokerResponseHeader{
		HAServerAddr: res.haAddr, MasterAddr: res.masterAddr,
	}, body)
}

// registrant marks a connection over which a broker registered.
type registrant struct{}

func (s *Server) refresh(g *registration) (registered, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.routes.refresh(time.Now(), g)
}

func (s *Server) register(g *registration) (registered, error) {
	s.mu.Lock()
	isNew := s.routes.live[endpoint{g.cluster, g.addr}] == nil
	res, n, err := s.routes.register(time.Now(), s.conf().policy, g)
	_, isLive := s.routes.live[endpoint{g.cluster, g.addr}]
	s.mu.Unlock()
	switch {
	case err != nil:
		s.log.Warn("broker registers a topic before itself", "broker", g.name, "id", g.id, "peer", g.addr)
	case !isLive:
		s.log.Warn("broker registers with an id that a newer one has, ignored", "broker", g.name, "id", g.id, "peer", g.addr)
	case isNew:
		s.log.Info("broker registered", "broker", g.name, "id", g.id, "peer", g.addr, "cluster", g.cluster, "topics", len(g.topics))
	}
	s.post(n)
	return res, err
}

// fingerprint is never 0.
func (s *Server) fingerprint(body []byte, compressed bool) uint64 {
	sum := maphash.Bytes(s.seed, body) | 1
	if compressed {
		sum ^= 2
	}
	return sum
}
