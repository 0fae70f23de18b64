package generate

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
)

// DeviationMark begins a comment that says where and why the code differs from Java on purpose.
const DeviationMark = "Differs from Java:"

// Deviation is one such comment.
type Deviation struct {
	File string // relative to the root
	Line int
	Near string // the function or type it belongs to, "" when it stands alone
	Text string
}

// Deviations lists the comments of all Go files below internal and cmd, in the order of files and lines.
func Deviations(root string) ([]Deviation, error) {
	var out []Deviation
	err := EachFile(root, func(rel string, fset *token.FileSet, f *ast.File) {
		for _, g := range f.Comments {
			out = append(out, inGroup(rel, fset, f, g)...)
		}
	})
	return out, err
}

// EachFile parses the Go files below internal and cmd that are no tests.
func EachFile(root string, visit func(rel string, fset *token.FileSet, f *ast.File)) error {
	for _, top := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return filepath.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			visit(filepath.ToSlash(rel), fset, f)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read the Go files below %s: %w", top, err)
		}
	}
	return nil
}

// inGroup finds the paragraphs of a comment that begin with the mark.
func inGroup(rel string, fset *token.FileSet, f *ast.File, g *ast.CommentGroup) []Deviation {
	var out []Deviation
	open := false
	for _, c := range g.List {
		line := strings.TrimSpace(strings.TrimPrefix(c.Text, "//"))
		rest, starts := strings.CutPrefix(line, DeviationMark)
		switch {
		case starts:
			out = append(out, Deviation{File: rel, Line: fset.Position(c.Pos()).Line, Near: near(f, g), Text: strings.TrimSpace(rest)})
			open = true
		case line == "":
			open = false
		case open:
			out[len(out)-1].Text += " " + line
		}
	}
	return out
}

// near names the declaration that a comment belongs to or stands in.
func near(f *ast.File, g *ast.CommentGroup) string {
	for _, d := range f.Decls {
		from := d.Pos()
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc != nil {
				from = d.Doc.Pos()
			}
			if g.Pos() >= from && g.End() <= d.End() {
				return FuncName(d)
			}
		case *ast.GenDecl:
			if d.Doc != nil {
				from = d.Doc.Pos()
			}
			if s, ok := d.Specs[0].(*ast.TypeSpec); ok && g.Pos() >= from && g.End() <= d.End() {
				return s.Name.Name
			}
		}
	}
	return ""
}

// FuncName is Name or Type.Name.
func FuncName(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return d.Name.Name
	}
	return receiver(d.Recv.List[0].Type) + "." + d.Name.Name
}

func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

func deviationsTable(root string) (string, error) {
	ds, err := Deviations(root)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| where | what differs, and why |\n| --- | --- |\n")
	for _, d := range ds {
		where := "[" + strings.TrimPrefix(d.File, "internal/") + "](../" + d.File + ")"
		if d.Near != "" {
			where += " `" + d.Near + "`"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", where, cell(d.Text))
	}
	return b.String(), nil
}
