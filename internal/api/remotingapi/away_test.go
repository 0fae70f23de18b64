package remotingapi

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

type nobody struct{}

func (nobody) Detach(*mq.Session) {}

// TestAbsence: while there is no core sends are refused, and who waits for messages is told to ask again at the end.
func TestAbsence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Listen("127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		a := NewAbsence(nobody{}, Options{Region: "here"}, "not now", true)
		s := remoting.NewServer(remoting.ServerOptions{})
		s.Swap(a.Handlers())()
		served := make(chan error, 1)
		go func() { served <- s.Serve(t.Context(), l) }()
		c := remoting.NewClient(remoting.ClientOptions{Dial: n.Dial})
		ask := func(code int32, h remoting.HeaderAppender) *remoting.Response {
			r, err := c.Invoke(context.Background(), "127.0.0.1:1", &remoting.Command{Code: code, Header: h})
			if err != nil {
				t.Error(err)
				return &remoting.Response{}
			}
			return r
		}
		pull := &protocol.PullMessageRequestHeader{ConsumerGroup: "g", Topic: "T", QueueOffset: 77, MaxMsgNums: 32, SysFlag: 2, SuspendTimeoutMillis: 1000}
		send := &protocol.SendMessageRequestHeaderV2{Topic: "T", ProducerGroup: "g"}
		if r := ask(protocol.ReqSendMessageV2, send); r.Code != protocol.RespServiceNotAvailable || r.Remark != "not now" || r.Ext["MSG_REGION"] != "here" {
			t.Errorf("a send is answered %d %q %v", r.Code, r.Remark, r.Ext)
		}
		if r := ask(protocol.ReqHeartBeat, nil); r.Code != protocol.RespServiceNotAvailable {
			t.Errorf("a heartbeat is answered %d", r.Code)
		}
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := ask(protocol.ReqPullMessage, pull)
			var h protocol.PullMessageResponseHeader
			if err := h.Decode(r.Fields); err != nil || r.Code != protocol.RespPullRetryImmediately || h.NextBeginOffset != 77 {
				t.Errorf("a pull is answered %d %+v %v", r.Code, h, err)
			}
		}()
		popped := make(chan struct{})
		go func() {
			defer close(popped)
			if r := ask(protocol.ReqPopMessage, &protocol.PopMessageRequestHeader{ConsumerGroup: "g", Topic: "T"}); r.Code != protocol.RespPollingTimeout {
				t.Errorf("a pop is answered %d", r.Code)
			}
		}()
		time.Sleep(300 * time.Millisecond)
		a.End()
		<-done
		<-popped
		if d := time.Since(began); d != 300*time.Millisecond {
			t.Errorf("they waited %v", d)
		}
		if r := ask(protocol.ReqPullMessage, pull); r.Code != protocol.RespServiceNotAvailable {
			t.Errorf("after the end a pull is answered %d", r.Code)
		}
		c.Close()
		_ = s.Shutdown(context.Background())
		<-served
	})
}
