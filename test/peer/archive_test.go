//go:build peer

package peer

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

var makeArchives = flag.Bool("archives", false, "make the archives of classes with which a JVM starts quickly; test/peer/setup.sh does")

// TestMakeArchives makes an archive of classes (CDS) for each set of jars: with what a name server, a broker, clients and mqadmin load
// when they start. See target.JVM for who takes it; without it everything works, slower.
func TestMakeArchives(t *testing.T) {
	if !*makeArchives {
		t.Skip("only -archives makes them")
	}
	list := ""
	record := func() {
		list = t.TempDir()
		t.Setenv("JAVA_TOOL_OPTIONS", "-XX:DumpLoadedClassList="+list+"/%p")
	}
	// serve starts both servers of a set, does something with them, and ends them as is due: the list is complete then.
	serve := func(set string, with func(c *target.Cluster)) {
		record()
		c := target.New(t, target.Options{Kind: target.Java, Set: set, Heap: "512m", NSConf: map[string]string{
			"enableControllerInNamesrv": "true", "controllerDLegerGroup": "g", "controllerDLegerPeers": "n0-" + freeAddr(t), "controllerDLegerSelfId": "n0",
			"controllerStorePath": filepath.Join(t.TempDir(), "controller"),
		}})
		registered(t, c, "TBW102")
		if with != nil {
			with(c)
		}
		for _, p := range append(c.Brokers, c.Namesrv) {
			if err := p.Stop(60 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		archive(t, set, list)
	}
	use := func(c *target.Cluster, client string) {
		javaClient(t, client, "send", c.NS, "archive", "p_"+name(client), "200")
		javaClient(t, client, "push", c.NS, "archive", "c_"+name(client), "200")
	}
	serve("server-5.3.3", nil)
	serve(java55, func(c *target.Cluster) {
		use(c, java55)
		javaAdmin(t, c.NS, []string{"clusterList", "topicRoute -t archive", "getBrokerConfig -b " + c.Addrs[0]})
		servers := list
		record()
		use(c, java49)
		archive(t, java49, list)
		list = servers
	})
}

func freeAddr(t *testing.T) string {
	t.Helper()
	return "127.0.0.1:" + strconv.Itoa(target.FreePorts(t, 1))
}

// archive makes the archive of a set from the lists of classes in dir.
func archive(t *testing.T, set, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("no JVM wrote a list of its classes: %v", err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			// Ids are those of one JVM. What has a source was loaded by a loader of its own.
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") || strings.Contains(line, " source: ") {
				continue
			}
			line, _, _ = strings.Cut(line, " id: ")
			seen[line] = true
		}
	}
	all := slices.Sorted(maps.Keys(seen))
	classes := filepath.Join(t.TempDir(), "classes")
	if err := os.WriteFile(classes, []byte(strings.Join(all, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	jars := target.NeedJava(t, set)
	final := filepath.Dir(jars) + ".jsa"
	made := fmt.Sprint(final, ".", os.Getpid()) // another run may make the same
	cmd := exec.CommandContext(t.Context(), "java", "-Xshare:dump", "-XX:SharedClassListFile="+classes, "-XX:SharedArchiveFile="+made, "-cp", jars)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "JAVA_TOOL_OPTIONS=") })
	out, err := cmd.CombinedOutput()
	if err == nil {
		err = os.Rename(made, final)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", set, err, out)
	}
	t.Logf("%s: %d classes", set, len(all))
}
