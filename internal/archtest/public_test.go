package archtest

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var rewritePublic = flag.Bool("update", false, "rewrite testdata/public.txt")

// publicPackages are those that other modules may import.
var publicPackages = []string{".", "cometmqtest"}

// TestWhatIsPublicIsOnPurpose compares what the public packages export with a list, and holds that no type of an internal package is part of
// it: whoever imports the module could not name that one.
func TestWhatIsPublicIsOnPurpose(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, dir := range publicPackages {
		out.WriteString("package " + path.Join(module, dir) + "\n")
		for _, d := range exported(t, filepath.Join("..", "..", dir)) {
			out.WriteString(d + "\n")
		}
	}
	const list = "testdata/public.txt"
	if *rewritePublic {
		if err := os.WriteFile(list, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the public packages have changed (go test ./internal/archtest -update, when that is what you want); now:\n%s", out.String())
	}
}

// exported returns the exported declarations of the package in dir, sorted, each on one or a few lines.
func exported(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	var decls []string
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		internal := internalImports(f)
		ast.FileExports(f)
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
				continue
			}
			if fn, ok := d.(*ast.FuncDecl); ok {
				if fn.Recv != nil && !ast.IsExported(receiver(fn)) {
					continue
				}
				fn.Body = nil
			}
			ast.Inspect(d, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && internal[x.Name] {
						t.Errorf("%s: %s.%s of an internal package is part of what is exported", fset.Position(s.Pos()), x.Name, s.Sel.Name)
					}
				}
				return true
			})
			var text bytes.Buffer
			if err := printer.Fprint(&text, fset, d); err != nil {
				t.Fatal(err)
			}
			decls = append(decls, text.String())
		}
	}
	slices.Sort(decls)
	return decls
}

// receiver is the name of the type that a method belongs to.
func receiver(fn *ast.FuncDecl) string {
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if id, ok := typ.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// internalImports are the names by which a file knows packages of internal/.
func internalImports(f *ast.File) map[string]bool {
	out := map[string]bool{}
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil || !strings.HasPrefix(p, module+"/internal/") {
			continue
		}
		name := path.Base(p)
		if i.Name != nil {
			name = i.Name.Name
		}
		out[name] = true
	}
	return out
}
