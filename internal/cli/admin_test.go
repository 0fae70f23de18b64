package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/admin"
	"github.com/cometmq/cometmq/internal/node"
)

// adminCluster is a name server and a broker in this process.
type adminCluster struct {
	t    *testing.T
	node *node.Node
}

func startAdmin(t *testing.T, set map[string]string) *adminCluster {
	t.Helper()
	set = maps.Clone(set)
	if set == nil {
		set = map[string]string{}
	}
	set["mappedFileSizeCommitLog"] = "4194304"
	ns, b, err := temporary(t.TempDir(), 0, 0, set)
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Start(t.Context(), node.Options{Namesrv: ns, Broker: b, ShutdownWait: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c := &adminCluster{t: t, node: n}
	t.Cleanup(func() {
		if err := n.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	c.until("the broker is registered", func() bool { // Start waits two seconds for it, and no longer
		_, out, _ := c.run("", false, "clusterList")
		return strings.Contains(out, "broker-a")
	})
	return c
}

// until waits for what happens behind an answer.
func (c *adminCluster) until(what string, done func() bool) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// found are the ids of the one message with a key. The index has it a moment after the message is stored.
func (c *adminCluster) found(topic, key string) (unique, offset string) {
	c.t.Helper()
	c.until("the message is found by its key", func() bool {
		code, out, errs := c.run("", false, "queryMsgByKey", "-t", topic, "-k", key, "-o", "json")
		if code == 1 && strings.Contains(errs, "no message of topic") {
			return false
		}
		var list []struct{ MsgID, OffsetMsgID string }
		if code != 0 || json.Unmarshal([]byte(out), &list) != nil || len(list) != 1 {
			c.t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
		unique, offset = list[0].MsgID, list[0].OffsetMsgID
		return true
	})
	return unique, offset
}

func (c *adminCluster) run(in string, terminal bool, args ...string) (code int, out, errs string) {
	c.t.Helper()
	var o, e bytes.Buffer
	env := adminEnv(&Env{In: strings.NewReader(in), Out: &o, Err: &e})
	env.Terminal = terminal
	env.Getenv = func(string) string { return c.node.NamesrvAddr() } // asked for NAMESRV_ADDR only
	code = admin.Run(c.t.Context(), env, args)
	return code, o.String(), e.String()
}

func (c *adminCluster) must(args ...string) string {
	c.t.Helper()
	code, out, errs := c.run("", false, args...)
	if code != 0 {
		c.t.Fatalf("%v: exit code %d\n%s%s", args, code, out, errs)
	}
	return out
}

// TestAdminAsksAPerson: what destroys something asks who sits at a terminal, and nobody else.
func TestAdminAsksAPerson(t *testing.T) {
	t.Parallel()
	c := startAdmin(t, nil)
	addr := c.node.BrokerAddr()
	has := func() bool { return strings.Contains(c.must("topicList"), "Asked\n") }
	for _, step := range []struct {
		name, in string
		terminal bool
		flags    []string
		gone     bool
	}{
		{"no", "no\n", true, nil, false},
		{"end of input", "", true, nil, false},
		{"dry run", "", true, []string{"--dry-run"}, false},
		{"yes", "yes\n", true, nil, true},
		{"flag", "", true, []string{"--yes"}, true},
		{"script", "", false, nil, true},
	} {
		c.must("updateTopic", "-b", addr, "-t", "Asked")
		c.run(step.in, step.terminal, append([]string{"deleteTopic", "-t", "Asked", "-c", "DefaultCluster"}, step.flags...)...)
		if has() == step.gone {
			t.Errorf("%s: the topic is there: %t", step.name, !step.gone)
		}
	}
}

// TestAdminExplains follows one message by both of its ids.
func TestAdminExplains(t *testing.T) {
	t.Parallel()
	c := startAdmin(t, nil)
	c.must("updateTopic", "-b", c.node.BrokerAddr(), "-t", "Told", "-r", "1", "-w", "1")
	c.must("updateSubGroup", "-b", c.node.BrokerAddr(), "-g", "Late")
	c.must("sendMessage", "-t", "Told", "-p", "body", "-k", "K")
	c.must("resetOffsetByTime", "-g", "Late", "-t", "Told", "-s", "0")
	unique, offset := c.found("Told", "K")
	for _, args := range [][]string{{"-i", unique, "-t", "Told"}, {"-i", unique}, {"-i", offset}} {
		out := c.must(append([]string{"explain"}, args...)...)
		for _, want := range []string{
			"where     topic Told, broker broker-a", "state     stored, may be consumed", "group     Late: NOT_ONLINE: no client of the group is connected",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("explain %v does not say %q:\n%s", args, want, out)
			}
		}
	}
	for _, cmd := range []string{"queryMsgById", "queryMsgByUniqueKey"} {
		id := unique
		if cmd == "queryMsgById" {
			id = offset
		}
		if out := c.must(cmd, "-t", "Told", "-i", id); !strings.Contains(out, "MessageTrack [consumerGroup=Late, trackType=NOT_ONLINE, exceptionDesc=null]") {
			t.Errorf("%s:\n%s", cmd, out)
		}
	}
}

// TestAdminPartialFailure: one server of two is gone. What the other says is there, and the exit code tells.
func TestAdminPartialFailure(t *testing.T) {
	t.Parallel()
	c := startAdmin(t, nil)
	code, out, errs := c.run("", false, "getNamesrvConfig", "-n", c.node.NamesrvAddr()+";127.0.0.1:1")
	if code != 1 || !strings.Contains(out, "enableAllTopicList") || !strings.Contains(errs, "GET_NAMESRV_CONFIG at 127.0.0.1:1 failed after") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestAdminSignsAndManagesUsers: with the access key of an administrator everything goes, without one the answer says why not.
func TestAdminSignsAndManagesUsers(t *testing.T) {
	c := startAdmin(t, map[string]string{
		"authenticationEnabled": "true", "authorizationEnabled": "true", "initAuthenticationUser": `{"username":"root","password":"root-secret"}`,
	})
	addr := c.node.BrokerAddr()
	t.Setenv("COMETMQ_ACCESS_KEY", "")
	t.Setenv("ROCKETMQ_HOME", "")
	if code, out, errs := c.run("", false, "updateTopic", "-b", addr, "-t", "Guarded"); code != 1 || !strings.Contains(errs, "CODE: 16") {
		t.Errorf("without a key: exit code %d\n%s%s", code, out, errs)
	}
	t.Setenv("COMETMQ_ACCESS_KEY", "root")
	t.Setenv("COMETMQ_SECRET_KEY", "wrong")
	if code, out, errs := c.run("", false, "brokerStatus", "-b", addr); code != 1 {
		t.Errorf("with a wrong key: exit code %d\n%s%s", code, out, errs)
	}
	t.Setenv("COMETMQ_ACCESS_KEY", "")
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "conf"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "conf", "tools.yml"), []byte("# keys\naccessKey: root\nsecretKey: \"root-secret\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ROCKETMQ_HOME", home)
	c.must("updateTopic", "-b", addr, "-t", "Guarded", "-a", "+message.type=NORMAL")
	c.must("createUser", "-c", "DefaultCluster", "-u", "bob", "-p", "bobs-secret")
	c.must("createAcl", "-b", addr, "-s", "User:bob", "-r", "Topic:Guarded,Group:g*", "-a", "Pub,Sub", "-d", "Allow", "-i", "127.0.0.1")
	if out := c.must("listUser", "-b", addr); !strings.Contains(out, "bob               ***                     Normal                  enable") || strings.Contains(out, "bobs-secret") {
		t.Errorf("listUser:\n%s", out)
	}
	if out := c.must("getAcl", "-b", addr, "-s", "User:bob"); !strings.Contains(out, "Topic:Guarded           [Pub, Sub]            [127.0.0.1]               Allow") {
		t.Errorf("getAcl:\n%s", out)
	}
	t.Setenv("COMETMQ_ACCESS_KEY", "bob")
	t.Setenv("COMETMQ_SECRET_KEY", "bobs-secret")
	c.must("sendMessage", "-t", "Guarded", "-p", "by bob", "-k", "K")
	if code, _, errs := c.run("", false, "deleteTopic", "-t", "Guarded", "-c", "DefaultCluster"); code != 1 || !strings.Contains(errs, "CODE: 16") {
		t.Errorf("bob deletes a topic: exit code %d\n%s", code, errs)
	}
	t.Setenv("COMETMQ_ACCESS_KEY", "")
	c.must("deleteAcl", "-b", addr, "-s", "User:bob", "-r", "Topic:Guarded")
	c.must("deleteUser", "-b", addr, "-u", "bob")
	if code, _, _ := c.run("", false, "getUser", "-b", addr, "-u", "bob"); code != 1 {
		t.Error("bob is still there")
	}
}

// TestAdminQuotas sets, shows and removes quotas of a broker that runs.
func TestAdminQuotas(t *testing.T) {
	t.Parallel()
	c := startAdmin(t, nil)
	addr := c.node.BrokerAddr()
	has := func(out string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(out, p) {
				t.Errorf("no %q in\n%s", p, out)
			}
		}
	}
	has(c.must("quota", "-b", addr, "--set", "topic:Q:messages=5", "--dry-run"), "would set quotas=topic:Q:messages=5")
	has(c.must("quota", "-b", addr, "--set", "topic:Q:messages=5"), "topic:Q:messages=5")
	has(c.must("quota", "-c", "DefaultCluster", "--set", "topic:Q:bytes=100000"), "topic:Q:messages=5; topic:Q:bytes=100000")
	has(c.must("quota", "-b", addr, "--set", "topic:Q:messages=6"), "topic:Q:bytes=100000; topic:Q:messages=6")
	has(c.must("quota", "-b", addr), "#Messages/s max", "topic   Q", "100000              6")
	c.must("updateTopic", "-b", addr, "-t", "Q")
	c.must("sendMessage", "-t", "Q", "-p", "hello")
	has(c.must("quota", "-b", addr, "-o", "json"), `"name": "Q"`, `"bytesLimit": 100000`, `"messagesLimit": 6`, `"refused": 0`)
	has(c.must("quota", "-b", addr, "--remove", "topic:Q:bytes"), "topic:Q:messages=6")
	c.must("quota", "-b", addr, "--remove", "topic:Q")
	for text, args := range map[string][]string{
		"is no whole number": {"--set", "topic:Q:bytes=x"}, "has no rule for topic:Q": {"--remove", "topic:Q"}, "at once": {"--set", "a", "--remove", "b"},
	} {
		if code, _, errs := c.run("", false, append([]string{"quota", "-b", addr}, args...)...); code == 0 || !strings.Contains(errs, text) {
			t.Errorf("%v: %d %s, want %s", args, code, errs, text)
		}
	}
}
