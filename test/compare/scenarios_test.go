//go:build compare

package compare

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/testkit/target"
)

func loadTime() time.Duration { return time.Duration(*secs * float64(time.Second)) }

// procCPU is the processor time of a process so far, in seconds; procRSS its resident memory in MB.
func procCPU(pid int) float64 {
	f := strings.Fields(stat0(pid))
	if len(f) < 13 {
		return 0
	}
	u, _ := strconv.ParseFloat(f[11], 64)
	s, _ := strconv.ParseFloat(f[12], 64)
	return (u + s) / 100
}

func procRSS(pid int) float64 {
	f := strings.Fields(stat0(pid))
	if len(f) < 22 {
		return 0
	}
	p, _ := strconv.ParseFloat(f[21], 64)
	return p * float64(os.Getpagesize()) / 1e6
}

func stat0(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return rest
}

// must runs a load; an error of the load is the run's.
func must(tb testing.TB, r *bench.Report, err error) *bench.Report {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// warmUp gives a JVM time to compile: some hundred thousand messages, 12 s.
func warmUp(tb testing.TB, s *side, o bench.Options) {
	tb.Helper()
	o.Broker, o.Topic, o.Create, o.Count, o.Rate, o.Window, o.Conns = s.Addrs[0], "warm8", true, 0, 0, 256, 4
	o.Duration = 3 * time.Second
	if s.kind == "java" {
		o.Duration = 12 * time.Second
	}
	must(tb, first(bench.Produce(context.Background(), o)), nil)
}

func first(r *bench.Report, err error) *bench.Report {
	if err != nil && r == nil {
		panic(err)
	}
	return r
}

// produced runs a produce load and adds CPU per message and memory.
func produced(tb testing.TB, addr string, pid int, o bench.Options) result {
	tb.Helper()
	o.Broker = addr
	cpu := procCPU(pid)
	r := must(tb, first(bench.Produce(context.Background(), o)), nil)
	used := procCPU(pid) - cpu
	if r.Failed > 0 {
		tb.Logf("%d of %d sends were refused", r.Failed, r.Failed+r.Messages)
	}
	return result{
		"rate": r.PerSec, "cpu_us": used * 1e6 / max(1, float64(r.Messages)), "rss": procRSS(pid), "p99": r.P99, "p999": r.P999, "p50": r.P50,
	}
}

func produceScenario(name, what, goal string, o bench.Options, conf map[string]string, warm, withCeiling bool, more ...row) scenario {
	sc := scenario{name: name, memory: o.Rate == 0, rows: append([]row{{what: what, figure: "rate", unit: "msg/s", goal: goal}}, more...)}
	sc.run = func(tb testing.TB, kind string) result {
		tb.Helper()
		s := start(tb, kind, conf)
		defer s.end()
		if warm {
			warmUp(tb, s, o)
		}
		o.Create, o.Topic, o.Duration = true, "load", loadTime()
		return produced(tb, s.Addrs[0], s.pid(), o)
	}
	if withCeiling {
		sc.ceiling = func(tb testing.TB) result {
			tb.Helper()
			addr, pid := startCeiling(tb)
			o.Create, o.Topic, o.Duration = false, "load", loadTime()
			return produced(tb, addr, pid, o)
		}
	}
	return sc
}

func consumeScenario(name, what, goal string, size, queues int, fill int64) scenario {
	return scenario{
		name: name, memory: true, rows: []row{{what: what, figure: "rate", unit: "msg/s", goal: goal}},
		run: func(tb testing.TB, kind string) result {
			tb.Helper()
			s := start(tb, kind, nil)
			defer s.end()
			o := bench.Options{Broker: s.Addrs[0], Topic: "drain", Queues: queues, Size: size, Batch: 32, Window: 16, Count: fill, Create: true, Conns: 2}
			must(tb, first(bench.Produce(context.Background(), o)), nil)
			if kind == "java" { // compile the read path
				must(tb, first(bench.Consume(context.Background(), bench.Options{Broker: s.Addrs[0], Topic: "drain", Queues: queues, Size: size})), nil)
			}
			cpu := procCPU(s.pid())
			r := must(tb, first(bench.Consume(context.Background(), bench.Options{Broker: s.Addrs[0], Topic: "drain", Queues: queues, Size: size})), nil)
			return result{"rate": r.PerSec, "cpu_us": (procCPU(s.pid()) - cpu) * 1e6 / max(1, float64(r.Messages)), "rss": procRSS(s.pid())}
		},
	}
}

// transactScenario sends half messages and commits them, with many in flight.
func transactScenario() scenario {
	return scenario{
		name: "transactions", memory: true,
		rows: []row{{what: "transactions: half message and commit, 1 KiB, 1,024 in flight", figure: "rate", unit: "tx/s", goal: ">= 10 x"}},
		run: func(tb testing.TB, kind string) result {
			tb.Helper()
			s := start(tb, kind, nil)
			defer s.end()
			o := bench.Options{Broker: s.Addrs[0], Topic: "tx", Queues: 8, Size: 1024, Conns: 4, Window: 256, Create: true, Duration: 3 * time.Second}
			if kind == "java" { // compile
				o.Duration = 12 * time.Second
			}
			must(tb, first(bench.Transact(context.Background(), o)), nil)
			o.Duration = loadTime()
			cpu := procCPU(s.pid())
			r := must(tb, first(bench.Transact(context.Background(), o)), nil)
			if r.Failed > 0 {
				tb.Logf("%d of %d transactions failed", r.Failed, r.Failed+r.Messages)
			}
			return result{"rate": r.PerSec, "cpu_us": (procCPU(s.pid()) - cpu) * 1e6 / max(1, float64(r.Messages)), "rss": procRSS(s.pid())}
		},
	}
}

// popScenario pops what is there and acknowledges each message by itself, with many of both in flight.
func popScenario() scenario {
	return scenario{
		name: "pop", memory: true,
		rows: []row{{what: "pop and ack of each message, 1 KiB, eight queues", figure: "rate", unit: "msg/s", goal: ">= 5 x"}},
		run: func(tb testing.TB, kind string) result {
			tb.Helper()
			s := start(tb, kind, nil)
			defer s.end()
			o := bench.Options{Broker: s.Addrs[0], Topic: "pop", Queues: 8, Size: 1024, Conns: 4, Window: 256, Create: true, Count: 2_000_000}
			if kind == "java" {
				o.Count = 300_000
			}
			must(tb, first(bench.Produce(context.Background(), o)), nil)
			o.Count, o.Group, o.Duration = 0, "warm", 2*time.Second
			if kind == "java" { // compile
				o.Duration = 10 * time.Second
			}
			must(tb, first(bench.Pop(context.Background(), o)), nil)
			o.Group, o.Duration = "measured", loadTime()
			cpu := procCPU(s.pid())
			r := must(tb, first(bench.Pop(context.Background(), o)), nil)
			if r.Failed > 0 {
				tb.Errorf("%d acknowledgements failed", r.Failed)
			}
			return result{"rate": r.PerSec, "cpu_us": (procCPU(s.pid()) - cpu) * 1e6 / max(1, float64(r.Messages)), "rss": procRSS(s.pid())}
		},
	}
}

func e2eScenario(rate float64) scenario {
	return scenario{
		name: fmt.Sprintf("e2e %g", rate),
		rows: []row{
			{what: fmt.Sprintf("end to end at %g msg/s, open loop: p50", rate), figure: "p50", unit: "us", goal: "", lowIsGood: true},
			{what: fmt.Sprintf("end to end at %g msg/s, open loop: p99", rate), figure: "p99", unit: "us", goal: "<= 0.2 x", lowIsGood: true},
			{what: fmt.Sprintf("end to end at %g msg/s, open loop: p99.9", rate), figure: "p999", unit: "us", goal: "<= 0.2 x", lowIsGood: true},
		},
		run: func(tb testing.TB, kind string) result {
			tb.Helper()
			s := start(tb, kind, nil)
			defer s.end()
			o := bench.Options{Broker: s.Addrs[0], Topic: "e2e", Queues: 4, Size: 1024, Rate: rate, Create: true, Duration: loadTime() + 5*time.Second}
			if kind == "java" {
				warmUp(tb, s, bench.Options{Queues: 8, Size: 1024})
				must(tb, first(bench.EndToEnd(context.Background(), o)), nil)
			}
			cpu := procCPU(s.pid())
			r := must(tb, first(bench.EndToEnd(context.Background(), o)), nil)
			return result{"p50": r.P50, "p99": r.P99, "p999": r.P999, "cpu_us": (procCPU(s.pid()) - cpu) * 1e6 / max(1, float64(r.Messages))}
		},
	}
}

func syncScenario(window int, goal string) scenario {
	conns := max(1, window/64)
	return produceScenario(fmt.Sprintf("sync %d", window), fmt.Sprintf("sync flush, %d in flight, 1 KiB", window), goal,
		bench.Options{Size: 1024, Queues: 8, Conns: conns, Window: window / conns}, map[string]string{"flushDiskType": "SYNC_FLUSH"}, false, false)
}

// replicated sends to a master that answers when its slave has the message; ours also to one that has none and waits for none.
func replicated() scenario {
	conf := map[string]string{"brokerRole": "SYNC_MASTER", "inSyncReplicas": "2"}
	load := bench.Options{Size: 1024, Queues: 8, Conns: 4, Window: 64, Topic: "load", Create: true}
	return scenario{
		name: "replicated", memory: true,
		rows: []row{
			{what: "sends with one slave acknowledging (SYNC_MASTER, inSyncReplicas=2), 256 in flight, 1 KiB", figure: "rate", unit: "msg/s", goal: ">= 10 x"},
			{what: "the same / our own without a slave", figure: "share", goal: ">= 0.5", oursOnly: true},
			{what: "its p99", figure: "p99", unit: "us", goal: "", lowIsGood: true},
		},
		run: func(tb testing.TB, kind string) result {
			tb.Helper()
			alone := 0.0
			if kind == "ours" {
				s := start(tb, kind, nil)
				o := load
				o.Duration = loadTime()
				alone = produced(tb, s.Addrs[0], s.pid(), o)["rate"]
				s.end()
			}
			s := startOn(tb, kind, conf, nil, func(s *side) {
				registered(tb, s.NS)
				s.Slave(tb, target.Options{Kind: target.Kind(kind), Heap: "2g", Full: true}, 1)
			})
			defer s.end()
			connected(tb, s)
			warmUp(tb, s, load)
			o := load
			o.Duration = loadTime()
			r := produced(tb, s.Addrs[0], s.pid(), o)
			if alone > 0 {
				r["share"] = r["rate"] / alone
			}
			return r
		},
	}
}

// connected waits until a send is acknowledged, which takes the slave.
func connected(tb testing.TB, s *side) {
	tb.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		r, err := bench.Produce(context.Background(), bench.Options{Broker: s.Addrs[0], Topic: "warm", Queues: 1, Conns: 1, Count: 1, Size: 16, Create: true})
		if err == nil && r.Messages == 1 {
			return
		}
		if time.Now().After(end) {
			tb.Fatalf("the slave does not acknowledge: %v\n%s", err, s.Brokers[1].Log())
		}
	}
}

// registered waits until the name server knows the master: from it a slave that starts learns where it is.
func registered(tb testing.TB, ns string) {
	tb.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r, err := bench.RouteOf(tb.Context(), nil, ns, "TBW102")
		if err == nil && len(r.Write) > 0 {
			return
		}
		if time.Now().After(end) {
			tb.Fatalf("the master has not registered: %v", err)
		}
	}
}

var benchRate = regexp.MustCompile(`Send TPS: +(\d+)`)

// official is one of Java's own benchmarks, which takes most of the processor itself.
func official(name, class, size, threads, unit string) scenario {
	return scenario{
		name: name,
		rows: []row{{
			what: "official Java benchmark " + class + ", " + size + " B, " + threads + " threads", figure: "rate", unit: unit, goal: ">= 1.5 x",
		}},
		run: func(tb testing.TB, kind string) result {
			tb.Helper()
			s := start(tb, kind, nil)
			defer s.end()
			home := tb.TempDir()
			ctx, cancel := context.WithTimeout(context.Background(), loadTime()+25*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, "java", "-Xmx1g", "-Duser.home="+home, "-Drocketmq.client.logRoot="+home, "-cp", target.NeedJava(tb, "server-5.5.0"),
				"org.apache.rocketmq.example.benchmark."+class, "-n", s.NS, "-t", "BenchmarkTest", "-s", size, "-w", threads)
			out, _ := cmd.CombinedOutput() // ended by the deadline
			var rates []float64
			for _, m := range benchRate.FindAllStringSubmatch(string(out), -1) {
				v, _ := strconv.ParseFloat(m[1], 64)
				rates = append(rates, v)
			}
			if len(rates) == 0 {
				tb.Fatalf("no rate in\n%s", out)
			}
			return result{"rate": rates[len(rates)-1]}
		},
	}
}

// idle starts everything in one process (ours) or name server and broker (Java) and looks at memory and processor time.
func idle() scenario {
	return scenario{
		name: "idle",
		rows: []row{
			{what: "exec of name server + broker to the first acknowledged message", figure: "first_ms", unit: "ms", goal: "<= 150 ms", lowIsGood: true},
			{what: "resident memory idle, name server + broker", figure: "rss", unit: "MB", goal: "<= 40 MB", lowIsGood: true},
			{what: "processor used when idle", figure: "cpu_percent", unit: "% of a core", goal: "<= 0.5 %", lowIsGood: true, oursOnly: true},
		},
		run: func(tb testing.TB, kind string) result {
			tb.Helper()
			t0 := time.Now()
			s := start(tb, kind, nil)
			defer s.end()
			ms := float64(time.Since(t0).Microseconds()) / 1000
			time.Sleep(5 * time.Second)
			pids := []int{s.pid(), s.Namesrv.PID()}
			cpu, rss := 0.0, 0.0
			for _, p := range pids {
				cpu -= procCPU(p)
				rss += procRSS(p)
			}
			time.Sleep(20 * time.Second)
			for _, p := range pids {
				cpu += procCPU(p)
			}
			return result{"first_ms": ms, "rss": rss, "cpu_percent": cpu / 20 * 100}
		},
	}
}

// longQueue fills one queue, drains it while a producer runs, and restarts with that backlog.
func longQueue() scenario {
	return scenario{
		name: "long queue", rounds: 1, memory: true,
		rows: []row{
			{what: fmt.Sprintf("%d messages of 128 B in one queue: drained beside a producer of 2,000 msg/s", *big), figure: "drain", unit: "msg/s", goal: ">= 5 x"},
			{what: "its p99 during the drain", figure: "p99_busy", unit: "us", goal: "<= 2 x without", lowIsGood: true},
			{what: "its p99 without the drain", figure: "p99_alone", unit: "us", goal: "", lowIsGood: true},
			{what: "resident memory during it", figure: "rss", unit: "MB", goal: "<= 300 MB", lowIsGood: true},
			{what: "restart to first acknowledgement, clean stop", figure: "clean_ms", unit: "ms", goal: "<= 1 s", lowIsGood: true},
			{what: "restart to first acknowledgement, kill -9", figure: "kill_ms", unit: "ms", goal: "<= 2 s", lowIsGood: true},
		},
		run: func(tb testing.TB, kind string) result {
			tb.Helper()
			s := start(tb, kind, nil)
			defer s.end()
			ctx := context.Background()
			fill := bench.Options{Broker: s.Addrs[0], Topic: "long", Queues: 1, Size: 128, Batch: 32, Window: 32, Conns: 2, Count: *big, Create: true}
			must(tb, first(bench.Produce(ctx, fill)), nil)
			paced := bench.Options{Broker: s.Addrs[0], Topic: "paced", Queues: 4, Size: 128, Conns: 1, Rate: 2000, Create: true, Duration: 10 * time.Second}
			must(tb, first(bench.Produce(ctx, paced)), nil)
			alone := must(tb, first(bench.Produce(ctx, paced)), nil)
			busy := make(chan *bench.Report, 1)
			stopped, stop := context.WithCancel(ctx)
			go func() {
				o := paced
				o.Duration = 5 * time.Minute
				r, _ := bench.Produce(stopped, o)
				busy <- r
			}()
			r := must(tb, first(bench.Consume(ctx, bench.Options{Broker: s.Addrs[0], Topic: "long", Queues: 1, Size: 128})), nil)
			rss := procRSS(s.pid())
			stop()
			b := <-busy
			res := result{"drain": r.PerSec, "p99_alone": alone.P99, "p99_busy": b.P99, "rss": rss}
			t := time.Now()
			if err := s.Brokers[0].Stop(2 * time.Minute); err != nil {
				tb.Logf("stop: %v", err)
			}
			tb.Logf("stopped in %v", time.Since(t))
			for _, how := range []string{"clean_ms", "kill_ms"} {
				t := time.Now()
				s.Brokers[0].Start()
				s.ready()
				res[how] = float64(time.Since(t).Microseconds()) / 1000
				must(tb, first(bench.Produce(ctx, bench.Options{Broker: s.Addrs[0], Topic: "paced", Queues: 4, Size: 128, Duration: 2 * time.Second})), nil)
				s.Brokers[0].Kill()
			}
			return res
		},
	}
}

// manyTopics spreads a load over 10,000 topics with 8 queues and restarts. The topics are in topics.json before the first
// start: Java takes minutes to create so many.
func manyTopics() scenario {
	return scenario{
		name: "many topics", rounds: 1, memory: true,
		rows: []row{
			{what: "10,000 topics x 8 queues: restart to first acknowledgement", figure: "start_ms", unit: "ms", goal: "<= 2 s", lowIsGood: true},
			{what: "produce over 10,000 topics / over one topic", figure: "share", unit: "", goal: ">= 0.8", oursOnly: true},
			{what: "produce over 10,000 topics, 1 KiB", figure: "rate", unit: "msg/s", goal: ""},
		},
		run: func(tb testing.TB, kind string) result {
			tb.Helper()
			const topics = 10_000
			s := startOn(tb, kind, nil, func(store string) {
				if err := writeTopics(filepath.Join(store, "config"), "many", topics, 8); err != nil {
					tb.Fatal(err)
				}
			}, nil)
			defer s.end()
			ctx := context.Background()
			warmUp(tb, s, bench.Options{Queues: 8, Size: 1024})
			o := bench.Options{Broker: s.Addrs[0], Topic: "one", Queues: 8, Size: 1024, Create: true, Duration: loadTime()}
			one := must(tb, first(bench.Produce(ctx, o)), nil)
			o.Topic, o.Topics, o.Create = "many", topics, false
			many := must(tb, first(bench.Produce(ctx, o)), nil)
			if err := s.Brokers[0].Stop(2 * time.Minute); err != nil {
				tb.Logf("stop: %v", err)
			}
			t := time.Now()
			s.Brokers[0].Start()
			s.ready()
			return result{"start_ms": float64(time.Since(t).Microseconds()) / 1000, "share": many.PerSec / one.PerSec, "rate": many.PerSec}
		},
	}
}

// writeTopics makes Java's topics.json with n topics, prefix-0 and on.
func writeTopics(dir, prefix string, n, queues int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(`{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":1700000000000},"topicConfigTable":{`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%[1]s-%[2]d":{"attributes":{},"order":false,"perm":6,"readQueueNums":%[3]d,"topicFilterType":"SINGLE_TAG",`+
			`"topicName":"%[1]s-%[2]d","topicSysFlag":0,"writeQueueNums":%[3]d}`, prefix, i, queues)
	}
	b.WriteString("}}")
	return os.WriteFile(filepath.Join(dir, "topics.json"), []byte(b.String()), 0o644)
}

var allocations = regexp.MustCompile(`([\d.]+) allocations for (?:(\d+) sends|a pull of (\d+) messages)`)

// allocated runs the tests that hold the allocations of the whole way, from socket to socket, and reports what they saw.
func allocated() scenario {
	return scenario{
		name: "allocations", rounds: 1, oursOnly: true,
		rows: []row{
			{what: "allocations a message on the send path, socket to socket, bursts of 64", figure: "send", goal: "0", oursOnly: true},
			{what: "allocations a message on the pull path, socket to socket", figure: "pull", goal: "0", oursOnly: true},
		},
		run: func(tb testing.TB, _ string) result {
			tb.Helper()
			out, err := exec.CommandContext(tb.Context(), "go", "test", "-count=1", "-v", "-run", "^TestAllocationsOf", "../../internal/api/remotingapi").CombinedOutput()
			if err != nil {
				tb.Fatalf("%v\n%s", err, out)
			}
			r := result{}
			for _, m := range allocations.FindAllStringSubmatch(string(out), -1) {
				per, what := m[2], "send"
				if per == "" {
					per, what = m[3], "pull"
				}
				n, _ := strconv.ParseFloat(m[1], 64)
				k, _ := strconv.ParseFloat(per, 64)
				r[what] = max(r[what], n/k)
			}
			if len(r) != 2 {
				tb.Fatalf("no figures in\n%s", out)
			}
			return r
		},
	}
}

func scenarios() []scenario {
	cpu := row{what: "broker CPU a message at that rate", figure: "cpu_us", unit: "us", goal: "<= 0.05 x", lowIsGood: true}
	rss := row{what: "resident memory under that load (broker)", figure: "rss", unit: "MB", goal: "<= 300 MB", lowIsGood: true}
	paced := produceScenario("paced", "paced 5,000 msg/s of 1 KiB", "", bench.Options{Size: 1024, Queues: 8, Rate: 5000}, nil, true, true,
		row{what: "broker CPU a message at a paced 5,000 msg/s", figure: "cpu_us", unit: "us", goal: "<= 0.25 x", lowIsGood: true})
	keyed := produceScenario("keyed", "the same with a key on each message", "", bench.Options{Size: 1024, Queues: 8, Props: "KEYS\x01order-4711\x02"}, nil, true, false)
	return []scenario{
		produceScenario("produce 1 KiB", "max produce, 1 KiB, 8 queues, async flush", ">= 20 x; >= 0.3 x ceiling", bench.Options{Size: 1024, Queues: 8}, nil, true, true, cpu, rss),
		produceScenario("produce 128 B", "max produce, 128 B, one queue, async flush", ">= 20 x; >= 0.3 x ceiling", bench.Options{Size: 128, Queues: 1}, nil, true, true, cpu),
		keyed, paced,
		produceScenario("batch", "batch of 32, 128 B", ">= 4 x", bench.Options{Size: 128, Queues: 8, Batch: 32, Window: 64}, nil, true, false),
		official("official producer", "Producer", "128", "64", "msg/s"),
		official("official transactions", "TransactionProducer", "1024", "32", "tx/s"), transactScenario(), popScenario(),
		replicated(), syncScenario(256, ">= 8 x"), syncScenario(64, ">= 8 x"), syncScenario(1, ">= 3 x"),
		consumeScenario("drain 1 KiB x1", "catch-up consume, 1 KiB, one queue", ">= 4 x", 1024, 1, 1_000_000),
		consumeScenario("drain 1 KiB x8", "catch-up consume, 1 KiB, eight queues", ">= 2.5 x", 1024, 8, 2_000_000),
		consumeScenario("drain 128 B x8", "catch-up consume, 128 B, eight queues", ">= 4 x", 128, 8, 6_000_000),
		e2eScenario(1000), e2eScenario(5000),
		idle(), longQueue(), manyTopics(), allocated(),
	}
}
