package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/test/docs/generate"
)

const root = "../.."

// page is one Markdown file.
type page struct {
	name string // relative to the root
	text string
}

// pages are the Markdown files that people write.
func pages(t *testing.T) []page {
	t.Helper()
	names := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".md") {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []page
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(root, n))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page{n, string(b)})
	}
	return out
}

func TestGeneratedPartsAreCurrent(t *testing.T) {
	t.Parallel()
	for _, p := range generate.Parts() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(filepath.Join(root, p.File))
			if err != nil {
				t.Fatal(err)
			}
			have, err := p.Current(string(b))
			if err != nil {
				t.Fatal(err)
			}
			want, err := p.Want(root)
			if err != nil {
				t.Fatal(err)
			}
			if have != want {
				t.Errorf("the part %q of %s is not what the code says: run `make docs`. First difference:\n%s", p.Name, p.File, difference(have, want))
			}
		})
	}
}

// difference returns the first lines that differ.
func difference(have, want string) string {
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range max(len(h), len(w)) {
		var a, b string
		if i < len(h) {
			a = h[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return "have " + a + "\nwant " + b
		}
	}
	return ""
}

var (
	link  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence = regexp.MustCompile("(?s)\n```.*?\n```")
	head  = regexp.MustCompile(`(?m)^#+ +(.*)$`)
)

// later are what a run of the benchmarks or of the crash tests writes, and what is being built; they may not be there yet.
var later = []string{"docs/crash-table.md"}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := pages(t)
	anchors := map[string][]string{}
	for _, p := range all {
		for _, m := range head.FindAllStringSubmatch(fence.ReplaceAllString(p.text, ""), -1) {
			anchors[p.name] = append(anchors[p.name], slug(m[1]))
		}
	}
	for _, p := range all {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(p.text, ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := p.name
			if target != "" {
				file = filepath.ToSlash(filepath.Join(filepath.Dir(p.name), target))
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil && !slices.Contains(later, file) {
				t.Errorf("%s: link to %s: there is no %s", p.name, m[1], file)
				continue
			}
			if anchor != "" && !slices.Contains(anchors[file], anchor) {
				t.Errorf("%s: link to %s: %s has no such heading", p.name, m[1], file)
			}
		}
	}
}

// slug is the name that a heading gets in links.
func slug(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// code finds paths of this repository in backticks, such as `internal/broker/send.go`.
var code = regexp.MustCompile("`((?:internal|cmd|test|tools|docs)/[A-Za-z0-9_./-]*)`")

func TestNamedFilesExist(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		for _, m := range code.FindAllStringSubmatch(p.text, -1) {
			name := strings.TrimSuffix(m[1], "/...")
			if strings.Contains(name, "NNNN") {
				continue // a pattern
			}
			if _, err := os.Stat(filepath.Join(root, name)); err != nil && !slices.Contains(later, name) {
				t.Errorf("%s names `%s`, which is not there", p.name, m[1])
			}
		}
	}
}

func TestNoNamesOfMachines(t *testing.T) {
	t.Parallel()
	bad := regexp.MustCompile(`(?m)(?:^|[\s("'` + "`" + `])(/(?:work|tmp|home|root)/[^\s)]*)`)
	for _, p := range pages(t) {
		for _, m := range bad.FindAllStringSubmatch(p.text, -1) {
			t.Errorf("%s names a path of somebody's machine: %s", p.name, m[1])
		}
	}
}

// rows returns the cells of the tables of a page whose heading line begins with these cells.
func rows(text string, heading ...string) [][]string {
	var out [][]string
	in := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			in = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case len(cells) >= len(heading) && slices.Equal(cells[:len(heading)], heading):
			in = true
		case in && !strings.HasPrefix(cells[0], "---"):
			out = append(out, cells)
		}
	}
	return out
}

func unquote(cell string) string { return strings.Trim(cell, "`") }

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestWalksNameRealFunctions holds the step by step tables of architecture.md against the code.
func TestWalksNameRealFunctions(t *testing.T) {
	t.Parallel()
	steps := rows(read(t, "docs/architecture.md"), "file", "function")
	if len(steps) < 30 {
		t.Fatalf("found %d steps: has the heading of the tables changed?", len(steps))
	}
	for _, s := range steps {
		file, name := unquote(s[0]), unquote(s[1])
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("architecture.md: %v", err)
			continue
		}
		if !slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
			fn, ok := d.(*ast.FuncDecl)
			return ok && generate.FuncName(fn) == name
		}) {
			t.Errorf("architecture.md says that %s has a function %s", file, name)
		}
	}
}

func TestPackageMapIsComplete(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			rel, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			if rel = filepath.ToSlash(rel); strings.HasPrefix(rel, "internal/testkit") {
				rel = "internal/testkit"
			}
			have[rel] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows(read(t, "docs/architecture.md"), "package", "what it is") {
		delete(have, unquote(r[0]))
	}
	for p := range have {
		t.Errorf("the package map in architecture.md misses %s", p)
	}
}

// locks lists the fields of struct types that are mutexes, and all fields of type chan struct{}, as package and Type.field.
func locks(t *testing.T) (mutexes, channels map[string]bool) {
	t.Helper()
	mutexes, channels = map[string]bool{}, map[string]bool{}
	err := generate.EachFile(root, func(rel string, _ *token.FileSet, f *ast.File) {
		pkg := rel[:strings.LastIndexByte(rel, '/')]
		if strings.HasPrefix(pkg, "internal/testkit") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			ts, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range st.Fields.List {
				for _, name := range field.Names {
					key := fmt.Sprintf("%s %s.%s", pkg, ts.Name.Name, name.Name)
					switch typ := field.Type.(type) {
					case *ast.SelectorExpr:
						if id, ok := typ.X.(*ast.Ident); ok && id.Name == "sync" && strings.HasSuffix(typ.Sel.Name, "Mutex") {
							mutexes[key] = true
						}
					case *ast.ChanType:
						channels[key] = true
					}
				}
			}
			return true
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return mutexes, channels
}

func TestLockTableIsComplete(t *testing.T) {
	t.Parallel()
	mutexes, channels := locks(t)
	text := read(t, "docs/locking.md")
	for _, r := range rows(text, "package", "mutex") {
		key := unquote(r[0]) + " " + unquote(r[1])
		if !mutexes[key] {
			t.Errorf("locking.md lists a mutex that is not there: %s", key)
		}
		delete(mutexes, key)
	}
	for key := range mutexes {
		t.Errorf("locking.md misses the mutex %s", key)
	}
	tokens := rows(text, "package", "token")
	if len(tokens) == 0 {
		t.Error("locking.md has no table of tokens")
	}
	for _, r := range tokens {
		if key := unquote(r[0]) + " " + unquote(r[1]); !channels[key] {
			t.Errorf("locking.md lists a token that is not there: %s", key)
		}
	}
}

// TestMakeTargetsExist looks for `make X` in the pages.
func TestMakeTargetsExist(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	use := regexp.MustCompile("(?m)(?:`|^)make ([a-z][a-z0-9-]*)")
	for _, p := range pages(t) {
		for _, m := range use.FindAllStringSubmatch(p.text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s: `make %s`: the Makefile has no such target", p.name, m[1])
			}
		}
	}
}

// TestNamedCommandsExist looks for command lines of the program in the pages.
func TestNamedCommandsExist(t *testing.T) {
	t.Parallel()
	commands, err := generate.Commands()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"completion": true, "version": true}
	for _, c := range commands {
		known[strings.Join(c, " ")] = true
	}
	use := regexp.MustCompile("(?m)(?:`|^|^ +|bin/)cometmq +([a-z][a-z0-9]*(?: [a-z][a-z0-9]*)?)")
	for _, p := range pages(t) {
		for _, m := range use.FindAllStringSubmatch(p.text, -1) {
			first, _, _ := strings.Cut(m[1], " ")
			if !known[m[1]] && !known[first] {
				t.Errorf("%s: there is no command %q", p.name, "cometmq "+m[1])
			}
		}
	}
}
