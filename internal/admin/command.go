package admin

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Command is one subcommand.
type Command struct {
	Name  string
	About string
	Flags []Flag
	// OneOf are groups of flags of which exactly one is needed.
	OneOf [][]string
	// Changes: it takes --dry-run. Destroys: it asks a person at a terminal first, unless --yes.
	Changes, Destroys bool
	// Ours: mqadmin does not have it.
	Ours bool
	// Local: it asks no server.
	Local bool
	Run   func(c *Call) error
}

// Flag is one flag of a command.
type Flag struct {
	Short, Long string // either may be ""
	Arg         bool   // it has a value
	Needed      bool
	About       string
	Bits        int // of a number, 0 = a text
}

// num makes it a number of 32 or 64 bits.
func (f Flag) num(bits int) Flag {
	f.Bits = bits
	return f
}

// Constructors that keep the table readable.
func opt(short, long, about string) Flag {
	return Flag{Short: short, Long: long, Arg: true, About: about}
}

func need(short, long, about string) Flag {
	return Flag{Short: short, Long: long, Arg: true, Needed: true, About: about}
}
func flag(short, long, about string) Flag { return Flag{Short: short, Long: long, About: about} }

func (f *Flag) name() string { return cmp.Or(f.Short, f.Long) }

// text is how f is written in messages.
func (f *Flag) text() string {
	switch {
	case f.Short == "":
		return "--" + f.Long
	case f.Long == "":
		return "-" + f.Short
	}
	return "-" + f.Short + ", --" + f.Long
}

// global are the flags that every command takes. Only the first two are mqadmin's.
var global = []Flag{
	flag("h", "help", "print help"),
	opt("n", "namesrvAddr", "name servers, host:port;host:port; default $NAMESRV_ADDR"),
	opt("", "output", "table, wide, json or yaml; -o where the command has no -o of its own"),
	opt("", "timeout", "bound of one call, such as 3s; default 5s"),
	opt("", "watch", "run again after so long, such as 2s, until interrupted"),
	flag("", "tls", "use TLS; the server must have a certificate for its name that this machine believes"),
	opt("", "tls-ca", "the server's certificate must be signed by an authority in this file; implies --tls"),
	opt("", "tls-cert", "certificate to show, PEM, with --tls-key; implies --tls"),
	opt("", "tls-key", "its private key, PEM; $COMETMQ_TLS_CLIENT_KEY_PASSWORD opens it"),
	flag("", "tls-insecure", "believe every server; implies --tls"),
	flag("", "dry-run", "say what would change and change nothing"),
	flag("", "yes", "do not ask before destroying something"),
}

// nameServersToo is what mqadmin calls the flag -n of two commands.
const nameServersToo = "nameserverAddr"

// UsageError is a mistake in how a command was called: exit code 2.
type UsageError struct{ Text string }

// Error returns the text.
func (e *UsageError) Error() string { return e.Text }

func usage(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// all returns the flags of c and the global ones that it does not have itself.
func (c *Command) all() []Flag {
	out := slices.Clone(c.Flags)
	has := func(short, long string) bool {
		return slices.ContainsFunc(c.Flags, func(f Flag) bool { return short != "" && f.Short == short || long != "" && f.Long == long })
	}
	for _, g := range global {
		if g.Long == "output" && !has("o", "") {
			g.Short = "o"
		}
		if (g.Long == "dry-run" || g.Long == "yes") && !c.Changes && !c.Destroys {
			continue
		}
		if has(g.Short, "") {
			g.Short = ""
		}
		if !has("", g.Long) {
			out = append(out, g)
		}
	}
	return out
}

// parse reads args as commons-cli does: -t x, -tx, -t=x, --topic x, --topic=x and -topic x. The result is by short name, or by the
// long one where there is no short one.
func (c *Command) parse(args []string) (map[string]string, error) {
	flags := c.all()
	got := map[string]string{}
	for len(args) > 0 {
		a := args[0]
		args = args[1:]
		if len(a) < 2 || a[0] != '-' {
			return nil, usage("unexpected argument %q", a)
		}
		f, value, has := find(flags, a)
		if f == nil {
			return nil, usage("unknown flag %s%s", a, suggestFlag(flags, a))
		}
		switch {
		case !f.Arg && has:
			return nil, usage("%s takes no value", f.text())
		case !f.Arg:
			value = "true"
		case !has && len(args) == 0:
			return nil, usage("%s needs a value", f.text())
		case !has:
			value, args = args[0], args[1:]
		}
		value = strings.TrimSpace(value)
		if f.Bits != 0 {
			if _, err := strconv.ParseInt(value, 10, f.Bits); err != nil {
				return nil, usage("%s: %q is no number of %d bits", f.text(), value, f.Bits)
			}
		}
		got[f.name()] = value
		switch f.Long {
		case "output", "namesrvAddr":
			got[f.Long] = value
		case nameServersToo:
			got["namesrvAddr"] = value
		}
	}
	if _, ok := got["h"]; ok {
		return got, nil
	}
	for i := range flags {
		if _, ok := got[flags[i].name()]; flags[i].Needed && !ok {
			return nil, usage("%s is needed: %s", flags[i].text(), flags[i].About)
		}
	}
	for _, group := range c.OneOf {
		n := 0
		for _, name := range group {
			if _, ok := got[name]; ok {
				n++
			}
		}
		if n != 1 {
			return nil, usage("exactly one of -%s is needed", strings.Join(group, ", -"))
		}
	}
	return got, nil
}

func find(flags []Flag, arg string) (f *Flag, value string, has bool) {
	name := strings.TrimLeft(arg, "-")
	name, value, has = strings.Cut(name, "=")
	for i := range flags {
		if flags[i].Long == name || flags[i].Short == name && !strings.HasPrefix(arg, "--") {
			return &flags[i], value, has
		}
	}
	if !strings.HasPrefix(arg, "--") { // -tValue
		for i := range flags {
			if s := flags[i].Short; s != "" && flags[i].Arg && strings.HasPrefix(arg[1:], s) {
				return &flags[i], arg[1+len(s):], true
			}
		}
	}
	return nil, "", false
}

func suggestFlag(flags []Flag, arg string) string {
	var names []string
	for i := range flags {
		if flags[i].Long != "" {
			names = append(names, "--"+flags[i].Long)
		}
	}
	if s := nearest(names, arg); s != "" {
		return ", did you mean " + s + "?"
	}
	return ""
}

// nearest returns the name that is closest to s, "" when none is close.
func nearest(names []string, s string) string {
	best, at := 1+max(1, len(s)/3), ""
	for _, n := range names {
		if d := distance(strings.ToLower(n), strings.ToLower(s)); d < best || d == best && at != "" && n < at {
			best, at = d, n
		}
	}
	return at
}

// distance counts the letters to add, drop or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// help is the text of -h.
func (c *Command) help(prog string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage:\n  %s %s", c.About, prog, c.Name)
	flags := c.all()
	for i := range c.Flags {
		f := &c.Flags[i]
		s := "-" + f.name()
		if f.Short == "" {
			s = "--" + f.Long
		}
		if f.Arg {
			s += " <arg>"
		}
		if !f.Needed {
			s = "[" + s + "]"
		}
		b.WriteString(" " + s)
	}
	b.WriteString("\n\n")
	for i := range flags {
		s := flags[i].text()
		if flags[i].Arg {
			s += " <arg>"
		}
		fmt.Fprintf(&b, "  %-34s %s\n", s, flags[i].About)
	}
	for _, g := range c.OneOf {
		fmt.Fprintf(&b, "\nexactly one of -%s is needed\n", strings.Join(g, ", -"))
	}
	return b.String()
}
