package membership_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// fakeCluster is a name server and a broker that answers with code and the fields of ext.
type fakeCluster struct {
	code  int32
	ext   string
	at    int64
	down  error
	asked []string
}

func (c *fakeCluster) Invoke(_ context.Context, addr string, cmd *remoting.Command) (*remoting.Command, error) {
	if cmd.Code == protocol.ReqGetBrokerClusterInfo {
		return &remoting.Command{Body: []byte(`{"brokerAddrTable":{"b":{"brokerAddrs":{0:"10.0.0.2:10911"},"brokerName":"b","cluster":"c"}},"clusterAddrTable":{"c":["b"]}}`)}, nil
	}
	c.asked = append(c.asked, fmt.Sprintf("%s %d %+v", addr, cmd.Code, cmd.Header))
	if c.down != nil {
		return nil, c.down
	}
	raw := fmt.Sprintf(`{"code":%d,"extFields":{%q:"%d","maxOffset":"9","minOffset":"1"}}`, c.code, c.ext, c.at)
	var h protocol.Header
	if err := h.DecodeJSON([]byte(raw)); err != nil {
		return nil, err
	}
	return &remoting.Command{Code: c.code, Fields: h.Fields, Body: []byte("records")}, nil
}

func TestPeersAskTheMasterAboutItsOwnQueue(t *testing.T) {
	t.Parallel()
	c := &fakeCluster{ext: "offset", at: 7}
	r := membership.New(membership.Options{NameServers: []string{"ns:9876"}, Client: c, Name: "a"})
	p := membership.NewPeers(r, 0)
	ctx := t.Context()
	for name, ask := range map[string]func() (mq.Index, error){
		"min":  func() (mq.Index, error) { return p.MinIndex(ctx, "b", "T", 3) },
		"max":  func() (mq.Index, error) { return p.MaxIndex(ctx, "b", "T", 3) },
		"time": func() (mq.Index, error) { return p.IndexAtTime(ctx, "b", "T", 3, 1, mq.BoundaryUpper) },
	} {
		if at, err := ask(); err != nil || at != 7 {
			t.Errorf("%s: %d, %v", name, at, err)
		}
	}
	if at, ok, err := p.QueryIndex(ctx, "b", "g", "T", 3); err != nil || !ok || at != 7 {
		t.Errorf("position %d, %v, %v", at, ok, err)
	}
	if err := p.CommitIndex(ctx, "b", "g", "T", 3, 5); err != nil {
		t.Error(err)
	}
	c.ext = "timestamp"
	if ms, err := p.EarliestStoreTime(ctx, "b", "T", 3); err != nil || ms != 7 {
		t.Errorf("earliest %d, %v", ms, err)
	}
	c.ext = "nextBeginOffset"
	q := &mq.PullRequest{Group: "g", Topic: "T", QueueID: 3, From: 5, MaxMessages: 32, Commit: true, HasExpression: true, Expression: "*"}
	for code, want := range map[int32]mq.FetchStatus{
		0: mq.FetchFound, 19: mq.FetchOffsetOverflowOne, 20: mq.FetchNoMatchedMessage, 21: mq.FetchOffsetOverflowBadly,
	} {
		c.code = code
		f, err := p.Pull(ctx, "b", q, []byte("x"))
		if err != nil || f.Status != want || f.Next != 7 || f.Min != 1 || f.Max != 9 || (string(f.Records) == "xrecords") != (code == 0) {
			t.Errorf("code %d: %v, %+v", code, err, f)
		}
	}
	for _, asked := range c.asked {
		if !strings.HasPrefix(asked, "10.0.0.2:10911 ") || !strings.Contains(asked, "Lo:false") {
			t.Errorf("asked %s", asked)
		}
	}
	c.code = protocol.RespQueryNotFound
	if _, ok, err := p.QueryIndex(ctx, "b", "g", "T", 3); err != nil || ok {
		t.Errorf("no position: %v, %v", ok, err)
	}
	if _, err := p.MaxIndex(ctx, "b", "T", 3); mq.KindOf(err) != mq.KindInternal || err == nil {
		t.Errorf("a refusal: %v", err)
	}
	c.down = errors.New("down")
	if _, err := p.Pull(ctx, "b", q, nil); err == nil {
		t.Error("no error of a broker that is down")
	}
	if _, err := p.MinIndex(ctx, "z", "T", 3); err == nil {
		t.Error("no error of a broker that nobody knows")
	}
}
