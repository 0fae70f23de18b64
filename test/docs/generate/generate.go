package generate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Part is one generated part of a file.
type Part struct {
	Name string
	File string // relative to the root of the repository
	Text func(root string) (string, error)
}

// Parts are all generated parts.
func Parts() []Part {
	return []Part{
		{"codes", "docs/protocol/remoting.md", codesTable},
		{"deviations", "docs/differences.md", deviationsTable},
		{"config", "docs/differences.md", configTable},
		{"help", "docs/operations/cli.md", helpText},
		{"metrics", "docs/operations/metrics.md", metricsTable},
	}
}

// Current returns the text that stands between the marks of p in data.
func (p Part) Current(data string) (string, error) {
	from, to, err := p.bounds(data)
	if err != nil {
		return "", err
	}
	return data[from:to], nil
}

func (p Part) bounds(data string) (from, to int, err error) {
	begin, end := "<!-- generated: "+p.Name+" -->\n", "<!-- end of "+p.Name+" -->"
	if from = strings.Index(data, begin); from < 0 {
		return 0, 0, fmt.Errorf("%s has no line %q", p.File, strings.TrimSpace(begin))
	}
	from += len(begin)
	n := strings.Index(data[from:], end)
	if n < 0 {
		return 0, 0, fmt.Errorf("%s has no line %q", p.File, end)
	}
	return from, from + n, nil
}

// Want returns the text that belongs between the marks of p.
func (p Part) Want(root string) (string, error) {
	text, err := p.Text(root)
	if err != nil {
		return "", fmt.Errorf("generate %s: %w", p.Name, err)
	}
	return "\n" + strings.TrimSpace(text) + "\n\n", nil
}

// Write puts all parts into their files and returns the names of the files that changed.
func Write(root string) (changed []string, err error) {
	for _, p := range Parts() {
		name := filepath.Join(root, filepath.FromSlash(p.File))
		b, err := os.ReadFile(name)
		if err != nil {
			return changed, err
		}
		data := string(b)
		from, to, err := p.bounds(data)
		if err != nil {
			return changed, err
		}
		want, err := p.Want(root)
		if err != nil {
			return changed, err
		}
		if data[from:to] == want {
			continue
		}
		if err := os.WriteFile(name, []byte(data[:from]+want+data[to:]), 0o644); err != nil {
			return changed, err
		}
		changed = append(changed, p.File)
	}
	return changed, nil
}

// cell makes a text fit into a cell of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}
