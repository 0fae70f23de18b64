package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// client5 is of paho.golang.
type client5 struct {
	c    *paho.Client
	conn net.Conn
	in   chan message
	live context.Context // ends with the connection
}

func open5(o options) (client, bool) {
	u, err := url.Parse(o.url)
	check(err)
	c := &client5{in: make(chan message, 100_000)}
	switch u.Scheme {
	case "tcp":
		c.conn, err = net.DialTimeout("tcp", u.Host, patience)
	case "ssl":
		c.conn, err = tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", u.Host, &tls.Config{InsecureSkipVerify: true})
	default:
		err = errors.New("the library has no connections by " + u.Scheme)
	}
	check(err)
	live, lost := context.WithCancel(context.Background())
	c.live = live
	c.c = paho.NewClient(paho.ClientConfig{
		OnClientError: func(error) { lost() }, OnServerDisconnect: func(*paho.Disconnect) { lost() },
		ClientID: o.id, Conn: packets.NewThreadSafeConn(c.conn), PacketTimeout: patience,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
			c.in <- messageOf(r.Packet)
			return true, nil
		}},
	})
	cp := &paho.Connect{ClientID: o.id, KeepAlive: 30, CleanStart: o.clean, Properties: &paho.ConnectProperties{}}
	if !o.clean {
		cp.Properties.SessionExpiryInterval = paho.Uint32(3600)
	}
	if o.willTopic != "" {
		cp.WillMessage = &paho.WillMessage{Topic: o.willTopic, Payload: []byte(o.will), QoS: 1}
		cp.WillProperties = &paho.WillProperties{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ca, err := c.c.Connect(ctx, cp)
	check(err)
	return c, ca.SessionPresent
}

func messageOf(p *paho.Publish) message {
	m := message{topic: p.Topic, payload: string(p.Payload), qos: p.QoS, retained: p.Retain, dup: p.Duplicate(), props: map[string]string{}}
	if p.Properties == nil {
		return m
	}
	m.props["type"], m.props["response"], m.props["correlation"] = p.Properties.ContentType, p.Properties.ResponseTopic, string(p.Properties.CorrelationData)
	for _, u := range p.Properties.User {
		m.props["user."+u.Key] += u.Value + ";"
	}
	if p.Properties.MessageExpiry != nil {
		m.props["expiry"] = fmt.Sprint(*p.Properties.MessageExpiry)
	}
	if p.Properties.SubscriptionIdentifier != nil {
		m.subscription = *p.Properties.SubscriptionIdentifier
	}
	return m
}

func (c *client5) subscribe(filter string, qos byte) {
	c.subscribeWith(&paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: qos}}})
}

func (c *client5) subscribeWith(s *paho.Subscribe) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := c.c.Subscribe(ctx, s)
	check(err)
}

func (c *client5) publish(topic, payload string, qos byte, retain bool) error {
	return c.publishWith(&paho.Publish{Topic: topic, Payload: []byte(payload), QoS: qos, Retain: retain})
}

func (c *client5) publishWith(p *paho.Publish) error {
	ctx, cancel := context.WithTimeout(c.live, patience)
	defer cancel()
	_, err := c.c.Publish(ctx, p)
	return err
}

func (c *client5) disconnect()              { check(c.c.Disconnect(&paho.Disconnect{})) }
func (c *client5) cut() bool                { return c.conn.Close() == nil }
func (c *client5) received() <-chan message { return c.in }

// properties sends what only version 5 has, and sees it come back.
func properties(url, topic string, out map[string]any) {
	a, _ := open5(options{url: url, id: "a5-" + topic, clean: true})
	b, _ := open5(options{url: url, id: "b5-" + topic, clean: true})
	pub, sub := a.(*client5), b.(*client5)
	id := 7
	sub.subscribeWith(&paho.Subscribe{
		Properties:    &paho.SubscribeProperties{SubscriptionIdentifier: &id},
		Subscriptions: []paho.SubscribeOptions{{Topic: topic + "/props", QoS: 1, NoLocal: true, RetainAsPublished: true}},
	})
	check(sub.publish(topic+"/props", "my own", 1, false)) // it does not come back
	user := paho.UserProperties{}
	user.Add("colour", "red")
	user.Add("colour", "blue")
	check(pub.publishWith(&paho.Publish{Topic: topic + "/props", Payload: []byte("x"), QoS: 1, Retain: true, Properties: &paho.PublishProperties{
		ContentType: "text/plain", ResponseTopic: topic + "/answers", CorrelationData: []byte("c1"), User: user, MessageExpiry: paho.Uint32(3600),
	}}))
	m := next(sub)
	same("payload", m.payload, "x")
	same("subscription identifier", m.subscription, 7)
	same("retain as published", m.retained, true)
	same("properties", []string{m.props["type"], m.props["response"], m.props["correlation"], m.props["user.colour"]},
		[]string{"text/plain", topic + "/answers", "c1", "red;blue;"})
	if m.props["expiry"] == "" || m.props["expiry"] > "3600" {
		panic("message expiry " + m.props["expiry"])
	}
	check(pub.publish(topic+"/props", "", 1, true))
	// Topic aliases: the server allows some.
	alias := uint16(1)
	check(pub.publishWith(&paho.Publish{Topic: topic + "/props", Payload: []byte("1"), QoS: 1, Properties: &paho.PublishProperties{TopicAlias: &alias}}))
	check(pub.publishWith(&paho.Publish{Topic: "", Payload: []byte("2"), QoS: 1, Properties: &paho.PublishProperties{TopicAlias: &alias}}))
	for _, want := range []string{"", "1", "2"} {
		m = next(sub)
		same("alias", []string{m.topic, m.payload}, []string{topic + "/props", want})
	}
	pub.disconnect()
	sub.disconnect()
	out["properties"] = true
}
