package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/api/httpapi"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/node"
	"github.com/cometmq/cometmq/internal/telemetry"
)

// roleFlags are the flags of the commands that serve, with the letters of Java's start scripts.
type roleFlags struct {
	file    string
	namesrv string
	print   bool
	proxy   bool
	set     []string
	alone   bool // the role does not use name servers
}

func (f *roleFlags) bind(cmd *cobra.Command, usesNamesrv bool) {
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "config", "c", "", "configuration file, Java's format and keys")
	fl.BoolVarP(&f.print, "print", "p", false, "print the effective configuration and end")
	fl.BoolVarP(&f.print, "important", "m", false, "the same, for scripts of Java's broker")
	must(fl.MarkHidden("important"))
	fl.StringArrayVar(&f.set, "set", nil, "a key=value that overrides the file (repeatable)")
	fl.StringVarP(&f.namesrv, "namesrv", "n", "", "name servers, host:port;host:port")
	if f.alone = !usesNamesrv; f.alone {
		must(fl.MarkHidden("namesrv")) // Java's scripts have it for all programs
	} else {
		fl.BoolVar(&f.proxy, "enable-proxy", false, "serve clients of gRPC, too, as mqbroker does with this flag: enableGrpc=true")
	}
}

func (f *roleFlags) sources() (config.Sources, error) {
	s := config.Sources{File: f.file, Env: os.Environ(), Flags: map[string]string{}}
	for _, kv := range f.set {
		k, v, ok := strings.Cut(kv, "=")
		if !ok {
			return s, usageError{fmt.Errorf("--set %q: want key=value", kv)}
		}
		s.Flags[k] = v
	}
	if f.proxy {
		s.Flags["enableGrpc"] = "true"
	}
	if f.namesrv != "" && !f.alone {
		s.Flags["namesrvAddr"] = f.namesrv
	}
	return s, nil
}

// report logs what is worth knowing about a configuration that is good enough to start with.
func report(ctx context.Context, log *slog.Logger, notices []config.Notice) {
	for _, n := range notices {
		log.Log(ctx, n.Level, n.Text, "key", n.Key, "source", n.Source)
	}
}

// newLogger writes to stderr; level is one of config's logLevel words.
func newLogger(env *Env, level string) *slog.Logger {
	return newLogs(env, level, "text", nil).log
}

// logs is a logger whose levels can change.
type logs struct {
	log    *slog.Logger
	level  *slog.LevelVar
	levels *telemetry.Levels
}

// newLogs writes to stderr as the keys logLevel, logFormat and logLevels say.
func newLogs(env *Env, level, format string, own []string) logs {
	l := logs{level: new(slog.LevelVar)}
	if err := l.level.UnmarshalText([]byte(level)); err != nil {
		l.level.Set(slog.LevelInfo)
	}
	l.levels = telemetry.NewLevels(l.level)
	byComponent, _ := config.ParseLogLevels(own) // was checked
	for component, at := range byComponent {
		l.levels.Set(component, &at)
	}
	l.log = telemetry.NewLog(env.Err, format == "json", l.levels)
	return l
}

// shutdownWait turns the value of shutdownWaitTimeSeconds into what node.Options wants: 0 there means not to wait.
func shutdownWait(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// startedFor is how long a role runs before what only its start needed is given back.
const startedFor = 3 * time.Second

// wait waits for the end of what serves.
func wait(ctx context.Context, n *node.Node) error {
	started := time.AfterFunc(startedFor, releaseText)
	defer started.Stop()
	return n.Wait(ctx)
}

// mayNot says what helps when a directory belongs to somebody else, as one does that a container has got from its host.
func mayNot(err error) error {
	pe, ok := errors.AsType[*fs.PathError](err)
	if !ok || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		return err
	}
	if errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w\nThe file system there is read-only: mount a volume, or choose another storePathRootDir", err)
	}
	return fmt.Errorf("%w\nThis process runs as user %d and may not use %s. On the host, for the directory that is mounted there:\n  chown -R %d:%d DIRECTORY",
		err, os.Getuid(), pe.Path, os.Getuid(), os.Getgid())
}

// secondSignal ends a drain instead of the process. A third signal is as the second one without a drain.
func secondSignal() (now <-chan struct{}, end func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	var once sync.Once
	quit := make(chan struct{})
	go func() {
		select {
		case <-signals:
			signal.Stop(signals)
			close(done)
		case <-quit:
		}
	}()
	return done, func() {
		once.Do(func() {
			signal.Stop(signals)
			close(quit)
		})
	}
}

func must(err error) {
	if err != nil {
		panic(err) // a flag that was defined one line before
	}
}

func newNamesrvCmd(env *Env) *cobra.Command {
	var f roleFlags
	cmd := &cobra.Command{
		Use: "namesrv", Short: "Run a name server", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.sources()
			if err != nil {
				return err
			}
			c, notices, err := config.LoadNamesrv(s)
			if err != nil {
				return err
			}
			if f.print {
				_, err = fmt.Fprint(env.Out, config.Format(c.Properties()))
				return err
			}
			log := newLogs(env, c.LogLevel, c.LogFormat, c.LogLevels).log
			report(cmd.Context(), log, notices)
			n, err := node.Start(cmd.Context(), node.Options{Namesrv: c, ShutdownWait: shutdownWait(c.ShutdownWait), Log: log})
			if err != nil {
				return mayNot(err)
			}
			fmt.Fprintf(env.Out, "The Name Server boot success. serializeType=JSON, address %s\n", n.NamesrvAddr())
			return wait(cmd.Context(), n)
		},
	}
	f.bind(cmd, false)
	return cmd
}

func newControllerCmd(env *Env) *cobra.Command {
	var f roleFlags
	cmd := &cobra.Command{
		Use: "controller", Short: "Run a controller", Args: noArgs,
		Long: "Run a controller: one of the group that decides which broker of a set is master. The file is Java's controller.conf;\n" +
			"a group of three or five bears the loss of one or two. With enableControllerInNamesrv = true in its file, a name server\n" +
			"runs one in its own process.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.sources()
			if err != nil {
				return err
			}
			c, notices, err := config.LoadController(s)
			if err != nil {
				return err
			}
			if f.print {
				_, err = fmt.Fprint(env.Out, config.Format(c.Properties()))
				return err
			}
			log := newLogs(env, c.LogLevel, c.LogFormat, c.LogLevels).log
			report(cmd.Context(), log, notices)
			o := node.Options{Controller: c, ShutdownWait: shutdownWait(c.ShutdownWait), Log: log}
			return serve(cmd.Context(), o, func(n *node.Node) error {
				_, err := fmt.Fprintf(env.Out, "The Controller Server boot success. serializeType=JSON, address %s\n", n.ControllerAddr())
				return err
			})
		},
	}
	f.bind(cmd, false)
	return cmd
}

func newBrokerCmd(env *Env) *cobra.Command {
	var f roleFlags
	cmd := &cobra.Command{
		Use: "broker", Short: "Run a broker", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.sources()
			if err != nil {
				return err
			}
			c, notices, err := config.LoadBroker(s)
			if err != nil {
				return err
			}
			if f.print {
				_, err = fmt.Fprint(env.Out, config.Format(c.Properties()))
				return err
			}
			logs := newLogs(env, c.Process.LogLevel, c.Process.LogFormat, c.Process.LogLevels)
			log, level := logs.log, logs.level
			report(cmd.Context(), log, notices)
			n, err := node.Start(cmd.Context(), node.Options{Broker: c, Hurry: secondSignal, ShutdownWait: shutdownWait(c.Process.ShutdownWait), Log: log, Level: level, Levels: logs.levels})
			if err != nil {
				return mayNot(err)
			}
			fmt.Fprintf(env.Out, "The broker[%s, %s] boot success. serializeType=JSON and name server is %s\n",
				c.Identity.Name, n.BrokerAddr(), strings.Join(c.Routes.NameServers, ";"))
			return wait(cmd.Context(), n)
		},
	}
	f.bind(cmd, true)
	return cmd
}

func newServerCmd(env *Env) *cobra.Command {
	var f roleFlags
	var df dashboardFlags
	cmd := &cobra.Command{
		Use: "server", Short: "Run everything in one process: name server, broker and dashboard", Args: noArgs,
		Long: "Run everything in one process. The configuration file is a broker's; the name server listens on --set\n" +
			"namesrvPort=9876 and the broker registers with it, and with the other name servers of namesrvAddr if there are any.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.sources()
			if err != nil {
				return err
			}
			ns := map[string]string{}
			if p, ok := s.Flags["namesrvPort"]; ok {
				ns["listenPort"] = p
				delete(s.Flags, "namesrvPort")
			}
			b, notices, err := config.LoadBroker(s)
			if err != nil {
				return err
			}
			ns["bindAddress"] = b.Listen.Address
			if b.Auth.Inner != "" {
				ns["innerClientAuthenticationCredentials"] = b.Auth.Inner
			}
			maps.Copy(ns, b.TLSSettings())
			n, more, err := config.LoadNamesrv(config.Sources{EnvPrefix: "COMETMQ_NAMESRV_", Env: os.Environ(), Flags: ns})
			if err != nil {
				return err
			}
			if f.print {
				_, err = fmt.Fprint(env.Out, config.Format(b.Properties()))
				return err
			}
			logs := newLogs(env, b.Process.LogLevel, b.Process.LogFormat, b.Process.LogLevels)
			log, level := logs.log, logs.level
			report(cmd.Context(), log, append(notices, more...))
			d, err := df.dashboard(env, cmd.Flags().Changed("dashboard"))
			if err != nil {
				return err
			}
			o := node.Options{Namesrv: n, Broker: b, Dashboard: d, Hurry: secondSignal, ShutdownWait: shutdownWait(max(n.ShutdownWait, b.Process.ShutdownWait)), Log: log, Level: level, Levels: logs.levels}
			return serve(cmd.Context(), o, func(n *node.Node) error {
				_, err := fmt.Fprintf(env.Out, "name server %s\nbroker      %s\nMQTT        %s\nAMQP        %s\ngRPC        %s\nmetrics     %s\ndashboard   %s\n", n.NamesrvAddr(), n.BrokerAddr(), mqttLine(n), amqpLine(n), grpcLine(n), page(n), dashboardLine(n))
				return err
			})
		},
	}
	f.bind(cmd, true)
	df.bind(cmd, "dashboard", httpapi.AuthFile)
	return cmd
}

// serve starts the roles, calls ready and waits for the end.
func serve(ctx context.Context, o node.Options, ready func(*node.Node) error) error {
	n, err := node.Start(ctx, o)
	if err != nil {
		return mayNot(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err = ready(n)
	if err != nil {
		cancel()
	}
	return joined(err, wait(ctx, n))
}
