package main

import (
	"crypto/tls"
	"net"
	"syscall"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// client3 is of paho.mqtt.golang.
type client3 struct {
	c      mqtt.Client
	socket syscall.RawConn
	in     chan message
}

func open31(o options) (client, bool)  { return open3(o, 3) }
func open311(o options) (client, bool) { return open3(o, 4) }

func open3(o options, version uint) (client, bool) {
	c := &client3{in: make(chan message, 100_000)}
	opts := mqtt.NewClientOptions().AddBroker(o.url).SetClientID(o.id).SetCleanSession(o.clean).SetProtocolVersion(version).
		SetAutoReconnect(false).SetConnectTimeout(patience).SetPingTimeout(patience).SetOrderMatters(true).
		SetTLSConfig(&tls.Config{InsecureSkipVerify: true}).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			c.in <- message{topic: m.Topic(), payload: string(m.Payload()), qos: m.Qos(), retained: m.Retained(), dup: m.Duplicate()}
		})
	if o.willTopic != "" {
		opts.SetWill(o.willTopic, o.will, 1, false)
	}
	opts.SetDialer(&net.Dialer{Timeout: patience, Control: func(_, _ string, socket syscall.RawConn) error {
		c.socket = socket
		return nil
	}})
	c.c = mqtt.NewClient(opts)
	token := c.c.Connect().(*mqtt.ConnectToken)
	wait(token)
	return c, token.SessionPresent()
}

func wait(t mqtt.Token) {
	if !t.WaitTimeout(patience) {
		panic("no answer")
	}
	check(t.Error())
}

func (c *client3) subscribe(filter string, qos byte) { wait(c.c.Subscribe(filter, qos, nil)) }

func (c *client3) publish(topic, payload string, qos byte, retain bool) error {
	t := c.c.Publish(topic, qos, retain, payload)
	if !t.WaitTimeout(patience) {
		panic("no answer")
	}
	return t.Error()
}

func (c *client3) disconnect()              { c.c.Disconnect(1000) }
func (c *client3) received() <-chan message { return c.in }

func (c *client3) cut() bool {
	if c.socket == nil { // by WebSocket
		return false
	}
	check(c.socket.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }))
	return true
}
