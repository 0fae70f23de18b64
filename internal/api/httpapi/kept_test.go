package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/api/httpapi"
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

func TestUsersAndTokensAreKeptAndGo(t *testing.T) {
	t.Parallel()
	w := lonely(t, func(o *httpapi.Options) { o.AdminPassword = password })
	w.take(w.send(http.MethodPost, "/session", map[string]any{"user": "admin", "password": password}).want(http.StatusOK, nil))
	w.send(http.MethodPost, "/users", map[string]any{"name": "ann", "password": password, "role": "reader"}).want(http.StatusCreated, nil)
	var u struct {
		Name, Role, GroupScope string
		Disabled               bool
	}
	w.send(http.MethodPut, "/users/ann", map[string]any{"role": "operator", "groupScope": "g.*"}).want(http.StatusOK, nil)
	if a := w.get("/users/ann", &u); u.Role != "operator" || u.GroupScope != "g.*" || u.Disabled || strings.Contains(a.Body.String(), "argon") {
		t.Errorf("%s", a.Body)
	}
	w.send(http.MethodPut, "/users/ann", map[string]any{"groupScope": "("}).refused(http.StatusBadRequest, "invalidParameter")
	w.send(http.MethodPut, "/users/bob", map[string]any{"role": "viewer"}).refused(http.StatusNotFound, "userNotFound")

	var tok struct{ Secret string }
	w.send(http.MethodPost, "/tokens", map[string]any{"name": "ci", "role": "viewer"}).want(http.StatusCreated, &tok)
	bearer := []string{"Authorization", "Bearer " + tok.Secret}
	w.send(http.MethodGet, "/session", nil, bearer...).want(http.StatusOK, nil)
	var list struct{ Items []struct{ ID, Name string } }
	if a := w.get("/tokens", &list); len(list.Items) != 1 || list.Items[0].Name != "ci" || strings.Contains(a.Body.String(), tok.Secret) {
		t.Errorf("%s", a.Body)
	}
	w.send(http.MethodDelete, "/tokens/"+list.Items[0].ID, nil).want(http.StatusNoContent, nil)
	w.send(http.MethodGet, "/tokens", nil, bearer...).refused(http.StatusUnauthorized, "badToken")

	const another = "battery staple"
	w.send(http.MethodPost, "/session/password", map[string]any{"old": "wrong password", "new": another}).refused(http.StatusBadRequest, "invalidParameter")
	w.send(http.MethodPost, "/session/password", map[string]any{"old": password, "new": another}).want(http.StatusNoContent, nil)
	w.nobody()
	w.send(http.MethodPost, "/session", map[string]any{"user": "admin", "password": password}).refused(http.StatusUnauthorized, "badLogin")
	w.take(w.send(http.MethodPost, "/session", map[string]any{"user": "admin", "password": another}).want(http.StatusOK, nil))
	w.send(http.MethodDelete, "/users/ann", nil).want(http.StatusNoContent, nil)
	w.send(http.MethodGet, "/users/ann", nil).refused(http.StatusNotFound, "userNotFound")

	out := w.get("/audit/export", nil).Body.String()
	if lines := strings.Count(out, "\n"); lines < 6 || !strings.Contains(out, `"deleteUser"`) || strings.Contains(out, another) {
		t.Errorf("%d lines: %s", lines, out)
	}
	w.send(http.MethodDelete, "/session", nil).want(http.StatusNoContent, nil)
	w.send(http.MethodGet, "/users", nil).refused(http.StatusUnauthorized, "signInNeeded")
}

func TestGroupIsChangedOnlyAsItWasRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.send(http.MethodPost, inCluster+"/groups", map[string]any{"name": "G", "retryMaxTimes": 3}).want(http.StatusCreated, nil)
	const path = inCluster + "/groups/G"
	tag := w.get(path, nil).Header().Get("ETag")
	w.send(http.MethodPut, path, map[string]any{"retryMaxTimes": -2}).refused(http.StatusBadRequest, "invalidParameter")
	w.send(http.MethodPut, path, map[string]any{"retryMaxTimes": 5, "consumeEnable": false}, "If-Match", tag).want(http.StatusOK, nil)
	w.send(http.MethodPut, path, map[string]any{"retryMaxTimes": 7}, "If-Match", tag).refused(http.StatusPreconditionFailed, "changedMeanwhile")
	var g struct {
		Configs []struct {
			RetryMaxTimes, ConsumeTimeoutMinutes int
			ConsumeEnable                        bool
		}
	}
	if w.get(path, &g); len(g.Configs) != 1 || g.Configs[0].RetryMaxTimes != 5 || g.Configs[0].ConsumeEnable || g.Configs[0].ConsumeTimeoutMinutes != 15 {
		t.Errorf("%+v", g)
	}
}

func TestADelayedMessageIsRecalled(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, nil, map[string]string{"recallMessageEnable": "true"}, auth.Credentials{})
	w.send(http.MethodPost, inCluster+"/topics", map[string]any{"name": "Later", "messageType": "DELAY", "readQueues": 1, "writeQueues": 1}).want(http.StatusCreated, nil)
	c := remoting.NewClient(remoting.ClientOptions{Dial: w.net.Dial})
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := c.Invoke(ctx, brokerAddr, &remoting.Command{Code: protocol.ReqSendMessageV2, Body: []byte("x"), Header: &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "P", Topic: "Later", DefaultTopic: "TBW102", DefaultTopicQueueNums: 1, BornTimestamp: 1, MaxReconsumeTimes: -1,
		Properties: "TIMER_DELAY_MS\x013600000\x02UNIQ_KEY\x017F0000010000000000000000000000AB\x02",
	}})
	must(t, err)
	handle := r.Ext["recallHandle"]
	if r.Code != 0 || handle == "" {
		t.Fatalf("%+v", r)
	}
	var got struct{ ID string }
	w.send(http.MethodPost, inCluster+"/delayed/recall", map[string]any{"topic": "Later", "handle": handle, "group": "P"}).want(http.StatusOK, &got)
	if got.ID != "7F0000010000000000000000000000AB" {
		t.Errorf("%+v", got)
	}
	w.send(http.MethodPost, inCluster+"/delayed/recall", map[string]any{"topic": "Later"}).refused(http.StatusBadRequest, "invalidParameter")
}
