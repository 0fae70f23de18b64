package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// maxLines is where a file has grown past understanding.
const maxLines = 1000

func eachGoFile(t *testing.T, visit func(path string, data []byte)) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n == ".git" || n == "node_modules" || n == "testdata" || n == "build" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(rel), data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func generated(data []byte) bool {
	head, _, _ := bytes.Cut(data, []byte("\npackage "))
	return bytes.Contains(head, []byte("DO NOT EDIT"))
}

func TestNoFileGrowsPastUnderstanding(t *testing.T) {
	t.Parallel()
	eachGoFile(t, func(path string, data []byte) {
		if n := bytes.Count(data, []byte{'\n'}); n > maxLines && !generated(data) {
			t.Errorf("%s has %d lines (limit %d): split it by noun", path, n, maxLines)
		}
	})
}

// binNames are directories that say nothing about what is in them.
var binNames = []string{"common", "util", "utils", "helpers", "types", "misc", "manager", "service", "impl", "processor"}

func TestDirectoriesAreNouns(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		last := p.ImportPath[strings.LastIndexByte(p.ImportPath, '/')+1:]
		for _, b := range binNames {
			if last == b {
				t.Errorf("%s: name the thing, not the bin", p.ImportPath)
			}
		}
	}
}

// seams lists calls that belong behind a parameter, and the rooms that own the real thing.
var seams = []struct {
	pkg    string // import path
	names  []string
	rooms  []string // paths that may call it
	reason string
}{
	{
		"os",
		[]string{"Open", "OpenFile", "Create", "Remove", "RemoveAll", "Rename", "Mkdir", "MkdirAll", "ReadFile", "WriteFile", "ReadDir", "Truncate"},
		[]string{"internal/vfs/", "internal/cli/", "internal/node/", "internal/config/", "internal/certificate/", "internal/bench/", "internal/storetool/", "internal/testkit/", "tools/", "test/", "cmd/"},
		"disk goes through vfs.FS",
	},
	{"time", []string{"Sleep"}, []string{"internal/testkit/", "test/"}, "no sleeping outside tests"},
	{"fmt", []string{"Print", "Println", "Printf"}, []string{"tools/", "test/"}, "output goes to the writer that the caller gave"},
	{"log", []string{"Print", "Printf", "Println", "Fatal", "Fatalf", "Panic"}, nil, "log through slog"},
}

func TestSeamsAreKept(t *testing.T) {
	t.Parallel()
	eachGoFile(t, func(path string, data []byte) {
		if strings.HasSuffix(path, "_test.go") || generated(data) {
			return
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, data, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		names := map[string]string{} // local name -> import path
		for _, im := range f.Imports {
			p := strings.Trim(im.Path.Value, `"`)
			local := p[strings.LastIndexByte(p, '/')+1:]
			if im.Name != nil {
				local = im.Name.Name
			}
			names[local] = p
		}
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			id, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			for _, s := range seams {
				if names[id.Name] != s.pkg {
					continue
				}
				for _, name := range s.names {
					if sel.Sel.Name == name && !anyPrefix(path, s.rooms) {
						t.Errorf("%s: %s.%s: %s", fset.Position(sel.Pos()), s.pkg, name, s.reason)
					}
				}
			}
			return true
		})
	})
}

func anyPrefix(path string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}
