package membership

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// goOnline makes the broker known when it may be.
func (m *SetMember) goOnline(ctx context.Context) {
	if m.o.Direct || len(m.names()) == 0 {
		m.open(ctx, m.o.ID == 0)
		return
	}
	said := ""
	for done := map[int64]bool{}; ctx.Err() == nil; sleepFor(ctx, onlineRetry) {
		err := m.prepare(ctx, done)
		if err == nil || ctx.Err() != nil {
			return
		}
		if err.Error() != said {
			said = err.Error()
			m.o.Log.Warn("not online yet, will try again", "err", err)
		}
	}
}

// open ends the isolation.
func (m *SetMember) open(ctx context.Context, acts bool) {
	m.act(ctx, acts)
	m.o.Host.Online()
	m.online.Store(true)
	m.o.Log.Info("online", "id", m.o.ID, "acts", acts)
}

// prepare does what comes before being known, depending on who is there. done has the slaves that a master has dealt with.
func (m *SetMember) prepare(ctx context.Context, done map[int64]bool) error {
	members, err := m.members(ctx)
	if err != nil {
		return err
	}
	if addr, ok := members[m.o.ID]; ok {
		if addr != m.o.Addr {
			if _, err := m.ask(ctx, addr); err == nil {
				return fmt.Errorf("broker %s has the id %d of set %s: each broker of a set has its own brokerId", addr, m.o.ID, m.o.Name)
			}
		}
		delete(members, m.o.ID) // this broker, before it was started again, or one that is dead
	}
	switch low := lowest(members); {
	case m.o.ID == 0:
		return m.comeBack(ctx, members, done)
	case low == 0:
		return m.join(ctx, members[0])
	default: // nobody, or slaves only: note decides who acts
		m.open(ctx, false)
		return nil
	}
}

// join connects a slave to its master.
func (m *SetMember) join(ctx context.Context, master string) error {
	info, err := m.ask(ctx, master)
	if err != nil {
		return err
	}
	if info.HAAddr != "" { // a master of Java that does not replicate
		m.o.Host.Follow(master, info.HAAddr)
		if !waitFor(ctx, onlineWait, m.o.Host.Copying) {
			return fmt.Errorf("no connection to the master at %s within %v", info.HAAddr, onlineWait)
		}
	}
	m.settled.Store(true)
	m.open(ctx, false)
	return nil
}

// comeBack makes a master the master again.
func (m *SetMember) comeBack(ctx context.Context, members map[int64]string, done map[int64]bool) error {
	for _, id := range slices.Sorted(maps.Keys(members)) {
		if id == 0 || done[id] {
			continue
		}
		addr := members[id]
		var err error
		for until := time.Now().Add(onlineSlave); ; sleepFor(ctx, onlineRetry) {
			if err = m.relieve(ctx, addr); err == nil || ctx.Err() != nil || !time.Now().Before(until) {
				break
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			m.o.Log.Error("this master goes online without having heard of a slave what it did meanwhile: some of it may be done again",
				"id", id, "peer", addr, "err", err)
		}
		done[id] = true
	}
	m.open(ctx, true)
	return nil
}

// relieve takes over from one slave.
func (m *SetMember) relieve(ctx context.Context, addr string) error {
	start := m.o.Host.Start()
	resp, err := m.call(ctx, addr, &remoting.Command{Code: protocol.ReqExchangeBrokerHAInfo, Header: &protocol.ExchangeHAInfoRequestHeader{
		MasterHAAddress: m.o.HAAddr, MasterFlushOffset: int64(start), HasMasterFlushOffset: true, MasterAddress: m.o.Addr,
	}})
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address of a slave: %w", err)
	}
	connected := waitFor(ctx, onlineWait, func() bool { return m.o.Host.Copied(host) })
	// What it did counts even if its log has parted from this one.
	if err := m.takeOver(ctx, addr, resp.Ext[mq.ExactProgress] != ""); err != nil {
		return err
	}
	if !connected {
		return fmt.Errorf("slave %s has not connected within %v", addr, onlineWait)
	}
	return nil
}

// takeOver asks a slave how far it is. exact: it is a CometMQ broker, which has stopped before it says so.
func (m *SetMember) takeOver(ctx context.Context, addr string, exact bool) error {
	body := func(code int32) ([]byte, error) {
		resp, err := m.call(ctx, addr, &remoting.Command{Code: code})
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}
	delays, derr := body(protocol.ReqGetAllDelayOffset)
	offsets, oerr := body(protocol.ReqGetAllConsumerOffset)
	if err := errors.Join(derr, oerr); err != nil {
		return err
	}
	check, err := body(protocol.ReqGetTimerCheckPoint)
	timer := timerOf(check, exact)
	if timer == nil {
		m.o.Log.Warn("a slave does not say how far its timers are, they may be delivered again", "peer", addr, "err", err)
	}
	if err := m.o.Host.Resume(offsets, delays, timer); err != nil {
		return fmt.Errorf("what slave %s did: %w", addr, err)
	}
	m.o.Log.Info("took over from a slave", "peer", addr)
	return nil
}

// timerMargin is by how much a Java slave may take timers for delivered too early: its times are rounded to seconds, and what is due
// is written down before it is delivered.
const timerMargin = 3 * time.Second

// timerOf reads a timer checkpoint: the time up to which timers were delivered, and how many of the timer topic its master had taken,
// are the first and the fourth of seven numbers. nil: it says nothing.
func timerOf(check []byte, exact bool) *mq.TimerProgress {
	const number = 8
	if len(check) < 4*number {
		return nil
	}
	at := int64(binary.BigEndian.Uint64(check))
	index := int64(binary.BigEndian.Uint64(check[3*number:]))
	if !exact {
		at -= timerMargin.Milliseconds()
	}
	if at <= 0 || index < 0 {
		return nil
	}
	return &mq.TimerProgress{Time: at, Index: mq.Index(index)}
}

// waitFor waits until ok says so, at most for d.
func waitFor(ctx context.Context, d time.Duration, ok func() bool) bool {
	const step = 50 * time.Millisecond
	for until := time.Now().Add(d); ctx.Err() == nil; sleepFor(ctx, step) {
		if ok() {
			return true
		}
		if !time.Now().Before(until) {
			break
		}
	}
	return false
}

func sleepFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func parseOffset(text string) (mq.Offset, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	return mq.Offset(n), err
}
