package broker

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/record"
)

// propScan is what Send needs to know of a message's properties.
type propScan struct {
	uniq     []byte // UNIQ_KEY, part of the source
	keys     []byte // KEYS
	noWait   bool   // WAIT=false
	timed    bool   // has a time of its own
	delayed  bool   // DELAY > 0
	innerNum bool
	timerOut bool // TIMER_OUT_MS: a timer message that has had its time
	prepared bool // TRAN_MSG=true

	// What tells a message with a priority from others that have one, see priority.
	priority []byte // _SYS_MSG_PRIORITY_
	ordered  bool   // __SHARDINGKEY
	level    bool   // DELAY, whatever it says
	lite     []byte // __LITE_TOPIC
}

// brokerProps returns what every single message gets.
func brokerProps(o Options) []byte {
	p := record.AppendProp(nil, record.PropRegion, o.Region)
	p = record.AppendProp(p, record.PropTraceOn, strconv.FormatBool(o.TraceOn))
	return record.AppendProp(p, record.PropCluster, o.Cluster)
}

// rewriteProps appends p to dst as it is to be stored and fills s. As in Java, pieces without name or value are dropped,
// and so is what the broker sets itself: POP_CK is its own, region, trace switch and cluster come after. Java's order of
// the pairs is that of a hash map, so any order will do.
func (b *Broker) rewriteProps(dst []byte, p record.Props, s *propScan) []byte {
	*s = propScan{}
	for len(p) > 0 {
		piece := []byte(p)
		if i := bytes.IndexByte(p, 2); i >= 0 {
			piece, p = p[:i:i], p[i+1:]
		} else {
			p = nil
		}
		eq := bytes.IndexByte(piece, 1)
		if eq <= 0 || eq == len(piece)-1 {
			continue
		}
		if s.note(piece[:eq], piece[eq+1:]) {
			dst = append(append(dst, piece...), 2)
		}
	}
	return append(dst, b.live.Load().suffix...)
}

// read fills s from stored properties.
func (s *propScan) read(p record.Props) {
	*s = propScan{}
	p.ForEach(func(k, v []byte) bool {
		s.note(k, v)
		return true
	})
}

// note looks at one property and tells whether it is kept.
func (s *propScan) note(name, value []byte) (keep bool) {
	if len(name) < 4 || len(name) > 18 {
		return true
	}
	switch string(name) {
	case record.PropPopCheckpoint, record.PropRegion, record.PropTraceOn, record.PropCluster:
		return false
	case record.PropUniqKey:
		s.uniq = value
	case record.PropKeys:
		s.keys = value
	case record.PropWait:
		s.noWait = !isTrue(value)
	case record.PropDelay:
		s.delayed, s.level = isDelay(value), true
	case record.PropTransaction:
		s.prepared = isTrue(value)
	case record.PropTimerDeliverMS, record.PropTimerDelayMS, record.PropTimerDelaySec:
		s.timed = true
	case record.PropTimerOutMS:
		s.timerOut = true
	case record.PropPriority:
		s.priority = value
	case record.PropShardingKey:
		s.ordered = true
	case record.PropLiteTopic:
		s.lite = value
	case record.PropInnerNum:
		s.innerNum = true
	}
	return true
}

// isTrue is Java's Boolean.parseBoolean.
func isTrue(v []byte) bool { return len(v) == 4 && strings.EqualFold(string(v), "true") }

// isDelay reports whether a delay level is above 0. What is no number would be an error in Java; it counts as a delay,
// so that it is refused.
func isDelay(v []byte) bool {
	n, err := strconv.Atoi(string(v))
	return err != nil || n > 0
}
