// Command manpages writes a manual page for each command, and completions for three shells, into a directory that is there:
//
//	manpages DIR
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra/doc"

	"github.com/cometmq/cometmq/internal/cli"
	"github.com/cometmq/cometmq/internal/version"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: manpages DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "manpages:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	root := cli.Tree(cli.Env{Out: io.Discard, Err: io.Discard})
	root.DisableAutoGenTag = true
	when := time.Unix(0, 0).UTC() // the same pages for the same code
	i := version.Get()
	if t, err := time.Parse(time.RFC3339, i.Time); err == nil {
		when = t
	}
	return errors.Join(
		doc.GenManTree(root, &doc.GenManHeader{Section: "1", Manual: "CometMQ", Source: i.Short(), Date: &when}, dir),
		root.GenBashCompletionFileV2(filepath.Join(dir, "cometmq.bash"), true),
		root.GenZshCompletionFile(filepath.Join(dir, "_cometmq")),
		root.GenFishCompletionFile(filepath.Join(dir, "cometmq.fish"), true),
	)
}
