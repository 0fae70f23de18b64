// Package target starts the servers that a test talks to, each in a process of its own on free loopback ports: ours (the
// binary named by COMETMQ_BIN or built on demand) or the unmodified Java RocketMQ (jars brought by test/peer/setup.sh).
// Both take the same Java configuration files. Every process is ended with the test.
package target

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Kind names an implementation.
type Kind string

// The implementations.
const (
	Ours Kind = "ours"
	Java Kind = "java"
)

// Cache is where test/peer/setup.sh puts jars and classes.
func Cache() string {
	if d := os.Getenv("COMETMQ_PEER_CACHE"); d != "" {
		return d
	}
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "cometmq-peer")
}

// NeedJava skips the test when there is no JVM or the jars of set are missing, and returns the class path otherwise.
func NeedJava(tb testing.TB, set string) string {
	tb.Helper()
	if _, err := exec.LookPath("java"); err != nil {
		tb.Skip("no java on this machine: run `make setup`")
	}
	dir := filepath.Join(Cache(), set)
	if _, err := os.Stat(filepath.Join(dir, ".complete")); err != nil {
		tb.Skipf("no Java jars in %s: run `make setup`", dir)
	}
	return filepath.Join(dir, "*")
}

// Binary returns the path of our binary, built once per test process when COMETMQ_BIN is not set.
func Binary(tb testing.TB) string {
	tb.Helper()
	if b := os.Getenv("COMETMQ_BIN"); b != "" {
		return b
	}
	out := filepath.Join(tb.TempDir(), "cometmq")
	cmd := exec.CommandContext(tb.Context(), "go", "build", "-o", out, "github.com/cometmq/cometmq/cmd/cometmq")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build: %v\n%s", err, b)
	}
	return out
}

// Process is a server that a test started.
type Process struct {
	tb   testing.TB
	args []string
	env  []string
	log  string
	cmd  *exec.Cmd
	pid  atomic.Int64
	done chan error
}

func start(tb testing.TB, log string, env []string, args ...string) *Process {
	tb.Helper()
	p := &Process{tb: tb, args: args, env: env, log: log}
	p.Start()
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("%s\n%s", strings.Join(args, " "), tail(p.Log()))
		}
	})
	return p
}

// Start runs the process (again).
func (p *Process) Start() {
	p.tb.Helper()
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.tb.Fatal(err)
	}
	defer f.Close()
	cmd := exec.CommandContext(context.WithoutCancel(p.tb.Context()), p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		p.tb.Fatalf("start %s: %v", p.args[0], err)
	}
	p.cmd, p.done = cmd, make(chan error, 1)
	p.pid.Store(int64(cmd.Process.Pid))
	go func(done chan<- error) { done <- cmd.Wait() }(p.done)
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process, which must run.
func (p *Process) Signal(s os.Signal) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.tb.Fatalf("%v to %s: %v", s, p.args[0], err)
	}
}

// Running returns the process id, 0 when the process has not been started or was ended by the test. It may be called beside
// Start and Kill.
func (p *Process) Running() int { return int(p.pid.Load()) }

// Kill ends the process with SIGKILL and waits for it. Killing an ended process does nothing.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	p.cmd = nil
	p.pid.Store(0)
}

// Stop asks the process to end with SIGTERM and returns how it ended.
func (p *Process) Stop(wait time.Duration) error {
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-p.done:
		p.cmd = nil
		p.pid.Store(0)
		var ee *exec.ExitError
		if errors.As(err, &ee) && ee.ExitCode() == 143 { // a JVM ends so after SIGTERM
			return nil
		}
		return err
	case <-time.After(wait):
		p.Kill()
		return fmt.Errorf("did not end within %v of SIGTERM", wait)
	}
}

// Exited reports whether the process has ended by itself, and how.
func (p *Process) Exited() (bool, error) {
	select {
	case err := <-p.done:
		p.done <- err
		return true, err
	default:
		return false, nil
	}
}

// Log returns what the process has printed.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// WaitPort waits until addr accepts connections; the test fails after wait or when the process ends.
func (p *Process) WaitPort(addr string, wait time.Duration) {
	p.tb.Helper()
	end := time.Now().Add(wait)
	for time.Now().Before(end) {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
			return
		}
		if over, err := p.Exited(); over {
			p.tb.Fatalf("%s ended: %v\n%s", p.args[0], err, tail(p.Log()))
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.tb.Fatalf("nothing listens on %s after %v\n%s", addr, wait, tail(p.Log()))
}

func tail(s string) string {
	if len(s) > 4000 {
		return s[len(s)-4000:]
	}
	return s
}

// given are the ports that tests of this process have got. A server takes its ports seconds after they were found free, and
// another test that runs beside must not find them free, too.
var given struct {
	sync.Mutex

	ports map[int]bool
}

// FreePorts returns n consecutive free loopback ports: a broker uses its port, the one above (HA) and two below (VIP). No port
// is given twice.
func FreePorts(tb testing.TB, n int) int {
	tb.Helper()
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	for range 1000 {
		// Below the range from which the system takes ports for outgoing connections.
		base := 12000 + rand.IntN(19000)
		free := true
		for i := base; free && i < base+n; i++ {
			free = !given.ports[i] && unused(i)
		}
		if !free {
			continue
		}
		for i := range n {
			given.ports[base+i] = true
		}
		return base
	}
	tb.Fatal("no free ports")
	return 0
}

// unused reports whether nobody listens on a loopback port.
func unused(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// Options of a cluster.
type Options struct {
	Kind    Kind
	Dir     string            // "" = a directory of the test
	Set     string            // Java: the jar set, default server-5.5.0
	Conf    map[string]string // more lines of broker.conf
	NSConf  map[string]string // more lines of namesrv.conf
	NSKind  Kind              // of the name server, default Kind
	Heap    string            // Java: heap of the broker, default 1g
	Full    bool              // Java: the JVM as users run it, for measurements; else it is made to start quickly, see JVM
	Brokers int               // default 1
	Kinds   []Kind            // of each broker, if not all are of Kind
	// Prepare, if set, fills the store directory of each broker before it starts.
	Prepare func(store string)
}

// Cluster is a name server with brokers.
type Cluster struct {
	Kind    Kind
	Dir     string
	NS      string   // address of the name server
	Addrs   []string // addresses of the brokers
	Namesrv *Process
	Brokers []*Process
}

// New starts a cluster and waits until the brokers listen.
func New(tb testing.TB, o Options) *Cluster {
	tb.Helper()
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	if o.Set == "" {
		o.Set = "server-5.5.0"
	}
	if o.Brokers == 0 {
		o.Brokers = 1
	}
	c := &Cluster{Kind: o.Kind, Dir: o.Dir}
	nsPort := FreePorts(tb, 1)
	c.NS = fmt.Sprintf("127.0.0.1:%d", nsPort)
	lines := map[string]string{
		"listenPort": fmt.Sprint(nsPort), "bindAddress": "127.0.0.1", "kvConfigPath": filepath.Join(o.Dir, "kvConfig.json"),
	}
	maps.Copy(lines, o.NSConf)
	conf := write(tb, filepath.Join(o.Dir, "namesrv.conf"), lines)
	ns := o
	if o.NSKind != "" {
		ns.Kind = o.NSKind
	}
	c.Namesrv = ns.run(tb, "namesrv", filepath.Join(o.Dir, "namesrv.log"), conf, "256m")
	c.Namesrv.WaitPort(c.NS, 60*time.Second)
	for i := range o.Brokers {
		port := FreePorts(tb, 4) + 2
		name := fmt.Sprintf("broker-%c", 'a'+i)
		lines := map[string]string{
			"brokerClusterName": "DefaultCluster", "brokerName": name, "brokerId": "0", "brokerRole": "ASYNC_MASTER",
			"brokerIP1": "127.0.0.1", "brokerIP2": "127.0.0.1", "bindAddress": "127.0.0.1",
			"listenPort": fmt.Sprint(port), "haListenPort": fmt.Sprint(port + 1), "namesrvAddr": c.NS,
			"storePathRootDir": filepath.Join(o.Dir, name, "store"), "autoCreateTopicEnable": "true",
			"storePathCommitLog": filepath.Join(o.Dir, name, "store", "commitlog"),
		}
		if o.Kind == Ours {
			lines["metricsPromExporterPort"] = "0"
		}
		maps.Copy(lines, o.Conf)
		if err := os.MkdirAll(filepath.Join(o.Dir, name), 0o755); err != nil {
			tb.Fatal(err)
		}
		if o.Prepare != nil {
			o.Prepare(filepath.Join(o.Dir, name, "store"))
		}
		conf := write(tb, filepath.Join(o.Dir, name, "broker.conf"), lines)
		heap := o.Heap
		if heap == "" {
			heap = "1g"
		}
		one := o
		if i < len(o.Kinds) {
			one.Kind = o.Kinds[i]
		}
		p := one.run(tb, "broker", filepath.Join(o.Dir, name, "broker.log"), conf, heap)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		p.WaitPort(addr, 120*time.Second)
		c.Brokers = append(c.Brokers, p)
		c.Addrs = append(c.Addrs, addr)
	}
	return c
}

// Slave starts a slave of the first broker and waits until it listens. It is the last of Brokers and Addrs afterwards; of o
// only Kind, Set, Conf, Heap and Full count.
func (c *Cluster) Slave(tb testing.TB, o Options, id int) *Process {
	tb.Helper()
	if o.Set == "" {
		o.Set = "server-5.5.0"
	}
	if o.Heap == "" {
		o.Heap = "1g"
	}
	o.Dir = c.Dir
	dir := filepath.Join(c.Dir, fmt.Sprintf("slave-%d", id))
	port := FreePorts(tb, 4) + 2
	lines := map[string]string{
		"brokerClusterName": "DefaultCluster", "brokerName": "broker-a", "brokerId": fmt.Sprint(id), "brokerRole": "SLAVE",
		"brokerIP1": "127.0.0.1", "brokerIP2": "127.0.0.1", "bindAddress": "127.0.0.1",
		"listenPort": fmt.Sprint(port), "haListenPort": fmt.Sprint(port + 1), "namesrvAddr": c.NS,
		"storePathRootDir": filepath.Join(dir, "store"), "storePathCommitLog": filepath.Join(dir, "store", "commitlog"),
	}
	maps.Copy(lines, o.Conf)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	p := o.run(tb, "broker", filepath.Join(dir, "broker.log"), write(tb, filepath.Join(dir, "broker.conf"), lines), o.Heap)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	p.WaitPort(addr, 120*time.Second)
	c.Brokers, c.Addrs = append(c.Brokers, p), append(c.Addrs, addr)
	return p
}

// SlaveStore is the store directory of the slave with that id.
func (c *Cluster) SlaveStore(id int) string {
	return filepath.Join(c.Dir, fmt.Sprintf("slave-%d", id), "store")
}

// Store is the store directory of broker i.
func (c *Cluster) Store(i int) string {
	return filepath.Join(c.Dir, fmt.Sprintf("broker-%c", 'a'+i), "store")
}

var javaMain = map[string]string{
	"namesrv": "org.apache.rocketmq.namesrv.NamesrvStartup",
	"broker":  "org.apache.rocketmq.broker.BrokerStartup",

	"controller": "org.apache.rocketmq.controller.ControllerStartup",
}

func (o Options) run(tb testing.TB, role, log, conf, heap string) *Process {
	tb.Helper()
	return Run(tb, Server{Kind: o.Kind, Set: o.Set, Role: role, Conf: conf, Log: log, Heap: heap, Full: o.Full, Home: filepath.Join(o.Dir, role+"-home")})
}

// Server is one server of either kind.
type Server struct {
	Kind   Kind
	Set    string   // Java: the jar set, default server-5.5.0
	Role   string   // broker, namesrv or controller
	Conf   string   // its configuration file
	Log    string   // what it prints goes there
	Heap   string   // Java: default 512m
	Full   bool     // Java: see Options
	Home   string   // Java: directory for what it writes besides its store
	Env    []string // more of the environment
	Binary string   // ours: another one than Binary's
}

// Run starts a server, which ends with the test.
func Run(tb testing.TB, s Server) *Process {
	tb.Helper()
	if s.Kind == Ours {
		if s.Binary == "" {
			s.Binary = Binary(tb)
		}
		return start(tb, s.Log, s.Env, s.Binary, s.Role, "-c", s.Conf)
	}
	if s.Set == "" {
		s.Set = "server-5.5.0"
	}
	if s.Heap == "" {
		s.Heap = "512m"
	}
	cp := NeedJava(tb, s.Set)
	if err := os.MkdirAll(s.Home, 0o755); err != nil {
		tb.Fatal(err)
	}
	flags := []string{"-Xmx" + s.Heap, "-XX:MaxDirectMemorySize=2g", "-Duser.home=" + s.Home, "-Djava.io.tmpdir=" + s.Home}
	args := jvm(cp, flags)
	if s.Full {
		args = slices.Concat([]string{"java", "-Xms" + s.Heap, "-XX:+UseG1GC"}, flags, []string{"-cp", cp})
	}
	return start(tb, s.Log, append([]string{"ROCKETMQ_HOME=" + s.Home}, s.Env...), append(args, javaMain[s.Role], "-c", s.Conf)...)
}

// WriteConf writes a configuration file of either kind.
func WriteConf(tb testing.TB, path string, lines map[string]string) string {
	tb.Helper()
	return write(tb, path, lines)
}

func write(tb testing.TB, path string, lines map[string]string) string {
	tb.Helper()
	var b strings.Builder
	for k, v := range lines {
		fmt.Fprintf(&b, "%s=%s\n", k, v)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}

// Fails runs our binary with a configuration that it must refuse, and returns its exit code and output.
func Fails(tb testing.TB, role string, conf map[string]string) (code int, output string) {
	tb.Helper()
	path := write(tb, filepath.Join(tb.TempDir(), role+".conf"), conf)
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, Binary(tb), role, "-c", path).CombinedOutput()
	var ee *exec.ExitError
	if err != nil && !errors.As(err, &ee) {
		tb.Fatalf("run: %v\n%s", err, out)
	}
	if ee != nil {
		code = ee.ExitCode()
	}
	return code, string(out)
}
