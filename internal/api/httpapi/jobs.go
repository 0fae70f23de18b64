package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Kinds of jobs.
const (
	jobResend        = "dlqResend"
	jobExportDLQ     = "dlqExport"
	jobExportMessage = "messageExport"
)

// States of a job.
const (
	jobQueued    = "queued"
	jobRunning   = "running"
	jobDone      = "done"
	jobFailed    = "failed"
	jobCancelled = "cancelled"
)

const (
	maxJobs     = 200 // that are remembered
	jobsAtOnce  = 4
	maxFailures = 1000     // that a job lists
	maxResult   = 64 << 20 // bytes of what a job makes, in memory
)

// jobAnswer is a job as callers see it.
type jobAnswer struct {
	ID         string       `json:"id"`
	Kind       string       `json:"kind"`
	State      string       `json:"state"`
	Cluster    string       `json:"cluster"`
	Target     string       `json:"target"`
	User       string       `json:"user,omitempty"`
	Created    int64        `json:"created"`
	Started    int64        `json:"started,omitempty"`
	Finished   int64        `json:"finished,omitempty"`
	Total      *i64         `json:"total,omitempty"`
	Done       i64          `json:"done"`
	Failed     i64          `json:"failed"`
	Detail     string       `json:"detail,omitempty"`
	HasResult  bool         `json:"hasResult,omitempty"`
	ResultName string       `json:"resultName,omitempty"`
	Failures   []jobFailure `json:"failures,omitempty"`
}

type jobFailure struct {
	Item   string `json:"item"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// job is work that takes longer than a request.
type job struct {
	owner  *jobs
	cancel context.CancelFunc

	// Guarded by owner.mu.
	v       jobAnswer
	result  []byte
	changed chan struct{} // closed and made anew with each change
}

// jobs runs a few at a time and remembers the last ones.
type jobs struct {
	a      *API
	tokens chan struct{}

	mu  sync.Mutex // guards all and what jobs hold
	all []*job     // oldest first
}

func newJobs(a *API) *jobs { return &jobs{a: a, tokens: make(chan struct{}, jobsAtOnce)} }

var errJobs = problemf(http.StatusTooManyRequests, "tooManyJobs", "%d jobs wait or run: cancel some, or wait", maxJobs)

// start begins a job as soon as there is a place.
func (s *jobs) start(c *call, kind, cluster, target string, run func(ctx context.Context, j *job) error) (*jobAnswer, error) {
	ctx, cancel := context.WithCancel(s.a.ctx)
	j := &job{
		owner: s, cancel: cancel, changed: make(chan struct{}),
		v: jobAnswer{ID: strings.ToLower(newID()), Kind: kind, State: jobQueued, Cluster: cluster, Target: target, User: c.who.name(), Created: s.a.now().UnixMilli()},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.room() {
		cancel()
		return nil, errJobs
	}
	s.all = append(s.all, j)
	v := j.v
	s.a.wg.Go(func() {
		defer cancel()
		s.execute(ctx, j, run)
	})
	return &v, nil
}

// room forgets the oldest job that has ended. The caller holds mu.
func (s *jobs) room() bool {
	if len(s.all) < maxJobs {
		return true
	}
	i := slices.IndexFunc(s.all, func(j *job) bool { return j.ended() })
	if i >= 0 {
		s.all = slices.Delete(s.all, i, i+1)
	}
	return i >= 0
}

// ended: the caller holds mu.
func (j *job) ended() bool { return j.v.Finished != 0 }

func (s *jobs) execute(ctx context.Context, j *job, run func(ctx context.Context, j *job) error) {
	var err error
	select {
	case s.tokens <- struct{}{}:
		j.update(func(v *jobAnswer) { v.State, v.Started = jobRunning, s.a.now().UnixMilli() })
		err = run(ctx, j)
		<-s.tokens
	case <-ctx.Done():
		err = ctx.Err()
	}
	j.update(func(v *jobAnswer) {
		v.Finished, v.State = s.a.now().UnixMilli(), jobDone
		switch {
		case ctx.Err() != nil:
			v.State = jobCancelled
		case err != nil:
			v.State, v.Detail = jobFailed, problemOf(err).Detail
		}
	})
}

func (j *job) update(change func(v *jobAnswer)) {
	j.owner.mu.Lock()
	defer j.owner.mu.Unlock()
	change(&j.v)
	close(j.changed)
	j.changed = make(chan struct{})
}

// fail counts an item that could not be done and says why.
func (j *job) fail(item string, err error) {
	p := problemOf(err)
	j.update(func(v *jobAnswer) {
		v.Failed++
		if len(v.Failures) < maxFailures {
			v.Failures = append(v.Failures, jobFailure{item, p.Code, p.Detail})
		}
	})
}

func (j *job) setResult(name string, data []byte) {
	j.update(func(v *jobAnswer) { v.HasResult, v.ResultName = true, name })
	j.owner.mu.Lock()
	defer j.owner.mu.Unlock()
	j.result = data
}

// snapshot is the job now, and a channel that is closed when it has changed.
func (j *job) snapshot(withFailures bool) (jobAnswer, <-chan struct{}) {
	j.owner.mu.Lock()
	defer j.owner.mu.Unlock()
	v := j.v
	v.Failures = nil
	if withFailures {
		v.Failures = slices.Clone(j.v.Failures)
	}
	return v, j.changed
}

// find returns the job of the path.
func (c *call) job() (*job, error) {
	s := c.a.jobs
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.all {
		if j.v.ID == c.path("job") && c.mayJob(&j.v) {
			return j, nil
		}
	}
	return nil, notFound("jobNotFound", "there is no job %q; jobs are forgotten after a restart", c.path("job"))
}

// mayJob: jobs of others are for operators.
func (c *call) mayJob(v *jobAnswer) bool {
	return v.User == c.who.name() || c.who.may(roleOperator) && c.who.seesGroup(v.Target)
}

func listJobs(c *call) (any, error) {
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	s := c.a.jobs
	var out []jobAnswer
	s.mu.Lock()
	for _, j := range s.all {
		v := j.v
		v.Failures = nil
		if c.mayJob(&v) && q.wants(v.Kind, v.Target, v.User) {
			out = append(out, v)
		}
	}
	s.mu.Unlock()
	if q.sort == "" {
		q.sort, q.down = "created", true
	}
	return pageOf(c, q, out, nil, text("id", func(v *jobAnswer) string { return v.ID }), number("created", func(v *jobAnswer) int64 { return v.Created }),
		text("state", func(v *jobAnswer) string { return v.State }), text("kind", func(v *jobAnswer) string { return v.Kind }))
}

func getJob(c *call) (any, error) {
	j, err := c.job()
	if err != nil {
		return nil, err
	}
	v, _ := j.snapshot(true)
	return &v, nil
}

// cancelJob cancels one that runs and forgets one that has ended.
func cancelJob(c *call) (any, error) {
	j, err := c.job()
	if err != nil {
		return nil, err
	}
	s := c.a.jobs
	s.mu.Lock()
	defer s.mu.Unlock()
	if !j.ended() {
		j.cancel()
		return nil, nil
	}
	s.all = slices.DeleteFunc(s.all, func(x *job) bool { return x == j })
	return nil, nil
}

func getJobResult(c *call) (any, error) {
	j, err := c.job()
	if err != nil {
		return nil, err
	}
	v, _ := j.snapshot(false)
	if !v.HasResult {
		return nil, notFound("noResult", "job %s has made nothing, or not yet", v.ID)
	}
	c.a.jobs.mu.Lock()
	data := j.result
	c.a.jobs.mu.Unlock()
	c.download(cmp.Or(v.ResultName, "result"))
	_, _ = c.w.Write(data) // the client may have gone
	return handled{}, nil
}
