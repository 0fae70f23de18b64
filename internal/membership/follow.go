package membership

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Timing of a slave's questions. Java asks for everything every 60 s, in controller mode every 10 s.
const (
	followTick   = 3 * time.Second // offsets
	followAll    = 3               // ticks between questions for topics, groups and delays
	followCall   = 5 * time.Second
	followBehind = 10 * time.Second // how long the log may take to reach what the tables speak of
)

// Tables is where a slave keeps what its master says.
type Tables interface {
	FollowTopics(list []mq.TopicConfig, v mq.DataVersion) error
	FollowGroups(list []mq.GroupConfig, v mq.DataVersion) error
	FollowOffsets(text []byte) error
	FollowDelays(text []byte) error
}

// FollowerOptions configure a Follower.
type FollowerOptions struct {
	Client Client
	Tables Tables
	// Copying reports whether the log of the master is being copied: tables of anybody else are not wanted.
	Copying func() bool
	// End returns the end of the slave's log.
	End func() mq.Offset
	Log *slog.Logger
}

// Follower keeps the tables of a slave like its master's, and checks that the two logs are the same. Positions of consumers and
// of delayed messages are taken over only when the slave's log has what they speak of, so that a slave which becomes master
// skips nothing.
type Follower struct {
	o FollowerOptions

	mu     sync.Mutex // guards master
	master string
}

// NewFollower returns a Follower; Run makes it work.
func NewFollower(o FollowerOptions) *Follower {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Follower{o: o}
}

// Follow names the address of the master, as clients connect to it.
func (f *Follower) Follow(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.master = addr
}

func (f *Follower) addr() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.master
}

// Run asks the master again and again until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	t := time.NewTicker(followTick)
	defer t.Stop()
	said := ""
	copied := false
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		addr := f.addr()
		if addr == "" || !f.o.Copying() {
			copied = false
			continue
		}
		all := !copied || n%followAll == 0
		err := f.round(ctx, addr, all)
		copied = err == nil
		switch {
		case ctx.Err() != nil:
		case err != nil && err.Error() != said:
			said = err.Error()
			f.o.Log.Warn("the tables of the master were not taken over, will try again", "peer", addr, "err", err)
		case err == nil && said != "":
			said = ""
			f.o.Log.Info("the tables of the master are taken over again", "peer", addr)
		}
	}
}

// round takes over what the master has.
func (f *Follower) round(ctx context.Context, addr string, all bool) error {
	if all {
		if err := errors.Join(f.topics(ctx, addr), f.groups(ctx, addr)); err != nil {
			return err
		}
	}
	offsets, err := f.body(ctx, addr, protocol.ReqGetAllConsumerOffset)
	if err != nil {
		return err
	}
	var delays []byte
	if all {
		if delays, err = f.body(ctx, addr, protocol.ReqGetAllDelayOffset); err != nil {
			return err
		}
	}
	end, err := f.end(ctx, addr)
	if err != nil {
		return err
	}
	if !f.reach(ctx, end) {
		return nil // far behind; next time
	}
	if len(offsets) > 0 {
		if err := f.o.Tables.FollowOffsets(offsets); err != nil {
			return err
		}
	}
	if len(delays) > 0 {
		return f.o.Tables.FollowDelays(delays)
	}
	return nil
}

// reach waits a while for the slave's log to reach end.
func (f *Follower) reach(ctx context.Context, end mq.Offset) bool {
	const step = 100 * time.Millisecond
	t := time.NewTicker(step)
	defer t.Stop()
	for left := followBehind; f.o.End() < end; left -= step {
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		}
		if left <= 0 {
			return false
		}
	}
	return true
}

func (f *Follower) topics(ctx context.Context, addr string) error {
	body, err := f.body(ctx, addr, protocol.ReqGetAllTopicConfig)
	if err != nil {
		return err
	}
	var w protocol.TopicConfigAndMappingSerializeWrapper
	if err := w.Decode(body); err != nil {
		return fmt.Errorf("topics of the master: %w", err)
	}
	list := make([]mq.TopicConfig, 0, len(w.TopicConfigTable))
	for i := range w.TopicConfigTable {
		t := &w.TopicConfigTable[i]
		list = append(list, mq.TopicConfig{
			Name: t.TopicName, ReadQueues: t.ReadQueueNums, WriteQueues: t.WriteQueueNums, Perm: mq.Perm(t.Perm),
			Filter: t.TopicFilterType, SysFlag: t.TopicSysFlag, Order: t.Order, Attributes: t.Attributes,
		})
	}
	return f.o.Tables.FollowTopics(list, mq.DataVersion(w.DataVersion))
}

func (f *Follower) groups(ctx context.Context, addr string) error {
	body, err := f.body(ctx, addr, protocol.ReqGetAllSubscriptionGroupConfig)
	if err != nil {
		return err
	}
	var w protocol.SubscriptionGroupWrapper
	if err := w.Decode(body); err != nil {
		return fmt.Errorf("groups of the master: %w", err)
	}
	list := make([]mq.GroupConfig, 0, len(w.SubscriptionGroupTable))
	for i := range w.SubscriptionGroupTable {
		g := &w.SubscriptionGroupTable[i]
		list = append(list, mq.GroupConfig{
			Name: g.GroupName, ConsumeEnable: g.ConsumeEnable, ConsumeFromMinEnable: g.ConsumeFromMinEnable,
			ConsumeBroadcastEnable: g.ConsumeBroadcastEnable, ConsumeMessageOrderly: g.ConsumeMessageOrderly,
			RetryQueues: g.RetryQueueNums, RetryMaxTimes: g.RetryMaxTimes, RetryPolicy: g.GroupRetryPolicy, BrokerID: g.BrokerID,
			WhichBrokerWhenSlow: g.WhichBrokerWhenConsumeSlowly, NotifyConsumerIDsChanged: g.NotifyConsumerIDsChangedEnable,
			SysFlag: g.GroupSysFlag, ConsumeTimeoutMinutes: g.ConsumeTimeoutMinute, SubscriptionData: g.SubscriptionDataSet,
			Attributes: g.Attributes,
		})
	}
	return f.o.Tables.FollowGroups(list, mq.DataVersion(w.DataVersion))
}

// end returns the end of the master's log.
func (f *Follower) end(ctx context.Context, addr string) (mq.Offset, error) {
	body, err := f.body(ctx, addr, protocol.ReqGetBrokerRuntimeInfo)
	if err != nil {
		return 0, err
	}
	var t protocol.KVTable
	if derr := t.Decode(body); derr != nil {
		return 0, fmt.Errorf("runtime info of the master: %w", derr)
	}
	n, err := strconv.ParseInt(t.Table["commitLogMaxOffset"], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("runtime info of the master: commitLogMaxOffset: %w", err)
	}
	return mq.Offset(n), nil
}

func (f *Follower) body(ctx context.Context, addr string, code int32) ([]byte, error) {
	resp, err := f.call(ctx, addr, &remoting.Command{Code: code})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (f *Follower) call(ctx context.Context, addr string, cmd *remoting.Command) (*remoting.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, followCall)
	defer cancel()
	code := cmd.Code
	resp, err := f.o.Client.Invoke(ctx, addr, cmd)
	if err != nil {
		return nil, fmt.Errorf("ask the master for code %d: %w", code, err)
	}
	if resp.Code != protocol.RespSuccess {
		return nil, &answer{code: code, resp: resp.Code, remark: resp.Remark}
	}
	return resp, nil
}

// answer is one of the master that is not a success.
type answer struct {
	code, resp int32
	remark     string
}

func (a *answer) Error() string {
	return fmt.Sprintf("the master answered code %d with %d: %s", a.code, a.resp, a.remark)
}

// SameLog asks the master for the message at off, the last one that the slave has, and compares it with rec. It returns nil
// when it is the same, or when the address of the master is not known yet.
func (f *Follower) SameLog(ctx context.Context, off mq.Offset, rec []byte) error {
	addr := f.addr()
	if addr == "" {
		return nil
	}
	resp, err := f.call(ctx, addr, &remoting.Command{
		Code: protocol.ReqViewMessageByID, Header: &protocol.ViewMessageRequestHeader{Offset: int64(off)},
	})
	why := "it holds another one there"
	if a, ok := errors.AsType[*answer](err); ok {
		why, resp = cmp.Or(a.remark, strconv.Itoa(int(a.resp))), nil
	} else if err != nil {
		return err
	}
	if resp != nil && bytes.Equal(resp.Body, rec) {
		return nil
	}
	return fmt.Errorf("the last message of this slave, at log offset %d, is not in the master's log (%s): the logs have parted. Move this store away and let it copy anew, or make it the master", off, why)
}
