package httpapi

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/cometmq/cometmq/internal/jobs"
)

// jobAnswer is a job as callers see it.
type jobAnswer struct {
	ID         string         `json:"id"`
	Kind       string         `json:"kind"`
	State      jobs.State     `json:"state"`
	Cluster    string         `json:"cluster"`
	Target     string         `json:"target"`
	User       string         `json:"user,omitempty"`
	Created    int64          `json:"created"`
	Started    int64          `json:"started,omitempty"`
	Finished   int64          `json:"finished,omitempty"`
	Total      *i64           `json:"total,omitempty"`
	Done       i64            `json:"done"`
	Failed     i64            `json:"failed"`
	Detail     string         `json:"detail,omitempty"`
	HasResult  bool           `json:"hasResult,omitempty"`
	ResultName string         `json:"resultName,omitempty"`
	Failures   []jobs.Failure `json:"failures,omitempty"`
}

// jobOf makes an answer of a job; lists leave out what failed.
func jobOf(j *jobs.Job, failures bool) *jobAnswer {
	out := &jobAnswer{
		ID: j.ID, Kind: j.Kind, State: j.State, Cluster: j.Cluster, Target: j.Target, User: j.User, Created: j.Created, Started: j.Started,
		Finished: j.Finished, Done: i64(j.Done), Failed: i64(j.Failed), Detail: j.Detail,
	}
	if j.Total > 0 {
		out.Total = opt(j.Total)
	}
	if j.State == jobs.Done && j.ResultName != "" {
		out.HasResult, out.ResultName = true, j.ResultName
	}
	if failures {
		out.Failures = j.Failures
	}
	return out
}

// start queues a job.
func (c *call) start(s jobs.Spec, run jobs.Body) (any, error) {
	j, err := c.a.jobs.Start(s, run)
	switch {
	case errors.Is(err, jobs.ErrFull):
		return nil, problemf(http.StatusTooManyRequests, "tooManyJobs", "%v", err)
	case err != nil:
		return nil, err
	}
	return jobOf(&j, false), nil
}

// job is the job of the path, with a channel that is closed when it has changed.
func (c *call) job() (*jobs.Job, <-chan struct{}, error) {
	j, changed, err := c.a.jobs.Watch(c.path("job"))
	if err != nil || !c.mayJob(&j) {
		return nil, nil, notFound("jobNotFound", "there is no job %q; they are forgotten after a day", c.path("job"))
	}
	return &j, changed, nil
}

// mayJob: jobs of others are for operators.
func (c *call) mayJob(j *jobs.Job) bool {
	if j.User != c.who.name() && !c.who.may(roleOperator) {
		return false
	}
	if j.Kind == jobs.KindExport {
		return c.who.seesTopic(j.Target)
	}
	return c.who.seesGroup(j.Target)
}

func listJobs(c *call) (any, error) {
	q, err := c.listQuery()
	if err != nil {
		return nil, err
	}
	var out []jobAnswer
	for _, j := range c.a.jobs.List() {
		if c.mayJob(&j) && q.wants(j.Kind, j.Target, j.User) {
			out = append(out, *jobOf(&j, false))
		}
	}
	if q.sort == "" {
		q.sort, q.down = "created", true
	}
	return pageOf(c, q, out, nil, text("id", func(v *jobAnswer) string { return v.ID }), number("created", func(v *jobAnswer) int64 { return v.Created }),
		text("state", func(v *jobAnswer) string { return string(v.State) }), text("kind", func(v *jobAnswer) string { return v.Kind }))
}

func getJob(c *call) (any, error) {
	j, _, err := c.job()
	if err != nil {
		return nil, err
	}
	return jobOf(j, true), nil
}

// cancelJob cancels one that runs and forgets one that has ended.
func cancelJob(c *call) (any, error) {
	j, _, err := c.job()
	if err != nil {
		return nil, err
	}
	return nil, c.a.jobs.Delete(j.ID)
}

func getJobResult(c *call) (any, error) {
	j, _, err := c.job()
	if err != nil {
		return nil, err
	}
	name, size, r, err := c.a.jobs.Result(j.ID)
	if err != nil {
		return nil, notFound("noResult", "job %s has made nothing, or not yet", j.ID)
	}
	defer func() { _ = r.Close() }() // it was only read
	c.download(cmp.Or(name, "result"))
	c.w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	_, _ = io.Copy(c.w, r) // the client may have gone
	return handled{}, nil
}

// streamJob tells each change of a job until it ends.
func streamJob(c *call) (any, error) {
	if _, _, err := c.job(); err != nil {
		return nil, err
	}
	return c.stream(func(ctx context.Context, s *stream) {
		for {
			j, changed, err := c.job()
			if err != nil {
				s.end("gone")
				return
			}
			s.offer("job", "", jobOf(j, j.State.Ended()))
			if j.State.Ended() {
				s.end("done")
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			if !pause(ctx, jobPause) {
				return
			}
		}
	})
}
