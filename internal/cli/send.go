package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/bench"
)

func newSendCmd(env *Env) *cobra.Command {
	var ns, topic, body, tags, keys string
	var count int
	var secure tlsFlags
	cmd := &cobra.Command{
		Use: "send", Short: "Send a message", Args: noArgs,
		Example: "  cometmq send -t hello -b 'first message'\n  echo text | cometmq send -t hello -b -",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if topic == "" {
				return usageError{errors.New("--topic is needed")}
			}
			data := []byte(body)
			if body == "-" {
				var err error
				if data, err = io.ReadAll(io.LimitReader(env.In, 4<<20+1)); err != nil {
					return fmt.Errorf("read stdin: %w", err)
				}
			}
			dial, err := secure.dialer(os.Environ())
			if err != nil {
				return err
			}
			s, err := bench.NewSender(cmd.Context(), dial, ns, topic)
			if err != nil {
				return err
			}
			defer s.Close()
			for range count {
				r, err := s.Send(bench.Outgoing{Body: data, Tags: tags, Keys: keys})
				if err != nil {
					return err
				}
				fmt.Fprintf(env.Out, "%s queue %d offset %d\n", r.MsgID, r.Queue, r.Offset)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&ns, "namesrv", "n", "127.0.0.1:9876", "name server")
	f.StringVarP(&topic, "topic", "t", "", "topic, created by the broker when it may")
	f.StringVarP(&body, "body", "b", "", "body; - reads it from standard input")
	f.StringVar(&tags, "tags", "", "tag")
	f.StringVar(&keys, "keys", "", "keys, separated by spaces")
	f.IntVar(&count, "count", 1, "how many times")
	secure.bind(cmd)
	return cmd
}

func newTailCmd(env *Env) *cobra.Command {
	var ns, topic, tags string
	var fromStart bool
	var count int
	var secure tlsFlags
	cmd := &cobra.Command{
		Use: "tail", Short: "Show messages as they arrive", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if topic == "" {
				return usageError{errors.New("--topic is needed")}
			}
			dial, err := secure.dialer(os.Environ())
			if err != nil {
				return err
			}
			return bench.Tail(cmd.Context(), dial, bench.TailOptions{
				Namesrv: ns, Topic: topic, Tags: tags, FromStart: fromStart, Count: count,
			}, func(m bench.Incoming) error {
				_, err := fmt.Fprintf(env.Out, "%s %s/%d@%d %s%s\n", m.Stored.Format("15:04:05.000"), m.Broker, m.Queue, m.Offset, m.Tag(), m.Body)
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&ns, "namesrv", "n", "127.0.0.1:9876", "name server")
	f.StringVarP(&topic, "topic", "t", "", "topic")
	f.StringVar(&tags, "tags", "*", "tag expression, such as 'A || B'")
	f.BoolVar(&fromStart, "from-start", false, "show what is stored already")
	f.IntVar(&count, "count", 0, "end after so many messages")
	secure.bind(cmd)
	return cmd
}
