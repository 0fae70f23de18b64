package amqp10

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// end is one side of a conversation in a test: it records what it is told and does what the hooks say.
type end struct {
	*Conn
	log     []string
	open    func(o *Open) *Error
	attach  func(l *Link)
	flow    func(l *Link)
	message func(d *Delivery)
	dispose func(d *Delivery, st Composite, settled bool)
	got     []*Delivery
}

func (e *end) note(format string, args ...any) { e.log = append(e.log, fmt.Sprintf(format, args...)) }

func (e *end) Open(_ *Conn, o *Open) *Error {
	e.note("open %s", o.ContainerID)
	if e.open != nil {
		return e.open(o)
	}
	return nil
}

func (e *end) Begin(*Session) { e.note("begin") }

func (e *end) Attach(l *Link) {
	e.note("attach %s", l.Name)
	if e.attach != nil {
		e.attach(l)
	}
}

func (e *end) Flow(l *Link) {
	e.note("flow %s %d %v", l.Name, l.Credit(), l.Drain())
	if e.flow != nil {
		e.flow(l)
	}
}

func (e *end) Message(d *Delivery) {
	e.note("message %d", len(d.Payload))
	e.got = append(e.got, d)
	if e.message != nil {
		e.message(d)
	}
}

func (e *end) Disposition(d *Delivery, st Composite, settled bool) {
	e.note("disposition %d %T %v", d.ID, st, settled)
	if e.dispose != nil {
		e.dispose(d, st, settled)
	}
}

func (e *end) Detach(l *Link, closed bool, err *Error) {
	e.note("detach %s %v %s", l.Name, closed, cond(err))
}
func (e *end) End(_ *Session, err *Error) { e.note("end %s", cond(err)) }
func (e *end) Close(_ *Conn, err *Error)  { e.note("close %s", cond(err)) }

func cond(err *Error) string {
	if err == nil {
		return "-"
	}
	return err.Condition
}

func (e *end) has(t *testing.T, want string) {
	t.Helper()
	if !slices.Contains(e.log, want) {
		t.Errorf("no %q in %q", want, e.log)
	}
}

var start = time.UnixMilli(1e12)

// pair is a client and a server joined in memory.
type pair struct {
	client, server *end
	now            time.Time
	piece          int // bytes that travel at a time, 0: all
	clientErr      error
	serverErr      error
}

func newPair(cc, sc Config) *pair {
	cc.Client = true
	if cc.ContainerID == "" {
		cc.ContainerID = "client"
	}
	sc.ContainerID = "server"
	p := &pair{client: &end{}, server: &end{}, now: start}
	p.server.attach = func(l *Link) {
		l.Accept(l.Remote.Source, l.Remote.Target, nil, Value{})
		l.Grant(100, false)
	}
	p.client.Conn = New(cc, p.client, start)
	p.server.Conn = New(sc, p.server, start)
	return p
}

// run lets the bytes travel until both sides are silent.
func (p *pair) run() *pair {
	for range 100_000 {
		a, b := p.client.Output(nil), p.server.Output(nil)
		if len(a)+len(b) == 0 {
			return p
		}
		p.feed(p.server, a, &p.serverErr)
		p.feed(p.client, b, &p.clientErr)
	}
	panic("the two never fall silent")
}

func (p *pair) feed(e *end, b []byte, err *error) {
	for len(b) > 0 && *err == nil && !e.Done() {
		n := len(b)
		if p.piece > 0 {
			n = min(n, p.piece)
		}
		*err = e.Receive(p.now, b[:n])
		b = b[n:]
	}
}

func (p *pair) session(t *testing.T) *Session {
	t.Helper()
	s, err := p.client.BeginSession()
	if err != nil {
		t.Fatal(err)
	}
	p.run()
	return s
}

func attach(t *testing.T, s *Session, a *Attach) *Link {
	t.Helper()
	if a.Source == nil {
		a.Source = &Source{}
	}
	if a.Target == nil {
		a.Target = &Target{Address: StringValue("q")}
	}
	l, err := s.Attach(a)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serverLink(p *pair, name string) *Link {
	for _, s := range p.server.Sessions() {
		for _, l := range s.Links() {
			if l.Name == name {
				return l
			}
		}
	}
	return nil
}

func TestMessagesAndOutcomesTravel(t *testing.T) {
	t.Parallel()
	for _, piece := range []int{0, 1, 7} {
		p := newPair(Config{}, Config{})
		p.piece = piece
		s := p.session(t)
		l := attach(t, s, &Attach{Name: "out", SndSettleMode: SndMixed})
		p.run()
		if l.Credit() != 100 || !l.Attached() {
			t.Fatalf("credit %d; %q %q", l.Credit(), p.client.log, p.server.log)
		}
		for i := range 5 {
			if _, err := l.Send([]byte{byte(i)}, []byte(strings.Repeat("x", i)), i == 0, nil); err != nil {
				t.Fatal(err)
			}
		}
		p.run()
		if n := len(p.server.got); n != 5 {
			t.Fatalf("%d messages", n)
		}
		if len(l.Unsettled()) != 4 || !p.server.got[0].Settled {
			t.Errorf("%d unsettled", len(l.Unsettled()))
		}
		for _, d := range p.server.got[:4] {
			d.Dispose(&Accepted{}, true)
		}
		p.server.got[4].Dispose(&Rejected{Error: NewError(CondNotAllowed, "no")}, true)
		p.run()
		p.client.has(t, "disposition 1 *amqp10.Accepted true")
		p.client.has(t, "disposition 3 *amqp10.Accepted true")
		p.client.has(t, "disposition 4 *amqp10.Rejected true")
		if len(l.Unsettled()) != 0 {
			t.Error("something is unsettled")
		}
		l.Detach(true, nil)
		p.run()
		p.server.has(t, "detach out true -")
		s.End(nil)
		p.run()
		p.server.has(t, "end -")
		p.client.Conn.Close(nil)
		p.run()
		p.server.has(t, "close -")
		if !p.client.Done() || !p.server.Done() || p.clientErr != nil || p.serverErr != nil {
			t.Errorf("not over: %v %v", p.clientErr, p.serverErr)
		}
	}
}

func TestAcceptedOnesThatFollowAreOneDisposition(t *testing.T) {
	t.Parallel()
	p := newPair(Config{}, Config{})
	l := attach(t, p.session(t), &Attach{Name: "out"})
	p.run()
	for range 50 {
		if _, err := l.Send(nil, []byte("m"), false, nil); err != nil {
			t.Fatal(err)
		}
	}
	p.run()
	for _, d := range p.server.got {
		d.Dispose(&Accepted{}, true)
	}
	out := p.server.Output(nil)
	f, rest, ok, err := cutFrame(out, 1<<20)
	if !ok || err != nil || len(rest) != 0 {
		t.Fatalf("%d bytes behind the first frame, %v", len(rest), err)
	}
	c, err := NewReader(f.body).Composite()
	if d, is := c.(*Disposition); err != nil || !is || d.First != 0 || d.Last.V != 49 {
		t.Errorf("%+v %v", c, err)
	}
}

func TestLargeMessagesAreManyFrames(t *testing.T) {
	t.Parallel()
	p := newPair(Config{}, Config{MaxFrameSize: 512, IncomingWindow: 4})
	l := attach(t, p.session(t), &Attach{Name: "out"})
	p.run()
	want := make([]byte, 100_000)
	for i := range want {
		want[i] = byte(i * 7)
	}
	for range 3 {
		if _, err := l.Send([]byte("t"), want, false, &TransactionalState{TxnID: []byte{9}}); err != nil {
			t.Fatal(err)
		}
	}
	p.run()
	if len(p.server.got) != 3 {
		t.Fatalf("%d messages; %q", len(p.server.got), p.server.log)
	}
	for _, d := range p.server.got {
		if !bytes.Equal(d.Payload, want) {
			t.Error("another payload")
		}
		if st, ok := d.State.(*TransactionalState); !ok || !bytes.Equal(st.TxnID, []byte{9}) {
			t.Errorf("state %+v", d.State)
		}
	}
}

func TestSenderHonoursWindowAndCredit(t *testing.T) {
	t.Parallel()
	p := newPair(Config{IncomingWindow: 10}, Config{})
	p.server.attach = func(l *Link) { l.Accept(&Source{}, &Target{}, nil, Value{}) }
	l := attach(t, p.session(t), &Attach{Name: "in", Role: true})
	p.run()
	out := serverLink(p, "in")
	if _, err := out.Send(nil, []byte("m"), true, nil); err == nil {
		t.Error("sent without credit")
	}
	l.Grant(1000, false)
	p.run()
	if out.Credit() != 1000 {
		t.Fatalf("credit %d", out.Credit())
	}
	for range 25 {
		if _, err := out.Send(nil, []byte("m"), true, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := out.Queued(); n != 15 {
		t.Errorf("%d wait for the window of 10", n)
	}
	p.run()
	if len(p.client.got) != 25 || out.Queued() != 0 || l.Credit() != 975 {
		t.Errorf("%d came, %d wait, credit %d", len(p.client.got), out.Queued(), l.Credit())
	}
}

func TestDrainGivesTheCreditBackBehindTheMessages(t *testing.T) {
	t.Parallel()
	p := newPair(Config{IncomingWindow: 2}, Config{})
	p.server.attach = func(l *Link) { l.Accept(&Source{}, &Target{}, nil, Value{}) }
	p.server.flow = func(l *Link) {
		for i := 0; i < 5 && l.Credit() > 0 && l.User == nil; i++ {
			if _, err := l.Send(nil, []byte("m"), true, nil); err != nil {
				t.Error(err)
			}
		}
		l.User = true
		l.Drained()
	}
	l := attach(t, p.session(t), &Attach{Name: "in", Role: true})
	p.run()
	l.Grant(8, true)
	p.run()
	if len(p.client.got) != 5 || l.Credit() != 0 {
		t.Fatalf("%d came, credit %d", len(p.client.got), l.Credit())
	}
	if last := p.client.log[len(p.client.log)-1]; last != "flow in 0 true" {
		t.Errorf("the last word is %q of %q", last, p.client.log)
	}
	// and again: the counts of both sides agree
	l.Grant(3, false)
	p.run()
	if c := serverLink(p, "in").Credit(); c != 3 {
		t.Errorf("credit %d", c)
	}
}

func TestSerialNumbersWrap(t *testing.T) {
	t.Parallel()
	p := newPair(Config{}, Config{IncomingWindow: 4})
	s := p.session(t)
	ss := p.server.Sessions()[0]
	s.nextOut, ss.nextIn = 0xfffffffe, 0xfffffffe
	s.nextDelivery = 0xfffffffe
	l := attach(t, s, &Attach{Name: "out"})
	p.run()
	sl := serverLink(p, "out")
	l.count, sl.count = 0xffffffff, 0xffffffff
	sl.Grant(10, false)
	p.run()
	for range 10 {
		if _, err := l.Send(nil, []byte("m"), false, nil); err != nil {
			t.Fatal(err)
		}
	}
	p.run()
	if len(p.server.got) != 10 {
		t.Fatalf("%d came; %q", len(p.server.got), p.server.log)
	}
	for _, d := range p.server.got {
		d.Dispose(&Accepted{}, true)
	}
	p.run()
	if len(l.Unsettled()) != 0 {
		t.Error("something is unsettled")
	}
}

func TestEchoIsAnswered(t *testing.T) {
	t.Parallel()
	p := newPair(Config{}, Config{})
	s := p.session(t)
	l := attach(t, s, &Attach{Name: "out"})
	p.run()
	f := s.flow()
	f.Echo = true
	s.send(f)
	p.run()
	n := len(p.client.log)
	l.sendFlow(true)
	p.run()
	if len(p.client.log) != n+1 || !strings.HasPrefix(p.client.log[n], "flow out 100") {
		t.Errorf("%q", p.client.log[n:])
	}
}

func TestRefusedLinks(t *testing.T) {
	t.Parallel()
	p := newPair(Config{}, Config{})
	p.server.attach = func(l *Link) { l.Refuse(NewError(CondNotFound, "no such queue")) }
	s := p.session(t)
	out := attach(t, s, &Attach{Name: "a"})
	in := attach(t, s, &Attach{Name: "a", Role: true}) // the same name in the other direction is another link
	p.run()
	if out.Remote.Target != nil || out.Remote.Source == nil || in.Remote.Source != nil || in.Remote.Target == nil {
		t.Errorf("answered %+v %+v", out.Remote, in.Remote)
	}
	p.client.has(t, "detach a true amqp:not-found")
	if len(p.server.Sessions()[0].Links()) != 0 || p.server.links != 0 || p.client.links != 0 {
		t.Error("links are left")
	}
}

func TestHeartbeatsAndIdleTimeout(t *testing.T) {
	t.Parallel()
	p := newPair(Config{}, Config{IdleTimeout: 30 * time.Second})
	p.session(t)
	for range 20 {
		p.now = p.now.Add(7 * time.Second)
		if next := p.client.Tick(p.now); !next.After(p.now) {
			t.Fatalf("next at %v, it is %v", next, p.now)
		}
		p.server.Tick(p.now)
		p.run()
	}
	if p.server.Done() || p.client.Done() {
		t.Fatalf("%q %q", p.client.log, p.server.log)
	}
	p.now = p.now.Add(31 * time.Second)
	p.server.Tick(p.now)
	p.run()
	p.client.has(t, "close amqp:resource-limit-exceeded")
	if !p.server.Done() {
		t.Error("the server waits")
	}
}

func TestRefusedOpen(t *testing.T) {
	t.Parallel()
	p := newPair(Config{ContainerID: "twice"}, Config{})
	p.server.open = func(*Open) *Error {
		e := NewError(CondInvalidField, "in use")
		e.Info.Put("invalid-field", SymbolValue("container-id"))
		return e
	}
	p.run()
	p.client.has(t, "open server")
	p.client.has(t, "close amqp:invalid-field")
	if p.client.Remote().Properties.Get("amqp:connection-establishment-failed").Num != 1 || !p.server.Done() {
		t.Errorf("%+v", p.client.Remote())
	}
}

// raw is a server that is fed with frames by hand.
func raw(t *testing.T) *pair {
	t.Helper()
	p := newPair(Config{}, Config{MaxMessageSize: 1000, IncomingWindow: 8})
	s := p.session(t)
	attach(t, s, &Attach{Name: "out"})
	in := attach(t, s, &Attach{Name: "in", Role: true})
	p.run()
	in.Grant(5, false)
	p.run()
	return p
}

func TestHostileFramesGetTheirCondition(t *testing.T) {
	t.Parallel()
	tr := func(id uint32) *Transfer {
		return &Transfer{DeliveryID: Some(id), DeliveryTag: []byte{1}}
	}
	long := tr(0)
	long.DeliveryTag = make([]byte, 33)
	format := tr(0)
	format.MessageFormat = Some[uint32](1)
	for _, c := range []struct {
		name    string
		frames  []Composite
		payload int
		want    string
	}{
		{"second open", []Composite{&Open{ContainerID: "x"}}, 0, "close amqp:illegal-state"},
		{"second begin", []Composite{&Begin{}}, 0, "close amqp:not-allowed"},
		{"begin that answers nothing", nil, -1, "close amqp:invalid-field"},
		{"SASL frame", []Composite{&SASLInit{Mechanism: "PLAIN"}}, 0, "close amqp:not-implemented"},
		{"handle in use", []Composite{&Attach{Name: "n", Handle: 0, Role: true}}, 0, "end amqp:session:handle-in-use"},
		{"handle too high", []Composite{&Attach{Name: "n", Handle: 1 << 20, Role: true}}, 0, "close amqp:connection:framing-error"},
		{"flow of nothing", []Composite{&Flow{Handle: Some[uint32](9)}}, 0, "end amqp:session:unattached-handle"},
		{"transfer of nothing", []Composite{&Transfer{Handle: 9}}, 0, "end amqp:session:unattached-handle"},
		{"detach of nothing", []Composite{&Detach{Handle: 9}}, 0, "end amqp:session:unattached-handle"},
		{"transfer to a sender", []Composite{&Transfer{Handle: 1}}, 0, "end amqp:session:errant-link"},
		{"transfer without id", []Composite{&Transfer{}}, 0, "detach out true amqp:invalid-field"},
		{"long tag", []Composite{long}, 0, "detach out true amqp:invalid-field"},
		{"format", []Composite{format}, 0, "detach out true amqp:not-implemented"},
		{"size", []Composite{tr(0)}, 1001, "detach out true amqp:link:message-size-exceeded"},
		{"id twice", []Composite{tr(0), tr(0)}, 0, "end amqp:invalid-field"},
		{"message inside another", []Composite{
			&Transfer{DeliveryID: Some[uint32](0), DeliveryTag: []byte{1}, More: true}, tr(1),
		}, 0, "detach out true amqp:not-allowed"},
		{"disposition backwards", []Composite{&Disposition{Role: true, First: 5, Last: Some[uint32](4)}}, 0, "end amqp:invalid-field"},
	} {
		p := raw(t)
		if c.payload < 0 {
			p.client.send(5, &Begin{RemoteChannel: Some[uint16](77)})
		}
		for _, f := range c.frames {
			out, at := beginFrame(p.client.out, frameAMQP, 0)
			out = append(f.AppendTo(out), make([]byte, max(c.payload, 0))...)
			p.client.out = endFrame(out, at)
		}
		p.run()
		if !strings.Contains(strings.Join(p.server.log, "|"), c.want) {
			t.Errorf("%s: %q", c.name, p.server.log)
		}
		if !strings.Contains(strings.Join(p.client.log, "|"), c.want) {
			t.Errorf("%s: the client was told %q", c.name, p.client.log)
		}
	}
}

func TestSenderWithoutDeliveryCountIsRefused(t *testing.T) {
	t.Parallel()
	p := newPair(Config{}, Config{})
	s := p.session(t)
	l, err := s.newLink("n", true)
	if err != nil {
		t.Fatal(err)
	}
	l.sentAttach = true
	s.send(&Attach{Name: "n", Handle: l.handle})
	p.run()
	p.client.has(t, "detach n true amqp:invalid-field")
	if s.ended || p.server.links != 0 {
		t.Errorf("%q", p.server.log)
	}
}

func TestCreditOverrunDetachesThatLinkOnly(t *testing.T) {
	t.Parallel()
	p := newPair(Config{}, Config{})
	p.server.attach = func(l *Link) {
		l.Accept(l.Remote.Source, l.Remote.Target, nil, Value{})
		l.Grant(2, false)
	}
	s := p.session(t)
	l, other := attach(t, s, &Attach{Name: "out"}), attach(t, s, &Attach{Name: "other"})
	p.run()
	l.credit = 3 // a peer that cheats
	for range 3 {
		if _, err := l.Send(nil, []byte("m"), false, nil); err != nil {
			t.Fatal(err)
		}
	}
	p.run()
	p.client.has(t, "detach out true amqp:link:transfer-limit-exceeded")
	if len(p.server.got) != 2 || !other.Attached() || p.server.Done() {
		t.Errorf("%d came; %q", len(p.server.got), p.server.log)
	}
}

func TestTransferAfterOurDetachIsIgnored(t *testing.T) {
	t.Parallel()
	p := newPair(Config{}, Config{})
	l := attach(t, p.session(t), &Attach{Name: "out"})
	p.run()
	serverLink(p, "out").Detach(true, NewError(CondResourceDeleted, "gone"))
	if _, err := l.Send(nil, []byte("m"), false, nil); err != nil {
		t.Fatal(err)
	}
	p.run()
	p.client.has(t, "detach out true amqp:resource-deleted")
	if len(p.server.got) != 0 || len(p.server.Sessions()[0].Links()) != 0 {
		t.Errorf("%q", p.server.log)
	}
	// the name is free again
	attach(t, l.Session, &Attach{Name: "out"})
	p.run()
	if serverLink(p, "out") == nil {
		t.Error("not attached again")
	}
}

func TestAbortedMessagesLeaveNothing(t *testing.T) {
	t.Parallel()
	p := raw(t)
	for _, f := range []*Transfer{
		{DeliveryID: Some[uint32](0), DeliveryTag: []byte{1}, More: true},
		{Aborted: true},
		{DeliveryID: Some[uint32](1), DeliveryTag: []byte{2}},
	} {
		out, at := beginFrame(p.client.out, frameAMQP, 0)
		p.client.out = endFrame(append(f.AppendTo(out), "abc"...), at)
	}
	p.run()
	if len(p.server.got) != 1 || string(p.server.got[0].Payload) != "abc" || p.server.partial != 0 {
		t.Errorf("%q, %d bytes kept", p.server.log, p.server.partial)
	}
}

func TestFramesOfWrongSize(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"7 bytes":        {0, 0, 0, 7, 2, 0, 0, 0},
		"4 GiB":          {0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0},
		"doff 1":         {0, 0, 0, 8, 1, 0, 0, 0},
		"doff past size": {0, 0, 0, 8, 3, 0, 0, 0},
		"type 2":         {0, 0, 0, 9, 2, 2, 0, 0, 0x40},
	} {
		p := raw(t)
		p.client.out = append(p.client.out, b...)
		p.run()
		if !strings.Contains(strings.Join(p.client.log, "|"), "close amqp:connection:framing-error") {
			t.Errorf("%s: %q", name, p.client.log)
		}
	}
}

func TestWrongProtocolIsAnsweredWithTheRightOne(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"AMQP\x00\x00\x09\x01": headerAMQP, "GET / HT": headerAMQP, headerSASL: headerAMQP, headerTLS: headerAMQP} {
		e := &end{}
		e.Conn = New(Config{}, e, start)
		if err := e.Receive(start, []byte(in)); err == nil || string(e.Output(nil)) != want || !e.Done() {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestClosingIsBounded(t *testing.T) {
	t.Parallel()
	p := newPair(Config{}, Config{})
	p.run()
	p.server.Conn.Close(nil)
	p.server.Output(nil) // lost
	if next := p.server.Tick(start); !next.Equal(start.Add(closeWait)) || p.server.Done() {
		t.Errorf("next %v", next)
	}
	if p.server.Tick(start.Add(closeWait)); !p.server.Done() {
		t.Error("it waits for ever")
	}
}

func FuzzConn(f *testing.F) {
	seed := func(frames ...Composite) {
		b := []byte(headerAMQP)
		for _, c := range frames {
			b = appendFrame(b, frameAMQP, 0, c)
		}
		f.Add(b)
	}
	open, begin := &Open{ContainerID: "c", MaxFrameSize: 1 << 20, ChannelMax: 9}, &Begin{IncomingWindow: 9, HandleMax: 9}
	out := &Attach{Name: "o", Source: &Source{}, Target: &Target{}, InitialDeliveryCount: Some[uint32](0)}
	in := &Attach{Name: "i", Handle: 1, Role: true, Source: &Source{}, Target: &Target{}}
	seed(open, begin, out, in, &Transfer{DeliveryID: Some[uint32](0), DeliveryTag: []byte{1}}, &Flow{Handle: Some[uint32](1), LinkCredit: Some[uint32](5), Drain: true},
		&Disposition{Role: true, First: 0, Last: Some[uint32](1 << 31), Settled: true, State: &Accepted{}}, &Detach{Handle: 0, Closed: true}, &End{}, &Close{})
	f.Fuzz(func(t *testing.T, b []byte) {
		e := &end{}
		e.attach = func(l *Link) {
			l.Accept(l.Remote.Source, l.Remote.Target, nil, Value{})
			l.Grant(10, false)
		}
		e.message = func(d *Delivery) { d.Dispose(&Accepted{}, true) }
		e.flow = func(l *Link) {
			for i := 0; l.Sender && l.Credit() > 0 && i < 3; i++ {
				if _, err := l.Send([]byte{1}, []byte("payload"), i == 0, nil); err != nil {
					return
				}
			}
			l.Drained()
		}
		e.Conn = New(Config{MaxMessageSize: 4096}, e, start)
		_ = e.Receive(start, b)
		// What is answered is frames.
		o := e.Output(nil)
		if len(o) < 8 {
			return
		}
		for o = o[8:]; len(o) > 0; {
			fr, rest, ok, err := cutFrame(o, 1<<31-1)
			if err != nil || !ok {
				t.Fatalf("bad output: %v", err)
			}
			if len(fr.body) > 0 {
				if _, err := NewReader(fr.body).Composite(); err != nil {
					t.Fatal(err)
				}
			}
			o = rest
		}
		e.Tick(start.Add(time.Hour))
	})
}
