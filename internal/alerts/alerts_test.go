package alerts_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/cometmq/cometmq/internal/alerts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// figures is a source that the test sets.
type figures struct {
	mu  sync.Mutex
	v   map[alerts.Kind][]alerts.Reading
	err error
}

func (f *figures) set(k alerts.Kind, r ...alerts.Reading) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.v = map[alerts.Kind][]alerts.Reading{k: r}
	f.err = nil
}

func (f *figures) fail() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = errors.New("no answer")
}

func (f *figures) Readings(_ context.Context, k alerts.Kind) ([]alerts.Reading, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.v[k], f.err
}

// hook is a webhook without a network: what a client sends to it is kept.
type hook struct {
	mu     sync.Mutex
	status int
	reply  string
	err    error
	got    []request
}

type request struct {
	at     time.Time
	url    string
	header http.Header
	body   string
}

func (h *hook) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, request{time.Now(), r.URL.String(), r.Header, string(body)})
	if h.err != nil {
		return nil, h.err
	}
	return &http.Response{StatusCode: h.status, Status: http.StatusText(h.status), Body: io.NopCloser(strings.NewReader(h.reply)), Header: http.Header{}}, nil
}

func (h *hook) answer(status int, reply string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status, h.reply, h.err = status, reply, err
}

func (h *hook) take() []request {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.got
	h.got = nil
	return out
}

// states are those of the alerts that a JSON message tells.
func states(t *testing.T, r request) (out []string) {
	t.Helper()
	var m struct{ Alerts []alerts.Alert }
	if err := json.Unmarshal([]byte(r.body), &m); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	for _, a := range m.Alerts {
		out = append(out, a.Target+" "+string(a.State))
	}
	return out
}

func run(t *testing.T, w *alerts.Watcher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

func only(t *testing.T, w *alerts.Watcher, rules ...alerts.Rule) {
	t.Helper()
	for _, r := range w.Rules() {
		if err := w.DeleteRule(r.ID); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range rules {
		if _, err := w.PutRule(r); err != nil {
			t.Fatal(err)
		}
	}
}

func lagOf(group string, v float64) alerts.Reading {
	return alerts.Reading{Cluster: "c", Target: group, Name: group, Value: v}
}

var lagRule = alerts.Rule{Name: "behind", Kind: alerts.Lag, Enabled: true, Threshold: 100, For: time.Minute, Severity: alerts.Warn, Target: "g.*"}

// bubble opens a watcher with a webhook in a bubble of virtual time.
func bubble(t *testing.T, path string, src alerts.Source, h *hook) *alerts.Watcher {
	t.Helper()
	return alerts.Open(alerts.Options{Source: src, Path: path, Client: &http.Client{Transport: h}})
}

func TestAlertsBecomePendingFireAndAreResolved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "alerts.db")
	synctest.Test(t, func(t *testing.T) {
		src, h := &figures{}, &hook{status: 200}
		w := bubble(t, path, src, h)
		only(t, w, lagRule)
		if err := w.PutSettings(alerts.Settings{Webhook: "http://hook.example/x", Secret: "s3"}); err != nil {
			t.Fatal(err)
		}
		stop := run(t, w)
		src.set(alerts.Lag, lagOf("g1", 150), lagOf("g2", 50), lagOf("other", 1000))
		time.Sleep(15 * time.Second)
		if a := w.Alerts(); len(a) != 1 || a[0].State != alerts.Pending || a[0].Target != "g1" || a[0].Value != 150 {
			t.Fatalf("%+v", a)
		}
		time.Sleep(50 * time.Second)
		if got := h.take(); len(got) != 0 {
			t.Errorf("told too early: %v", got)
		}
		time.Sleep(20 * time.Second)
		got := h.take()
		if len(got) != 1 {
			t.Fatalf("%d messages", len(got))
		}
		if diff := cmp.Diff([]string{"g1 firing"}, states(t, got[0])); diff != "" {
			t.Error(diff)
		}
		mac := hmac.New(sha256.New, []byte("s3"))
		mac.Write([]byte(got[0].body))
		if s := got[0].header.Get("X-Cometmq-Signature"); s != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("signed %s", s)
		}
		if _, err := w.Acknowledge(w.Alerts()[0].ID, "ann"); err != nil {
			t.Error(err)
		}
		src.set(alerts.Lag, lagOf("g1", 170))
		time.Sleep(time.Hour)
		if got = h.take(); len(got) != 0 {
			t.Errorf("told again: %v", got)
		}
		if a := w.Alerts(); len(a) != 1 || a[0].By != "ann" || a[0].Value != 170 {
			t.Errorf("%+v", a)
		}
		src.set(alerts.Lag, lagOf("g1", 3))
		time.Sleep(20 * time.Second)
		if got = h.take(); len(got) != 1 || states(t, got[0])[0] != "g1 resolved" {
			t.Errorf("%v", got)
		}
		src.set(alerts.Lag, lagOf("g1", 150)) // once more, but not for long enough
		time.Sleep(30 * time.Second)
		src.set(alerts.Lag, lagOf("g1", 3))
		time.Sleep(2 * time.Minute)
		if got = h.take(); len(got) != 0 || len(w.Alerts()) != 0 {
			t.Errorf("%v %v", got, w.Alerts())
		}
		stop()
	})
}

func TestARestartRepeatsAndForgetsNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "alerts.db")
	synctest.Test(t, func(t *testing.T) {
		src, h := &figures{}, &hook{status: 503}
		w := bubble(t, path, src, h)
		rule := lagRule
		rule.For = 0
		only(t, w, rule)
		if err := w.PutSettings(alerts.Settings{Webhook: "http://hook.example/x"}); err != nil {
			t.Fatal(err)
		}
		stop := run(t, w)
		src.set(alerts.Lag, lagOf("g1", 150))
		time.Sleep(time.Minute)
		stop()
		if n := len(h.take()); n < 3 || n > 6 {
			t.Errorf("%d attempts in a minute", n)
		}
		h.answer(204, "", nil)
		w = bubble(t, path, src, h)
		stop = run(t, w)
		time.Sleep(10 * time.Minute)
		if got := h.take(); len(got) != 1 || states(t, got[0])[0] != "g1 firing" {
			t.Errorf("after the first restart: %v", got)
		}
		stop()
		w = bubble(t, path, src, h)
		stop = run(t, w)
		time.Sleep(10 * time.Minute)
		if got := h.take(); len(got) != 0 {
			t.Errorf("after the second restart: %v", got)
		}
		if a := w.Alerts(); len(a) != 1 || a[0].State != alerts.Firing {
			t.Errorf("%+v", a)
		}
		stop()
	})
}

func TestRetriesBackOffAndEndAfterADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src, h := &figures{}, &hook{err: errors.New("refused")}
		w := bubble(t, "", src, h)
		rule := lagRule
		rule.For, rule.Webhook = 0, "http://own.example/y"
		only(t, w, rule)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		src.set(alerts.Lag, lagOf("g1", 150))
		w.Evaluate(ctx)
		go func() { done <- w.Run(ctx) }()
		time.Sleep(time.Hour)
		got := h.take()
		var pauses []time.Duration
		for i := range got[1:] {
			pauses = append(pauses, got[i+1].at.Sub(got[i].at))
		}
		want := []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 10 * time.Minute}
		if diff := cmp.Diff(want, pauses[:min(len(pauses), len(want))]); diff != "" {
			t.Error(diff)
		}
		cancel()
		<-done
		if s := w.Stats(); s.Told != 0 || s.FailedAttempts < 8 || s.Dropped != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestMissingFiguresAreNoGoodNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src, h := &figures{}, &hook{status: 200}
		w := bubble(t, "", src, h)
		rule := lagRule
		rule.For = 0
		only(t, w, rule)
		stop := run(t, w)
		src.set(alerts.Lag, lagOf("g1", 150))
		time.Sleep(time.Minute)
		src.fail()
		time.Sleep(9 * time.Minute)
		if a := w.Alerts(); len(a) != 1 || a[0].State != alerts.Firing {
			t.Fatalf("after nine minutes without figures: %+v", a)
		}
		src.set(alerts.Lag)
		time.Sleep(2 * time.Minute)
		if a := w.Alerts(); len(a) != 1 || a[0].State != alerts.Resolved || !a[0].NoData {
			t.Errorf("of a group that is gone: %+v", a)
		}
		stop()
	})
}

func TestSmallValuesAreBadForSomeKinds(t *testing.T) {
	t.Parallel()
	for kind, bad := range map[alerts.Kind]float64{alerts.Clients: 1, alerts.Certificate: 1.5, alerts.NoMaster: 0, alerts.Disk: 0.95, alerts.DeadLetters: 3} {
		src := &figures{}
		w := alerts.Open(alerts.Options{Source: src})
		threshold := 2.0
		if kind == alerts.Disk {
			threshold = 0.9
		}
		only(t, w, alerts.Rule{Name: "x", Kind: kind, Enabled: true, Threshold: threshold, Severity: alerts.Fault})
		src.set(kind, lagOf("g", bad))
		w.Evaluate(t.Context())
		if a := w.Alerts(); len(a) != 1 || a[0].State != alerts.Firing {
			t.Errorf("%s of %v: %+v", kind, bad, a)
		}
		good := map[alerts.Kind]float64{alerts.Clients: 2, alerts.Certificate: 2, alerts.NoMaster: 1, alerts.Disk: 0.9, alerts.DeadLetters: 2}
		src.set(kind, lagOf("g", good[kind]))
		w.Evaluate(t.Context())
		if a := w.Alerts(); len(a) != 1 || a[0].State != alerts.Resolved {
			t.Errorf("%s: %+v", kind, a)
		}
	}
}

func TestRobots(t *testing.T) {
	t.Parallel()
	for format, host := range map[alerts.Format]string{alerts.DingTalk: "oapi.example", alerts.WeCom: "qyapi.example"} {
		synctest.Test(t, func(t *testing.T) {
			src, h := &figures{}, &hook{status: 200, reply: `{"errcode":310000,"errmsg":"sign not match"}`}
			w := bubble(t, "", src, h)
			rule := lagRule
			rule.For = 0
			only(t, w, rule)
			if err := w.PutSettings(alerts.Settings{Webhook: "https://" + host + "/robot?key=1", Format: format, Secret: "SEC"}); err != nil {
				t.Fatal(err)
			}
			stop := run(t, w)
			src.set(alerts.Lag, lagOf("g*[x](http://evil)", 150))
			time.Sleep(12 * time.Second)
			h.answer(200, `{"errcode":0}`, nil)
			time.Sleep(time.Minute)
			got := h.take()
			if len(got) != 2 || w.Stats().Told != 1 || w.Stats().FailedAttempts != 1 {
				t.Fatalf("%d requests, %+v", len(got), w.Stats())
			}
			if !strings.Contains(got[0].body, `"markdown"`) || strings.Contains(got[0].body, "[x](") || !strings.Contains(got[0].body, "1 firing") {
				t.Errorf("%s", got[0].body)
			}
			if signed := strings.Contains(got[0].url, "&sign="); signed != (format == alerts.DingTalk) {
				t.Errorf("%s", got[0].url)
			}
			stop()
		})
	}
}

func TestRulesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	w := alerts.Open(alerts.Options{Source: &figures{}})
	for field, change := range map[string]func(*alerts.Rule){
		"name": func(r *alerts.Rule) { r.Name = "" }, "kind": func(r *alerts.Rule) { r.Kind = "x" }, "severity": func(r *alerts.Rule) { r.Severity = "" },
		"threshold": func(r *alerts.Rule) { r.Threshold = -1 }, "for": func(r *alerts.Rule) { r.For = -1 }, "target": func(r *alerts.Rule) { r.Target = "(" },
		"webhook": func(r *alerts.Rule) { r.Webhook = "file:///etc/passwd" },
	} {
		r := lagRule
		change(&r)
		_, err := w.PutRule(r)
		if e, ok := errors.AsType[*alerts.FieldError](err); !ok || e.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := w.PutRule(alerts.Rule{ID: "none", Name: "n", Kind: alerts.Lag, Severity: alerts.Warn}); !errors.Is(err, alerts.ErrUnknown) {
		t.Error(err)
	}
	if err := w.DeleteRule("none"); !errors.Is(err, alerts.ErrUnknown) {
		t.Error(err)
	}
	if err := w.PutSettings(alerts.Settings{Format: "telegram"}); err == nil {
		t.Error("a format that is not there is taken")
	}
	for _, r := range alerts.Defaults() {
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", r.ID, err)
		}
	}
}

func TestRulesOutliveTheProcessAndSoDoesTheirAbsence(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "alerts.db")
	w := alerts.Open(alerts.Options{Source: &figures{}, Path: path})
	if n := len(w.Rules()); n != len(alerts.Defaults()) {
		t.Fatalf("%d rules at first", n)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("reading made the file")
	}
	only(t, w)
	w.Close()
	w = alerts.Open(alerts.Options{Source: &figures{}, Path: path})
	if n := len(w.Rules()); n != 0 {
		t.Errorf("%d rules came back", n)
	}
	r, err := w.PutRule(lagRule)
	if err != nil {
		t.Fatal(err)
	}
	r.Threshold = 5
	if _, err := w.PutRule(r); err != nil {
		t.Fatal(err)
	}
	w.Close()
	w = alerts.Open(alerts.Options{Source: &figures{}, Path: path})
	if diff := cmp.Diff([]alerts.Rule{r}, w.Rules()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string(nil), w.Watched([]string{"g1"})); diff != "" {
		t.Error("only rules about clients need them counted:", diff)
	}
	if _, err := w.PutRule(alerts.Rule{Name: "few", Kind: alerts.Clients, Enabled: true, Target: "g.", Threshold: 1, Severity: alerts.Warn}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"g1"}, w.Watched([]string{"g1", "g1", "h"})); diff != "" {
		t.Error(diff)
	}
	w.Close()
	if err := os.WriteFile(path, []byte(strings.Repeat("garbage!", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	w = alerts.Open(alerts.Options{Source: &figures{}, Path: path})
	defer w.Close()
	if n := len(w.Rules()); n != len(alerts.Defaults()) {
		t.Errorf("%d rules after damage", n)
	}
	if _, err := w.PutRule(lagRule); err != nil {
		t.Error(err)
	}
}
