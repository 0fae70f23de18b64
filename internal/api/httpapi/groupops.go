package httpapi

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
)

type subscriptionAnswer struct {
	Topic      string   `json:"topic"`
	Expression string   `json:"expression"`
	Kind       string   `json:"expressionType"`
	Tags       []string `json:"tags,omitempty"`
	Version    i64      `json:"version"`
}

type mismatch struct {
	ClientID   string  `json:"clientId"`
	Topic      string  `json:"topic"`
	Expression *string `json:"expression,omitempty"`
	Expected   string  `json:"expected"`
}

func subscriptionOf(s *mq.Subscription) subscriptionAnswer {
	return subscriptionAnswer{s.Topic, s.Expression, cmp.Or(s.ExpressionType, "TAG"), s.Tags, i64(s.Version)}
}

// maxAsked is how many clients are asked for what they subscribe to.
const maxAsked = 32

// listSubscriptions compares what the broker has with what each client says of itself: a group whose clients differ loses messages.
func listSubscriptions(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	group := c.path("group")
	m, err := k.members(c.ctx, group)
	if err != nil {
		return nil, err
	}
	items := []subscriptionAnswer{}
	for _, t := range slices.Sorted(maps.Keys(m.subs)) {
		s := m.subs[t]
		items = append(items, subscriptionOf(&s))
	}
	errs := m.errs
	wrong := []mismatch{}
	ids := slices.Sorted(maps.Keys(m.clients))
	for _, id := range ids[:min(len(ids), maxAsked)] {
		n := m.at[id]
		info, err := runningInfo(c.ctx, &n, group, id, false)
		if err != nil {
			errs = append(errs, nodeErrorOf(id, err))
			continue
		}
		mine := map[string]string{}
		for _, s := range info.Subscriptions {
			mine[s.Topic] = s.Expression
		}
		for _, s := range items {
			got, ok := mine[s.Topic]
			switch {
			case strings.HasPrefix(s.Topic, retryPrefix):
			case !ok:
				wrong = append(wrong, mismatch{id, s.Topic, nil, s.Expression})
			case got != s.Expression:
				wrong = append(wrong, mismatch{id, s.Topic, &got, s.Expression})
			}
		}
	}
	return &struct {
		Items      []subscriptionAnswer `json:"items"`
		Mismatches []mismatch           `json:"mismatches"`
		partial
	}{items, wrong, partialOf(errs)}, nil
}

type spanAnswer struct {
	Broker   string `json:"broker"`
	Queue    int32  `json:"queue"`
	First    int64  `json:"first,omitempty"`
	Last     int64  `json:"last,omitempty"`
	Consumed int64  `json:"consumed,omitempty"`
	Behind   *i64   `json:"behindMs,omitempty"`
}

func getTimeSpan(c *call) (any, error) {
	topic := c.query("topic")
	if topic == "" {
		return nil, badField("topic", "missing", "the topic is needed")
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	_, list, err := k.route(c.ctx, topic)
	if err != nil {
		return nil, err
	}
	answers, errs := ask(c.ctx, list, func(ctx context.Context, n *node) ([]mq.QueueSpan, error) {
		return n.ConsumeSpans(ctx, c.path("group"), topic)
	})
	items := []spanAnswer{}
	for _, a := range answers {
		for _, s := range a.v {
			x := spanAnswer{Broker: s.Queue.Broker, Queue: s.Queue.ID, First: max(s.First, 0), Last: max(s.Last, 0), Consumed: max(s.Consumed, 0)}
			if s.Behind >= 0 {
				x.Behind = opt(s.Behind)
			}
			items = append(items, x)
		}
	}
	slices.SortFunc(items, func(a, b spanAnswer) int {
		return cmp.Or(compareText(a.Broker, b.Broker), cmp.Compare(a.Queue, b.Queue))
	})
	return &struct {
		Items []spanAnswer `json:"items"`
		partial
	}{items, partialOf(errs)}, nil
}

type runningQueue struct {
	Topic       string `json:"topic"`
	Broker      string `json:"broker"`
	Queue       int32  `json:"queue"`
	Committed   i64    `json:"committed"`
	CachedMin   *i64   `json:"cachedMin,omitempty"`
	CachedMax   *i64   `json:"cachedMax,omitempty"`
	CachedCount int64  `json:"cachedCount,omitempty"`
	Locked      bool   `json:"locked,omitempty"`
	Dropped     bool   `json:"dropped,omitempty"`
	LastPull    int64  `json:"lastPull,omitempty"`
	LastConsume int64  `json:"lastConsume,omitempty"`
}

type runningStatus struct {
	Topic     string  `json:"topic"`
	PullRT    float64 `json:"pullRt"`
	PullTPS   float64 `json:"pullTps"`
	ConsumeRT float64 `json:"consumeRt"`
	OKTPS     float64 `json:"consumeOkTps"`
	FailedTPS float64 `json:"consumeFailedTps"`
	Failed    i64     `json:"consumeFailed"`
}

type runningAnswer struct {
	ClientID      string               `json:"clientId"`
	Properties    map[string]string    `json:"properties"`
	Subscriptions []subscriptionAnswer `json:"subscriptions"`
	Queues        []runningQueue       `json:"queues"`
	Statuses      []runningStatus      `json:"statuses"`
	Stack         string               `json:"stack,omitempty"`
}

// runningInfo asks a client what it is doing (Java ConsumerRunningInfo). Its maps have objects as keys, which no standard decoder reads.
func runningInfo(ctx context.Context, n *node, group, client string, stacks bool) (*runningAnswer, error) {
	a, err := n.Ask(ctx, &mq.RunningInfoRequest{Group: group, ClientID: client, Stacks: stacks})
	if err != nil {
		return nil, err
	}
	v, perr := fastjson.Parse(a.Body)
	if a.Code != 0 || perr != nil {
		return nil, problemf(http.StatusBadGateway, "clientRefused", "client %s answered with code %d: %s", client, a.Code, a.Remark)
	}
	out := &runningAnswer{ClientID: client, Properties: map[string]string{}, Subscriptions: []subscriptionAnswer{}, Queues: []runningQueue{}, Statuses: []runningStatus{}}
	for _, m := range v.Get("properties").Members() {
		out.Properties[m.Key.Str()] = m.Val.Str()
	}
	for _, s := range v.Get("subscriptionSet").Arr() {
		out.Subscriptions = append(out.Subscriptions, subscriptionAnswer{
			s.Get("topic").Str(), s.Get("subString").Str(), cmp.Or(s.Get("expressionType").Str(), "TAG"), s.Get("tagsSet").Strs(), i64(s.Get("subVersion").Int64()),
		})
	}
	for _, table := range []string{"mqTable", "mqPopTable"} {
		for _, m := range v.Get(table).Members() {
			out.Queues = append(out.Queues, runningQueueOf(m.Key, m.Val))
		}
	}
	for _, m := range v.Get("statusTable").Members() {
		s := m.Val
		out.Statuses = append(out.Statuses, runningStatus{
			m.Key.Str(), s.Get("pullRT").Float(), s.Get("pullTPS").Float(), s.Get("consumeRT").Float(), s.Get("consumeOKTPS").Float(), s.Get("consumeFailedTPS").Float(),
			i64(s.Get("consumeFailedMsgs").Int64()),
		})
	}
	slices.SortFunc(out.Subscriptions, func(a, b subscriptionAnswer) int { return compareText(a.Topic, b.Topic) })
	slices.SortFunc(out.Queues, func(a, b runningQueue) int {
		return cmp.Or(compareText(a.Topic, b.Topic), compareText(a.Broker, b.Broker), cmp.Compare(a.Queue, b.Queue))
	})
	slices.SortFunc(out.Statuses, func(a, b runningStatus) int { return compareText(a.Topic, b.Topic) })
	out.Stack = v.Get("jstack").Str()
	return out, nil
}

func runningQueueOf(key, s fastjson.Value) runningQueue {
	if key.Kind() == fastjson.String { // some clients write the key as a text
		if k, err := fastjson.ParseString(key.Str()); err == nil {
			key = k
		}
	}
	q := runningQueue{
		Topic: key.Get("topic").Str(), Broker: key.Get("brokerName").Str(), Queue: key.Get("queueId").Int32(), Committed: i64(s.Get("commitOffset").Int64()),
		CachedCount: s.Get("cachedMsgCount").Int64() + s.Get("waitAckCount").Int64(), Locked: s.Get("locked").Bool(), Dropped: s.Get("droped").Bool() || s.Get("dropped").Bool(),
		LastPull: max(s.Get("lastPullTimestamp").Int64(), s.Get("lastPopTimestamp").Int64()), LastConsume: s.Get("lastConsumeTimestamp").Int64(),
	}
	if s.Get("cachedMsgCount").Int64() > 0 {
		q.CachedMin, q.CachedMax = opt(s.Get("cachedMsgMinOffset").Int64()), opt(s.Get("cachedMsgMaxOffset").Int64())
	}
	return q
}

func getRunningInfo(c *call) (any, error) {
	stacks, err := c.boolean("stack")
	if err != nil {
		return nil, err
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	m, err := k.members(c.ctx, c.path("group"))
	if err != nil {
		return nil, err
	}
	n, ok := m.at[c.path("client")]
	if !ok {
		return nil, problemf(http.StatusConflict, "consumerNotOnline", "client %s of group %s is not connected", c.path("client"), c.path("group"))
	}
	return runningInfo(c.ctx, &n, c.path("group"), c.path("client"), stacks)
}

func putRequestMode(c *call) (any, error) {
	var in struct {
		Topic string `json:"topic"`
		Mode  string `json:"mode"`
		Share int32  `json:"shareQueues"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if in.Mode != "PULL" && in.Mode != "POP" {
		return nil, badField("mode", "unknownMode", "want PULL or POP, not %q", in.Mode)
	}
	after := in.Topic + " " + in.Mode + " shareQueues=" + strconv.Itoa(int(in.Share))
	return c.changeInTopic(in.Topic, "SET_MESSAGE_REQUEST_MODE", after, func(ctx context.Context, n *node, group string) error {
		return n.SetConsumeMode(ctx, in.Topic, group, in.Mode, in.Share)
	})
}

func putForbidden(c *call) (any, error) {
	var in struct {
		Topic     string `json:"topic"`
		Forbidden bool   `json:"forbidden"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	after := in.Topic + " forbidden=" + strconv.FormatBool(in.Forbidden)
	return c.changeInTopic(in.Topic, "UPDATE_AND_GET_GROUP_FORBIDDEN", after, func(ctx context.Context, n *node, group string) error {
		return n.Forbid(ctx, group, in.Topic, in.Forbidden)
	})
}

// changeInTopic does the same on all masters that have a topic.
func (c *call) changeInTopic(topic, action, after string, do func(ctx context.Context, n *node, group string) error) (any, error) {
	if err := validName("topic", topic); err != nil {
		return nil, err
	}
	if !c.who.seesTopic(topic) {
		return nil, errScope
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	r, _, err := k.route(c.ctx, topic)
	if err != nil {
		return nil, err
	}
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	group := c.path("group")
	masters, errs := k.mastersOf(r.Brokers)
	p.errs = errs
	for i := range masters {
		n := &masters[i]
		p.add(step{Node: n.String(), Action: action, Target: group, After: after}, func(ctx context.Context) (string, error) { return "", do(ctx, n, group) })
	}
	return p.run()
}
