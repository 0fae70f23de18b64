//go:build peer

package peer

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestTablesFollowAcrossKinds: a Java slave of our master, and ours of a Java master, end with the master's topics, groups, positions,
// delay levels, request modes and timer progress, also after changes and deletions. A Java slave asks once a minute.
func TestTablesFollowAcrossKinds(t *testing.T) {
	t.Parallel()
	for i, pair := range []struct{ master, slave target.Kind }{
		{target.Java, target.Ours}, {target.Ours, target.Java}, {target.Ours, target.Ours},
	} {
		t.Run(fmt.Sprintf("%s-to-%s", pair.master, pair.slave), func(t *testing.T) {
			variant(t, i)
			t.Parallel()
			target.NeedJava(t, "server-5.5.0")
			c := target.New(t, target.Options{Kind: pair.master, NSKind: target.Ours, Heap: "512m"})
			registered(t, c, "TBW102")
			m := newTool(t, c.Addrs[0])
			m.tables()
			c.Slave(t, target.Options{Kind: pair.slave, Heap: "512m"}, 1)
			s := newTool(t, c.Addrs[1])
			equal := func() {
				t.Helper()
				var diff string
				for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
					if diff = compare(m.tablesOf(), s.tablesOf()); diff == "" {
						return
					}
				}
				t.Fatalf("the tables differ:\n%s\nslave:\n%s", diff, c.Brokers[1].Log())
			}
			equal()
			have := slices.Sorted(maps.Keys(s.tablesOf()))
			for _, key := range []string{"topic tab", "topic tab_fifo", "group g_tab", "offset tab@g_tab 1", "delay 1", "mode tab g_tab", "timer"} {
				if !slices.Contains(have, key) {
					t.Errorf("the slave has no %s: %q", key, have)
				}
			}
			m.do(protocol.ReqDeleteTopicInBroker, &protocol.DeleteTopicRequestHeader{Topic: "tab_gone"}, nil)
			m.do(protocol.ReqDeleteSubscriptionGroup, &protocol.DeleteSubscriptionGroupRequestHeader{GroupName: "g_tab_gone", CleanOffset: true}, nil)
			m.topic("tab", "", 6)
			m.do(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{ConsumerGroup: "g_tab", Topic: "tab", QueueID: 2, CommitOffset: 2}, nil)
			equal()
			for key := range s.tablesOf() {
				if strings.Contains(key, "gone") {
					t.Errorf("what was deleted is there: %s", key)
				}
			}
		})
	}
}

// do is ask for what must succeed.
func (o *tool) do(code int32, h remoting.HeaderAppender, body []byte) *remoting.Command {
	o.t.Helper()
	r := o.ask(code, h, body)
	if r.Code != protocol.RespSuccess {
		o.t.Fatalf("code %d is answered with %d %s", code, r.Code, r.Remark)
	}
	return r
}

func (o *tool) topic(name, attributes string, queues int32) {
	o.t.Helper()
	o.do(protocol.ReqUpdateAndCreateTopic, &protocol.CreateTopicRequestHeader{
		Topic: name, DefaultTopic: "TBW102", ReadQueueNums: queues, WriteQueueNums: queues, Perm: 6, TopicFilterType: "SINGLE_TAG", Attributes: attributes,
	}, nil)
}

// tables puts something into each table.
func (o *tool) tables() {
	o.t.Helper()
	o.topic("tab", "", 4)
	o.topic("tab_gone", "", 4)
	o.topic("tab_fifo", "+message.type=FIFO", 2)
	for _, name := range []string{"g_tab", "g_tab_gone"} {
		g := protocol.SubscriptionGroupConfig{
			GroupName: name, ConsumeEnable: true, ConsumeFromMinEnable: true, RetryQueueNums: 7, RetryMaxTimes: 16, NotifyConsumerIDsChangedEnable: true,
			ConsumeTimeoutMinute: 15,
		}
		o.do(protocol.ReqUpdateAndCreateSubscriptionGroup, nil, g.AppendTo(nil, false))
	}
	mode := protocol.SetMessageRequestModeRequestBody{Topic: "tab", ConsumerGroup: "g_tab", Mode: "POP", PopShareQueueNum: 3}
	o.do(protocol.ReqSetMessageRequestMode, nil, mode.AppendTo(nil, false))
	for i := range int32(12) {
		properties := "UNIQ_KEY\x01" + strconv.Itoa(int(i)) + "\x02"
		switch i {
		case 0:
			properties += "DELAY\x011\x02"
		case 1:
			properties += "TIMER_DELAY_SEC\x01600\x02"
		}
		o.do(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
			ProducerGroup: "p", Topic: "tab", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: i % 4, BornTimestamp: time.Now().UnixMilli(),
			MaxReconsumeTimes: -1, Properties: properties,
		}, []byte("body"))
	}
	o.do(protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{ConsumerGroup: "g_tab", Topic: "tab", QueueID: 1, CommitOffset: 1}, nil)
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if have := o.tablesOf(); have["delay 1"] == "1" && have["timer"] == "1" {
			return
		} else if time.Now().After(end) {
			o.t.Fatalf("the delayed message and the timer are not taken: %q", have)
		}
	}
}

// tablesOf asks a broker for all its tables, by Java's codes.
func (o *tool) tablesOf() map[string]string {
	t := o.t
	t.Helper()
	ask := func(code int32) []byte { return o.do(code, nil, nil).Body }
	parse := func(b []byte) fastjson.Value {
		t.Helper()
		v, err := fastjson.Parse(b)
		if err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		return v
	}
	out := map[string]string{}
	var topics protocol.TopicConfigAndMappingSerializeWrapper
	if err := topics.Decode(ask(protocol.ReqGetAllTopicConfig)); err != nil {
		t.Fatal(err)
	}
	for _, c := range topics.TopicConfigTable {
		out["topic "+c.TopicName] = fmt.Sprint(c.ReadQueueNums, c.WriteQueueNums, c.Perm, c.TopicFilterType, c.TopicSysFlag, c.Order, c.Attributes)
	}
	var groups protocol.SubscriptionGroupWrapper
	if err := groups.Decode(ask(protocol.ReqGetAllSubscriptionGroupConfig)); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups.SubscriptionGroupTable {
		out["group "+g.GroupName] = fmt.Sprint(g.ConsumeEnable, g.ConsumeBroadcastEnable, g.ConsumeMessageOrderly, g.RetryQueueNums, g.RetryMaxTimes, g.BrokerID, g.ConsumeTimeoutMinute)
	}
	for code, name := range map[int32]string{protocol.ReqGetAllConsumerOffset: "offset", protocol.ReqGetAllDelayOffset: "delay"} {
		for _, m := range parse(ask(code)).Get("offsetTable").Members() {
			if m.Val.Kind() != fastjson.Object {
				out[name+" "+m.Key.Str()] = m.Val.Str()
				continue
			}
			for _, q := range m.Val.Members() {
				out[name+" "+m.Key.Str()+" "+q.Key.Str()] = q.Val.Str()
			}
		}
	}
	for _, topic := range parse(ask(protocol.ReqGetAllMessageRequestMode)).Get("messageRequestModeMap").Members() {
		for _, g := range topic.Val.Members() {
			out["mode "+topic.Key.Str()+" "+g.Key.Str()] = g.Val.Get("mode").Str() + " " + g.Val.Get("popShareQueueNum").Str()
		}
	}
	check := ask(protocol.ReqGetTimerCheckPoint)
	if len(check) != 56 {
		t.Fatalf("a timer checkpoint of %d bytes: %x", len(check), check)
	}
	out["timer"] = fmt.Sprint(binary.BigEndian.Uint64(check[24:])) // how far the master has taken timers
	if metrics := parse(ask(protocol.ReqGetTimerMetrics)); !metrics.Get("timingCount").Exists() || !metrics.Get("dataVersion").Exists() {
		t.Fatalf("timer metrics %s", ask(protocol.ReqGetTimerMetrics))
	}
	return out
}

// compare returns how b differs from a, "" if it does not.
func compare(a, b map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if b[key] != a[key] {
			out = append(out, fmt.Sprintf("%s: %q, the slave has %q", key, a[key], b[key]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[key]; !ok {
			out = append(out, fmt.Sprintf("%s: only the slave has it: %q", key, b[key]))
		}
	}
	return strings.Join(out, "\n")
}
