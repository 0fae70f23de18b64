// Package jobs does what takes longer than a request: sending dead letters again, exports, resets of many groups. A job has a progress, can
// be cancelled, and leaves a result for a day.
//
// Invariants:
//   - At most Options.Running jobs run and Options.Waiting wait; more are refused.
//   - A job counts what became of each of its items: an item that was not found, or that a broker stored with less than the promised
//     durability, is a failure with its reason.
//   - Results are files; a job that ended is known, with its result, after a restart. One that was running then is not.
package jobs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cometmq/cometmq/internal/vfs"
)

// Kinds of jobs.
const (
	KindResend = "dlqResend"
	KindDead   = "dlqExport"
	KindExport = "messageExport"
	KindPurge  = "dlqPurge"
	KindReset  = "offsetReset"
)

// State is how far a job is.
type State string

// States.
const (
	Queued    State = "queued"
	Running   State = "running"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Ended reports whether nothing more will change.
func (s State) Ended() bool { return s == Done || s == Failed || s == Cancelled }

// Job is one job as it is at a moment. Times are ms since 1970, 0 = not yet.
type Job struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	State    State  `json:"state"`
	Cluster  string `json:"cluster"`
	Target   string `json:"target"` // a group or topic
	User     string `json:"user,omitempty"`
	Created  int64  `json:"created"`
	Started  int64  `json:"started,omitempty"`
	Finished int64  `json:"finished,omitempty"`
	// Total is 0 while it is not known. Done counts items that are through, failed ones too.
	Total  int64  `json:"total,omitempty"`
	Done   int64  `json:"done"`
	Failed int64  `json:"failed"`
	Detail string `json:"detail,omitempty"` // why it failed, or what it did

	ResultName string    `json:"resultName,omitempty"` // of the file to download, "" = none
	Failures   []Failure `json:"failures,omitempty"`   // the first maxFailures
}

// Failure is an item that did not go well.
type Failure struct {
	Item   string `json:"item"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

const maxFailures = 1_000

// Options of an Engine. The zero value but for Dir works.
type Options struct {
	FS      vfs.FS
	Dir     string        // of results; it is made when it is needed. "": they are kept in memory
	Running int           // at a time, 2
	Waiting int           // 32
	Keep    time.Duration // how long a job is known after it has ended, 24 h
	Now     func() time.Time
	Log     *slog.Logger
}

// Spec says what a job is about.
type Spec struct{ Kind, Cluster, Target, User string }

// Body does the work of a job. It returns when ctx ends.
type Body func(ctx context.Context, t *Task) error

// Errors of Engine.
var (
	ErrFull    = errors.New("too many jobs wait: cancel one or try again later")
	ErrUnknown = errors.New("no such job")
	ErrClosed  = errors.New("jobs are not taken any more")
)

// Engine runs jobs.
type Engine struct {
	o     Options
	queue chan *work

	mu      sync.Mutex // guards what follows and the fields of work
	jobs    map[string]*work
	changed chan struct{} // closed when any job changes
	closed  bool
}

// work is a job with what drives it.
type work struct {
	job     Job
	body    Body
	cancel  context.CancelFunc // nil until it runs
	changed chan struct{}      // closed when it changes
}

// New returns an engine that knows the jobs whose results are in its directory.
func New(o Options) *Engine {
	switch {
	case o.Dir == "":
		o.FS, o.Dir = vfs.NewMem(vfs.MemOptions{}), "/"
	case o.FS == nil:
		o.FS = vfs.OS()
	}
	if o.Running == 0 {
		o.Running = 2
	}
	if o.Waiting == 0 {
		o.Waiting = 32
	}
	if o.Keep == 0 {
		o.Keep = 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{o: o, queue: make(chan *work, o.Waiting), jobs: map[string]*work{}, changed: make(chan struct{})}
	e.load()
	return e
}

// Run runs jobs until ctx ends; those that run then are cancelled, and waited for.
func (e *Engine) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range e.o.Running {
		g.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case w := <-e.queue:
					e.run(ctx, w)
				}
			}
		})
	}
	g.Go(func() error {
		t := time.NewTicker(sweepEvery)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
				e.sweep()
			}
		}
	})
	err := g.Wait()
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	for {
		select {
		case w := <-e.queue:
			e.end(w, context.Canceled)
		default:
			return err
		}
	}
}

const sweepEvery = 10 * time.Minute

// Start queues a job.
func (e *Engine) Start(s Spec, body Body) (Job, error) {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails
	w := &work{body: body, changed: make(chan struct{}), job: Job{
		ID: hex.EncodeToString(raw[:]), Kind: s.Kind, Cluster: s.Cluster, Target: s.Target, User: s.User, State: Queued, Created: e.o.Now().UnixMilli(),
	}}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return Job{}, ErrClosed
	}
	select {
	case e.queue <- w:
	default:
		return Job{}, ErrFull
	}
	e.jobs[w.job.ID] = w
	e.changedLocked(w)
	return w.job, nil
}

// List returns all jobs that are known, the newest first.
func (e *Engine) List() []Job {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]Job, 0, len(e.jobs))
	for _, w := range e.jobs {
		out = append(out, w.snapshotLocked())
	}
	slices.SortFunc(out, func(a, b Job) int {
		if a.Created != b.Created {
			return int(b.Created - a.Created)
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// Watch returns a job and a channel that is closed when it has changed since.
func (e *Engine) Watch(id string) (Job, <-chan struct{}, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.jobs[id]
	if w == nil {
		return Job{}, nil, ErrUnknown
	}
	return w.snapshotLocked(), w.changed, nil
}

// Changed returns a channel that is closed when any job changes.
func (e *Engine) Changed() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changed
}

// Delete cancels a job that has not ended, and forgets one that has.
func (e *Engine) Delete(id string) error {
	e.mu.Lock()
	w := e.jobs[id]
	if w == nil {
		e.mu.Unlock()
		return ErrUnknown
	}
	if w.job.State.Ended() {
		e.forgetLocked(w)
		e.mu.Unlock()
		return e.remove(id)
	}
	if w.job.State == Queued { // the worker that gets it finds that it has ended
		w.job.State, w.job.Finished = Cancelled, e.o.Now().UnixMilli()
		e.changedLocked(w)
	} else {
		w.cancel()
	}
	e.mu.Unlock()
	return nil
}

// Result opens what a job has made.
func (e *Engine) Result(id string) (name string, size int64, r io.ReadCloser, err error) {
	e.mu.Lock()
	w := e.jobs[id]
	if w != nil {
		name = w.job.ResultName
	}
	ended := w != nil && w.job.State.Ended()
	e.mu.Unlock()
	if name == "" || !ended {
		return "", 0, nil, ErrUnknown
	}
	f, err := e.o.FS.Open(e.path(id, dataSuffix))
	if err != nil {
		return "", 0, nil, err
	}
	if size, err = f.Size(); err != nil {
		return "", 0, nil, errors.Join(err, f.Close())
	}
	return name, size, struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, 0, size), f}, nil
}

func (w *work) snapshotLocked() Job {
	j := w.job
	j.Failures = slices.Clone(j.Failures)
	return j
}

func (e *Engine) changedLocked(w *work) {
	close(w.changed)
	w.changed = make(chan struct{})
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *Engine) forgetLocked(w *work) {
	delete(e.jobs, w.job.ID)
	e.changedLocked(w)
}

func (e *Engine) run(ctx context.Context, w *work) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.mu.Lock()
	if w.job.State.Ended() {
		e.mu.Unlock()
		return
	}
	w.cancel = cancel
	w.job.State, w.job.Started = Running, e.o.Now().UnixMilli()
	e.changedLocked(w)
	e.mu.Unlock()
	t := &Task{e: e, w: w}
	err := t.guard(ctx)
	if cerr := t.close(err == nil); err == nil {
		err = cerr
	}
	if ctx.Err() != nil && err != nil {
		err = context.Canceled
	}
	e.end(w, err)
}

// guard makes a failed job of a mistake in a body: the process has more important things to do.
func (t *Task) guard(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a bug ended this job: %v", p)
			t.e.o.Log.Error("a bug ended a job", "job", t.w.job.ID, "err", err)
		}
	}()
	return t.w.body(ctx, t)
}

func (e *Engine) end(w *work, err error) {
	e.mu.Lock()
	if w.job.State.Ended() {
		e.mu.Unlock()
		return
	}
	w.job.Finished = e.o.Now().UnixMilli()
	switch {
	case err == nil:
		w.job.State = Done
	case errors.Is(err, context.Canceled):
		w.job.State = Cancelled
	default:
		w.job.State, w.job.Detail = Failed, err.Error()
	}
	e.changedLocked(w)
	j := w.snapshotLocked()
	e.mu.Unlock()
	e.save(&j)
}

const (
	metaSuffix = ".json"
	dataSuffix = ".data"
)

func (e *Engine) path(id, suffix string) string { return filepath.Join(e.o.Dir, id+suffix) }

// save makes a job that ended known after a restart.
func (e *Engine) save(j *Job) {
	data, err := json.Marshal(j)
	if err == nil {
		if err = e.o.FS.MkdirAll(e.o.Dir); err == nil {
			err = vfs.WriteFileAtomic(e.o.FS, e.path(j.ID, metaSuffix), data, false)
		}
	}
	if err != nil {
		e.o.Log.Warn("a job will not be known after a restart", "job", j.ID, "err", err)
	}
}

// load reads the jobs of the past and removes what belongs to none of them.
func (e *Engine) load() {
	names, err := e.o.FS.ReadDir(e.o.Dir)
	if err != nil {
		return // there are none yet
	}
	oldest := e.o.Now().Add(-e.o.Keep).UnixMilli()
	for _, n := range names {
		id, ok := strings.CutSuffix(n.Name(), metaSuffix)
		if !ok {
			continue
		}
		data, err := vfs.ReadFile(e.o.FS, filepath.Join(e.o.Dir, n.Name()))
		var j Job
		if err == nil {
			err = json.Unmarshal(data, &j)
		}
		if err != nil || j.ID != id || !j.State.Ended() || j.Finished < oldest {
			continue
		}
		e.jobs[id] = &work{job: j, changed: make(chan struct{})}
	}
	for _, n := range names {
		id, _, _ := strings.Cut(n.Name(), ".")
		if e.jobs[id] == nil {
			_ = e.o.FS.Remove(filepath.Join(e.o.Dir, n.Name())) // the next start tries again
		}
	}
}

func (e *Engine) remove(id string) error {
	return errors.Join(e.o.FS.RemoveAll(e.path(id, dataSuffix)), e.o.FS.RemoveAll(e.path(id, metaSuffix)))
}

// sweep forgets jobs that ended long ago.
func (e *Engine) sweep() {
	oldest := e.o.Now().Add(-e.o.Keep).UnixMilli()
	var old []string
	e.mu.Lock()
	for id, w := range e.jobs {
		if w.job.State.Ended() && w.job.Finished < oldest {
			old = append(old, id)
			e.forgetLocked(w)
		}
	}
	e.mu.Unlock()
	for _, id := range old {
		if err := e.remove(id); err != nil {
			e.o.Log.Warn("the result of an old job cannot be removed", "job", id, "err", err)
		}
	}
}
