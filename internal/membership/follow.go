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

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/wireconf"
)

// Timing of a slave's questions to a Java master. Java asks for everything every 60 s, in controller mode every 10 s.
const (
	followTick   = 3 * time.Second // offsets
	followAll    = 3               // ticks between questions for topics, groups and delays
	followCall   = 5 * time.Second
	followBehind = 10 * time.Second // how long the log may take to reach what the tables speak of
)

// Timing of a slave's questions to a CometMQ master.
const (
	streamCall  = 15 * time.Second // longer than a question waits there
	streamRetry = 100 * time.Millisecond
	streamAgain = 500 * time.Millisecond // after an error
	askKind     = 60 * time.Second       // how often a Java master is asked again whether it is one
)

// Tables is where a slave keeps what its master says.
type Tables interface {
	// The tables of a Java master, as it answers its slaves.

	FollowTopics(list []mq.TopicConfig, v mq.DataVersion) error
	FollowGroups(list []mq.GroupConfig, v mq.DataVersion) error
	FollowOffsets(text []byte) error
	FollowDelays(text []byte) error
	FollowModes(text []byte) error
	FollowTimer(check []byte) error
	FollowTimerMetrics(text []byte) error

	// The stream of a CometMQ master: the next question (ok = false: none now), what becomes of the answer, and what to tell the
	// master when there is something in TableReports.

	TableQuestion() (question []byte, ok bool)
	TakeTables(answer []byte) error
	TableReports() <-chan struct{}
	TableReport() []byte
	// ForgetMaster drops what was taken and not applied yet.
	ForgetMaster()
}

// FollowerOptions configure a Follower.
type FollowerOptions struct {
	Client interface {
		Client
		Oneway(ctx context.Context, addr string, cmd *remoting.Command) error
	}
	Tables Tables
	// Copying reports whether the log of the master is being copied: tables of anybody else are not wanted.
	Copying func() bool
	// End returns the end of the slave's log.
	End func() mq.Offset
	Log *slog.Logger
}

// Follower keeps the tables of a slave like its master's, and checks that the two logs are the same. Of a CometMQ master it gets a
// stream of what changes, within milliseconds; a Java master is asked for its tables again and again. Positions of consumers and
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
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.report(ctx) })
	c := conversation{f: f}
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		t.Reset(c.turn(ctx))
	}
}

// conversation is how a Follower stands to one master after the other.
type conversation struct {
	f      *Follower
	addr   string
	java   time.Time // when it was last found out that the master does not know streams
	copied bool      // of a Java master: everything has been taken over
	n      int       // rounds with it
	said   string
}

// turn does one thing and returns how long to wait before the next.
func (c *conversation) turn(ctx context.Context) time.Duration {
	f := c.f
	addr := f.addr()
	if addr != c.addr {
		f.o.Tables.ForgetMaster()
		*c = conversation{f: f, addr: addr, said: c.said}
	}
	if addr == "" || !f.o.Copying() {
		c.copied, c.java = false, time.Time{} // the next one there may be another kind
		return streamRetry
	}
	var err error
	wait := time.Duration(0)
	if c.java.IsZero() || time.Since(c.java) >= askKind {
		wait, err = c.stream(ctx)
		if a, ok := errors.AsType[*answer](err); ok && a.resp == protocol.RespRequestCodeNotSupported {
			if c.java.IsZero() {
				f.o.Log.Info("the master does not know the stream of tables: it is asked for all of them every few seconds", "peer", addr)
			}
			c.java, err = time.Now(), nil
		} else {
			c.java = time.Time{}
		}
	}
	if !c.java.IsZero() {
		err = f.round(ctx, addr, !c.copied || c.n%followAll == 0)
		c.n++
		c.copied = err == nil
		wait = followTick
	}
	c.tell(ctx, err)
	return wait
}

// tell logs what has changed.
func (c *conversation) tell(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil && err.Error() != c.said:
		c.said = err.Error()
		c.f.o.Log.Warn("the tables of the master were not taken over, will try again", "peer", c.addr, "err", err)
	case err == nil && c.said != "":
		c.said = ""
		c.f.o.Log.Info("the tables of the master are taken over again", "peer", c.addr)
	}
}

// stream asks once for what has changed.
func (c *conversation) stream(ctx context.Context) (wait time.Duration, err error) {
	f := c.f
	question, ok := f.o.Tables.TableQuestion()
	if !ok {
		return streamRetry, nil
	}
	resp, err := f.callFor(ctx, c.addr, &remoting.Command{Code: protocol.ReqFollowTables, Body: question}, streamCall)
	if err != nil {
		return streamAgain, err
	}
	if f.addr() != c.addr || !f.o.Copying() {
		return 0, nil // it is not the master any more; the same question comes again if it is
	}
	if err := f.o.Tables.TakeTables(resp.Body); err != nil {
		return streamAgain, err
	}
	return 0, nil
}

// report tells the master how far this slave is when it may be waiting for that, until ctx ends.
func (f *Follower) report(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.o.Tables.TableReports():
		}
		if addr := f.addr(); addr != "" {
			// What is not told now is in the next question.
			_ = f.o.Client.Oneway(ctx, addr, &remoting.Command{Code: protocol.ReqFollowTables, Body: f.o.Tables.TableReport()})
		}
	}
}

// round takes over what a Java master has.
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
	timer, err := f.optional(ctx, addr, protocol.ReqGetTimerCheckPoint)
	if err != nil {
		return err
	}
	var delays, modes, metrics []byte
	if all {
		if delays, err = f.body(ctx, addr, protocol.ReqGetAllDelayOffset); err != nil {
			return err
		}
		if modes, err = f.optional(ctx, addr, protocol.ReqGetAllMessageRequestMode); err != nil {
			return err
		}
		if metrics, err = f.optional(ctx, addr, protocol.ReqGetTimerMetrics); err != nil {
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
	var errs []error
	for _, t := range []struct {
		body []byte
		take func([]byte) error
	}{
		{offsets, f.o.Tables.FollowOffsets},
		{timer, f.o.Tables.FollowTimer},
		{delays, f.o.Tables.FollowDelays},
		{modes, f.o.Tables.FollowModes},
		{metrics, f.o.Tables.FollowTimerMetrics},
	} {
		if len(t.body) > 0 {
			errs = append(errs, t.take(t.body))
		}
	}
	return errors.Join(errs...)
}

// optional is body for what not every master has: old ones do not know it, and some have no timers.
func (f *Follower) optional(ctx context.Context, addr string, code int32) ([]byte, error) {
	b, err := f.body(ctx, addr, code)
	if a, ok := errors.AsType[*answer](err); ok {
		f.o.Log.Debug("the master does not say", "peer", addr, "err", a)
		return nil, nil
	}
	return b, err
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
	if err = w.Decode(body); err != nil {
		return fmt.Errorf("topics of the master: %w", err)
	}
	list := make([]mq.TopicConfig, 0, len(w.TopicConfigTable))
	for i := range w.TopicConfigTable {
		t := &w.TopicConfigTable[i]
		c := wireconf.ToTopic(t)
		if detail := w.TopicQueueMappingDetailMap[t.TopicName]; detail != nil {
			if c.Static, err = logicqueue.Parse(detail); err != nil {
				return fmt.Errorf("static topic %s of the master: %w", t.TopicName, err)
			}
		}
		list = append(list, c)
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
		list = append(list, wireconf.ToGroup(&w.SubscriptionGroupTable[i]))
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
	return f.callFor(ctx, addr, cmd, followCall)
}

func (f *Follower) callFor(ctx context.Context, addr string, cmd *remoting.Command, most time.Duration) (*remoting.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
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
// when it is the same. Before anybody has said where clients find the master, guess is asked, if it is not empty: what another broker
// answers there is no reason to take the logs for different ones.
func (f *Follower) SameLog(ctx context.Context, guess string, off mq.Offset, rec []byte) error {
	addr := f.addr()
	switch {
	case addr != "":
		return f.sameLog(ctx, addr, off, rec)
	case guess == "":
		return errNotCompared
	}
	if err := f.sameLog(ctx, guess, off, rec); err != nil {
		return fmt.Errorf("%w, and at %s: %w", errNotCompared, guess, err)
	}
	return nil
}

var errNotCompared = errors.New("the log is not compared with the master's yet: no name server has said where the master is")

func (f *Follower) sameLog(ctx context.Context, addr string, off mq.Offset, rec []byte) error {
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
