package mqttapi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/api/mqttapi"
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

var storeHost = netip.MustParseAddrPort("10.0.0.2:10911")

// rig is the door before a broker, on a network in memory.
type rig struct {
	t     *testing.T
	store *storage.Store
	core  *broker.Broker
	state *state.Store
	net   *memnet.Network
	o     mqttapi.Options

	srv  *mqttapi.Server
	ln   net.Listener
	done chan error
}

func start(t *testing.T, change ...func(o *mqttapi.Options)) *rig {
	t.Helper()
	fs := vfs.NewMem(vfs.MemOptions{})
	store, err := storage.Open(fs, storage.Options{
		Dir: "/store", SegmentSize: 4 << 20, QueueFileSize: 20_000, IndexEnabled: true, IndexSlots: 100, IndexCapacity: 1000, CacheBytes: 4 << 20,
		StoreHost: storeHost, LightQueues: true,
	})
	must(t, err)
	r := &rig{t: t, store: store, net: memnet.New()}
	r.core, err = broker.Open(broker.Options{
		Name: "broker-a", Addr: storeHost, Store: store, FS: fs, Dir: "/store", AutoCreateTopic: true, AutoCreateGroup: true,
		LightTopics: true, LightDispatch: true,
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- store.Run(ctx) }()
	go func() { done <- r.core.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, errors.Join(<-done, <-done, r.core.Close(), store.Close()))
	})
	must(t, r.core.PutTopic(ctx, mq.TopicConfig{Name: "t", ReadQueues: 2, WriteQueues: 2, Perm: 6}))
	r.state = state.Open(nil)
	t.Cleanup(func() { must(t, r.state.Close()) })
	r.o = mqttapi.Options{Core: r.core, State: r.state, Bridge: func(string) bool { return true }, CreateTopics: true}
	for _, f := range change {
		f(&r.o)
	}
	r.open()
	t.Cleanup(func() { r.close() })
	return r
}

// settle waits until all messages are in their queues, where a new subscription begins behind them.
func (r *rig) settle() {
	r.t.Helper()
	for end := time.Now().Add(patience); r.store.Dispatched() < r.store.Appended(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatal("the queues stay behind the log")
		}
	}
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	r.srv, err = mqttapi.New(r.o)
	must(r.t, err)
	r.ln, err = r.net.Listen("127.0.0.1:1883")
	must(r.t, err)
	r.done = make(chan error, 1)
	go func() { r.done <- r.srv.Serve(r.ln) }()
}

func (r *rig) close() {
	r.t.Helper()
	must(r.t, r.ln.Close())
	must(r.t, <-r.done)
	r.srv.Close()
	saved := make(chan error, 1)
	r.state.Apply(nil, func(err error) { saved <- err })
	must(r.t, <-saved) // all that was to be written before
}

func (r *rig) restart() {
	r.t.Helper()
	r.close()
	r.open()
}

// client is one connection of a test.
type client struct {
	t  *testing.T
	nc net.Conn
	v  packet.Version
	in []byte
	// held are messages that came while something else was waited for.
	held []packet.PublishPacket
}

func (r *rig) dial(v packet.Version) *client {
	r.t.Helper()
	nc, err := r.net.Dial(r.t.Context(), "tcp", "127.0.0.1:1883")
	must(r.t, err)
	r.t.Cleanup(func() { nc.Close() })
	return &client{t: r.t, nc: nc, v: v}
}

// connect connects a client that keeps its session for an hour, unless clean.
func (r *rig) connect(v packet.Version, id string, clean bool, change ...func(p *packet.ConnectPacket)) (*client, packet.ConnackPacket) {
	r.t.Helper()
	c := r.dial(v)
	p := packet.ConnectPacket{Version: v, Clean: clean, ClientID: []byte(id)}
	if v == packet.V5 && !clean {
		p.Props = p.Props.WithNum(packet.PropSessionExpiry, 3600)
	}
	for _, f := range change {
		f(&p)
	}
	c.write(p.AppendTo(nil))
	body := c.want(packet.Connack)
	var a packet.ConnackPacket
	must(r.t, a.Decode(body, v))
	return c, a
}

func (c *client) write(b []byte) {
	c.t.Helper()
	_, err := c.nc.Write(b)
	must(c.t, err)
}

// next returns the next packet.
func (c *client) next() (head byte, body []byte, err error) {
	must(c.t, c.nc.SetReadDeadline(time.Now().Add(patience)))
	for {
		head, b, n, _, err := packet.Split(c.in, packet.MaxRemaining)
		if err != nil {
			return 0, nil, err
		}
		if n > 0 {
			body = append([]byte(nil), b...)
			c.in = c.in[n:]
			return head, body, nil
		}
		buf := make([]byte, 4096)
		m, err := c.nc.Read(buf)
		if c.in = append(c.in, buf[:m]...); err != nil {
			return 0, nil, err
		}
	}
}

func (c *client) want(t packet.Type) []byte {
	c.t.Helper()
	for {
		head, body, err := c.next()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", t, err)
		}
		switch got := packet.Type(head >> 4); got {
		case t:
			return body
		case packet.Publish:
			var p packet.PublishPacket
			must(c.t, p.Decode(head, body, c.v))
			c.held = append(c.held, p)
		default:
			c.t.Fatalf("a %s (%x), want %s", got, body, t)
		}
	}
}

func (c *client) ack(t packet.Type) packet.AckPacket {
	c.t.Helper()
	var a packet.AckPacket
	must(c.t, a.Decode(t, c.want(t), c.v))
	return a
}

func (c *client) wantPublish() packet.PublishPacket {
	c.t.Helper()
	if len(c.held) > 0 {
		p := c.held[0]
		c.held = c.held[1:]
		return p
	}
	head, body, err := c.next()
	if err != nil {
		c.t.Fatalf("waiting for a PUBLISH: %v", err)
	}
	if packet.Type(head>>4) != packet.Publish {
		c.t.Fatalf("a %s, want a PUBLISH", packet.Type(head>>4))
	}
	var p packet.PublishPacket
	must(c.t, p.Decode(head, body, c.v))
	return p
}

// nothing checks that the server has nothing to say: it answers a ping first.
func (c *client) nothing() {
	c.t.Helper()
	c.write(packet.AppendPingreq(nil))
	c.want(packet.Pingresp)
	if len(c.held) > 0 {
		c.t.Fatalf("there is a message of %s: %s", c.held[0].Topic, c.held[0].Payload)
	}
}

// gone waits until the server has closed the connection and returns the reason of its DISCONNECT.
func (c *client) gone() packet.Reason {
	c.t.Helper()
	var d packet.DisconnectPacket
	for {
		head, body, err := c.next()
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				c.t.Fatal("the connection is still there")
			}
			return d.Reason
		}
		if packet.Type(head>>4) == packet.Disconnect {
			must(c.t, d.Decode(body, c.v))
		}
	}
}

func (c *client) subscribe(qos byte, filters ...string) []byte {
	c.t.Helper()
	p := packet.SubscribePacket{ID: 1}
	for _, f := range filters {
		p.Filters = append(p.Filters, packet.Subscription{Filter: []byte(f), QoS: qos})
	}
	return c.subscribeTo(p)
}

func (c *client) subscribeTo(p packet.SubscribePacket) []byte {
	c.t.Helper()
	c.write(p.AppendTo(nil, c.v))
	var a packet.SubackPacket
	must(c.t, a.Decode(packet.Suback, c.want(packet.Suback), c.v))
	return a.Codes
}

func publish(name, payload string, qos byte, id uint16) packet.PublishPacket {
	return packet.PublishPacket{Topic: []byte(name), Payload: []byte(payload), QoS: qos, ID: id}
}

func (c *client) publish(p packet.PublishPacket) {
	c.t.Helper()
	c.write(p.AppendTo(nil, c.v))
	switch p.QoS {
	case 1:
		if a := c.ack(packet.Puback); a.ID != p.ID || a.Reason != 0 {
			c.t.Fatalf("PUBACK %+v", a)
		}
	case 2:
		if a := c.ack(packet.Pubrec); a.ID != p.ID || a.Reason != 0 {
			c.t.Fatalf("PUBREC %+v", a)
		}
		c.answer(packet.Pubrel, p.ID)
		if a := c.ack(packet.Pubcomp); a.ID != p.ID || a.Reason != 0 {
			c.t.Fatalf("PUBCOMP %+v", a)
		}
	}
}

func (c *client) answer(t packet.Type, id uint16) {
	c.t.Helper()
	c.write((&packet.AckPacket{ID: id}).AppendTo(nil, t, c.v))
}

// take receives one message and acknowledges it.
func (c *client) take() packet.PublishPacket {
	c.t.Helper()
	p := c.wantPublish()
	switch p.QoS {
	case 1:
		c.answer(packet.Puback, p.ID)
	case 2:
		c.answer(packet.Pubrec, p.ID)
		if a := c.ack(packet.Pubrel); a.ID != p.ID {
			c.t.Fatalf("PUBREL %+v", a)
		}
		c.answer(packet.Pubcomp, p.ID)
	}
	return p
}

func (c *client) takes(payloads ...string) {
	c.t.Helper()
	for _, want := range payloads {
		if p := c.take(); string(p.Payload) != want {
			c.t.Fatalf("%s of %s, want %s", p.Payload, p.Topic, want)
		}
	}
}

func (c *client) disconnect() {
	c.t.Helper()
	c.write((&packet.DisconnectPacket{}).AppendTo(nil, c.v))
	c.gone()
}

func numbered(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("m%d", i))
	}
	return out
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
