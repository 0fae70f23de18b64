package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const dashboardPage = "docs/dashboard.md"

// TestJavasDashboardIsAnsweredRouteByRoute: docs/dashboard.md names each route of Java's program, and the pages and tests that it
// names are there. That the tests call what a row says is checked by the suite of internal/api/httpapi.
func TestJavasDashboardIsAnsweredRouteByRoute(t *testing.T) {
	t.Parallel()
	page := read(t, dashboardPage)
	var java []string
	for line := range strings.Lines(read(t, "test/docs/testdata/java-dashboard-routes.txt")) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			java = append(java, line)
		}
	}
	routes := submatches(regexp.MustCompile(`\bpath: '([^']+)'|\b(?:page|bare)\('([^']+)'`), read(t, "web/src/routes.tsx"))
	rows := tableRows(page)
	if len(java) < 60 || len(routes) < 20 || len(rows) < 40 {
		t.Fatalf("%d routes of Java, %d pages, %d rows", len(java), len(routes), len(rows))
	}
	var named []string
	quoted := regexp.MustCompile("`(/[^`]*)`")
	for _, cells := range rows {
		for i, cell := range cells {
			for _, path := range submatches(quoted, cell) {
				named = append(named, path)
				// Java's routes are in the second cell of the tables that have them, pages of ours everywhere else.
				if !slices.Contains(java, path) && !slices.Contains(routes, path) {
					t.Errorf("%s, cell %d of %q: %s is neither a route of Java's program nor a page of web/src/routes.tsx", dashboardPage, i+1, cells[0], path)
				}
			}
		}
	}
	for _, path := range slices.Concat(java, routes) {
		if !slices.Contains(named, path) {
			t.Errorf("%s does not name %s", dashboardPage, path)
		}
	}
	testsExist(t, rows)
}

// tableRows are the cells of all tables of a page but of those that head them.
func tableRows(page string) (rows [][]string) {
	inTable := false
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			inTable = false
			continue
		}
		if strings.HasPrefix(line, "|---") {
			inTable = true
			continue
		}
		if inTable {
			rows = append(rows, strings.Split(strings.Trim(line, "| "), " | "))
		}
	}
	return rows
}

// submatches are the groups that a pattern finds.
func submatches(re *regexp.Regexp, text string) (out []string) {
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		for _, g := range m[1:] {
			if g != "" {
				out = append(out, g)
			}
		}
	}
	return out
}

// testsExist wants each test that the last cell of a row names.
func testsExist(t *testing.T, rows [][]string) {
	t.Helper()
	goTests := goTests(t)
	cases := submatches(regexp.MustCompile(`\{"([^"]+)", func\(e \*env\)`), read(t, "test/conformance/dashboard_test.go"))
	var journeys []string
	files, err := filepath.Glob(filepath.Join(root, "web", "e2e", "*.test.mjs"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no journeys: %v", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		journeys = append(journeys, submatches(regexp.MustCompile("\\btest\\(['`]([^'`]+)['`],"), string(b))...)
	}
	for _, cells := range rows {
		last := cells[len(cells)-1]
		named := submatches(regexp.MustCompile("`(Test\\w+)`"), last)
		for _, name := range named {
			if !goTests[name] {
				t.Errorf("%s: there is no test %s", dashboardPage, name)
			}
		}
		quotes := regexp.MustCompile(`(both )?"([^"]+)"`).FindAllStringSubmatch(last, -1)
		for _, m := range quotes {
			list, what := journeys, "journey"
			if m[1] != "" {
				list, what = cases, "case for both"
			}
			if !slices.Contains(list, m[2]) {
				t.Errorf("%s: there is no %s %q", dashboardPage, what, m[2])
			}
		}
		if len(cells) >= 4 && len(named)+len(quotes) == 0 {
			t.Errorf("%s: %q names no test", dashboardPage, cells[0])
		}
	}
}

// goTests are the names of all tests.
func goTests(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	re := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		for _, name := range submatches(re, string(b)) {
			out[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
