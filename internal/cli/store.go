package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/cluster"
	"github.com/cometmq/cometmq/internal/mq"
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
	var secure tlsFlags
	cmd := &cobra.Command{
		Use: "verify DIR --against DIR|HOST:PORT", Short: "Compare the log with that of another replica, message by message", Args: args,
		Long: `Compare the log with that of another replica, message by message.

Brokers of one set have the same log, byte for byte. One may begin later, because old files were deleted, or end earlier, because it was
behind: only what both have is compared. It fails when they differ there or when one is damaged. With --repair the damaged parts
of DIR are written anew from the other log, if that has them whole and the two are the same elsewhere.

With an address the log is compared with that of the broker that runs there, ours or Java's, which is asked for each message. It may serve
meanwhile.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if other.Root == "" {
				return usageError{errors.New("want --against with the directory of another replica")}
			}
			p := storetool.Place{Root: args[0], Log: *log}
			verify := func() (*storetool.Comparison, error) {
				return storetool.Verify(cmd.Context(), vfs.OS(), p, other)
			}
			if isAddress(other.Root) {
				if repair {
					return usageError{errors.New("--repair wants the directory of the other replica: a broker that runs goes on writing")}
				}
				verify = func() (*storetool.Comparison, error) {
					return verifyRemote(cmd.Context(), env, p, other.Root, &secure)
				}
			}
			c, err := verify()
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
	f.StringVar(&other.Root, "against", "", "the other store directory (storePathRootDir), or the address of a running broker")
	f.StringVar(&other.Log, "against-commitlog", "", "the directory of the other log when it is elsewhere")
	secure.bind(cmd)
	f.BoolVar(&repair, "repair", false, "write damaged parts of DIR anew")
	f.BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}

// isAddress reports whether s is host:port and no directory of that name.
func isAddress(s string) bool {
	if _, err := os.Stat(s); err == nil {
		return false
	}
	_, port, err := net.SplitHostPort(s)
	n, bad := strconv.ParseUint(port, 10, 16)
	return err == nil && bad == nil && n > 0
}

// verifyRemote compares a store with a running broker.
func verifyRemote(ctx context.Context, env *Env, p storetool.Place, addr string, secure *tlsFlags) (*storetool.Comparison, error) {
	dial, err := secure.dialer(os.Environ())
	if err != nil {
		return nil, err
	}
	c := cluster.New(cluster.Options{Credentials: credentials(os.Getenv), Dial: dial})
	defer c.Close()
	var progress func(off, end int64)
	if isTerminal(env.Err) {
		told := time.Now()
		progress = func(off, end int64) {
			if now := time.Now(); now.Sub(told) >= time.Second {
				told = now
				fmt.Fprintf(env.Err, "compared up to %d of %d\n", off, end)
			}
		}
	}
	return storetool.VerifyRemote(ctx, vfs.OS(), p, addr, remoteLog{c.Broker(addr)}, progress)
}

// remoteLog is the log of a broker that is asked for its messages.
type remoteLog struct{ b mq.RemoteBroker }

func (l remoteLog) Extent(ctx context.Context) (storetool.Extent, error) {
	info, err := l.b.RuntimeInfo(ctx)
	if err != nil {
		return storetool.Extent{}, err
	}
	first, errFirst := strconv.ParseInt(info["commitLogMinOffset"], 10, 64)
	end, errEnd := strconv.ParseInt(info["commitLogMaxOffset"], 10, 64)
	return storetool.Extent{First: first, End: end}, errors.Join(errFirst, errEnd)
}

func (l remoteLog) Message(ctx context.Context, off int64) ([]byte, error) {
	rec, err := l.b.MessageAt(ctx, mq.Offset(off), nil)
	// Java's brokers and ours answer so for a place at which no message begins.
	if e, ok := errors.AsType[*mq.CallError](err); ok && e.Code != 0 && mq.KindOf(err) == mq.KindInternal {
		return nil, storetool.ErrNoMessage
	}
	return rec, err
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
