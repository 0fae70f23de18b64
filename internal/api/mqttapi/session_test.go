package mqttapi_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/mq"
)

func TestQoS2IsExactlyOnceOverRestarts(t *testing.T) {
	t.Parallel()
	r := start(t)
	sub, _ := r.connect(packet.V5, "sub", false)
	sub.subscribe(2, "t/#")
	pub, _ := r.connect(packet.V5, "pub", false)
	p := publish("t/x", "m0", 2, 5)
	pub.write(p.AppendTo(nil, pub.v))
	pub.ack(packet.Pubrec)
	got := sub.wantPublish()

	r.restart() // both have what they have, and nobody knows of it
	pub, a := r.connect(packet.V5, "pub", false)
	if !a.SessionPresent {
		t.Fatal("there is no session")
	}
	p.Dup = true
	pub.write(p.AppendTo(nil, pub.v))
	pub.ack(packet.Pubrec)
	pub.answer(packet.Pubrel, 5)
	pub.ack(packet.Pubcomp)
	sub, _ = r.connect(packet.V5, "sub", false)
	again := sub.wantPublish()
	if !again.Dup || again.ID != got.ID || string(again.Payload) != "m0" {
		t.Fatalf("%+v, was %+v", again, got)
	}
	sub.answer(packet.Pubrec, again.ID)
	sub.ack(packet.Pubrel)

	r.restart() // after PUBREL
	sub, _ = r.connect(packet.V5, "sub", false)
	if rel := sub.ack(packet.Pubrel); rel.ID != got.ID {
		t.Fatalf("%+v", rel)
	}
	sub.answer(packet.Pubcomp, got.ID)
	sub.nothing()

	r.restart() // after PUBCOMP, and the id is used again
	pub, _ = r.connect(packet.V5, "pub", false)
	pub.publish(publish("t/x", "m1", 2, 5))
	sub, _ = r.connect(packet.V5, "sub", false)
	sub.takes("m1")
	sub.nothing()
	count := 0
	for q := range int32(2) {
		f, err := r.core.Pull(t.Context(), &mq.PullRequest{Group: "g", Topic: "t", QueueID: q, MaxMessages: 9, HasExpression: true, Expression: "*"}, nil)
		must(t, err)
		count += f.Count
	}
	if count != 2 {
		t.Errorf("%d messages are stored, want 2", count)
	}
}

func TestTakeover(t *testing.T) {
	t.Parallel()
	r := start(t)
	watch, _ := r.connect(packet.V5, "watch", true)
	watch.subscribe(1, "t/will")
	will := func(p *packet.ConnectPacket) {
		p.Will = &packet.Will{QoS: 1, Topic: []byte("t/will"), Payload: []byte("gone")}
	}
	first, _ := r.connect(packet.V5, "c", false, will)
	first.subscribe(1, "t/a")
	second, a := r.connect(packet.V5, "c", false)
	if !a.SessionPresent {
		t.Error("there is no session")
	}
	if reason := first.gone(); reason != packet.SessionTakenOver {
		t.Errorf("%#x", reason)
	}
	watch.takes("gone")
	watch.publish(publish("t/a", "x", 1, 1))
	second.takes("x")
	second.disconnect()
	watch.nothing()
}

func TestSilentClientIsDisconnectedAndItsWillPublished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		watch, _ := r.connect(packet.V5, "watch", true)
		watch.subscribe(1, "t/will")
		c, _ := r.connect(packet.V5, "c", false, func(p *packet.ConnectPacket) {
			p.KeepAlive = 10
			p.Will = &packet.Will{QoS: 1, Topic: []byte("t/will"), Payload: []byte("gone"), Props: packet.Properties{}.WithNum(packet.PropWillDelay, 5)}
		})
		began := time.Now()
		if reason := c.gone(); reason != packet.KeepAliveTimeout {
			t.Errorf("%#x", reason)
		}
		if d := time.Since(began); d < 15*time.Second || d > 16*time.Second {
			t.Errorf("after %v", d)
		}
		watch.takes("gone")
		if d := time.Since(began); d < 20*time.Second || d > 22*time.Second {
			t.Errorf("the will came after %v", d)
		}
	})
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		short := func(p *packet.ConnectPacket) {
			p.Props = packet.Properties{}.WithNum(packet.PropSessionExpiry, 10)
		}
		c, _ := r.connect(packet.V5, "c", false, short)
		c.subscribe(1, "t/a")
		c.disconnect()
		time.Sleep(8 * time.Second)
		c, a := r.connect(packet.V5, "c", false, short)
		if !a.SessionPresent {
			t.Error("it ended too early")
		}
		c.disconnect()
		r.restart()
		time.Sleep(12 * time.Second)
		if f := r.srv.Figures(); f.Sessions != 0 || f.Subscriptions != 0 || f.Connections != 0 {
			t.Errorf("%+v", f)
		}
	})
}

func TestConnectAnswers(t *testing.T) {
	t.Parallel()
	r := start(t)
	_, a := r.connect(packet.V5, "", true)
	if id, ok := a.Props.Text(packet.PropAssignedClientID); !ok || len(id) < 8 {
		t.Errorf("%+v", a)
	}
	if _, a = r.connect(packet.V311, "", false); a.Code != 2 {
		t.Errorf("%+v", a)
	}
	c := r.dial(packet.V311)
	c.write([]byte("\x10\x0c\x00\x04MQTT\x02\x02\x00\x00\x00\x00"))
	if body := c.want(packet.Connack); body[1] != 1 {
		t.Errorf("%x", body)
	}
	c = r.dial(packet.V311)
	c.write(packet.AppendPingreq(nil))
	if _, _, err := c.next(); err == nil {
		t.Error("an answer before CONNECT")
	}
}

// TestATopicGetsMoreQueues: sessions and shares read them, too.
func TestATopicGetsMoreQueues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c, _ := r.connect(packet.V5, "c", true)
		c.subscribe(1, "t/#")
		member, _ := r.connect(packet.V5, "member", true)
		member.subscribe(1, shared)
		must(t, r.core.PutTopic(t.Context(), mq.TopicConfig{Name: "t", ReadQueues: 8, WriteQueues: 8, Perm: 6}))
		pub, _ := r.connect(packet.V5, "pub", true)
		const n = 40 // names, in all queues
		for i := range n {
			pub.publish(publish(fmt.Sprint("t/", i), "x", 1, 1))
		}
		time.Sleep(70 * time.Second)
		for _, c := range []*client{c, member} {
			if got := len(c.drain()); got != n {
				t.Errorf("%d messages, want %d", got, n)
			}
		}
	})
}
