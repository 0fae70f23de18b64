package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/version"
)

func newVersionCmd(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(env.Out, version.Get())
			return err
		},
	}
}
