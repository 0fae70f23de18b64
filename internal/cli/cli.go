package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Env is what a command may use of the world, so that it can run inside a test.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Pages    Pages
}

// output is a command's standard output. It remembers its first error, so that commands need not look at each line that
// they print and yet do not end well when the disk under a redirection is full.
type output struct {
	w   io.Writer
	err error
}

// Write passes p on until the first error.
func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	if err != nil {
		o.err = fmt.Errorf("write output: %w", err)
	}
	return n, o.err
}

// usageError marks a mistake in how the command was called.
type usageError struct{ error }

// Run executes one command line until it is done or ctx ends.
func Run(ctx context.Context, env Env, args []string) int {
	out := &output{w: env.Out}
	env.Out = out
	root := newRootCmd(&env)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = out.err
	}
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	fmt.Fprintf(env.Err, "cometmq: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	return 1
}

// Tree is all commands, for those who write manuals of them.
func Tree(env Env) *cobra.Command { return newRootCmd(&env) }

func newRootCmd(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:           "cometmq",
		Short:         "A message queue that is a drop-in replacement for Apache RocketMQ, in one binary",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE:          showHelp,
	}
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		newServerCmd(env), newNamesrvCmd(env), newControllerCmd(env), newBrokerCmd(env), newDemoCmd(env), newDevCmd(env), newDashboardCmd(env),
		newAdminCmd(env), newSendCmd(env), newTailCmd(env), newBenchCmd(env), newStoreCmd(env), newConfigCmd(env), newAuthCmd(env), newVersionCmd(env),
		newHealthCmd(env), newShutdownCmd(env),
	)
	return root
}

// noCommand and showHelp are for commands that only hold others: what stands behind them is a command that is not there.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command %q: see %s --help", args[0], cmd.CommandPath())}
	}
	return nil
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// noArgs refuses positional arguments as a usage error.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}
