package mqttapi_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/api/mqttapi"
	"github.com/cometmq/cometmq/internal/api/mqttapi/packet"
	"github.com/cometmq/cometmq/internal/api/mqttapi/state"
	"github.com/cometmq/cometmq/internal/mq"
)

// mortal is a broker that a killed door does not reach any more.
type mortal struct {
	mqttapi.Core
	dead atomic.Bool
}

func (m *mortal) Send(ctx context.Context, b *mq.SendBatch) bool {
	if m.dead.Load() {
		return true // and nobody ever hears of it
	}
	return m.Core.Send(ctx, b)
}

// kill goes on with a new door that has of the old one what was on disk.
func (r *rig) kill(m *mortal) *mortal {
	r.t.Helper()
	m.dead.Store(true)
	left := state.Open(nil)
	var ops []state.Op
	must(r.t, r.state.Load("", func(k string, v []byte) error {
		ops = append(ops, state.Op{Key: k, Value: bytes.Clone(v)})
		return nil
	}))
	saved := make(chan error, 1)
	left.Apply(ops, func(err error) { saved <- err })
	must(r.t, <-saved)
	r.close()
	must(r.t, r.state.Close())
	next := &mortal{Core: r.core}
	r.state, r.o.State, r.o.Core = left, left, next
	r.open()
	return next
}

// exact is a client that sends and receives with QoS 2 as the standard wants it, over any number of connections.
type exact struct {
	c       *client
	sent    map[uint16]string // not PUBREC yet
	freed   map[uint16]bool   // PUBREL sent
	order   []uint16
	has     map[uint16]bool // received, no PUBREL yet
	got     map[string]int
	arrived int
}

func (e *exact) connect(r *rig, id string) {
	r.t.Helper()
	var a packet.ConnackPacket
	first := e.sent == nil
	e.c, a = r.connect(packet.V5, id, false)
	if first {
		e.sent, e.freed, e.has, e.got = map[uint16]string{}, map[uint16]bool{}, map[uint16]bool{}, map[string]int{}
	} else if !a.SessionPresent {
		r.t.Fatal("the session is lost")
	}
	for _, id := range e.order {
		if payload, ok := e.sent[id]; ok {
			p := publish("t/x", payload, 2, id)
			p.Dup = true
			e.c.write(p.AppendTo(nil, e.c.v))
		} else if e.freed[id] {
			e.c.answer(packet.Pubrel, id)
		}
	}
}

// turn handles what has come.
func (e *exact) turn() {
	e.c.t.Helper()
	e.c.write(packet.AppendPingreq(nil))
	for {
		head, body, err := e.c.next()
		must(e.c.t, err)
		kind := packet.Type(head >> 4)
		if kind == packet.Pingresp {
			return
		}
		if kind == packet.Publish {
			var p packet.PublishPacket
			must(e.c.t, p.Decode(head, body, e.c.v))
			if !e.has[p.ID] {
				e.has[p.ID] = true
				e.got[string(p.Payload)]++
				e.arrived++
			}
			e.c.answer(packet.Pubrec, p.ID)
			continue
		}
		var a packet.AckPacket
		must(e.c.t, a.Decode(kind, body, e.c.v))
		switch kind {
		case packet.Pubrec:
			delete(e.sent, a.ID)
			e.freed[a.ID] = true
			e.c.answer(packet.Pubrel, a.ID)
		case packet.Pubcomp:
			delete(e.freed, a.ID)
			e.order = slices.DeleteFunc(e.order, func(id uint16) bool { return id == a.ID })
		case packet.Pubrel:
			delete(e.has, a.ID)
			e.c.answer(packet.Pubcomp, a.ID)
		default:
			e.c.t.Fatalf("a %s", kind)
		}
	}
}

func TestQoS2IsExactlyOnceOverKills(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		for _, filter := range []string{"t/#", "$share/g/t/#"} {
			t.Run(fmt.Sprint(seed, filter), func(t *testing.T) {
				t.Parallel()
				exactlyOnce(t, seed, filter)
			})
		}
	}
}

// exactlyOnce publishes to a session, or to two that share, while the door is killed.
func exactlyOnce(t *testing.T, seed uint64, filter string) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 7))
	door := &mortal{}
	r := start(t, func(o *mqttapi.Options) {
		door.Core = o.Core
		o.Core = door
	})
	var pub, sub, other exact
	sub.connect(r, "sub")
	sub.c.subscribe(2, filter)
	pub.connect(r, "pub")
	if strings.HasPrefix(filter, "$share/") {
		other.connect(r, "other")
		other.c.subscribe(2, filter)
	}
	shared := other.c != nil
	const kills, messages = 20, 150
	published := 0
	deadline := time.Now().Add(patience)
	for killed := 0; sub.arrived+other.arrived < messages || len(pub.order) > 0 || killed < kills; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d published, %d arrived, %d kills; under way %v", published, messages, sub.arrived+other.arrived, killed, pub.order)
		}
		switch n := rnd.IntN(10); {
		case n < 5 && published < messages && len(pub.order) < 5:
			id := uint16(1)
			for slices.Contains(pub.order, id) {
				id++
			}
			payload := fmt.Sprintf("m%d", published)
			published++
			pub.sent[id], pub.order = payload, append(pub.order, id)
			p := publish("t/x", payload, 2, id)
			pub.c.write(p.AppendTo(nil, pub.c.v))
		case n < 7:
			pub.turn()
		case n < 9:
			sub.turn()
			if shared {
				other.turn()
			}
		case killed < kills && rnd.IntN(2) == 0:
			killed++
			door = r.kill(door)
			sub.connect(r, "sub")
			if shared {
				other.connect(r, "other")
			}
			pub.connect(r, "pub")
		}
	}
	for i := range messages {
		if n := sub.got[fmt.Sprintf("m%d", i)] + other.got[fmt.Sprintf("m%d", i)]; n != 1 {
			t.Errorf("message %d came %d times", i, n)
		}
	}
}
