package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/admin"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"cometmq": func() { os.Exit(Program(os.Args, Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})) },
	})
}

// TestScripts runs testdata/*.txtar. Besides testscript's own commands there are:
//
//	exits N CMD ...      runs a command that must end with code N
//	serve NAME CMD ...   starts a server and waits until it serves; its addresses are $NAME_NS and $NAME_BROKER
//	stop NAME            ends it with SIGTERM, it must end with code 0; what it logged is stderr
//	kill NAME            ends it with SIGKILL
//	admin N ARG ...      runs cometmq admin in this process; it must end with code N
//	soon REGEXP ARG ...  runs it again and again until it ends with code 0 and prints what was expected
//	javastore V KIND DIR copies a store that Java made, and its configuration tables
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "serve": serveCmd, "stop": stopCmd, "kill": killCmd, "javastore": javaStore, "admin": adminCmd, "soon": soonCmd,
		},
		Setup: func(e *testscript.Env) error {
			e.Values[serversKey{}] = map[string]*server{}
			e.Vars = append(e.Vars, "HOME="+filepath.Join(e.WorkDir, "home"))
			return nil
		},
	})
}

func adminCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: admin CODE ARG ...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := runAdmin(ts, ts.Stdout(), ts.Stderr(), args[1:]); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func runAdmin(ts *testscript.TestScript, out, errs io.Writer, args []string) int {
	env := adminEnv(&Env{In: strings.NewReader(""), Out: out, Err: errs})
	env.Getenv = ts.Getenv
	return admin.Run(context.Background(), env, args)
}

// soonCmd waits for what a broker does a moment after it answered, as putting a message into its queue.
func soonCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: soon REGEXP ARG ...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var out, errs bytes.Buffer
		code := runAdmin(ts, &out, &errs, args[1:])
		if code == 0 && want.Match(out.Bytes()) {
			fmt.Fprint(ts.Stdout(), out.String())
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("not after %v: exit code %d\n%s%s", patience, code, out.String(), errs.String())
		}
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE CMD ...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		ee, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = ee.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

type serversKey struct{}

// server is a process that a script started.
type server struct {
	cmd  *exec.Cmd
	errs bytes.Buffer // complete after done
	done chan error
	once sync.Once
	err  error
}

func (s *server) wait() error {
	s.once.Do(func() { s.err = <-s.done })
	return s.err
}

const patience = 60 * time.Second

var (
	serving = regexp.MustCompile(`serving; Ctrl-C ends|boot success`)
	address = regexp.MustCompile(`(?m)(name server|Name Server.*address|broker)(?:\[\S+,)?\s+([0-9.]+:[0-9]+)`)
)

func serveCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: serve NAME CMD ...")
	}
	cmd := exec.CommandContext(context.Background(), args[1], args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "TMPDIR="+ts.Getenv("TMPDIR"))
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	s := &server{cmd: cmd, done: make(chan error, 1)}
	cmd.Stderr = &s.errs
	ts.Check(cmd.Start())
	lines := make(chan string)
	go func() {
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			lines <- sc.Text()
		}
		_, _ = io.Copy(io.Discard, out)
		close(lines)
		s.done <- cmd.Wait()
	}()
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		for range lines { // until the process has ended
		}
		_ = s.wait()
	})
	ts.Value(serversKey{}).(map[string]*server)[args[0]] = s
	end := time.After(patience)
	var text strings.Builder
	for !serving.MatchString(text.String()) {
		select {
		case l, ok := <-lines:
			if !ok {
				ts.Fatalf("%s ended: %v\n%s\n%s", args[0], s.wait(), text.String(), s.errs.String())
			}
			fmt.Fprintln(&text, l)
		case <-end:
			ts.Fatalf("%s does not serve after %v: %s", args[0], patience, text.String())
		}
	}
	for _, m := range address.FindAllStringSubmatch(text.String(), -1) {
		if strings.HasPrefix(strings.ToLower(m[1]), "name") {
			ts.Setenv(args[0]+"_NS", m[2])
		} else {
			ts.Setenv(args[0]+"_BROKER", m[2])
		}
	}
	fmt.Fprint(ts.Stdout(), text.String())
	go func() {
		for range lines { // what a server prints later is of no interest
		}
	}()
}

func named(ts *testscript.TestScript, neg bool, args []string) *server {
	if neg || len(args) != 1 {
		ts.Fatalf("want the name of a server")
	}
	s, ok := ts.Value(serversKey{}).(map[string]*server)[args[0]]
	if !ok {
		ts.Fatalf("no server %s", args[0])
	}
	return s
}

func stopCmd(ts *testscript.TestScript, neg bool, args []string) {
	s := named(ts, neg, args)
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	late := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	if err := s.wait(); err != nil {
		ts.Fatalf("%s: %v\n%s", args[0], err, s.errs.String())
	}
	fmt.Fprint(ts.Stderr(), s.errs.String())
}

func killCmd(ts *testscript.TestScript, neg bool, args []string) {
	s := named(ts, neg, args)
	ts.Check(s.cmd.Process.Kill())
	_ = s.wait()
}

func javaStore(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: javastore VERSION KIND DIR")
	}
	src, dst := filepath.Join("..", "storage", "testdata", "java", args[0]), ts.MkAbs(args[2])
	ts.Check(os.CopyFS(dst, os.DirFS(filepath.Join(src, args[1]))))
	ts.Check(os.CopyFS(filepath.Join(dst, "config"), os.DirFS(filepath.Join(src, "config"))))
}

// TestEveryCommandHelps walks the tree: each command says what it is, and --help works for it.
func TestEveryCommandHelps(t *testing.T) {
	t.Parallel()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		args := strings.Fields(c.CommandPath() + " --help")[1:]
		var out, errs bytes.Buffer
		if code := Run(t.Context(), Env{Out: &out, Err: &errs}, args); code != 0 || errs.Len() > 0 {
			t.Errorf("%v: exit code %d, %s", args, code, errs.String())
		}
		if c.Short == "" || !strings.Contains(out.String(), c.Short) && c.Long == "" || !strings.Contains(out.String(), "Usage:\n  "+c.CommandPath()) {
			t.Errorf("%v prints %q", args, out.String())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCmd(&Env{Out: io.Discard, Err: io.Discard}))
}

// TestEveryCommandRefusesWhatItDoesNotKnow: a mistake in the call is exit code 2, and nothing is started.
func TestEveryCommandRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"bogus", "store bogus", "bench bogus", "config bogus", "server extra", "namesrv extra", "broker extra", "demo extra", "dev extra",
		"send extra", "tail extra", "version extra", "bench produce extra", "store check", "store check a b", "store dump", "store verify --against b", "store verify a", "config check",
		"broker --bogus", "broker --set x", "send", "tail", "demo --count many", "config check --role nobody file",
	} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), Env{Out: &out, Err: &errs}, strings.Fields(line)); code != 2 || !strings.HasPrefix(errs.String(), "cometmq: ") || out.Len() > 0 {
			t.Errorf("%s: exit code %d, stderr %q, stdout %q", line, code, errs.String(), out.String())
		}
	}
}

// fullDisk takes so many bytes.
type fullDisk struct{ room int }

func (f *fullDisk) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func TestLostOutputIsAFailure(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"version", "broker -p", "--help"} {
		var errs bytes.Buffer
		code := Run(t.Context(), Env{Out: &fullDisk{room: 10}, Err: &errs}, strings.Fields(line))
		if code != 1 || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%s: exit code %d, %s", line, code, errs.String())
		}
	}
}
