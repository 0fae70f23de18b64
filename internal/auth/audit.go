package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/vfs"
)

// AuditName is the file of audit lines in the folder of Options.
const AuditName = "audit.log"

// auditMax is the size at which the file becomes audit.log.1, and the one before that goes.
const auditMax = 16 << 20

// Audit is a file with one line of JSON for each change: who, from where, what, before and after, and whether it was done. Secrets are
// not in it.
type Audit struct {
	fs   vfs.FS
	name string
	log  *slog.Logger
	now  func() time.Time

	mu   sync.Mutex // guards the fields below; held while a line is written, changes are rare
	f    vfs.File
	size int64
}

// OpenAudit opens or makes the file name. log, which may be nil, hears of lines that are lost.
func OpenAudit(fsys vfs.FS, name string, log *slog.Logger, now func() time.Time) (*Audit, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a := &Audit{fs: fsys, name: name, log: log, now: now}
	if err := a.open(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Audit) open() error {
	f, err := a.fs.Open(a.name)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = vfs.CreatePrivate(a.fs, a.name)
	}
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	size, err := f.Size()
	if err != nil {
		return errors.Join(fmt.Errorf("audit log: %w", err), f.Close())
	}
	a.f, a.size = f, size
	return nil
}

// Line is one change.
type Line struct {
	Time   string `json:"time"`
	Who    string `json:"who"`
	From   string `json:"from"`
	What   string `json:"what"`
	Target string `json:"target"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Error  string `json:"error,omitempty"` // why it was not done
}

// Write adds a line; its time is set. An audit log that cannot be written is reported and stops nothing.
func (a *Audit) Write(l Line) {
	l.Time = a.now().UTC().Format(time.RFC3339Nano)
	b, err := json.Marshal(l)
	if err == nil {
		err = a.add(append(b, '\n'))
	}
	if err != nil {
		a.log.Error("audit line is lost", "what", l.What, "target", l.Target, "err", err)
	}
}

func (a *Audit) add(b []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.f == nil {
		return fs.ErrClosed
	}
	if a.size+int64(len(b)) > auditMax {
		if err := a.rollLocked(); err != nil {
			return err
		}
	}
	if _, err := a.f.WriteAt(b, a.size); err != nil {
		return err
	}
	a.size += int64(len(b))
	return nil
}

func (a *Audit) rollLocked() error {
	err := a.f.Close()
	a.f = nil
	if err == nil {
		err = a.fs.Rename(a.name, a.name+".1")
	}
	return errors.Join(err, a.open())
}

// Close closes the file.
func (a *Audit) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.f == nil {
		return nil
	}
	err := a.f.Close()
	a.f = nil
	return err
}

// audit records a change of users or policies.
func (g *Guard) audit(by By, what, target, before, after string, err error) {
	l := Line{Who: by.User, From: by.From, What: what, Target: clip(target), Before: before, After: after}
	if err != nil {
		l.Error = err.Error()
	}
	g.o.Log.Info(what, "user", l.Target, "by", by.User, "peer", by.From, "err", l.Error)
	if g.o.Audit != nil {
		g.o.Audit.Write(l)
	}
}
