package httpapi

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/cometmq/cometmq/internal/alerts"
)

type alertAnswer struct {
	ID        string  `json:"id"`
	Rule      string  `json:"ruleId"`
	RuleName  string  `json:"ruleName"`
	Kind      string  `json:"kind"`
	Severity  string  `json:"severity"`
	State     string  `json:"state"`
	Cluster   string  `json:"cluster"`
	Target    string  `json:"target"`
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"`
	Since     int64   `json:"since"`
	Resolved  int64   `json:"resolved,omitempty"`
	By        string  `json:"acknowledgedBy,omitempty"`
	NoData    bool    `json:"noData,omitempty"`
}

// alertID makes an id that fits into a path.
func alertID(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

func alertOf(a *alerts.Alert) alertAnswer {
	return alertAnswer{
		ID: alertID(a.ID), Rule: a.Rule, RuleName: a.RuleName, Kind: string(a.Kind), Severity: string(a.Severity), State: string(a.State), Cluster: a.Cluster,
		Target: a.Target, Value: a.Value, Threshold: a.Threshold, Since: a.Since, Resolved: a.Ended, By: a.By, NoData: a.NoData,
	}
}

type ruleAnswer struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Kind      string  `json:"kind"`
	Enabled   bool    `json:"enabled"`
	Cluster   string  `json:"cluster,omitempty"`
	Target    string  `json:"target,omitempty"`
	Threshold float64 `json:"threshold"`
	For       int64   `json:"forMs"`
	Severity  string  `json:"severity"`
	Webhook   string  `json:"webhook,omitempty"`
	Builtin   bool    `json:"builtin,omitempty"`
}

// ruleOf: the address of a webhook often is a secret; only operators, who may set it, see it.
func (c *call) ruleOf(r *alerts.Rule) ruleAnswer {
	out := ruleAnswer{
		ID: r.ID, Name: r.Name, Kind: string(r.Kind), Enabled: r.Enabled, Cluster: r.Cluster, Target: r.Target, Threshold: r.Threshold,
		For: r.For.Milliseconds(), Severity: string(r.Severity), Builtin: r.Builtin,
	}
	if c.who.may(roleOperator) {
		out.Webhook = r.Webhook
	}
	return out
}

// ruleWrite is what may be changed. What is absent stays.
type ruleWrite struct {
	Name      *string  `json:"name"`
	Kind      *string  `json:"kind"`
	Enabled   *bool    `json:"enabled"`
	Cluster   *string  `json:"cluster"`
	Target    *string  `json:"target"`
	Threshold *float64 `json:"threshold"`
	For       *int64   `json:"forMs"`
	Severity  *string  `json:"severity"`
	Webhook   *string  `json:"webhook"`
}

func assign[T, U any](to *T, from *U, convert func(U) T) {
	if from != nil {
		*to = convert(*from)
	}
}

func asIs[T any](v T) T { return v }

func (b *ruleWrite) apply(r *alerts.Rule) {
	assign(&r.Name, b.Name, asIs)
	assign(&r.Kind, b.Kind, func(s string) alerts.Kind { return alerts.Kind(s) })
	assign(&r.Enabled, b.Enabled, asIs)
	assign(&r.Cluster, b.Cluster, asIs)
	assign(&r.Target, b.Target, asIs)
	assign(&r.Threshold, b.Threshold, asIs)
	assign(&r.For, b.For, func(ms int64) time.Duration {
		if ms < 0 || ms > 1<<40 {
			return -1
		}
		return time.Duration(ms) * time.Millisecond
	})
	assign(&r.Severity, b.Severity, func(s string) alerts.Severity { return alerts.Severity(s) })
	assign(&r.Webhook, b.Webhook, asIs)
}

func (c *call) watcher() (*alerts.Watcher, error) {
	if c.a.o.Alerts == nil {
		return nil, problemf(http.StatusNotImplemented, "notWatched", "this dashboard evaluates no alerts")
	}
	return c.a.o.Alerts, nil
}

// ruleProblem makes an answer of what a rule is refused for.
func ruleProblem(err error) error {
	if bad, ok := errors.AsType[*alerts.FieldError](err); ok {
		field := bad.Field
		if field == "for" {
			field = "forMs"
		}
		return badField(field, "badValue", "%s", bad.Error())
	}
	switch {
	case errors.Is(err, alerts.ErrUnknown):
		return notFound("ruleNotFound", "%v", err)
	case errors.Is(err, alerts.ErrMany):
		return problemf(http.StatusConflict, "tooManyRules", "%v", err)
	}
	return err
}

func listAlerts(c *call) (any, error) {
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	w, err := c.watcher()
	if err != nil {
		return nil, err
	}
	var out []alertAnswer
	for _, a := range c.visibleAlerts(w) {
		if s := c.query("state"); (s == "" || s == string(a.State)) && q.wants(a.RuleName, a.Target, string(a.Kind)) {
			out = append(out, alertOf(&a))
		}
	}
	if q.sort == "" {
		q.sort, q.down = "since", true
	}
	return pageOf(c, q, out, nil, text("id", func(v *alertAnswer) string { return v.ID }), number("since", func(v *alertAnswer) int64 { return v.Since }),
		text("state", func(v *alertAnswer) string { return v.State }), text("severity", func(v *alertAnswer) string { return v.Severity }),
		text("target", func(v *alertAnswer) string { return v.Target }), number("value", func(v *alertAnswer) float64 { return v.Value }))
}

// visibleAlerts are those of groups that the caller is for.
func (c *call) visibleAlerts(w *alerts.Watcher) []alerts.Alert {
	all := w.Alerts()
	out := make([]alerts.Alert, 0, len(all))
	for _, a := range all {
		switch a.Kind {
		case alerts.Lag, alerts.LagTime, alerts.DeadLetters, alerts.Clients:
			if !c.who.seesGroup(a.Target) {
				continue
			}
		case alerts.Disk, alerts.ReplicaBehind, alerts.NoMaster, alerts.Certificate:
		}
		out = append(out, a)
	}
	return out
}

func acknowledgeAlert(c *call) (any, error) {
	w, err := c.watcher()
	if err != nil {
		return nil, err
	}
	for _, a := range c.visibleAlerts(w) {
		if alertID(a.ID) != c.path("alert") {
			continue
		}
		if a, err = w.Acknowledge(a.ID, c.who.name()); err != nil {
			return nil, ruleProblem(err)
		}
		c.target = a.Target
		out := alertOf(&a)
		return &out, nil
	}
	return nil, notFound("alertNotFound", "there is no such alert any more")
}

func listAlertRules(c *call) (any, error) {
	w, err := c.watcher()
	if err != nil {
		return nil, err
	}
	out := &list[ruleAnswer]{Items: []ruleAnswer{}}
	for _, r := range w.Rules() {
		out.Items = append(out.Items, c.ruleOf(&r))
	}
	return out, nil
}

func getAlertRule(c *call) (any, error) {
	w, err := c.watcher()
	if err != nil {
		return nil, err
	}
	r, err := w.Rule(c.path("rule"))
	if err != nil {
		return nil, ruleProblem(err)
	}
	out := c.ruleOf(&r)
	return &out, nil
}

func createAlertRule(c *call) (any, error) {
	return c.writeRule(alerts.Rule{Enabled: true, Severity: alerts.Warn})
}

func putAlertRule(c *call) (any, error) {
	w, err := c.watcher()
	if err != nil {
		return nil, err
	}
	r, err := w.Rule(c.path("rule"))
	if err != nil {
		return nil, ruleProblem(err)
	}
	return c.writeRule(r)
}

func (c *call) writeRule(r alerts.Rule) (any, error) {
	w, err := c.watcher()
	if err != nil {
		return nil, err
	}
	var b ruleWrite
	if err = c.body(&b); err != nil {
		return nil, err
	}
	b.apply(&r)
	if r, err = w.PutRule(r); err != nil {
		return nil, ruleProblem(err)
	}
	c.target = r.Name
	out := c.ruleOf(&r)
	return &out, nil
}

func deleteAlertRule(c *call) (any, error) {
	w, err := c.watcher()
	if err != nil {
		return nil, err
	}
	return nil, ruleProblem(w.DeleteRule(c.path("rule")))
}

type alertSettings struct {
	Webhook   string `json:"webhook"`
	Format    string `json:"format"`
	SecretSet bool   `json:"secretSet"`
	Told      i64    `json:"told"`
	Failed    i64    `json:"failedAttempts"`
	Dropped   i64    `json:"dropped"`
}

func alertSettingsOf(w *alerts.Watcher) *alertSettings {
	s, n := w.Settings(), w.Stats()
	return &alertSettings{s.Webhook, string(cmp.Or(s.Format, alerts.JSON)), s.Secret != "", i64(n.Told), i64(n.FailedAttempts), i64(n.Dropped)}
}

func getAlertSettings(c *call) (any, error) {
	w, err := c.watcher()
	if err != nil {
		return nil, err
	}
	return alertSettingsOf(w), nil
}

func putAlertSettings(c *call) (any, error) {
	w, err := c.watcher()
	if err != nil {
		return nil, err
	}
	var b struct {
		Webhook *string `json:"webhook"`
		Format  *string `json:"format"`
		Secret  *string `json:"secret"`
	}
	if err = c.body(&b); err != nil {
		return nil, err
	}
	s := w.Settings()
	assign(&s.Webhook, b.Webhook, asIs)
	assign(&s.Format, b.Format, func(f string) alerts.Format { return alerts.Format(f) })
	assign(&s.Secret, b.Secret, asIs)
	if err = w.PutSettings(s); err != nil {
		return nil, ruleProblem(err)
	}
	return alertSettingsOf(w), nil
}
