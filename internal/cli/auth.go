package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/vfs"
)

func newAuthCmd(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "auth", Short: "Users of a broker that is not running", Args: noCommand, RunE: showHelp}
	cmd.AddCommand(newAuthInitCmd(env))
	return cmd
}

// newAuthInitCmd makes the first user. There is no default password anywhere: it is random, and printed this once.
func newAuthInitCmd(env *Env) *cobra.Command {
	var f roleFlags
	var name string
	cmd := &cobra.Command{
		Use: "init", Short: "Make an administrator with a new password and print it once", Args: noArgs,
		Long: "Make an administrator (a super user) with a new random password and print it once. The broker must not be running; the\n" +
			"configuration is the one it will be started with.",
		RunE: func(*cobra.Command, []string) error {
			s, err := f.sources()
			if err != nil {
				return err
			}
			c, _, err := config.LoadBroker(s)
			if err != nil {
				return err
			}
			u := &protocol.UserInfo{Username: name, Password: rand.Text(), UserType: "Super"}
			if err = makeUser(c, u); err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.Out, "user      %s\npassword  %s\n", u.Username, u.Password)
			if err == nil && !c.Auth.Authenticate {
				fmt.Fprintln(env.Err, "cometmq: the broker asks nobody for it yet: set authenticationEnabled = true and authorizationEnabled = true")
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&f.file, "config", "c", "", "configuration file of the broker")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "a key=value that overrides the file (repeatable)")
	cmd.Flags().StringVar(&name, "user", "admin", "name of the administrator")
	return cmd
}

// makeUser adds a user to the files of a broker that does not run.
func makeUser(c *config.Broker, u *protocol.UserInfo) (err error) {
	fsys := vfs.OS()
	for _, dir := range []string{c.Store.Root, c.Auth.Dir} {
		if err = fsys.MkdirAll(dir); err != nil {
			return err
		}
	}
	lock, err := fsys.Lock(filepath.Join(c.Store.Root, "lock"))
	if err != nil {
		return fmt.Errorf("the broker of %s runs; make users with createUser instead: %w", c.Store.Root, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	audit, err := auth.OpenAudit(fsys, filepath.Join(c.Auth.Dir, auth.AuditName), nil, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, audit.Close()) }()
	g, err := auth.Open(auth.Options{FS: fsys, Dir: c.Auth.Dir, Audit: audit})
	if err != nil {
		return err
	}
	return g.CreateUser(auth.By{From: "cometmq auth init"}, u)
}
