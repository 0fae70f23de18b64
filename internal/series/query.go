package series

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.etcd.io/bbolt"
)

// Query asks for logical series.
type Query struct {
	Name   string
	Labels map[string]string // what the series must have; "" for a label = any
	From   int64             // ms, inclusive
	To     int64             // ms, exclusive
	Step   int64             // ms between the points; 0 = about 300 points
	Of     Of                // which value of a step
	By     []string          // add up the series that have these labels in common; nil: they stay apart
	Top    int               // only the series that are largest on average; 0 = as many as are allowed
}

// Of says which of the samples of a step is its value.
type Of uint8

// Values of a step.
const (
	OfAverage Of = iota
	OfMinimum
	OfMaximum
	OfLast
)

// ParseOf reads avg, min, max or last; "" is avg.
func ParseOf(s string) (Of, error) {
	switch s {
	case "", "avg":
		return OfAverage, nil
	case "min":
		return OfMinimum, nil
	case "max":
		return OfMaximum, nil
	case "last":
		return OfLast, nil
	}
	return 0, &QueryError{"of", "must be avg, min, max or last"}
}

// Answer is what a chart shows: value i of each series is that of the step that begins at T0 + i*Step.
type Answer struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Step   int64  `json:"step"` // ms
	T0     int64  `json:"t0"`   // ms
	Series []Line `json:"series"`
	Total  int    `json:"total"` // series that there are; more than in Series when Top or the limit left some out
}

// Line is one series.
type Line struct {
	Labels map[string]string `json:"labels"`
	Values Values            `json:"values"`
}

// Values are the points of a line, NaN where there is none.
type Values []float64

// MarshalJSON writes numbers with six digits at least, and null for NaN.
func (v Values) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 2+len(v)*5)
	b = append(b, '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		switch {
		case math.IsNaN(x) || math.IsInf(x, 0):
			b = append(b, "null"...)
		case x == math.Trunc(x) && math.Abs(x) < 1<<53:
			b = strconv.AppendInt(b, int64(x), 10)
		default:
			b = strconv.AppendFloat(b, x, 'g', 6, 64)
		}
	}
	return append(b, ']'), nil
}

// QueryError says which field of a query is wrong.
type QueryError struct{ Field, Text string }

// Error names the field.
func (e *QueryError) Error() string { return e.Field + " " + e.Text }

// ErrNotStored says that a Prometheus does not have a series.
var ErrNotStored = errors.New("this series is not kept there")

// Bounds of an answer.
const (
	mostPoints = 2_000
	usual      = 300
	mostLines  = 500
	mostValues = 400_000
)

// Asker answers queries: a Store, or a Prometheus.
type Asker interface {
	Query(ctx context.Context, q *Query) (*Answer, error)
}

// plan is a query that was checked.
type plan struct {
	*Query
	def  *Def
	want []string // by label of the definition, "" = any
	step int64    // s
	t0   int64    // s
	n    int
}

// check makes a plan; finest is the smallest step that there is, in s.
func (q *Query) check(finest int64) (*plan, error) {
	d := find(q.Name)
	switch {
	case d == nil:
		return nil, &QueryError{"name", strconv.Quote(q.Name) + " is no series"}
	case q.From < 0 || q.To <= q.From || q.To > 1<<44:
		return nil, &QueryError{"to", "must be behind from"}
	case q.Step < 0:
		return nil, &QueryError{"step", "must not be negative"}
	case q.Top < 0:
		return nil, &QueryError{"top", "must not be negative"}
	}
	p := &plan{Query: q, def: d, want: make([]string, len(d.Labels))}
	for k, v := range q.Labels {
		i := slices.Index(d.Labels, k)
		if i < 0 {
			return nil, &QueryError{"labels", fmt.Sprintf("%s has no label %q", q.Name, k)}
		}
		p.want[i] = v
	}
	for _, k := range q.By {
		if !slices.Contains(d.Labels, k) {
			return nil, &QueryError{"by", fmt.Sprintf("%s has no label %q", q.Name, k)}
		}
	}
	span := ceil(q.To-q.From, 1000)
	step := ceil(q.Step, 1000)
	if step == 0 {
		step = span / usual
	}
	step = max(step, ceil(span, mostPoints-1), finest)
	p.setStep(ceil(step, finest) * finest)
	return p, nil
}

func (p *plan) setStep(step int64) {
	from := p.From / 1000
	p.step, p.t0 = step, from-from%step
	p.n = int(ceil(p.To-p.t0*1000, step*1000))
}

func ceil(a, b int64) int64 { return (a + b - 1) / b }

func (p *plan) answer() *Answer {
	return &Answer{Name: p.def.Name, Unit: p.def.Unit, Step: p.step * 1000, T0: p.t0 * 1000, Series: []Line{}}
}

// line is one series while it is read.
type line struct {
	labels []string
	number uint32
	tail   []minute // that are not in the file
	v      []float64
	n      []int32 // samples of a step, of averages
}

func (l *line) add(of Of, i int, v float64) {
	if math.IsNaN(v) {
		return
	}
	old := l.v[i]
	if math.IsNaN(old) {
		l.v[i], l.n[i] = v, 1
		return
	}
	switch of {
	case OfAverage:
		l.v[i] = old + v
		l.n[i]++
	case OfMinimum:
		l.v[i] = min(old, v)
	case OfMaximum:
		l.v[i] = max(old, v)
	case OfLast:
		l.v[i] = v
	}
}

// Query answers from memory and file.
func (s *Store) Query(_ context.Context, q *Query) (*Answer, error) {
	p, err := q.check(tiers[fine].step)
	if err != nil {
		return nil, err
	}
	t := p.tier(s.now().Unix())
	lines := s.pick(p)
	a := p.answer()
	a.Total = len(lines)
	whole := len(q.By) > 0 || q.Top > 0 // then each line counts for what is shown
	for batch := range slices.Chunk(lines, max(mostValues/p.n, 1)) {
		if err := s.read(p, t, batch); err != nil {
			return nil, err
		}
		for i := range batch {
			batch[i].finish(p.Of)
			if batch[i].empty() {
				a.Total--
				continue
			}
			a.Series = append(a.Series, batch[i].line(p.def))
		}
		p.shape(a)
		if !whole {
			break
		}
	}
	if q.Top > 0 {
		p.largest(a, q.Top)
	}
	return a, nil
}

func (l *line) line(d *Def) Line {
	out := Line{Labels: make(map[string]string, len(l.labels)), Values: l.v}
	for i, v := range l.labels {
		out.Labels[d.Labels[i]] = v
	}
	return out
}

// tier chooses the coarsest that is fine enough, and a coarser one when that does not reach back.
func (p *plan) tier(now int64) int {
	t := fine
	for i := range tiers {
		if tiers[i].step <= p.step {
			t = i
		}
	}
	for t < tens && p.t0 < now-tiers[t].keep {
		t++
	}
	if step := tiers[t].step; p.step%step != 0 {
		p.setStep(ceil(p.step, step) * step)
	}
	return t
}

// pick returns the series that are asked for, sorted by their labels.
func (s *Store) pick(p *plan) []line {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []line
	prefix := p.def.Name + "\x00"
	for id, e := range s.entries {
		if !strings.HasPrefix(string(id), prefix) || e.seen+tiers[tens].step < p.t0 {
			continue
		}
		_, labels := id.split()
		if labels == nil || !p.wants(labels) {
			continue
		}
		l := line{labels: labels, number: e.number}
		for i := range e.waiting {
			if e.waiting[i].start != 0 {
				l.tail = append(l.tail, e.waiting[i])
			}
		}
		slices.SortFunc(l.tail, func(a, b minute) int { return cmp.Compare(a.start, b.start) })
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b line) int { return slices.Compare(a.labels, b.labels) })
	return out
}

func (p *plan) wants(labels []string) bool {
	for i, w := range p.want {
		if w != "" && w != labels[i] {
			return false
		}
	}
	return true
}

// read fills lines.
func (s *Store) read(p *plan, tier int, lines []line) error {
	for i := range lines {
		lines[i].v, lines[i].n = make([]float64, p.n), make([]int32, p.n)
		for j := range lines[i].v {
			lines[i].v[j] = math.NaN()
		}
	}
	t := &tiers[tier]
	end := p.t0 + int64(p.n)*p.step
	g := t.grid()
	err := s.file.View(func(tx *bbolt.Tx) error {
		for start := t.block(p.t0); start < end; start += t.span {
			b := tx.Bucket(blockBucket(tier, start))
			if b == nil {
				continue
			}
			for i := range lines {
				v := b.Get(numberKey(lines[i].number))
				if v == nil || g.decode(v) != nil { // a damaged block is a gap
					continue
				}
				p.fold(&lines[i], g, t, start)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range lines {
		p.foldTail(&lines[i], t, end)
	}
	return nil
}

// fold adds a block to a line.
func (p *plan) fold(l *line, g *grid, t *tier, start int64) {
	col := g.col(0)
	if t.columns == rolled {
		col = g.col([...]int{OfAverage: colAvg, OfMinimum: colMin, OfMaximum: colMax, OfLast: colLast}[p.Of])
	}
	for slot, v := range col {
		if i := p.index(start + int64(slot)*t.step); i >= 0 {
			l.add(p.Of, i, v)
		}
	}
}

func (p *plan) index(at int64) int {
	if at < p.t0 {
		return -1
	}
	if i := (at - p.t0) / p.step; i < int64(p.n) {
		return int(i)
	}
	return -1
}

// foldTail adds what is not in the file yet: to the fine tier all of it, to the coarser ones as one value of its step.
func (p *plan) foldTail(l *line, t *tier, end int64) {
	for _, m := range l.tail {
		if m.start >= end {
			continue
		}
		if t.columns != rolled {
			for i, v := range m.v {
				if at := p.index(m.start + int64(i)*t.step); at >= 0 {
					l.add(p.Of, at, v)
				}
			}
			continue
		}
		g := newGrid(rolled, 1)
		if at := p.index(m.start); at >= 0 && g.put(0, m.v[:]) {
			l.add(p.Of, at, g.col([...]int{OfAverage: colAvg, OfMinimum: colMin, OfMaximum: colMax, OfLast: colLast}[p.Of])[0])
		}
	}
}

func (l *line) finish(of Of) {
	if of != OfAverage {
		return
	}
	for i, n := range l.n {
		if n > 1 {
			l.v[i] /= float64(n)
		}
	}
}

func (l *line) empty() bool {
	return !slices.ContainsFunc(l.v, func(v float64) bool { return !math.IsNaN(v) })
}

// shape adds up what By says and leaves out what Top and the bounds say. It may be called again when there are more lines.
func (p *plan) shape(a *Answer) {
	if len(p.By) > 0 {
		a.Series = p.merge(a.Series)
		a.Total = len(a.Series)
	}
	most := min(mostLines, max(mostValues/p.n, 1))
	if p.Top > 0 && len(p.By) == 0 {
		most = min(most, p.Top)
	}
	p.largest(a, most)
}

// largest keeps the n lines that are largest on average.
func (p *plan) largest(a *Answer, n int) {
	if len(a.Series) <= n {
		return
	}
	weight := func(l Line) float64 {
		sum, n := 0.0, 0.0
		for _, v := range l.Values {
			if !math.IsNaN(v) {
				sum, n = sum+v, n+1
			}
		}
		return sum / max(n, 1)
	}
	slices.SortStableFunc(a.Series, func(x, y Line) int { return cmp.Compare(weight(y), weight(x)) })
	clear(a.Series[n:])
	a.Series = a.Series[:n]
}

// merge makes one line of those with equal labels of By.
func (p *plan) merge(lines []Line) []Line {
	out := []Line{} // [] in JSON, too, when there are none
	at := map[string]int{}
	for _, l := range lines {
		labels := make(map[string]string, len(p.By))
		var key []byte
		for _, k := range p.By {
			labels[k] = l.Labels[k]
			key = append(append(key, l.Labels[k]...), 0)
		}
		i, ok := at[string(key)]
		if !ok {
			at[string(key)] = len(out)
			out = append(out, Line{Labels: labels, Values: l.Values})
			continue
		}
		for j, v := range l.Values {
			switch to := &out[i].Values[j]; {
			case math.IsNaN(v):
			case math.IsNaN(*to):
				*to = v
			default:
				*to = p.def.Merge.of(*to, v)
			}
		}
	}
	return out
}

// exactFor is how far back Grown adds up single samples; before that it takes averages of minutes.
const exactFor = 5 * 3600 // s

// Grown adds up a rate since a moment in ms: how much there was, by the value of a label. labels are what the series must have.
func (s *Store) Grown(name string, labels map[string]string, by string, from int64) (map[string]float64, error) {
	now := s.now().Unix()
	cut := max((now-exactFor)/60*60*1000, from)
	sums := map[string]float64{}
	for _, q := range []*Query{
		{Name: name, Labels: labels, From: from, To: cut, Step: tiers[minutes].step * 1000},
		{Name: name, Labels: labels, From: cut, To: now*1000 + 1, Step: tiers[fine].step * 1000},
	} {
		if q.From >= q.To {
			continue
		}
		if err := s.grown(q, by, sums); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// grown adds a part of the time to sums.
func (s *Store) grown(q *Query, by string, sums map[string]float64) error {
	p, err := q.check(tiers[fine].step)
	if err != nil {
		return err
	}
	at := slices.Index(p.def.Labels, by)
	if at < 0 {
		return &QueryError{"by", fmt.Sprintf("%s has no label %q", q.Name, by)}
	}
	t := p.tier(s.now().Unix())
	for batch := range slices.Chunk(s.pick(p), max(mostValues/p.n, 1)) {
		if err := s.read(p, t, batch); err != nil {
			return err
		}
		for i := range batch {
			l := &batch[i]
			l.finish(p.Of)
			for _, v := range l.v {
				if !math.IsNaN(v) {
					sums[l.labels[at]] += v * float64(p.step)
				}
			}
		}
	}
	return nil
}

// Latest returns the last sample of each series of a name that is not older than a moment in ms.
func (s *Store) Latest(name string, since int64) []Point {
	d := find(name)
	if d == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Point
	prefix := name + "\x00"
	for id, e := range s.entries {
		if !strings.HasPrefix(string(id), prefix) {
			continue
		}
		if e.at != 0 && e.at*1000 >= since {
			_, labels := id.split()
			p := Point{At: e.at * 1000, Value: e.value, Labels: make(map[string]string, len(labels))}
			for i, l := range labels {
				p.Labels[d.Labels[i]] = l
			}
			out = append(out, p)
		}
	}
	return out
}

// Point is one sample.
type Point struct {
	Labels map[string]string
	At     int64 // ms
	Value  float64
}
