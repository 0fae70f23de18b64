package httpapi

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// traceTopic is where clients write what became of their messages.
const traceTopic = "RMQ_SYS_TRACE_TOPIC"

// maxTraces bounds the messages with traces that are read for one question.
const maxTraces = 256

type traceEvent struct {
	Type        string `json:"type"`
	Time        int64  `json:"time"`
	Group       string `json:"group,omitempty"`
	Topic       string `json:"topic,omitempty"`
	MsgID       string `json:"msgId,omitempty"`
	Tags        string `json:"tags,omitempty"`
	Keys        string `json:"keys,omitempty"`
	Host        string `json:"host,omitempty"`
	StoreHost   string `json:"storeHost,omitempty"`
	Cost        int64  `json:"costMs,omitempty"`
	BodyLength  int64  `json:"bodyLength,omitempty"`
	Success     *bool  `json:"success,omitempty"`
	MessageType string `json:"messageType,omitempty"`
	RetryTimes  int64  `json:"retryTimes,omitempty"`
	ContextCode int64  `json:"contextCode,omitempty"`
	RequestID   string `json:"requestId,omitempty"`
	OffsetID    string `json:"offsetId,omitempty"`
	Transaction string `json:"transactionId,omitempty"`
	State       string `json:"transactionState,omitempty"`
	FromCheck   *bool  `json:"fromCheck,omitempty"`
}

var traceTypes = map[string]string{"Pub": "pub", "SubBefore": "subBefore", "SubAfter": "subAfter", "EndTransaction": "endTransaction", "Recall": "recall"}

// messageTypeNames are Java's MessageType by ordinal, as traces have them.
var messageTypeNames = []string{"NORMAL", "TRANSACTION", "TRANSACTION", "DELAY", "FIFO", "PRIORITY"}

// readTraces reads the body of a trace message (Java TraceDataEncoder): records end with the character 2, fields with the character 1.
// What makes no sense is left out.
func readTraces(body string) []traceEvent {
	var out []traceEvent
	for part := range strings.SplitSeq(body, "\x02") {
		f := strings.Split(part, "\x01")
		at := func(i int) string {
			if i < len(f) {
				return f[i]
			}
			return ""
		}
		number := func(i int) int64 {
			n, _ := strconv.ParseInt(at(i), 10, 64) // 0 when it makes no sense
			return n
		}
		truth := func(i int) *bool {
			if at(i) == "" {
				return nil
			}
			v := strings.EqualFold(at(i), "true")
			return &v
		}
		e := traceEvent{Type: traceTypes[f[0]]}
		switch {
		case f[0] == "Pub" && len(f) >= 12:
			e.Time, e.Group, e.Topic, e.MsgID, e.Tags, e.Keys, e.StoreHost = number(1), at(3), at(4), at(5), at(6), at(7), at(8)
			e.BodyLength, e.Cost = number(9), number(10)
			if i := number(11); at(11) != "" && i >= 0 && int(i) < len(messageTypeNames) {
				e.MessageType = messageTypeNames[i]
			}
			if len(f) == 13 {
				e.Success = truth(12)
			} else {
				e.OffsetID, e.Success = at(12), truth(13)
			}
		case f[0] == "SubBefore" && len(f) >= 8:
			e.Time, e.Group, e.RequestID, e.MsgID, e.RetryTimes, e.Keys = number(1), at(3), at(4), at(5), number(6), at(7)
		case f[0] == "SubAfter" && len(f) >= 6:
			e.RequestID, e.MsgID, e.Cost, e.Success, e.Keys = at(1), at(2), number(3), truth(4), at(5)
			e.ContextCode, e.Time, e.Group = number(6), number(7), at(8)
		case f[0] == "EndTransaction" && len(f) >= 13:
			e.Time, e.Group, e.Topic, e.MsgID, e.Tags, e.Keys, e.StoreHost = number(1), at(3), at(4), at(5), at(6), at(7), at(8)
			e.Transaction, e.State, e.FromCheck = at(10), at(11), truth(12)
		case f[0] == "Recall" && len(f) >= 6:
			e.Time, e.Group, e.Topic, e.MsgID, e.Success = number(1), at(3), at(4), at(5), truth(6)
		default:
			continue
		}
		if e.MsgID != "" {
			out = append(out, e)
		}
	}
	return out
}

// getMessageTrace asks the trace topic for what clients have told of a message, or of all with a key.
func getMessageTrace(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	from, to, err := c.span()
	if err != nil {
		return nil, err
	}
	key, ofKey := c.path("message"), false
	switch b := c.query("by"); b {
	case "", "id":
		if _, _, bad := record.ParseOffsetID(key); bad == nil { // traces have the id of the client
			if m, gone := k.byOffsetID(c.ctx, key); gone == nil {
				key = m.ID
			}
		}
	case "key":
		ofKey = true
	default:
		return nil, badField("by", "unknownKind", "want id or key, not %q", b)
	}
	topic := cmp.Or(c.query("traceTopic"), traceTopic)
	if !c.who.seesTopic(topic) && topic != traceTopic {
		return nil, errScope
	}
	list, errs, err := k.byKey(c.ctx, mq.KeyQuery{Topic: topic, Key: key, Max: maxTraces, Begin: from, End: to})
	if err != nil {
		return nil, err
	}
	items := []traceEvent{}
	for _, m := range list {
		for _, e := range readTraces(string(m.raw)) {
			if !ofKey && e.MsgID != key || ofKey && !slices.Contains(strings.Fields(e.Keys), key) {
				continue
			}
			if e.Topic != "" && !c.who.seesTopic(e.Topic) || e.Group != "" && e.Type != "pub" && !c.who.seesGroup(e.Group) {
				continue
			}
			e.Host = hostOf(m.BornHost)
			if e.Time == 0 {
				e.Time = m.Born
			}
			items = append(items, e)
		}
	}
	slices.SortStableFunc(items, func(a, b traceEvent) int { return cmp.Compare(a.Time, b.Time) })
	return &struct {
		Items []traceEvent `json:"items"`
		partial
	}{items, partialOf(errs)}, nil
}

func hostOf(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i > 0 {
		return strings.Trim(addr[:i], "[]")
	}
	return addr
}

// leaveTrace writes what a client would: that the dashboard has sent a message.
func (s *sendRequest) leaveTrace(ctx context.Context, topic string, t target, sent *sendResult, size int) {
	kind := 0
	if s.Transaction != "" {
		kind = 1
	}
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	line := strings.Join([]string{
		"Pub", now, "DefaultRegion", senderGroup, topic, sent.ID, s.Tags, strings.Join(s.Keys, " "), t.node.addr, strconv.Itoa(size), "0",
		strconv.Itoa(kind), sent.OffsetID, "true",
	}, "\x01") + "\x02"
	props := record.AppendProp(nil, "KEYS", strings.TrimSpace(sent.ID+" "+strings.Join(s.Keys, " ")))
	out := t.put(ctx, &mq.SendRequest{Topic: traceTopic, Group: senderGroup, QueueID: 0, Props: props, Body: []byte(line)}, "")
	if out.Error != nil {
		sent.Error = out.Error
		sent.Error.Detail = "the message is stored, its trace is not: " + out.Error.Detail
	}
}

// States of a group towards a message.
const (
	trackConsumed  = "consumed"
	trackFiltered  = "filtered"
	trackNotYet    = "notYet"
	trackNotOnline = "notOnline"
	trackPull      = "pull"
	trackBroadcast = "broadcast"
	trackUnknown   = "unknown"
)

type trackAnswer struct {
	Group string     `json:"group"`
	State string     `json:"state"`
	Error *nodeError `json:"error,omitempty"`
}

// getMessageTracks tells for every group of the message's topic whether it has consumed it, as Java's messageTrackDetail does.
func getMessageTracks(c *call) (any, error) {
	k, m, err := c.message()
	if err != nil {
		return nil, err
	}
	_, list, err := k.route(c.ctx, m.Topic)
	if err != nil {
		return nil, err
	}
	answers, errs := ask(c.ctx, list, func(ctx context.Context, n *node) ([]string, error) { return n.TopicConsumers(ctx, m.Topic) })
	groups := map[string]bool{}
	for _, a := range answers {
		for _, g := range a.v {
			if c.who.seesGroup(g) {
				groups[g] = true
			}
		}
	}
	at := named(list, m.Broker)
	out := make([]trackAnswer, 0, len(groups))
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		out = append(out, trackOf(c.ctx, at, m, g))
	}
	return &struct {
		Items []trackAnswer `json:"items"`
		partial
	}{out, partialOf(errs)}, nil
}

func trackOf(ctx context.Context, at *node, m *message, group string) trackAnswer {
	out := trackAnswer{Group: group, State: trackUnknown}
	if at == nil {
		return out
	}
	g, err := at.Consumers(ctx, group)
	switch {
	case err != nil && mq.KindOf(err) == mq.KindConsumerNotOnline:
		out.State = trackNotOnline
		return out
	case err != nil:
		out.Error = nodeErrorOf(at.String(), err)
		return out
	case g.Broadcast:
		out.State = trackBroadcast
		return out
	}
	st, err := at.ConsumeStats(ctx, group, m.Topic, nil)
	if err != nil {
		out.Error = nodeErrorOf(at.String(), err)
		return out
	}
	out.State = trackNotYet
	known := false
	for _, q := range st.Queues {
		if q.Queue.Topic == m.Topic && q.Queue.Broker == m.Broker && q.Queue.ID == m.Queue {
			known = true
			if int64(q.Committed) > int64(m.Index) {
				out.State = trackConsumed
			}
		}
	}
	if g.Type == mq.ConsumeActively && !known { // it keeps its positions by itself
		out.State = trackPull
	}
	if out.State == trackConsumed {
		for _, s := range g.Subscriptions {
			if s.Topic == m.Topic && len(s.Tags) > 0 && !slices.Contains(s.Tags, m.Tags) {
				out.State = trackFiltered
			}
		}
	}
	return out
}
