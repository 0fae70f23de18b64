//go:build peer

package nameserver

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

// jars returns the class path of the Java servers: the folder ROCKETMQ_HOME_LIB, else what the test kit brought.
func jars(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("ROCKETMQ_HOME_LIB"); dir != "" {
		return filepath.Join(dir, "*")
	}
	return target.NeedJava(t, "server-5.5.0")
}

// java runs a main class until the test ends.
func java(t *testing.T, dir, class, conf, heap string) *exec.Cmd {
	t.Helper()
	file := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "java", "-Xmx"+heap, "-XX:MaxDirectMemorySize=512m",
		"-Duser.home="+dir, "-cp", jars(t), class, "-c", file)
	cmd.Env = append(os.Environ(), "ROCKETMQ_HOME="+dir)
	out, err := os.Create(filepath.Join(dir, "out.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
		if t.Failed() {
			b, _ := os.ReadFile(out.Name())
			t.Logf("%s: %s", class, b)
		}
	})
	return cmd
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("not within 90 s: " + what)
}

func listens(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

func TestJavaNameServerAnswersTheSame(t *testing.T) {
	dir := t.TempDir()
	addr := fmt.Sprintf("127.0.0.1:%d", target.FreePorts(t, 1))
	_, port, _ := strings.Cut(addr, ":")
	java(t, dir, "org.apache.rocketmq.namesrv.NamesrvStartup",
		"bindAddress=127.0.0.1\nlistenPort="+port+"\nkvConfigPath="+filepath.Join(dir, "kvConfig.json")+"\n", "256m")
	eventually(t, "the Java name server listens", func() bool { return listens(addr) })
	for name, steps := range map[string][]step{"brokers": brokersConversation(), "admin": adminConversation()} {
		t.Run(name, func(t *testing.T) {
			c := &callers{addr: addr, clients: map[string]*remoting.Client{}}
			defer c.close()
			converse(t, c, steps, true, func() { time.Sleep(500 * time.Millisecond) })
		})
	}
}

func TestJavaBrokerRegistersHere(t *testing.T) {
	classes := jars(t)
	_ = classes
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	rs := remoting.NewServer(remoting.ServerOptions{OnClose: s.Closed})
	s.Attach(rs)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	wg.Go(func() { _ = rs.Serve(ctx, l) })
	defer wg.Wait()
	defer func() { _ = rs.Shutdown(context.Background()) }()
	defer cancel()

	dir := t.TempDir()
	port := target.FreePorts(t, 4) + 2
	broker := java(t, dir, "org.apache.rocketmq.broker.BrokerStartup", strings.Join([]string{
		"brokerClusterName=DefaultCluster", "brokerName=broker-a", "brokerId=0", "brokerIP1=127.0.0.1", "brokerIP2=127.0.0.1",
		"bindAddress=127.0.0.1", fmt.Sprint("listenPort=", port), fmt.Sprint("haListenPort=", port+1), "namesrvAddr=" + l.Addr().String(),
		"storePathRootDir=" + filepath.Join(dir, "store"), "storePathCommitLog=" + filepath.Join(dir, "store", "commitlog"),
		"mappedFileSizeCommitLog=16777216", "",
	}, "\n"), "512m")

	c := remoting.NewClient(remoting.ClientOptions{})
	defer c.Close()
	body := func(code int32, ext ...string) string {
		resp, err := c.Invoke(t.Context(), l.Addr().String(), &remoting.Command{Code: code, Header: texts(ext)})
		if err != nil {
			t.Fatal(err)
		}
		return string(resp.Body)
	}
	eventually(t, "the Java broker is registered", func() bool { return strings.Contains(body(106), `"broker-a"`) })
	want := fmt.Sprintf(`{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"127.0.0.1:%d"},"brokerName":"broker-a","cluster":"DefaultCluster",`+
		`"enableActingMaster":false}},"clusterAddrTable":{"DefaultCluster":["broker-a"]}}`, port)
	if got := body(106); got != want {
		t.Errorf("cluster:\n got %s\nwant %s", got, want)
	}
	if got := body(105, "topic=TBW102"); !strings.Contains(got, `"perm":7,"readQueueNums":8`) {
		t.Errorf("route of TBW102: %s", got)
	}
	if err := broker.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Java broker is gone", func() bool { return body(106) == `{"brokerAddrTable":{},"clusterAddrTable":{}}` })
}
