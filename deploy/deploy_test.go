package deploy

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/cometmq/cometmq/internal/cli"
	"github.com/cometmq/cometmq/internal/config"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	return names
}

// TestExampleConfigurationIsGood: no key of it is unknown, without effect, or wrong.
func TestExampleConfigurationIsGood(t *testing.T) {
	t.Parallel()
	n := 0
	err := filepath.WalkDir("conf", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		s := config.Sources{File: name, Env: []string{}}
		var notices []config.Notice
		switch base := filepath.Base(name); {
		case base == "namesrv.conf":
			_, notices, err = config.LoadNamesrv(s)
		case strings.HasPrefix(base, "controller"):
			_, notices, err = config.LoadController(s)
		default:
			_, notices, err = config.LoadBroker(s)
		}
		if err != nil || len(notices) > 0 {
			t.Errorf("%s: %v, %v", name, err, notices)
		}
		return nil
	})
	if err != nil || n < 10 {
		t.Errorf("%d files, %v", n, err)
	}
}

type composeFile struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment map[string]string
		Volumes     []string
		ReadOnly    bool     `yaml:"read_only"`
		DependsOn   []string `yaml:"depends_on"`
	}
	Volumes map[string]any
}

// programs are what a compose file may run, and what they are on our command line.
var programs = map[string]string{"mqnamesrv": "namesrv", "mqbroker": "broker", "mqcontroller": "controller", "mqstandalone": "server"}

var envName = regexp.MustCompile(`^COMETMQ_`)

func TestComposeFilesRunWhatThereIs(t *testing.T) {
	t.Parallel()
	for _, name := range glob(t, "compose/*.yml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			var f composeFile
			if err := yaml.Unmarshal([]byte(read(t, name)), &f); err != nil || len(f.Services) == 0 {
				t.Fatal(err)
			}
			keys := map[string]bool{}
			for _, k := range config.AllKeys() {
				keys["COMETMQ_"+config.EnvName(k)] = true
			}
			for who, s := range f.Services {
				if !strings.HasPrefix(s.Image, "${COMETMQ_IMAGE") || !s.ReadOnly {
					t.Errorf("%s: image %q, read-only %v", who, s.Image, s.ReadOnly)
				}
				command := s.Command
				if command[0] == "cometmq" {
					command = command[1:]
				} else if command[0] = programs[command[0]]; command[0] == "" {
					t.Fatalf("%s: nothing is called that: %q", who, s.Command)
				}
				parses(t, who, command)
				for i, w := range command {
					if w == "-c" {
						read(t, filepath.Join("conf", strings.TrimPrefix(command[i+1], "../conf/")))
					}
				}
				for k := range s.Environment {
					if envName.MatchString(k) && !keys[k] {
						t.Errorf("%s: %s is no key", who, k)
					}
				}
				for _, v := range s.Volumes {
					if vol, _, _ := strings.Cut(v, ":"); !has(f.Volumes, vol) {
						t.Errorf("%s: volume %s is not declared", who, vol)
					}
				}
				for _, d := range s.DependsOn {
					if _, ok := f.Services[d]; !ok {
						t.Errorf("%s depends on %s, which is not there", who, d)
					}
				}
			}
		})
	}
}

func has(m map[string]any, key string) bool {
	_, ok := m[key]
	return ok
}

// parses: the command line has that command and those flags.
func parses(t *testing.T, who string, args []string) {
	t.Helper()
	root := cli.Tree(cli.Env{Out: io.Discard, Err: io.Discard})
	cmd, rest, err := root.Find(args)
	if err != nil || cmd == root {
		t.Fatalf("%s: %q: %v", who, args, err)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: %q: %v", who, args, err)
	}
}

func TestUnitsRunWhatThereIs(t *testing.T) {
	t.Parallel()
	for _, name := range glob(t, "systemd/*.service") {
		text := read(t, name)
		values := map[string][]string{}
		for line := range strings.Lines(text) {
			if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(k, "#") {
				values[k] = append(values[k], v)
			}
		}
		exec := values["ExecStart"]
		if len(exec) != 1 || !strings.HasPrefix(exec[0], "/usr/bin/cometmq ") {
			t.Fatalf("%s: ExecStart %q", name, exec)
		}
		args := strings.Fields(exec[0])[1:]
		parses(t, name, args)
		for k, want := range map[string]string{"User": "cometmq", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "CapabilityBoundingSet": "", "KillSignal": "SIGTERM"} {
			if got := values[k]; len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s=%q, want %q", name, k, got, want)
			}
		}
		if want := "man:cometmq-" + args[0] + "(1)"; values["Documentation"][0] != want {
			t.Errorf("%s: %q, want %q", name, values["Documentation"], want)
		}
		// The package must bring the file that the unit reads.
		conf := strings.Replace(args[2], "%i", "a", 1)
		if !strings.Contains(read(t, "package/nfpm.yaml"), "dst: "+conf+",") {
			t.Errorf("%s reads %s, which is not in the package", name, conf)
		}
	}
}

func TestThePackageHoldsFilesThatAreThere(t *testing.T) {
	t.Parallel()
	var f struct {
		Contents []struct{ Src, Dst, Type string }
		Scripts  map[string]string
	}
	if err := yaml.Unmarshal([]byte(read(t, "package/nfpm.yaml")), &f); err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Contents {
		if c.Type != "symlink" && !strings.HasPrefix(c.Src, "${STAGE}") {
			glob(t, filepath.Join("..", c.Src))
		}
	}
	for _, s := range f.Scripts {
		read(t, filepath.Join("..", s))
	}
}

func TestTheDockerfileOnlyCopies(t *testing.T) {
	t.Parallel()
	text := read(t, "image/Dockerfile")
	for _, bad := range []string{"\nRUN ", "\nENTRYPOINT", "http"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q in the Dockerfile: it is to build everywhere, and run other commands", bad)
		}
	}
	for _, want := range []string{"\nFROM scratch\n", "\nUSER 3000:3000\n", "\nHEALTHCHECK ", "\nCMD [\"mqstandalone\"]\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the Dockerfile", want)
		}
	}
}

// TestTheRootFileSystem makes one of a program that is none, twice.
func TestTheRootFileSystem(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash")
	}
	if out, err := exec.CommandContext(t.Context(), "tar", "--version").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("GNU")) {
		t.Skip("no GNU tar")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	build := func(name string, more ...string) []byte {
		t.Helper()
		out := filepath.Join(dir, name)
		cmd := exec.CommandContext(t.Context(), "bash", append([]string{"image/rootfs.sh", program, out}, more...)...)
		cmd.Env = append(os.Environ(), "ROCKETMQ_VERSION=5.5.0", "SOURCE_DATE_EPOCH=1000000000")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		return []byte(read(t, out))
	}
	one := build("one.tar")
	if !bytes.Equal(one, build("two.tar")) {
		t.Error("the same input gives other bytes")
	}
	const home = "./home/rocketmq/rocketmq-5.5.0/"
	links, owned := map[string]string{}, []string{}
	regular := 0
	entries(t, one, func(h *tar.Header) {
		if h.Uid == 3000 {
			owned = append(owned, h.Name)
		}
		if h.Typeflag == tar.TypeSymlink {
			links[h.Name] = h.Linkname
		}
		if h.Typeflag == tar.TypeReg && h.Mode&0o111 != 0 {
			regular++
		}
		if h.Typeflag == tar.TypeReg && h.Mode&0o444 != 0o444 {
			t.Errorf("%s: mode %o, not everybody may read it", h.Name, h.Mode)
		}
		if h.ModTime.Unix() != 1000000000 {
			t.Errorf("%s is of %v", h.Name, h.ModTime)
		}
	})
	if slices.Sort(owned); strings.Join(owned, " ") != "./home/rocketmq/cometmq/ ./home/rocketmq/controller/ ./home/rocketmq/logs/ ./home/rocketmq/namesrv/ ./home/rocketmq/store/" {
		t.Errorf("of the image's user: %q", owned)
	}
	if regular != 1 {
		t.Errorf("%d programs, want one", regular)
	}
	for _, p := range []string{"./bin/sh", "./rmq", home + "bin/mqbroker", home + "bin/mqnamesrv", home + "bin/docker-entrypoint.sh", home + "bin/tools.sh"} {
		if links[p] != "/cometmq" {
			t.Errorf("%s points to %q", p, links[p])
		}
	}
	if links["./opt/rocketmq-5.5.0"] != "/home/rocketmq/rocketmq-5.5.0" || links["./root/store"] != "/home/rocketmq/store" {
		t.Errorf("%v", links)
	}
	debug := map[string]byte{}
	entries(t, build("debug.tar", program), func(h *tar.Header) { debug[h.Name] = h.Typeflag })
	if debug["./bin/busybox"] != tar.TypeReg || debug["./libexec/mqbroker"] != tar.TypeSymlink || debug[home+"bin/mqbroker"] != tar.TypeReg {
		t.Errorf("-debug: %v", debug)
	}
}

func entries(t *testing.T, data []byte, visit func(*tar.Header)) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		visit(h)
	}
}
