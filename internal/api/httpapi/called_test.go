package httpapi_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cometmq/cometmq/internal/api/httpapi"
)

// called notes which operations of the contract tests called with success. After the whole suite, docs/dashboard.md is held against it.
var called calls

type calls struct {
	mu     sync.Mutex // guards byTest
	byTest map[string]map[string]bool
}

func (c *calls) note(t *testing.T, operation string) {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byTest == nil {
		c.byTest = map[string]map[string]bool{}
	}
	if c.byTest[name] == nil {
		c.byTest[name] = map[string]bool{}
	}
	c.byTest[name][operation] = true
}

// whole says whether all tests have run.
func whole() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// elsewhere are operations that need what this suite does not have: a controller, or limits that only Java's brokers can be given.
var elsewhere = []string{
	"getBrokerEpochs", "getControllerConfig", "patchControllerConfig", "listSyncStates", "electMaster", "cleanBrokerData", "putColdFlow", "deleteColdFlow",
}

const dashboardPage = "../../../docs/dashboard.md"

// verdict is 1 when an operation is called by no test, or when a row of the page names operations that its tests do not call.
func (c *calls) verdict() int {
	if !whole() {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var wrong []string
	every := map[string]bool{}
	for _, ops := range c.byTest {
		maps.Copy(every, ops)
	}
	for _, r := range httpapi.Routes() {
		if slices.Contains(elsewhere, r.ID) == every[r.ID] {
			wrong = append(wrong, fmt.Sprintf("%s (%s %s): called with success %t, in elsewhere %[4]t", r.ID, r.Method, r.Path, every[r.ID]))
		}
	}
	page, err := os.ReadFile(dashboardPage)
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	wrong = append(wrong, c.rows(string(page), every)...)
	for _, w := range wrong {
		fmt.Fprintln(os.Stderr, "FAIL:", w)
	}
	return min(len(wrong), 1)
}

var (
	operationName = regexp.MustCompile("`([a-z]\\w+)`")
	testName      = regexp.MustCompile("`(Test\\w+)`")
)

// rows checks the rows of the page. Cells of operations hold names in `quotes` that begin with a small letter.
func (c *calls) rows(page string, known map[string]bool) (wrong []string) {
	rows := 0
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) < 3 {
			continue
		}
		tests := testName.FindAllStringSubmatch(cells[len(cells)-1], -1)
		for _, m := range operationName.FindAllStringSubmatch(cells[len(cells)-2], -1) {
			rows++
			op := m[1]
			if !known[op] {
				wrong = append(wrong, fmt.Sprintf("%s: %q is no operation that a test calls", dashboardPage, op))
				continue
			}
			if !slices.ContainsFunc(tests, func(t []string) bool { return c.byTest[t[1]][op] }) {
				wrong = append(wrong, fmt.Sprintf("%s: no test of its row calls %s; these do: %s", dashboardPage, op, strings.Join(c.callers(op), " ")))
			}
		}
	}
	if rows == 0 {
		wrong = append(wrong, dashboardPage+" names no operation")
	}
	return wrong
}

func (c *calls) callers(op string) (out []string) {
	for _, t := range slices.Sorted(maps.Keys(c.byTest)) {
		if c.byTest[t][op] {
			out = append(out, t)
		}
	}
	return out
}
