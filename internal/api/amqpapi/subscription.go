package amqpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/api/amqpapi/amqp10"
	"github.com/cometmq/cometmq/internal/mq"
)

// Prefixes of the groups of subscriptions to JMS topics. Those that end with their last link are looked for when the door begins to serve:
// after a crash they would stay.
const (
	subscriptionGroup = "JMS_SUB_"
	volatileGroup     = "JMS_TEMP_SUB_"
)

// subscription is what a link that receives from a JMS topic belongs to. It is a group, whose name says all of it: first what the
// subscription is called, then what it wants. So one that is called the same and wants something else takes its place, as JMS has it.
type subscription struct {
	called  string // prefix of the names of the groups
	group   string
	durable bool
	shared  bool
}

// subscriptionOf is that of a link. name is the link's: Qpid JMS numbers the links of a shared subscription behind a |.
func subscriptionOf(container, name string, src *amqp10.Source, topic, selector string) subscription {
	s := subscription{durable: src.Durable > 0 || src.ExpiryPolicy == "never", shared: slices.Contains(src.Capabilities, "shared")}
	if s.shared {
		name, _, _ = strings.Cut(name, "|")
	}
	prefix := volatileGroup
	if s.durable {
		prefix = subscriptionGroup
	}
	s.called = prefix + calledHash(container, name, slices.Contains(src.Capabilities, "global"))
	s.group = s.called + hash("wants", topic, selector)[:16]
	return s
}

func calledHash(container, name string, global bool) string {
	if global {
		return hash("global", "", name)[:24] + "_"
	}
	return hash("of", container, name)[:24] + "_"
}

// hash makes a part of a group's name.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write([]byte(p))
		_, _ = h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// errLocked becomes the condition amqp:resource-locked.
var errLocked = errors.New("the subscription is in use by another link")

// inUse is how long a link waits for another one that uses its subscription: it is gone mostly, but its worker, or its Close, is not through.
const (
	inUse     = 3 * time.Second
	inUseEach = 5 * time.Millisecond
)

// join makes o read a subscription.
func (o *outgoing) join(src *amqp10.Source) error {
	o.sub = subscriptionOf(o.c.container, o.link.Name, src, o.place.topic, o.wants.String())
	for end := time.Now().Add(inUse); ; {
		err := o.joinNow()
		if !errors.Is(err, errLocked) || time.Now().After(end) {
			return err
		}
		select {
		case <-o.c.ctx.Done():
			return err
		case <-time.After(inUseEach):
		}
	}
}

func (o *outgoing) joinNow() error {
	c := o.c
	c.s.turn <- struct{}{}
	defer func() { <-c.s.turn }()
	if err := c.subscribe(o.sub, o.place.topic); err != nil {
		return err
	}
	o.place.group = o.sub.group
	o.feed = c.s.feed(o.place.topic, o.place.group)
	return nil
}

// subscribe makes the group of a subscription, which begins behind what is in the topic now, unless it is there already.
func (c *conn) subscribe(s subscription, topic string) error {
	if c.s.active(s.called, s.group, s.shared) {
		return errLocked
	}
	a := c.s.o.Admin
	names, err := c.s.groups(c.ctx, s.called)
	if err == nil && !slices.Contains(names, s.group) {
		if err = c.s.unsubscribe(c.ctx, s.called); err == nil {
			err = a.PutGroup(c.ctx, mq.DefaultGroupConfig(s.group))
		}
	}
	if err != nil {
		return err
	}
	t, err := a.Topic(c.ctx, topic)
	if err != nil {
		return err
	}
	c.s.catchUp(c.ctx, topic)
	for id := range t.ReadQueues {
		if err := c.begin(s.group, topic, id); err != nil {
			return err
		}
	}
	return nil
}

// begin lets a group that has no position in a queue begin behind what is there.
func (c *conn) begin(group, topic string, queue int32) error {
	svc := c.s.o.Service
	_, err := svc.QueryIndex(c.ctx, group, topic, queue, false)
	if err == nil || mq.KindOf(err) != mq.KindQueryNotFound {
		return err
	}
	at, err := svc.MaxIndex(c.ctx, topic, queue)
	if err != nil {
		return err
	}
	return svc.CommitIndex(c.ctx, group, topic, queue, at)
}

// active reports whether links use a subscription. Links of a shared one may come; what they want is what its others want.
func (s *Server) active(called, group string, shared bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, f := range s.feeds {
		if f.refs > 0 && strings.HasPrefix(k.group, called) && (!shared || k.group != group) {
			return true
		}
	}
	return false
}

// unsubscribe deletes the groups of what is called so. It is no error when there are none.
func (s *Server) unsubscribe(ctx context.Context, called string) error {
	list, err := s.groups(ctx, called)
	for _, name := range list {
		if err == nil {
			err = s.o.Admin.DeleteGroup(ctx, name, true)
		}
	}
	return err
}

func (s *Server) groups(ctx context.Context, prefix string) ([]string, error) {
	all, _, err := s.o.Admin.Groups(ctx)
	var list []string
	for i := range all {
		if strings.HasPrefix(all[i].Name, prefix) {
			list = append(list, all[i].Name)
		}
	}
	return list, err
}

// ended deletes a subscription that a link has left: for ever, or because it was the last of one that is not durable.
func (s *Server) ended(ctx context.Context, sub subscription, forEver bool) {
	if sub.durable && !forEver {
		return
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.active(sub.called, "", false) {
		return
	}
	if err := s.unsubscribe(ctx, sub.called); err != nil {
		s.o.Log.Warn("the group of a subscription is left", "group", sub.group, "err", err)
	}
}

// unsubscriber is a link by which a client ends a durable subscription: it is attached without a source, and then closed.
type unsubscriber struct{ called string }

// attachUnsubscriber answers such a link.
func (c *conn) attachUnsubscriber(l *amqp10.Link) error {
	name, _, _ := strings.Cut(l.Name, "|")
	called := subscriptionGroup + calledHash(c.container, name, slices.Contains(l.Remote.DesiredCapabilities, "global"))
	list, err := c.s.groups(c.ctx, called)
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return mq.Errorf(mq.KindTopicNotExist, "there is no subscription %s", name)
	case c.s.active(called, "", false):
		return errLocked
	}
	c.run.Do(func(*amqp10.Conn) {
		l.User = &unsubscriber{called}
		l.Accept(&amqp10.Source{Durable: 2, ExpiryPolicy: "never"}, l.Remote.Target, nil, amqp10.Value{})
	})
	return nil
}
