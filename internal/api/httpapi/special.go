package httpapi

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

func joinTexts(list []string) string { return strings.Join(list, "; ") }

type dlqAnswer struct {
	Group      string   `json:"group"`
	Topic      string   `json:"topic"`
	Messages   i64      `json:"messages"`
	LastUpdate int64    `json:"lastUpdate,omitempty"`
	Brokers    []string `json:"brokers"`
}

// maxCounted is how many dead-letter topics of a page are counted, one request each: brokers count topics one by one.
const maxCounted = 200

// listDLQ lists the groups that have dead letters. Only those of the page are counted, unless the page is sorted by what is counted.
func listDLQ(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	all, errs := k.topics(c.ctx)
	var rows []dlqAnswer
	for name, t := range all {
		group, dead := strings.CutPrefix(name, dlqPrefix)
		if dead && q.wants(group) && c.who.seesGroup(group) {
			slices.Sort(t.Brokers)
			rows = append(rows, dlqAnswer{Group: group, Topic: name, Brokers: t.Brokers})
		}
	}
	slices.SortFunc(rows, func(a, b dlqAnswer) int { return compareText(a.Group, b.Group) })
	columns := []by[dlqAnswer]{
		text("group", func(d *dlqAnswer) string { return d.Group }), number("messages", func(d *dlqAnswer) i64 { return d.Messages }),
		number("lastUpdate", func(d *dlqAnswer) int64 { return d.LastUpdate }),
	}
	counted := q.sort == "messages" || q.sort == "lastUpdate"
	if counted {
		if len(rows) > maxCounted {
			return nil, badField("sort", "tooMany", "more than %d groups have dead letters: filter them before sorting by what must be counted", maxCounted)
		}
		errs = append(errs, k.countDead(c.ctx, rows)...)
	}
	out, err := pageOf(c, q, rows, errs, columns...)
	if err != nil || counted {
		return out, err
	}
	more := k.countDead(c.ctx, out.Items)
	out.Errors = append(out.Errors, more...)
	out.Partial = len(out.Errors) > 0
	return out, nil
}

// countDead counts the messages of dead-letter topics, fanOut brokers at a time.
func (k *cluster) countDead(ctx context.Context, rows []dlqAnswer) (errs []*nodeError) {
	readers := k.readers()
	var list []node
	var of []int
	for i := range rows {
		for j := range readers {
			if slices.Contains(rows[i].Brokers, readers[j].set.Name) {
				list, of = append(list, readers[j]), append(of, i)
			}
		}
	}
	type counted struct {
		row   int
		stats mq.TopicStats
	}
	index := map[*node]int{}
	for i := range list {
		index[&list[i]] = of[i]
	}
	answers, failed := ask(ctx, list, func(ctx context.Context, n *node) (counted, error) {
		row := index[n]
		st, err := n.TopicStats(ctx, rows[row].Topic)
		return counted{row, st}, err
	})
	for _, a := range answers {
		r := &rows[a.v.row]
		for _, q := range a.v.stats.Queues {
			r.Messages += i64(max(q.Max-q.Min, 0))
			r.LastUpdate = max(r.LastUpdate, q.LastUpdate)
		}
	}
	seen := map[string]bool{}
	for _, e := range failed { // each broker once
		if !seen[e.Node] {
			errs = append(errs, e)
		}
		seen[e.Node] = true
	}
	return errs
}

func getDelayed(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	answers, errs := ask(c.ctx, k.readers(), timerOf)
	out := &struct {
		Brokers []timerAnswer `json:"brokers"`
		Topics  []timerTopic  `json:"topics"`
		Backlog i64           `json:"backlog"`
		partial
	}{Brokers: []timerAnswer{}, Topics: []timerTopic{}, partial: partialOf(errs)}
	topics := map[string]*timerTopic{}
	for _, a := range answers {
		out.Brokers = append(out.Brokers, a.v)
		out.Backlog += value(a.v.Backlog)
		for _, t := range a.v.Topics {
			if !c.who.seesTopic(t.Topic) {
				continue
			}
			if topics[t.Topic] == nil {
				topics[t.Topic] = &timerTopic{Topic: t.Topic}
			}
			topics[t.Topic].Count += t.Count
			topics[t.Topic].Updated = max(topics[t.Topic].Updated, t.Updated)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		out.Topics = append(out.Topics, *topics[name])
	}
	return out, nil
}

// recallMessage tries the brokers of the topic: the handle names the one that has the message.
func recallMessage(c *call) (any, error) {
	var in struct {
		Topic  string `json:"topic"`
		Handle string `json:"handle"`
		Group  string `json:"group"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if in.Handle == "" {
		return nil, badField("handle", "missing", "the recall handle is needed")
	}
	if err := validName("topic", in.Topic); err != nil {
		return nil, err
	}
	if !c.who.seesTopic(in.Topic) {
		return nil, errScope
	}
	c.target = in.Topic
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	r, _, err := k.route(c.ctx, in.Topic)
	if err != nil {
		return nil, err
	}
	var last error = problemf(409, "noMaster", "no broker of the topic has a master")
	for _, s := range r.Brokers {
		if s.Master() == "" {
			continue
		}
		id, err := k.Broker(s.Master()).Recall(c.ctx, &mq.RecallRequest{Group: in.Group, Topic: in.Topic, Handle: in.Handle})
		if err == nil {
			return &struct {
				ID string `json:"id"`
			}{id}, nil
		}
		last = err
	}
	return nil, last
}

// Topics and group of half messages.
const (
	halfTopic = "RMQ_SYS_TRANS_HALF_TOPIC"
	halfGroup = "CID_RMQ_SYS_TRANS"
	checkProp = "TRANSACTION_CHECK_TIMES"
)

type halfMessage struct {
	Message   *message `json:"message"`
	Producer  string   `json:"producerGroup,omitempty"`
	Checks    int      `json:"checks"`
	RealTopic string   `json:"realTopic"`
}

type transactionsAnswer struct {
	Pending i64           `json:"pending"`
	Oldest  int64         `json:"oldest,omitempty"`
	Items   []halfMessage `json:"items"`
	Next    string        `json:"nextCursor,omitempty"`
	partial
}

// getTransactions lists half messages that the brokers have not got past yet. Some of them may have been decided already: brokers move
// on in order.
func getTransactions(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	limit, err := c.integer("limit", defaultLimit, 1, maxResults)
	if err != nil {
		return nil, err
	}
	out := &transactionsAnswer{Items: []halfMessage{}}
	list := k.readers()
	s := &search{c: c, topic: halfTopic, f: &filter{hide: &masking{}}, to: math.MaxInt64, oldest: true, shown: maxShown}
	answers, errs := ask(c.ctx, list, func(ctx context.Context, n *node) (mq.ConsumeStats, error) {
		st, serr := n.ConsumeStats(ctx, halfGroup, halfTopic, nil)
		return without(st, serr, mq.KindTopicNotExist, mq.KindGroupNotExist, mq.KindConsumerNotOnline, mq.KindQueryNotFound)
	})
	for i := range answers {
		for _, q := range answers[i].v.Queues {
			if q.Queue.Topic != halfTopic || q.End <= q.Committed {
				continue
			}
			out.Pending += i64(q.End - q.Committed)
			s.queues = append(s.queues, &cursorQueue{
				broker: &answers[i].node, set: answers[i].node.set.Name, id: q.Queue.ID, lo: max(q.Committed, 0), hi: q.End, edge: s.fresh(),
			})
		}
	}
	if text := c.query("cursor"); text != "" {
		var st searchState
		if err = c.a.seal.open(c.searchID(), text, &st); err != nil {
			return nil, err
		}
		s.queues = nil
		errs = append(errs, s.resume(&st, list)...)
	}
	release, err := c.scan()
	if err != nil {
		return nil, err
	}
	defer release()
	done := s.run(c.ctx, func(m *message) bool {
		if len(out.Items) == int(limit) {
			return false
		}
		h := halfMessage{Message: m, Producer: m.Props["PGROUP"], RealTopic: m.Props["REAL_TOPIC"]}
		h.Checks, _ = strconv.Atoi(m.Props[checkProp]) // none yet
		if !c.who.seesTopic(h.RealTopic) {
			return true
		}
		if out.Oldest == 0 {
			out.Oldest = m.Stored
		}
		out.Items = append(out.Items, h)
		return true
	})
	out.partial = partialOf(errs)
	if !done {
		out.Next, err = c.a.seal.seal(c.searchID(), s.state())
	}
	return out, err
}

// resumeCheck has a producer asked once more about a half message that the broker has given up.
func resumeCheck(c *call) (any, error) {
	var in struct {
		Topic    string `json:"topic"`
		OffsetID string `json:"offsetId"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	c.target = in.OffsetID
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	m, err := k.byOffsetID(c.ctx, in.OffsetID)
	if err != nil {
		return nil, err
	}
	if real := m.Props["REAL_TOPIC"]; !c.who.seesTopic(real) {
		return nil, errScope
	}
	masters, _, err := k.masters([]string{m.Broker})
	if err != nil || len(masters) == 0 {
		return nil, problemf(409, "noMaster", "broker set %s has no master", m.Broker)
	}
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	topic := in.Topic
	if topic == "" {
		topic = m.Topic
	}
	n := &masters[0]
	p.add(step{Node: n.String(), Action: "RESUME_CHECK_HALF_MESSAGE", Target: in.OffsetID, Before: fmt.Sprintf("checked %s times", orZero(m.Props[checkProp]))},
		func(ctx context.Context) (string, error) { return "", n.AskAgain(ctx, topic, in.OffsetID) })
	return p.run()
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}
