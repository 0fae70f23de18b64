package httpapi

import (
	"context"
	"slices"
	"strings"
)

// changeResult is what was done, or would be.
type changeResult struct {
	DryRun bool   `json:"dryRun"`
	Steps  []step `json:"steps"`
	partial
	status int
}

func (r *changeResult) httpStatus() int {
	if r.DryRun { // nothing was created
		return 200
	}
	return r.status
}

// step is one request to one server.
type step struct {
	Node   string     `json:"node"`
	Action string     `json:"action"`
	Target string     `json:"target"`
	Before string     `json:"before,omitempty"`
	After  string     `json:"after,omitempty"`
	Done   bool       `json:"done"`
	Remark string     `json:"remark,omitempty"`
	Error  *nodeError `json:"error,omitempty"`

	do func(ctx context.Context) (remark string, err error)
}

// plan collects steps; nothing is done before run.
type plan struct {
	c     *call
	dry   bool
	steps []step
	errs  []*nodeError
}

func (c *call) plan() (*plan, error) {
	dry, err := c.dryRun()
	return &plan{c: c, dry: dry}, err
}

// planMasters begins a plan for the masters of the sets that are named, of all when none is.
func (c *call) planMasters(k *cluster, sets []string) (*plan, []node, error) {
	masters, errs, err := k.masters(sets)
	if err != nil {
		return nil, nil, err
	}
	p, err := c.plan()
	p.errs = errs
	return p, masters, err
}

func (p *plan) add(s step, do func(ctx context.Context) (string, error)) {
	s.do = do
	p.steps = append(p.steps, s)
}

// run does the steps in their order. When none of them could be done the first reason is the answer; when some could the answer says
// which.
func (p *plan) run() (any, error) {
	out := &changeResult{DryRun: p.dry, Steps: p.steps, partial: partialOf(p.errs), status: p.c.rt.status}
	if p.dry {
		if out.Steps == nil {
			out.Steps = []step{}
		}
		return out, nil
	}
	var first error
	done := 0
	for i := range out.Steps {
		s := &out.Steps[i]
		var err error
		if s.Remark, err = s.do(p.c.ctx); err != nil {
			s.Error = nodeErrorOf(s.Node, err)
			if first == nil {
				first = err
			}
			continue
		}
		s.Done = true
		done++
	}
	p.c.partial = first != nil || len(p.errs) > 0
	p.c.before, p.c.after = diffOf(out.Steps)
	switch {
	case done == 0 && first != nil:
		return nil, first
	case len(out.Steps) == 0 && len(p.errs) > 0:
		e := p.errs[0]
		pr := problemf(409, e.Code, "%s", e.Detail)
		pr.Node = e.Node
		return nil, pr
	case first != nil:
		out.Partial = true
		for i := range out.Steps {
			if e := out.Steps[i].Error; e != nil {
				out.Errors = append(out.Errors, e)
			}
		}
	}
	if out.Steps == nil {
		out.Steps = []step{}
	}
	return out, nil
}

// diffOf is the change for the audit, each different text once.
func diffOf(steps []step) (before, after string) {
	var b, a []string
	for i := range steps {
		if s := steps[i].Before; s != "" && !slices.Contains(b, s) {
			b = append(b, s)
		}
		if s := steps[i].After; s != "" && steps[i].Done && !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return strings.Join(b, "; "), strings.Join(a, "; ")
}

// names reads a parameter with commas.
func names(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == ';' })
}
