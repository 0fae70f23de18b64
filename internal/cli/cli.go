package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Env is what a command may use of the world, so that it can run inside a test.
type Env struct {
	Out, Err io.Writer
}

// usageError marks a mistake in how the command was called.
type usageError struct{ error }

// Main runs the command line and returns the exit code.
func Main(args []string, out, errw io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return Run(ctx, &Env{Out: out, Err: errw}, args)
}

// Run executes one command line until it is done or ctx ends.
func Run(ctx context.Context, env *Env, args []string) int {
	root := newRootCmd(env)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(env.Err, "cometmq: %v\n", err)
	var u usageError
	if errors.As(err, &u) {
		return 2
	}
	return 1
}

func newRootCmd(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:           "cometmq",
		Short:         "A message queue that is a drop-in replacement for Apache RocketMQ, in one binary",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q: see cometmq --help", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		newServerCmd(env), newNamesrvCmd(env), newBrokerCmd(env), newDemoCmd(env), newDevCmd(env),
		newSendCmd(env), newTailCmd(env), newBenchCmd(env), newStoreCmd(env), newConfigCmd(env), newVersionCmd(env),
	)
	return root
}

// noArgs refuses positional arguments as a usage error.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}
