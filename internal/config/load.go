package config

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/magiconair/properties"
)

// Sources are where values come from. The zero value gives the defaults of this host.
type Sources struct {
	// File is the name of a .properties file, "" for none.
	File string
	// ReadFile reads it; nil means os.ReadFile.
	ReadFile func(name string) ([]byte, error)
	// Env is os.Environ() or what stands for it.
	Env []string
	// EnvPrefix is what variables of this process begin with; "" means COMETMQ_.
	EnvPrefix string
	// Flags are keys and values of the command line.
	Flags map[string]string
	// Host gives the defaults that depend on the machine; nil means ThisHost(Env).
	Host *Host
}

// Notice is something about a key that the operator should know but that does not keep us from starting.
type Notice struct {
	Level  slog.Level
	Key    string
	Source string // file or variable
	Text   string
}

// String returns one line.
func (n Notice) String() string { return n.Source + ": " + n.Key + ": " + n.Text }

// ValueError is a value that is not allowed.
type ValueError struct {
	Source  string // file, variable or "flag"
	Key     string
	Value   string
	Allowed string // what is allowed, or why it is refused
}

// Error names the key, the value and what is allowed.
func (e *ValueError) Error() string {
	return fmt.Sprintf("%s: %s = %q is not allowed: %s", e.Source, e.Key, e.Value, e.Allowed)
}

// LoadBroker returns the configuration of a broker. The error joins all that is wrong.
func LoadBroker(s Sources) (*Broker, []Notice, error) {
	cfg := DefaultBroker(s.host())
	cfg.Process.ConfigPath = s.File
	l := loader{sources: s, kind: KindBroker}
	set := load(&l, &cfg)
	l.validateBroker(&cfg, set)
	cfg.Set = set.public()
	return finish(&l, &cfg)
}

// LoadNamesrv returns the configuration of a name server. The error joins all that is wrong.
func LoadNamesrv(s Sources) (*Namesrv, []Notice, error) {
	cfg := DefaultNamesrv(s.host())
	l := loader{sources: s, kind: KindNamesrv}
	set := load(&l, &cfg)
	l.changesIntoFile(&cfg.StorePath, set)
	l.validateNamesrv(&cfg, set)
	if cfg.InProcess {
		in := loader{sources: s, kind: KindController, within: KindNamesrv, isWithin: true}
		cfg.Controller = in.controller()
		l.notices, l.errs = append(l.notices, in.notices...), append(l.errs, in.errs...)
	}
	return finish(&l, &cfg)
}

// LoadController returns the configuration of a controller. The error joins all that is wrong.
func LoadController(s Sources) (*Controller, []Notice, error) {
	l := loader{sources: s, kind: KindController}
	return finish(&l, l.controller())
}

// changesIntoFile has changes of the running configuration written into the operator's file, if the key does not say otherwise: it is what
// the next start reads. Java's name server does so whatever the key says.
//
// Differs from Java: its controller writes them into a file that it does not read.
func (l *loader) changesIntoFile(to *string, set settings) {
	if _, said := set["configStorePath"]; !said && l.sources.File != "" {
		*to = l.sources.File
	}
}

func (s *Sources) host() Host {
	if s.Host != nil {
		return *s.Host
	}
	return ThisHost(s.Env)
}

// loader collects what is found on the way.
type loader struct {
	sources Sources
	kind    Kind
	// The file is that of another role, which has judged the keys that are none of ours.
	within   Kind
	isWithin bool
	set      settings
	notices  []Notice
	errs     []error
}

// entry is a value and where it comes from.
type entry struct{ value, source string }

// settings are the values that somebody set, by key.
type settings map[string]entry

// Setting is a value that somebody set, and where: a file, a variable, "flag" or "update".
type Setting struct{ Value, Source string }

func (s settings) public() map[string]Setting {
	out := make(map[string]Setting, len(s))
	for k, e := range s {
		out[k] = Setting{e.value, e.source}
	}
	return out
}

// source returns where a key was set, "default" when nobody did.
func (s settings) source(key string) string {
	if e, ok := s[key]; ok {
		return e.source
	}
	return "default"
}

func load[T any](l *loader, cfg *T) settings {
	set := settings{}
	l.set = set
	l.readFile(set)
	l.readEnv(set)
	for _, k := range slices.Sorted(maps.Keys(l.sources.Flags)) {
		set[k] = entry{l.sources.Flags[k], "flag"}
	}
	l.readTLSFile(set)
	v := reflect.ValueOf(cfg).Elem()
	fields := fieldsOf(v.Type())
	for _, key := range slices.Sorted(maps.Keys(set)) {
		e := set[key]
		i, ok := slices.BinarySearchFunc(fields, key, func(f field, k string) int { return strings.Compare(f.key, k) })
		if !ok {
			l.foreign(key, e, fields)
			continue
		}
		if !fields[i].set(v, e.value) {
			l.bad(key, e, fields[i].allowed())
		}
	}
	return set
}

func finish[T any](l *loader, cfg *T) (*T, []Notice, error) {
	if err := errors.Join(l.errs...); err != nil {
		return nil, l.notices, err
	}
	return cfg, l.notices, nil
}

func (l *loader) bad(key string, e entry, allowed string) {
	l.errs = append(l.errs, &ValueError{Source: e.source, Key: key, Value: e.value, Allowed: allowed})
}

func (l *loader) notice(level slog.Level, key, source, format string, args ...any) {
	l.notices = append(l.notices, Notice{Level: level, Key: key, Source: source, Text: fmt.Sprintf(format, args...)})
}

func (l *loader) readFile(set settings) {
	name := l.sources.File
	if name == "" {
		return
	}
	read := l.sources.ReadFile
	if read == nil {
		read = os.ReadFile // the operator's file, not the store's
	}
	data, err := read(name)
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("read configuration %s: %w", name, err))
		return
	}
	props, err := ParseProperties(data)
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("%s: %w", name, err))
		return
	}
	for k, v := range props {
		set[k] = entry{v, name}
	}
}

// ParseProperties reads Java's .properties text. ${x} is not expanded.
func ParseProperties(data []byte) (map[string]string, error) {
	p, err := (&properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}).LoadBytes(joinSurrogates(data))
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, p.Len())
	for _, k := range p.Keys() {
		v, _ := p.Get(k)
		out[k] = strings.TrimSpace(v)
	}
	return out, nil
}

// joinSurrogates replaces two escapes that are one character in Java (\ud834\udd1e) by that character: the library knows
// single escapes only.
func joinSurrogates(data []byte) []byte {
	if !bytes.Contains(data, []byte(`\u`)) {
		return data
	}
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		if r := utf16.DecodeRune(unicodeEscape(data[i:]), unicodeEscape(data[min(i+6, len(data)):])); r != utf8.RuneError {
			out = utf8.AppendRune(out, r)
			i += 12
			continue
		}
		n := 1
		if data[i] == '\\' && i+1 < len(data) {
			n = 2
		}
		out = append(out, data[i:i+n]...)
		i += n
	}
	return out
}

// unicodeEscape returns the value of an escape of the form backslash, u, four digits at the start of b, else 0.
func unicodeEscape(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// readEnv takes the variables that stand for a key of any role. A variable that stands for none may belong to something
// else, so it is mentioned only when it looks like a slip.
func (l *loader) readEnv(set settings) {
	prefix := l.sources.EnvPrefix
	if prefix == "" {
		prefix = "COMETMQ_"
	}
	var names map[string]string
	for _, e := range l.sources.Env {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if names == nil {
			names = map[string]string{}
			for _, k := range allKeys() {
				names[prefix+EnvName(k)] = k
			}
		}
		if key, ok := names[name]; ok {
			set[key] = entry{value, name}
		} else if names[strings.Replace(name, "NAMESRV_", "", 1)] != "" {
			continue // for the name server of the same process
		} else if s := suggest(name, slices.Sorted(maps.Keys(names))); s != "" {
			l.notice(slog.LevelWarn, name, "environment", "unknown variable, did you mean %s?", s)
		}
	}
}

// EnvName returns the upper snake form of a key: listenPort is LISTEN_PORT, tls.server.mode TLS_SERVER_MODE.
func EnvName(key string) string {
	var b strings.Builder
	upper := func(i int) bool { return i >= 0 && i < len(key) && key[i] >= 'A' && key[i] <= 'Z' }
	for i := range len(key) {
		if upper(i) && i > 0 && (!upper(i-1) || (i+1 < len(key) && !upper(i+1) && key[i+1] >= 'a')) {
			b.WriteByte('_')
		}
		b.WriteByte(key[i])
	}
	return strings.ToUpper(strings.ReplaceAll(b.String(), ".", "_"))
}

// foreign judges a key that the struct does not have.
func (l *loader) foreign(key string, e entry, fields []field) {
	fate, ok := fateOf(l.kind, key)
	if !ok && l.kind == KindNamesrv {
		if ok = l.ofController(key); ok && strings.EqualFold(l.set["enableControllerInNamesrv"].value, "true") {
			return
		}
		fate.Why = "it belongs to the controller, which enableControllerInNamesrv = true runs here"
	}
	switch {
	case l.isWithin && !ok:
	case !ok && isKey(key):
		l.notice(slog.LevelWarn, key, e.source, "is not a key of a %s, it is ignored", l.kind)
	case !ok:
		text := "unknown key, it is ignored"
		if s := suggest(key, candidates(l.kind, fields)); s != "" {
			text += "; did you mean " + s + "?"
		}
		l.notice(slog.LevelWarn, key, e.source, "%s", text)
	case fate.same(e.value):
		// As Java has it without being told: nothing to say.
	case fate.Refused:
		l.bad(key, e, "refused, "+fate.Why)
	default:
		l.notice(slog.LevelInfo, key, e.source, "has no effect here: %s", fate.Why)
	}
}
