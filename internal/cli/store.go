package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/storetool"
	"github.com/cometmq/cometmq/internal/vfs"
)

func newStoreCmd(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Look at a store directory, ours or Java's, while no broker runs on it", Args: noCommand, RunE: showHelp}
	oneDir := func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{errors.New("want the store directory (storePathRootDir)")}
		}
		return nil
	}
	var log string
	cmd.PersistentFlags().StringVar(&log, "commitlog", "", "the directory of the log when it is elsewhere (storePathCommitLog)")
	var asJSON bool
	check := &cobra.Command{
		Use: "check DIR", Short: "Read everything and compare the queues with the log", Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := storetool.Check(cmd.Context(), vfs.OS(), storetool.Place{Root: args[0], Log: log})
			if err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(env, r); err != nil {
					return err
				}
			} else {
				exit := "clean"
				if !r.Clean {
					exit = "not clean"
				}
				fmt.Fprintf(env.Out, "last exit   %s\nmessages    %d, %d bytes, offsets %d to %d\n", exit, r.Messages, r.Bytes, r.First, r.End)
				fmt.Fprintf(env.Out, "queues      %d with %d units, %d wrong, %d behind the log, %d not built yet\n",
					r.Queues, r.Units, r.Wrong, r.Beyond, r.Missing)
				for _, d := range r.Damages {
					fmt.Fprintf(env.Out, "damage      %s offset %d, %d bytes: %s\n", d.File, d.Offset, d.Length, d.Reason)
				}
				if d := r.Tail; d != nil {
					fmt.Fprintf(env.Out, "torn tail   %s offset %d, %d bytes: %s\n", d.File, d.Offset, d.Length, d.Reason)
				}
				if r.WrongFirst != "" {
					fmt.Fprintf(env.Out, "wrong unit  %s\n", r.WrongFirst)
				}
			}
			if !r.OK() {
				return errors.New("the store is damaged")
			}
			return nil
		},
	}
	check.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	var o storetool.DumpOptions
	dump := &cobra.Command{
		Use: "dump DIR", Short: "Print the messages of the log, one JSON object a line", Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return storetool.Dump(cmd.Context(), vfs.OS(), storetool.Place{Root: args[0], Log: log}, o, env.Out, func(d storetool.Damage) {
				fmt.Fprintf(env.Err, "damage: %s offset %d, %d bytes: %s\n", d.File, d.Offset, d.Length, d.Reason)
			})
		},
	}
	f := dump.Flags()
	f.StringVarP(&o.Topic, "topic", "t", "", "only this topic")
	f.Int64Var(&o.From, "from", 0, "start at this log offset")
	f.Int64Var(&o.Limit, "limit", 0, "so many messages at most")
	f.BoolVar(&o.Body, "body", false, "with bodies")
	cmd.AddCommand(check, newStoreVerifyCmd(env, &log, oneDir), dump)
	return cmd
}

func newStoreVerifyCmd(env *Env, log *string, args cobra.PositionalArgs) *cobra.Command {
	var other storetool.Place
	var asJSON, repair bool
	cmd := &cobra.Command{
		Use: "verify DIR --against DIR", Short: "Compare the log with that of another replica, message by message", Args: args,
		Long: `Compare the log with that of another replica, message by message.

Brokers of one set have the same log, byte for byte. One may begin later, because old files were deleted, or end earlier, because it was
behind: only what both have is compared. It fails when they differ there or when one is damaged. With --repair the damaged parts
of DIR are written anew from the other log, if that has them whole and the two are the same elsewhere.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if other.Root == "" {
				return usageError{errors.New("want --against with the directory of another replica")}
			}
			p := storetool.Place{Root: args[0], Log: *log}
			c, err := storetool.Verify(cmd.Context(), vfs.OS(), p, other)
			if err != nil {
				return err
			}
			if repair && len(c.Faults) > 0 {
				if err = storetool.Repair(cmd.Context(), vfs.OS(), p, other, c, func(d storetool.Damage) {
					fmt.Fprintf(env.Err, "repaired: %s offset %d, %d bytes\n", d.File, d.Offset, d.Length)
				}); err != nil {
					return fmt.Errorf("repair: %w", err)
				}
				if c, err = storetool.Verify(cmd.Context(), vfs.OS(), p, other); err != nil {
					return err
				}
			}
			if asJSON {
				if err := printJSON(env, c); err != nil {
					return err
				}
			} else {
				printComparison(env, c)
			}
			if !c.OK() {
				return errors.New("the logs are damaged or differ")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&other.Root, "against", "", "the other store directory (storePathRootDir)")
	f.StringVar(&other.Log, "against-commitlog", "", "the directory of the other log when it is elsewhere")
	f.BoolVar(&repair, "repair", false, "write damaged parts of DIR anew")
	f.BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}

func printComparison(env *Env, c *storetool.Comparison) {
	fmt.Fprintf(env.Out, "log         offsets %d to %d\nother log   offsets %d to %d\n", c.Log.First, c.Log.End, c.Other.First, c.Other.End)
	fmt.Fprintf(env.Out, "same        %d messages, %d bytes\n", c.Same, c.Bytes)
	for _, s := range []struct {
		name   string
		faults []storetool.Fault
	}{{"damage", c.Faults}, {"damage there", c.OtherFaults}} {
		for _, d := range s.faults {
			whole := "not in the other log either"
			if d.Whole {
				whole = "whole in the other log"
			}
			fmt.Fprintf(env.Out, "%-11s %s offset %d, %d bytes: %s; %s\n", s.name, d.File, d.Offset, d.Length, d.Reason, whole)
		}
	}
	for i, d := range c.Differences {
		if i == 0 {
			fmt.Fprintf(env.Out, "differences %d, the first at offset %d\n", c.Count, d.Offset)
		}
		fmt.Fprintf(env.Out, "difference  offset %d: %s (%s, %s)\n", d.Offset, d.Reason, d.Here, d.There)
	}
}
