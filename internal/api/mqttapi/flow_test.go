package mqttapi_test

import (
	"fmt"
	"testing"

	"github.com/cometmq/cometmq/internal/api/mqttapi"
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

func TestEachQoSInEachVersion(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		for out := range byte(3) {
			for in := range byte(3) {
				name := fmt.Sprintf("t/%d/%d/%d", v, in, out)
				sub, _ := r.connect(v, "sub"+name, true)
				if codes := sub.subscribe(out, name); codes[0] != out {
					t.Fatalf("granted %v", codes)
				}
				pub, _ := r.connect(v, "pub"+name, true)
				pub.publish(publish(name, "hello", in, 7))
				p := sub.take()
				if string(p.Payload) != "hello" || string(p.Topic) != name || p.QoS != min(in, out) || p.Retain || p.Dup {
					t.Errorf("%s: %+v", name, p)
				}
				sub.nothing()
				sub.disconnect()
				pub.disconnect()
			}
		}
	}
}

func TestPublishesArePipelinedAndAcknowledgedInOrder(t *testing.T) {
	t.Parallel()
	r := start(t)
	sub, _ := r.connect(packet.V5, "sub", true)
	sub.subscribe(1, "t/#")
	pub, _ := r.connect(packet.V5, "pub", true)
	const n = 900 // less than the receive maximum
	var all []byte
	for i := range n {
		p := publish("t/x", fmt.Sprintf("m%d", i), 1, uint16(i+1))
		all = p.AppendTo(all, packet.V5)
	}
	go pub.nc.Write(all)
	for i := range n {
		if a := pub.ack(packet.Puback); a.ID != uint16(i+1) || a.Reason != 0 {
			t.Fatalf("PUBACK %+v after %d", a, i)
		}
	}
	sub.takes(numbered(n)...)
}

func TestWhatASessionMissedComesLater(t *testing.T) {
	t.Parallel()
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		r := start(t)
		sub, a := r.connect(v, "sub", false)
		if a.SessionPresent {
			t.Fatal("there was a session")
		}
		sub.subscribe(2, "t/a/+", "new/#")
		pub, _ := r.connect(v, "pub", true)
		pub.publish(publish("t/a/b", "m0", 1, 1))
		first := sub.wantPublish() // not acknowledged
		if first.Dup {
			t.Error("the first time is a duplicate")
		}
		must(t, sub.nc.Close())
		for i := range 5 {
			pub.publish(publish("t/a/b", fmt.Sprintf("m%d", i+1), byte(i%2+1), uint16(i+2)))
		}
		pub.publish(publish("t/b", "not for it", 1, 9))
		sub, a = r.connect(v, "sub", false)
		if !a.SessionPresent {
			t.Fatal("there is no session")
		}
		again := sub.wantPublish()
		if !again.Dup || again.ID != first.ID || string(again.Payload) != "m0" {
			t.Fatalf("%+v, first %+v", again, first)
		}
		sub.answer(packet.Puback, again.ID)
		sub.takes(numbered(6)[1:]...)
		sub.nothing()
		pub.publish(publish("new/x", "created", 1, 10)) // a topic that was not there
		sub.takes("created")
		sub.disconnect()
		sub, a = r.connect(v, "sub", true)
		if a.SessionPresent {
			t.Error("a clean start finds a session")
		}
		pub.publish(publish("t/a/b", "nobody", 1, 11))
		sub.nothing()
	}
}

func TestSubscriptionOptions(t *testing.T) {
	t.Parallel()
	r := start(t)
	c, _ := r.connect(packet.V5, "c", true)
	options := func(id uint32, s packet.Subscription) {
		t.Helper()
		codes := c.subscribeTo(packet.SubscribePacket{
			ID: 1, Props: packet.Properties{}.WithNum(packet.PropSubscriptionID, id), Filters: []packet.Subscription{s},
		})
		if codes[0] != s.QoS {
			t.Fatal(codes)
		}
	}
	options(5, packet.Subscription{Filter: []byte("t/own"), QoS: 1, NoLocal: true})
	options(6, packet.Subscription{Filter: []byte("t/+"), QoS: 1, RetainAsPublished: true, NoLocal: true})
	options(7, packet.Subscription{Filter: []byte("t/#"), QoS: 2, NoLocal: true})
	c.publish(publish("t/own", "from itself", 1, 1))
	c.nothing()
	other, _ := r.connect(packet.V5, "other", true)
	p := publish("t/own", "x", 1, 1)
	p.Retain = true
	p.Props = p.Props.WithText(packet.PropContentType, []byte("a/b")).WithText(packet.PropResponseTopic, []byte("t/r")).
		WithText(packet.PropCorrelation, []byte{0, 1}).WithUser([]byte("k"), []byte("v")).WithUser([]byte("k"), []byte("w")).
		WithNum(packet.PropMessageExpiry, 100)
	other.publish(p)
	got := c.take()
	ids := map[uint32]bool{}
	users := ""
	for _, q := range got.Props {
		switch q.ID {
		case packet.PropSubscriptionID:
			ids[q.Num] = true
		case packet.PropUser:
			users += string(q.Text) + string(q.Val) + " "
		default:
		}
	}
	ct, _ := got.Props.Text(packet.PropContentType)
	corr, _ := got.Props.Text(packet.PropCorrelation)
	left, _ := got.Props.Num(packet.PropMessageExpiry)
	if len(ids) != 3 || users != "kv kw " || string(ct) != "a/b" || string(corr) != "\x00\x01" || left == 0 || left > 100 || !got.Retain || got.QoS != 1 {
		t.Errorf("%+v", got)
	}
	c.nothing() // once, although three filters match
}

func TestRetained(t *testing.T) {
	t.Parallel()
	r := start(t)
	pub, _ := r.connect(packet.V5, "pub", true)
	put := func(name, payload string, qos byte) {
		p := publish(name, payload, qos, 1)
		p.Retain = true
		pub.publish(p)
	}
	put("t/a", "old", 1)
	put("t/a", "new", 1)
	put("t/b", "gone", 2)
	put("t/b", "", 1)
	put("t/c/d", "deep", 2)
	r.settle()
	r.restart()
	sub, _ := r.connect(packet.V5, "sub", true)
	sub.subscribe(1, "t/+")
	if p := sub.take(); string(p.Payload) != "new" || !p.Retain || p.QoS != 1 {
		t.Errorf("%+v", p)
	}
	sub.nothing()
	once := packet.Subscription{Filter: []byte("t/+"), QoS: 1, RetainHandling: 1}
	sub.subscribeTo(packet.SubscribePacket{ID: 2, Filters: []packet.Subscription{once}})
	sub.nothing()
	sub.subscribeTo(packet.SubscribePacket{ID: 2, Filters: []packet.Subscription{{Filter: []byte("t/c/#"), RetainHandling: 2}}})
	sub.nothing()
	sub.subscribe(2, "t/c/#")
	if p := sub.take(); string(p.Payload) != "deep" || p.QoS != 2 {
		t.Errorf("%+v", p)
	}
}

func TestReceiveMaximumHoldsBack(t *testing.T) {
	t.Parallel()
	r := start(t)
	sub, _ := r.connect(packet.V5, "sub", true, func(p *packet.ConnectPacket) { p.Props = p.Props.WithNum(packet.PropReceiveMaximum, 2) })
	sub.subscribe(1, "t")
	pub, _ := r.connect(packet.V5, "pub", true)
	for i := range 5 {
		pub.publish(publish("t", fmt.Sprintf("m%d", i), 1, 1))
	}
	a, b := sub.wantPublish(), sub.wantPublish()
	sub.nothing()
	sub.answer(packet.Puback, b.ID)
	c := sub.wantPublish()
	if string(c.Payload) != "m2" {
		t.Fatalf("%s", c.Payload)
	}
	sub.nothing()
	sub.answer(packet.Puback, a.ID)
	sub.answer(packet.Puback, c.ID)
	sub.takes("m3", "m4")
}

func TestRocketMQOnBothSides(t *testing.T) {
	t.Parallel()
	r := start(t)
	sub, _ := r.connect(packet.V5, "sub", true)
	sub.subscribe(1, "t/TagA", "t/light/#")
	send := func(props string) {
		b := mq.SendBatch{Requests: []mq.SendRequest{{Topic: "t", QueueID: 1, Group: "PG", Props: record.Props(props), Body: []byte("java"), MaxReconsume: -1}}}
		if r.core.Send(t.Context(), &b); b.Results[0].Err != nil {
			t.Fatal(b.Results[0].Err)
		}
	}
	send("TAGS\x01TagA\x02colour\x01red\x02")
	p := sub.take()
	if string(p.Topic) != "t/TagA" || string(p.Payload) != "java" || len(p.Props) != 1 || string(p.Props[0].Val) != "red" {
		t.Errorf("%+v", p)
	}
	send("INNER_MULTI_DISPATCH\x01%LMQ%t%light%a%\x02")
	if p = sub.take(); string(p.Topic) != "t/light/a/" {
		t.Errorf("%s", p.Topic)
	}
	pub, _ := r.connect(packet.V311, "pub", true)
	pub.publish(publish("t/x/y", "phone", 1, 1))
	pub.publish(publish("t/p2p/C", "to C", 1, 2))
	r.settle()
	for queue, want := range map[string]string{"%LMQ%t%x%y%": "phone", "%LMQ%%p2p%C%": "to C"} {
		f, err := r.core.Pull(t.Context(), &mq.PullRequest{Group: "g", Topic: queue, MaxMessages: 9, HasExpression: true, Expression: "*"}, nil)
		must(t, err)
		var m record.Message
		if _, err = record.Decode(f.Records, &m, true); err != nil || f.Count != 1 || string(m.Body) != want || string(m.Topic) != "t" {
			t.Errorf("%s: %d messages, %v, %v", queue, f.Count, m.String(), err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *mqttapi.Options) {
		o.MaxSubscriptions, o.MaxPacket = 2, 1000
		o.May = func(a *mqttapi.Access) bool { return a.Topic != "secret" }
	})
	c, _ := r.connect(packet.V5, "c", true)
	for filter, want := range map[string]packet.Reason{
		"#": packet.WildcardNotSupported, "+/a": packet.WildcardNotSupported, "a#": packet.FilterInvalid, "sp ace/a": packet.FilterInvalid,
		"$share/g/#": packet.WildcardNotSupported, "$share/g": packet.FilterInvalid, "$share/g/secret": packet.NotAuthorized, "secret/#": packet.NotAuthorized, "": packet.FilterInvalid,
	} {
		if codes := c.subscribe(1, filter); codes[0] != byte(want) {
			t.Errorf("%q: %#x, want %#x", filter, codes, byte(want))
		}
	}
	if codes := c.subscribe(1, "t/1", "t/2", "t/3"); string(codes) != "\x01\x01\x97" {
		t.Errorf("%x", codes)
	}
	for name, want := range map[string]packet.Reason{"sp ace/x": packet.TopicInvalid, "secret/x": packet.NotAuthorized} {
		p := publish(name, "x", 1, 9)
		c.write(p.AppendTo(nil, c.v))
		if a := c.ack(packet.Puback); a.Reason != want {
			t.Errorf("%q: %#x", name, a.Reason)
		}
		p = publish(name, "x", 1, 9)
		old, _ := r.connect(packet.V311, "old", true)
		old.write(p.AppendTo(nil, old.v))
		old.gone()
	}
	for what, b := range map[string][]byte{
		"second CONNECT":    (&packet.ConnectPacket{Version: 5, ClientID: []byte("c")}).AppendTo(nil),
		"packet of servers": packet.AppendPingresp(nil),
		"no local, shared":  (&packet.SubscribePacket{ID: 1, Filters: []packet.Subscription{{Filter: []byte("$share/g/t"), NoLocal: true}}}).AppendTo(nil, packet.V5),
		"AUTH":              (&packet.AuthPacket{Reason: packet.ReAuthenticate}).AppendTo(nil),
	} {
		bad, _ := r.connect(packet.V5, "x", true)
		bad.write(b)
		if reason := bad.gone(); reason != packet.ProtocolError {
			t.Errorf("%s: %#x", what, reason)
		}
	}
	big := publish("t", string(make([]byte, 1000)), 0, 0)
	c.write(big.AppendTo(nil, c.v))
	if reason := c.gone(); reason != packet.TooLarge {
		t.Errorf("%#x", reason)
	}
}
