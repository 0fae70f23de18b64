//go:build peer

package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/membership/member"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/replication"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/internal/vfs"
)

// These tests speak AutoSwitchHA with Java's brokers from the test itself, one side at a time.

const autoSegment = 65536

// javaSet starts Java's name server with a controller in it and returns both addresses.
func javaSet(t *testing.T, dir, jars string) (ns, controller string) {
	t.Helper()
	port := target.FreePorts(t, 2)
	ns, controller = fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)
	p := target.Run(t, target.Server{
		Kind: target.Java, Set: jars, Role: "namesrv", Log: filepath.Join(dir, "namesrv.log"), Heap: "256m", Home: filepath.Join(dir, "namesrv-home"),
		Conf: target.WriteConf(t, filepath.Join(dir, "namesrv.conf"), map[string]string{
			"listenPort": fmt.Sprint(port), "bindAddress": "127.0.0.1", "kvConfigPath": filepath.Join(dir, "kvConfig.json"),
			"enableControllerInNamesrv": "true", "controllerDLegerGroup": "group1", "controllerDLegerPeers": "n0-" + controller,
			"controllerDLegerSelfId": "n0", "controllerStorePath": filepath.Join(dir, "controller"),
		}),
	})
	p.WaitPort(ns, 60*time.Second)
	p.WaitPort(controller, 60*time.Second)
	return ns, controller
}

// javaMember starts a Java broker in controller mode.
func javaMember(t *testing.T, dir, jars, ns, controller string, conf map[string]string) (p *target.Process, store, ha string) {
	t.Helper()
	port := target.FreePorts(t, 4) + 2
	store, ha = filepath.Join(dir, "store"), fmt.Sprintf("127.0.0.1:%d", port+1)
	lines := map[string]string{
		"brokerClusterName": "DefaultCluster", "brokerName": "broker-a", "brokerIP1": "127.0.0.1", "brokerIP2": "127.0.0.1", "bindAddress": "127.0.0.1",
		"listenPort": fmt.Sprint(port), "haListenPort": fmt.Sprint(port + 1), "namesrvAddr": ns, "autoCreateTopicEnable": "true",
		"storePathRootDir": store, "storePathCommitLog": filepath.Join(store, "commitlog"),
		"storePathEpochFile": filepath.Join(store, "epochFileCheckpoint"), "storePathBrokerIdentity": filepath.Join(store, "brokerIdentity"),
		"enableControllerMode": "true", "controllerAddr": controller, "mappedFileSizeCommitLog": fmt.Sprint(autoSegment),
	}
	maps.Copy(lines, conf)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p = target.Run(t, target.Server{
		Kind: target.Java, Set: jars, Role: "broker", Log: filepath.Join(dir, "broker.log"), Heap: "512m", Home: filepath.Join(dir, "home"),
		Conf: target.WriteConf(t, filepath.Join(dir, "broker.conf"), lines),
	})
	p.WaitPort(fmt.Sprintf("127.0.0.1:%d", port), 120*time.Second)
	return p, store, ha
}

// replica is a store of ours in the test's process.
type replica struct {
	dir    string
	store  *storage.Store
	epochs *replication.Epochs
	stop   context.CancelFunc
	done   chan error
}

func openReplica(t *testing.T, dir string, isCopy bool) *replica {
	t.Helper()
	s, err := storage.Open(vfs.OS(), storage.Options{
		Dir: dir, SegmentSize: autoSegment, IndexEnabled: true, IndexSlots: 1000, IndexCapacity: 2000,
		StoreHost: netip.MustParseAddrPort("127.0.0.1:10911"), Copy: isCopy, Log: testLog(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := replication.OpenEpochs(vfs.OS(), filepath.Join(dir, "epochFileCheckpoint"), testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	return &replica{dir: dir, store: s, epochs: e}
}

func testLog(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// run runs the store and what else there is until close.
func (r *replica) run(t *testing.T, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.done = cancel, make(chan error, 1)
	go func() {
		g, gctx := errgroup.WithContext(ctx)
		g.Go(func() error { return r.store.Run(gctx) })
		g.Go(func() error { return f(gctx) })
		r.done <- g.Wait()
	}()
	t.Cleanup(r.stop)
}

func (r *replica) close(t *testing.T) {
	t.Helper()
	r.stop()
	if err := <-r.done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := r.store.Close(); err != nil {
		t.Error(err)
	}
}

// waitFor waits until ok.
func waitFor(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", limit, what)
		}
	}
}

func epochText(t *testing.T, store string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(store, "epochFileCheckpoint"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// TestAutoSwitchSlaveOfJava copies the log of a Java master that was elected several times, first from the begin, later as it
// grows, also over a new election. Log and file of epochs are Java's, byte for byte.
func TestAutoSwitchSlaveOfJava(t *testing.T) {
	t.Parallel()
	for i, jars := range []string{"server-5.5.0", "server-5.3.3"} {
		t.Run(jars, func(t *testing.T) {
			variant(t, i)
			const client = "server-5.5.0"
			dir := t.TempDir()
			ns, controller := javaSet(t, dir, jars)
			p, store, ha := javaMember(t, filepath.Join(dir, "a"), jars, ns, controller, nil)
			cluster := &target.Cluster{NS: ns, Brokers: []*target.Process{p}}
			send := func(n int) {
				registered(t, cluster, "TBW102")
				want(t, javaClient(t, client, "send", ns, "auto", "g_auto", fmt.Sprint(n)), "ok", n)
			}
			again := func() { // restarted it is elected for a new epoch
				before := epochText(t, store)
				if err := p.Stop(60 * time.Second); err != nil {
					t.Fatal(err)
				}
				p.Start()
				waitFor(t, "a new epoch after "+before, 90*time.Second, func() bool { return epochText(t, store) != before })
			}
			send(150)
			again()
			send(150)

			var r *replica
			var sl *replication.SwitchSlave
			follow := func() {
				r = openReplica(t, filepath.Join(dir, "ours"), true)
				var err error
				sl, err = replication.NewSwitchSlave(replication.SwitchSlaveOptions{
					SlaveOptions: replication.SlaveOptions{Store: r.store, Log: testLog(t)}, Epochs: r.epochs, ID: 7,
				})
				if err != nil {
					t.Fatal(err)
				}
				sl.Follow(ha, 0)
				r.run(t, sl.Run)
			}
			same := func() {
				t.Helper()
				waitFor(t, "the log is Java's", 3*time.Minute, func() bool { return difference(t, store, r.dir) == "" })
				if a, b := epochText(t, store), epochText(t, r.dir); a != b {
					t.Errorf("epochs of Java %q, ours %q", a, b)
				}
				if !strings.HasPrefix(epochText(t, r.dir), fmt.Sprint(len(r.epochs.List()))) {
					t.Errorf("%v", r.epochs.List())
				}
			}
			follow()
			same()
			send(200)
			same()
			if st := sl.State(); st.Confirmed != st.End || len(st.Epochs) < 2 {
				t.Errorf("%+v", st)
			}
			again()
			send(50)
			same()
			r.close(t)
			send(50) // it goes on later
			follow()
			same()
			r.close(t)
			t.Logf("epochs: %q, log of %d files", epochText(t, store), len(logFiles(t, store)))
		})
	}
}

// seat is a broker in controller mode that can only be master and has nothing but its log.
type seat struct {
	t      *testing.T
	dir    string
	ha     string
	member *member.Member

	mu sync.Mutex // guards what follows
	r  *replica
	ma *replication.SwitchMaster
}

// BecomeMaster implements member.Engine.
func (s *seat) BecomeMaster(_ context.Context, term member.Term) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ma != nil {
		return nil
	}
	r := openReplica(s.t, s.dir, false)
	ma, err := replication.NewSwitchMaster(replication.SwitchMasterOptions{
		Store: r.store, Epochs: r.epochs, ID: term.Self, Epoch: term.Epoch, Set: term.InSync.IDs, SetEpoch: term.InSync.Epoch, AllAck: true,
		Log: testLog(s.t), Propose: func(ctx context.Context, set []int64) ([]int64, int32, error) {
			s.mu.Lock()
			known := s.ma.State().SetEpoch
			s.mu.Unlock()
			now, err := s.member.Propose(ctx, term.Epoch, member.SyncSet{IDs: set, Epoch: known})
			return now.IDs, now.Epoch, err
		},
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", s.ha)
	if err != nil {
		return err
	}
	r.run(s.t, func(ctx context.Context) error { return ma.Serve(ctx, l) })
	s.r, s.ma = r, ma
	return nil
}

// BecomeSlave implements member.Engine.
func (s *seat) BecomeSlave(context.Context, member.Term) error {
	return errors.New("this one can only be master")
}

// SetInSync implements member.Engine.
func (s *seat) SetInSync(set member.SyncSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ma.Adopt(set.IDs, set.Epoch)
}

// Fence implements member.Engine.
func (s *seat) Fence(string) {}

func (s *seat) master() *replication.SwitchMaster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ma
}

// put stores messages and returns where they end.
func (s *seat) put(n int) record.Offset {
	s.t.Helper()
	var b storage.Batch
	for i := range n {
		m := &record.Message{
			Topic: []byte("auto"), Body: fmt.Appendf(nil, "%d %s", i, strings.Repeat("b", i%700)), BornTime: time.Now().UnixMilli(),
			BornHost: netip.MustParseAddrPort("127.0.0.1:1234"), Props: record.Props("TAGS\x01a\x02KEYS\x01k\x02"),
		}
		if _, err := b.Add(s.r.store.Queue("auto", int32(i%4)), m); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := s.r.store.Append(&b); err != nil {
		s.t.Fatal(err)
	}
	return b.End()
}

// TestAutoSwitchMasterOfJava lets a Java broker be the slave of our master, under a Java controller, over several epochs. It comes
// into the sync-state set, and acknowledgements wait for it.
func TestAutoSwitchMasterOfJava(t *testing.T) {
	t.Parallel()
	const jars = "server-5.5.0"
	dir := t.TempDir()
	ns, controller := javaSet(t, dir, jars)
	port := target.FreePorts(t, 2)
	addr, ha := fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)

	sit := func() (s *seat, stop func()) {
		s = &seat{t: t, dir: filepath.Join(dir, "ours"), ha: ha}
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		client := remoting.NewClient(remoting.ClientOptions{Log: testLog(t)})
		var err error
		s.member, err = member.New(member.Options{
			Controllers: []string{controller}, Client: client, Engine: s, FS: vfs.OS(), IdentityFile: filepath.Join(s.dir, "brokerIdentity"),
			Cluster: "DefaultCluster", Name: "broker-a", Addr: addr, Log: testLog(t),
			Status: func() member.Status {
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.ma == nil {
					return member.Status{}
				}
				st := s.ma.State()
				return member.Status{Epoch: st.Epoch, MaxOffset: int64(st.End), Confirmed: int64(st.Confirmed)}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		reg := membership.New(membership.Options{
			NameServers: []string{ns}, Client: client, Cluster: "DefaultCluster", Name: "broker-a", ID: 0, Addr: addr, HAAddr: ha, Log: testLog(t),
			Topics: func() ([]mq.TopicConfig, mq.DataVersion) { return nil, mq.DataVersion{} },
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			g, gctx := errgroup.WithContext(ctx)
			g.Go(func() error { return s.member.Run(gctx) })
			g.Go(func() error { return reg.Run(gctx) })
			done <- g.Wait()
		}()
		waitFor(t, "this one is master", 2*time.Minute, func() bool { return s.master() != nil })
		return s, func() {
			cancel()
			<-done
			client.Close()
			s.r.close(t)
		}
	}
	for range 2 { // two epochs without anybody else
		s, stop := sit()
		s.put(150)
		stop()
		time.Sleep(time.Second)
	}
	s, stop := sit()
	s.put(100)
	_, store, _ := javaMember(t, filepath.Join(dir, "b"), jars, ns, controller, map[string]string{"inSyncReplicas": "1"})
	in := func(n int) func() bool {
		return func() bool { return len(s.master().State().Set) == n }
	}
	waitFor(t, "the Java broker is in the sync-state set", 120*time.Second, in(2))
	durable := func() {
		t.Helper()
		end := s.put(50)
		done := make(chan storage.Status, 1)
		a := &storage.Await{End: end, Replicas: 1, Deadline: time.Now().Add(time.Minute), Done: func(st storage.Status) { done <- st }}
		if s.r.store.AwaitDurable(a) {
			if st := <-done; st != storage.Durable {
				t.Fatalf("status %v, %+v", st, s.master().State())
			}
		} else if st := s.master().State(); st.Confirmed < end { // else the slave was quicker than this test
			t.Errorf("nobody was waited for: %+v", st)
		}
		if diff := difference(t, s.dir, store); diff != "" { // acknowledged: it is there
			t.Errorf("logs differ: %s", diff)
		}
		waitFor(t, "epochs are the same", time.Minute, func() bool { return epochText(t, s.dir) == epochText(t, store) })
	}
	durable()
	time.Sleep(6 * time.Second) // signs of life
	durable()
	t.Logf("epochs: %q, state %+v", epochText(t, store), s.master().State())
	stop()
}

// TestEpochFileInJava lets Java read files of epochs that ours wrote, add to them, and ours read them again.
func TestEpochFileInJava(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"2\n1060914517\n1-0\n3-328\n", "0\n0\n", ""} {
		path := filepath.Join(t.TempDir(), "epochFileCheckpoint")
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		open := func() *replication.Epochs {
			e, err := replication.OpenEpochs(vfs.OS(), path, testLog(t))
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		was := open().List()
		m := javaMain(t, "server-5.5.0", "EpochFile", path, "9", "5000")
		var want []any
		for i, x := range was {
			end := int64(math.MaxInt64)
			if i+1 < len(was) {
				end = int64(was[i+1].Start)
			}
			want = append(want, fmt.Sprintf("%d-%d-%d", x.Number, x.Start, end))
		}
		if m["read"] != true || m["added"] != true || fmt.Sprint(m["epochs"]) != fmt.Sprint(want) {
			t.Errorf("%q: Java read %v, want %v", text, m, want)
		}
		if got := open().List(); len(got) != len(was)+1 || got[len(was)] != (replication.Epoch{Number: 9, Start: 5000}) {
			t.Errorf("after Java has added to %q there is %v", text, got)
		}
	}
}
