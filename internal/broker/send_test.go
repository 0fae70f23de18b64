package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

const faq = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."

func propsOf(p record.Props) string {
	var parts []string
	p.ForEach(func(k, v []byte) bool {
		parts = append(parts, string(k)+"="+string(v))
		return true
	})
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// The stored properties were read from the log of a Java 5.5.0 broker after the same sends.
func TestStoredPropertiesAreJavas(t *testing.T) {
	t.Parallel()
	r := start(t)
	batch := record.AppendBatchItem(nil, 0, []byte("b0"), record.Props("KEYS\x01bk0\x02UNIQ_KEY\x017F01\x02WAIT\x01true\x02TAGS\x01tagA\x02"))
	batch = record.AppendBatchItem(batch, 7, []byte("b1"), record.Props("KEYS\x01bk1"))
	req := message("Tplain", 3, string(batch), "WAIT", "true", "CLUSTER", "x")
	req.Batch = true
	res, _ := r.send(
		message("Tplain", 2, "hello", "UNIQ_KEY", "7F00", "KEYS", "k1 k2", "TAGS", "tagA", "WAIT", "true"),
		message("Tplain", 2, "mine", "POP_CK", "x", "MSG_REGION", "elsewhere", "TRACE_ON", "false", "CLUSTER", "c", "a", "b"),
		mq.SendRequest{Topic: "Tplain", QueueID: 2, Body: []byte("odd"), Props: record.Props("UNIQ_KEY\x01U\x02novalue\x01\x02\x01noname\x02junk\x02k\x01v\x01w")},
		req,
	)
	const own = "MSG_REGION=DefaultRegion TRACE_ON=true"
	want := []string{
		"CLUSTER=DefaultCluster KEYS=k1 k2 MSG_REGION=DefaultRegion TAGS=tagA TRACE_ON=true UNIQ_KEY=7F00 WAIT=true",
		"CLUSTER=DefaultCluster " + own + " UNIQ_KEY=" + res[1].UniqueKey + " a=b",
		"CLUSTER=DefaultCluster " + own + " UNIQ_KEY=U k=v\x01w",
	}
	if len(res[1].UniqueKey) != 32 || res[0].UniqueKey != "7F00" {
		t.Errorf("unique keys %q", []string{res[0].UniqueKey, res[1].UniqueKey})
	}
	for i, w := range want {
		rec, err := r.MessageAt(t.Context(), res[i].Offset, nil)
		must(t, err)
		m := messages(t, rec)[0]
		if got := propsOf(m.Props); got != w {
			t.Errorf("message %d has %s\nwant %s", i, got, w)
		}
		if m.QueueID != 2 || m.Index != mq.Index(i) || string(m.Topic) != "Tplain" || m.StoreHost != storeHost {
			t.Errorf("message %d is %+v", i, m)
		}
	}
	b := res[3]
	if b.Err != nil || b.QueueID != 3 || b.Index != 0 || len(b.Offsets) != 2 || b.Offsets[0] != b.Offset {
		t.Fatalf("batch: %+v", b)
	}
	for i, w := range []string{"KEYS\x01bk0\x02UNIQ_KEY\x017F01\x02WAIT\x01true\x02TAGS\x01tagA\x02", "KEYS\x01bk1"} {
		rec, err := r.MessageAt(t.Context(), b.Offsets[i], nil)
		must(t, err)
		if m := messages(t, rec)[0]; string(m.Props) != w || m.Index != mq.Index(i) || string(m.Body) != fmt.Sprint("b", i) || m.Flag != int32(7*i) {
			t.Errorf("batch message %d: %+v", i, m)
		}
	}
}

func TestSendMakesTopicsAsJavaDoes(t *testing.T) {
	t.Parallel()
	r := start(t)
	must(t, r.PutTopic(t.Context(), mq.TopicConfig{Name: "Template", ReadQueues: 3, WriteQueues: 2, Perm: mq.PermInherit | mq.PermWrite, Filter: "MULTI_TAG"}))
	r.topic("NoTemplate", 1)
	r.topicsAnnounced()
	for _, c := range []struct {
		name    string
		change  func(*mq.SendRequest)
		want    string // name read write perm sysflag filter
		refusal string
	}{
		{"Plain", nil, "Plain 4 4 6 0 SINGLE_TAG", ""},
		{"Many", func(m *mq.SendRequest) { m.DefaultQueues = 100 }, "Many 8 8 6 0 SINGLE_TAG", ""},
		{"Unit", func(m *mq.SendRequest) { m.UnitMode = true }, "Unit 4 4 6 1 SINGLE_TAG", ""},
		{"Derived", func(m *mq.SendRequest) { m.DefaultTopic = "Template" }, "Derived 2 2 2 0 MULTI_TAG", ""},
		{"%RETRY%g", func(m *mq.SendRequest) { m.DefaultTopic = "none" }, "%RETRY%g 1 1 6 0 SINGLE_TAG", ""},
		{"%RETRY%u", func(m *mq.SendRequest) { m.DefaultTopic, m.UnitMode = "none", true }, "%RETRY%u 1 1 6 2 SINGLE_TAG", ""},
		{"NoInherit", func(m *mq.SendRequest) { m.DefaultTopic = "NoTemplate" }, "", "topic[NoInherit] not exist, apply first please!" + faq},
		{"NoDefault", func(m *mq.SendRequest) { m.DefaultTopic = "none" }, "", "topic[NoDefault] not exist, apply first please!" + faq},
	} {
		m := message(c.name, -1, "x")
		if c.change != nil {
			c.change(&m)
		}
		res, _ := r.send(m)
		announced := r.topicsAnnounced()
		if c.refusal != "" {
			refused(t, res[0].Err, mq.KindTopicNotExist, c.refusal)
			continue
		}
		if res[0].Err != nil {
			t.Errorf("%s: %v", c.name, res[0].Err)
			continue
		}
		if len(announced) != 1 {
			t.Errorf("%s: announced %v", c.name, announced)
			continue
		}
		a := announced[0]
		if got := fmt.Sprintf("%s %d %d %d %d %s", a.Name, a.ReadQueues, a.WriteQueues, a.Perm, a.SysFlag, a.Filter); got != c.want {
			t.Errorf("made %s, want %s", got, c.want)
		}
		if res[0].QueueID < 0 || res[0].QueueID >= a.WriteQueues {
			t.Errorf("%s: queue %d", c.name, res[0].QueueID)
		}
		res, _ = r.send(m)
		if res[0].Err != nil || len(r.topicsAnnounced()) != 0 {
			t.Errorf("%s: made again", c.name)
		}
	}
	// A message of a topic with several tags carries a flag.
	rec, err := r.MessageAt(t.Context(), r.put(message("Derived", 0, "x")).Offset, nil)
	must(t, err)
	if m := messages(t, rec)[0]; m.SysFlag&record.SysFlagMultiTags == 0 {
		t.Error("no flag")
	}
	names := func() (out []string) {
		list, _, err := r.Topics(t.Context())
		must(t, err)
		for _, c := range list {
			out = append(out, c.Name)
		}
		return out
	}
	before := names()
	fs := r.fs
	r.stop()
	again := start(t, func(o *setup) { o.FS = fs })
	r = again
	if after := names(); !slices.Equal(before, after) {
		t.Errorf("after a restart the topics are %q, before %q", after, before)
	}
}

func TestSendWithoutAutoCreate(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.AutoCreateTopic = false })
	res, _ := r.send(message("New", 0, "x"))
	refused(t, res[0].Err, mq.KindTopicNotExist, "topic[New] not exist, apply first please!"+faq)
}

func TestSendRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.MaxMessageSize = 1000 })
	r.topic("T", 4)
	must(t, r.PutTopic(t.Context(), mq.TopicConfig{Name: "Six", ReadQueues: 6, WriteQueues: 2, Perm: 4}))
	must(t, r.PutTopic(t.Context(), mq.TopicConfig{
		Name: "Compact", ReadQueues: 1, WriteQueues: 1, Perm: 6,
		Attributes: map[string]string{"+cleanup.policy": "COMPACTION"},
	}))
	illegal := "the message is illegal, maybe msg body or properties length not matched. msg body length limit 1000B, msg properties length limit 32KB."
	long := strings.Repeat("x", 128)
	batch := func(m mq.SendRequest) mq.SendRequest { m.Batch = true; return m }
	flag := func(m mq.SendRequest, f int32) mq.SendRequest { m.SysFlag = f; return m }
	one := string(record.AppendBatchItem(nil, 0, []byte("b"), nil))
	for _, c := range []struct {
		name string
		m    mq.SendRequest
		kind mq.Kind
		text string
	}{
		{"blank topic", message(" ", 0, "x"), mq.KindInvalidParameter, "The specified topic is blank."},
		{"illegal topic", message("a+b", 0, "x"), mq.KindInvalidParameter, "The specified topic: a+b, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"},
		{"long topic", message(long, 0, "x"), mq.KindInvalidParameter, "The specified topic: " + long + ", is longer than topic max length: 127"},
		{
			"long retry topic", message("%RETRY%"+long+long, 0, "x"), mq.KindInvalidParameter,
			"The specified topic is DLQ or Retry topic: %RETRY%" + long + long + ", and it's longer than topic max length: 255",
		},
		{"system topic", message("SCHEDULE_TOPIC_XXXX", 0, "x"), mq.KindNoPermission, "Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden."},
		{"system topic that is not there", message("TRANS_CHECK_MAX_TIME_TOPIC", 0, "x"), mq.KindNoPermission, "Sending message to topic[TRANS_CHECK_MAX_TIME_TOPIC] is forbidden."},
		{"queue", message("T", 4, "x"), mq.KindInvalidParameter, "request queueId[4] is illegal, TopicConfig [topicName=T, readQueueNums=4, writeQueueNums=4, perm=RW-, topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, attributes={}] Producer: 10.0.0.9:4711"},
		{"queue above the readable ones", message("Six", 6, "x"), mq.KindInvalidParameter, "request queueId[6] is illegal, TopicConfig [topicName=Six, readQueueNums=6, writeQueueNums=2, perm=R--, topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, attributes={}] Producer: 10.0.0.9:4711"},
		{"no body", message("T", 0, ""), mq.KindMessageIllegal, illegal},
		{"long body", message("T", 0, strings.Repeat("x", 1001)), mq.KindMessageIllegal, illegal},
		{"long properties", message("T", 0, "x", "k", strings.Repeat("x", 32700)), mq.KindMessageIllegal, illegal},
		{"no key", message("Compact", 0, "x"), mq.KindMessageIllegal, "Required message key is missing"},
		{"delay", message("T", 0, "x", "DELAY", "abc"), mq.KindInternal, `property DELAY = "abc" is not a number`},
		{"large delay", message("T", 0, "x", "DELAY", "2147483648"), mq.KindInternal, `property DELAY = "2147483648" is not a number`},
		{"timer", message("T", 0, "x", "TIMER_DELIVER_MS", "x"), mq.KindMessageIllegal, `property TIMER_DELIVER_MS = "x" is not a number`},
		{"timer", message("T", 0, "x", "TIMER_DELAY_MS", "1.5", "TIMER_DELIVER_MS", "3"), mq.KindMessageIllegal, `property TIMER_DELAY_MS = "1.5" is not a number`},
		{"timer", message("T", 0, "x", "TIMER_DELAY_SEC", "259201"), mq.KindMessageIllegal, far("TIMER_DELAY_SEC = 259201")},
		{"timer", message("T", 0, "x", "TIMER_DELAY_SEC", "9223372036854775807"), mq.KindMessageIllegal, far("TIMER_DELAY_SEC = 9223372036854775807")},
		{"timer", message("T", 0, "x", "TIMER_DELIVER_MS", "3", "TIMER_DEL_UNIQKEY", "k"), mq.KindMessageIllegal, far("TIMER_DEL_UNIQKEY")},
		{
			"half by flag", flag(message("T", 0, "x"), record.SysFlagPrepared), mq.KindMessageIllegal,
			"the message is illegal, sysFlag says that it is a half message but property TRAN_MSG is not true",
		},
		{"inner batch", message("T", 0, "x", "INNER_NUM", "3"), mq.KindMessageIllegal, illegal},
		{"inner batch by flag", flag(message("T", 0, "x"), record.SysFlagInnerBatch), mq.KindMessageIllegal, illegal},
		{"batch to a retry topic", batch(message("%RETRY%g", 0, one)), mq.KindMessageIllegal, "batch request does not support retry group %RETRY%g"},
		{"batch to a long retry topic", batch(message("%RETRY%"+long, 0, one)), mq.KindMessageIllegal, "message topic length too long 135"},
		{"batch with delay", batch(message("T", 0, one, "DELAY", "1")), mq.KindMessageIllegal, illegal},
		{"batch of halves", batch(flag(message("T", 0, one), record.SysFlagPrepared)), mq.KindMessageIllegal, illegal},
		{"broken batch", batch(message("T", 0, one+"x")), mq.KindMessageIllegal, illegal},
		{"long batch", batch(message("T", 0, strings.Repeat(one, 100))), mq.KindMessageIllegal, illegal},
		{"empty batch", batch(message("T", 0, "")), mq.KindMessageIllegal, illegal},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A refused message does not hold up its neighbours.
			res, _ := r.send(message("T", 0, "before"), c.m, message("T", 0, "after"))
			if res[0].Err != nil || res[2].Err != nil || res[2].Index != res[0].Index+1 {
				t.Fatalf("%+v", res)
			}
			refused(t, res[1].Err, c.kind, c.text)
		})
	}
	ok := []mq.SendRequest{
		message("Six", 5, "x"), message("Compact", 0, "x", "KEYS", "k"), message("T", 0, "x", "DELAY", "0"), message("T", 0, "x", "DELAY", "-1"), message("T", 0, "x", "TIMER_DELIVER_MS", "3"), message("T", 0, "x", "TIMER_DELAY_SEC", "-9223372036854775808"),
		message("T", 0, "x", "TIMER_DELIVER_MS", "3", "TIMER_OUT_MS", "3"), message("T", 0, "x", "TRAN_MSG", "false"),
		message("T", 0, strings.Repeat("x", 1000)), batch(message("T", 0, one)),
	}
	res, _ := r.send(ok...)
	for i := range res {
		if res[i].Err != nil {
			t.Errorf("message %d: %v", i, res[i].Err)
		}
	}
}

func TestGroupsOfRetryTopicsMustExist(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.AutoCreateGroup = false })
	res, _ := r.send(message("%RETRY%g", 0, "x"))
	refused(t, res[0].Err, mq.KindGroupNotExist, "subscription group not exist, g "+faq)
	must(t, r.PutGroup(t.Context(), mq.DefaultGroupConfig("g")))
	r.put(message("%RETRY%g", 0, "x"))
}

func TestStartGate(t *testing.T) {
	t.Parallel()
	at := time.Date(2100, 1, 2, 3, 4, 5, 6_000_000, time.Local)
	r := start(t, func(o *setup) { o.StartAccept = at })
	res, _ := r.send(message("T", 0, "x"), message("T", 0, "y"))
	for i := range res {
		refused(t, res[i].Err, mq.KindInternal, "broker unable to service, until 2100-01-02 03:04:05,006")
	}
}

func TestOrderedTopicsOfABrokerThatIsNotWritable(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.Perm = mq.PermRead })
	must(t, r.PutTopic(t.Context(), mq.TopicConfig{Name: "Ordered", ReadQueues: 1, WriteQueues: 1, Perm: 6, Order: true}))
	if a := r.topicsAnnounced(); len(a) != 1 || a[0].Perm != mq.PermRead {
		t.Errorf("announced %+v", a)
	}
	res, _ := r.send(message("Ordered", 0, "x"), message("Free", 0, "x"))
	refused(t, res[0].Err, mq.KindNoPermission, "the broker[10.0.0.2] sending message is forbidden")
	if res[1].Err != nil {
		t.Error(res[1].Err)
	}
}

func TestSyncFlushIsDecidedLater(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.FlushSync = true })
	res, status := r.send(message("T", 0, "x", "WAIT", "true"), message("T", 0, "x", "WAIT", "false"))
	if res[0].Err != nil || status != mq.SendOK || r.store.Flushed() < r.store.Appended() {
		t.Errorf("%+v status %d, flushed %d of %d", res, status, r.store.Flushed(), r.store.Appended())
	}
	b := &mq.SendBatch{Requests: []mq.SendRequest{message("T", 0, "x", "WAIT", "false")}, Done: func(*mq.SendBatch, mq.SendStatus) { t.Error("called") }}
	if r.Send(t.Context(), b) {
		t.Error("WAIT=false waits")
	}
	r.settle()
}

func TestReplicasThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.Replicas, o.SlaveTimeout = 1, 10*time.Millisecond })
	if _, status := r.send(message("T", 0, "x")); status != mq.SendSlaveTimeout {
		t.Errorf("status %d", status)
	}
}

func TestFullDiskRefusesSendsAndNothingElse(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem(vfs.MemOptions{})
	r := start(t, func(o *setup) {
		o.FS, o.storage.SegmentSize, o.storage.CleanInterval = mem, 64<<10, 20*time.Millisecond
	})
	r.put(message("T", 0, "first"))
	r.settle()
	mem.SetCapacity(1)
	var last mq.SendResult
	for range 1000 {
		res, _ := r.send(message("T", 0, strings.Repeat("x", 1000)))
		if last = res[0]; last.Err != nil {
			break
		}
	}
	if last.Err == nil || last.Err.Kind != mq.KindUnavailable || !strings.HasPrefix(last.Err.Detail, "service not available now. The broker's disk is full: ") {
		t.Fatalf("%+v", last.Err)
	}
	must(t, r.CommitIndex(t.Context(), "TOOLS_CONSUMER", "T", 0, 7))
	f, err := r.Pull(t.Context(), pull("T", 0, 0), nil)
	must(t, err)
	if f.Status != mq.FetchFound {
		t.Error(f.Status)
	}
	mem.SetCapacity(1 << 40)
	for range 200 {
		res, _ := r.send(message("T", 0, "again"))
		if last = res[0]; last.Err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if last.Err != nil {
		t.Error(last.Err)
	}
}

func TestFailingDiskMakesTheStoreReadOnly(t *testing.T) {
	t.Parallel()
	var broken fault
	r := start(t, func(o *setup) { o.FS = vfs.NewFaulty(o.FS, broken.rule) })
	r.put(message("T", 0, "x"))
	r.settle()
	broken.set(true)
	res, _ := r.send(message("T", 0, "x"))
	if err := res[0].Err; err == nil || err.Kind != mq.KindUnavailable || !strings.Contains(err.Detail, "read-only: ") || !strings.Contains(err.Detail, "lightning") {
		t.Errorf("%+v", err)
	}
	info, err := r.RuntimeInfo(t.Context())
	must(t, err)
	if !strings.Contains(info["storeWritable"], "lightning") || info["putMessageFailedTimes"] != "1" {
		t.Errorf("%s, %s failed", info["storeWritable"], info["putMessageFailedTimes"])
	}
	broken.set(false)
}

func TestTooMuchWaitingIsBusy(t *testing.T) {
	t.Parallel()
	var gate stall
	r := start(t, func(o *setup) {
		o.FS = vfs.NewFaulty(o.FS, gate.rule)
		o.MaxWaiting = 1000
	})
	r.put(message("T", 0, "x"))
	r.settle()
	gate.close()
	done := make(chan mq.SendResult, 1)
	go func() {
		res, _ := r.send(message("T", 0, strings.Repeat("x", 2000)))
		done <- res[0]
	}()
	gate.wait()
	res, _ := r.send(message("T", 0, "x"))
	refused(t, res[0].Err, mq.KindBusy, "[PC_SYNCHRONIZED]broker busy, start flow control for a while, append queue: 2000 bytes, limit 1000")
	gate.open()
	if res := <-done; res.Err != nil {
		t.Error(res.Err)
	}
	r.put(message("T", 0, "x"))
}

func TestConcurrentSendersKeepTheirOrder(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 2)
	const senders, rounds, burst = 4, 30, 16
	done := make(chan struct{})
	for s := range senders {
		go func() {
			defer func() { done <- struct{}{} }()
			b := &mq.SendBatch{}
			for n := range rounds {
				b.Reset()
				for i := range burst {
					b.Requests = append(b.Requests, message("T", int32(i%2), fmt.Sprintf("%d %d", s, n*burst+i)))
				}
				if r.Send(t.Context(), b) {
					t.Error("pending")
				}
				for i := range b.Results {
					if b.Results[i].Err != nil {
						t.Error(b.Results[i].Err)
					}
				}
			}
		}()
	}
	for range senders {
		<-done
	}
	r.settle()
	for q := range int32(2) {
		last := map[int]int{}
		n := 0
		for at := mq.Index(0); ; {
			f, err := r.Pull(t.Context(), pull("T", q, at), nil)
			must(t, err)
			if f.Status != mq.FetchFound {
				break
			}
			for _, m := range messages(t, f.Records) {
				var s, i int
				if _, err := fmt.Sscanf(string(m.Body), "%d %d", &s, &i); err != nil {
					t.Fatal(err)
				}
				if m.Index != mq.Index(n) || i < last[s] {
					t.Fatalf("queue %d: index %d holds %s after %d", q, m.Index, m.Body, last[s])
				}
				last[s] = i
				n++
			}
			at = f.Next
		}
		if n != senders*rounds*burst/2 {
			t.Errorf("queue %d has %d messages", q, n)
		}
	}
	queues, _ := r.Figures()
	queues = slices.DeleteFunc(queues, func(q broker.QueueFigures) bool { return q.Topic != "T" }) // the broker reads queues of its own
	if len(queues) != 2 || queues[0].Puts+queues[1].Puts != senders*rounds*burst || queues[0].PutBytes == 0 {
		t.Errorf("figures %+v", queues)
	}
}

var _ mq.Service = (*broker.Broker)(nil)

func TestSendToAQueueThatIsNotThereMakesNoTopic(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, topic := range []string{"New", "%RETRY%g"} {
		res, _ := r.send(message(topic, 9, "x"))
		if mq.KindOf(res[0].Err) != mq.KindInvalidParameter || !strings.Contains(res[0].Err.Detail, "request queueId[9] is illegal, TopicConfig [topicName="+topic) {
			t.Errorf("%s: %v", topic, res[0].Err)
		}
		if _, err := r.Topic(t.Context(), topic); err == nil {
			t.Errorf("%s was made", topic)
		}
		if r.put(message(topic, 0, "x")); len(r.topicsAnnounced()) != 1 {
			t.Errorf("%s was not made", topic)
		}
	}
}
