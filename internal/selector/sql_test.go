package selector_test

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/selector"
	"github.com/cometmq/cometmq/internal/testkit/sqlgen"
)

// javaTable is what Java 5.5.0 makes of a few hundred expressions; test/golden/generate.sh makes it.
const javaTable = "testdata/java/5.5.0/sql.tsv"

// judge is our answer in the form of the table.
func judge(expr string, p record.Props) string {
	q, err := selector.ParseSQL(expr)
	if err != nil {
		return "!" + err.Error()
	}
	return q.Eval(p).String()
}

func TestSQL92AsJava(t *testing.T) {
	t.Parallel()
	f, err := os.Open(javaTable)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for in := bufio.NewScanner(f); in.Scan(); n++ {
		var cells [3]string
		for i, cell := range strings.SplitN(in.Text(), "\t", 3) {
			if cells[i], err = strconv.Unquote(cell); err != nil {
				t.Fatal(err)
			}
		}
		ours := judge(cells[0], record.Props(cells[1]))
		if why := sqlgen.Differs(ours, cells[2]); why != "" {
			t.Errorf("%q on %q: ours %q, java %q: %s", cells[0], cells[1], ours, cells[2], why)
		}
	}
	if n < 500 {
		t.Errorf("%d cases", n)
	}
}

func TestSQL92Errors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expr, want string }{
		{"a =", `Encountered "<EOF>" at line 1, column 3.`},
		{"a = 1 and\n and", `Encountered " "AND" "and "" at line 2, column 2.`},
		{"a > 'x'", `java.lang.RuntimeException: Value ''x'' cannot be compared. (at line 1, column 5)`},
		{strings.Repeat("(", 2000) + "a" + strings.Repeat(")", 2000), "1000 levels"},
		{strings.Repeat("not ", 2000) + "a", "1000 levels"},
		{"a" + strings.Repeat(" = b", 2000), "1000 levels"},
		{strings.Repeat(" ", 1<<20) + "a = 1", "1048581 bytes"},
	} {
		_, err := selector.ParseSQL(c.expr)
		if e, ok := errors.AsType[*selector.Error](err); !ok || !strings.Contains(e.Error(), c.want) {
			t.Errorf("%.40q: %v, want %q", c.expr, err, c.want)
		}
	}
}

// TestSQL92Long holds that long lists and chains, which do not nest, have no other limit than the size.
func TestSQL92Long(t *testing.T) {
	t.Parallel()
	p := record.AppendProp(nil, "a", "x9999")
	words := make([]string, 10_000)
	for i := range words {
		words[i] = "'x" + strconv.Itoa(i) + "'"
	}
	if v := judge("a IN ("+strings.Join(words, ",")+")", p); v != "true" {
		t.Error(v)
	}
	if v := judge("a = "+strings.Join(words, " OR a = "), p); v != "true" {
		t.Error(v)
	}
	if v := judge("a <> "+strings.Join(words, " AND a <> "), p); v != "false" {
		t.Error(v)
	}
	if v := judge(strings.Repeat("+(", 450)+"a"+strings.Repeat(")", 450), p); v != "false" {
		t.Error(v)
	}
}

func message() record.Props {
	p := record.AppendProp(nil, "KEYS", "order-17")
	p = record.AppendProp(p, "UNIQ_KEY", "7F000001000078E05A3F1B2C3D4E0001")
	p = record.AppendProp(p, "TAGS", "created")
	p = record.AppendProp(p, "region", "eu-west")
	p = record.AppendProp(p, "price", "17.5")
	return record.AppendProp(p, "count", "3")
}

const (
	oneCompare = "count > 2"
	someSQL    = "TAGS = 'created' AND price BETWEEN 10.0 AND 20.0 AND region IN ('eu-west', 'eu-north') AND (count >= 3 OR vip IS NOT NULL)"
)

func TestSQL92AllocatesNothing(t *testing.T) { // not parallel: it counts allocations
	p := message()
	for _, expr := range []string{oneCompare, someSQL, "region contains 'west' and region not startswith 'us' and - count = -1", "price = region or price > count"} {
		q, err := selector.ParseSQL(expr)
		if err != nil {
			t.Fatal(err)
		}
		match := q.Props()
		if n := testing.AllocsPerRun(100, func() { match(p) }); n != 0 {
			t.Errorf("%s: %v allocations", expr, n)
		}
	}
}

func BenchmarkSQL92(b *testing.B) {
	for name, expr := range map[string]string{"one": oneCompare, "five": someSQL} {
		b.Run(name, func(b *testing.B) {
			q, err := selector.ParseSQL(expr)
			if err != nil {
				b.Fatal(err)
			}
			p, match := message(), q.Props()
			if !match(p) {
				b.Fatal("no match")
			}
			b.ReportAllocs()
			for b.Loop() {
				match(p)
			}
		})
	}
}

func BenchmarkParseSQL92(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := selector.ParseSQL(someSQL); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzSQL92(f *testing.F) {
	for _, c := range sqlgen.Cases(3, 200) {
		f.Add(c.Expr, []byte(c.Props))
	}
	f.Fuzz(func(t *testing.T, expr string, props []byte) {
		q, err := selector.ParseSQL(expr)
		if err != nil {
			e, ok := errors.AsType[*selector.Error](err)
			if !ok || e.Text == "" || e.Error() == "" {
				t.Fatalf("%q: %v", expr, err)
			}
			return
		}
		if q.Matches(props) != (q.Eval(props) == selector.True) {
			t.Fatalf("%q: not the same twice", expr)
		}
	})
}
