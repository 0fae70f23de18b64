package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// auditEntry is who did what.
type auditEntry struct {
	ID      string `json:"id"`
	Time    int64  `json:"time"` // ms
	User    string `json:"user"`
	Address string `json:"address"`
	Action  string `json:"action"`
	Target  string `json:"target"`
	Cluster string `json:"cluster,omitempty"`
	Before  string `json:"before,omitempty"`
	After   string `json:"after,omitempty"`
	Result  string `json:"result"`
	Code    string `json:"code,omitempty"`
	Request string `json:"requestId"`
}

const (
	auditDays    = 180
	maxAuditText = 4096
)

var auditNumber atomic.Uint64 // makes keys of one millisecond different; nothing else depends on it

// audit writes down what was asked for: everything but reading, and everything that was refused for want of a right.
func (c *call) audit(p *problem) {
	read := c.r.Method == http.MethodGet && !c.rt.audited
	if read || c.rt.silent || strings.EqualFold(c.query("dryRun"), "true") {
		return
	}
	e := &auditEntry{
		Time: c.a.now().UnixMilli(), User: c.who.name(), Address: addressOf(c.r).String(), Action: c.rt.id, Target: c.target,
		Cluster: c.path("cluster"), Before: cut(c.before), After: cut(c.after), Result: "ok", Request: requestID(c.r),
	}
	if e.Target == "" {
		e.Target = c.pathTarget()
	}
	switch {
	case p != nil && p.Status < 500:
		e.Result, e.Code = "refused", p.Code
	case p != nil:
		e.Result, e.Code = "failed", p.Code
	case c.partial:
		e.Result = "partial"
	}
	if p != nil && e.User == "" && c.rt.role != rolePublic {
		return // a stranger at the door: only logins are worth a line
	}
	e.ID = fmt.Sprintf("%013d-%06d", e.Time, auditNumber.Add(1)%1_000_000)
	if err := c.a.keep.put(auditBucket, e.ID, e); err != nil {
		c.a.log.Error("a line of the dashboard's audit is lost", "action", e.Action, "target", e.Target, "user", e.User, "err", err)
		return
	}
	c.a.log.Info("dashboard", "action", e.Action, "target", e.Target, "user", e.User, "peer", e.Address, "result", e.Result)
}

// pathTarget is what the path names beside the cluster.
func (c *call) pathTarget() string {
	var parts []string
	for _, name := range []string{"broker", "id", "addr", "namespace", "key", "topic", "group", "message", "user", "subject", "client", "token", "job", "rule", "alert", "action"} {
		if v := c.path(name); v != "" {
			parts = append(parts, v)
		}
	}
	return strings.Join(parts, "/")
}

// cut bounds a text at a whole character.
func cut(s string) string {
	if len(s) > maxAuditText {
		return strings.ToValidUTF8(s[:maxAuditText], "") + "…"
	}
	return s
}

// trimAudit drops what is too old.
func (a *API) trimAudit() error {
	limit := fmt.Sprintf("%013d", a.now().AddDate(0, 0, -auditDays).UnixMilli())
	var gone []string
	if err := a.keep.scan(auditBucket, false, func(key string, _ []byte) error {
		if key >= limit || len(gone) == 10_000 {
			return errStop
		}
		gone = append(gone, key)
		return nil
	}); err != nil || len(gone) == 0 {
		return err
	}
	return a.keep.remove(auditBucket, gone...)
}

type auditState struct {
	Before string `json:"b"`
}

// auditSpan reads the times of a question.
func (c *call) auditSpan() (from, to int64, err error) {
	if from, err = c.integer("from", 0, 0, 1<<62); err != nil {
		return 0, 0, err
	}
	to, err = c.integer("to", c.a.now().Add(time.Minute).UnixMilli(), 0, 1<<62)
	return from, to, err
}

func listAudit(c *call) (any, error) {
	if err := c.a.trimAudit(); err != nil {
		return nil, err
	}
	from, to, err := c.auditSpan()
	if err != nil {
		return nil, err
	}
	limit, err := c.integer("limit", defaultLimit, 1, maxLimit)
	if err != nil {
		return nil, err
	}
	var at auditState
	if s := c.query("cursor"); s != "" {
		if err = c.a.seal.open("audit", s, &at); err != nil {
			return nil, err
		}
	}
	user, action, q := c.query("user"), c.query("action"), strings.ToLower(c.query("q"))
	out := &list[auditEntry]{Items: []auditEntry{}}
	err = c.a.keep.scan(auditBucket, true, func(key string, raw []byte) error {
		if at.Before != "" && key >= at.Before {
			return nil
		}
		var e auditEntry
		if unmarshal(raw, &e) != nil {
			return nil //nolint:nilerr // a damaged line hides no other
		}
		if e.Time < from {
			return errStop
		}
		if e.Time > to || user != "" && e.User != user || action != "" && e.Action != action || q != "" && !strings.Contains(strings.ToLower(string(raw)), q) {
			return nil
		}
		if len(out.Items) == int(limit) {
			next, serr := c.a.seal.seal("audit", auditState{out.Items[limit-1].ID})
			out.NextCursor = next
			if serr == nil {
				serr = errStop
			}
			return serr
		}
		out.Items = append(out.Items, e)
		return nil
	})
	return out, err
}

// exportAudit streams lines of JSON, oldest first.
func exportAudit(c *call) (any, error) {
	from, to, err := c.auditSpan()
	if err != nil {
		return nil, err
	}
	c.download("audit.jsonl")
	enc := json.NewEncoder(c.w)
	err = c.a.keep.scan(auditBucket, false, func(_ string, raw []byte) error {
		var e auditEntry
		if unmarshal(raw, &e) != nil || e.Time < from || e.Time > to {
			return nil //nolint:nilerr // a damaged line hides no other
		}
		return enc.Encode(&e)
	})
	if err != nil {
		c.a.log.Debug("an export of the audit has ended early", "err", err)
	}
	return handled{}, nil
}

// download sets the headers of a file that a browser must save and never show.
func (c *call) download(name string) {
	h := c.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+fileName(name)+`"`)
	h.Set("Cache-Control", "no-store")
}

// fileName keeps what every system takes in a name.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, s)
}
