package broker

import (
	"context"
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/broker/delay"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// TimerOptions is how messages with a time of their own are served.
type TimerOptions struct {
	MaxDelay   time.Duration // timerMaxDelaySec, default 3 days
	Precision  time.Duration // timerPrecisionMs, default 1 s
	RollWindow time.Duration // timerRollWindowSlot, default 2 days
	Flush      time.Duration // timerFlushIntervalMs, default 1 s
	FileSize   int64         // mappedFileSizeTimerLog, default 100 MiB
	Slots      int           // of the wheel; not Java's only in tests

	Recall         bool // recallMessageEnable
	NoRecallLocked bool // allowRecallWhenBrokerNotWriteable = false
	RecallTopicKey bool // appendTopicForTimerDeleteKey
}

func (o *TimerOptions) setDefaults() {
	if o.MaxDelay <= 0 {
		o.MaxDelay = 72 * time.Hour
	}
	if o.Precision <= 0 {
		o.Precision = time.Second
	}
}

// openTimer makes the part that delivers timers. A slave leaves that to its master, unless it may act as one.
func (b *Broker) openTimer() error {
	if b.leaves() || b.o.NoTimerTopic {
		if q, ok := b.store.Lookup(delay.TimerTopic, 0); ok && b.o.NoTimerTopic && q.Max() > q.Min() {
			b.o.Log.Warn("timerWheelEnable is false: timers in the store are not delivered", "messages", q.Max()-q.Min())
		}
		return nil
	}
	t := &b.o.Timers
	var err error
	b.timer, err = delay.OpenTimer(delay.TimerOptions{
		Store: b.store, FS: b.o.FS, Dir: b.o.Dir, FileSize: t.FileSize, Slots: t.Slots, Precision: t.Precision,
		RollWindow: t.RollWindow, Flush: t.Flush, Append: b.escapes(), Delivered: b.delivered, Noted: b.timerNoted, Moved: b.timerMoved, Now: b.o.Now, Log: b.o.Log,
	})
	if err != nil {
		return err
	}
	b.acting.parts = append(b.acting.parts, b.timer)
	if b.o.Slave {
		b.acting.idle = append(b.acting.idle, b.timer.Trail)
	}
	return nil
}

// timerNoted counts a timer. It runs in the goroutine of the timers.
func (b *Broker) timerNoted(topic []byte, ahead int64) {
	t, ok := b.topic(bytesview.String(topic))
	if !ok {
		return
	}
	h := t.timers.Load()
	if h == nil {
		h = telemetry.DelayTime.New()
		t.timers.Store(h)
	}
	h.Observe(max(ahead, 0) / 1000)
}

func timerProgress(p *mq.TimerProgress) delay.Progressed {
	return delay.Progressed{Time: p.Time, Index: p.Index}
}

// TimerProgress implements mq.ReplicaAdmin.
func (b *Broker) TimerProgress(context.Context) (p mq.TimerProgress, ok bool) {
	if b.timer == nil {
		return p, false
	}
	at := b.timer.Progressed()
	return mq.TimerProgress{Time: at.Time, Index: at.Index}, true
}

// FollowTimers tells a slave how far the timers of its master are.
func (b *Broker) FollowTimers(p *mq.TimerProgress) {
	if b.timer != nil && !b.Acts() {
		b.timer.Heard(timerProgress(p))
	}
}

// keepForTime puts a message with a time of its own aside, if that is in the future: rmq_sys_wheel_timer. As in Java seconds win over
// milliseconds, and these over a point in time.
//
// Differs from Java: a message is delivered at the time that it asks for, or later; there up to a second earlier, because the
// time is rounded down. The rounded time is still in TIMER_OUT_MS, for a Java broker that gets the store and for the clients' recall
// handles; the exact one is in a property of ours that the delivered message does not have.
func (b *Broker) keepForTime(props record.Props, to place, now time.Time) (place, record.Props, *mq.Error) {
	ms := now.UnixMilli()
	due, limit := int64(0), b.o.Timers.MaxDelay.Milliseconds()
	name, text := record.PropTimerDelaySec, []byte(nil)
	for _, f := range []struct {
		name string
		unit int64 // ms; 0: a point in time
	}{{record.PropTimerDelaySec, 1000}, {record.PropTimerDelayMS, 1}, {record.PropTimerDeliverMS, 0}} {
		v, ok := props.Get(f.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(bytesview.String(v), 10, 64)
		if err != nil {
			return to, props, errNumber(mq.KindMessageIllegal, f.name, v)
		}
		name, text = f.name, v
		switch {
		case f.unit == 0:
			due = n
		case n > (math.MaxInt64-ms)/f.unit:
			due = math.MaxInt64
		default:
			due = ms + max(n, -ms/f.unit)*f.unit
		}
		break
	}
	switch {
	case text == nil:
		return to, props, nil
	case b.o.NoTimerTopic:
		return to, props, mq.Errorf(mq.KindInternal, "accurate timer message is not enabled, timerWheelEnable is false")
	case due <= ms:
		if _, ok := props.Get(record.PropTimerDelKey); ok {
			return to, props, errTimer(record.PropTimerDelKey, nil, limit)
		}
		return to, props, nil
	case due-ms > limit:
		return to, props, errTimer(name, text, limit)
	}
	precision := b.o.Timers.Precision.Milliseconds()
	out := due - due%precision
	if out == due {
		out -= precision
	}
	// In place: what remains is never longer than what was there.
	props = props.AppendWithout(props[:0], record.PropRealTopic, record.PropRealQueueID, record.PropTimerDueMS)
	props = record.AppendProp(props, record.PropTimerOutMS, strconv.FormatInt(out, 10))
	props = record.AppendProp(props, record.PropTimerDueMS, strconv.FormatInt(due, 10))
	return place{delay.TimerTopic, 0}, appendReal(props, to), nil
}

// errTimer is Java's refusal of a time, with the property.
func errTimer(property string, value []byte, limitMs int64) *mq.Error {
	text := property
	if value != nil {
		text += " = " + string(clip(value))
	}
	return mq.Errorf(mq.KindMessageIllegal,
		"timer message illegal, the delay time should not be bigger than the max delay %dms; or if set del msg, the delay time should be bigger than the current time (property %s)",
		limitMs, text)
}

// recallHandle returns the handle of a message that was put aside with props, "" for other messages: URL-safe base64 of
// "v1 topic broker time id" (grpc spec 5.11). As in Java messages of retry topics have none.
func (b *Broker) recallHandle(props record.Props, asked place, id string) string {
	if strings.HasPrefix(asked.topic, retryPrefix) {
		return ""
	}
	text, _ := props.Get(record.PropTimerOutMS)
	out, err := strconv.ParseInt(bytesview.String(text), 10, 64)
	if err != nil {
		return ""
	}
	// The next higher time rounds down to the same slot.
	plain := "v1 " + asked.topic + " " + b.o.Name + " " + strconv.FormatInt(out+1, 10) + " " + id
	return base64.URLEncoding.EncodeToString([]byte(plain))
}

var errHandle = mq.Errorf(mq.KindIllegalOperation, "recall handle is invalid")

type recallParts struct{ topic, broker, id, time string }

// parseHandle takes a recall handle apart.
func parseHandle(handle string) (p recallParts, ok bool) {
	if len(handle) > 4096 {
		return p, false
	}
	plain, err := base64.URLEncoding.DecodeString(handle)
	if err != nil {
		plain, err = base64.RawURLEncoding.DecodeString(handle) // as Java's decoder
	}
	f := strings.Split(string(plain), " ")
	if err != nil || len(f) != 5 || f[0] != "v1" {
		return p, false
	}
	p = recallParts{f[1], f[2], f[4], f[3]}
	return p, p.id != "" && record.ValidProp(record.PropUniqKey, p.id)
}

// recallTag is the tag of the message that takes another one back.
const recallTag = "_RECALL_TAG_"

// Recall implements mq.Service. The checks and their order are Java's.
func (b *Broker) Recall(_ context.Context, r *mq.RecallRequest, done func(id string, refusal *mq.Error)) {
	now := b.o.Now()
	p, refusal := b.checkRecall(r, now)
	if refusal != nil {
		done("", refusal)
		return
	}
	key := p.id
	if b.o.Timers.RecallTopicKey {
		key = p.topic + "+" + p.id
	}
	props := record.Props(nil)
	for _, kv := range [][2]string{
		{record.PropTags, recallTag},
		{record.PropTimerDelKey, key},
		{record.PropUniqKey, p.id},
		{record.PropTimerDeliverMS, p.time},
		{record.PropBornTime, strconv.FormatInt(now.UnixMilli(), 10)},
		{record.PropProducerGroup, r.Group},
	} {
		if record.ValidProp(kv[0], kv[1]) {
			props = record.AppendProp(props, kv[0], kv[1])
		}
	}
	w := b.takeInner()
	_, refusal = w.add(&record.Message{Props: props, Body: []byte("0"), BornTime: now.UnixMilli(), BornHost: r.From}, place{p.topic, 0})
	pending := false
	if refusal == nil {
		// As in Java a flush or a replica that takes too long does not make it a failure.
		pending, refusal = w.store(true, func(*inner, mq.SendStatus) { done(p.id, nil) })
	}
	if refusal != nil {
		refusal = mq.Errorf(mq.KindInternal, "recall failed, execute error: %s", refusal.Detail)
	}
	if !pending {
		w.release()
		done(p.id, refusal)
	}
}

// checkRecall returns what r takes back.
func (b *Broker) checkRecall(r *mq.RecallRequest, now time.Time) (p recallParts, refusal *mq.Error) {
	t := &b.o.Timers
	switch {
	case !t.Recall:
		return p, mq.Errorf(mq.KindNoPermission, "recall failed, operation is forbidden")
	case b.o.ID != 0, b.leaves():
		return p, mq.Errorf(mq.KindNotMaster, "recall failed, broker service not available")
	case now.Before(b.o.StartAccept), !b.live.Load().Perm.Writable() && t.NoRecallLocked:
		return p, mq.Errorf(mq.KindUnavailable, "recall failed, broker service not available")
	}
	if _, ok := b.meta.Topics.Get(r.Topic); !ok {
		return p, mq.Errorf(mq.KindTopicNotExist, "recall failed, the topic[%s] not exist", r.Topic)
	}
	p, ok := parseHandle(r.Handle)
	switch {
	case !ok:
		return p, errHandle
	case p.topic != r.Topic:
		return p, mq.Errorf(mq.KindIllegalOperation, "recall failed, topic not match")
	case p.broker != b.o.Name:
		return p, mq.Errorf(mq.KindIllegalOperation, "recall failed, broker service not available")
	}
	at, err := strconv.ParseInt(p.time, 10, 64)
	if left := at - now.UnixMilli(); err != nil || left <= 0 || left >= t.MaxDelay.Milliseconds() {
		return p, mq.Errorf(mq.KindIllegalOperation, "recall failed, timestamp invalid")
	}
	return p, nil
}

// putTimers adds what is known about timers, in Java's form.
func (b *Broker) putTimers(now time.Time, num func(key string, v int64)) {
	if b.timer == nil {
		for _, key := range []string{"timerReadBehind", "timerOffsetBehind", "timerCongestNum"} {
			num(key, 0)
		}
		return
	}
	st := b.timer.Stats()
	num("timerReadBehind", max(now.UnixMilli()-st.ReadTime-b.o.Timers.Precision.Milliseconds(), 0)/1000)
	num("timerOffsetBehind", int64(st.End-st.Next))
	num("timerCongestNum", st.Pending)
	num("timerEnqueued", st.Enqueued)
	num("timerDelivered", st.Delivered)
	num("timerRolled", st.Rolled)
	num("timerRecalled", st.Recalled)
	num("timerLost", st.Lost)
	num("timerFailures", st.Failures)
}
