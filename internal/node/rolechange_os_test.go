package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/internal/vfs"
)

// descriptors is how many files and sockets this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc/self/fd here")
	}
	return len(list)
}

// steady returns f's least value within a while: what ends is given time to end.
func steady(f func() int) int {
	least := f()
	for range 50 {
		time.Sleep(10 * time.Millisecond)
		least = min(least, f())
	}
	return least
}

// TestFiftyChangesLeakNothing changes roles on real files and sockets while messages come and go. It runs alone: it counts what the
// process holds.
func TestFiftyChangesLeakNothing(t *testing.T) { //nolint:paralleltest // see above
	w := newWorld(t)
	w.fs = vfs.OS()
	dir := t.TempDir()
	free := func(set map[string]string) Options {
		set["storePathRootDir"], set["inSyncReplicas"], set["defaultTopicQueueNums"] = filepath.Join(dir, set["listenPort"]), "2", "4"
		// Files that do not become more with each message.
		set["mappedFileSizeCommitLog"], set["mappedFileSizeConsumeQueue"], set["maxIndexNum"] = "67108864", "600000", "100000"
		o := w.options(set)
		o.Listen, o.Dial = new(net.ListenConfig).Listen, (&net.Dialer{Timeout: time.Second}).DialContext
		return o
	}
	first := target.FreePorts(t, 9)
	ports := [3]int{first + 2, first + 6, first + 8}
	o := free(map[string]string{"brokerRole": "SYNC_MASTER", "listenPort": fmt.Sprint(ports[0]), "namesrvAddr": fmt.Sprint("127.0.0.1:", ports[2])})
	o.Namesrv.Port = ports[2]
	a := w.start(o)
	o = free(map[string]string{"brokerRole": "SLAVE", "brokerId": "1", "listenPort": fmt.Sprint(ports[1]), "namesrvAddr": fmt.Sprint("127.0.0.1:", ports[2])})
	o.Namesrv = nil
	b := w.start(o)
	nodes := [2]*Node{a, b}
	client := func() *caller {
		c := remoting.NewClient(remoting.ClientOptions{})
		t.Cleanup(c.Close)
		return &caller{t, c}
	}
	must(t, b.Become(t.Context(), Role{Kind: Slave, ID: 1, MasterHA: fmt.Sprint("127.0.0.1:", ports[0]+1)}))
	c := client()
	for i := 0; c.send(a.BrokerAddr(), "load", 0, 0).Code != 0 && i < 100; i++ {
		time.Sleep(50 * time.Millisecond)
	}
	for range 300 { // the table of topics
		if _, err := b.broker.now().core.Topic(t.Context(), "load"); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	addrs := [2]string{a.BrokerAddr(), b.BrokerAddr()}
	var master atomic.Pointer[string]
	master.Store(&addrs[0])
	end := load(t, &master, client)
	var took []time.Duration
	var files, routines int
	const rounds = 17 // of three changes
	for i := range rounds {
		time.Sleep(50 * time.Millisecond)
		from, to := nodes[i%2], nodes[1-i%2]
		change := func(n *Node, r Role) {
			began := time.Now()
			must(t, n.Become(context.Background(), r))
			took = append(took, time.Since(began))
		}
		change(from, Role{Kind: Fenced, ID: -1, Why: "it hands over"})
		for log := from.broker.now().store.Appended(); to.broker.now().store.Appended() < log; {
			time.Sleep(time.Millisecond)
		}
		change(to, Role{Kind: SyncMaster})
		master.Store(&addrs[1-i%2])
		change(from, Role{Kind: Slave, ID: 1, MasterHA: fmt.Sprint("127.0.0.1:", ports[1-i%2]+1)})
		if i == 2 {
			time.Sleep(time.Second)
			files, routines = steady(func() int { return descriptors(t) }), steady(runtime.NumGoroutine)
		}
	}
	time.Sleep(time.Second)
	if n := steady(func() int { return descriptors(t) }); n > files+8 {
		t.Errorf("%d files are open after %d changes, %d were after 9", n, len(took), files)
	}
	if n := steady(runtime.NumGoroutine); n > routines+20 {
		t.Errorf("%d goroutines after %d changes, %d after 9", n, len(took), routines)
	}
	slices.Sort(took)
	t.Logf("%d messages, a change took %v in the middle, %v at most", end(), took[len(took)/2], took[len(took)-1])
	must(t, b.Shutdown(t.Context()))
	must(t, a.Shutdown(t.Context()))
}
