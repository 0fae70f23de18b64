package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/record"
)

// SwitchSlaveOptions configure a SwitchSlave.
type SwitchSlaveOptions struct {
	SlaveOptions // Check is not used

	Epochs   *Epochs // of the store
	ID       int64   // of this broker, as the controller counts
	LastFile bool    // syncFromLastFile: when the log is empty only the master's newest file is copied
	Learner  bool    // asyncLearner: never in the sync-state set
	// LimitReaders: what the master has not confirmed is not shown to readers (allAckInSyncStateSet).
	LimitReaders bool
	// SameLog, if not nil, is asked whether the master has the record rec at off, the last one that both should have: the epochs
	// of two clusters may look the same. An error ends the connection; it is asked again with the next one.
	SameLog func(ctx context.Context, off record.Offset, rec []byte) error
}

// TruncateError says that a slave's log goes on behind To with what its master does not have. The log must be cut there before
// the slave can go on: storage.Options.TruncateTo.
type TruncateError struct {
	To     record.Offset
	End    record.Offset // of the slave's log
	Epoch  Epoch         // the newest that both have
	Master string
}

func (e *TruncateError) Error() string {
	return fmt.Sprintf("what this slave's log holds from %d to %d is not in the log of the master %s (same up to there since epoch %d)", e.To, e.End, e.Master, e.Epoch.Number)
}

// DivergedError says that a slave's log and its master's have nothing in common: the store must be moved away and copied anew.
type DivergedError struct {
	Master string
	Why    string
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("the log of this slave is not one of the master's at %s: %s. Move this store away and let it copy anew", e.Master, e.Why)
}

// SwitchSlave keeps a store's log a copy of its master's, by AutoSwitchHA.
type SwitchSlave struct {
	*copier
	o         SwitchSlaveOptions
	epoch     atomic.Int32 // in which the controller named the master
	heard     atomic.Int32 // the newest epoch that the master knows
	confirmed atomic.Int64
}

// NewSwitchSlave returns a SwitchSlave that follows nobody yet; Run makes it work. It forgets epochs behind the end of the log.
func NewSwitchSlave(o SwitchSlaveOptions) (*SwitchSlave, error) {
	if o.ID < 1 || o.ID > maxID {
		return nil, fmt.Errorf("broker id %d: the controller counts from 1", o.ID)
	}
	if err := o.Epochs.cut(o.Store.Appended()); err != nil {
		return nil, err
	}
	s := &SwitchSlave{o: o}
	s.copier = newCopier(o.SlaveOptions, switchAccent{s})
	s.copier.o.Check = nil
	if o.LimitReaders {
		o.Store.SetReadable(o.Store.Dispatched())
	}
	return s, nil
}

// Follow names the address where the master serves slaves, and the epoch for which the controller elected it; "" for none. A
// connection to another one is given up.
func (s *SwitchSlave) Follow(addr string, epoch int32) {
	s.epoch.Store(epoch)
	s.copier.Follow(addr)
}

// Run follows the master until ctx ends, or until the log must be changed in a way that only its owner can: a *TruncateError or
// a *DivergedError.
func (s *SwitchSlave) Run(ctx context.Context) error { return s.copier.Run(ctx) }

// SwitchSlaveState is how a slave in controller mode stands to its master.
type SwitchSlaveState struct {
	SlaveState
	Epochs      []Epoch       // of the slave's log
	MasterEpoch int32         // the newest that the master knows
	Confirmed   record.Offset // the master has said that the log before it is safe
}

// State tells how it goes.
func (s *SwitchSlave) State() SwitchSlaveState {
	return SwitchSlaveState{
		SlaveState: s.copier.State(), Epochs: s.o.Epochs.List(), MasterEpoch: s.heard.Load(), Confirmed: record.Offset(s.confirmed.Load()),
	}
}

// switchAccent is AutoSwitchHA's.
type switchAccent struct{ s *SwitchSlave }

// greet implements accent: the handshake, and what follows from it.
func (a switchAccent) greet(ctx context.Context, c net.Conn) (*crossing, error) {
	s := a.s
	if err := c.SetDeadline(time.Now().Add(s.copier.o.Housekeeping)); err != nil {
		return nil, err
	}
	h := handshake{lastFile: s.o.LastFile, learner: s.o.Learner, id: s.o.ID}
	if _, err := c.Write(h.encode()); err != nil { // at once: Java's master does not wait for the last 4 bytes
		return nil, fmt.Errorf("greet the master: %w", err)
	}
	var in answer
	switch err := in.read(c); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("no answer to the handshake for %v: is the other side a master in controller mode?", s.copier.o.Housekeeping)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("the master closed the connection at the handshake (is it in controller mode, is it still master?): %w", err)
	case err != nil:
		return nil, fmt.Errorf("answer to the handshake: %w", err)
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return s.agree(ctx, &in)
}

// agree finds out what the logs have in common.
func (s *SwitchSlave) agree(ctx context.Context, in *answer) (*crossing, error) {
	st, ours, master := s.o.Store, s.o.Epochs.List(), s.copier.State().Master
	end := st.Appended()
	// A Java master that has lost the end of its log keeps the epochs that began there.
	theirs := in.epochs[:epochsBefore(in.epochs, in.end+1)]
	if len(theirs) == 0 {
		return nil, errors.New("the master has no epoch yet")
	}
	newest := max(in.last, theirs[len(theirs)-1].Number, s.epoch.Load())
	s.heard.Store(newest)
	if mine := lastWritten(ours, end); mine > newest {
		return nil, fmt.Errorf("this log was written in epoch %d, the master at %s knows none behind %d: it is a master of the past", mine, master, newest)
	}
	point := end
	var kept []Epoch
	switch {
	case st.Unused():
	case lastWritten(ours, end) == math.MinInt32:
		// The log of a broker that was not in controller mode.
		if s.o.SameLog == nil {
			return nil, &DivergedError{master, "it has no epochs"}
		}
		if end > in.end {
			return nil, &DivergedError{master, fmt.Sprintf("it has no epochs and ends at %d, the master's at %d", end, in.end)}
		}
		kept = theirs[:epochsBefore(theirs, end)]
	default:
		at, p, ok := common(ours, end, theirs, in.end)
		if !ok || p < st.MinOffset() {
			return nil, &DivergedError{master, fmt.Sprintf("no epoch is in both (%s here, %s there)", epochsText(ours), epochsText(theirs))}
		}
		point = p
		upTo := epochsBefore(theirs, ours[at].Start+1)
		kept = union(ours[:at+1], theirs[:upTo])
	}
	if point > st.MinOffset() && s.o.SameLog != nil {
		if err := s.same(ctx, point); err != nil {
			return nil, err
		}
	}
	if point < end {
		e, _ := epochAt(kept, point-1)
		return nil, &TruncateError{To: point, End: end, Epoch: e, Master: master}
	}
	if err := s.o.Epochs.edit(func([]Epoch) []Epoch { return kept }); err != nil {
		return nil, fmt.Errorf("write down the epochs of the log: %w", err)
	}
	var newestKept int32 = math.MinInt32
	if len(kept) > 0 {
		newestKept = kept[len(kept)-1].Number
	}
	x := &crossing{epochs: s.o.Epochs}
	for _, e := range theirs {
		if e.Number > newestKept {
			x.ahead = addEpoch(x.ahead, e)
		}
	}
	return x, nil
}

// same asks whether the master has the last record that both logs should have.
func (s *SwitchSlave) same(ctx context.Context, point record.Offset) error {
	off, rec, err := s.o.Store.LastRecordBefore(point)
	if err != nil || rec == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return s.o.SameLog(ctx, off, rec)
}

// report implements accent.
func (switchAccent) report(dst []byte, end record.Offset) []byte { return appendSwitchReport(dst, end) }

// received implements accent.
func (a switchAccent) received(r *receiver) {
	confirmed := min(r.x.confirm, r.base)
	if had := record.Offset(a.s.confirmed.Load()); confirmed <= had {
		return
	}
	a.s.confirmed.Store(int64(confirmed))
	if a.s.o.LimitReaders {
		a.s.o.Store.SetReadable(confirmed)
	}
}

// final implements accent.
func (switchAccent) final(err error) bool {
	_, cut := errors.AsType[*TruncateError](err)
	_, parted := errors.AsType[*DivergedError](err)
	return cut || parted
}

// epochsText is the end of a list for a log line.
func epochsText(list []Epoch) string {
	const most = 5
	if len(list) == 0 {
		return "none"
	}
	var text []string
	for _, e := range list[max(len(list)-most, 0):] {
		text = append(text, fmt.Sprintf("%d from %d on", e.Number, e.Start))
	}
	return strings.Join(text, ", ")
}
