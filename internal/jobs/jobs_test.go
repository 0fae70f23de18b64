package jobs_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine starts one and stops it with the test.
func engine(t *testing.T, o jobs.Options) *jobs.Engine {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "jobs")
	}
	e := jobs.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return e
}

// until waits for a state.
func until(t *testing.T, e *jobs.Engine, id string, want func(jobs.Job) bool) jobs.Job {
	t.Helper()
	for {
		j, changed, err := e.Watch(id)
		if err != nil {
			t.Fatal(err)
		}
		if want(j) {
			return j
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatalf("still %+v", j)
		}
	}
}

func ended(j jobs.Job) bool { return j.State.Ended() }

func start(t *testing.T, e *jobs.Engine, body jobs.Body) string {
	t.Helper()
	j, err := e.Start(jobs.Spec{Kind: jobs.KindExport, Cluster: "c", Target: "t", User: "u"}, body)
	if err != nil {
		t.Fatal(err)
	}
	return j.ID
}

func TestJobHasProgressFailuresAndAResult(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "jobs")
	e := jobs.New(jobs.Options{Dir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	all := e.Changed()
	id := start(t, e, func(_ context.Context, task *jobs.Task) error {
		task.Expect(3)
		w, err := task.Result("x.csv")
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, "hello")
		task.Through(2)
		task.Fail("item 3", jobs.CodeNotFound, errors.New("gone"))
		return err
	})
	j := until(t, e, id, ended)
	if j.State != jobs.Done || j.Total != 3 || j.Done != 3 || j.Failed != 1 || len(j.Failures) != 1 || j.Failures[0].Item != "item 3" || j.ResultName != "x.csv" {
		t.Errorf("%+v", j)
	}
	select {
	case <-all:
	default:
		t.Error("nobody was told that a job changed")
	}
	cancel()
	<-done
	if _, err := e.Start(jobs.Spec{}, nil); !errors.Is(err, jobs.ErrClosed) {
		t.Errorf("a job after the end: %v", err)
	}
	again := jobs.New(jobs.Options{Dir: dir}) // after a restart
	if got := again.List(); len(got) != 1 || got[0].ID != id || got[0].Done != 3 {
		t.Fatalf("after a restart: %+v", got)
	}
	name, size, r, err := again.Result(id)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(r)
	r.Close()
	if name != "x.csv" || size != 5 || string(text) != "hello" {
		t.Errorf("%s, %d bytes: %s", name, size, text)
	}
	if err := again.Delete(id); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := again.Delete(id); !errors.Is(err, jobs.ErrUnknown) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestJobsWaitForTheirTurnAndCanBeCancelled(t *testing.T) {
	t.Parallel()
	e := engine(t, jobs.Options{Running: 1, Waiting: 2})
	wait := func(ctx context.Context, task *jobs.Task) error {
		if _, err := task.Result("half"); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	first := start(t, e, wait)
	until(t, e, first, func(j jobs.Job) bool { return j.State == jobs.Running })
	second, third := start(t, e, wait), start(t, e, wait)
	if _, err := e.Start(jobs.Spec{}, wait); !errors.Is(err, jobs.ErrFull) {
		t.Errorf("the fourth of three: %v", err)
	}
	if err := e.Delete(second); err != nil { // while it waits
		t.Error(err)
	}
	if j, _, _ := e.Watch(second); j.State != jobs.Cancelled {
		t.Errorf("%+v", j)
	}
	if err := e.Delete(first); err != nil {
		t.Error(err)
	}
	if j := until(t, e, first, ended); j.State != jobs.Cancelled || j.ResultName != "" {
		t.Errorf("%+v", j)
	}
	if _, _, _, err := e.Result(first); !errors.Is(err, jobs.ErrUnknown) {
		t.Errorf("the result of a cancelled job: %v", err)
	}
	until(t, e, third, func(j jobs.Job) bool { return j.State == jobs.Running })
	if n := len(e.List()); n != 3 {
		t.Errorf("%d jobs", n)
	}
}

func TestABugEndsTheJobOnly(t *testing.T) {
	t.Parallel()
	e := engine(t, jobs.Options{})
	id := start(t, e, func(context.Context, *jobs.Task) error { panic("oops") })
	if j := until(t, e, id, ended); j.State != jobs.Failed || !strings.Contains(j.Detail, "oops") {
		t.Errorf("%+v", j)
	}
	id = start(t, e, func(context.Context, *jobs.Task) error { return errors.New("no such topic") })
	if j := until(t, e, id, ended); j.State != jobs.Failed || j.Detail != "no such topic" {
		t.Errorf("%+v", j)
	}
}

func TestJobsAreForgottenAfterADay(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "jobs")
	synctest.Test(t, func(t *testing.T) {
		e := jobs.New(jobs.Options{Dir: dir})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		id := start(t, e, func(_ context.Context, task *jobs.Task) error {
			_, err := task.Result("x")
			return err
		})
		until(t, e, id, ended)
		time.Sleep(23 * time.Hour)
		if len(e.List()) != 1 {
			t.Error("forgotten too early")
		}
		time.Sleep(2 * time.Hour)
		if len(e.List()) != 0 {
			t.Error("still known")
		}
		cancel()
		<-done
	})
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestGarbageInTheDirectoryIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.json": "{", "b.json": `{"id":"other","state":"done"}`, "c.json": `{"id":"c","state":"running"}`, "d.data": "half", "e.json": `{"id":"e","state":"done","finished":5}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := jobs.New(jobs.Options{Dir: dir})
	left, _ := os.ReadDir(dir)
	if len(e.List()) != 0 || len(left) != 0 {
		t.Errorf("%v, %v", e.List(), left)
	}
}
