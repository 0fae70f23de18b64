package target

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// jars is the class path of Java RocketMQ: the folder that ROCKETMQ_HOME_LIB names, else what `make setup` brought.
func jars(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("ROCKETMQ_HOME_LIB"); dir != "" {
		return filepath.Join(dir, "*")
	}
	return NeedJava(tb, "server-5.5.0")
}

// JavaServer runs one main class of Java RocketMQ with conf as its configuration until the test ends; see New for whole
// clusters.
func JavaServer(tb testing.TB, class string, conf map[string]string, heap string) *Process {
	tb.Helper()
	cp, dir := jars(tb), tb.TempDir()
	return start(tb, filepath.Join(dir, "out.log"), []string{"ROCKETMQ_HOME=" + dir}, "java", "-Xmx"+heap,
		"-XX:MaxDirectMemorySize=512m", "-Duser.home="+dir, "-Djava.io.tmpdir="+dir, "-cp", cp, class, "-c", write(tb, filepath.Join(dir, "server.conf"), conf))
}

// MQAdmin runs Java's mqadmin against a name server and returns what it prints.
func MQAdmin(tb testing.TB, ns string, args ...string) string {
	tb.Helper()
	return MQAdminWith(tb, nil, ns, args...)
}

// MQAdminWith is MQAdmin with more flags for the JVM.
func MQAdminWith(tb testing.TB, jvm []string, ns string, args ...string) string {
	tb.Helper()
	cp, dir := jars(tb), tb.TempDir()
	cmd := exec.CommandContext(tb.Context(), "java", slices.Concat(jvm, []string{
		"-Xmx256m", "-Duser.home=" + dir, "-Djava.io.tmpdir=" + dir, "-cp", cp, "org.apache.rocketmq.tools.command.MQAdminStartup",
	}, args)...)
	cmd.Env = append(os.Environ(), "ROCKETMQ_HOME="+dir, "NAMESRV_ADDR="+ns)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("mqadmin %v: %v\n%s", args, err, out)
	}
	return string(out)
}
