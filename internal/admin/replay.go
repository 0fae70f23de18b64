package admin

import (
	"errors"
	"fmt"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// replayed marks a message that replay has sent, with the offset id of the one it was made from.
const replayed = "COMETMQ_REPLAY_OF"

// replayProps are the properties of a message that is sent again: what retries and dead letters have added is left out.
func replayProps(m *message) []byte {
	p := map[string]string{}
	for k, v := range m.Props {
		switch k {
		case "DLQ_ORIGIN_TOPIC", "DLQ_ORIGIN_MESSAGE_ID", "RETRY_TOPIC", "RECONSUME_TIME", "ORIGIN_MESSAGE_ID", "MAX_RECONSUME_TIMES",
			"1ST_POP_TIME", "POP_CK", "DELAY", "TIMER_OUT_MS", "TIMER_ENQUEUE_MS", "__transactionId__", "TRAN_MSG":
		default:
			p[k] = v
		}
	}
	p[replayed] = m.OffsetID
	return clientProps(p)
}

// home is the topic that a dead letter came from.
func home(m *message) string {
	for _, k := range []string{"DLQ_ORIGIN_TOPIC", "RETRY_TOPIC"} {
		if t := m.Props[k]; t != "" {
			return t
		}
	}
	return ""
}

func replay(c *Call) error {
	topic, to := c.Str("t"), c.Str("to")
	switch {
	case c.Has("g") == c.Has("t"):
		return usage("replay: exactly one of -g, -t is needed")
	case c.Has("g"):
		topic = dlqPrefix + c.Str("g")
	case to == "" && !c.Has("b"):
		return usage("replay: -b is needed to send messages of a topic to that topic again")
	}
	from, until, err := c.span("b")
	if err != nil {
		return err
	}
	rate := c.Int32("rate", 100)
	if rate <= 0 {
		return usage("replay: --rate %d: want at least 1", rate)
	}
	list, err := c.sources(topic, "")
	if err != nil {
		return err
	}
	r := &replaying{c: c, to: to, own: topic, queues: map[string][]source{}, left: c.Int("max", -1), pause: time.Second / time.Duration(rate)}
	type span struct{ lo, hi mq.Index }
	spans := make([]span, len(list)) // fixed before the first is sent: what is sent to the same topic is not sent again
	for i := range list {
		if spans[i].lo, spans[i].hi, err = list[i].bounds(c.Ctx, from, until); err != nil {
			return err
		}
	}
	for i := range list {
		r.before += int64(spans[i].hi - spans[i].lo)
	}
	for i := range list {
		if _, _, err = list[i].read(c.Ctx, c.StrOr("s", "*"), spans[i].lo, spans[i].hi, r.one); err != nil {
			break
		}
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	what := "sent"
	if c.Has("dry-run") {
		what = "would be sent"
	}
	c.Only(map[string]any{"messages": r.n, "skipped": r.skipped, "dryRun": c.Has("dry-run")}, "%d messages %s, %d skipped\n", r.n, what, r.skipped)
	return err
}

// replaying is the state of one replay.
type replaying struct {
	c          *Call
	to, own    string
	queues     map[string][]source // of the topics that are sent to
	n, skipped int64
	before     int64 // messages in all spans
	left       int64
	pause      time.Duration
	last       time.Time
}

func (r *replaying) one(m *message) error {
	r.c.working("messages", int(r.n+r.skipped), int(r.before))
	to := r.to
	if to == "" {
		if to = r.own; r.c.Has("g") {
			to = home(m)
		}
	}
	if to == "" || m.Props[replayed] != "" && to == r.own {
		r.skipped++
		return nil
	}
	if !r.c.Has("dry-run") {
		if err := r.send(to, m); err != nil {
			return fmt.Errorf("after %d messages, at %s: %w", r.n, m.OffsetID, err)
		}
	} else {
		r.c.Say("would send %s (%s %d@%d, %d bytes) to %s\n", m.ID, m.Broker, m.Queue, m.Index, len(m.raw), to)
	}
	r.n++
	if r.left--; r.left == 0 {
		return errEnough
	}
	return nil
}

func (r *replaying) send(to string, m *message) error {
	list, ok := r.queues[to]
	if !ok {
		var err error
		if list, err = r.c.writable(to, ""); err != nil {
			return err
		}
		r.queues[to] = list
	}
	if wait := time.Until(r.last.Add(r.pause)); wait > 0 {
		select {
		case <-r.c.Ctx.Done():
			return r.c.Ctx.Err()
		case <-time.After(wait):
		}
	}
	r.last = time.Now()
	q := list[r.n%int64(len(list))]
	if m.Props["__SHARDINGKEY"] != "" { // messages of one key stay in one queue, in their order
		q = list[uint32(record.HashCode(m.Props["__SHARDINGKEY"]))%uint32(len(list))]
	}
	_, err := q.broker.Put(r.c.Ctx, &mq.SendRequest{
		Topic: to, Group: "mqadmin_replay", QueueID: q.queue, Flag: m.Flag, Props: replayProps(m), Body: m.raw, SysFlag: r.sysFlag(m),
	})
	return err
}

// sysFlag keeps what says how the body is packed when it could not be unpacked.
func (r *replaying) sysFlag(m *message) int32 {
	if m.SysFlag&record.SysFlagCompressed != 0 && m.packed {
		return m.SysFlag & (record.SysFlagCompressed | record.SysFlagCompressionMask)
	}
	return 0
}
