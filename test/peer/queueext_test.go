//go:build peer

package peer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// TestStoreWithExtendedQueues takes a store whose queue entries Java keeps in consumequeue_ext, with bit maps of SQL92 filters, to
// us, and back to Java with what we added.
func TestStoreWithExtendedQueues(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, java55)
	dir := t.TempDir()
	conf := map[string]string{"enableConsumeQueueExt": "true", "enableCalcFilterBitMap": "true", "enablePropertyFilter": "true"}
	const expr = "n BETWEEN 10 AND 19 AND colour = 'green'"
	end := func(c *target.Cluster) {
		if err := c.Brokers[0].Stop(60 * time.Second); err != nil {
			t.Fatal(err)
		}
		c.Namesrv.Kill()
	}
	java := target.New(t, target.Options{Kind: target.Java, Dir: dir, Heap: "512m", Conf: conf})
	registered(t, java, "TBW102")
	want(t, javaMain(t, java55, "FilterClient", java.NS, "ext", "ext_java", expr, "2", "1"), "numbers", "[13, 17]")
	want(t, javaClient(t, java55, "send", java.NS, "ext", "g_ext", "200"), "ok", 200)
	end(java)
	found, err := filepath.Glob(filepath.Join(java.Store(0), "consumequeue_ext", "ext", "*", "*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("Java wrote no extended entries: %v", err)
	}
	if _, err := os.Stat(filepath.Join(java.Store(0), "config", "consumerFilter.json")); err != nil {
		t.Error(err)
	}

	ours := newCluster(t, target.Options{Kind: target.Ours, Dir: dir, Conf: conf})
	registered(t, ours, "ext")
	want(t, javaClient(t, java55, "push", ours.NS, "ext", "ext_all", "201"), "distinct", 201)
	// The filter client's bodies are those of the first hundred, and one; of the 200 each other one has the tag.
	want(t, javaClient(t, java55, "push", ours.NS, "ext", "ext_tag", "151", "TagA"), "distinct", 151)
	want(t, javaMain(t, java55, "FilterClient", ours.NS, "ext", "ext_sql", expr, "4", "1"), "numbers", "[13, 17]")
	want(t, javaClient(t, java55, "send", ours.NS, "ext", "g_ext", "200"), "ok", 200)
	end(ours)

	again := target.New(t, target.Options{Kind: target.Java, Dir: dir, Heap: "512m", Conf: conf})
	registered(t, again, "ext")
	want(t, javaMain(t, java55, "FilterClient", again.NS, "ext", "ext_third", expr, "6", "1"), "numbers", "[13, 17]")
	end(again)
}
