package broker_test

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/mq"
)

func TestPutTopic(t *testing.T) {
	t.Parallel()
	r := start(t)
	ctx := t.Context()
	c := mq.TopicConfig{Name: "T", ReadQueues: 4, WriteQueues: 3, Perm: 6, Attributes: map[string]string{"+message.type": "FIFO"}}
	must(t, r.PutTopic(ctx, c))
	if a := r.topicsAnnounced(); len(a) != 1 || a[0].Name != "T" || a[0].Attributes["message.type"] != "FIFO" {
		t.Errorf("announced %+v", a)
	}
	got, err := r.Topic(ctx, "T")
	must(t, err)
	if got.ReadQueues != 4 || got.WriteQueues != 3 || got.Filter != "SINGLE_TAG" || got.Attributes["message.type"] != "FIFO" {
		t.Errorf("%+v", got)
	}
	got.Attributes["message.type"] = "mine" // a copy
	c.Attributes = nil
	must(t, r.PutTopic(ctx, c))
	if len(r.topicsAnnounced()) != 0 {
		t.Error("announced although nothing changed")
	}
	_, before := r.TopicTable()
	c.WriteQueues = 8
	must(t, r.PutTopic(ctx, c))
	list, after := r.TopicTable()
	if after.Counter != before.Counter+1 || len(r.topicsAnnounced()) != 1 {
		t.Errorf("version %d, then %d", before.Counter, after.Counter)
	}
	if got, _ := r.Topic(ctx, "T"); got.WriteQueues != 8 || got.Attributes["message.type"] != "FIFO" {
		t.Errorf("%+v", got)
	}
	if all, v, terr := r.Topics(ctx); terr != nil || v != after || len(all) != len(list) {
		t.Error("the lists differ")
	}
	r.put(message("T", 7, "x"))
	_, err = r.Topic(ctx, "None")
	refused(t, err, mq.KindTopicNotExist, "No topic in this broker. topic: None")
}

func TestPutTopicRefusals(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	r.topicsAnnounced()
	attr := func(kv ...string) map[string]string { return map[string]string{kv[0]: kv[1]} }
	conflict := func(n string) string { return "The topic[" + n + "] is conflict with system topic." }
	for _, c := range []struct {
		t    mq.TopicConfig
		kind mq.Kind
		text string
	}{
		{mq.TopicConfig{Name: ""}, mq.KindInvalidParameter, "The specified topic is blank."},
		{mq.TopicConfig{Name: "a b"}, mq.KindInvalidParameter, "The specified topic: a b, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"},
		{mq.TopicConfig{Name: "TBW102"}, mq.KindInvalidParameter, conflict("TBW102")},
		{mq.TopicConfig{Name: "DefaultCluster"}, mq.KindInvalidParameter, conflict("DefaultCluster")},
		{mq.TopicConfig{Name: "broker-a"}, mq.KindInvalidParameter, conflict("broker-a")},
		{mq.TopicConfig{Name: "rmq_sys_x"}, mq.KindInvalidParameter, conflict("rmq_sys_x")},
		{mq.TopicConfig{Name: "T", Attributes: attr("+message.type", "MIXED")}, mq.KindInvalidParameter, "MIXED message type is not supported."},
		{mq.TopicConfig{Name: "T", Attributes: attr("-message.type", "")}, mq.KindInternal, "attempt to delete a nonexistent key: message.type"},
		{mq.TopicConfig{Name: "New", Attributes: attr("-message.type", "")}, mq.KindInternal, "only add attribute is supported while creating topic. key: message.type"},
		{mq.TopicConfig{Name: "New", Attributes: attr("+x", "")}, mq.KindInternal, "unsupported key: x"},
		{mq.TopicConfig{Name: "New", ReadQueues: 1 << 20}, mq.KindInvalidParameter, "readQueueNums 1048576 and writeQueueNums 0 must be 0 to 65536."},
	} {
		refused(t, r.PutTopic(t.Context(), c.t), c.kind, c.text)
	}
	if len(r.topicsAnnounced()) != 0 {
		t.Error("announced")
	}
}

func TestDeleteTopic(t *testing.T) {
	t.Parallel()
	r := start(t)
	ctx := t.Context()
	r.topic("T", 1)
	r.topic("Other", 1)
	must(t, r.PutGroup(ctx, mq.DefaultGroupConfig("g")))
	must(t, r.CommitIndex(ctx, "g", "T", 0, 3))
	must(t, r.CommitIndex(ctx, "g", "Other", 0, 4))
	r.topic("%RETRY%g_T", 1)
	r.fill("T", 0, 5)
	refused(t, r.DeleteTopic(ctx, " "), mq.KindInvalidParameter, "The specified topic is blank.")
	refused(t, r.DeleteTopic(ctx, "TBW102"), mq.KindInvalidParameter, "The topic[TBW102] is conflict with system topic.")
	must(t, r.DeleteTopic(ctx, "None"))
	must(t, r.DeleteTopic(ctx, "T"))
	for _, name := range []string{"T", "%RETRY%g_T"} {
		if _, err := r.Topic(ctx, name); mq.KindOf(err) != mq.KindTopicNotExist {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.QueryIndex(ctx, "g", "T", 0, false); mq.KindOf(err) != mq.KindQueryNotFound {
		t.Error(err)
	}
	if at, err := r.QueryIndex(ctx, "g", "Other", 0, false); err != nil || at != 4 {
		t.Error(at, err)
	}
	if at, _ := r.MaxIndex(ctx, "T", 0); at != 0 {
		t.Errorf("max %d", at)
	}
	// A topic of the same name begins anew.
	if res := r.put(message("T", 0, "x")); res.Index != 0 {
		t.Errorf("index %d", res.Index)
	}
	r.settle()
	f, err := r.Pull(ctx, pull("T", 0, 0), nil)
	must(t, err)
	if f.Count != 1 {
		t.Errorf("%s %d", f.Status, f.Count)
	}
}

func TestMarkOrdered(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.topic("T", 1)
	r.MarkOrdered([]string{"T", "None"})
	if c, _ := r.Topic(t.Context(), "T"); !c.Order {
		t.Error("not ordered")
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *setup) { o.AutoCreateGroup = false })
	ctx := t.Context()
	refused(t, r.PutGroup(ctx, mq.GroupConfig{Name: ""}), mq.KindInvalidParameter, "The specified group is blank.")
	refused(t, r.PutGroup(ctx, mq.GroupConfig{Name: "a.b"}), mq.KindInvalidParameter,
		"The specified group: a.b, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$")
	long := strings.Repeat("g", 121)
	refused(t, r.PutGroup(ctx, mq.GroupConfig{Name: long}), mq.KindInvalidParameter, "The specified group: "+long+", is longer than group max length: 120")
	_, err := r.Group(ctx, "g")
	refused(t, err, mq.KindGroupNotExist, "No group in this broker")
	g := mq.DefaultGroupConfig("g")
	g.RetryMaxTimes = 3
	must(t, r.PutGroup(ctx, g))
	got, err := r.Group(ctx, "g")
	must(t, err)
	if got.RetryMaxTimes != 3 {
		t.Errorf("%+v", got)
	}
	r.topic("T", 1)
	must(t, r.CommitIndex(ctx, "g", "T", 0, 3))
	must(t, r.DeleteGroup(ctx, "g", false))
	must(t, r.PutGroup(ctx, g))
	if at, qerr := r.QueryIndex(ctx, "g", "T", 0, false); qerr != nil || at != 3 {
		t.Error(at, qerr)
	}
	must(t, r.DeleteGroup(ctx, "g", true))
	must(t, r.DeleteGroup(ctx, "g", true))
	if _, qerr := r.QueryIndex(ctx, "g", "T", 0, false); mq.KindOf(qerr) != mq.KindQueryNotFound {
		t.Error(qerr)
	}
	list, _, err := r.Groups(ctx)
	must(t, err)
	if len(list) != 8 {
		t.Errorf("%d groups", len(list))
	}
}

// The keys are those of a Java 5.5.0 broker with default settings.
const javaKeys = `EndTransactionQueueSize EndTransactionThreadPoolQueueCapacity ackThreadPoolQueueCapacity
ackThreadPoolQueueHeadWaitTimeMills ackThreadPoolQueueSize bootTimestamp brokerActive brokerVersionDesc commitLogDirCapacity
commitLogDiskRatio commitLogDiskRatio_/store/commitlog commitLogMaxOffset commitLogMinOffset consumeQueueDiskRatio
dispatchBehindBytes dispatchMaxBuffer earliestMessageTimeStamp getFoundTps getMessageEntireTimeMax getMissTps getTotalTps
getTransferredTps litePullThreadPoolQueueCapacity litePullThreadPoolQueueHeadWaitTimeMills litePullThreadPoolQueueSize
msgGetTotalTodayMorning msgGetTotalTodayNow msgGetTotalYesterdayMorning msgPutTotalTodayMorning msgPutTotalTodayNow
msgPutTotalYesterdayMorning pageCacheLockTimeMills pullThreadPoolQueueCapacity pullThreadPoolQueueHeadWaitTimeMills
pullThreadPoolQueueSize putLatency99 putLatency999 putMessageAverageSize putMessageDistributeTime putMessageEntireTimeMax putMessageFailedTimes
putMessageSizeTotal putMessageTimesTotal putTps queryThreadPoolQueueCapacity queryThreadPoolQueueHeadWaitTimeMills
queryThreadPoolQueueSize remainHowManyDataToFlush remainTransientStoreBufferNumbs runtime sendThreadPoolQueueCapacity
sendThreadPoolQueueHeadWaitTimeMills sendThreadPoolQueueSize startAcceptSendRequestTimeStamp timerCongestNum timerDequeueTps
timerEnqueueTps timerOffsetBehind timerReadBehind`

func TestRuntimeInfo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		time.Sleep(time.Date(now.Year(), now.Month(), now.Day(), 23, 0, 0, 0, time.Local).Sub(now))
		r := start(t)
		r.topic("T", 1)
		began := time.Now()
		for range 120 {
			r.fill("T", 0, 10)
			time.Sleep(time.Second)
		}
		for at := range mq.Index(4) {
			_, err := r.Pull(t.Context(), pull("T", 0, at*400), nil)
			must(t, err)
		}
		info, err := r.RuntimeInfo(t.Context())
		must(t, err)
		for key := range strings.FieldsSeq(javaKeys) {
			if info[key] == "" {
				t.Errorf("no %s", key)
			}
		}
		for key, want := range map[string]string{
			"putMessageTimesTotal": "1200", "msgPutTotalTodayNow": "1200", "msgGetTotalTodayNow": "96", "putMessageFailedTimes": "0",
			"runtime": "[ 0 days, 0 hours, 2 minutes, 0 seconds ]", "brokerVersionDesc": "V5_5_0", "brokerActive": "true",
			"earliestMessageTimeStamp": strconv.FormatInt(began.UnixMilli(), 10), "commitLogMinOffset": "0",
			"commitLogMaxOffset": strconv.FormatInt(int64(r.store.Appended()), 10), "dispatchBehindBytes": "0",
			"storeWritable": "true", "putLatency99": "0.00", "getMessageEntireTimeMax": "0",
			"putMessageDistributeTime": "[<=0ms]:1200 [0~10ms]:0 [10~50ms]:0 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 [500ms~1s]:0 [1~2s]:0 [2~3s]:0 [3~4s]:0 [4~5s]:0 [5~10s]:0 [10s~]:0 ",
		} {
			if info[key] != want {
				t.Errorf("%s is %q, want %q", key, info[key], want)
			}
		}
		if got := info["commitLogDirCapacity"]; !strings.HasPrefix(got, "Total : 1.0 TiB, Free : ") {
			t.Errorf("capacity %q", got)
		}
		for rate := range strings.FieldsSeq(info["putTps"]) {
			if x, perr := strconv.ParseFloat(rate, 64); perr != nil || x < 8.9 || x > 10.1 || len(strings.Fields(info["putTps"])) != 3 {
				t.Errorf("putTps %q", info["putTps"])
			}
		}
		time.Sleep(2 * time.Hour) // the day changes
		info, err = r.RuntimeInfo(t.Context())
		must(t, err)
		if info["putTps"] != "0.0 0.0 0.0" || info["msgPutTotalTodayMorning"] != "1200" {
			t.Errorf("putTps %q, this morning %s", info["putTps"], info["msgPutTotalTodayMorning"])
		}
		r.stop()
	})
}

func TestOpenChecksItsOptions(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, c := range []struct {
		o    broker.Options
		want string
	}{
		{broker.Options{}, "broker needs a store"},
		{broker.Options{Store: r.store, FS: r.fs, Dir: "/x", ID: -1}, "brokerId = -1"},
		{broker.Options{Store: r.store, FS: r.fs, Dir: "/x", Perm: 8}, "brokerPermission = 8"},
	} {
		if _, err := broker.Open(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
