package raftlog

import (
	"context"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// logger writes the library's lines to slog, one level lower than the library thinks: what it calls an error is one lost
// connection to a peer, and no reason to wake somebody up.
type logger struct {
	log  *slog.Logger
	name string
	args []any
}

func newLogger(l *slog.Logger) hclog.Logger { return &logger{log: l.With("part", "raft")} }

func levelOf(l hclog.Level) slog.Level {
	switch {
	case l >= hclog.Error:
		return slog.LevelWarn
	case l == hclog.Warn:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Log writes a line.
func (l *logger) Log(level hclog.Level, msg string, args ...any) {
	l.log.Log(context.Background(), levelOf(level), msg, args...)
}

// The levels.

func (l *logger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *logger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *logger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *logger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *logger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *logger) enabled(level hclog.Level) bool {
	return l.log.Enabled(context.Background(), levelOf(level))
}

// Whether a level is written.

func (l *logger) IsTrace() bool { return l.enabled(hclog.Trace) }
func (l *logger) IsDebug() bool { return l.enabled(hclog.Debug) }
func (l *logger) IsInfo() bool  { return l.enabled(hclog.Info) }
func (l *logger) IsWarn() bool  { return l.enabled(hclog.Warn) }
func (l *logger) IsError() bool { return l.enabled(hclog.Error) }

// What the library asks of a logger besides.

func (l *logger) ImpliedArgs() []any { return l.args }
func (l *logger) Name() string       { return l.name }

func (l *logger) With(args ...any) hclog.Logger {
	return &logger{log: l.log.With(args...), name: l.name, args: append(append([]any{}, l.args...), args...)}
}

func (l *logger) Named(name string) hclog.Logger {
	return &logger{log: l.log, name: name, args: l.args}
}
func (l *logger) ResetNamed(name string) hclog.Logger { return l.Named(name) }
func (l *logger) SetLevel(hclog.Level)                {}
func (l *logger) GetLevel() hclog.Level               { return hclog.Debug }

func (l *logger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(l.log.Handler(), slog.LevelDebug)
}

func (l *logger) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	return l.StandardLogger(o).Writer()
}
