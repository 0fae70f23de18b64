package mqttapi_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
)

const shared = "$share/g/t/#"

// drain acknowledges what has come.
func (c *client) drain() (payloads []string) {
	c.t.Helper()
	c.write(packet.AppendPingreq(nil))
	for {
		head, body, err := c.next()
		must(c.t, err)
		if packet.Type(head>>4) == packet.Pingresp {
			return payloads
		}
		var p packet.PublishPacket
		must(c.t, p.Decode(head, body, c.v))
		payloads = append(payloads, string(p.Payload))
		if p.QoS == 1 {
			c.answer(packet.Puback, p.ID)
		}
	}
}

func TestShareGivesEachMessageToOneMember(t *testing.T) {
	t.Parallel()
	for qos := range byte(2) {
		t.Run(fmt.Sprint(qos), func(t *testing.T) {
			t.Parallel()
			r := start(t)
			var members [3]*client
			for i := range members {
				members[i], _ = r.connect(packet.V5, fmt.Sprint("m", i), true)
				if codes := members[i].subscribe(qos, shared); codes[0] != qos {
					t.Fatalf("%x", codes)
				}
			}
			pub, _ := r.connect(packet.V311, "pub", true)
			all, _ := r.connect(packet.V5, "all", true)
			all.subscribe(0, "t/#")
			const n = 90
			for i := range n {
				pub.publish(publish("t/x", fmt.Sprint("m", i), 1, 1))
			}
			all.takes(numbered(n)...) // who does not share gets all
			seen := map[string]int{}
			for end := time.Now().Add(patience); len(seen) < n; {
				if time.Now().After(end) {
					t.Fatalf("%d of %d messages", len(seen), n)
				}
				for i, m := range members {
					for _, p := range m.drain() {
						if seen[p]++; seen[p] > 1 {
							t.Errorf("%s came to %d again", p, i)
						}
					}
				}
			}
			for _, m := range members {
				m.nothing()
			}
		})
	}
}

func TestShareGoesRoundItsMembers(t *testing.T) {
	t.Parallel()
	r := start(t)
	a, _ := r.connect(packet.V5, "a", true)
	b, _ := r.connect(packet.V5, "b", true)
	a.subscribe(1, shared)
	b.subscribe(1, shared)
	pub, _ := r.connect(packet.V5, "pub", true)
	for _, payload := range numbered(10) {
		pub.publish(publish("t/x", payload, 1, 1))
	}
	for range 5 { // nobody acknowledges, so each gets half of them
		a.wantPublish()
		b.wantPublish()
	}
	a.nothing()
	b.nothing()
}

func TestShareGivesBackWhatWasNotAcknowledged(t *testing.T) {
	t.Parallel()
	r := start(t)
	a, _ := r.connect(packet.V5, "a", true)
	a.subscribe(1, shared)
	pub, _ := r.connect(packet.V5, "pub", true)
	for _, payload := range numbered(3) {
		pub.publish(publish("t/x", payload, 1, 1))
	}
	a.takes("m0")
	a.wantPublish()
	a.wantPublish()
	a.nothing()
	b, _ := r.connect(packet.V5, "b", true)
	b.subscribe(1, shared)
	b.nothing()
	must(t, a.nc.Close())
	b.takes("m1", "m2")
	b.nothing()
}

func TestShareGoesPastASlowMember(t *testing.T) {
	t.Parallel()
	r := start(t)
	slow, _ := r.connect(packet.V5, "slow", true, func(p *packet.ConnectPacket) { p.Props = p.Props.WithNum(packet.PropReceiveMaximum, 1) })
	slow.subscribe(1, shared)
	pub, _ := r.connect(packet.V5, "pub", true)
	pub.publish(publish("t/x", "m0", 1, 1))
	held := slow.wantPublish()
	quick, _ := r.connect(packet.V5, "quick", true)
	quick.subscribe(1, shared)
	for i := range 20 {
		pub.publish(publish("t/x", fmt.Sprint("m", i+1), 1, 1))
	}
	quick.takes(numbered(21)[1:]...)
	slow.nothing()
	must(t, quick.nc.Close())
	pub.publish(publish("t/x", "late", 1, 1))
	slow.nothing()
	slow.answer(packet.Puback, held.ID) // now there is room
	slow.takes("late")
}

// TestShareWaitsForItsMembers: what is published while all are away comes when one is back, over restarts.
func TestShareWaitsForItsMembers(t *testing.T) {
	t.Parallel()
	r := start(t)
	a, _ := r.connect(packet.V5, "a", false)
	a.subscribe(1, shared)
	pub, _ := r.connect(packet.V5, "pub", true)
	pub.publish(publish("t/x", "m0", 1, 1))
	a.takes("m0")
	pub.publish(publish("t/x", "m1", 1, 1))
	a.wantPublish() // and it is not acknowledged
	a.disconnect()
	pub.publish(publish("t/x", "m2", 1, 1))
	pub.disconnect()
	r.restart()
	a, ack := r.connect(packet.V5, "a", false)
	if !ack.SessionPresent {
		t.Fatal("there is no session")
	}
	a.takes("m1", "m2")
	a.nothing()
	r.restart()
	a, _ = r.connect(packet.V5, "a", false)
	a.nothing()
}

// TestQoS2StaysWithItsMember: MQTT 5.0, 4.8.2.
func TestQoS2StaysWithItsMember(t *testing.T) {
	t.Parallel()
	r := start(t)
	a, _ := r.connect(packet.V5, "a", false)
	a.subscribe(2, shared)
	pub, _ := r.connect(packet.V5, "pub", true)
	pub.publish(publish("t/x", "m0", 2, 1))
	first := a.wantPublish()
	b, _ := r.connect(packet.V5, "b", true)
	b.subscribe(2, shared)
	must(t, a.nc.Close())
	b.nothing()
	r.restart()
	b, _ = r.connect(packet.V5, "b", true)
	b.subscribe(2, shared)
	b.nothing()
	a, _ = r.connect(packet.V5, "a", false)
	again := a.take()
	if !again.Dup || again.ID != first.ID || string(again.Payload) != "m0" {
		t.Errorf("%+v, was %+v", again, first)
	}
	a.nothing()
	b.nothing()
}

// TestShareEndsWithItsLastMember: the next one begins anew.
func TestShareEndsWithItsLastMember(t *testing.T) {
	t.Parallel()
	r := start(t)
	pub, _ := r.connect(packet.V5, "pub", true)
	for _, leave := range []func(c *client){
		func(c *client) {
			p := packet.UnsubscribePacket{ID: 2, Filters: [][]byte{[]byte(shared)}}
			c.write(p.AppendTo(nil, c.v))
			var a packet.SubackPacket
			must(t, a.Decode(packet.Unsuback, c.want(packet.Unsuback), c.v))
			if a.Codes[0] != 0 {
				t.Errorf("%x", a.Codes)
			}
		},
		(*client).disconnect, // with a clean session
	} {
		a, _ := r.connect(packet.V5, "a", true)
		a.subscribe(1, shared)
		if f := r.srv.Figures(); f.Subscriptions != 1 {
			t.Errorf("%+v", f)
		}
		leave(a)
		for end := time.Now().Add(patience); r.srv.Figures().Subscriptions > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		pub.publish(publish("t/x", "missed", 1, 1))
		r.settle()
		b, _ := r.connect(packet.V5, "b", true)
		b.subscribe(1, shared)
		pub.publish(publish("t/x", "live", 1, 1))
		b.takes("live")
		b.nothing()
		b.disconnect()
	}
}

// TestShareOfATopicThatComesLater reads it from its beginning.
func TestShareOfATopicThatComesLater(t *testing.T) {
	t.Parallel()
	r := start(t)
	a, _ := r.connect(packet.V5, "a", true)
	a.subscribe(1, "$share/g/later/+")
	pub, _ := r.connect(packet.V5, "pub", true)
	pub.publish(publish("later/x", "m0", 1, 1))
	a.takes("m0")
}
