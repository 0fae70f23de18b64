package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/config"
)

func newConfigCmd(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at configuration files", Args: noCommand, RunE: showHelp}
	var role string
	check := &cobra.Command{
		Use: "check FILE", Short: "Check a broker.conf, namesrv.conf or controller.conf without starting anything", Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("want one file, got %d arguments", len(args))}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			s := config.Sources{File: args[0], Env: os.Environ()}
			var notices []config.Notice
			var err error
			switch role {
			case "broker":
				_, notices, err = config.LoadBroker(s)
			case "namesrv":
				_, notices, err = config.LoadNamesrv(s)
			case "controller":
				_, notices, err = config.LoadController(s)
			default:
				return usageError{fmt.Errorf("--role %q: want broker, namesrv or controller", role)}
			}
			for _, n := range notices {
				fmt.Fprintf(env.Out, "%s %s\n", n.Level, n)
			}
			if err == nil {
				fmt.Fprintf(env.Out, "%s: ok, %d remarks\n", args[0], len(notices))
			}
			return err
		},
	}
	check.Flags().StringVar(&role, "role", "broker", "whose file it is: broker, namesrv or controller")
	cmd.AddCommand(check)
	return cmd
}
