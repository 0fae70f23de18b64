// Docgen writes the generated parts of docs/ (`make docs`) or, with -deviations, lists where the code differs from Java on
// purpose (`make deviations`). It is run in the root of the repository.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/cometmq/cometmq/test/docs/generate"
)

func main() {
	deviations := flag.Bool("deviations", false, "list the deviations from Java and write nothing")
	root := flag.String("root", ".", "root of the repository")
	flag.Parse()
	if err := run(*root, *deviations); err != nil {
		fmt.Fprintln(os.Stderr, "docgen:", err)
		os.Exit(1)
	}
}

func run(root string, deviations bool) error {
	if deviations {
		ds, err := generate.Deviations(root)
		for _, d := range ds {
			fmt.Printf("%s:%d: %s: %s\n", d.File, d.Line, d.Near, d.Text)
		}
		return err
	}
	changed, err := generate.Write(root)
	for _, f := range changed {
		fmt.Println("written:", f)
	}
	return err
}
