package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/bench"
)

func newBenchCmd(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Put load on a broker, ours or Java's, and measure", Args: noCommand, RunE: showHelp}
	for _, m := range []struct {
		name, short string
		run         func(context.Context, bench.Options) (*bench.Report, error)
	}{
		{"produce", "Send with many requests in flight", bench.Produce},
		{"consume", "Read every queue from its start", bench.Consume},
		{"pop", "Pop messages and acknowledge each of them", bench.Pop},
		{"transaction", "Send half messages and commit them, with many transactions in flight", bench.Transact},
		{"e2e", "Send at a rate to waiting consumers and measure the whole way (open loop)", bench.EndToEnd},
	} {
		cmd.AddCommand(newBenchMode(env, m.name, m.short, m.run))
	}
	return cmd
}

func newBenchMode(env *Env, name, short string, run func(context.Context, bench.Options) (*bench.Report, error)) *cobra.Command {
	var o bench.Options
	var ns string
	var secs float64
	var secure tlsFlags
	cmd := &cobra.Command{
		Use: name, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Duration = time.Duration(secs * float64(time.Second))
			o.Create = true
			var err error
			if o.Dial, err = secure.dialer(os.Environ()); err != nil {
				return err
			}
			if o.Broker == "" {
				if o.Broker, err = findBroker(cmd.Context(), o.Dial, ns); err != nil {
					return err
				}
			}
			r, err := run(cmd.Context(), o)
			if r != nil {
				if e := printJSON(env, r); e != nil {
					return e
				}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVarP(&ns, "namesrv", "n", "127.0.0.1:9876", "name server, asked for a broker when --broker is empty")
	f.StringVarP(&o.Broker, "broker", "b", "", "broker address")
	f.StringVar(&o.BrokerName, "broker-name", "broker-a", "pop: the broker's name, part of receipt handles")
	f.StringVarP(&o.Topic, "topic", "t", "BenchTopic", "topic, created when missing")
	f.StringVarP(&o.Group, "group", "g", "bench_group", "group")
	f.IntVarP(&o.Queues, "queues", "q", 8, "queues of the topic")
	f.IntVar(&o.Topics, "topics", 0, "produce: spread over so many topics NAME-0, NAME-1 ..., which must exist")
	f.IntVarP(&o.Size, "size", "s", 1024, "bytes of a body")
	f.IntVar(&o.Conns, "conns", 4, "connections")
	f.IntVar(&o.Window, "window", 256, "requests in flight on each connection")
	f.IntVar(&o.Batch, "batch", 1, "messages of a send request")
	f.Int64Var(&o.Count, "count", 0, "stop after so many messages")
	f.Float64Var(&secs, "secs", 10, "stop after so many seconds")
	f.Float64Var(&o.Rate, "rate", 0, "messages a second, 0 = as many as go")
	f.BoolVar(&o.Shed, "shed", false, "produce with --rate: give up what finds no room in the windows instead of sending it late")
	f.IntVar(&o.Pull, "pull", 32, "most messages of a pull")
	f.StringVar(&o.SQL, "sql", "", "consume: choose messages by this SQL92 expression")
	f.BoolVar(&o.JSON, "json-headers", false, "JSON command headers as Java clients send, instead of binary ones")
	secure.bind(cmd)
	return cmd
}

func printJSON(env *Env, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.Out, string(b))
	return err
}

// findBroker asks a name server for a master broker.
func findBroker(ctx context.Context, dial bench.Dialer, ns string) (string, error) {
	addrs, err := bench.Masters(ctx, dial, ns, "")
	if err != nil {
		return "", err
	}
	return addrs[0], nil
}
