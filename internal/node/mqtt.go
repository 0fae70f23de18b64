package node

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	"github.com/cometmq/cometmq/internal/api/mqttapi"
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/api/mqttapi/websocket"
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/certificate"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/kvfile"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// mqttFile is where sessions and retained messages are, in the folder of the store.
const mqttFile = "cometmq/mqtt.db"

// mqttPorts are the listeners for MQTT. They outlive the engines, of which a master's serves their connections.
type mqttPorts struct {
	all  []net.Listener
	addr string // of the first plain one, else of the first
}

// listenMQTT opens the ports for MQTT. What it has opened when it fails is closed by abandon.
func (p *brokerPart) listenMQTT(ctx context.Context) error {
	m := &p.o.Broker.MQTT
	if !m.On {
		return nil
	}
	web := func(l net.Listener) net.Listener { return websocket.Listen(l, websocket.Options{Origins: m.Origins}) }
	same := func(l net.Listener) net.Listener { return l }
	for _, d := range []struct {
		key    string
		port   int
		secure bool
		wrap   func(net.Listener) net.Listener
	}{
		{"mqttPort", m.Port, false, same},
		{"mqttWebSocketPort", m.WebPort, false, web},
		{"mqttTlsPort", m.TLSPort, true, same},
		{"mqttWebSocketTlsPort", m.WebTLSPort, true, web},
	} {
		mode := p.o.Broker.TLS.Mode
		if d.port < 0 || d.secure && mode == config.TLSDisabled || !d.secure && mode == config.TLSEnforcing {
			continue
		}
		at := net.JoinHostPort(p.o.Broker.Listen.Address, strconv.Itoa(d.port))
		l, err := listenNear(ctx, p.o, at, p.o.Elsewhere)
		if err != nil {
			return fmt.Errorf("%s=%d: %w", d.key, d.port, err)
		}
		if p.mqtt.addr == "" {
			p.mqtt.addr = reachable(l.Addr(), "")
		}
		if d.secure {
			l = certificate.Listen(l, certificate.ListenOptions{Config: p.secure.keeper.Server(), Log: p.log})
		}
		p.mqtt.all = append(p.mqtt.all, d.wrap(l))
	}
	return nil
}

// serveMQTT hands the connections of one port to the engine until ctx ends. It closes the listener.
func (p *brokerPart) serveMQTT(ctx context.Context, l net.Listener) error {
	return acceptAll(ctx, l, "MQTT client", p.log, func(c net.Conn) {
		if e := p.now(); e != nil && e.mqtt != nil {
			e.mqtt.Take(c)
			return
		}
		_ = c.Close() // a slave serves nobody by MQTT: the client goes on to the master
	})
}

// openMQTT makes the door of an engine that takes messages.
func (p *brokerPart) openMQTT(e *engine, o *Options) error {
	m := &o.Broker.MQTT
	if !m.On || e.role.Kind != Master && e.role.Kind != SyncMaster {
		return nil
	}
	log := p.log.With("door", "mqtt")
	e.sessions = state.Open(kvfile.New(kvfile.Options{FS: p.o.FS, Path: filepath.Join(o.Broker.Store.Root, filepath.FromSlash(mqttFile)), Log: log}))
	aliases := m.MaxAliases
	if aliases == 0 {
		aliases = -1
	}
	mo := mqttapi.Options{
		Core: e.core, State: e.sessions, Bridge: m.Bridges(), CreateTopics: o.Broker.Topics.AutoCreate, MaxPacket: m.MaxPacket,
		MaxInflight: m.Inflight, ReceiveMaximum: uint16(m.Receive), MaxSubscriptions: m.MaxSubs, MaxLevels: m.MaxLevels,
		MaxConnections: m.MaxConns, MaxAliases: aliases, MaxExpiry: m.MaxExpiry, KeepAlive: m.KeepAlive, ConnectWithin: m.ConnectIn, Log: log,
	}
	if g := p.access.users(); g != nil {
		mo.Owned = g.Authenticates()
		mo.Login = func(_ context.Context, l *mqttapi.Login) packet.Reason {
			err := g.Password(&auth.Login{User: l.User, Password: l.Password, Client: l.ClientID, From: l.Remote.Addr()})
			if err != nil {
				log.Debug("an MQTT client is refused", "client", l.ClientID, "peer", l.Remote, "err", err)
				return packet.BadUserOrPassword
			}
			return packet.Success
		}
		mo.May = func(a *mqttapi.Access) bool {
			what, action := auth.Topic(a.Topic), auth.Sub
			if a.Publish {
				action = auth.Pub
			}
			return g.May(a.User, &what, auth.ActionsOf(action), a.Remote.Addr()) == nil
		}
	}
	var err error
	if e.mqtt, err = mqttapi.New(mo); err != nil {
		return err
	}
	return nil
}

// endMQTT ends the door. What it has sent to the store is still being decided.
func (e *engine) endMQTT() {
	if e.mqtt != nil {
		e.mqtt.Close()
	}
}

func (e *engine) collectMQTT(s *telemetry.Sink) {
	if e.mqtt == nil {
		return
	}
	f := e.mqtt.Figures()
	s.Int(telemetry.MQTTConnections, int64(f.Connections))
	s.Int(telemetry.MQTTSessions, int64(f.Sessions))
	s.Int(telemetry.MQTTSubscriptions, int64(f.Subscriptions))
	s.Int(telemetry.MQTTRetained, int64(f.Retained))
}

// MQTTAddr is the first address for MQTT, without TLS if there is such a one, "" when there is none.
func (n *Node) MQTTAddr() string {
	if n.broker == nil {
		return ""
	}
	return n.broker.mqtt.addr
}
