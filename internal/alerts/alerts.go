package alerts

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"github.com/cometmq/cometmq/internal/kvfile"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Options of a Watcher. Source is needed.
type Options struct {
	Source Source
	FS     vfs.FS
	Path   string       // of the file; "" = nothing outlives the process
	Client *http.Client // for webhooks; nil: one that follows no redirects
	Log    *slog.Logger
	Now    func() time.Time
}

// Watcher evaluates rules and tells webhooks.
type Watcher struct {
	o    Options
	file *kvfile.File
	turn chan struct{} // one slot: who changes rules or alerts has it
	wake chan struct{} // one slot: there is something to tell

	mu       sync.Mutex // guards what follows; what is in the maps is never changed, but replaced
	rules    map[string]*Rule
	alerts   map[string]*Alert
	outbox   map[string]*message
	settings Settings
	changed  chan struct{}
	dirty    bool // the file is behind

	crowded        bool // with turn: there were too many alerts, and that was said
	blind          map[Kind]bool
	told, dropped  atomic.Int64
	failedAttempts atomic.Int64
}

// Stats says what became of messages since the start.
type Stats struct{ Told, FailedAttempts, Dropped int64 }

// Errors of a Watcher.
var (
	ErrUnknown = errors.New("no such rule or alert")
	ErrMany    = errors.New("there are too many rules")
)

var (
	rulesBucket  = []byte("rules")
	alertsBucket = []byte("alerts")
	outboxBucket = []byte("outbox")
	metaBucket   = []byte("meta")
	settingsKey  = []byte("settings")
)

// Open reads what the file has; without one the default rules hold.
func Open(o Options) *Watcher {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	w := &Watcher{
		o: o, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), changed: make(chan struct{}), blind: map[Kind]bool{},
		rules: map[string]*Rule{}, alerts: map[string]*Alert{}, outbox: map[string]*message{},
	}
	if o.Path != "" {
		w.file = kvfile.New(kvfile.Options{FS: o.FS, Path: o.Path, Log: o.Log})
	}
	stored, err := w.load()
	if err != nil && !errors.Is(err, kvfile.ErrDamaged) { // of that kvfile has told
		o.Log.Warn("rules and alerts of the past cannot be read", "file", o.Path, "err", err)
	}
	if !stored {
		for _, r := range Defaults() {
			w.rules[r.ID] = &r
		}
	}
	return w
}

// load reads the file. stored = false: there are no rules in it.
func (w *Watcher) load() (stored bool, err error) {
	if w.file == nil {
		return false, nil
	}
	bad := 0
	err = w.file.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(rulesBucket)
		if b == nil {
			return nil
		}
		stored = true
		each(b, &bad, w.rules, func(k string, r *Rule) bool { return r.ID == k && r.Validate() == nil })
		each(tx.Bucket(alertsBucket), &bad, w.alerts, func(k string, a *Alert) bool { return a.ID == k })
		each(tx.Bucket(outboxBucket), &bad, w.outbox, func(k string, m *message) bool { return m.ID == k && checkURL(m.To) == nil })
		if b = tx.Bucket(metaBucket); b != nil {
			if v := b.Get(settingsKey); v != nil && (json.Unmarshal(v, &w.settings) != nil || w.settings.Validate() != nil) {
				w.settings = Settings{}
				bad++
			}
		}
		return nil
	})
	if bad > 0 {
		w.o.Log.Warn("some rules, alerts or messages in the file make no sense and were left out", "file", w.o.Path, "count", bad)
	}
	return stored, err
}

// each reads the values of a bucket that are good. What is not, or is no JSON, counts as bad.
func each[T any](b *bbolt.Bucket, bad *int, into map[string]*T, good func(k string, v *T) bool) {
	if b == nil {
		return
	}
	_ = b.ForEach(func(k, v []byte) error { // the function returns no error
		if x := new(T); json.Unmarshal(v, x) == nil && good(string(k), x) {
			into[string(k)] = x
		} else {
			*bad++
		}
		return nil
	})
}

// Run evaluates and tells until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		t := time.NewTicker(Every)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
				w.Evaluate(ctx)
			}
		}
	})
	g.Go(func() error {
		w.deliver(ctx)
		return nil
	})
	return g.Wait()
}

// Close closes the file. Run must have ended.
func (w *Watcher) Close() error {
	if w.file == nil {
		return nil
	}
	return w.file.Close()
}

// Rules returns all rules, sorted by name.
func (w *Watcher) Rules() []Rule {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Rule, 0, len(w.rules))
	for _, r := range w.rules {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Rule) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}

// Rule returns one rule.
func (w *Watcher) Rule(id string) (Rule, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.rules[id]; r != nil {
		return *r, nil
	}
	return Rule{}, ErrUnknown
}

// Alerts returns all alerts, those that fire first, the newest of them first.
func (w *Watcher) Alerts() []Alert {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Alert, 0, len(w.alerts))
	for _, a := range w.alerts {
		out = append(out, *a)
	}
	rank := map[State]int{Firing: 0, Pending: 1, Resolved: 2}
	slices.SortFunc(out, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(rank[a.State], rank[b.State]), cmp.Compare(b.Since, a.Since), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Settings returns what all rules share.
func (w *Watcher) Settings() Settings {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.settings
}

// Changed returns a channel that is closed when an alert changes its state.
func (w *Watcher) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// Stats returns what was counted.
func (w *Watcher) Stats() Stats {
	return Stats{Told: w.told.Load(), FailedAttempts: w.failedAttempts.Load(), Dropped: w.dropped.Load()}
}

// Watched returns the groups whose consumers must be counted, of those that are known.
func (w *Watcher) Watched(known []string) []string {
	var out []string
	for _, r := range w.Rules() {
		if match, err := r.match(); r.Kind == Clients && r.Enabled && err == nil {
			for _, g := range known {
				if match.MatchString(g) {
					out = append(out, g)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// PutRule stores a rule; with ID "" it is a new one and gets one.
func (w *Watcher) PutRule(r Rule) (Rule, error) {
	if err := r.Validate(); err != nil {
		return r, err
	}
	defer w.take()()
	w.mu.Lock()
	old := w.rules[r.ID]
	full := len(w.rules) >= MaxRules
	w.mu.Unlock()
	switch {
	case r.ID != "" && old == nil:
		return r, ErrUnknown
	case old == nil && full:
		return r, ErrMany
	case old == nil:
		r.ID, r.Builtin = newID(), false
	default:
		r.Builtin = old.Builtin
	}
	stored := r
	err := w.apply(func() { w.rules[r.ID] = &stored }, true)
	return r, err
}

// DeleteRule deletes a rule and its alerts. Nobody is told that these are over.
func (w *Watcher) DeleteRule(id string) error {
	defer w.take()()
	if _, err := w.Rule(id); err != nil {
		return err
	}
	return w.apply(func() {
		delete(w.rules, id)
		for k, a := range w.alerts {
			if a.Rule == id {
				delete(w.alerts, k)
			}
		}
		w.changedLocked()
	}, true)
}

// PutSettings stores what all rules share.
func (w *Watcher) PutSettings(s Settings) error {
	if err := s.Validate(); err != nil {
		return err
	}
	defer w.take()()
	return w.apply(func() { w.settings = s }, true)
}

// Acknowledge notes who takes care of an alert.
func (w *Watcher) Acknowledge(id, user string) (Alert, error) {
	defer w.take()()
	w.mu.Lock()
	old := w.alerts[id]
	w.mu.Unlock()
	if old == nil {
		return Alert{}, ErrUnknown
	}
	a := *old
	a.By = user
	stored := a
	err := w.apply(func() {
		w.alerts[id] = &stored
		w.changedLocked()
	}, true)
	return a, err
}

func newID() string {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

func (w *Watcher) take() (give func()) {
	w.turn <- struct{}{}
	return func() { <-w.turn }
}

func (w *Watcher) changedLocked() {
	close(w.changed)
	w.changed = make(chan struct{})
}
