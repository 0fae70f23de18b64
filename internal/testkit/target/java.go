package target

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// JVM is how a command begins that runs a class of the jars in set, up to the class: made for a short life. flags are more for the
// JVM, classes are folders with classes of the test. Most of what a JVM does that lives for seconds is to load classes and to compile
// what it then never runs again, so the classes come from the archive of test/peer/setup.sh, if there is one for this JVM and these
// jars, and only the quick compiler compiles.
func JVM(tb testing.TB, set string, flags []string, classes ...string) []string {
	tb.Helper()
	return jvm(NeedJava(tb, set), flags, classes...)
}

func jvm(jars string, flags []string, classes ...string) []string {
	// A JVM that cannot use the archive says so on standard output, where tests read.
	args := []string{"java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto", "-Xlog:disable", "-Xlog:all=error:stderr"}
	if archive := filepath.Dir(jars) + ".jsa"; isFile(archive) {
		args = append(args, "-XX:SharedArchiveFile="+archive)
	}
	return slices.Concat(args, flags, []string{"-cp", strings.Join(append([]string{jars}, classes...), ":")})
}

func isFile(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// JavaServer runs one main class of Java RocketMQ with conf as its configuration until the test ends; see New for whole
// clusters.
func JavaServer(tb testing.TB, class string, conf map[string]string, heap string) *Process {
	tb.Helper()
	cp, dir := jars(tb), tb.TempDir()
	args := jvm(cp, []string{"-Xmx" + heap, "-XX:MaxDirectMemorySize=512m", "-Duser.home=" + dir, "-Djava.io.tmpdir=" + dir})
	return start(tb, filepath.Join(dir, "out.log"), []string{"ROCKETMQ_HOME=" + dir}, append(args, class, "-c", write(tb, filepath.Join(dir, "server.conf"), conf))...)
}

// MQAdmin runs Java's mqadmin against a name server and returns what it prints.
func MQAdmin(tb testing.TB, ns string, args ...string) string {
	tb.Helper()
	return MQAdminWith(tb, nil, ns, args...)
}

// MQAdminWith is MQAdmin with more flags for the JVM.
func MQAdminWith(tb testing.TB, flags []string, ns string, args ...string) string {
	tb.Helper()
	cp, dir := jars(tb), tb.TempDir()
	line := slices.Concat(jvm(cp, append([]string{"-Xmx256m", "-Duser.home=" + dir, "-Djava.io.tmpdir=" + dir}, flags...)),
		[]string{"org.apache.rocketmq.tools.command.MQAdminStartup"}, args)
	cmd := exec.CommandContext(tb.Context(), line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "ROCKETMQ_HOME="+dir, "NAMESRV_ADDR="+ns)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("mqadmin %v: %v\n%s", args, err, out)
	}
	return string(out)
}
