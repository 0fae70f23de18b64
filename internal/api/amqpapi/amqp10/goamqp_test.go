package amqp10

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

// queueServer is a handler that keeps what it is sent in memory and gives it back: the smallest thing that a client can talk to.
type queueServer struct {
	end
	messages [][]byte
}

func (q *queueServer) serve(l *Link) {
	for l.Sender && l.Attached() && l.Credit() > 0 && len(q.messages) > 0 {
		m := q.messages[0]
		q.messages = q.messages[1:]
		d, err := l.Send([]byte{1}, m, false, nil)
		if err != nil {
			return
		}
		d.User = m
	}
	l.Drained()
}

func (q *queueServer) Attach(l *Link) {
	if src, ok := l.Remote.Source.(*Source); l.Sender && (!ok || src.Address.Text() != "q") {
		l.Refuse(NewError(CondNotFound, "no such queue"))
		return
	}
	l.Accept(l.Remote.Source, l.Remote.Target, nil, Value{})
	l.Grant(10, false)
}

func (q *queueServer) Message(d *Delivery) {
	if bytes.Contains(d.Payload, []byte("poison")) {
		d.Dispose(&Rejected{Error: NewError(CondNotAllowed, "poison")}, true)
		return
	}
	q.messages = append(q.messages, d.Payload)
	d.Dispose(&Accepted{}, true)
	d.Link.Grant(10, false)
	q.all()
}

func (q *queueServer) all() {
	for _, s := range q.Sessions() {
		for _, l := range s.Links() {
			q.serve(l)
		}
	}
}

func (q *queueServer) Flow(l *Link) { q.serve(l) }

func (q *queueServer) Disposition(d *Delivery, st Composite, settled bool) {
	q.end.Disposition(d, st, settled)
	if _, ok := st.(*Released); ok {
		m, _ := d.User.([]byte)
		q.messages = append(q.messages, m)
		q.all()
	}
	if !settled {
		d.Dispose(st, true)
	}
}

// dial runs a server for one connection and connects the client of Azure to it.
func dial(t *testing.T, cfg Config, o *amqp.ConnOptions) (*amqp.Conn, error) {
	t.Helper()
	// Not net.Pipe: the client knows net.ErrClosed only as the end of its own connection.
	network := memnet.New()
	l, err := network.Listen("127.0.0.1:5672")
	if err != nil {
		t.Fatal(err)
	}
	here, err := network.Dial(t.Context(), "tcp", "127.0.0.1:5672")
	if err != nil {
		t.Fatal(err)
	}
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	q := &queueServer{}
	cfg.ContainerID = "server"
	q.Conn = New(cfg, q, time.Now())
	r := NewRunner(q.Conn, there)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = here.Close()
		_ = l.Close()
	})
	return amqp.NewConn(t.Context(), here, o)
}

func TestClientOfAzure(t *testing.T) {
	t.Parallel()
	for _, mech := range []string{"", Plain, Anonymous} {
		cfg, o := Config{MaxFrameSize: 4096, IdleTimeout: time.Minute}, &amqp.ConnOptions{ContainerID: "azure", MaxFrameSize: 1024}
		if mech != "" {
			cfg.Login = &login{mechanisms: []string{Anonymous, Plain}, users: map[string]string{"u": "secret"}}
			o.SASLType = amqp.SASLTypeAnonymous()
		}
		if mech == Plain {
			o.SASLType = amqp.SASLTypePlain("u", "secret")
		}
		c, err := dial(t, cfg, o)
		if err != nil {
			t.Fatalf("%s: %v", mech, err)
		}
		talk(t, c)
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func talk(t *testing.T, c *amqp.Conn) {
	t.Helper()
	ctx := t.Context()
	s, err := c.NewSession(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	snd, err := s.NewSender(ctx, "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	large := []byte(strings.Repeat("large ", 20_000))
	for _, b := range [][]byte{[]byte("one"), large, []byte("three")} {
		m := amqp.NewMessage(b)
		m.Properties = &amqp.MessageProperties{MessageID: "id", Subject: new(string)}
		m.ApplicationProperties = map[string]any{"n": int32(7), "f": 1.5, "t": true, "s": "x", "l": int64(1) << 40}
		if err = snd.Send(ctx, m, nil); err != nil {
			t.Fatal(err)
		}
	}
	err = snd.Send(ctx, amqp.NewMessage([]byte("poison")), nil)
	if e, ok := errors.AsType[*amqp.Error](err); !ok || string(e.Condition) != CondNotAllowed {
		t.Errorf("poison: %v", err)
	}
	rcv, err := s.NewReceiver(ctx, "q", &amqp.ReceiverOptions{Credit: 2, SettlementMode: amqp.ReceiverSettleModeSecond.Ptr()})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]byte{[]byte("one"), large, []byte("three"), []byte("one")} {
		m, err := rcv.Receive(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.GetData(), want) || m.ApplicationProperties["l"] != int64(1)<<40 || m.Properties.MessageID != "id" {
			t.Errorf("message %d: %d bytes, %v", i, len(m.GetData()), m.ApplicationProperties)
		}
		if i == 0 {
			err = rcv.ReleaseMessage(ctx, m)
		} else {
			err = rcv.AcceptMessage(ctx, m)
		}
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if err := rcv.Close(ctx); err != nil {
		t.Errorf("close receiver: %v", err)
	}
	if _, err := s.NewReceiver(ctx, "nothing", nil); err == nil || !strings.Contains(err.Error(), CondNotFound) {
		t.Errorf("unknown address: %v", err)
	}
	if err := s.Close(ctx); err != nil {
		t.Errorf("close session: %v", err)
	}
}

func TestClientOfAzureWithAWrongPassword(t *testing.T) {
	t.Parallel()
	l := &login{mechanisms: []string{Plain}, users: map[string]string{"u": "secret"}}
	if _, err := dial(t, Config{Login: l}, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain("u", "wrong")}); err == nil {
		t.Error("let in")
	}
}
