package member

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/cometmq/cometmq/internal/protocol"
)

// mark is how far the log of this broker has been: a lower bound of where it has to end when the broker is started again. It lies in a
// file next to the identity, not in the log, so that it is still there when the log is lost.
//
// A broker writes it when it has been found whole, before it registers, and then again and again. Once it is registered the file so
// says what the log had, a second ago at most, and never more: only what would survive a loss of power is counted.
type mark struct {
	id int64
	Place
}

// Place is a place in a log, as far as epochs tell two logs apart.
type Place struct {
	Epoch  int32 // of the byte before it; 0: none
	Offset int64
}

// before reports whether a log that ends at p has less than one that ends at o. One that goes on in a newer epoch may be shorter: a
// slave cuts what its new master does not have.
func (p Place) before(o Place) bool {
	return cmp.Or(cmp.Compare(p.Epoch, o.Epoch), cmp.Compare(p.Offset, o.Offset)) < 0
}

// markSuffix makes the name of the file.
const markSuffix = "-log"

func (f identityFiles) mark() string { return f.path + markSuffix }

// loadMark returns the mark; nil when there is none.
func (f identityFiles) loadMark() (*mark, error) {
	parts, err := f.read(f.mark(), 5)
	if parts == nil {
		return nil, err
	}
	id, err := parseIdentity(f.mark(), parts)
	if err != nil {
		return nil, err
	}
	epoch, err1 := strconv.ParseInt(parts[3], 10, 32)
	end, err2 := strconv.ParseInt(parts[4], 10, 64)
	if err1 != nil || err2 != nil || epoch < 0 || end < 0 {
		return nil, fmt.Errorf("%s: want cluster#brokerName#number#epoch#offset, not %q", f.mark(), parts)
	}
	return &mark{id.ID, Place{int32(epoch), end}}, nil
}

func (f identityFiles) saveMark(cluster, name string, k mark) error {
	return f.write(f.mark(), fmt.Sprintf("%s#%s#%d#%d#%d", cluster, name, k.id, k.Epoch, k.Offset))
}

// whole checks that this broker has not lost a part of its log while it counts as one that has all that was acknowledged: it could be
// elected, and the others would cut theirs. The master drops it from the set of those in sync; then it comes in.
//
// Differs from Java: there it is elected, when it is the only one of the set that lives or has written in the newest epoch.
func (m *Member) whole(id int64, set *protocol.ReplicasInfo) error {
	k, err := m.files.loadMark()
	if err != nil {
		return fmt.Errorf("how far the log has been: %w", err)
	}
	end, why := m.o.Status().End, ""
	switch {
	case k != nil && k.id == id:
		if m.marked = *k; end.before(k.Place) {
			why = fmt.Sprintf("it was in epoch %d and ended at %d", k.Epoch, k.Offset)
		}
	case end.Offset == 0: // of a Java broker, or of one whose store was lost with the mark
		why = fmt.Sprintf("%s is missing. If there has never been a message, write %s#%s#%d#0#0 to it", m.files.mark(), m.o.Cluster, m.o.Name, id)
	}
	if why != "" && slices.ContainsFunc(set.InSync, func(r protocol.ReplicaIdentity) bool { return r.BrokerID == id }) {
		return fmt.Errorf("the log of this broker, number %d of %s, is in epoch %d and ends at %d; %s. A part of the log was lost, and the controllers count it as in sync: "+
			"it waits until a master has dropped it from that set, so that nothing acknowledged is lost", id, m.o.Name, end.Epoch, end.Offset, why)
	}
	if why != "" && k != nil {
		m.o.Log.Warn("a part of this broker's log was lost; it is not in sync and gets it from its master", "epoch", end.Epoch, "end", end.Offset, "lost", why)
	}
	return m.mark(id)
}

// mark writes down how far the log is. It is called by one goroutine at a time: until the broker has registered by follow, from then
// on by keepMark.
func (m *Member) mark(id int64) error {
	s := m.o.Status()
	k := mark{id, s.Durable}
	// After a start less may be known to be durable than is. But a log that was cut is shorter.
	if m.marked.id == id && !m.marked.before(s.Durable) && !s.End.before(m.marked.Place) {
		return nil
	}
	if err := m.files.saveMark(m.o.Cluster, m.o.Name, k); err != nil {
		return fmt.Errorf("write down how far the log is: %w", err)
	}
	m.marked = k
	return nil
}

// keepMark writes down how far the log is, until ctx ends. What it cannot write leaves the file as it is: the log has more then.
func (m *Member) keepMark(ctx context.Context) {
	select {
	case <-m.entered:
	case <-ctx.Done():
		return
	}
	m.mu.Lock()
	id := m.id
	m.mu.Unlock()
	var said complaint
	for wait(ctx, m.o.Heartbeat, nil) {
		said.note(ctx, m.o.Log, "keep the mark of the log", m.mark(id))
	}
}
