package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEachCommandHasAPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"cometmq.1": "drop-in replacement", "cometmq-broker.1": "--config", "cometmq-store-check.1": "SYNOPSIS",
		"cometmq.bash": "complete", "_cometmq": "#compdef cometmq", "cometmq.fish": "complete -c cometmq",
	} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if text := strings.ReplaceAll(string(b), `\-`, "-"); err != nil || !strings.Contains(text, want) {
			t.Errorf("%s: %v, want %q in it", name, err, want)
		}
	}
}
