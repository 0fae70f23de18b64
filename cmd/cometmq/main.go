// Command cometmq is the one binary: name server, broker, dashboard and tools.
package main

import (
	"os"
	_ "time/tzdata" // an image from scratch has none

	"github.com/cometmq/cometmq/internal/cli"
	"github.com/cometmq/cometmq/web"
)

func main() {
	pages := cli.Pages{Files: web.FS(), Index: web.Index}
	os.Exit(cli.Program(os.Args, cli.Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Pages: pages}))
}
