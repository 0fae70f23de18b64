package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

const amqpAddr = "127.0.0.1:5672"

// amqpWorld is a broker with the door for AMQP.
func amqpWorld(t *testing.T, set map[string]string) (*world, *Node) {
	t.Helper()
	w := newWorld(t)
	flags := map[string]string{"enableAmqp": "true"}
	maps.Copy(flags, set)
	n := w.start(w.options(flags))
	t.Cleanup(func() { must(t, n.Shutdown(context.WithoutCancel(t.Context()))) })
	return w, n
}

// amqpClient is a client of Azure's with one session.
type amqpClient struct {
	t    *testing.T
	ctx  context.Context
	conn *amqp.Conn
	net  net.Conn
	s    *amqp.Session
}

func (w *world) amqpConn(ctx context.Context, o *amqp.ConnOptions) (*amqp.Conn, net.Conn, error) {
	nc, err := w.net.Dial(ctx, "tcp", amqpAddr)
	if err != nil {
		return nil, nil, err
	}
	c, err := amqp.NewConn(ctx, nc, o)
	if err != nil {
		_ = nc.Close()
	}
	return c, nc, err
}

func (w *world) amqpClient(t *testing.T, o *amqp.ConnOptions) *amqpClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	conn, nc, err := w.amqpConn(ctx, o)
	must(t, err)
	c := &amqpClient{t: t, ctx: ctx, conn: conn, net: nc}
	c.s, err = conn.NewSession(ctx, nil)
	must(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
	})
	return c
}

func (c *amqpClient) sender(address string) *amqp.Sender {
	c.t.Helper()
	s, err := c.s.NewSender(c.ctx, address, nil)
	must(c.t, err)
	return s
}

func (c *amqpClient) receiver(address string, credit int32) *amqp.Receiver {
	c.t.Helper()
	r, err := c.s.NewReceiver(c.ctx, address, &amqp.ReceiverOptions{Credit: credit})
	must(c.t, err)
	return r
}

func (c *amqpClient) send(s *amqp.Sender, texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		must(c.t, s.Send(c.ctx, amqp.NewMessage([]byte(text)), nil))
	}
}

// get receives a message with this body.
func (c *amqpClient) get(r *amqp.Receiver, want string) *amqp.Message {
	c.t.Helper()
	m, err := r.Receive(c.ctx, nil)
	if err != nil {
		c.t.Fatalf("instead of %q: %v", want, err)
	}
	if got := string(m.GetData()); got != want {
		c.t.Fatalf("got %q, want %q", got[:min(len(got), 80)], want[:min(len(want), 80)])
	}
	return m
}

func (c *amqpClient) close(r interface{ Close(context.Context) error }) {
	c.t.Helper()
	must(c.t, r.Close(c.ctx))
}

func deliveries(m *amqp.Message) uint32 {
	if m.Header == nil {
		return 0
	}
	return m.Header.DeliveryCount
}

func TestAMQPQueue(t *testing.T) {
	t.Parallel()
	w, _ := amqpWorld(t, nil)
	c := w.amqpClient(t, nil)
	r := c.receiver("orders.in", 10) // before there is any message, and the topic
	s := c.sender("orders.in")
	var all []string
	for i := range 100 {
		all = append(all, fmt.Sprintf("message %d", i))
	}
	c.send(s, all...)
	for _, text := range all {
		m := c.get(r, text)
		if deliveries(m) != 0 {
			t.Errorf("%s was delivered %d times before", text, deliveries(m))
		}
		must(t, r.AcceptMessage(c.ctx, m))
	}
	c.close(r)
	c.close(s)
	// What was accepted does not come again, and what others send later does.
	d := w.amqpClient(t, nil)
	c.send(c.sender("/queues/orders.in"), "later")
	r2 := d.receiver("orders.in", 10)
	must(t, r2.AcceptMessage(d.ctx, d.get(r2, "later")))
}

func TestAMQPOutcomes(t *testing.T) {
	t.Parallel()
	w, _ := amqpWorld(t, nil)
	c := w.amqpClient(t, nil)
	c.send(c.sender("q"), "m")
	r := c.receiver("q", 1)
	m := c.get(r, "m")
	must(t, r.ReleaseMessage(c.ctx, m))
	m = c.get(r, "m")
	if deliveries(m) != 0 {
		t.Errorf("a released message counts as delivered %d times", deliveries(m))
	}
	must(t, r.ModifyMessage(c.ctx, m, &amqp.ModifyMessageOptions{DeliveryFailed: true}))
	m = c.get(r, "m")
	if deliveries(m) != 1 {
		t.Errorf("a message that failed counts as delivered %d times", deliveries(m))
	}
	must(t, r.RejectMessage(c.ctx, m, nil))
	dead := c.receiver("%DLQ%JMS_QUEUE_q", 1)
	must(t, dead.AcceptMessage(c.ctx, c.get(dead, "m")))
	c.send(c.sender("q"), "n")
	m = c.get(r, "n") // and not the rejected one
	must(t, r.AcceptMessage(c.ctx, m))
}

func TestAMQPMessageThatAlwaysFailsIsADeadLetter(t *testing.T) {
	t.Parallel()
	w, n := amqpWorld(t, nil)
	g := mq.DefaultGroupConfig("JMS_QUEUE_q")
	g.RetryMaxTimes = 2
	must(t, n.broker.now().core.PutGroup(t.Context(), g))
	c := w.amqpClient(t, nil)
	c.send(c.sender("q"), "bad")
	r := c.receiver("q", 1)
	for i := range uint32(3) {
		m := c.get(r, "bad")
		if deliveries(m) != i {
			t.Errorf("delivery %d says that there were %d before", i, deliveries(m))
		}
		must(t, r.ModifyMessage(c.ctx, m, &amqp.ModifyMessageOptions{DeliveryFailed: true}))
	}
	dead := c.receiver("%DLQ%JMS_QUEUE_q", 1)
	c.get(dead, "bad")
	c.send(c.sender("q"), "good")
	c.get(r, "good")
}

func TestAMQPLargeMessage(t *testing.T) {
	t.Parallel()
	w, _ := amqpWorld(t, map[string]string{"mappedFileSizeCommitLog": "16777216"})
	c := w.amqpClient(t, &amqp.ConnOptions{MaxFrameSize: 64 << 10})
	large := strings.Repeat("0123456789abcdef", 3<<20/16)
	s := c.sender("q")
	c.send(s, large, "small")
	r := c.receiver("q", 2)
	for _, text := range []string{large, "small"} {
		must(t, r.AcceptMessage(c.ctx, c.get(r, text)))
	}
	err := s.Send(c.ctx, amqp.NewMessage(bytes.Repeat([]byte("x"), 4<<20+1)), nil)
	if err == nil {
		t.Error("a message that is too large is taken")
	}
}

func TestAMQPDrain(t *testing.T) {
	t.Parallel()
	w, _ := amqpWorld(t, nil)
	c := w.amqpClient(t, nil)
	c.send(c.sender("q"), "one", "two")
	r, err := c.s.NewReceiver(c.ctx, "q", &amqp.ReceiverOptions{Credit: -1})
	must(t, err)
	must(t, r.IssueCredit(5))
	must(t, r.AcceptMessage(c.ctx, c.get(r, "one"))) // the client drains at once what it has not asked for yet
	must(t, r.DrainCredit(c.ctx, nil))
	m := r.Prefetched()
	if m == nil || string(m.GetData()) != "two" {
		t.Fatalf("after the drain %v is there", m)
	}
	must(t, r.AcceptMessage(c.ctx, m))
	// What is left of the credit is gone, and with new credit it goes on.
	c.send(c.sender("q"), "three", "four")
	must(t, r.IssueCredit(1))
	must(t, r.AcceptMessage(c.ctx, c.get(r, "three")))
	must(t, r.DrainCredit(c.ctx, nil))
	if m := r.Prefetched(); m != nil {
		t.Errorf("without credit %s came", m.GetData())
	}
}

func TestAMQPMessagesOfALostClientComeAgainAtOnce(t *testing.T) {
	t.Parallel()
	w, _ := amqpWorld(t, nil)
	a, b := w.amqpClient(t, nil), w.amqpClient(t, nil)
	b.send(b.sender("q"), "one", "two", "three")
	r := a.receiver("q", 3)
	for _, text := range []string{"one", "two", "three"} {
		a.get(r, text)
	}
	other := b.receiver("q", 3)
	began := time.Now()
	must(t, a.net.Close())
	for _, text := range []string{"one", "two", "three"} {
		m := b.get(other, text)
		if deliveries(m) != 1 {
			t.Errorf("%s counts as delivered %d times", text, deliveries(m))
		}
		must(t, other.AcceptMessage(b.ctx, m))
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestAMQPSharesAQueue(t *testing.T) {
	t.Parallel()
	w, _ := amqpWorld(t, nil)
	c := w.amqpClient(t, nil)
	const many = 200
	got := make(chan string, many)
	for range 4 {
		d := w.amqpClient(t, nil)
		r := d.receiver("q", 5)
		go func() {
			for {
				m, err := r.Receive(d.ctx, nil)
				if err != nil {
					return
				}
				if r.AcceptMessage(d.ctx, m) != nil {
					return
				}
				got <- string(m.GetData())
			}
		}()
	}
	s := c.sender("q")
	seen := map[string]bool{}
	for i := range many {
		c.send(s, fmt.Sprint(i))
	}
	for range many {
		select {
		case m := <-got:
			if seen[m] {
				t.Errorf("message %s came twice", m)
			}
			seen[m] = true
		case <-c.ctx.Done():
			t.Fatalf("%d of %d have come", len(seen), many)
		}
	}
}

func TestAMQPAndOtherClients(t *testing.T) {
	t.Parallel()
	w, n := amqpWorld(t, nil)
	core := n.broker.now().core
	must(t, core.PutTopic(t.Context(), mq.TopicConfig{Name: "shared", ReadQueues: 1, WriteQueues: 1, Perm: mq.PermRead | mq.PermWrite}))
	c := w.amqpClient(t, nil)
	r := c.receiver("shared", 1)
	done := make(chan mq.SendStatus, 1)
	b := mq.SendBatch{
		Requests: []mq.SendRequest{{
			Topic: "shared", Body: []byte("of Java"), MaxReconsume: -1,
			Props: record.AppendProp(record.AppendProp(nil, "color", "red"), record.PropTags, "tag"),
		}},
		Done: func(_ *mq.SendBatch, st mq.SendStatus) { done <- st },
	}
	if core.Send(t.Context(), &b) {
		<-done
	}
	if b.Results[0].Err != nil {
		t.Fatal(b.Results[0].Err)
	}
	m := c.get(r, "of Java")
	if m.ApplicationProperties["color"] != "red" || m.Properties.Subject == nil || *m.Properties.Subject != "tag" {
		t.Errorf("properties %v, subject %v", m.ApplicationProperties, m.Properties.Subject)
	}
	must(t, r.AcceptMessage(c.ctx, m))

	out := amqp.NewMessage([]byte("of AMQP"))
	out.ApplicationProperties = map[string]any{"size": int32(7)}
	must(t, c.sender("shared").Send(c.ctx, out, nil))
	if at, err := core.MaxIndex(t.Context(), "shared", 0); at != 2 { // and the message is in its queue
		t.Fatalf("the queue ends at %d, %v", at, err)
	}
	f, err := core.Pull(t.Context(), &mq.PullRequest{
		Group: "java", Topic: "shared", From: 1, MaxMessages: 1, HasExpression: true, Expression: "*",
	}, nil)
	must(t, err)
	var s record.Message
	if _, err := record.Decode(f.Records, &s, true); err != nil {
		t.Fatalf("%v: %v", f.Status, err)
	}
	if size, _ := s.Props.Get("size"); string(s.Body) != "of AMQP" || string(size) != "7" {
		t.Errorf("body %q, properties %q", s.Body, s.Props)
	}
}

func TestAMQPRefusals(t *testing.T) {
	t.Parallel()
	w, n := amqpWorld(t, map[string]string{"autoCreateTopicEnable": "false"})
	c := w.amqpClient(t, nil)
	condition := func(err error) string {
		if e, ok := errors.AsType[*amqp.LinkError](err); ok && e.RemoteErr != nil {
			return string(e.RemoteErr.Condition)
		}
		if e, ok := errors.AsType[*amqp.Error](err); ok {
			return string(e.Condition)
		}
		return fmt.Sprint(err)
	}
	if _, err := c.s.NewSender(c.ctx, "nothing", nil); condition(err) != "amqp:not-found" {
		t.Errorf("a sender to an unknown address: %v", err)
	}
	if _, err := c.s.NewReceiver(c.ctx, "nothing", nil); condition(err) != "amqp:not-found" {
		t.Errorf("a receiver of an unknown address: %v", err)
	}
	must(t, n.broker.now().core.PutTopic(t.Context(), mq.TopicConfig{Name: "t", ReadQueues: 1, WriteQueues: 1, Perm: 6}))
	for selector, want := range map[string]string{"a = 1": "amqp:not-implemented", "a = ": "amqp:invalid-field"} {
		if _, err := c.s.NewReceiver(c.ctx, "t", &amqp.ReceiverOptions{Filters: selectorFilter(selector)}); condition(err) != want {
			t.Errorf("a queue with the selector %s: %v", selector, err)
		}
	}
	if _, err := w.amqpClient(t, nil).s.NewSender(c.ctx, "nothing", nil); err == nil {
		t.Error("still unknown")
	}
}

func TestAMQPLogin(t *testing.T) {
	t.Parallel()
	w, _ := amqpWorld(t, map[string]string{
		"authenticationEnabled": "true", "authorizationEnabled": "true",
		"initAuthenticationUser":               `{"username":"root","password":"secret12"}`,
		"innerClientAuthenticationCredentials": `{"accessKey":"root","secretKey":"secret12"}`,
	})
	c := w.amqpClient(t, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain("root", "secret12")})
	c.send(c.sender("q"), "m")
	c.get(c.receiver("q", 1), "m")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, sasl := range []amqp.SASLType{amqp.SASLTypePlain("root", "wrong"), amqp.SASLTypePlain("nobody", ""), amqp.SASLTypeAnonymous(), nil} {
		if conn, _, err := w.amqpConn(ctx, &amqp.ConnOptions{SASLType: sasl}); err == nil {
			_ = conn.Close()
			t.Errorf("%v is let in", sasl)
		}
	}
}

func TestAMQPPermissions(t *testing.T) {
	t.Parallel()
	w, n := amqpWorld(t, map[string]string{
		"authenticationEnabled": "true", "authorizationEnabled": "true",
		"initAuthenticationUser":               `{"username":"root","password":"secret12"}`,
		"innerClientAuthenticationCredentials": `{"accessKey":"root","secretKey":"secret12"}`,
	})
	g := n.broker.access.users()
	must(t, g.CreateUser(auth.By{}, &protocol.UserInfo{Username: "ann", Password: "secret12"}))
	must(t, g.PutACL(auth.By{}, "User:ann", &protocol.ACLInfo{Subject: "User:ann", Policies: []protocol.PolicyInfo{{
		Entries: []protocol.PolicyEntryInfo{{Resource: "Topic:mine", Actions: []string{"Pub"}, Decision: "Allow"}},
	}}}))
	c := w.amqpClient(t, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain("ann", "secret12")})
	c.send(c.sender("mine"), "m")
	for _, err := range []error{
		func() error { _, err := c.s.NewSender(c.ctx, "other", nil); return err }(),
		func() error { _, err := c.s.NewReceiver(c.ctx, "mine", nil); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "amqp:unauthorized-access") {
			t.Errorf("want unauthorized-access: %v", err)
		}
	}
}

func TestAMQPOfASlaveIsClosed(t *testing.T) {
	t.Parallel()
	w, n := amqpWorld(t, nil)
	c := w.amqpClient(t, nil)
	c.send(c.sender("q"), "before")
	must(t, n.Become(t.Context(), Role{Kind: Slave, ID: 1, MasterHA: "127.0.0.1:1"}))
	<-c.conn.Done()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if conn, _, err := w.amqpConn(ctx, nil); err == nil {
		_ = conn.Close()
		t.Error("a slave takes AMQP clients")
	}
	must(t, n.Become(t.Context(), Role{Kind: Master}))
	d := w.amqpClient(t, nil)
	d.get(d.receiver("q", 1), "before")
}

func TestWithoutAMQPThereIsNoPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.start(w.options(nil))
	defer func() { must(t, n.Shutdown(context.WithoutCancel(t.Context()))) }()
	if _, err := w.net.Dial(t.Context(), "tcp", amqpAddr); err == nil || n.AMQPAddr() != "" {
		t.Errorf("address %q, %v", n.AMQPAddr(), err)
	}
}

func selectorFilter(text string) []amqp.LinkFilter {
	return []amqp.LinkFilter{amqp.NewSelectorFilter(text)}
}

func (c *amqpClient) none(r *amqp.Receiver) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, 50*time.Millisecond)
	defer cancel()
	if m, err := r.Receive(ctx, nil); err == nil {
		c.t.Errorf("got %q", m.GetData())
	}
}

func TestAMQPTopic(t *testing.T) {
	t.Parallel()
	w, n := amqpWorld(t, nil)
	c := w.amqpClient(t, nil)
	s := c.sender("/topics/news")
	c.send(s, "before")
	var rs []*amqp.Receiver
	for range 2 {
		rs = append(rs, c.receiver("/topics/news", 10))
	}
	c.send(s, "one", "two")
	for _, r := range rs {
		for _, text := range []string{"one", "two"} {
			must(t, r.AcceptMessage(c.ctx, c.get(r, text)))
		}
	}
	c.close(rs[0])
	c.send(s, "three")
	must(t, rs[1].AcceptMessage(c.ctx, c.get(rs[1], "three")))
	again := c.receiver("/topics/news", 10)
	c.send(s, "four")
	must(t, again.AcceptMessage(c.ctx, c.get(again, "four"))) // and not three
	// Their groups go with them.
	c.close(again)
	c.close(rs[1])
	eventually(t, func() bool { return len(groupsOf(t, n, "JMS_TEMP_SUB_")) == 0 })
}

func TestAMQPDurableSubscription(t *testing.T) {
	t.Parallel()
	w, n := amqpWorld(t, nil)
	durable := &amqp.ReceiverOptions{Name: "sub", SourceDurability: amqp.DurabilityUnsettledState, SourceExpiryPolicy: amqp.ExpiryPolicyNever, Credit: 10}
	c := w.amqpClient(t, &amqp.ConnOptions{ContainerID: "me"})
	r, err := c.s.NewReceiver(c.ctx, "/topics/news", durable)
	must(t, err)
	p := w.amqpClient(t, nil)
	s := p.sender("/topics/news")
	p.send(s, "one")
	must(t, r.AcceptMessage(c.ctx, c.get(r, "one")))
	must(t, c.conn.Close())
	p.send(s, "two")
	// Another client with a subscription of the same name has its own.
	other := w.amqpClient(t, &amqp.ConnOptions{ContainerID: "you"})
	o, err := other.s.NewReceiver(other.ctx, "/topics/news", durable)
	must(t, err)
	p.send(s, "three")
	must(t, o.AcceptMessage(other.ctx, other.get(o, "three")))

	d := w.amqpClient(t, &amqp.ConnOptions{ContainerID: "me"})
	eventually(t, func() bool { // this client does not wait for the answer to its Close
		r, err = d.s.NewReceiver(d.ctx, "/topics/news", durable)
		return err == nil || !strings.Contains(err.Error(), "amqp:resource-locked")
	})
	must(t, err)
	for _, text := range []string{"two", "three"} {
		must(t, r.AcceptMessage(d.ctx, d.get(r, text)))
	}
	// A link that is closed, and not only detached, ends its subscription.
	d.close(r)
	eventually(t, func() bool { return len(groupsOf(t, n, "JMS_SUB_")) == 1 })
}

func TestAMQPSelectorOfATopic(t *testing.T) {
	t.Parallel()
	w, _ := amqpWorld(t, nil)
	c := w.amqpClient(t, nil)
	r, err := c.s.NewReceiver(c.ctx, "/topics/news", &amqp.ReceiverOptions{Credit: 10, Filters: selectorFilter("size > 3 AND color LIKE 'r%'")})
	must(t, err)
	s := c.sender("/topics/news")
	for i, m := range []map[string]any{
		{"size": int32(3), "color": "red"}, {"size": int64(4), "color": "red"}, {"size": 4.5, "color": "rose"}, {"size": "5", "color": "red"}, {"color": "red"},
	} {
		out := amqp.NewMessage([]byte(fmt.Sprint(i)))
		out.ApplicationProperties = m
		must(t, s.Send(c.ctx, out, nil))
	}
	for _, text := range []string{"1", "2"} {
		must(t, r.AcceptMessage(c.ctx, c.get(r, text)))
	}
	c.none(r)
}

func groupsOf(t *testing.T, n *Node, prefix string) (names []string) {
	t.Helper()
	all, _, err := n.broker.now().core.Groups(t.Context())
	must(t, err)
	for i := range all {
		if strings.HasPrefix(all[i].Name, prefix) {
			names = append(names, all[i].Name)
		}
	}
	return names
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come about")
		}
	}
}
