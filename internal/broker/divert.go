package broker

import (
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// place is the queue in which a message is kept.
type place struct {
	topic string
	queue int32
}

// divert says where a message of a client is kept, which is where it was sent to unless it is to be seen later: half messages
// until they are decided, delayed ones until they are due. props are the message's own, as they will be stored; more are
// appended to them. As in Java a half message keeps its delay until it is committed, and a delay level wins over a timer.
func (b *Broker) divert(props record.Props, scan *propScan, r *mq.SendRequest, to place, now time.Time) (place, record.Props, *mq.Error) {
	if scan.isHalf(r) {
		return b.keepHalf(props, to)
	}
	kind := r.SysFlag & record.SysFlagTransactionMask
	if !scan.prepared && (kind == record.SysFlagPrepared || kind == record.SysFlagRollback) {
		return to, props, errNoHalf
	}
	return b.keepUntilDue(props, scan, to, now)
}

// keepUntilDue is divert for a message that is not part of an undecided transaction: also one that was just committed or is
// given back by its consumer.
func (b *Broker) keepUntilDue(props record.Props, scan *propScan, to place, now time.Time) (place, record.Props, *mq.Error) {
	if scan.delayed {
		text, _ := props.Get(record.PropDelay)
		level, err := strconv.ParseInt(bytesview.String(text), 10, 32)
		switch {
		case err != nil:
			return to, props, errNumber(mq.KindInternal, record.PropDelay, text)
		case level > 0:
			to, props = b.keepForLevel(props, int32(level), to)
			return to, props, nil
		}
	}
	if !scan.timed || scan.timerOut || to.topic == delay.TimerTopic {
		return to, props, nil
	}
	return b.keepForTime(props, to, now)
}

// errNoHalf refuses a message whose system flag alone says that it is a half message.
//
// Differs from Java: it stores such a message where nobody ever finds it, and answers that all is well.
var errNoHalf = mq.Errorf(mq.KindMessageIllegal,
	"the message is illegal, sysFlag says that it is a half message but property %s is not true", record.PropTransaction)
