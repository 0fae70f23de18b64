package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// call is what a process would do: its arguments, the variables it sets, what it says.
type call struct {
	args       []string
	set        map[string]string
	said, errs bytes.Buffer
	dirs       []string // cd and mkdir
	memory     int64
	err        error
}

func calls(t *testing.T, environ []string, line ...string) *call {
	t.Helper()
	c := &call{set: map[string]string{}}
	w := world{
		environ: slices.Clone(environ), memory: func(n int64) { c.memory = n },
		setenv: func(k, v string) error { c.set[k] = v; return nil },
		shell: func(s *shell) {
			note := func(what string) func(string) error {
				return func(dir string) error {
					c.dirs = append(c.dirs, what+" "+dir)
					if strings.HasPrefix(dir, "/missing") {
						return errors.New(dir + " is missing")
					}
					return nil
				}
			}
			s.chdir, s.mkdir = note("cd"), note("mkdir")
		},
	}
	c.args, c.err = w.arguments(t.Context(), line, Env{Out: &c.said, Err: &c.errs})
	return c
}

func TestProgramsAreFoundByTheirJavaNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line []string
		want string
	}{
		{[]string{"/usr/bin/cometmq", "broker", "-c", "x"}, "broker -c x"},
		{[]string{"cometmq.exe", "version"}, "version"},
		{[]string{"renamed", "version"}, "version"},
		{[]string{"/opt/rocketmq/bin/mqadmin", "topicList", "-n", "a:1"}, "admin topicList -n a:1"},
		{[]string{"mqnamesrv"}, "namesrv"},
		{[]string{"./mqbroker", "-n", "a:9876", "-c", "/x/broker.conf"}, "broker -n a:9876 -c /x/broker.conf"},
		{[]string{"mqbroker", "--configFile", "f", "-namesrvAddr=a:1", "-printConfigItem"}, "broker --config f --namesrv=a:1 --print"},
		{[]string{"mqbroker", "-c", "-configFile"}, "broker -c -configFile"},
		{[]string{"mqcontroller", "-c", "f"}, "controller -c f"},
		{[]string{"mqstandalone"}, "server"},
		{[]string{"mqshutdown", "broker"}, "shutdown broker"},
		{[]string{"runbroker.sh", "org.apache.rocketmq.broker.BrokerStartup", "-c", "f"}, "broker -c f"},
		{[]string{"runserver.sh", "org.apache.rocketmq.namesrv.NamesrvStartup"}, "namesrv"},
		{[]string{"tools.sh", "org.apache.rocketmq.tools.command.MQAdminStartup", "topicList"}, "admin topicList"},
		{[]string{"docker-entrypoint.sh", "broker", "-c", "f"}, "broker -c f"},
		{[]string{"/docker-entrypoint.sh"}, "namesrv"}, // NODE_ROLE
		{[]string{"sh", "mqnamesrv"}, "namesrv"},
		{[]string{"/bin/sh", "-e", "./bin/mqbroker", "-n", "a:9876"}, "broker -n a:9876"},
		{[]string{"sh", "/x/runbroker.sh", "org.apache.rocketmq.broker.BrokerStartup"}, "broker"},
		{[]string{"sh", "-c", "mqbroker -c f"}, "broker -c f"},
	} {
		t.Run(strings.Join(c.line, " "), func(t *testing.T) {
			t.Parallel()
			got := calls(t, []string{"NODE_ROLE=nameserver"}, c.line...)
			if got.err != nil || strings.Join(got.args, " ") != c.want {
				t.Errorf("%q, %v; want %q", got.args, got.err, c.want)
			}
		})
	}
}

func TestProgramsThatAreNotHereSaySo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line string
		want string
		code int
	}{
		{"mqproxy -pc x", "no proxy", 1},
		{"mqbrokercontainer", "run mqbroker for each", 1},
		{"tools.sh org.apache.rocketmq.example.quickstart.Producer", "quickstart.Producer", 1},
		{"runbroker.sh", "Java class", 2},
		{"docker-entrypoint.sh", "NODE_ROLE", 2},
		{"docker-entrypoint.sh cook", `"cook"`, 2},
		{"sh", "-debug", 127},
		{"sh /usr/bin/python x", "-debug", 127},
		{"sh -c", "want a script", 2},
	} {
		t.Run(c.line, func(t *testing.T) {
			t.Parallel()
			var errs bytes.Buffer
			w := world{setenv: func(string, string) error { return nil }}
			if code := w.run(t.Context(), strings.Fields(c.line), Env{Out: &errs, Err: &errs}); code != c.code || !strings.Contains(errs.String(), c.want) {
				t.Errorf("code %d: %s; want %d and %q", code, &errs, c.code, c.want)
			}
		})
	}
}

func TestScriptsThatStartAProgram(t *testing.T) {
	t.Parallel()
	environ := []string{"POD_NAME=broker-0", "HOME=/home/rocketmq", "SPACED=-n a:1", "EMPTY="}
	for _, c := range []struct{ script, want, set, dirs, said string }{
		{"./mqbroker -c /home/rocketmq/conf/$(POD_NAME)", "", "", "", ""}, // Kubernetes replaces it before; else it is a command
		{"./mqbroker -c /home/rocketmq/conf/$POD_NAME", "broker -c /home/rocketmq/conf/broker-0", "", "", ""},
		{`exec mqbroker -c "conf/${POD_NAME}.conf"`, "broker -c conf/broker-0.conf", "", "", ""},
		{`mqbroker -c '$POD_NAME' -n a\ b`, "broker|-c|$POD_NAME|-n|a b", "", "", ""},
		{`mqbroker $SPACED $EMPTY "$EMPTY"`, "broker|-n|a:1|", "", "", ""},
		{`mqbroker -n ${NS:-b:9876} -c ${POD_NAME:-x}`, "broker -n b:9876 -c broker-0", "", "", ""},
		{"cd /home && export A=1 B && C=2; D=3 mqnamesrv", "namesrv", "A=1 B= D=3", "cd /home", ""},
		{"cd; mkdir -p $HOME/store /x; echo starting \"$POD_NAME\"; sleep 0; mqnamesrv # the end", "namesrv", "", "cd /home/rocketmq,mkdir /home/rocketmq/store,mkdir /x", "starting broker-0\n"},
		{"mqnamesrv > /dev/null 2>&1", "namesrv", "", "", ""},
		{"mqnamesrv >>\"$HOME/a b.log\" 2> x", "namesrv", "", "", ""},
		{"mqbroker -c f 2>&1 -n a:1", "broker -c f -n a:1", "", "", ""},
		{"set -e\nulimit -n 1000\n\n  mqbroker \\\n -c f\n", "broker -c f", "", "", ""},
		{"cd /missing; mqnamesrv", "namesrv", "", "cd /missing", ""},
		{`A=$POD_NAME; export A; mqnamesrv`, "namesrv", "A=broker-0", "", ""},
		{`V="A=1"; $V mqnamesrv`, "", "", "", ""}, // not an assignment, as in a shell
	} {
		t.Run(c.script, func(t *testing.T) {
			t.Parallel()
			got := calls(t, environ, "sh", "-c", c.script)
			if c.want == "" {
				if _, ok := errors.AsType[errShell](got.err); !ok {
					t.Fatalf("%q, %v: want a refusal", got.args, got.err)
				}
				return
			}
			sep := " "
			if strings.Contains(c.want, "|") {
				sep = "|"
			}
			var set []string
			for _, k := range slices.Sorted(maps.Keys(got.set)) {
				set = append(set, k+"="+got.set[k])
			}
			if got.err != nil || strings.Join(got.args, sep) != c.want || strings.Join(set, " ") != c.set ||
				strings.Join(got.dirs, ",") != c.dirs || got.said.String() != c.said {
				t.Errorf("%q, %v; set %q, dirs %q, said %q; want %+v", got.args, got.err, set, got.dirs, &got.said, c)
			}
		})
	}
}

// TestScriptsThatAreTooMuch are refused before anything is done.
func TestScriptsThatAreTooMuch(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"", "# nothing", "cd /x", "ls; mqnamesrv", "mqnamesrv & mqbroker", "mqnamesrv; mqbroker", "mkdir /a; echo $(hostname); mqnamesrv", "echo `id`; mqnamesrv",
		"mqnamesrv | tee log", "if true; then mqnamesrv; fi", "mqbroker -c *.conf", "mkdir /a; mqbroker 'x", `mqbroker "x`, "mqbroker ${X", "mqbroker ${X:-$Y}", "mqbroker $1", "{ mqnamesrv; }",
		"exec /bin/bash",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			c := calls(t, nil, "sh", "-c", script)
			if _, ok := errors.AsType[errShell](c.err); !ok || len(c.args) > 0 {
				t.Errorf("%q, %v", c.args, c.err)
			}
		})
	}
	c := calls(t, nil, "sh", "-c", "cd /missing && mqnamesrv")
	if c.err == nil || !strings.Contains(c.err.Error(), "mqnamesrv has failed") {
		t.Errorf("%q, %v", c.args, c.err)
	}
}

func FuzzScript(f *testing.F) {
	for _, s := range []string{"./mqbroker -c $A", `sh -c "x ${B:-c}"`, "a 2>&1 && b; '", "$", "${", "> x", "\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script string) {
		steps, err := parseScript(script)
		if err != nil {
			if _, ok := errors.AsType[errShell](err); !ok {
				t.Errorf("%v", err)
			}
			return
		}
		s := newShell([]string{"A=1"}, nil, nil)
		for _, st := range steps {
			assignments(s.expand(st.words), st.words)
		}
	})
}

func TestVariablesOfJavaImages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		program string
		environ []string
		set     map[string]string
		ignored string
		memory  int64
	}{
		{
			"options", "mqbroker",
			[]string{"JAVA_OPT_EXT=-server -Xms256m -Xmx256m -Drocketmq.namesrv.addr=a:1;b:2 -Dtls.server.mode=enforcing -Duser.home=/h -Dx=y", "BROKER_MEM=8g"},
			map[string]string{"NAMESRV_ADDR": "a:1;b:2", "COMETMQ_TLS_SERVER_MODE": "enforcing", "HOME": "/h"},
			"-server -Xms256m -Xmx256m -Dx=y BROKER_MEM", 0,
		},
		{"what is set stays", "mqbroker", []string{"NAMESRV_ADDR=c:3", "JAVA_OPT=-Drocketmq.namesrv.addr=a:1 -Drocketmq.home.dir=/r"}, map[string]string{"ROCKETMQ_HOME": "/r"}, "", 0},
		{"a large heap", "mqnamesrv", []string{"JAVA_OPT=-Xmx4g"}, nil, "", 4 << 30},
		{"GOMEMLIMIT wins", "mqnamesrv", []string{"JAVA_OPT=-Xmx4g", "GOMEMLIMIT=1GiB"}, nil, "", 0},
		{"no size", "mqnamesrv", []string{"JAVA_OPT=-Xmxhuge -Xmx99999999999g"}, nil, "-Xmxhuge -Xmx99999999999g", 0},
		{
			"operator, master", "mqbroker",
			[]string{"BROKER_NAME=b", "BROKER_CLUSTER_NAME=C", "BROKER_ID=0", "POD_IP=10.0.0.1"},
			map[string]string{"COMETMQ_BROKER_NAME": "b", "COMETMQ_BROKER_CLUSTER_NAME": "C", "COMETMQ_BROKER_ID": "0", "COMETMQ_BROKER_IP1": "10.0.0.1"},
			"", 0,
		},
		{"operator, slave", "mqbroker", []string{"BROKER_NAME=b", "BROKER_ID=2"}, map[string]string{"COMETMQ_BROKER_NAME": "b", "COMETMQ_BROKER_ID": "2", "COMETMQ_BROKER_ROLE": "SLAVE"}, "", 0},
		{
			"operator, controllers", "mqbroker",
			[]string{"BROKER_NAME=b", "BROKER_ID=2", "enableControllerMode=true", "controllerAddr=c:1"},
			map[string]string{"COMETMQ_BROKER_NAME": "b", "COMETMQ_BROKER_ID": "2", "COMETMQ_ENABLE_CONTROLLER_MODE": "true", "COMETMQ_CONTROLLER_ADDR": "c:1"},
			"", 0,
		},
		{"not a broker", "mqnamesrv", []string{"BROKER_NAME=b"}, nil, "", 0},
		{"not one of Java's", "cometmq", []string{"JAVA_OPT=-Xmx4g -Dtls.enable=true"}, nil, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := calls(t, c.environ, c.program)
			want := ""
			if c.ignored != "" {
				want = "cometmq: settings of a Java machine have no effect here: " + c.ignored + "\n"
			}
			if got.err != nil || !maps.Equal(got.set, c.set) || got.memory != c.memory || got.errs.String() != want {
				t.Errorf("set %v, memory %d, said %q, %v; want %+v", got.set, got.memory, &got.errs, got.err, c)
			}
		})
	}
}

func TestTheRoleOfAnotherProcess(t *testing.T) {
	t.Parallel()
	line := func(words ...string) []byte { return []byte(strings.Join(words, "\x00") + "\x00") }
	for _, c := range []struct {
		line []byte
		want string
	}{
		{line("/rmq", "broker", "-c", "x"), "broker"},
		{line("mqbroker"), "broker"},
		{line("sh", "mqnamesrv"), "namesrv"},
		{line("/bin/sh", "-c", "export A=1; exec ./mqbroker -c $A"), "broker"},
		{line("sh", "-c", "X=1 mqnamesrv"), "namesrv"},
		{line("sh", "-c", "a | b"), ""},
		{line("sh"), ""},
		{line("sh", "-c"), ""},
		{line("cometmq"), ""},
		{line(""), ""},
	} {
		if got := roleOfLine(c.line); got != c.want {
			t.Errorf("%q: %q, want %q", c.line, got, c.want)
		}
	}
}

func TestServersAreFoundByTheirProgram(t *testing.T) {
	t.Parallel()
	proc := t.TempDir()
	put := func(id, exe, line string) {
		t.Helper()
		dir := filepath.Join(proc, id)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "cmdline"), []byte(line), 0o600), os.Symlink(exe, filepath.Join(dir, "exe"))); err != nil {
			t.Fatal(err)
		}
	}
	ours, other := filepath.Join(proc, "ours"), filepath.Join(proc, "other")
	if err := errors.Join(os.WriteFile(ours, nil, 0o600), os.WriteFile(other, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	put("self", ours, "x")
	put("1000001", ours, "mqbroker\x00")
	put("1000002", other, "mqbroker\x00")
	put("1000003", ours, "mqnamesrv\x00")
	put("1000004", ours, "sh\x00mqbroker\x00-c\x00x\x00")
	got, err := serversOf(proc, "broker")
	if fmt.Sprint(got) != "[1000001 1000004]" || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := serversOf(filepath.Join(proc, "none"), "broker"); err == nil {
		t.Error("no list of processes, and no error")
	}
}

func TestWhoseDirectoryItIsIsSaid(t *testing.T) {
	t.Parallel()
	denied := fmt.Errorf("broker: %w", &fs.PathError{Op: "mkdir", Path: "/home/rocketmq/store", Err: syscall.EACCES})
	want := fmt.Sprintf("chown -R %d:%d", os.Getuid(), os.Getgid())
	if got := mayNot(denied); !errors.Is(got, fs.ErrPermission) || !strings.Contains(got.Error(), want) || !strings.Contains(got.Error(), "/home/rocketmq/store") {
		t.Errorf("%v", got)
	}
	frozen := &fs.PathError{Op: "mkdir", Path: "/store", Err: syscall.EROFS}
	if got := mayNot(frozen); !strings.Contains(got.Error(), "mount a volume") {
		t.Errorf("%v", got)
	}
	other := errors.New("port taken")
	if got := mayNot(other); got.Error() != other.Error() {
		t.Errorf("%v", got)
	}
}
