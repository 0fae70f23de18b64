package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// shell is what stands at /bin/sh in an image from scratch, where there is no other program. Deployments of Java's brokers start them
// by `sh mqbroker -c ...` or `/bin/sh -c "exec ./mqbroker -c conf/$NAME.conf"`; it understands that and no more: words, quotes,
// variables, assignments, a few commands that prepare a start, and one of our programs as the last command, which then runs in this
// process, so that it gets the signals.
type shell struct {
	vars    map[string]string // of the script, and what it exports
	exports map[string]bool
	out     io.Writer
	err     io.Writer
	chdir   func(dir string) error
	mkdir   func(dir string) error
}

// errShell is what is beyond the shell.
type errShell struct{ what string }

func (e errShell) Error() string {
	return "sh: " + e.what + ": this image has no shell, only what starts CometMQ; use its -debug variant, which has one"
}

// piece is a part of a word. Quoted pieces are not split and may be empty.
type piece struct {
	text     string
	variable bool // text is the name
	fallback string
	hasElse  bool
	quoted   bool
}

// step is one command of a script.
type step struct {
	words [][]piece
	and   bool // what follows is done only when this went well
}

// newShell starts with the variables of a process.
func newShell(environ []string, out, err io.Writer) *shell {
	s := &shell{vars: map[string]string{}, exports: map[string]bool{}, out: out, err: err, chdir: os.Chdir}
	s.mkdir = func(dir string) error { return os.MkdirAll(dir, 0o755) }
	for _, e := range environ {
		if k, v, ok := strings.Cut(e, "="); ok {
			s.vars[k], s.exports[k] = v, true
		}
	}
	return s
}

// run does a script up to its last command and returns the words of that: the program to run in this process.
func (s *shell) run(ctx context.Context, script string) ([]string, error) {
	steps, err := parseScript(script)
	if err != nil {
		return nil, err
	}
	if len(steps) == 0 {
		return nil, errShell{"nothing to do"}
	}
	skip := false
	for i, st := range steps {
		words := s.expand(st.words)
		words, local := assignments(words, st.words)
		if len(words) > 0 && words[0] == "exec" {
			words = words[1:]
		}
		last := i == len(steps)-1
		switch {
		case len(words) == 0:
			maps.Copy(s.vars, local)
		case isProgram(words[0]) && !last:
			return nil, errShell{"something after " + words[0]}
		case isProgram(words[0]):
			for k, v := range local {
				s.vars[k], s.exports[k] = v, true
			}
			if skip {
				return nil, errors.New("sh: a command before " + words[0] + " has failed")
			}
			return words, nil
		case !skip:
			if err := s.command(ctx, words); err != nil {
				if _, ok := errors.AsType[errShell](err); ok {
					return nil, err
				}
				fmt.Fprintf(s.err, "sh: %v\n", err)
				skip = st.and
			}
		}
		skip = skip && st.and
	}
	return nil, errShell{"the last command is none of CometMQ's"}
}

// environ are the variables that a program sees.
func (s *shell) environ() map[string]string {
	out := map[string]string{}
	for k := range s.exports {
		out[k] = s.vars[k]
	}
	return out
}

func (s *shell) command(ctx context.Context, words []string) error {
	args := words[1:]
	switch words[0] {
	case "cd":
		dir := s.vars["HOME"]
		if len(args) > 0 {
			dir = args[0]
		}
		return s.chdir(dir)
	case "export":
		for _, a := range args {
			k, v, ok := strings.Cut(a, "=")
			if s.exports[k] = true; ok {
				s.vars[k] = v
			}
		}
	case "echo":
		_, err := fmt.Fprintln(s.out, strings.Join(args, " "))
		return err
	case "sleep":
		if len(args) != 1 {
			return errors.New("sleep: want one number of seconds")
		}
		sec, err := strconv.ParseFloat(strings.TrimSuffix(args[0], "s"), 64)
		if err != nil || sec < 0 {
			return fmt.Errorf("sleep: %q is no number of seconds", args[0])
		}
		t := time.NewTimer(time.Duration(sec * float64(time.Second)))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	case "mkdir":
		for _, dir := range args {
			if strings.HasPrefix(dir, "-") {
				continue
			}
			if err := s.mkdir(dir); err != nil {
				return err
			}
		}
	case "set", ":", "true", "ulimit":
	default:
		return errShell{words[0]}
	}
	return nil
}

// assignments takes VAR=value from the front of a command. Only what was written so counts, not what a variable turned into.
func assignments(words []string, raw [][]piece) ([]string, map[string]string) {
	local := map[string]string{}
	for len(words) > 0 && len(raw) > 0 && len(raw[0]) > 0 && !raw[0][0].variable && !raw[0][0].quoted {
		name, _, ok := strings.Cut(raw[0][0].text, "=")
		if !ok || !isName(name) {
			break
		}
		_, value, _ := strings.Cut(words[0], "=")
		local[name] = value
		words, raw = words[1:], raw[1:]
	}
	return words, local
}

// expand puts values into words. A word that is nothing but an empty variable without quotes is dropped, and its spaces split it.
func (s *shell) expand(words [][]piece) []string {
	out := make([]string, 0, len(words))
	for _, w := range words {
		if len(w) == 1 && w[0].variable && !w[0].quoted {
			out = append(out, strings.Fields(s.value(w[0]))...)
			continue
		}
		var b strings.Builder
		for _, p := range w {
			b.WriteString(s.value(p))
		}
		out = append(out, b.String())
	}
	return out
}

func (s *shell) value(p piece) string {
	if !p.variable {
		return p.text
	}
	v := s.vars[p.text]
	if v == "" && p.hasElse {
		return p.fallback
	}
	return v
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// isProgram: the word names a program of ours, by whatever path.
func isProgram(word string) bool {
	_, ok := applets[appletName(word)]
	return ok
}

// appletName is what a program is called by: its file name without .sh and .exe.
func appletName(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".exe"), ".sh")
}
