package mqttapi_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
)

// A client that does not read gets all of its messages when it does, and the others do not wait for it.
func TestAClientThatDoesNotReadLosesNothing(t *testing.T) {
	t.Parallel()
	r := start(t)
	const n, size = 200, 8 << 10
	lazy, _ := r.connect(packet.V311, "lazy", false)
	lazy.subscribe(1, "t/#")
	quick, _ := r.connect(packet.V311, "quick", true)
	quick.subscribe(0, "t/x")
	pub, _ := r.connect(packet.V311, "pub", true)
	body := func(i int) string { return fmt.Sprintf("m%d %s", i, strings.Repeat("x", size)) }
	for i := range n {
		pub.publish(publish("t/x", body(i), 1, 1))
		if p := quick.take(); string(p.Payload) != body(i) {
			t.Fatalf("message %d is %.10s", i, p.Payload)
		}
	}
	for i := range n {
		if p := lazy.take(); string(p.Payload) != body(i) {
			t.Fatalf("message %d is %.10s", i, p.Payload)
		}
	}
	lazy.nothing()
}

// Bytes of all kinds end a connection and nothing else.
func TestHostileBytes(t *testing.T) {
	t.Parallel()
	r := start(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	var talk []byte
	sub := packet.SubscribePacket{ID: 3, Filters: []packet.Subscription{{Filter: []byte("t/#"), QoS: 2}}}
	for _, b := range [][]byte{
		sub.AppendTo(nil, packet.V5), packet.AppendPingreq(nil), (&packet.AckPacket{ID: 1}).AppendTo(nil, packet.Pubrel, packet.V5),
		(&packet.AckPacket{ID: 1}).AppendTo(nil, packet.Pubcomp, packet.V5),
	} {
		talk = append(talk, b...)
	}
	for i := range 20 {
		p := publish("t/hostile", "x", byte(i%3), uint16(i+1))
		if p.QoS == 0 {
			p.ID = 0
		}
		talk = p.AppendTo(talk, packet.V5)
	}
	for i := range 300 {
		hello := (&packet.ConnectPacket{Version: packet.V5, ClientID: []byte("h"), Clean: i%2 == 0}).AppendTo(nil)
		b := append(bytes.Clone(hello), talk...)
		from := 0
		if i%4 > 0 {
			from = len(hello)
		}
		for range 1 + rnd.IntN(4) {
			b[from+rnd.IntN(len(b)-from)] = byte(rnd.Uint32())
		}
		c := r.dial(packet.V5)
		c.nc.Write(b[:len(b)-rnd.IntN(8)])
		must(t, c.nc.Close())
	}
	c, _ := r.connect(packet.V5, "good", true)
	c.subscribe(1, "t/good")
	c.publish(publish("t/good", "still here", 2, 1))
	c.takes("still here")
	deadline := time.Now().Add(patience)
	for r.srv.Figures().Connections > 1 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if f := r.srv.Figures(); f.Connections != 1 {
		t.Errorf("%+v", f)
	}
}
