// Package deploy checks what deploy/ has against a running server: every PromQL expression of the dashboard and of the alert rules
// is parsed by Prometheus' own parser and evaluated over pages of a broker that has work to do. It is a module of its own, because
// Prometheus is large and nothing else needs it. `make deploy-test` runs it.
package deploy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/teststorage"
)

const root = "../.."

// serve runs `cometmq demo` and returns where its page is.
func serve(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "cometmq")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/cometmq")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, bin, "demo", "--count", "2000")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if f := strings.Fields(sc.Text()); len(f) == 2 && f[0] == "metrics" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return f[1]
		}
	}
	t.Fatal("the demo did not say where its page is")
	return ""
}

func scrape(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", url, resp.Status, err)
	}
	return page
}

// load puts the page into st as it would be scraped every 30 s for some minutes.
func load(t *testing.T, st *teststorage.TestStorage, page []byte, from time.Time, times int) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for i := range times {
		app := st.Appender(t.Context())
		p, err := textparse.New(page, "text/plain; version=0.0.4", labels.NewSymbolTable(), textparse.ParserOptions{FallbackContentType: "text/plain"})
		if err != nil {
			t.Fatal(err)
		}
		at := from.Add(time.Duration(i) * 30 * time.Second).UnixMilli()
		for {
			e, err := p.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("the page is none of Prometheus': %v", err)
			}
			if e != textparse.EntrySeries {
				continue
			}
			var l labels.Labels
			p.Labels(&l)
			_, _, v := p.Series()
			b := labels.NewBuilder(l)
			b.Set("job", "cometmq").Set("instance", "demo")
			l = b.Labels()
			names[l.Get(model.MetricNameLabel)] = true
			if _, err := app.Append(0, l, at, v); err != nil {
				t.Fatalf("%s: %v", l, err)
			}
		}
		if _, err := app.Append(0, labels.FromStrings(model.MetricNameLabel, "up", "job", "cometmq", "instance", "demo"), at, 1); err != nil {
			t.Fatal(err)
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	names["up"] = true
	return names
}

// dashboard returns the expressions of deploy/grafana, with its variables filled in.
func dashboard(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "deploy", "grafana", "cometmq.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, p := range d.Panels {
		for i, e := range p.Targets {
			out[fmt.Sprintf("panel %q %d", p.Title, i)] = strings.NewReplacer("$cluster", ".*", "$node", ".*").Replace(e.Expr)
		}
	}
	if len(out) < 15 {
		t.Fatalf("%d expressions", len(out))
	}
	return out
}

// rules returns the expressions of deploy/prometheus, checked as promtool checks them.
func rules(t *testing.T) map[string]string {
	t.Helper()
	groups, errs := rulefmt.ParseFile(filepath.Join(root, "deploy", "prometheus", "rules.yml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	out := map[string]string{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			out["alert "+r.Alert] = r.Expr
		}
	}
	return out
}

// elsewhere are metrics that a broker alone does not have: those of controllers, of a master with slaves, of what went wrong.
var elsewhere = map[string]bool{
	"cometmq_replication_lag_bytes": true, "cometmq_replication_in_sync": true, "cometmq_controller_leader": true, "role": true,
	"rocketmq_send_to_dlq_messages_total": true, "rocketmq_producer_connections": true, "rocketmq_consumer_connections": true,
}

func TestExpressionsFindWhatThePageHas(t *testing.T) {
	page := scrape(t, serve(t))
	st := teststorage.New(t)
	defer func() { _ = st.Close() }()
	from := time.Unix(1_700_000_000, 0)
	names := load(t, st, page, from, 21)
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1 << 24, Timeout: time.Minute, LookbackDelta: 5 * time.Minute})
	exprs := parser.NewParser(parser.Options{})
	check := func(where, expr string, alert bool) {
		parsed, err := exprs.ParseExpr(expr)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		known := true
		parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
			if v, ok := n.(*parser.VectorSelector); ok && !names[v.Name] {
				if !elsewhere[v.Name] {
					t.Errorf("%s: %s is not on the page", where, v.Name)
				}
				known = false
			}
			return nil
		})
		q, err := engine.NewInstantQuery(t.Context(), st, nil, expr, from.Add(10*time.Minute))
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		defer q.Close()
		res := q.Exec(t.Context())
		if res.Err != nil {
			t.Errorf("%s: %v", where, res.Err)
			return
		}
		v, err := res.Vector()
		switch {
		case err != nil:
			t.Errorf("%s: %v", where, err)
		case alert && len(v) > 0:
			t.Errorf("%s fires for a broker that is well: %s", where, v)
		case !alert && known && len(v) == 0:
			t.Errorf("%s: no series: %s", where, expr)
		}
	}
	for where, expr := range dashboard(t) {
		check(where, expr, false)
	}
	for where, expr := range rules(t) {
		check(where, expr, true)
	}
}
