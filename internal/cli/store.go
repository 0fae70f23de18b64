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
	cmd.AddCommand(check, dump)
	return cmd
}
