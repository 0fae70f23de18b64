package telemetry

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
)

// Levels says from which level on is logged: a level for everything, and others for single components. They may change at any time.
type Levels struct {
	all *slog.LevelVar

	mu  sync.Mutex // held while own is replaced
	own atomic.Pointer[map[string]slog.Level]
}

// NewLevels returns levels that follow all where nothing else is said.
func NewLevels(all *slog.LevelVar) *Levels { return &Levels{all: all} }

// Set gives a component a level of its own; nil: it follows the level for everything again. Components are the values of the
// attribute role.
func (l *Levels) Set(component string, level *slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := map[string]slog.Level{}
	if old := l.own.Load(); old != nil {
		maps.Copy(own, *old)
	}
	if level == nil {
		delete(own, component)
	} else {
		own[component] = *level
	}
	l.own.Store(&own)
}

// Replace makes own the only levels of components.
func (l *Levels) Replace(own map[string]slog.Level) {
	own = maps.Clone(own)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own.Store(&own)
}

// of returns the level of a component.
func (l *Levels) of(component string) slog.Level {
	if own := l.own.Load(); own != nil {
		if level, ok := (*own)[component]; ok {
			return level
		}
	}
	return l.all.Level()
}

// NewLog returns a logger that writes lines of text or, with json, of JSON.
func NewLog(w io.Writer, json bool, levels *Levels) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.Level(-1 << 30)} // the levels decide
	var h slog.Handler = slog.NewTextHandler(w, o)
	if json {
		h = slog.NewJSONHandler(w, o)
	}
	return slog.New(&leveled{Handler: h, levels: levels})
}

// roleKey is the attribute that names the component.
const roleKey = "role"

// leveled asks the levels whether a record is wanted. The component is what With said last under roleKey.
type leveled struct {
	slog.Handler
	levels    *Levels
	component string
	grouped   bool // attributes are in a group now: none of them is the role
}

// Enabled implements slog.Handler.
func (h *leveled) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.levels.of(h.component)
}

// WithAttrs implements slog.Handler.
func (h *leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.Handler = h.Handler.WithAttrs(attrs)
	for _, a := range attrs {
		if a.Key == roleKey && !h.grouped {
			n.component = a.Value.String()
		}
	}
	return &n
}

// WithGroup implements slog.Handler.
func (h *leveled) WithGroup(name string) slog.Handler {
	n := *h
	n.Handler, n.grouped = h.Handler.WithGroup(name), true
	return &n
}
