package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// Target is the cluster that a command is about, and how it is reached.
type Target struct {
	NameServers   string        // "": the default
	Timeout       time.Duration // 0: the default
	TLS, Insecure bool
	CA, Cert, Key string // files
}

// Env is what commands may use of the world.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal: In is a person, who can be asked.
	Terminal bool
	// Getenv, default: nothing is set.
	Getenv func(string) string
	// Prog is how the tool was called, for messages.
	Prog string
	// Connect makes the cluster of a command.
	Connect func(t *Target) (mq.Cluster, error)
	// ReadFile reads a file that the operator names.
	ReadFile func(name string) ([]byte, error)
	// WriteFile writes a file and makes its folder.
	WriteFile func(name string, data []byte) error
	// TempDir is where files go that nobody asked for.
	TempDir string
	// Progress: somebody watches Err, who wants to see that long work goes on.
	Progress bool
	// Recall returns what Keep was given seconds ago for the same name servers, nil for nothing. Both may be absent.
	Recall func(nameServers string) []byte
	Keep   func(nameServers string, data []byte)
	// Now is the clock, default time.Now.
	Now func() time.Time
}

// Call is one run of a command.
type Call struct {
	mq.Cluster
	Ctx  context.Context
	cmd  *Command
	env  *Env
	args map[string]string

	format  string // table, wide, json, yaml
	out     *bufio.Writer
	rows    []any
	single  bool
	streams bool // what is found is shown at once: no list at the end
	errs    []error
	told    time.Time // when progress was shown last
}

// Has says whether a flag was given.
func (c *Call) Has(name string) bool { _, ok := c.args[name]; return ok }

// Str returns a flag's value, "" when it was not given.
func (c *Call) Str(name string) string { return c.args[name] }

// StrOr returns a flag's value or a default.
func (c *Call) StrOr(name, def string) string {
	if v, ok := c.args[name]; ok {
		return v
	}
	return def
}

// Int returns a number; that it is one was seen to by parse.
func (c *Call) Int(name string, def int64) int64 {
	if v, ok := c.args[name]; ok {
		def, _ = strconv.ParseInt(v, 10, 64)
	}
	return def
}

// Int32 is Int for flags of 32 bits.
func (c *Call) Int32(name string, def int32) int32 { return int32(c.Int(name, int64(def))) }

// Bool reads true or false as Java does: only true, in any case, is true.
func (c *Call) Bool(name string, def bool) bool {
	v, ok := c.args[name]
	if !ok {
		return def
	}
	return strings.EqualFold(v, "true")
}

// Table says whether people read the output.
func (c *Call) Table() bool { return c.format == "table" || c.format == "wide" }

// Wide asks for more columns.
func (c *Call) Wide() bool { return c.format == "wide" }

// Say prints what is only for people.
func (c *Call) Say(format string, args ...any) {
	if c.Table() {
		fmt.Fprintf(c.out, format, args...)
	}
}

// Row adds one result: v for programs, the text for people.
func (c *Call) Row(v any, format string, args ...any) {
	if c.Table() {
		fmt.Fprintf(c.out, format, args...)
		return
	}
	c.rows = append(c.rows, v)
}

// Only is Row for a command that has exactly one result: no list is made of it.
func (c *Call) Only(v any, format string, args ...any) {
	c.single = true
	c.Row(v, format, args...)
}

// Stream is Row that shows at once: as JSON one line each.
func (c *Call) Stream(v any, format string, args ...any) error {
	switch c.format {
	case "json":
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s\n", b)
	case "yaml":
		b, err := yaml([]any{v})
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s", b)
	default:
		fmt.Fprintf(c.out, format, args...)
	}
	return c.out.Flush()
}

// Failed remembers that one of several servers failed. The others' results stay.
func (c *Call) Failed(err error) {
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

// Change runs do, or with --dry-run only says what it would do.
func (c *Call) Change(do func() error, format string, args ...any) (done bool) {
	if c.Has("dry-run") {
		what := fmt.Sprintf(format, args...)
		c.Row(map[string]string{"would": what}, "would %s\n", what)
		return false
	}
	if err := do(); err != nil {
		c.Failed(err)
		return false
	}
	return true
}

// working shows, once a second at most, how much of long work is done.
func (c *Call) working(what string, done, of int) {
	now := c.env.Now()
	if !c.env.Progress || done == 0 || now.Sub(c.told) < time.Second {
		return
	}
	c.told = now
	fmt.Fprintf(c.env.Err, "%s: %d of %d %s\n", c.cmd.Name, done, of, what)
}

// finish prints what is collected.
func (c *Call) finish() error {
	if !c.Table() && !c.streams && (c.rows != nil || len(c.errs) == 0) {
		var v any = c.rows
		if c.single && len(c.rows) == 1 {
			v = c.rows[0]
		} else if c.rows == nil {
			v = []any{}
		}
		var b []byte
		var err error
		if c.format == "yaml" {
			b, err = yaml(v)
		} else if b, err = json.MarshalIndent(v, "", "  "); err == nil {
			b = append(b, '\n')
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s", b)
	}
	return errors.Join(append(c.errs, c.out.Flush())...)
}

// sure asks a person before something is destroyed. Scripts are not asked.
func (c *Call) sure() error {
	if !c.cmd.Destroys || !c.env.Terminal || c.Has("yes") || c.Has("dry-run") {
		return nil
	}
	fmt.Fprintf(c.env.Err, "%s: are you sure? Type yes: ", c.cmd.Name)
	line, err := bufio.NewReader(c.env.In).ReadString('\n')
	if err != nil && line == "" || strings.TrimSpace(line) != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// again runs do once, or every -i seconds.
func (c *Call) again(do func() error) error {
	for {
		err := do()
		every := c.Int("i", 0)
		if every <= 0 || err != nil {
			return err
		}
		if err := c.out.Flush(); err != nil {
			return err
		}
		select {
		case <-c.Ctx.Done():
			return nil
		case <-time.After(time.Duration(every) * time.Second):
		}
	}
}
