package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
)

// newHealthCmd is for the health check of a container: a scratch image has nothing else to ask with.
func newHealthCmd(env *Env) *cobra.Command {
	var ns, broker, controller string
	var wait time.Duration
	var secure tlsFlags
	cmd := &cobra.Command{
		Use: "health", Short: "Ask the servers on this machine whether they serve; for container health checks", Args: noArgs,
		Long: "Ask name server, broker and controller on this machine whether they serve. Exit code 0: at least one of them is there, and\n" +
			"all that are there serve. A server that refuses the question because it does not know who asks does serve.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			dial, err := secure.dialer(os.Environ())
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			there := 0
			var errs []error
			for _, s := range []struct {
				name, addr string
				code       int32
			}{{"name server", ns, protocol.ReqGetBrokerClusterInfo}, {"broker", broker, protocol.ReqGetBrokerRuntimeInfo}, {"controller", controller, protocol.ReqControllerGetMetadataInfo}} {
				if s.addr == "" {
					continue
				}
				err := asked(ctx, dial, s.addr, s.code)
				if errors.Is(err, syscall.ECONNREFUSED) {
					continue
				}
				if there++; err != nil {
					errs = append(errs, fmt.Errorf("%s %s: %w", s.name, s.addr, err))
					continue
				}
				fmt.Fprintf(env.Out, "%s %s serves\n", s.name, s.addr)
			}
			if there == 0 {
				return fmt.Errorf("nothing serves at %s", strings.Trim(strings.Join([]string{ns, broker, controller}, " "), " "))
			}
			return joined(errs...)
		},
	}
	port := func(standard string) string { return "127.0.0.1:" + cmp.Or(os.Getenv("COMETMQ_LISTEN_PORT"), standard) }
	f := cmd.Flags()
	f.StringVarP(&ns, "namesrv", "n", "127.0.0.1:9876", "name server, \"\" = none")
	f.StringVarP(&broker, "broker", "b", port("10911"), "broker, \"\" = none")
	f.StringVar(&controller, "controller", "127.0.0.1:9878", "controller, \"\" = none")
	f.DurationVar(&wait, "timeout", 3*time.Second, "how long to wait for all answers")
	secure.bind(cmd)
	return cmd
}

// asked asks a server something that it answers at once.
func asked(ctx context.Context, dial bench.Dialer, addr string, code int32) error {
	c, err := bench.Dial(ctx, dial, addr, protocol.JSON)
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := c.Call(code, nil, nil)
	if err != nil {
		return err
	}
	if r.Code == protocol.RespNoPermission {
		return nil
	}
	return r.Err()
}
