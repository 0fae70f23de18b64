package generate

import (
	"fmt"
	"strings"

	"github.com/cometmq/cometmq/internal/telemetry"
)

// metricsTable lists the metrics by scope, from the code.
func metricsTable(string) (string, error) {
	var b strings.Builder
	for _, scope := range telemetry.Scopes() {
		fmt.Fprintf(&b, "\n### %s\n\n| name | type | labels | what it is |\n|---|---|---|---|\n", scope.Title())
		for _, m := range telemetry.All() {
			if m.Scope == scope {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.Name, m.Kind, cell(strings.Join(m.Labels, ", ")), cell(m.Help))
			}
		}
	}
	return b.String(), nil
}
