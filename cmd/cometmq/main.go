// Command cometmq is the one binary: name server, broker and tools.
package main

import (
	"os"

	"github.com/cometmq/cometmq/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.Args(os.Args), cli.Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
