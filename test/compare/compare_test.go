//go:build compare

package compare

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

var (
	rounds = flag.Int("rounds", 3, "how often each side runs each load")
	secs   = flag.Float64("secs", 10, "seconds of a load")
	only   = flag.String("only", "", "run only the scenarios whose name matches this regular expression")
	keep   = flag.String("keep", "", "file with the figures of earlier runs, which count with those of this one")
	write  = flag.String("write", "", "file to write the table to")
	big    = flag.Int64("big", 10_000_000, "messages of the long queue")
	touch  = flag.Int("touch", 6, "GiB of memory to touch before each run that writes much")
)

// side is one server under load.
type side struct {
	*target.Cluster
	tb   testing.TB
	kind string
}

func (s *side) pid() int { return s.Brokers[0].PID() }

// settle writes down what earlier runs left in memory and frees the blocks of the files that they removed, so that the disk of the
// next run is not busy with them.
func settle() {
	unix.Sync()
	time.Sleep(time.Second) // freed blocks are given back behind the sync
	unix.Sync()
}

// touchMemory makes the machine give memory to this system before a measurement instead of during it: a virtual machine
// hands free pages back to its host, and the first use of each of them then costs whoever comes first, in the page cache,
// several times the copy of a message.
func touchMemory() {
	const chunk = 1 << 30
	var held [][]byte
	for range *touch {
		b, err := unix.Mmap(-1, 0, chunk, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
		if err != nil {
			break // less will do
		}
		held = append(held, b)
	}
	for _, b := range held {
		_ = unix.Munmap(b)
	}
}

// start runs a cluster of one broker on an empty store.
func start(tb testing.TB, kind string, conf map[string]string) *side {
	tb.Helper()
	return startOn(tb, kind, conf, nil, nil)
}

// startOn is start on a store that prepare has filled, with what else is started before messages can be accepted.
func startOn(tb testing.TB, kind string, conf map[string]string, prepare func(store string), more func(s *side)) *side {
	tb.Helper()
	base := os.Getenv("COMPARE_DIR")           // the disk to measure on
	dir, err := os.MkdirTemp(base, "compare-") //nolint:usetesting // base may be another disk
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	s := &side{tb: tb, kind: kind}
	s.Cluster = target.New(tb, target.Options{Kind: target.Kind(kind), Dir: dir, Conf: conf, Heap: "4g", Full: true, Prepare: prepare})
	if more != nil {
		more(s)
	}
	s.ready()
	return s
}

// ready waits until a send is accepted.
func (s *side) ready() {
	s.tb.Helper()
	end := time.Now().Add(60 * time.Second)
	for {
		_, err := bench.Produce(context.Background(), bench.Options{Broker: s.Addrs[0], Topic: "warm", Queues: 1, Conns: 1, Count: 1, Size: 16, Create: true})
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.tb.Fatalf("%s accepts nothing: %v\n%s", s.kind, err, s.Brokers[0].Log())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *side) end() {
	for _, b := range s.Brokers {
		b.Kill()
	}
	s.Namesrv.Kill()
	os.RemoveAll(s.Dir)
}

// result is what a scenario measured: figures by name.
type result map[string]float64

type scenario struct {
	name string
	// run measures one side and must leave nothing running.
	run func(tb testing.TB, kind string) result
	// ceiling, if set, measures the program without a broker's work.
	ceiling func(tb testing.TB) result
	rows    []row
	rounds  int // 0 = the flag
	// memory: the load writes gigabytes, so memory is touched before it.
	memory bool
	// oursOnly: there is nothing to compare with.
	oursOnly bool
}

// row is one line of the table: a figure of both sides and the goal for their ratio.
type row struct {
	what   string
	figure string
	unit   string
	goal   string
	// better is the ratio to look at: ours/java, or java/ours when small is good.
	lowIsGood bool
	// oursOnly has an absolute goal.
	oursOnly bool
}

func TestCompare(t *testing.T) {
	if os.Getenv(ceilingEnv) != "" {
		t.Skip("this process is the ceiling program")
	}
	target.NeedJava(t, "server-5.5.0")
	rep := newReport()
	if err := rep.load(*keep); err != nil {
		t.Fatal(err)
	}
	pick := regexp.MustCompile(*only)
	for _, sc := range scenarios() {
		if !pick.MatchString(sc.name) {
			continue
		}
		n := sc.rounds
		if n == 0 {
			n = *rounds
		}
		for i := range n {
			for _, kind := range []string{"java", "ours"} {
				if sc.oursOnly && kind == "java" {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%d", sc.name, kind, i+1), func(t *testing.T) {
					settle()
					if sc.memory {
						touchMemory()
					}
					r := sc.run(t, kind)
					rep.add(sc.name, kind, r)
					t.Logf("%v", r)
				})
			}
			if sc.ceiling != nil {
				t.Run(fmt.Sprintf("%s/ceiling/%d", sc.name, i+1), func(t *testing.T) {
					settle()
					touchMemory()
					r := sc.ceiling(t)
					rep.add(sc.name, "ceiling", r)
					t.Logf("%v", r)
				})
			}
		}
		if err := rep.save(*keep); err != nil {
			t.Fatal(err)
		}
		if *write != "" {
			if err := os.WriteFile(filepath.Clean(*write), []byte(rep.text()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	fmt.Fprint(os.Stderr, rep.text())
}
