package series

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Prometheus answers queries from a Prometheus that scrapes the brokers. Only its range queries are used.
type Prometheus struct {
	URL    string       // without /api/v1
	Client *http.Client // nil: one that waits ten seconds and follows no redirects
}

const (
	promWait = 10 * time.Second
	promMost = 64 << 20 // bytes of an answer
)

// NewPrometheus checks the address.
func NewPrometheus(addr string) (*Prometheus, error) {
	u, err := url.Parse(addr)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("the address of Prometheus must begin with http:// or https://, not %q", addr)
	}
	return &Prometheus{URL: strings.TrimSuffix(addr, "/")}, nil
}

// Query implements Asker.
func (p *Prometheus) Query(ctx context.Context, q *Query) (*Answer, error) {
	pl, err := q.check(1)
	if err != nil {
		return nil, err
	}
	expr := pl.expression()
	if expr == "" {
		return nil, ErrNotStored
	}
	a := pl.answer()
	form := url.Values{
		"query": {expr}, "start": {strconv.FormatInt(pl.t0, 10)}, "step": {strconv.FormatInt(pl.step, 10)},
		"end": {strconv.FormatInt(pl.t0+int64(pl.n-1)*pl.step, 10)},
	}
	rows, err := p.ask(ctx, form)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		a.Series = append(a.Series, pl.row(row))
	}
	slices.SortFunc(a.Series, func(x, y Line) int {
		for _, k := range pl.def.Labels {
			if c := strings.Compare(x.Labels[k], y.Labels[k]); c != 0 {
				return c
			}
		}
		return 0
	})
	a.Total = len(a.Series)
	pl.largest(a, min(mostLines, max(mostValues/pl.n, 1)))
	return a, nil
}

// expression builds the query, "" when Prometheus is not told such figures.
func (p *plan) expression() string {
	d := p.def.prom
	if d.how == absent {
		return ""
	}
	match := []string{}
	if d.match != "" {
		match = append(match, d.match)
	}
	for i, v := range p.want {
		if v != "" {
			match = append(match, promLabels[p.def.Labels[i]]+"="+strconv.Quote(v))
		}
	}
	keep := p.By
	if len(keep) == 0 {
		keep = p.def.Labels
	}
	by := make([]string, 0, len(keep)+1)
	for _, l := range keep {
		by = append(by, promLabels[l])
	}
	select_ := func(suffix string) string { return d.metric + suffix + "{" + strings.Join(match, ",") + "}" }
	window := "[" + strconv.FormatInt(max(p.step, 60), 10) + "s]" // two scrapes at least
	group := func(of string, labels ...string) string {
		return of + " by (" + strings.Join(append(slices.Clone(by), labels...), ",") + ") "
	}
	var out string
	switch d.how {
	case gauge:
		over := [...]string{OfAverage: "avg_over_time", OfMinimum: "min_over_time", OfMaximum: "max_over_time", OfLast: "last_over_time"}[p.Of]
		out = group(p.def.Merge.prom()) + "(" + over + "(" + select_("") + window + "))"
	case rate:
		out = group(p.def.Merge.prom()) + "(rate(" + select_("") + window + "))"
	case quantile:
		out = "histogram_quantile(" + strconv.FormatFloat(d.q, 'g', -1, 64) + ", " + group("sum", "le") + "(rate(" + select_("_bucket") + window + ")))"
	case average:
		out = group("sum") + "(rate(" + select_("_sum") + window + ")) / " + group("sum") + "(rate(" + select_("_count") + window + "))"
	case absent:
	}
	if d.scale != 0 {
		out = strconv.FormatFloat(d.scale, 'g', -1, 64) + " * " + out
	}
	if p.Top > 0 {
		out = "topk(" + strconv.Itoa(p.Top) + ", " + out + ")"
	}
	return out
}

type promRow struct {
	Metric map[string]string    `json:"metric"`
	Values [][2]json.RawMessage `json:"values"`
}

func (p *Prometheus) ask(ctx context.Context, form url.Values) ([]promRow, error) {
	ctx, cancel := context.WithTimeout(ctx, promWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/api/v1/query_range", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := p.Client
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // it was read
	body, err := io.ReadAll(io.LimitReader(res.Body, promMost+1))
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", err)
	}
	if len(body) > promMost {
		return nil, errors.New("ask Prometheus: the answer is too long")
	}
	var out struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			Type   string    `json:"resultType"`
			Result []promRow `json:"result"`
		} `json:"data"`
	}
	err = json.Unmarshal(body, &out)
	switch {
	case err != nil && res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask Prometheus: %s", res.Status)
	case err != nil:
		return nil, fmt.Errorf("ask Prometheus: the answer makes no sense: %w", err)
	case out.Status != "success":
		return nil, fmt.Errorf("ask Prometheus: %s: %s", res.Status, out.Error)
	case out.Data.Type != "matrix":
		return nil, fmt.Errorf("ask Prometheus: it answered with a %q", out.Data.Type)
	}
	return out.Data.Result, nil
}

// row translates labels back and puts the values on the grid.
func (p *plan) row(r promRow) Line {
	l := Line{Labels: map[string]string{}, Values: make(Values, p.n)}
	for _, k := range p.def.Labels {
		if v, ok := r.Metric[promLabels[k]]; ok {
			l.Labels[k] = v
		}
	}
	for i := range l.Values {
		l.Values[i] = math.NaN()
	}
	for _, pair := range r.Values {
		at, err := strconv.ParseFloat(string(pair[0]), 64)
		if err != nil {
			continue
		}
		text, err := strconv.Unquote(string(pair[1]))
		if err != nil {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if i := p.index(int64(at)); err == nil && i >= 0 {
			l.Values[i] = v
		}
	}
	return l
}
