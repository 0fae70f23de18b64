package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/auth"
)

// guarded is a cluster that wants signatures, with a dashboard that signs as a super user.
func guarded(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, nil, map[string]string{
		"authenticationEnabled": "true", "authorizationEnabled": "true", "innerClientAuthenticationCredentials": `{"accessKey":"inner","secretKey":"inner-secret"}`,
		"initAuthenticationUser": `{"username":"root","password":"root-secret"}`,
	}, auth.Credentials{AccessKey: "root", SecretKey: "root-secret"})
}

func TestAccessControlIsListedChangedAndTried(t *testing.T) {
	t.Parallel()
	w := guarded(t)
	const users, policies = inCluster + "/acl/users", inCluster + "/acl/policies"
	a := w.send(http.MethodPost, users, map[string]any{"name": "shop", "password": "geheim"}).want(http.StatusCreated, nil)
	if strings.Contains(a.Body.String(), "geheim") {
		t.Errorf("the answer has the password: %s", a.Body)
	}
	if p := w.send(http.MethodPost, users, map[string]any{"name": "x"}).refused(http.StatusBadRequest, "invalidParameter"); p.Fields[0].Name != "password" {
		t.Errorf("%+v", p)
	}
	if p := w.send(http.MethodPost, users, map[string]any{"name": "x", "password": "y", "type": "God"}).refused(http.StatusBadRequest, "invalidParameter"); p.Fields[0].Name != "type" {
		t.Errorf("%+v", p)
	}
	type user struct {
		Name, Type, Status string
		Brokers            []string
	}
	var all struct{ Items []user }
	if w.get(users+"?q=sho", &all); len(all.Items) != 1 || all.Items[0].Type != "Normal" || all.Items[0].Status != "enable" || len(all.Items[0].Brokers) != 1 {
		t.Errorf("%+v", all)
	}
	check := func(who, resource, action, source string) (v struct {
		Allowed bool
		Reason  string
		Entry   *struct{ Resource string }
	},
	) {
		t.Helper()
		w.send(http.MethodPost, inCluster+"/acl/check", map[string]any{"user": who, "resource": resource, "action": action, "source": source}).want(http.StatusOK, &v)
		return v
	}
	if v := check("shop", "Topic:orders", "Pub", ""); v.Allowed || v.Reason != "noPolicy" {
		t.Errorf("%+v", v)
	}
	entry := map[string]any{"resource": "Topic:ord*", "actions": []string{"Pub"}, "sources": []string{"10.0.0.0/8"}, "decision": "Allow"}
	put := map[string]any{"subject": "User:shop", "policies": []any{map[string]any{"type": "Custom", "entries": []any{entry}}}}
	w.send(http.MethodPut, policies+"/User:shop", put).want(http.StatusOK, nil)
	w.send(http.MethodPut, policies+"/User:another", put).refused(http.StatusBadRequest, "invalidParameter")
	var p struct {
		Policies []struct {
			Entries []struct{ Resource, Decision string }
		}
	}
	if w.get(policies+"/User:shop", &p); len(p.Policies) != 1 || p.Policies[0].Entries[0].Resource != "Topic:ord*" {
		t.Errorf("%+v", p)
	}
	var list struct{ Items []struct{ Subject string } }
	if w.get(policies+"?q=shop", &list); len(list.Items) != 1 {
		t.Errorf("%+v", list)
	}
	for _, want := range []struct {
		who, resource, action, source string
		allowed                       bool
		reason                        string
	}{
		{"shop", "Topic:orders", "Pub", "10.1.2.3", true, "allowed"},
		{"shop", "Topic:orders", "Pub", "192.168.0.1", false, "noPolicy"},
		{"shop", "Topic:orders", "Sub", "10.1.2.3", false, "noPolicy"},
		{"root", "Topic:orders", "Delete", "", true, "superUser"},
		{"nobody", "Topic:orders", "Pub", "", false, "noUser"},
	} {
		if v := check(want.who, want.resource, want.action, want.source); v.Allowed != want.allowed || v.Reason != want.reason {
			t.Errorf("%+v: %+v", want, v)
		}
	}
	w.send(http.MethodPut, users+"/shop", map[string]any{"status": "disable"}).want(http.StatusOK, nil)
	var one user
	if w.get(users+"/shop", &one); one.Status != "disable" {
		t.Errorf("%+v", one)
	}
	if v := check("shop", "Topic:orders", "Pub", "10.1.2.3"); v.Allowed || v.Reason != "disabled" {
		t.Errorf("%+v", v)
	}
	w.send(http.MethodDelete, policies+"/User:shop", nil).want(http.StatusOK, nil)
	w.send(http.MethodGet, policies+"/User:shop", nil).refused(http.StatusNotFound, "policyNotFound")
	w.send(http.MethodDelete, users+"/shop", nil).want(http.StatusOK, nil)
	w.send(http.MethodGet, users+"/shop", nil).refused(http.StatusNotFound, "aclUserNotFound")
	audit := w.get("/audit", nil)
	if strings.Contains(audit.Body.String(), "geheim") || !strings.Contains(audit.Body.String(), "deleteAclUser") {
		t.Errorf("the audit: %s", audit.Body)
	}
}
