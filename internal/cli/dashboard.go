package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/api/httpapi"
	"github.com/cometmq/cometmq/internal/cluster"
	"github.com/cometmq/cometmq/internal/node"
)

// Pages are those of the console, as the program was built with. The zero value: without.
type Pages struct {
	Files fs.FS
	Index func(base string) ([]byte, error) // the page for a base path
}

// dashboardFlags are those of every command that serves the console.
type dashboardFlags struct {
	listen, auth, base, cert, key, prometheus string
}

const (
	dashboardDefault = "127.0.0.1:8082"
	dashboardOff     = "off"
	passwordFile     = "COMETMQ_CONSOLE_ADMIN_PASSWORD_FILE" //nolint:gosec // the name of a variable, not a password
)

func (f *dashboardFlags) bind(cmd *cobra.Command, flag, auth string) {
	fl := cmd.Flags()
	prefix := "dashboard-"
	if flag == "listen" {
		prefix = ""
	}
	fl.StringVar(&f.listen, flag, dashboardDefault, "address of the dashboard, or off")
	fl.StringVar(&f.auth, prefix+"auth", auth, "who may use the dashboard: file (its own users) or none (everybody, on loopback only)")
	fl.StringVar(&f.base, prefix+"base-path", "/", "where a reverse proxy mounts the dashboard")
	fl.StringVar(&f.cert, prefix+"tls-cert", "", "certificate of the dashboard, PEM: HTTPS")
	fl.StringVar(&f.key, prefix+"tls-key", "", "key of the certificate, PEM")
	fl.StringVar(&f.prometheus, prefix+"prometheus", "", "a Prometheus that scrapes the brokers: charts ask it (default: what this process samples)")
}

// dashboard returns what node needs, nil when it is off. asked: the operator has chosen the address, and no other will do.
func (f *dashboardFlags) dashboard(env *Env, asked bool) (*node.Dashboard, error) {
	if f.listen == dashboardOff || f.listen == "" {
		return nil, nil //nolint:nilnil // nil is off
	}
	if f.auth != httpapi.AuthFile && f.auth != httpapi.AuthNone {
		return nil, usageError{fmt.Errorf("the authenticator of the dashboard is file or none, not %q", f.auth)}
	}
	d := &node.Dashboard{
		Listen: f.listen, Elsewhere: !asked, Auth: f.auth, CertFile: f.cert, KeyFile: f.key, Pages: env.Pages.Files, Index: env.Pages.Index,
		Prometheus: f.prometheus,
	}
	if base := strings.TrimRight(f.base, "/"); base != "" {
		d.BasePath = base
	}
	if name := os.Getenv(passwordFile); name != "" {
		b, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", passwordFile, err)
		}
		if d.AdminPassword = strings.TrimSpace(string(b)); d.AdminPassword == "" {
			return nil, fmt.Errorf("%s: %s is empty", passwordFile, name)
		}
	}
	return d, nil
}

// dashboardLine is the line that a command prints about it.
func dashboardLine(n *node.Node) string {
	url := n.DashboardURL()
	if url == "" {
		return "off"
	}
	if note := n.DashboardNote(); note != "" {
		return url + "  (" + note + ")"
	}
	return url
}

func newDashboardCmd(env *Env) *cobra.Command {
	var f dashboardFlags
	var servers tlsFlags
	var names, dir, level string
	cmd := &cobra.Command{
		Use: "dashboard", Short: "Serve the web console over any RocketMQ cluster", Args: noArgs,
		Long: "Serve the web console over any RocketMQ cluster, CometMQ's or Java's. Users, sessions, tokens and the audit are kept in --dir.\n" +
			"Without a user, the first one is made on its page setup with the token that is printed here, or with the password in the\n" +
			"file that " + passwordFile + " names. COMETMQ_ACCESS_KEY and COMETMQ_SECRET_KEY sign what it asks.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := f.dashboard(env, true)
			if err != nil {
				return err
			}
			if d == nil {
				return usageError{errors.New("--listen: an address is needed")}
			}
			if d.NameServers = cluster.SplitAddrs(names); len(d.NameServers) == 0 {
				return usageError{errors.New("--namesrv: the address of a name server is needed")}
			}
			dial, err := servers.dialer(os.Environ())
			if err != nil {
				return err
			}
			if dir == "" {
				home, err := os.UserHomeDir()
				if err != nil {
					return fmt.Errorf("--dir is needed: %w", err)
				}
				dir = filepath.Join(home, "cometmq", "dashboard")
			}
			d.File, d.Credentials = filepath.Join(dir, "console.db"), credentials(os.Getenv)
			return serve(cmd.Context(), node.Options{Dashboard: d, Dial: dial, Log: newLogger(env, level)}, func(n *node.Node) error {
				_, err := fmt.Fprintf(env.Out, "dashboard   %s\nname server %s\nserving; Ctrl-C ends\n", dashboardLine(n), strings.Join(d.NameServers, ";"))
				return err
			})
		},
	}
	f.bind(cmd, "listen", httpapi.AuthFile)
	servers.bindAs(cmd, "servers-tls")
	fl := cmd.Flags()
	fl.StringVarP(&names, "namesrv", "n", os.Getenv("NAMESRV_ADDR"), "name servers, host:port;host:port")
	fl.StringVar(&dir, "dir", "", "where the console keeps its own data (default ~/cometmq/dashboard)")
	fl.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	return cmd
}
