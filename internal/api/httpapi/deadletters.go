package httpapi

import (
	"context"
	"net/url"
	"strconv"

	"github.com/cometmq/cometmq/internal/jobs"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// selectionBody names dead letters.
type selectionBody struct {
	Refs []struct {
		Broker string `json:"broker"`
		Queue  int32  `json:"queue"`
		Offset i64    `json:"offset"`
	} `json:"refs"`
	OffsetIDs []string `json:"offsetIds"`
	From      int64    `json:"from"`
	To        int64    `json:"to"`
	Max       int64    `json:"max"`
	Topic     string   `json:"topic"`
	Rate      int      `json:"ratePerSecond"`
	Format    string   `json:"format"`
}

func (b *selectionBody) selection() jobs.Selection {
	s := jobs.Selection{OffsetIDs: b.OffsetIDs, From: b.From, To: b.To, Max: b.Max}
	for _, r := range b.Refs {
		s.Refs = append(s.Refs, jobs.Ref{Broker: r.Broker, Queue: r.Queue, Index: mq.Index(r.Offset)})
	}
	return s
}

// invalid makes an answer of what a job says about its request.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return problemf(400, "invalidParameter", "%v", err)
}

func resendDLQ(c *call) (any, error) {
	var b selectionBody
	if err := c.body(&b); err != nil {
		return nil, err
	}
	if b.Format != "" {
		return nil, badField("format", "notHere", "a format is for exports")
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	group := c.path("group")
	r := &jobs.Resend{
		Cluster: k, Group: group, Selection: b.selection(), Topic: b.Topic, Rate: b.Rate,
		Allowed: func(topic string) error {
			if !c.who.seesTopic(topic) {
				return errScope
			}
			return nil
		},
	}
	if err = r.Validate(); err != nil {
		return nil, invalid(err)
	}
	if b.Topic != "" && !c.who.seesTopic(b.Topic) {
		return nil, errScope
	}
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	n, err := jobs.Count(c.ctx, k, jobs.DeadTopic(group), &r.Selection)
	if err != nil {
		return nil, err
	}
	if p.dry {
		p.add(step{Node: k.name, Action: "SEND_MESSAGE_V2", Target: group, After: strconv.FormatInt(n, 10) + " messages"}, nil)
		return p.run()
	}
	c.after = strconv.FormatInt(n, 10) + " messages"
	return c.start(r.Spec(k.name, c.who.name()), r.Run)
}

func exportDLQ(c *call) (any, error) {
	var b selectionBody
	if err := c.body(&b); err != nil {
		return nil, err
	}
	if b.Topic != "" || b.Rate != 0 {
		return nil, badField("topic", "notHere", "topic and ratePerSecond are for sending again")
	}
	return c.export(jobs.DeadTopic(c.path("group")), b.selection(), b.Format, nil)
}

// export starts a job that writes messages as the caller may see them.
func (c *call) export(topic string, s jobs.Selection, format string, match func(m *record.Message) bool) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	masks := c.masks(topic)
	x := &jobs.Export{
		Cluster: k, Topic: topic, Selection: s, Format: format, Match: match,
		Show: func(props map[string]string, body []byte) (map[string]string, []byte) {
			masks.properties(props)
			body, _ = masks.body(body)
			return props, body
		},
	}
	if x.Format == "" {
		x.Format = "csv"
	}
	if err = x.Validate(); err != nil {
		return nil, invalid(err)
	}
	if _, err := k.NameServer("").Route(c.ctx, topic); err != nil { // said now, not by a job that fails
		return nil, err
	}
	return c.start(x.Spec(k.name, c.who.name()), x.Run)
}

// exportBody is a search whose finds are exported.
type exportBody struct {
	From     int64    `json:"from"`
	To       int64    `json:"to"`
	Tag      string   `json:"tag"`
	Key      string   `json:"key"`
	Property []string `json:"property"`
	SQL      string   `json:"sql"`
	Contains string   `json:"contains"`
	Regex    string   `json:"regex"`
	JSON     string   `json:"json"`
	Max      int64    `json:"max"`
	Format   string   `json:"format"`
}

func exportMessages(c *call) (any, error) {
	var b exportBody
	if err := c.body(&b); err != nil {
		return nil, err
	}
	v := url.Values{"property": b.Property}
	for name, s := range map[string]string{"tag": b.Tag, "key": b.Key, "sql": b.SQL, "contains": b.Contains, "regex": b.Regex, "json": b.JSON} {
		if s != "" {
			v.Set(name, s)
		}
	}
	f, err := parseFilter(v)
	if err != nil {
		return nil, err
	}
	topic := c.path("topic")
	f.hide = c.masks(topic)
	if f.hide.hidesProperties() && (f.sql != nil || len(f.props) > 0 || f.key != "") {
		return nil, errMaskedSearch
	}
	return c.export(topic, jobs.Selection{From: b.From, To: b.To, Max: b.Max}, b.Format, f.fits)
}

// purgeDLQ deletes the topic of the dead letters; the next one makes it again.
func purgeDLQ(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	purge := &jobs.Purge{Cluster: k, Name: k.name, Group: c.path("group")}
	steps, err := purge.Plan(c.ctx)
	if err != nil {
		return nil, err
	}
	topic := jobs.DeadTopic(purge.Group)
	for _, s := range steps {
		out := step{Node: s.Node, Action: "DELETE_TOPIC_IN_NAMESRV", Target: topic}
		if s.Broker {
			out.Action, out.Before = "DELETE_TOPIC_IN_BROKER", strconv.FormatInt(s.Messages, 10)+" messages"
		}
		p.add(out, func(ctx context.Context) (string, error) { return "", purge.Do(ctx, s) })
	}
	return p.run()
}
