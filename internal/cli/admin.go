package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/admin"
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/cluster"
	"github.com/cometmq/cometmq/internal/mq"
)

// exitCode ends a command that has said already what went wrong.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Args are the arguments of a command line whose first word is the program. Called as mqadmin it is mqadmin.
func Args(line []string) []string {
	if strings.TrimSuffix(filepath.Base(line[0]), ".exe") == "mqadmin" {
		return append([]string{"admin"}, line[1:]...)
	}
	return line[1:]
}

func newAdminCmd(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:                "admin COMMAND [flags]",
		Short:              admin.About,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			code := admin.Run(cmd.Context(), adminEnv(env), args)
			if code != 0 {
				return exitCode(code)
			}
			return nil
		},
	}
}

func adminEnv(env *Env) admin.Env {
	return admin.Env{
		In: env.In, Out: env.Out, Err: env.Err, Getenv: os.Getenv, Prog: "cometmq admin", Terminal: isTerminal(env.In), ReadFile: readFile,
		Connect: func(nameServers string, timeout time.Duration) mq.Cluster {
			return cluster.New(cluster.Options{
				NameServers: cluster.SplitAddrs(cmp.Or(nameServers, "127.0.0.1:9876")), Timeout: timeout, Credentials: credentials(os.Getenv),
			})
		},
	}
}

// credentials are what requests are signed with: from the environment, else from Java's conf/tools.yml. None is fine: most clusters
// want none, and the others say so.
func credentials(getenv func(string) string) auth.Credentials {
	c := auth.Credentials{AccessKey: getenv("COMETMQ_ACCESS_KEY"), SecretKey: getenv("COMETMQ_SECRET_KEY")}
	home := getenv("ROCKETMQ_HOME")
	if c.AccessKey != "" || home == "" {
		return c
	}
	data, err := readFile(filepath.Join(home, "conf", "tools.yml"))
	if err != nil {
		return c
	}
	for line := range strings.Lines(string(data)) {
		k, v, _ := strings.Cut(line, ":")
		v = strings.Trim(strings.TrimSpace(v), `"'`)
		switch strings.TrimSpace(k) {
		case "accessKey":
			c.AccessKey = v
		case "secretKey":
			c.SecretKey = v
		}
	}
	return c
}

// isTerminal says whether somebody types there.
func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// maxInput bounds a file that a command reads.
const maxInput = 64 << 20

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it is only read
	b, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err == nil && len(b) > maxInput {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxInput)
	}
	return b, err
}
