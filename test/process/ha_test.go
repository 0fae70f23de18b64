package process

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/test/history"
)

// site runs the files of docs/operations/high-availability.md: each machine has an address of its own on the loopback.
type site struct {
	t     *testing.T
	net   string // what stands for 10.0.0.
	dir   string
	files map[string]file
	procs map[string]*target.Process // by machine, the last number of the address
}

type file struct{ role, text string }

var fileBlock = regexp.MustCompile("(?s)```\n# ([a-z-]+\\.conf): cometmq ([a-z]+) -c ([a-z-]+\\.conf)\n(.*?)```")

func newSite(t *testing.T) *site {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations", "high-availability.md"))
	must(t, err)
	s := &site{
		t: t, net: fmt.Sprintf("127.%d.%d.", 1+rand.IntN(254), 1+rand.IntN(254)), dir: t.TempDir(), files: map[string]file{}, procs: map[string]*target.Process{},
	}
	for _, m := range fileBlock.FindAllStringSubmatch(string(text), -1) {
		if m[1] != m[3] {
			t.Errorf("the command for %s names %s", m[1], m[3])
		}
		s.files[m[1]] = file{m[2], m[4]}
	}
	if len(s.files) != 9 {
		t.Errorf("%d files in the page", len(s.files))
	}
	return s
}

func (s *site) addr(machine string, port int) string {
	return fmt.Sprintf("%s%s:%d", s.net, machine, port)
}

// start starts a file on a machine, with some texts replaced; port is where it listens.
func (s *site) start(name, machine string, port int, replace ...string) {
	s.t.Helper()
	f, ok := s.files[name]
	if !ok {
		s.t.Fatalf("no file %s in the page", name)
	}
	dir := filepath.Join(s.dir, machine)
	must(s.t, os.MkdirAll(dir, 0o755))
	text := strings.NewReplacer(replace...).Replace(f.text)
	text = strings.NewReplacer("10.0.0.", s.net, "/var/lib/cometmq", dir).Replace(text)
	conf := filepath.Join(dir, name)
	must(s.t, os.WriteFile(conf, []byte(text), 0o644))
	s.procs[machine] = target.Run(s.t, target.Server{Kind: target.Ours, Role: f.role, Conf: conf, Log: filepath.Join(dir, f.role+".log")})
	s.procs[machine].WaitPort(s.addr(machine, port), 60*time.Second)
}

// until waits for cond.
func (s *site) until(most time.Duration, what string, cond func() bool) time.Duration {
	s.t.Helper()
	begun := time.Now()
	for !cond() {
		if time.Since(begun) > most {
			s.t.Fatalf("after %v not: %s", most, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begun)
}

// try sends one message to a broker and returns the code of the answer, -1 when there is none.
func (s *site) try(machine, body string) int32 {
	c, err := bench.Dial(s.t.Context(), nil, s.addr(machine, 10911), protocol.JSON)
	if err != nil {
		return -1
	}
	defer c.Close()
	r, err := c.Call(protocol.ReqSendMessageV2, &protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "p", Topic: "orders", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, MaxReconsumeTimes: -1,
	}, []byte(body))
	if err != nil {
		return -1
	}
	return r.Code
}

func (s *site) route(topic string) (r bench.Route, ok bool) {
	r, err := bench.RouteOf(s.t.Context(), nil, s.addr("1", 9876), topic)
	return r, err == nil
}

// read is what a broker shows of the topic; nothing when it does not know it yet.
func (s *site) read(machine string) (out []string) {
	s.t.Helper()
	c := dial(s.t, s.addr(machine, 10911))
	defer c.Close()
	history.CaughtUp(c)
	_ = c.ReadAll("orders", 0, func(_ int64, rec []byte) error {
		b, err := bench.Body(rec)
		out = append(out, string(b))
		return err
	})
	return out
}

func TestPageMasterAndSlaves(t *testing.T) {
	s := newSite(t)
	s.start("namesrv.conf", "1", 9876)
	s.start("master.conf", "2", 10911)
	s.start("slave.conf", "3", 10911)
	if code := s.try("2", "one"); code != protocol.RespSuccess {
		t.Errorf("a send to a master that waits for nobody: %d", code)
	}
	must(t, s.procs["2"].Stop(60*time.Second))
	s.start("sync-master.conf", "2", 10911)
	s.until(60*time.Second, "sends wait for the slave", func() bool { return s.try("2", "two") == protocol.RespSuccess })
	s.procs["3"].Kill()
	if code := s.try("2", "three"); code != protocol.RespFlushSlaveTimeout {
		t.Errorf("a send without the slave: %d", code)
	}
	s.start("slave.conf", "3", 10911)
	s.until(60*time.Second, "the slave has everything", func() bool { return s.try("2", "four") == protocol.RespSuccess })
	// The queues and the tables follow the log.
	s.until(60*time.Second, "the slave shows the messages", func() bool { return slices.Contains(s.read("3"), "four") })
	s.procs["2"].Kill()
	s.until(60*time.Second, "consumers are sent to the slave", func() bool {
		r, ok := s.route("orders")
		return ok && len(r.Write) == 0 || ok && r.Write[0].Addr != s.addr("2", 10911)
	})
	if got := s.read("3"); !slices.Contains(got, "one") || got[len(got)-1] != "four" {
		t.Errorf("the slave has %q", got)
	}
	if code := s.try("3", "five"); code != protocol.RespServiceNotAvailable {
		t.Errorf("a send to the slave: %d", code)
	}
}

func TestPageActingMaster(t *testing.T) {
	s := newSite(t)
	s.start("acting-namesrv.conf", "1", 9876)
	s.start("acting-master.conf", "2", 10911)
	s.start("acting-slave.conf", "3", 10911)
	s.until(60*time.Second, "sends wait for the slave", func() bool { return s.try("2", "one") == protocol.RespSuccess })
	s.until(60*time.Second, "both are known", func() bool { r, ok := s.route("orders"); return ok && len(r.Write) > 0 })
	s.until(60*time.Second, "the slave shows the message", func() bool { return slices.Contains(s.read("3"), "one") })
	s.procs["2"].Kill()
	took := s.until(60*time.Second, "the slave stands for the master", func() bool {
		r, ok := s.route("orders")
		return ok && len(r.Write) == 0 && strings.Contains(fmt.Sprintf("%+v", r), s.addr("3", 10911))
	})
	t.Logf("the slave acts after %v", took)
	if got := s.read("3"); !slices.Contains(got, "one") {
		t.Errorf("the slave has %q", got)
	}
	s.start("acting-master.conf", "2", 10911)
	s.until(60*time.Second, "the master is back", func() bool {
		r, ok := s.route("orders")
		return ok && len(r.Write) > 0 && r.Write[0].Addr == s.addr("2", 10911)
	})
	s.until(60*time.Second, "it takes messages", func() bool { return s.try("2", "two") == protocol.RespSuccess })
}

func TestPageControllers(t *testing.T) {
	s := newSite(t)
	s.start("namesrv.conf", "1", 9876)
	for i, m := range []string{"5", "6", "7"} {
		s.start("controller.conf", m, 9878, "SelfId = n0", fmt.Sprint("SelfId = n", i), "bindAddress = 10.0.0.5", "bindAddress = 10.0.0."+m)
	}
	brokers := []string{"2", "3", "4"}
	begin := func(m string) {
		r := []string{}
		for _, k := range []string{"bindAddress", "brokerIP1", "brokerIP2"} {
			r = append(r, k+" = 10.0.0.2", k+" = 10.0.0."+m)
		}
		s.start("member.conf", m, 10911, r...)
	}
	for _, m := range brokers {
		begin(m)
	}
	sent, acked := 0, []string{}
	// takes returns who acknowledges a message, "" for none; each is given a new one.
	takes := func() string {
		for _, m := range brokers {
			sent++
			if body := fmt.Sprint("m", sent); s.try(m, body) == protocol.RespSuccess {
				acked = append(acked, body)
				return m
			}
		}
		return ""
	}
	master := ""
	took := s.until(60*time.Second, "a master takes messages", func() bool { master = takes(); return master != "" })
	t.Logf("the first message is taken %v after the last broker began", took)
	var outages []time.Duration
	for range 5 {
		for range 50 {
			takes()
		}
		time.Sleep(3 * time.Second) // all are in sync
		s.procs[master].Kill()
		old := master
		outages = append(outages, s.until(60*time.Second, "another master takes messages", func() bool { master = takes(); return master != "" }))
		if master == old {
			t.Error("a dead broker takes messages")
		}
		begin(old)
	}
	slices.Sort(outages)
	t.Logf("messages are taken again after: %v", outages)
	if most := outages[len(outages)-1]; most > 30*time.Second { // about one on a machine that has nothing else to do
		t.Errorf("no message was taken for %v", most)
	}
	have := s.read(master)
	for _, b := range acked {
		if !slices.Contains(have, b) {
			t.Errorf("%s was acknowledged and is gone", b)
		}
	}
	s.until(60*time.Second, "the name server knows the master", func() bool {
		r, ok := s.route("orders")
		return ok && len(r.Write) > 0 && r.Write[0].Addr == s.addr(master, 10911)
	})
}
