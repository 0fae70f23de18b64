package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// About is what the whole tool is.
const About = "What operators do: mqadmin's commands and flags, on CometMQ and Java clusters"

// Run executes one command line, the name of the command first, and returns the exit code.
func Run(ctx context.Context, env Env, args []string) int {
	if env.Getenv == nil {
		env.Getenv = func(string) string { return "" }
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	err := run(ctx, &env, args)
	if err == nil {
		return 0
	}
	for e := range strings.Lines(err.Error()) {
		fmt.Fprintf(env.Err, "%s: %s\n", env.Prog, strings.TrimRight(e, "\n"))
	}
	if _, ok := errors.AsType[*UsageError](err); ok {
		return 2
	}
	return 1
}

func run(ctx context.Context, env *Env, args []string) error {
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" || args[0] == "help" && len(args) == 1 {
		return overview(env)
	}
	if args[0] == "help" {
		args = []string{args[1], "-h"}
	}
	cmd := lookup(args[0])
	if cmd == nil {
		if s := nearest(names(), args[0]); s != "" {
			return usage("there is no command %s, did you mean %s?", args[0], s)
		}
		return usage("there is no command %s: see %s --help", args[0], env.Prog)
	}
	got, err := cmd.parse(args[1:])
	if err != nil {
		return usage("%s: %v\nsee %s %s -h", cmd.Name, err, env.Prog, cmd.Name)
	}
	if _, ok := got["h"]; ok {
		_, err = fmt.Fprint(env.Out, cmd.help(env.Prog))
		return err
	}
	c, every, err := prepare(ctx, env, cmd, got)
	if err != nil {
		return err
	}
	if err := c.sure(); err != nil {
		return err
	}
	defer c.Close()
	if every == 0 {
		return c.once()
	}
	for {
		c.Say("%s every %s: %s %s\n", env.Now().Format(time.TimeOnly), every, cmd.Name, strings.Join(args[1:], " "))
		if err := c.once(); err != nil {
			fmt.Fprintf(env.Err, "%s: %v\n", env.Prog, err)
		}
		c.rows, c.errs = nil, nil
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// prepare makes the call of a command line.
func prepare(ctx context.Context, env *Env, cmd *Command, got map[string]string) (*Call, time.Duration, error) {
	format := got["output"]
	if format == "" {
		format = "table"
	}
	if !slices.Contains([]string{"table", "wide", "json", "yaml"}, format) {
		return nil, 0, usage("output %q: want table, wide, json or yaml", format)
	}
	length := func(name string) (time.Duration, error) {
		v, ok := got[name]
		if !ok {
			return 0, nil
		}
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return 0, usage("--%s %q: want a time such as 2s", name, v)
		}
		return d, nil
	}
	timeout, err := length("timeout")
	if err != nil {
		return nil, 0, err
	}
	every, err := length("watch")
	if err != nil {
		return nil, 0, err
	}
	t := targetOf(env, got)
	t.Timeout = timeout
	cluster, err := env.Connect(t)
	if err != nil {
		return nil, 0, err
	}
	return &Call{
		Cluster: cluster, Ctx: ctx, cmd: cmd, env: env, args: got, format: format, out: bufio.NewWriter(env.Out),
	}, every, nil
}

// targetOf reads the flags that say which cluster is meant.
func targetOf(env *Env, got map[string]string) *Target {
	t := &Target{NameServers: got["namesrvAddr"], CA: got["tls-ca"], Cert: got["tls-cert"], Key: got["tls-key"]}
	if t.NameServers == "" && env.Getenv != nil {
		t.NameServers = env.Getenv("NAMESRV_ADDR")
	}
	_, t.TLS = got["tls"]
	_, t.Insecure = got["tls-insecure"]
	return t
}

// once runs the command and prints what it found.
func (c *Call) once() error {
	c.Failed(c.cmd.Run(c))
	return c.finish()
}

func overview(env *Env) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage:\n  %s COMMAND [flags]\n\nCommands of mqadmin:\n", About, env.Prog)
	list := func(ours bool) {
		for _, c := range commands() {
			if c.Ours == ours {
				fmt.Fprintf(&b, "  %-28s %s\n", c.Name, c.About)
			}
		}
	}
	list(false)
	b.WriteString("\nCommands that mqadmin does not have:\n")
	list(true)
	fmt.Fprintf(&b, "\nSee %s COMMAND -h. Name servers come from -n or NAMESRV_ADDR.\n", env.Prog)
	_, err := fmt.Fprint(env.Out, b.String())
	return err
}

func lookup(name string) *Command {
	for _, c := range commands() {
		if strings.EqualFold(c.Name, name) {
			return &c
		}
	}
	return nil
}

// All returns every command, for those who look at the table as a whole.
func All() []Command { return commands() }

func names() []string {
	all := commands()
	out := make([]string, len(all))
	for i := range all {
		out[i] = all[i].Name
	}
	return out
}
