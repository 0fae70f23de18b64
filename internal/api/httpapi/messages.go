package httpapi

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// messagePage is what a search found within its budgets.
type messagePage struct {
	Items        []*message `json:"items"`
	NextCursor   string     `json:"nextCursor,omitempty"`
	Done         bool       `json:"done"`
	Scanned      i64        `json:"scanned"`
	ScannedBytes i64        `json:"scannedBytes"`
	ScannedTo    int64      `json:"scannedTo,omitempty"`
	From         int64      `json:"from"`
	To           int64      `json:"to"`
	partial
}

const defaultWindow = time.Hour

func searchMessages(c *call) (any, error) { return c.searchTopic(c.path("topic")) }

func searchDLQ(c *call) (any, error) { return c.searchTopic(dlqPrefix + c.path("group")) }

// newSearch reads what a search is to find.
func (c *call) newSearch(topic string) (*search, error) {
	v := c.r.URL.Query()
	f, err := parseFilter(v)
	if err != nil {
		return nil, err
	}
	f.hide = c.masks(topic)
	if f.looksAtBody() && !c.who.may(roleReader) {
		return nil, problemf(http.StatusForbidden, "roleTooLow", "your role may not see bodies, nor search in them")
	}
	if f.hide.hidesProperties() && (f.sql != nil || len(f.props) > 0 || f.key != "") {
		return nil, errMaskedSearch
	}
	s := &search{c: c, topic: topic, f: f, shown: maxShown}
	switch o := v.Get("order"); o {
	case "", "newest":
	case "oldest":
		s.oldest = true
	default:
		return nil, badField("order", "unknownOrder", "order: want newest or oldest, not %q", o)
	}
	now := c.a.now()
	if s.to, err = c.integer("to", math.MaxInt64, 0, math.MaxInt64); err != nil {
		return nil, err
	}
	def := now.Add(-defaultWindow)
	if s.to != math.MaxInt64 && time.UnixMilli(s.to).Before(now) {
		def = time.UnixMilli(s.to).Add(-defaultWindow)
	}
	if v.Get("offset") != "" {
		def = time.UnixMilli(0)
	}
	if s.from, err = c.integer("from", max(def.UnixMilli(), 0), 0, math.MaxInt64); err != nil {
		return nil, err
	}
	if s.from > s.to {
		return nil, badField("from", "afterTo", "the window begins after its end")
	}
	return s, nil
}

var errMaskedSearch = problemf(http.StatusForbidden, "maskedProperties", "properties of this topic are hidden from your role: it cannot search in them")

func (m *masking) hidesProperties() bool {
	return m.all || slices.ContainsFunc(m.rules, func(r maskingRule) bool { return r.Kind == "property" })
}

// scan takes one of the places for searches.
func (c *call) scan() (release func(), err error) {
	t := time.NewTimer(scanWait)
	defer t.Stop()
	select {
	case c.a.scans <- struct{}{}:
		return func() { <-c.a.scans }, nil
	case <-t.C:
		p := problemf(http.StatusTooManyRequests, "tooManyScans", "%d searches are under way: try again", maxScans)
		p.RetryAfterMs = scanWait.Milliseconds()
		return nil, p
	case <-c.ctx.Done():
		return nil, c.ctx.Err()
	}
}

// only reads which queues are meant.
func (c *call) only() (func(set string, queue int32) bool, error) {
	id, err := c.integer("queue", -1, 0, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	want := c.query("broker")
	return func(set string, queue int32) bool {
		return (want == "" || set == want) && (id < 0 || int64(queue) == id)
	}, nil
}

// place begins the search where the question says, or where its cursor does.
func (s *search) place(list []node) ([]*nodeError, error) {
	c := s.c
	only, err := c.only()
	if err != nil {
		return nil, err
	}
	if text := c.query("cursor"); text != "" {
		var st searchState
		if err = c.a.seal.open(c.searchID(), text, &st); err != nil {
			return nil, err
		}
		return s.resume(&st, list), nil
	}
	if b := c.query("broker"); b != "" && named(list, b) == nil {
		return nil, badField("broker", "unknownBroker", "no broker set %q has the topic", b)
	}
	errs := s.begin(c.ctx, list, c.a.now().UnixMilli(), only)
	at, err := c.integer("offset", -1, 0, math.MaxInt64-1)
	if err != nil {
		return nil, err
	}
	if at >= 0 && (c.query("broker") == "" || c.query("queue") == "") {
		return nil, badField("offset", "needsQueue", "an offset needs broker and queue")
	}
	if at >= 0 && len(s.queues) == 1 {
		if q := s.queues[0]; s.oldest {
			q.lo = max(q.lo, mq.Index(at))
		} else {
			q.hi = min(q.hi, mq.Index(at)+1)
		}
	}
	return errs, nil
}

// searchID ties a cursor to its question.
func (c *call) searchID() string {
	v := c.r.URL.Query()
	v.Del("cursor")
	v.Del("limit")
	return c.r.URL.Path + "?" + v.Encode()
}

func (c *call) searchTopic(topic string) (any, error) {
	s, err := c.newSearch(topic)
	if err != nil {
		return nil, err
	}
	limit, err := c.integer("limit", defaultLimit, 1, maxResults)
	if err != nil {
		return nil, err
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	_, list, err := k.route(c.ctx, topic)
	if err != nil {
		return nil, err
	}
	release, err := c.scan()
	if err != nil {
		return nil, err
	}
	defer release()
	errs, err := s.place(list)
	if err != nil {
		return nil, err
	}
	out := &messagePage{Items: []*message{}}
	out.Done = s.run(c.ctx, func(m *message) bool {
		if len(out.Items) == int(limit) {
			return false
		}
		out.Items = append(out.Items, m)
		return true
	})
	if err = c.r.Context().Err(); err != nil {
		return nil, err
	}
	for _, q := range s.queues {
		if q.err != nil {
			errs = append(errs, nodeErrorOf(q.broker.String(), q.err))
		}
	}
	out.Scanned, out.ScannedBytes, out.ScannedTo, out.From, out.To, out.partial = i64(s.scanned), i64(s.bytes), s.cover(), s.from, s.to, partialOf(errs)
	if out.To == math.MaxInt64 {
		out.To = c.a.now().UnixMilli()
	}
	out.ScannedTo = min(out.ScannedTo, out.To)
	if !out.Done {
		if out.NextCursor, err = c.a.seal.seal(c.searchID(), s.state()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// byOffsetID reads a message where its id says that it is. Only brokers of the cluster are asked: an id names an address.
func (k *cluster) byOffsetID(ctx context.Context, id string) (*message, error) {
	host, at, err := record.ParseOffsetID(id)
	if err != nil {
		return nil, badField("message", "badId", "%q is no offset message id: %v", id, err)
	}
	all := k.all()
	for i := range all {
		if all[i].addr == host.String() {
			return all[i].messageAt(ctx, at)
		}
	}
	// Behind a translated address no broker has the one that is in the id: all of them are asked, and the id is compared.
	answers, errs := ask(ctx, all, func(ctx context.Context, n *node) (*message, error) { return n.messageAt(ctx, at) })
	for _, a := range answers {
		if strings.EqualFold(a.v.OffsetID, id) {
			return a.v, nil
		}
	}
	if i := slices.IndexFunc(errs, func(e *nodeError) bool { return e.Code != codeNoMessage }); i >= 0 && len(answers) == 0 {
		p := problemf(http.StatusBadGateway, errs[i].Code, "%s", errs[i].Detail)
		p.Node = errs[i].Node
		return nil, p
	}
	return nil, notFound(codeNoMessage, "no broker of cluster %s has message %s", k.name, id)
}

func (n *node) messageAt(ctx context.Context, at mq.Offset) (*message, error) {
	rec, err := n.MessageAt(ctx, at, nil)
	if err != nil {
		if call := problemOf(err); call.RemotingCode != 0 {
			return nil, notFound(codeNoMessage, "%s has no message at %d: %s", n, at, call.Detail)
		}
		return nil, err
	}
	m, _, err := decodeOne(n.set.Name, rec)
	if err != nil {
		return nil, notFound(codeNoMessage, "%s: what is at %d is no message: %v", n, at, err)
	}
	return m, nil
}

// byKey asks all brokers of a topic for a key. Brokers answer by hash: what has another key is left out.
func (k *cluster) byKey(ctx context.Context, q mq.KeyQuery) ([]*message, []*nodeError, error) {
	_, list, err := k.route(ctx, q.Topic)
	if err != nil {
		return nil, nil, err
	}
	answers, errs := ask(ctx, list, func(ctx context.Context, n *node) ([]*message, error) {
		r, err := n.QueryByKey(ctx, &q)
		if err != nil {
			return nil, err
		}
		return decodeAll(n.set.Name, r.Records)
	})
	var out []*message
	for _, a := range answers {
		for _, m := range a.v {
			has := m.Props["UNIQ_KEY"] == q.Key
			if !q.Unique {
				has = slices.Contains(m.Keys, q.Key)
			}
			if has && m.Topic == q.Topic {
				out = append(out, m)
			}
		}
	}
	slices.SortFunc(out, func(a, b *message) int { return cmp.Compare(b.Stored, a.Stored) })
	return out, errs, nil
}

const (
	maxByKey = 1000

	codeNoMessage = "messageNotFound"
)

// span is the range of time to look in, in ms: everything, if the caller does not say less.
func (c *call) span() (from, to int64, err error) {
	if from, err = c.integer("from", 0, 0, math.MaxInt64); err != nil {
		return 0, 0, err
	}
	to, err = c.integer("to", math.MaxInt64, 0, math.MaxInt64)
	return from, to, err
}

// findMessages looks messages up by id or key.
func findMessages(c *call) (any, error) {
	id, key, topic := strings.TrimSpace(c.query("id")), strings.TrimSpace(c.query("key")), c.query("topic")
	if (id == "") == (key == "") {
		return nil, badField("id", "oneOf", "exactly one of id and key is needed")
	}
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	from, to, err := c.span()
	if err != nil {
		return nil, err
	}
	limit, err := c.integer("limit", defaultLimit, 1, maxByKey)
	if err != nil {
		return nil, err
	}
	if id != "" {
		if _, _, bad := record.ParseOffsetID(id); bad == nil && (topic == "" || len(id) != 32 || !isUnique(id)) {
			m, gone := k.byOffsetID(c.ctx, id)
			if gone == nil && !c.who.seesTopic(m.Topic) {
				gone = errScope
			}
			if gone == nil {
				return whole([]*message{m.show(c, maxShown)}, nil), nil
			}
			if topic == "" {
				return nil, gone
			}
		}
	}
	if topic == "" {
		return nil, badField("topic", "missing", "a key, and the id that a client gave, need the topic")
	}
	list, errs, err := k.byKey(c.ctx, mq.KeyQuery{Topic: topic, Key: cmp.Or(id, key), Unique: id != "", Max: int(limit), Begin: from, End: to})
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		m.show(c, maxShown)
	}
	return whole(list[:min(len(list), int(limit))], errs), nil
}

// isUnique tells the id of a client from that of a place: both have 32 hexadecimal digits, but a place on a broker has a port where
// clients have the hash of a class loader.
func isUnique(id string) bool {
	host, at, err := record.ParseOffsetID(id)
	return err != nil || host.Port() == 0 || at < 0 || at > 1<<56
}

// message finds the message of the path: by where it is, or by the id of its client and the topic.
func (c *call) message() (*cluster, *message, error) { return c.messageOf(c.query("topic")) }

func (c *call) messageOf(topic string) (*cluster, *message, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, nil, err
	}
	id := c.path("message")
	var found *message
	_, _, bad := record.ParseOffsetID(id)
	if bad == nil {
		found, err = k.byOffsetID(c.ctx, id)
	}
	if found == nil && topic != "" {
		var list []*message
		var errs []*nodeError
		if list, errs, err = k.byKey(c.ctx, mq.KeyQuery{Topic: topic, Key: id, Unique: true, Max: maxByKey, End: math.MaxInt64}); err != nil {
			return nil, nil, err
		}
		if len(list) > 0 {
			found = list[len(list)-1] // the first that was stored; the others are retries
		} else if len(errs) > 0 {
			p := problemf(http.StatusBadGateway, errs[0].Code, "%s", errs[0].Detail)
			p.Node = errs[0].Node
			return nil, nil, p
		}
	}
	switch {
	case found != nil && !c.who.seesTopic(found.Topic):
		return nil, nil, errScope
	case found != nil:
		return k, found, nil
	case bad != nil && topic == "":
		return nil, nil, badField("topic", "missing", "%q is the id of a client: it needs the topic", id)
	case err == nil:
		err = notFound(codeNoMessage, "no broker has message %s", id)
	}
	return nil, nil, err
}

func getMessage(c *call) (any, error) {
	full, err := c.boolean("full")
	if err != nil {
		return nil, err
	}
	_, m, err := c.message()
	if err != nil {
		return nil, err
	}
	if full {
		return m.show(c, 0), nil
	}
	return m.show(c, maxShown), nil
}

func getMessageBody(c *call) (any, error) {
	_, m, err := c.message()
	if err != nil {
		return nil, err
	}
	body := m.raw
	if !m.packed {
		body, _ = c.masks(m.Topic).body(body)
	}
	c.download(m.ID + ".bin")
	_, _ = c.w.Write(body) // the client may have gone
	return handled{}, nil
}
