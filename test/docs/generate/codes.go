package generate

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Code is one request code.
type Code struct {
	Const  string // its name in internal/protocol
	Number int
	Java   string // Java's name
	Family string // the heading under which codes.go lists it
	Broker string // the function that serves it, "" when there is none
	Name   string // the same of the name server
	Sent   bool   // we send it ourselves
}

// Codes reads the request codes out of internal/protocol and who serves or sends them out of the doors.
func Codes(root string) ([]Code, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, filepath.Join(root, "internal/protocol/codes.go"), nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	out, err := requestCodes(fset, f)
	if err != nil {
		return nil, err
	}
	byConst := map[string]*Code{}
	for i := range out {
		byConst[out[i].Const] = &out[i]
	}
	err = EachFile(root, func(rel string, _ *token.FileSet, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if strings.HasSuffix(n.Name.Name, "Handlers") && strings.HasPrefix(rel, "internal/api/remotingapi/") {
					brokerHandlers(n, byConst)
					return false
				}
			case *ast.CallExpr:
				noteCall(rel, n, byConst)
			case *ast.KeyValueExpr:
				if id, ok := n.Key.(*ast.Ident); ok && id.Name == "Code" && ours(rel) {
					if c := byConst[constOf(n.Value)]; c != nil {
						c.Sent = true
					}
				}
			}
			return true
		})
	})
	if err == nil && !slices.ContainsFunc(out, func(c Code) bool { return c.Broker != "" }) {
		err = errors.New("no handler found: have the functions of remotingapi that end in Handlers moved?")
	}
	return out, err
}

// ours are the packages that speak the protocol as a broker or name server; the load generator is a client.
func ours(rel string) bool {
	for _, p := range []string{"internal/api/", "internal/membership/", "internal/nameserver/", "internal/broker/"} {
		if strings.HasPrefix(rel, p) {
			return true
		}
	}
	return false
}

// requestCodes reads the constants that begin with Req.
func requestCodes(fset *token.FileSet, f *ast.File) ([]Code, error) {
	var out []Code
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if !strings.HasPrefix(v.Names[0].Name, "Req") {
				continue
			}
			lit, ok := v.Values[0].(*ast.BasicLit)
			if !ok || v.Comment == nil {
				return nil, fmt.Errorf("%s: want a number and Java's name as a comment", fset.Position(v.Pos()))
			}
			n, err := strconv.Atoi(lit.Value)
			if err != nil {
				return nil, err
			}
			c := Code{Const: v.Names[0].Name, Number: n, Java: strings.TrimSpace(v.Comment.Text())}
			// The heading is the last comment above that stands alone.
			for _, cg := range f.Comments {
				if cg.Pos() > g.Pos() && cg.End() < v.Pos() && fset.Position(cg.Pos()).Column == 2 {
					c.Family = strings.TrimSuffix(strings.Join(strings.Fields(cg.Text()), " "), ".")
				}
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// brokerHandlers reads the map that handlers() of the broker's door returns.
func brokerHandlers(fn *ast.FuncDecl, codes map[string]*Code) {
	ast.Inspect(fn, func(n ast.Node) bool {
		kv, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		if c := codes[constOf(kv.Key)]; c != nil {
			v := kv.Value
			if wrapped, ok := v.(*ast.CallExpr); ok && len(wrapped.Args) == 1 {
				v = wrapped.Args[0] // guarded(createUser): the function that serves it
			}
			c.Broker = exprName(v)
		}
		return true
	})
}

// noteCall looks for handlers that are registered with a server and for requests that are sent.
func noteCall(rel string, call *ast.CallExpr, codes map[string]*Code) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !ours(rel) {
		return
	}
	for i, a := range call.Args {
		c := codes[constOf(a)]
		if c == nil {
			continue
		}
		switch sel.Sel.Name {
		case "Handle":
			if i == 0 && strings.HasPrefix(rel, "internal/nameserver/") {
				c.Name = exprName(call.Args[1])
			}
		case "Oneway", "Call", "Invoke", "Ask":
			c.Sent = true
		}
	}
}

// constOf returns Name of protocol.Name.
func constOf(e ast.Expr) string {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if id, ok := sel.X.(*ast.Ident); !ok || id.Name != "protocol" {
		return ""
	}
	return sel.Sel.Name
}

func exprName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.CallExpr:
		return exprName(e.Fun)
	}
	return "a function"
}

func codesTable(root string) (string, error) {
	codes, err := Codes(root)
	if err != nil {
		return "", err
	}
	served := 0
	for _, c := range codes {
		if c.Broker != "" || c.Name != "" {
			served++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d request codes are known by name, %d are served. A code that is not served is answered with code 3.\n", len(codes), served)
	family := ""
	for _, c := range codes {
		if c.Family != family {
			family = c.Family
			fmt.Fprintf(&b, "\n### %s\n\n| code | name | state |\n| --- | --- | --- |\n", family)
		}
		fmt.Fprintf(&b, "| %d | %s | %s |\n", c.Number, c.Java, c.state())
	}
	return b.String(), nil
}

// javaServesNot are codes that no server of Java 5.5.0 handles: it answers them with code 3, too. 902 and 903 are for its broker
// container, which is a program of its own; 1014 to 1018 are entries of its controllers' log.
var javaServesNot = []int{
	13, 22, 23, 27, 47, 209, 210, 211, 212, 213, 214, 301, 302, 50, 51, 52, 53, 54, 902, 903, 1014, 1015, 1016, 1017, 1018,
}

func (c *Code) state() string {
	var s []string
	if c.Broker != "" {
		s = append(s, "served by the broker (`"+c.Broker+"`)")
	}
	if c.Name != "" {
		s = append(s, "served by the name server (`"+c.Name+"`)")
	}
	if c.Sent {
		s = append(s, "sent by us")
	}
	if len(s) == 0 && slices.Contains(javaServesNot, c.Number) {
		return "not served, as by Java 5.5.0"
	}
	if len(s) == 0 {
		return "not yet"
	}
	return strings.Join(s, ", ")
}
