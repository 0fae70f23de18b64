package auth

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/vfs"
)

const plainYML = `globalWhiteRemoteAddresses:
- 10.10.103.*
accounts:
- accessKey: RocketMQ
  secretKey: 12345678
  whiteRemoteAddress:
  admin: false
  defaultTopicPerm: DENY
  defaultGroupPerm: SUB
  topicPerms:
  - topicA=DENY
  - topicB=PUB|SUB
  - bad
  groupPerms:
  - groupA=DENY
- accessKey: admin
  secretKey: "87654321"
  admin: true
`

func TestPlainACLIsTakenOverAndFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		fsys := vfs.NewMem(vfs.MemOptions{})
		write := func(text string) {
			t.Helper()
			if err := fsys.MkdirAll("/home/conf"); err != nil {
				t.Fatal(err)
			}
			if err := vfs.WriteFileAtomic(fsys, "/home/conf/plain_acl.yml", []byte(text), false); err != nil {
				t.Fatal(err)
			}
		}
		write(plainYML)
		g := open(t, Options{FS: fsys, Log: slog.New(slog.NewTextHandler(&log, nil))})
		p, err := NewPlain(g, "/home")
		if err != nil {
			t.Fatal(err)
		}
		acl, err := g.ACL("User:RocketMQ")
		want := `{"policies":[{"entries":[{"actions":["All"],"decision":"Deny","resource":"Topic:topicA"},{"actions":["Pub","Sub"],"decision":"Allow","resource":"Topic:topicB"},` +
			`{"actions":["All"],"decision":"Deny","resource":"Group:groupA"}],"policyType":"Custom"},{"entries":[{"actions":["All"],"decision":"Deny","resource":"Topic:*"},` +
			`{"actions":["Sub"],"decision":"Allow","resource":"Group:*"}],"policyType":"Default"}],"subject":"User:RocketMQ"}`
		if err != nil || string(acl.AppendTo(nil, false)) != want {
			t.Fatalf("%v\n%s", err, acl.AppendTo(nil, false))
		}
		if !g.IsSuper("admin") || g.IsSuper("RocketMQ") {
			t.Error("who is an administrator")
		}
		if g.now.Load().accounts["RocketMQ"].Secret != "12345678" {
			t.Error("a secret of digits")
		}

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx, time.Second) }()
		write("accounts: [}")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := strings.Count(log.String(), "stays in force"); n != 1 || !g.IsSuper("admin") {
			t.Errorf("%d errors about a file that cannot be read\n%s", n, log.String())
		}
		first, _, _ := strings.Cut(plainYML, "- accessKey: admin")
		write(strings.ReplaceAll(first, "12345678", "another"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, ok := g.User("admin"); ok || g.now.Load().accounts["RocketMQ"].Secret != "another" {
			t.Error("the file has changed, the users have not")
		}
		cancel()
		<-done
		// A later start takes over only whom it does not know.
		user(t, g, "bob", "by hand", "")
		write(strings.ReplaceAll(plainYML, "admin: true\n", "admin: true\n- accessKey: bob\n  secretKey: in the file\n"))
		if _, err := NewPlain(g, "/home"); err != nil || g.now.Load().accounts["bob"].Secret != "by hand" || !g.IsSuper("admin") {
			t.Error(err, g.Users(""))
		}
	})
}
