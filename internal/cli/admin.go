package cli

import (
	"cmp"
	"crypto/sha256"
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
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			s := admin.Complete(cmd.Context(), adminEnv(env), args, word)
			if s.Files {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return s.Words, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// namesLast is how long names are taken for what the cluster has, for shell completion.
const namesLast = 5 * time.Second

// namesFile is where they are kept meanwhile, of the name servers that are asked.
func namesFile(nameServers string) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(nameServers))
	return filepath.Join(dir, "cometmq", fmt.Sprintf("names-%x.json", sum[:8])), nil
}

func recallNames(nameServers string) []byte {
	name, err := namesFile(nameServers)
	if err != nil {
		return nil
	}
	st, err := os.Stat(name)
	if err != nil {
		return nil
	}
	if age := time.Since(st.ModTime()); age < 0 || age > namesLast {
		return nil
	}
	data, err := readFile(name)
	if err != nil {
		return nil
	}
	return data
}

// keepNames renames a file into its place: two shells may ask at once. What cannot be kept is asked for again.
func keepNames(nameServers string, data []byte) {
	name, err := namesFile(nameServers)
	if err != nil {
		return
	}
	part := fmt.Sprintf("%s.%d", name, os.Getpid())
	if writeFile(part, data) == nil && os.Rename(part, name) != nil {
		_ = os.Remove(part) // nobody reads it
	}
}

func adminEnv(env *Env) admin.Env {
	return admin.Env{
		In: env.In, Out: env.Out, Err: env.Err, Getenv: os.Getenv, Prog: "cometmq admin", Terminal: isTerminal(env.In), ReadFile: readFile,
		WriteFile: writeFile, TempDir: os.TempDir(), Progress: isTerminal(env.Err),
		Recall: recallNames, Keep: keepNames,
		Connect: func(t *admin.Target) (mq.Cluster, error) {
			f := tlsFlags{on: t.TLS, insecure: t.Insecure, ca: t.CA, cert: t.Cert, key: t.Key}
			dial, err := f.dialer(os.Environ())
			if err != nil {
				return nil, err
			}
			return cluster.New(cluster.Options{
				NameServers: cluster.SplitAddrs(cmp.Or(t.NameServers, "127.0.0.1:9876")), Timeout: t.Timeout, Credentials: credentials(os.Getenv), Dial: dial,
			}), nil
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
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// maxInput bounds a file that a command reads.
const maxInput = 256 << 20

// writeFile writes a file, with its folder. Exports may hold names and addresses: only the owner reads them.
func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o600)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // whoever runs the command may read what it names
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
