package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cometmq/cometmq/internal/api/httpapi"
	"github.com/cometmq/cometmq/internal/cluster"
)

// lonely is a dashboard whose cluster does not answer: what it keeps for itself needs none.
func lonely(t *testing.T, change func(o *httpapi.Options)) *world {
	t.Helper()
	w := &world{t: t, doc: theContract(t), headers: map[string]string{}}
	w.cluster = cluster.New(cluster.Options{NameServers: []string{"127.0.0.1:1"}, Timeout: time.Minute})
	t.Cleanup(w.cluster.Close)
	w.open(func(o *httpapi.Options) {
		o.Auth = httpapi.AuthFile
		if change != nil {
			change(o)
		}
	})
	return w
}

// take uses the session of an answer from now on.
func (w *world) take(a *answer) {
	w.t.Helper()
	var s struct{ CSRFToken string }
	a.want(a.Code, &s)
	w.csrf = s.CSRFToken
	for _, c := range a.Result().Cookies() {
		w.headers["Cookie"] = c.Name + "=" + c.Value
	}
}

func (w *world) nobody() { w.csrf, w.headers = "", map[string]string{} }

const password = "correct horse"

func TestFirstAdministratorNeedsTheToken(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "console.db")
	w := lonely(t, func(o *httpapi.Options) { o.File = file })
	token := w.api.SetupToken()
	if len(token) != 32 {
		t.Fatalf("token %q", token)
	}
	w.send(http.MethodGet, "/audit", nil).refused(http.StatusUnauthorized, "setupNeeded")
	var s struct {
		Authenticated, SetupRequired bool
		Role, User                   string
	}
	if w.get("/session", &s); s.Authenticated || !s.SetupRequired {
		t.Errorf("%+v", s)
	}
	w.send(http.MethodPost, "/setup", map[string]any{"token": "x" + token[1:], "user": "root", "password": password}).refused(http.StatusForbidden, "badSetupToken")
	p := w.send(http.MethodPost, "/setup", map[string]any{"token": token, "user": "root", "password": "short"}).refused(http.StatusBadRequest, "invalidParameter")
	if len(p.Fields) != 1 || p.Fields[0].Name != "password" {
		t.Errorf("%+v", p)
	}
	a := w.send(http.MethodPost, "/setup", map[string]any{"token": token, "user": "root", "password": password}).want(http.StatusCreated, &s)
	c := a.Result().Cookies()[0]
	if c.Name != "cometmqsid" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || len(c.Value) != 64 || s.Role != "admin" {
		t.Errorf("%+v %+v", c, s)
	}
	w.send(http.MethodPost, "/setup", map[string]any{"token": token, "user": "two", "password": password}).refused(http.StatusConflict, "setupDone")
	w.take(a)
	w.get("/users", nil)

	// The session and the user are there after a restart, and there is no token any more.
	must(t, w.api.Close())
	w.open(func(o *httpapi.Options) { o.Auth, o.File = httpapi.AuthFile, file })
	if w.api.SetupToken() != "" {
		t.Error("a token although there is a user")
	}
	w.get("/users", nil)
	w.send(http.MethodDelete, "/session", nil).want(http.StatusNoContent, nil)
	w.send(http.MethodGet, "/users", nil).refused(http.StatusUnauthorized, "signInNeeded")
}

func TestSessionsNeedTheirTokenAndEnd(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := lonely(t, func(o *httpapi.Options) { o.AdminPassword, o.Now = password, func() time.Time { return now } })
	login := map[string]any{"user": "admin", "password": password}
	w.take(w.send(http.MethodPost, "/session", login).want(http.StatusOK, nil))
	token := w.csrf
	w.csrf = ""
	w.send(http.MethodPost, "/tokens", map[string]any{"name": "x", "role": "viewer"}).refused(http.StatusForbidden, "csrf")
	w.csrf = "wrong"
	w.send(http.MethodPost, "/tokens", map[string]any{"name": "x", "role": "viewer"}).refused(http.StatusForbidden, "csrf")
	w.csrf = token
	w.send(http.MethodPost, "/tokens", map[string]any{"name": "x", "role": "viewer"}, "Sec-Fetch-Site", "cross-site").refused(http.StatusForbidden, "crossOrigin")
	w.send(http.MethodPost, "/tokens", map[string]any{"name": "x", "role": "viewer"}, "Origin", "http://evil.example").refused(http.StatusForbidden, "crossOrigin")

	now = now.Add(29 * time.Minute)
	w.get("/users", nil)
	now = now.Add(29 * time.Minute) // it was used meanwhile
	w.get("/users", nil)
	now = now.Add(31 * time.Minute)
	w.send(http.MethodGet, "/users", nil).refused(http.StatusUnauthorized, "signInNeeded")

	w.take(w.send(http.MethodPost, "/session", login).want(http.StatusOK, nil))
	for range 30 {
		now = now.Add(25 * time.Minute) // never idle, and yet it ends after 12 hours
		if w.send(http.MethodGet, "/users", nil).Code == http.StatusUnauthorized {
			return
		}
	}
	t.Error("the session lives for more than 12 hours")
}

func TestGuessingIsSlowedDown(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := lonely(t, func(o *httpapi.Options) { o.AdminPassword, o.Now = password, func() time.Time { return now } })
	wrong := map[string]any{"user": "admin", "password": "wrong password"}
	for range 5 {
		w.send(http.MethodPost, "/session", wrong).refused(http.StatusUnauthorized, "badLogin")
	}
	a := w.send(http.MethodPost, "/session", map[string]any{"user": "admin", "password": password})
	if a.refused(http.StatusTooManyRequests, "tooManyLogins"); a.Header().Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.Header().Get("Retry-After"))
	}
	now = now.Add(2 * time.Second)
	w.take(w.send(http.MethodPost, "/session", map[string]any{"user": "admin", "password": password}).want(http.StatusOK, nil))
	var log struct {
		Items []struct{ Action, Target, Result, Code string }
	}
	w.get("/audit?action=login", &log)
	if len(log.Items) != 7 || log.Items[0].Result != "ok" || log.Items[1].Code != "tooManyLogins" || log.Items[2].Code != "badLogin" || log.Items[2].Target != "admin" {
		t.Errorf("%+v", log.Items)
	}
}

func TestRolesAreEnforcedByTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("orders", 1)
	w.topic("secret", 1)
	w.send(http.MethodPost, inCluster+"/groups", map[string]any{"name": "G"}).want(http.StatusCreated, nil)
	s := w.put("orders", 0, `{"card":"4711","name":"x"}`, map[string]string{"card": "4711", "KEYS": "k"})
	hidden := w.put("secret", 0, "hidden", nil)
	w.sent("orders", 1)
	w.nobody()
	w.open(func(o *httpapi.Options) { o.Auth, o.AdminPassword = httpapi.AuthFile, password })
	w.send(http.MethodGet, inCluster+"/topics", nil).refused(http.StatusUnauthorized, "signInNeeded")
	w.take(w.send(http.MethodPost, "/session", map[string]any{"user": "admin", "password": password}).want(http.StatusOK, nil))
	w.send(http.MethodPatch, "/settings", map[string]any{"masking": []map[string]any{{"kind": "jsonPath", "pattern": "$.card", "topic": "orders"}}}).want(http.StatusOK, nil)
	w.send(http.MethodPatch, "/settings", map[string]any{"masking": []map[string]any{{"kind": "jsonPath", "pattern": "card"}}}).refused(http.StatusBadRequest, "invalidParameter")
	tokens := map[string]string{}
	for _, role := range []string{"viewer", "reader", "operator", "admin"} {
		var tok struct{ Secret string }
		w.send(http.MethodPost, "/tokens", map[string]any{"name": role, "role": role}).want(http.StatusCreated, &tok)
		tokens[role] = tok.Secret
	}
	w.send(http.MethodPost, "/users", map[string]any{"name": "ann", "password": password, "role": "operator", "topicScope": "ord.*", "groupScope": "none"}).want(http.StatusCreated, nil)
	w.send(http.MethodPost, "/users", map[string]any{"name": "bob", "password": password, "topicScope": "("}).refused(http.StatusBadRequest, "invalidParameter")
	w.send(http.MethodDelete, "/users/admin", nil).refused(http.StatusConflict, "lastAdmin")
	w.send(http.MethodPut, "/users/admin", map[string]any{"role": "viewer"}).refused(http.StatusConflict, "lastAdmin")

	// What each role may do. A program with a token needs no CSRF token.
	w.nobody()
	for _, c := range []struct{ method, path, body, least string }{
		{http.MethodGet, inCluster + "/topics", "", "viewer"},
		{http.MethodGet, inCluster + "/topics/orders/messages?contains=x", "", "reader"},
		{http.MethodGet, inCluster + "/messages/" + s.ID + "/body", "", "reader"},
		{http.MethodPost, inCluster + "/topics/orders/messages", `{"body":"x"}`, "operator"},
		{http.MethodDelete, inCluster + "/topics/orders?dryRun=true", "", "admin"},
		{http.MethodGet, "/audit", "", "admin"},
		{http.MethodGet, "/users", "", "admin"},
	} {
		ok := false
		for _, role := range []string{"viewer", "reader", "operator", "admin"} {
			ok = ok || role == c.least
			var body any
			if c.body != "" {
				body = c.body
			}
			a := w.send(c.method, c.path, body, "Authorization", "Bearer "+tokens[role])
			if ok && a.Code != http.StatusOK || !ok && a.Code != http.StatusForbidden {
				t.Errorf("%s %s as %s: %d %s", c.method, c.path, role, a.Code, a.Body)
			}
		}
	}
	var p page
	w.send(http.MethodGet, inCluster+"/topics/orders/messages", nil, "Authorization", "Bearer "+tokens["viewer"]).want(http.StatusOK, &p)
	for i := range p.Items {
		if p.Items[i].Body != nil || !p.Items[i].BodyHidden {
			t.Error("a viewer sees a body")
		}
	}
	for role, want := range map[string]string{"reader": `{"card":"***","name":"x"}`, "admin": `{"card":"4711","name":"x"}`} {
		var m struct{ Body struct{ Text string } }
		w.send(http.MethodGet, inCluster+"/messages/"+s.ID, nil, "Authorization", "Bearer "+tokens[role]).want(http.StatusOK, &m)
		if m.Body.Text != want {
			t.Errorf("%s sees %s", role, m.Body.Text)
		}
	}
	p = page{}
	w.send(http.MethodGet, inCluster+"/topics/orders/messages?contains=4711", nil, "Authorization", "Bearer "+tokens["reader"]).want(http.StatusOK, &p)
	if len(p.Items) != 0 {
		t.Error("what is masked was found by searching for it")
	}
	w.send(http.MethodGet, inCluster+"/topics", nil, "Authorization", "Bearer "+tokens["admin"]+"x").refused(http.StatusUnauthorized, "badToken")

	// The scope of a user.
	w.take(w.send(http.MethodPost, "/session", map[string]any{"user": "ann", "password": password}).want(http.StatusOK, nil))
	var l struct{ Items []struct{ Name string } }
	if w.get(inCluster+"/topics", &l); len(l.Items) != 1 || l.Items[0].Name != "orders" {
		t.Errorf("%+v", l)
	}
	if w.get(inCluster+"/groups", &l); len(l.Items) != 0 {
		t.Errorf("%+v", l)
	}
	for _, path := range []string{
		inCluster + "/topics/secret", inCluster + "/topics/secret/messages", inCluster + "/messages/" + hidden.ID, inCluster + "/messages?id=" + hidden.ID,
		inCluster + "/messages?key=k&topic=secret", inCluster + "/groups/G/lag", inCluster + "/dlq/G/messages", inCluster + "/topics/%25DLQ%25G/messages",
	} {
		w.send(http.MethodGet, path, nil).refused(http.StatusForbidden, "outOfScope")
	}
	w.send(http.MethodPost, inCluster+"/topics", map[string]any{"name": "secret2"}).refused(http.StatusForbidden, "outOfScope")
	w.send(http.MethodPost, inCluster+"/messages/"+s.ID+"/resend", map[string]any{"to": "secret"}).refused(http.StatusForbidden, "outOfScope")
	w.send(http.MethodPost, "/tokens", map[string]any{"name": "x", "role": "admin"}).refused(http.StatusForbidden, "roleTooLow")
}

func TestOpenDashboardAnswersOnlyAsThisMachine(t *testing.T) {
	t.Parallel()
	w := lonely(t, func(o *httpapi.Options) { o.Auth = httpapi.AuthNone })
	for host, code := range map[string]int{"127.0.0.1:8082": 200, "localhost": 200, "[::1]:8082": 200, "evil.example:8082": 421, "10.0.0.1": 421} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/session", http.NoBody)
		r.Host = host
		rec := httptest.NewRecorder()
		w.api.ServeHTTP(rec, r)
		if rec.Code != code {
			t.Errorf("%s: %d", host, rec.Code)
		}
	}
	a := w.get("/session", nil)
	for name, want := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if got := a.Header().Get(name); !strings.Contains(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	w.send(http.MethodGet, "/readyz", nil).want(http.StatusServiceUnavailable, nil)
	w.send(http.MethodGet, "/clusters", nil).refused(http.StatusBadGateway, "connectionRefused")
	w.csrf = ""
	w.send(http.MethodPost, "/tokens", map[string]any{"name": "x", "role": "viewer"}).refused(http.StatusForbidden, "csrf")
}

func TestPagesAreServed(t *testing.T) {
	t.Parallel()
	script := strings.Repeat("console.log('x');\n", 200)
	files := fstest.MapFS{
		"index.html": {Data: []byte("<html><head></head></html>")}, "assets/app-1.js": {Data: []byte(script)}, "comet.svg": {Data: []byte("<svg/>")},
	}
	w := lonely(t, func(o *httpapi.Options) {
		o.Auth, o.UI, o.BasePath, o.Index = httpapi.AuthFile, files, "/mq", []byte("<html>made for /mq</html>")
	})
	get := func(path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, path, http.NoBody)
		r.Host = "localhost"
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		rec := httptest.NewRecorder()
		w.api.ServeHTTP(rec, r)
		return rec
	}
	for _, path := range []string{"/mq/", "/mq/index.html", "/mq/c/DefaultCluster/topics/%25RETRY%25g/messages"} {
		if a := get(path); a.Code != 200 || a.Body.String() != "<html>made for /mq</html>" || a.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
	a := get("/mq/assets/app-1.js", "Accept-Encoding", "gzip")
	if a.Code != 200 || a.Header().Get("Content-Encoding") != "gzip" || a.Body.Len() > len(script)/2 || !strings.Contains(a.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%d, %d bytes, %v", a.Code, a.Body.Len(), a.Header())
	}
	if b := get("/mq/assets/app-1.js"); b.Body.String() != script {
		t.Errorf("%d bytes", b.Body.Len())
	}
	if b := get("/mq/assets/app-1.js", "If-None-Match", a.Header().Get("ETag")); b.Code != http.StatusNotModified {
		t.Errorf("%d", b.Code)
	}
	for path, code := range map[string]int{"/mq/assets/none": 404, "/mq/none.js": 404, "/": 302, "/mq/api/v1/healthz": 200, "/mq/healthz": 200, "/mq/api/v2/x": 404, "/x": 404} {
		if b := get(path); b.Code != code {
			t.Errorf("%s: %d, want %d", path, b.Code, code)
		}
	}
	for _, base := range []string{"mq", "/a/../b", "/a//b", "/a?b", "/{x}"} {
		if _, err := httpapi.New(httpapi.Options{Cluster: w.cluster, BasePath: base}); err == nil {
			t.Errorf("base path %q is taken", base)
		}
	}
}
