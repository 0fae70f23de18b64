package main

import (
	"fmt"
	"strconv"
	"time"
)

// same panics when the server did something else than what the standard says.
func same(what string, got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		panic(fmt.Sprintf("%s: %v, want %v", what, got, want))
	}
}

// flows goes through what every client of MQTT relies on. tells: CONNACK says whether there is a session, which 3.1 does not.
func flows(open opener, tells bool, url, topic string, out map[string]any) {
	pub, _ := open(options{url: url, id: "p-" + topic, clean: true})
	check(pub.publish(topic+"/first", "makes the topic", 1, false))
	const each = 50
	for qos := range byte(3) {
		sub, present := open(options{url: url, id: fmt.Sprintf("s%d-%s", qos, topic), clean: true})
		same("session present", present, false)
		sub.subscribe(topic+"/+/flow", qos)
		for i := range each {
			check(pub.publish(fmt.Sprintf("%s/%d/flow", topic, qos), strconv.Itoa(i), qos, false))
			check(pub.publish(topic+"/elsewhere", "x", qos, false))
		}
		for i := range each {
			m := next(sub)
			same("flow", []any{m.topic, m.payload, m.qos, m.retained, m.dup}, []any{fmt.Sprintf("%s/%d/flow", topic, qos), i, qos, false, false})
		}
		sub.disconnect()
	}
	out["flows"] = 3 * each

	watch, _ := open(options{url: url, id: "w-" + topic, clean: true})
	watch.subscribe(topic+"/will", 1)
	dies, _ := open(options{url: url, id: "d-" + topic, clean: true, willTopic: topic + "/will", will: "gone"})
	out["will"] = dies.cut()
	if out["will"] == true {
		same("will", next(watch).payload, "gone")
	}
	leaves, _ := open(options{url: url, id: "l-" + topic, clean: true, willTopic: topic + "/will", will: "never"})
	leaves.disconnect()
	check(pub.publish(topic+"/will", "after", 1, false))
	same("no will after DISCONNECT", next(watch).payload, "after")
	watch.disconnect()

	check(pub.publish(topic+"/kept", "old", 1, true))
	check(pub.publish(topic+"/kept", "kept", 1, true))
	late, _ := open(options{url: url, id: "k-" + topic, clean: true})
	late.subscribe(topic+"/#", 1)
	m := next(late)
	same("retained", []any{m.topic, m.payload, m.retained}, []any{topic + "/kept", "kept", true})
	late.disconnect()
	check(pub.publish(topic+"/kept", "", 1, true))
	late, _ = open(options{url: url, id: "k-" + topic, clean: true})
	late.subscribe(topic+"/kept", 1)
	check(pub.publish(topic+"/kept", "live", 1, false))
	if m = next(late); m.payload == "" { // it was not in its queue yet when late subscribed
		same("the empty one", m.retained, false)
		m = next(late)
	}
	same("nothing retained", []any{m.payload, m.retained}, []any{"live", false})
	late.disconnect()
	out["retained"] = true

	away, _ := open(options{url: url, id: "r-" + topic})
	away.subscribe(topic+"/resume", 2)
	away.disconnect()
	for i := range each {
		check(pub.publish(topic+"/resume", strconv.Itoa(i), byte(1+i%2), false))
	}
	away, present := open(options{url: url, id: "r-" + topic})
	same("the session goes on", present, tells)
	for i := range each {
		m = next(away)
		same("kept for the session", []any{m.payload, m.qos}, []any{i, 1 + i%2})
	}
	away.disconnect()
	away, present = open(options{url: url, id: "r-" + topic, clean: true})
	same("a clean start", present, false)
	away.disconnect()
	out["resume"] = true
	pub.disconnect()
}

// share has three members take what is published, each message by one of them.
func share(open opener, url, topic string, count int, qos byte, out map[string]any) {
	pub, _ := open(options{url: url, id: "p-" + topic, clean: true})
	check(pub.publish(topic+"/first", "makes the topic", 1, false))
	const members = 3
	got := make(chan message, count*2)
	shares := [members]int{}
	for i := range members {
		c, _ := open(options{url: url, id: fmt.Sprintf("m%d-%s", i, topic), clean: true})
		c.subscribe("$share/g/"+topic+"/work", qos)
		defer c.disconnect()
		go func() {
			for m := range c.received() {
				m.subscription = i
				got <- m
			}
		}()
	}
	for i := range count {
		check(pub.publish(topic+"/work", strconv.Itoa(i), qos, false))
	}
	seen := map[string]int{}
	for len(seen) < count {
		select {
		case m := <-got:
			seen[m.payload]++
			shares[m.subscription]++
		case <-time.After(patience):
			panic(fmt.Sprintf("%d of %d messages", len(seen), count))
		}
	}
	most := 0
	for _, n := range seen {
		most = max(most, n)
	}
	least := count
	for _, n := range shares {
		least = min(least, n)
	}
	out["distinct"], out["most"], out["least"] = len(seen), most, least
	pub.disconnect()
}
