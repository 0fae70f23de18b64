package jobs

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/cometmq/cometmq/internal/vfs"
)

// Task is a job as its body sees it.
type Task struct {
	e    *Engine
	w    *work
	file vfs.File
	buf  *bufio.Writer
	at   int64 // bytes in the file
}

// maxResult bounds a result: it is to be downloaded, not to fill the disk that the messages need.
const maxResult = 4 << 30

// ErrTooLarge ends a job whose result grows too large.
var ErrTooLarge = errors.New("the result is larger than 4 GiB: ask for less")

func (t *Task) change(fn func(j *Job)) {
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	fn(&t.w.job)
	t.e.changedLocked(t.w)
}

// Expect says how many items there will be.
func (t *Task) Expect(n int64) { t.change(func(j *Job) { j.Total = n }) }

// Through counts items that went well.
func (t *Task) Through(n int64) { t.change(func(j *Job) { j.Done += n }) }

// Fail counts an item that did not.
func (t *Task) Fail(item, code string, err error) {
	t.change(func(j *Job) {
		j.Done++
		j.Failed++
		if len(j.Failures) < maxFailures {
			j.Failures = append(j.Failures, Failure{Item: item, Code: code, Detail: err.Error()})
		}
	})
}

// Say sets the detail.
func (t *Task) Say(format string, args ...any) {
	t.change(func(j *Job) { j.Detail = fmt.Sprintf(format, args...) })
}

// Result returns what is written into the file to download, which the first call makes.
func (t *Task) Result(name string) (io.Writer, error) {
	if t.file == nil {
		if err := t.e.o.FS.MkdirAll(t.e.o.Dir); err != nil {
			return nil, err
		}
		f, err := vfs.CreatePrivate(t.e.o.FS, t.e.path(t.w.job.ID, dataSuffix))
		if err != nil {
			return nil, err
		}
		t.file, t.buf = f, bufio.NewWriterSize(fileWriter{t}, 64<<10)
		t.change(func(j *Job) { j.ResultName = name })
	}
	return t.buf, nil
}

// close finishes the file. Of a job that failed it is removed.
func (t *Task) close(keep bool) error {
	if t.file == nil {
		return nil
	}
	var err error
	if keep {
		err = t.buf.Flush()
	}
	err = errors.Join(err, t.file.Close())
	if !keep || err != nil {
		t.change(func(j *Job) { j.ResultName = "" })
		err = errors.Join(err, t.e.o.FS.Remove(t.e.path(t.w.job.ID, dataSuffix)))
	}
	return err
}

type fileWriter struct{ t *Task }

// Write appends to the file.
func (w fileWriter) Write(p []byte) (int, error) {
	if w.t.at+int64(len(p)) > maxResult {
		return 0, ErrTooLarge
	}
	n, err := w.t.file.WriteAt(p, w.t.at)
	w.t.at += int64(n)
	return n, err
}
