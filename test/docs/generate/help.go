package generate

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/cli"
	"github.com/cometmq/cometmq/internal/config"
)

func configTable(string) (string, error) { return config.Markdown(), nil }

// Help returns what `cometmq args... --help` prints.
func Help(args ...string) (string, error) {
	var out strings.Builder
	if rc := cli.Run(context.Background(), cli.Env{Out: &out, Err: io.Discard}, append(args, "--help")); rc != 0 {
		return "", fmt.Errorf("cometmq %s --help ended with %d", strings.Join(args, " "), rc)
	}
	return out.String(), nil
}

// Commands lists the command lines of the whole tree, the root (empty) first. The two that cobra adds are left out.
func Commands() ([][]string, error) {
	var out [][]string
	var walk func(args []string) error
	walk = func(args []string) error {
		out = append(out, args)
		text, err := Help(args...)
		if err != nil {
			return err
		}
		_, list, ok := strings.Cut(text, "Available Commands:\n")
		if !ok {
			return nil
		}
		list, _, _ = strings.Cut(list, "\n\n")
		for line := range strings.Lines(list) {
			name := strings.Fields(line)[0]
			if len(args) == 0 && (name == "completion" || name == "help") {
				continue
			}
			if err := walk(append(slices.Clip(args), name)); err != nil {
				return err
			}
		}
		return nil
	}
	return out, walk(nil)
}

func helpText(string) (string, error) {
	all, err := Commands()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, args := range all {
		text, err := Help(args...)
		if err != nil {
			return "", err
		}
		name := strings.TrimSpace("cometmq " + strings.Join(args, " "))
		fmt.Fprintf(&b, "### %s\n\n```\n%s\n```\n\n", name, strings.TrimSpace(text))
	}
	return b.String(), nil
}
