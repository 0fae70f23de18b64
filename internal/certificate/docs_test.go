package certificate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheCommandsOfTheManual runs the shell commands of docs/operations/tls.md and uses what they make.
func TestTheCommandsOfTheManual(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl here")
	}
	manual, err := os.ReadFile("../../docs/operations/tls.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, _ := strings.Cut(string(manual), "```sh\n")
	script, _, _ = strings.Cut(script, "```")
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || script == "" {
		t.Fatalf("%v\n%s", err, out)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	server := mustOpen(t, Options{Server: Files{Cert: at("server.pem"), Key: at("server.key"), Password: "1234", Trust: at("ca.pem")}, Ask: AskRequired})
	client := mustOpen(t, Options{Client: Files{Cert: at("client.pem"), Key: at("client.key"), Trust: at("ca.pem")}, VerifyHost: true})
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if _, serverErr, err := shake(t, server, client, name); err != nil || serverErr != nil {
			t.Errorf("%s: %v, %v", name, serverErr, err)
		}
	}
}
