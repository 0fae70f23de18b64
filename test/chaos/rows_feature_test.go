package chaos

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/test/history"
)

func featureRows() []row {
	const promFeature = "what was acknowledged happens; more than once perhaps, never before its time"
	return []row{
		{
			name: "timers", what: "kill -9 with 100,000 timers pending", deployment: oneBroker, promise: promFeature, keeps: true, times: 3,
			run: func(x *trial) { x.timers(100_000) },
		},
		{
			name: "tx-orphans", what: "producers killed between half and commit; another one of the group is asked", deployment: oneBroker,
			promise: "each half message is asked about and becomes what the producer says; none is seen before", keeps: true, times: 20,
			run: func(x *trial) { x.transactions(true) },
		},
		{
			name: "tx-kill", what: "kill -9 of the broker under transactions", deployment: oneBroker,
			promise: "what was committed is delivered, what is open is asked about", keeps: true, times: 5,
			run: func(x *trial) { x.transactions(false) },
		},
		{
			name: "pop", what: "kill -9 of the broker while consumers pop and acknowledge", deployment: oneBroker,
			promise: "what was acknowledged does not come again; what somebody holds is given to nobody else", keeps: true, times: 10,
			run: pops,
		},
		{
			name: "topic-deleted", what: "topic deleted and created anew while it is written to, with a kill -9 after each second deletion", deployment: oneBroker,
			promise: "what was acknowledged after the new topic was there is kept, nothing of the old one comes back", keeps: true, times: 10,
			run: topicDeleted,
		},
	}
}

func (o *outcome) feature(f history.Feature) {
	o.Acked += f.Acked
	o.Lost += f.Lost
	o.Phantom += f.Phantom
	o.Duplicates += f.Duplicates
}

func (x *trial) timers(n int64) {
	w := newWorld(x.T, x.kind, false, 1)
	b := w.broker(0, nil)
	w.topic(b, "timed", 4)
	l := &history.Delay{
		Topic: "timed", Queues: 4, Target: at(b), Timers: true, Soonest: 45 * time.Second, Longest: 75 * time.Second, Window: 100, Most: n,
	}
	ctx, cancel := context.WithTimeout(x.Context(), 3*time.Minute)
	defer cancel()
	began := time.Now()
	l.Run(ctx, 4)
	sent := time.Since(began)
	kill := func() {
		t := time.Now()
		b.Kill()
		b.again()
		x.out.Again = append(x.out.Again, time.Since(t).Seconds())
		x.out.Faults++
	}
	kill() // all of them wait
	for range x.times - 1 {
		time.Sleep(time.Until(began.Add(50 * time.Second))) // while they become due
		x.rest(0, 5*time.Second)
		kill()
	}
	time.Sleep(time.Until(began.Add(sent + l.Longest + 2*time.Second)))
	var v history.Feature
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(2 * time.Second) {
		var err error
		if v, err = l.Verdict(x.Context(), b.addr, time.Second); err != nil {
			x.Fatal(err)
		}
		if v.Lost == 0 || time.Now().After(end) {
			break
		}
	}
	x.out.feature(v)
	x.out.Note = fmt.Sprintf("all had come %.0f s after the last was due; %d came more than 1 s before their time; again: until the port is open", max(0, time.Since(began.Add(sent+l.Longest)).Seconds()), v.Early)
	if v.Early > 0 {
		x.out.Bad = append(x.out.Bad, fmt.Sprintf("%d came early", v.Early))
	}
}

func (x *trial) transactions(orphans bool) {
	w := newWorld(x.T, x.kind, false, 1)
	b := w.broker(0, map[string]string{"transactionTimeOut": "1500", "transactionCheckInterval": "1000", "transactionCheckMax": "100000"})
	w.topic(b, "tx", 4)
	l := &history.Transactions{Topic: "tx", Group: "tx_p", Queues: 4, Target: at(b), Orphans: orphans, Pause: time.Millisecond}
	l.Life.Store(1)
	ctx, cancel := context.WithCancel(x.Context())
	defer cancel()
	loadCtx, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	var wg, load sync.WaitGroup
	wg.Go(func() { l.Answer(ctx) })
	load.Go(func() { l.Run(loadCtx, 6) })
	for range x.times {
		x.rest(500*time.Millisecond, 1500*time.Millisecond)
		x.out.Faults++
		if orphans {
			continue
		}
		t := time.Now()
		b.Kill()
		l.Life.Add(1)
		b.again()
		x.out.Again = append(x.out.Again, time.Since(t).Seconds())
	}
	time.Sleep(500 * time.Millisecond)
	stopLoad()
	load.Wait()
	var v history.Feature
	open := int64(1)
	for end := time.Now().Add(90 * time.Second); open > 0 && time.Now().Before(end); time.Sleep(time.Second) {
		var err error
		if v, open, err = l.Verdict(x.Context(), b.addr); err != nil {
			x.Fatal(err)
		}
	}
	cancel()
	wg.Wait()
	v.Lost += open
	x.out.feature(v)
	x.out.Note = fmt.Sprintf("%d were asked about although their end had been acknowledged; a half message that nobody asks about counts as lost", v.Again)
	if orphans {
		x.out.Faults = int(v.Acked)
		x.out.Note = "each half message is an accident"
	}
}

func pops(x *trial) {
	w := newWorld(x.T, x.kind, false, 1)
	b := w.broker(0, nil)
	w.topic(b, "popped", 4)
	sends := history.NewLoad("popped", 4, at(b))
	sends.Pause, sends.Window = 20*time.Millisecond, 16
	l := &history.Pop{Topic: "popped", Group: "popped_g", Broker: "broker-a", Lease: 8 * time.Second, Target: at(b)}
	ctx, cancel := context.WithCancel(x.Context())
	defer cancel()
	sendCtx, stopSends := context.WithCancel(ctx)
	defer stopSends()
	var wg, load sync.WaitGroup
	load.Go(func() { sends.Run(sendCtx) })
	for range 3 {
		wg.Go(func() { l.Run(ctx) })
	}
	for range x.times {
		x.rest(500*time.Millisecond, 2*time.Second)
		sends.Mark()
		b.Kill()
		b.again()
		if d, ok := sends.Again(time.Minute); ok {
			x.out.Again = append(x.out.Again, d.Seconds())
		} else {
			x.out.Stuck++
		}
		x.out.Faults++
	}
	time.Sleep(500 * time.Millisecond)
	stopSends()
	load.Wait()
	for end := time.Now().Add(90 * time.Second); l.Missing(sends) > 0 && time.Now().Before(end); {
		time.Sleep(200 * time.Millisecond)
	}
	time.Sleep(2 * time.Second) // what comes again although it should not
	cancel()
	wg.Wait()
	v := l.Verdict(sends)
	x.out.feature(v.Feature)
	x.out.Note = fmt.Sprintf("%d came again although their acknowledgement had been answered, %d while somebody held them, %d acknowledgements refused",
		v.Again, v.Held, v.Refused)
	if v.Again+v.Held+v.Refused > 0 {
		x.out.Bad = append(x.out.Bad, v.Problem)
	}
}

func topicDeleted(x *trial) {
	w := newWorld(x.T, x.kind, false, 1)
	b := w.broker(0, map[string]string{"autoCreateTopicEnable": "false"})
	w.topic(b, "chaos", 4) // another one, which nobody deletes
	other := w.send(&x.out, "chaos", at(b))
	for i := range x.times {
		w.topic(b, "doomed", 4)
		before := x.short(b, "doomed", true)
		c, err := bench.Dial(x.Context(), nil, b.addr, protocol.JSON)
		if err != nil {
			x.Fatal(err)
		}
		r, err := c.Call(protocol.ReqDeleteTopicInBroker, &protocol.DeleteTopicRequestHeader{Topic: "doomed"}, nil)
		if err == nil {
			err = r.Err()
		}
		c.Close()
		if err != nil {
			x.Fatal(err)
		}
		before()
		x.out.Faults++
		if i%2 == 1 {
			other.fault(func() {
				b.Kill()
				b.again()
			})
			x.out.Faults--
		}
		w.topic(b, "doomed", 4)
		x.short(b, "doomed", false)()
		x.drop(b)
	}
	other.end(b.addr)
}

// short sends to a topic for a moment; the returned function ends it and, unless the topic is to be deleted meanwhile, judges:
// what is there must be of this load.
func (x *trial) short(b *host, topic string, doomed bool) (end func()) {
	l := history.NewLoad(topic, 4, at(b))
	l.Window, l.Pause, l.Size = 16, 2*time.Millisecond, 200
	if !doomed { // so that a message of before has a number that is not of this load
		l.Size = 100
	}
	ctx, cancel := context.WithCancel(x.Context())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	time.Sleep(400 * time.Millisecond)
	return func() {
		time.Sleep(100 * time.Millisecond)
		cancel()
		wg.Wait()
		if doomed {
			return
		}
		v, err := l.Verify(x.Context(), b.addr, l.Window)
		if err != nil {
			x.Fatal(err)
		}
		v.Phantom += v.Strange
		x.out.Add(v)
	}
}

// drop deletes the topic again, with nobody writing.
func (x *trial) drop(b *host) {
	c, err := bench.Dial(x.Context(), nil, b.addr, protocol.JSON)
	if err != nil {
		x.Fatal(err)
	}
	defer c.Close()
	r, err := c.Call(protocol.ReqDeleteTopicInBroker, &protocol.DeleteTopicRequestHeader{Topic: "doomed"}, nil)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		x.Fatal(err)
	}
}
