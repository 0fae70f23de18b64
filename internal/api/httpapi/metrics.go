package httpapi

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/series"
)

type metricName struct {
	Name   string   `json:"name"`
	Unit   string   `json:"unit"`
	Labels []string `json:"labels"`
	Kind   string   `json:"kind"`
	Help   string   `json:"help"`
}

func listMetrics(*call) (any, error) {
	out := struct {
		Items []metricName `json:"items"`
	}{}
	for _, d := range series.Catalogue() {
		out.Items = append(out.Items, metricName{d.Name, d.Unit, d.Labels, d.Kind(), d.Help})
	}
	return &out, nil
}

// metricsAnswer says where the figures come from.
type metricsAnswer struct {
	*series.Answer
	Source string `json:"source"`
}

// asker is who knows the past: a Prometheus if one is configured, else what this process has sampled.
func (a *API) asker() (series.Asker, string, error) {
	s, err := a.settings()
	if err != nil {
		return nil, "", err
	}
	if s.Prometheus != "" {
		p, err := series.NewPrometheus(s.Prometheus)
		return p, "prometheus", err
	}
	if a.o.Metrics == nil {
		return nil, "", problemf(http.StatusNotImplemented, "notCollected", "this dashboard samples no figures, and no Prometheus is configured")
	}
	if _, ok := a.o.Metrics.(*series.Prometheus); ok {
		return a.o.Metrics, "prometheus", nil
	}
	return a.o.Metrics, "embedded", nil
}

func queryMetrics(c *call) (any, error) {
	now := c.a.now()
	q := &series.Query{Name: c.query("name"), Labels: map[string]string{}}
	var err error
	if q.To, err = c.integer("to", now.UnixMilli(), 1, 1<<44); err != nil {
		return nil, err
	}
	if q.From, err = c.integer("from", max(q.To-time.Hour.Milliseconds(), 0), 0, 1<<44); err != nil {
		return nil, err
	}
	if q.Step, err = c.integer("step", 0, 0, 1<<40); err != nil {
		return nil, err
	}
	top, err := c.integer("top", 0, 0, 500)
	if err != nil {
		return nil, err
	}
	q.Top, q.By = int(top), names(c.query("by"))
	if q.Of, err = series.ParseOf(c.query("of")); err != nil {
		return nil, queryProblem(err)
	}
	for _, m := range c.r.URL.Query()["match"] {
		name, value, ok := strings.Cut(m, "=")
		if !ok || name == "" {
			return nil, badField("match", "badMatch", "%q: want label=value", m)
		}
		q.Labels[name] = value
	}
	q.Labels["cluster"] = c.path("cluster")
	asker, source, err := c.a.asker()
	if err != nil {
		return nil, err
	}
	if err = c.scopedMetrics(q); err != nil {
		return nil, err
	}
	a, err := asker.Query(c.ctx, q)
	if err != nil {
		return nil, queryProblem(err)
	}
	return &metricsAnswer{a, source}, nil
}

// scopedMetrics: who is for some topics or groups only must name one.
func (c *call) scopedMetrics(q *series.Query) error {
	if t := q.Labels["topic"]; c.who.topics != nil && strings.HasPrefix(q.Name, "topic.") && (t == "" || !c.who.seesTopic(t)) {
		return errScope
	}
	if g := q.Labels["group"]; c.who.groups != nil && strings.HasPrefix(q.Name, "group.") && (g == "" || !c.who.seesGroup(g)) {
		return errScope
	}
	return nil
}

func queryProblem(err error) error {
	if bad, ok := errors.AsType[*series.QueryError](err); ok {
		return badField(bad.Field, "badQuery", "%s", bad.Error())
	}
	if errors.Is(err, series.ErrNotStored) {
		return problemf(http.StatusNotImplemented, "notStored", "the configured Prometheus does not have this series")
	}
	return problemf(http.StatusBadGateway, "metricsFailed", "%v", err)
}
