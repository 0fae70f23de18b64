package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
)

const reviveTopic = "rmq_sys_REVIVE_LOG_DefaultCluster"

// revive stores what a Java broker would have in its revive topic.
func (r *rig) revive(tag, body string) {
	r.t.Helper()
	var b storage.Batch
	m := record.Message{
		Topic: []byte(reviveTopic), Body: []byte(body), Props: record.AppendProp(nil, "TAGS", tag), BornTime: time.Now().UnixMilli(), BornHost: client,
	}
	if _, err := b.Add(r.store.Queue(reviveTopic, 0), &m); err != nil {
		r.t.Fatal(err)
	}
	must(r.t, r.store.Append(&b))
	r.settle()
}

// What a Java broker had handed out when it stopped: acknowledged by its own messages or by clients that come to us with its
// handles, hidden for longer, or to be handed out again.
func TestPopGoesOnWithWhatJavaHandedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		popTime := begin.Add(-2 * time.Second).UnixMilli()
		r := start(t)
		r.topic("T", 1)
		must(t, r.PutGroup(t.Context(), mq.DefaultGroupConfig("g")))
		r.putN("T", 6)
		r.settle()
		must(t, r.CommitIndex(t.Context(), "g", "T", 0, 5)) // Java: all but m5 are handed out
		java := func(at int) popped {
			return popped{index: mq.Index(at), retry: "0", handle: fmt.Sprintf("0 %d 10000 3 0 broker-a 0 %d", popTime, at)}
		}
		r.ack("g", "T", java(2)) // its checkpoint is still in a timer
		res, err := r.ChangeInvisible(t.Context(), &mq.ChangeInvisibleRequest{AckRequest: *r.ackOf("g", "T", java(3)), Invisible: 30_000})
		if err != nil || res.Note != "" {
			t.Fatalf("%+v %v", res, err)
		}
		r.revive("ck", fmt.Sprintf(`{"bm":1,"bn":"broker-a","c":"g","d":[0,1,2,3,4],"it":10000,"n":5,"pt":%d,"q":0,"ro":0,"so":0,"t":"T"}`, popTime))
		r.revive("ack", fmt.Sprintf(`{"ao":1,"bn":"broker-a","c":"g","pt":%d,"q":0,"so":0,"t":"T"}`, popTime))
		synctest.Wait()
		if list := r.pop(popRequest("g", "T", time.Hour)); texts(list) != "m5" {
			t.Fatalf("new: %v", list)
		}
		if at, err := r.QueryIndex(t.Context(), "CID_RMQ_SYS_REVIVE_GROUP", reviveTopic, 0, false); err == nil {
			t.Errorf("Java's position is %d while messages are owed", at)
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		r.settle()
		list := r.pop(popRequest("g", "T", time.Hour))
		if texts(list) != "m4" || list[0].retry != "1" || list[0].reconsume != 1 {
			t.Fatalf("again: %v", list)
		}
		r.ack("g", "T", list...)
		// m3 with its new handle.
		f := strings.Fields(java(3).handle)
		f[1], f[2] = fmt.Sprint(res.PopTime), "30000"
		p := java(3)
		p.handle = strings.Join(f, " ")
		r.ack("g", "T", p)
		time.Sleep(time.Minute)
		synctest.Wait()
		r.settle()
		if list := r.pop(popRequest("g", "T", time.Hour)); len(list) != 0 {
			t.Errorf("%v", list)
		}
		if at, err := r.QueryIndex(t.Context(), "CID_RMQ_SYS_REVIVE_GROUP", reviveTopic, 0, false); err != nil || at != 1 {
			t.Errorf("Java's position %d %v", at, err)
		}
	})
}
