package config

import (
	"slices"
	"strconv"
	"time"
)

// MQTT is the door for MQTT clients, which Java's broker has not. Its ports are open in a master only.
type MQTT struct {
	On         bool     `key:"enableMqtt" doc:"serve MQTT 3.1, 3.1.1 and 5.0"`
	Port       int      `key:"mqttPort" min:"-1" max:"65535" doc:"port for MQTT over TCP; 0 = any free port, -1 = none; none with tls.server.mode = enforcing"`
	TLSPort    int      `key:"mqttTlsPort" min:"-1" max:"65535" doc:"port for MQTT over TLS, with the certificate of tls.server.certPath; 0 = any free port, -1 = none; none with tls.server.mode = disabled"`
	WebPort    int      `key:"mqttWebSocketPort" min:"-1" max:"65535" doc:"port for MQTT over WebSocket, on any path; 0 = any free port, -1 = none; none with tls.server.mode = enforcing"`
	WebTLSPort int      `key:"mqttWebSocketTlsPort" min:"-1" max:"65535" doc:"port for MQTT over WebSocket over TLS; 0 = any free port, -1 = none; none with tls.server.mode = disabled"`
	Origins    []string `key:"mqttWebSocketOrigins" sep:";" doc:"origins of the pages whose scripts may connect by WebSocket, such as https://app.example.com; empty = all"`
	Bridge     []string `key:"mqttBridgeTopics" sep:";" doc:"topics whose messages get to MQTT subscribers also when their producer knows nothing of MQTT, as topic/tag, or topic without a tag; * = all, empty = none"`

	MaxConns   int           `key:"mqttMaxConnections" min:"1" max:"10000000" doc:"most MQTT connections; what comes above is closed"`
	MaxPacket  int           `key:"mqttMaxPacketSize" min:"1024" max:"268435455" doc:"bytes of the largest packet of a client"`
	Inflight   int           `key:"mqttMaxInflight" min:"1" max:"65535" doc:"messages of QoS 1 and 2 that one session has not acknowledged"`
	Receive    int           `key:"mqttReceiveMaximum" min:"1" max:"65535" doc:"publishes of QoS 1 and 2 of one connection that are not acknowledged yet"`
	MaxSubs    int           `key:"mqttMaxSubscriptions" min:"1" max:"1000000" doc:"subscriptions of one session"`
	MaxLevels  int           `key:"mqttMaxTopicLevels" min:"1" max:"65535" doc:"levels of a topic name or filter"`
	MaxAliases int           `key:"mqttMaxTopicAliases" min:"0" max:"65535" doc:"topic aliases that a client may set on one connection"`
	MaxExpiry  time.Duration `key:"mqttMaxSessionExpiry" unit:"s" min:"1" max:"4294967294" doc:"how long a session without a connection is kept at most; sessions of MQTT 3.1.1 that are not clean are kept that long"`
	KeepAlive  time.Duration `key:"mqttMaxKeepAlive" unit:"s" min:"1" max:"65535" doc:"longest keep alive that a client of MQTT 5.0 gets"`
	ConnectIn  time.Duration `key:"mqttConnectTimeout" unit:"ms" min:"100" max:"600000" doc:"time from the connection to CONNECT"`
}

// defaultMQTT returns the defaults.
func defaultMQTT() MQTT {
	return MQTT{
		Port: 1883, TLSPort: 8883, WebPort: 8888, WebTLSPort: 8889, Bridge: []string{"*"},
		MaxConns: 100_000, MaxPacket: 1 << 20, Inflight: 1024, Receive: 1024, MaxSubs: 100, MaxLevels: 64, MaxAliases: 64,
		MaxExpiry: 7 * 24 * time.Hour, KeepAlive: 12 * time.Hour, ConnectIn: 10 * time.Second,
	}
}

// Bridges returns what says whether messages of a topic get to MQTT subscribers whoever has sent them.
func (m *MQTT) Bridges() func(topic string) bool {
	list := slices.Clone(m.Bridge)
	if slices.Contains(list, "*") {
		return func(string) bool { return true }
	}
	return func(topic string) bool { return slices.Contains(list, topic) }
}

func (l *loader) checkMQTT(c *Broker, set settings) {
	m := &c.MQTT
	if !m.On {
		return
	}
	if !c.Store.Index {
		l.bad("messageIndexEnable", entry{"false", set.source("messageIndexEnable")}, "true with enableMqtt, because after a restart the index says whether a publish of QoS 2 is stored")
	}
	seen := map[int]string{}
	for _, p := range []struct {
		key  string
		port int
	}{{"mqttPort", m.Port}, {"mqttTlsPort", m.TLSPort}, {"mqttWebSocketPort", m.WebPort}, {"mqttWebSocketTlsPort", m.WebTLSPort}} {
		if p.port <= 0 {
			continue
		}
		if other, taken := seen[p.port]; taken {
			l.bad(p.key, entry{strconv.Itoa(p.port), set.source(p.key)}, "another port than "+other)
		}
		seen[p.port] = p.key
	}
}
