package node

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/telemetry"
	"github.com/cometmq/cometmq/internal/vfs"
)

const (
	mqttAddr    = "127.0.0.1:1883"
	mqttTLSAddr = "127.0.0.1:8883"
)

// mqttWorld is a broker with the door for MQTT. Its store is on the disk, where the sessions must be.
func mqttWorld(t *testing.T, set map[string]string) (*world, Options) {
	t.Helper()
	w := newWorld(t)
	w.fs = vfs.OS()
	set["storePathRootDir"], set["enableMqtt"], set["namesrvAddr"], set["metricsPromExporterPort"] = filepath.Join(t.TempDir(), "store"), "true", "", "5557"
	o := w.options(set)
	o.Namesrv = nil
	return w, o
}

// mqttClient is a connection of a client of 5.0, which answers each packet before the next.
type mqttClient struct {
	t  *testing.T
	nc net.Conn
	in []byte
}

func (w *world) mqtt(t *testing.T, addr string) *mqttClient {
	t.Helper()
	nc, err := w.net.Dial(t.Context(), "tcp", addr)
	must(t, err)
	if addr == mqttTLSAddr {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	t.Cleanup(func() { _ = nc.Close() })
	must(t, nc.SetDeadline(time.Now().Add(time.Minute)))
	return &mqttClient{t: t, nc: nc}
}

func (c *mqttClient) write(b []byte) {
	c.t.Helper()
	_, err := c.nc.Write(b)
	must(c.t, err)
}

// next returns the next packet, 0 at the end of the connection.
func (c *mqttClient) next() (head byte, body []byte) {
	c.t.Helper()
	for {
		head, b, n, _, err := packet.Split(c.in, packet.MaxRemaining)
		must(c.t, err)
		if n > 0 {
			body = append(body, b...)
			c.in = c.in[n:]
			return head, body
		}
		buf := make([]byte, 4096)
		m, err := c.nc.Read(buf)
		if c.in = append(c.in, buf[:m]...); err != nil {
			return 0, nil
		}
	}
}

func (c *mqttClient) want(p packet.Type) []byte {
	c.t.Helper()
	head, body := c.next()
	if packet.Type(head>>4) != p {
		c.t.Fatalf("a %s %x, want %s", packet.Type(head>>4), body, p)
	}
	return body
}

func (c *mqttClient) connect(id, user, password string) packet.ConnackPacket {
	c.t.Helper()
	p := packet.ConnectPacket{Version: packet.V5, ClientID: []byte(id)}
	p.Props = p.Props.WithNum(packet.PropSessionExpiry, 3600)
	if user != "" {
		p.User, p.Password = []byte(user), []byte(password)
	}
	c.write(p.AppendTo(nil))
	var a packet.ConnackPacket
	must(c.t, a.Decode(c.want(packet.Connack), packet.V5))
	return a
}

func (c *mqttClient) subscribe(filter string) packet.Reason {
	c.t.Helper()
	p := packet.SubscribePacket{ID: 1, Filters: []packet.Subscription{{Filter: []byte(filter), QoS: 1}}}
	c.write(p.AppendTo(nil, packet.V5))
	var a packet.SubackPacket
	must(c.t, a.Decode(packet.Suback, c.want(packet.Suback), packet.V5))
	return packet.Reason(a.Codes[0])
}

func (c *mqttClient) publish(name, payload string) packet.Reason {
	c.t.Helper()
	p := packet.PublishPacket{Topic: []byte(name), Payload: []byte(payload), QoS: 1, ID: 7}
	c.write(p.AppendTo(nil, packet.V5))
	var a packet.AckPacket
	must(c.t, a.Decode(packet.Puback, c.want(packet.Puback), packet.V5))
	return a.Reason
}

// message receives one and acknowledges it. The broker has the acknowledgement when it returns.
func (c *mqttClient) message() string {
	c.t.Helper()
	head, body := c.next()
	var p packet.PublishPacket
	if packet.Type(head>>4) != packet.Publish {
		c.t.Fatalf("a %s, want a PUBLISH", packet.Type(head>>4))
	}
	must(c.t, p.Decode(head, body, packet.V5))
	c.write(packet.AppendPingreq((&packet.AckPacket{ID: p.ID}).AppendTo(nil, packet.Puback, packet.V5)))
	c.want(packet.Pingresp)
	return string(p.Topic) + " " + string(p.Payload)
}

func is[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// settled waits until all messages are in their queues, where a new subscription begins behind them.
func settled(t *testing.T, n *Node) {
	t.Helper()
	for st, end := n.broker.now().store, time.Now().Add(time.Minute); st.Dispatched() < st.Appended(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the queues are behind the log for a minute")
		}
	}
}

// TestMQTTAndRemotingShareTopics: what one side sends the other gets, and the session goes on after a restart of the process.
func TestMQTTAndRemotingShareTopics(t *testing.T) {
	t.Parallel()
	w, o := mqttWorld(t, map[string]string{})
	n := w.start(o)
	is(t, n.MQTTAddr(), mqttAddr)
	plain, secure := w.mqtt(t, mqttAddr), w.mqtt(t, mqttTLSAddr)
	plain.connect("phone", "", "")
	secure.connect("sensor", "", "")
	is(t, secure.publish("hall/temp", "20"), packet.Success) // makes the topic
	settled(t, n)
	is(t, plain.subscribe("hall/#"), packet.Reason(1))
	is(t, secure.publish("hall/temp", "21"), packet.Success)
	is(t, plain.message(), "hall/temp 21")
	java := remoting.NewClient(remoting.ClientOptions{Dial: w.net.Dial})
	defer java.Close()
	is(t, ask(t, java, sendTo("hall"))[:2], "0 ")
	is(t, plain.message(), "hall hello")
	page := w.scrape(n)
	if got := linesOf(page, telemetry.MQTTConnections.Name); len(got) == 0 || !strings.HasSuffix(got[0], " 2") {
		t.Errorf("connections: %s", got)
	}

	must(t, n.Shutdown(t.Context()))
	var d packet.DisconnectPacket
	must(t, d.Decode(plain.want(packet.Disconnect), packet.V5))
	is(t, d.Reason, packet.ServerShuttingDown)
	n = w.start(o)
	is(t, ask(t, java, sendTo("hall"))[:2], "0 ")
	plain = w.mqtt(t, mqttAddr)
	if a := plain.connect("phone", "", ""); !a.SessionPresent {
		t.Error("the session is gone")
	}
	is(t, plain.message(), "hall hello")
	must(t, n.Shutdown(t.Context()))
	w.free()
}

// TestMQTTUsersAreThoseOfTheBroker checks passwords and policies.
func TestMQTTUsersAreThoseOfTheBroker(t *testing.T) {
	t.Parallel()
	w, o := mqttWorld(t, map[string]string{
		"authenticationEnabled": "true", "authorizationEnabled": "true", "initAuthenticationUser": `{"username":"root","password":"root-secret"}`,
		"innerClientAuthenticationCredentials": innerSecret,
	})
	n := w.start(o)
	root := w.as("root", "root-secret")
	defer root.Close()
	user := &protocol.UserInfo{Password: "of-alice"}
	is(t, ask(t, root, &remoting.Command{Code: protocol.ReqAuthCreateUser, Ext: map[string]string{"username": "alice"}, Body: user.AppendTo(nil, false)}), "0 ")
	acl := protocol.ACLInfo{Policies: []protocol.PolicyInfo{{Entries: []protocol.PolicyEntryInfo{{Resource: "Topic:orders*", Actions: []string{"Pub"}, Decision: "Allow"}}}}}
	is(t, ask(t, root, &remoting.Command{Code: protocol.ReqAuthCreateACL, Ext: map[string]string{"subject": "User:alice"}, Body: acl.AppendTo(nil, false)}), "0 ")

	for _, c := range []struct {
		user, password string
		code           packet.Reason
	}{{"", "", packet.BadUserOrPassword}, {"alice", "guess", packet.BadUserOrPassword}, {"bob", "of-alice", packet.BadUserOrPassword}, {"alice", "of-alice", packet.Success}} {
		is(t, packet.Reason(w.mqtt(t, mqttAddr).connect("c", c.user, c.password).Code), c.code)
	}
	// A session is its user's.
	is(t, packet.Reason(w.mqtt(t, mqttAddr).connect("c", "root", "root-secret").Code), packet.NotAuthorized)
	boss, alice := w.mqtt(t, mqttAddr), w.mqtt(t, mqttAddr)
	boss.connect("boss", "root", "root-secret")
	alice.connect("c", "alice", "of-alice")
	is(t, alice.publish("orders/1", "x"), packet.Success)
	is(t, alice.publish("money/1", "x"), packet.NotAuthorized)
	is(t, alice.subscribe("orders/#"), packet.NotAuthorized)
	is(t, alice.publish("RMQ_SYS_TRACE_TOPIC/x", "x"), packet.NotAuthorized)
	settled(t, n)
	is(t, boss.subscribe("orders/#"), packet.Reason(1))
	is(t, alice.publish("orders/2", "y"), packet.Success)
	is(t, boss.message(), "orders/2 y")
	must(t, n.Shutdown(t.Context()))
	w.free()
}

// TestMQTTEndsWithTheMaster: a slave serves nobody, and the sessions are there when the broker is master again.
func TestMQTTEndsWithTheMaster(t *testing.T) {
	t.Parallel()
	w, o := mqttWorld(t, map[string]string{"mqttTlsPort": "-1", "mqttWebSocketPort": "-1", "mqttWebSocketTlsPort": "-1"})
	n := w.start(o)
	c := w.mqtt(t, mqttAddr)
	c.connect("c", "", "")
	is(t, c.publish("t/a", "first"), packet.Success)
	settled(t, n)
	is(t, c.subscribe("t/#"), packet.Reason(1))
	must(t, n.Become(t.Context(), Role{Kind: Slave, ID: 1}))
	c.want(packet.Disconnect)
	if head, _ := w.mqtt(t, mqttAddr).next(); head != 0 {
		t.Error("a slave answers")
	}
	must(t, n.Become(t.Context(), Role{Kind: Master}))
	c = w.mqtt(t, mqttAddr)
	if a := c.connect("c", "", ""); !a.SessionPresent {
		t.Error("the session is gone")
	}
	other := w.mqtt(t, mqttAddr)
	other.connect("other", "", "")
	is(t, other.publish("t/a", "second"), packet.Success)
	is(t, c.message(), "t/a second")
	must(t, n.Shutdown(t.Context()))
	w.free()
}

// TestMQTTCostsNothingWhileItIsOff: there is no port, no file and no goroutine of it.
func TestMQTTCostsNothingWhileItIsOff(t *testing.T) {
	t.Parallel()
	w, o := mqttWorld(t, map[string]string{})
	o.Broker.MQTT.On = false
	n := w.start(o)
	if n.MQTTAddr() != "" || n.broker.now().mqtt != nil || n.broker.now().sessions != nil || len(n.broker.mqtt.all) != 0 {
		t.Error("there is something of MQTT")
	}
	must(t, n.Shutdown(t.Context()))
	w.free()
}
