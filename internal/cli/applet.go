package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// applets are the names by which Java's scripts and images call their programs, and what they are here: the first words of
// our command line. A program that is missing says so.
var applets = map[string][]string{
	"cometmq":           {},
	"mqadmin":           {"admin"},
	"mqnamesrv":         {"namesrv"},
	"mqbroker":          {"broker"},
	"mqcontroller":      {"controller"},
	"mqstandalone":      {"server"},
	"mqshutdown":        {"shutdown"},
	"mqproxy":           nil,
	"mqbrokercontainer": nil,
	"runbroker":         nil, // runs a Java class
	"runserver":         nil,
	"tools":             nil,
	"docker-entrypoint": nil,
}

// classes are Java's main classes behind its scripts.
var classes = map[string]string{
	"org.apache.rocketmq.broker.BrokerStartup":             "mqbroker",
	"org.apache.rocketmq.namesrv.NamesrvStartup":           "mqnamesrv",
	"org.apache.rocketmq.controller.ControllerStartup":     "mqcontroller",
	"org.apache.rocketmq.proxy.ProxyStartup":               "mqproxy",
	"org.apache.rocketmq.container.BrokerContainerStartup": "mqbrokercontainer",
	"org.apache.rocketmq.tools.command.MQAdminStartup":     "mqadmin",
}

// roles are those of the entry point of Java's image, an argument or the variable NODE_ROLE.
var roles = map[string]string{
	"nameserver": "mqnamesrv", "namesrv": "mqnamesrv", "broker": "mqbroker", "controller": "mqcontroller", "proxy": "mqproxy",
}

// longFlags are Java's long flags where ours have another name. Its parser takes them with one dash, too.
var longFlags = map[string]string{
	"configFile": "--config", "printConfigItem": "--print", "printImportantConfig": "--print", "namesrvAddr": "--namesrv",
}

// program turns the words of a call into arguments of our command line.
func program(words []string, getenv func(string) string) ([]string, error) {
	name, rest := appletName(words[0]), words[1:]
	switch name {
	case "runbroker", "runserver", "tools":
		if len(rest) == 0 {
			return nil, usageError{fmt.Errorf("%s: want the name of a Java class", name)}
		}
		to, ok := classes[rest[0]]
		if !ok {
			return nil, fmt.Errorf("%s: there is no program for the Java class %s here", name, rest[0])
		}
		return program(append([]string{to}, rest[1:]...), getenv)
	case "docker-entrypoint":
		role := getenv("NODE_ROLE")
		if len(rest) > 0 {
			role, rest = rest[0], rest[1:]
		}
		to, ok := roles[role]
		if !ok {
			return nil, usageError{fmt.Errorf("docker-entrypoint.sh: role %q: want nameserver, broker or controller, as an argument or in NODE_ROLE", role)}
		}
		return program(append([]string{to}, rest...), getenv)
	case "mqproxy":
		return nil, errors.New("mqproxy: CometMQ has no proxy; brokers serve gRPC clients themselves: mqbroker --enable-proxy")
	case "mqbrokercontainer":
		return nil, errors.New("mqbrokercontainer: CometMQ does not run several brokers in one process; run mqbroker for each of them")
	}
	to, ok := applets[name]
	switch {
	case !ok || name == "cometmq":
		return rest, nil
	case name == "mqadmin":
		return append(slices.Clone(to), rest...), nil // has its own flags
	}
	return append(slices.Clone(to), javaFlags(rest)...), nil
}

// javaFlags translates long flags of Java's programs.
func javaFlags(args []string) []string {
	out := make([]string, 0, len(args))
	for i, a := range args {
		flag, value, hasValue := strings.Cut(strings.TrimLeft(a, "-"), "=")
		ours, ok := longFlags[flag]
		switch {
		case i > 0 && (args[i-1] == "-c" || args[i-1] == "-n"), !strings.HasPrefix(a, "-"), !ok:
			out = append(out, a)
		case hasValue:
			out = append(out, ours+"="+value)
		default:
			out = append(out, ours)
		}
	}
	return out
}

// world is what a program may change of its process before it runs.
type world struct {
	environ []string
	setenv  func(key, value string) error
	memory  func(bytes int64) // sets the limit of the runtime
	shell   func(*shell)      // for tests
}

// Program runs what the process was called as, the words of its command line with the name of the program in front: ours, one of
// Java's, or the shell of an image that has no other. It returns the exit code. The first SIGINT or SIGTERM asks it to end, a
// second one ends the process at once.
func Program(line []string, env Env) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	w := world{environ: os.Environ(), setenv: os.Setenv, memory: limitMemory}
	if limit := containerMemory(); limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		limitMemory(limit / 10 * 9)
	}
	return w.run(ctx, line, env)
}

func (w *world) run(ctx context.Context, line []string, env Env) int {
	args, err := w.arguments(ctx, line, env)
	if err == nil {
		return Run(ctx, env, args)
	}
	fmt.Fprintf(env.Err, "cometmq: %v\n", err)
	if _, ok := errors.AsType[errShell](err); ok {
		return 127 // as a shell that does not find a command
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	return 1
}

// arguments are those of our command line. Variables that a script sets, and those of Java's images, are set on the way.
func (w *world) arguments(ctx context.Context, line []string, env Env) ([]string, error) {
	name := appletName(line[0])
	switch name {
	case "sh", "bash":
		words, err := w.script(ctx, line[1:], env)
		if err != nil {
			return nil, err
		}
		line, name = words, appletName(words[0])
	}
	vars := func(key string) string { return lookup(w.environ, key) }
	args, err := program(line, vars)
	if err != nil || name == "cometmq" || !isProgram(name) {
		return args, err
	}
	j := readJavaEnv(w.environ, len(args) > 0 && args[0] == "broker")
	for _, k := range slices.Sorted(keysOf(j.set)) {
		if err := w.setenv(k, j.set[k]); err != nil {
			return nil, fmt.Errorf("set %s: %w", k, err)
		}
	}
	if j.memory > 0 {
		w.memory(j.memory)
	}
	if len(j.ignored) > 0 && name != "mqadmin" {
		fmt.Fprintf(env.Err, "cometmq: settings of a Java machine have no effect here: %s\n", strings.Join(j.ignored, " "))
	}
	return args, nil
}

// script runs what a shell was called with: -c SCRIPT, or FILE and its arguments.
func (w *world) script(ctx context.Context, args []string, env Env) ([]string, error) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && !strings.Contains(args[0], "c") {
		args = args[1:] // -e, -x
	}
	switch {
	case len(args) == 0:
		return nil, errShell{"a terminal"}
	case !strings.HasPrefix(args[0], "-"):
		if !isProgram(args[0]) {
			return nil, errShell{args[0]}
		}
		return args, nil
	case len(args) < 2:
		return nil, usageError{errors.New("sh -c: want a script")}
	}
	s := newShell(w.environ, env.Out, env.Err)
	if w.shell != nil {
		w.shell(s)
	}
	words, err := s.run(ctx, args[1])
	if err != nil {
		return nil, err
	}
	before := newShell(w.environ, nil, nil).vars
	for k, v := range s.environ() {
		if old, ok := before[k]; ok && old == v {
			continue
		}
		if err := w.setenv(k, v); err != nil {
			return nil, fmt.Errorf("set %s: %w", k, err)
		}
		w.environ = append(w.environ, k+"="+v)
	}
	return words, nil
}

// lookup returns the last value of a variable.
func lookup(environ []string, key string) string {
	for _, e := range slices.Backward(environ) {
		if k, v, ok := strings.Cut(e, "="); ok && k == key {
			return v
		}
	}
	return ""
}
