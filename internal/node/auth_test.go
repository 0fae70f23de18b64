package node

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/vfs"
)

const innerSecret = `{"accessKey":"inner","secretKey":"inner-secret"}`

// as returns a client that signs with these credentials.
func (w *world) as(user, secret string) *remoting.Client {
	o := remoting.ClientOptions{Dial: w.net.Dial}
	if user != "" {
		o.Sign = (&auth.Credentials{AccessKey: user, SecretKey: secret}).Sign
	}
	return remoting.NewClient(o)
}

// ask returns code and remark of the answer.
func ask(t *testing.T, c *remoting.Client, cmd *remoting.Command) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := c.Invoke(ctx, brokerAddr, cmd)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", r.Code, r.Remark)
}

func sendTo(topic string) *remoting.Command {
	return &remoting.Command{Code: protocol.ReqSendMessageV2, Header: &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "p", Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, BornTimestamp: 1, Properties: "UNIQ_KEY\x01x\x02",
	}, Body: []byte("hello")}
}

func TestOnlyUsersMayUseABrokerWithAccessControl(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		set := map[string]string{
			"authenticationEnabled": "true", "authorizationEnabled": "true", "initAuthenticationUser": `{"username":"root","password":"root-secret"}`,
			"innerClientAuthenticationCredentials": innerSecret, "authenticationWhitelist": "28", "authorizationWhitelist": "28",
		}
		n := w.start(w.options(set))
		root, alice, nobody, guess := w.as("root", "root-secret"), w.as("alice", "of-alice"), w.as("", ""), w.as("alice", "guess")
		defer root.Close()
		defer alice.Close()
		defer nobody.Close()
		defer guess.Close()
		is := func(got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		body := func(u *protocol.UserInfo) []byte { return u.AppendTo(nil, false) }
		is(ask(t, root, &remoting.Command{Code: 3001, Ext: map[string]string{"username": "alice"}, Body: body(&protocol.UserInfo{Password: "of-alice"})}), "0 ")
		is(ask(t, root, &remoting.Command{Code: 3001, Ext: map[string]string{"username": "alice"}, Body: body(&protocol.UserInfo{Password: "x"})}), "16 The user is existed")
		is(ask(t, root, &remoting.Command{Code: 3001}), "29 The username is blank")
		acl := protocol.ACLInfo{Policies: []protocol.PolicyInfo{{Entries: []protocol.PolicyEntryInfo{{Resource: "Topic:orders*", Actions: []string{"Pub"}, Decision: "Allow"}}}}}
		is(ask(t, root, &remoting.Command{Code: 3006, Ext: map[string]string{"subject": "User:alice"}, Body: acl.AppendTo(nil, false)}), "0 ")

		is(ask(t, alice, sendTo("orders-eu")), "0 ")
		is(ask(t, alice, sendTo("pay")), "16 User:alice has no permission to access Topic:pay from 127.0.0.1, no matched policies.")
		is(ask(t, alice, &remoting.Command{Code: 3001, Ext: map[string]string{"username": "eve"}, Body: body(&protocol.UserInfo{Password: "x"})}),
			"16 User:alice has no permission to access Cluster:DefaultCluster from 127.0.0.1, no matched policies.")
		is(ask(t, nobody, sendTo("orders-eu")), "16 username cannot be null.")
		is(ask(t, guess, sendTo("orders-eu")), "16 check signature failed.")
		is(ask(t, nobody, &remoting.Command{Code: protocol.ReqGetBrokerRuntimeInfo}), "0 ")
		is(ask(t, root, &remoting.Command{Code: 3002, Ext: map[string]string{"username": "alice"}, Body: body(&protocol.UserInfo{UserStatus: "disable"})}), "0 ")
		is(ask(t, alice, sendTo("orders-eu")), "16 User:alice is disabled.")
		must(t, n.Shutdown(t.Context()))

		audit, err := vfs.ReadFile(w.mem, "/store/auth/audit.log")
		must(t, err)
		if lines := bytes.Count(audit, []byte("\n")); lines != 6 { // two made at the start, four asked for
			t.Errorf("audit log of %d lines:\n%s", lines, audit)
		}
	})
}

func TestASlaveNeedsNoGrants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		set := map[string]string{"authenticationEnabled": "true", "authorizationEnabled": "true", "innerClientAuthenticationCredentials": innerSecret}
		n := w.start(w.options(set))
		inner := w.as("inner", "inner-secret")
		defer inner.Close()
		if got := ask(t, inner, sendTo("orders")); got != "0 " {
			t.Fatal(got)
		}
		s := w.slave("/slave", set)
		time.Sleep(time.Minute)
		if _, err := s.broker.now().core.Topic(t.Context(), "orders"); err != nil {
			t.Errorf("the slave does not know its master's topic\n%s", w.diary.String())
		}
		must(t, s.Shutdown(t.Context()))
		must(t, n.Shutdown(t.Context()))
	})
}

// What controllers and brokers tell and ask each other is signed: nobody refuses any of it.
func TestControllersAndBrokersKnowEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1, 2, map[string]string{
			"authenticationEnabled": "true", "authorizationEnabled": "true", "innerClientAuthenticationCredentials": innerSecret,
		})
		f.until(time.Minute, "there is no master", func() bool { return f.master() != nil })
		time.Sleep(30 * time.Second)
		first := f.master()
		first.kill(false)
		f.until(time.Minute, "nobody took over", func() bool { m := f.master(); return m != nil && m != first })
		failed, denied := f.master().node.broker.access.guard.Counts()
		if failed != 0 || denied != 0 {
			t.Errorf("%d requests of the others are not authentic, %d not allowed", failed, denied)
		}
		f.close()
	})
}
