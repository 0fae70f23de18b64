package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// newShutdownCmd is Java's mqshutdown.
func newShutdownCmd(env *Env) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "shutdown broker|namesrv|controller|server", Short: "End the servers of one kind on this machine; also as mqshutdown",
		Long: "Send SIGTERM to the processes on this machine that run this very program as a server of that kind, and wait until they\n" +
			"have ended. Linux only: it looks into /proc.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains([]string{"broker", "namesrv", "controller", "server"}, args[0]) {
				return usageError{errors.New("want one of broker, namesrv, controller, server")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := serversOf("/proc", args[0])
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				return fmt.Errorf("no %s is running", args[0])
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			var errs []error
			for _, id := range ids {
				fmt.Fprintf(env.Out, "The mq%s(%d) is running...\n", args[0], id)
				if err := end(ctx, id); err != nil {
					errs = append(errs, fmt.Errorf("process %d: %w", id, err))
					continue
				}
				fmt.Fprintf(env.Out, "Send shutdown request to mq%s(%d) OK\n", args[0], id)
			}
			return joined(errs...)
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 2*time.Minute, "how long to wait for their end")
	return cmd
}

// serversOf finds the processes that run our program in a role.
func serversOf(proc, role string) ([]int, error) {
	self, err := os.Stat(filepath.Join(proc, "self", "exe"))
	if err != nil {
		return nil, fmt.Errorf("what runs on this machine cannot be told: %w", err)
	}
	dirs, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var out []int
	for _, d := range dirs {
		id, err := strconv.Atoi(d.Name())
		if err != nil || id == os.Getpid() {
			continue
		}
		exe, err := os.Stat(filepath.Join(proc, d.Name(), "exe"))
		if err != nil || !os.SameFile(self, exe) {
			continue
		}
		line, err := os.ReadFile(filepath.Join(proc, d.Name(), "cmdline"))
		if err == nil && roleOfLine(line) == role {
			out = append(out, id)
		}
	}
	return out, nil
}

// roleOfLine reads a command line as the kernel shows it, with a zero behind each word.
func roleOfLine(line []byte) string {
	var words []string
	for w := range bytes.SplitSeq(bytes.TrimSuffix(line, []byte{0}), []byte{0}) {
		words = append(words, string(w))
	}
	if n := appletName(words[0]); n == "sh" || n == "bash" {
		words = words[1:]
		if len(words) > 1 && words[0] == "-c" {
			steps, err := parseScript(words[1])
			if err != nil || len(steps) == 0 {
				return ""
			}
			raw := steps[len(steps)-1].words
			if words, _ = assignments(newShell(nil, nil, nil).expand(raw), raw); len(words) > 0 && words[0] == "exec" {
				words = words[1:]
			}
		}
	}
	if len(words) == 0 {
		return ""
	}
	args, err := program(words, func(string) string { return "" })
	if err != nil || len(args) == 0 {
		return ""
	}
	return args[0]
}

// end asks a process to end and waits for it.
func end(ctx context.Context, id int) error {
	p, err := os.FindProcess(id)
	if err != nil {
		return err
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for {
		if gone(id) {
			return nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("has not ended: %w", ctx.Err())
		}
	}
}

// gone: there is no such process, or nobody has asked yet how it ended.
func gone(id int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(id), "stat"))
	if err != nil {
		return true
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name may hold anything
	return bytes.HasPrefix(rest, []byte("Z"))
}
