// Command mqttclient is an ordinary application on the unmodified MQTT clients of Eclipse Paho for Go, paho.mqtt.golang for 3.1 and 3.1.1,
// paho.golang for 5.0: one action a run, one line of JSON as its result. Usage: mqttclient ACTION VERSION url topic count qos
//
//	flows      QoS 0 to 2 with wildcards, wills, retained messages, a session that goes on
//	publish    sends count messages
//	subscribe  makes a session with one subscription, and leaves it
//	receive    goes on with that session until count messages have come
//	share      three members of a shared subscription take count messages together
//	until-end  publishes numbers until it is killed, and prints each one that was acknowledged
//	drain      goes on with the session until it has got what until-end has published
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"
)

const patience = 60 * time.Second

// message is what a client has received.
type message struct {
	topic, payload string
	qos            byte
	retained       bool
	dup            bool
	subscription   int               // identifier, 5.0
	props          map[string]string // 5.0
}

// options of a connection.
type options struct {
	url, id   string
	clean     bool
	willTopic string
	will      string
}

// client is one connection of either library.
type client interface {
	subscribe(filter string, qos byte)
	publish(topic, payload string, qos byte, retain bool) error
	disconnect()
	cut() bool // the connection ends without a word; false: the library hides it
	received() <-chan message
}

// open connects; present: the session goes on.
type opener func(o options) (c client, present bool)

var versions = map[string]opener{"3.1": open31, "3.1.1": open311, "5": open5}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	if len(os.Args) != 7 {
		fmt.Fprintln(os.Stderr, "usage: mqttclient ACTION VERSION url topic count qos")
		os.Exit(2)
	}
	action, version, url, topic := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	count, err := strconv.Atoi(os.Args[5])
	check(err)
	n, err := strconv.Atoi(os.Args[6])
	check(err)
	qos := byte(n)
	open := versions[version]
	out := map[string]any{"action": action + " " + version}
	id := "app-" + topic // of the session
	switch action {
	case "flows":
		flows(open, version != "3.1", url, topic, out)
		if version == "5" {
			properties(url, topic, out)
		}
	case "publish":
		c, _ := open(options{url: url, id: "pub-" + topic, clean: true})
		for i := range count {
			check(c.publish(fmt.Sprintf("%s/%d", topic, i%3), strconv.Itoa(i), qos, false))
		}
		c.disconnect()
		out["ok"] = count
	case "subscribe":
		c, _ := open(options{url: url, id: id})
		c.subscribe(topic+"/#", qos)
		c.disconnect()
		out["ok"] = true
	case "receive":
		c, present := open(options{url: url, id: id})
		out["present"] = present
		receive(c, count, out)
		c.disconnect()
	case "share":
		share(open, url, topic, count, qos, out)
	case "drain":
		end, _ := open(options{url: url, id: "drain-" + topic, clean: true})
		check(end.publish(topic+"/n", "end", qos, false)) // in the queue of the numbers
		end.disconnect()
		c, present := open(options{url: url, id: id})
		seen := map[string]int{}
		for m := next(c); m.payload != "end"; m = next(c) {
			seen[m.payload]++
		}
		c.disconnect()
		out["present"], out["seen"] = present, seen
	case "until-end":
		untilEnd(open, url, topic, qos)
	default:
		panic("no action " + action)
	}
	b, err := json.Marshal(out)
	check(err)
	fmt.Println(string(b))
}

// next waits for a message.
func next(c client) message {
	select {
	case m := <-c.received():
		return m
	case <-time.After(patience):
		panic("no message")
	}
}

// receive takes messages until count different payloads have come.
func receive(c client, count int, out map[string]any) {
	seen := map[string]int{}
	topics := map[string]bool{}
	got, qos := 0, map[byte]bool{}
	for len(seen) < count {
		m := next(c)
		seen[m.payload]++
		got++
		topics[m.topic] = true
		qos[m.qos] = true
	}
	out["distinct"], out["got"], out["topics"], out["levels"] = len(seen), got, keys(topics), len(qos)
}

func keys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// untilEnd publishes numbers, over as many connections as it takes. What it prints is acknowledged.
func untilEnd(open opener, url, topic string, qos byte) {
	for i := 0; ; {
		func() {
			defer func() {
				if recover() != nil { // the server is away
					time.Sleep(50 * time.Millisecond)
				}
			}()
			c, _ := open(options{url: url, id: "end-" + topic, clean: true})
			defer c.cut()
			for {
				i++
				check(c.publish(topic+"/n", strconv.Itoa(i), qos, false))
				fmt.Println(i)
			}
		}()
	}
}
