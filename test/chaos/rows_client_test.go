package chaos

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/target"
	"github.com/cometmq/cometmq/test/history"
)

const (
	unmodified = "One broker, unmodified clients"
	promOnce   = "each acknowledged message is consumed at least once"
)

func clientRows() []row {
	return []row{
		{
			name: "java-client-kill", what: "kill -9 of the broker under the Java client 5.5.0: producer and push consumer", deployment: unmodified, promise: promOnce,
			keeps: true, times: 10, run: func(x *trial) { x.clients(javaApp, javaApp) },
		},
		{
			name: "go-client-kill", what: "the same with the Go client v2", deployment: unmodified, promise: promOnce,
			keeps: true, times: 10, run: func(x *trial) { x.clients(goApp, goApp) },
		},
		{
			name: "consumers-churn", what: "Java consumers of a group join and leave, one every 3 s, for a minute", deployment: unmodified, promise: promOnce,
			keeps: true, times: 20, run: churn,
		},
		{
			name: "java-consumer-kill", what: "Java consumer killed (-9) after its work and before its acknowledgement", deployment: unmodified, promise: promOnce,
			keeps: true, times: 5, run: func(x *trial) { x.consumersKilled(javaApp) },
		},
		{
			name: "go-consumer-kill", what: "the same with the Go client v2", deployment: unmodified, promise: promOnce,
			keeps: true, times: 5, run: func(x *trial) { x.consumersKilled(goApp) },
		},
	}
}

// app is a process with an unmodified client, which says what it was told. See test/peer/java/Chaos.java.
type app struct {
	cmd *exec.Cmd
	in  io.Closer
	wg  sync.WaitGroup
}

// ledger is what all apps of a row said.
type ledger struct {
	mu    sync.Mutex // guards what follows
	acked map[string]int
	got   map[string]int
	last  map[int]int64 // of each sender, the highest acknowledged number
	mark  time.Time
	again time.Time
}

func newLedger() *ledger {
	return &ledger{acked: map[string]int{}, got: map[string]int{}, last: map[int]int64{}}
}

func (l *ledger) line(text string) {
	var kind string
	var sender int
	var n int64
	if _, err := fmt.Sscan(text, &kind, &sender, &n); err != nil {
		return
	}
	key := fmt.Sprintf("%d %d", sender, n)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch kind {
	case "S":
		l.acked[key]++
		l.last[sender] = max(l.last[sender], n)
		if l.again.IsZero() && !l.mark.IsZero() {
			l.again = time.Now()
		}
	case "C":
		l.got[key]++
	}
}

// Again is history.Load's.
func (l *ledger) waitAgain(atMost time.Duration) (time.Duration, bool) {
	for end := time.Now().Add(atMost); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		l.mu.Lock()
		at, mark := l.again, l.mark
		l.mu.Unlock()
		if !at.IsZero() {
			return at.Sub(mark), true
		}
	}
	return 0, false
}

func (l *ledger) setMark() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark, l.again = time.Now(), time.Time{}
}

func (l *ledger) counts() (acked, missing, got int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.acked {
		if l.got[k] == 0 {
			missing++
		}
	}
	return len(l.acked), missing, len(l.got)
}

// verdict waits for what is missing. Phantom: consumed and never sent.
func (l *ledger) verdict(atMost time.Duration) history.Verdict {
	for end := time.Now().Add(atMost); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if _, missing, _ := l.counts(); missing == 0 {
			break
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v := history.Verdict{Acked: int64(len(l.acked))}
	for k := range l.acked {
		if l.got[k] == 0 {
			v.Lost++
		}
	}
	for k, times := range l.got {
		v.Duplicates += int64(times - 1)
		var sender int
		var n int64
		// One that was sent and not acknowledged may have been stored; that is the last of its sender.
		if _, err := fmt.Sscan(k, &sender, &n); err != nil || l.acked[k] == 0 && n > l.last[sender]+1 {
			v.Phantom++
		}
	}
	return v
}

type starter func(x *trial, l *ledger, action, ns, topic, group string, ms int) *app

func javaApp(x *trial, l *ledger, action, ns, topic, group string, ms int) *app {
	const set = "server-5.5.0"
	cp := target.NeedJava(x.T, set)
	classes := filepath.Join("..", "..", "build", "classes-"+set)
	if _, err := os.Stat(filepath.Join(classes, "Chaos.class")); err != nil {
		x.Skip("the Java clients are not compiled: run `make setup`")
	}
	home := x.TempDir()
	return x.app(l, exec.CommandContext(context.WithoutCancel(x.Context()), "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.home="+home,
		"-Drocketmq.client.logRoot="+home, "-cp", classes+":"+cp, "Chaos", action, ns, topic, group, fmt.Sprint(ms)))
}

var goClient struct {
	once sync.Once
	path string
	err  error
}

func goApp(x *trial, l *ledger, action, ns, topic, group string, ms int) *app {
	dir := builtDir(x.T)
	goClient.once.Do(func() {
		goClient.path = filepath.Join(dir, "goclient")
		cmd := exec.Command("go", "build", "-o", goClient.path, ".")
		cmd.Dir = filepath.Join("..", "peer", "goclient")
		if out, err := cmd.CombinedOutput(); err != nil {
			goClient.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if goClient.err != nil {
		x.Fatal(goClient.err)
	}
	return x.app(l, exec.CommandContext(context.WithoutCancel(x.Context()), goClient.path, "chaos-"+action, ns, topic, group, fmt.Sprint(ms)))
}

func (x *trial) app(l *ledger, cmd *exec.Cmd) *app {
	a := &app{cmd: cmd}
	in, err := cmd.StdinPipe()
	if err != nil {
		x.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		x.Fatal(err)
	}
	a.in = in
	cmd.Env = append(os.Environ(), "HOME="+x.TempDir())
	if err := cmd.Start(); err != nil {
		x.Fatal(err)
	}
	a.wg.Go(func() {
		s := bufio.NewScanner(out)
		for s.Scan() {
			l.line(s.Text())
		}
		_, _ = io.Copy(io.Discard, out)
	})
	x.Cleanup(a.kill)
	return a
}

func (a *app) kill() {
	if a.cmd.ProcessState != nil {
		return
	}
	_ = a.cmd.Process.Signal(syscall.SIGKILL)
	a.wg.Wait()
	_ = a.cmd.Wait()
}

// quit lets the app end by itself.
func (a *app) quit() {
	_ = a.in.Close()
	a.wg.Wait()
	_ = a.cmd.Wait()
}

// someConsumed waits until work is done.
func (x *trial) someConsumed(l *ledger, more int) {
	x.Helper()
	_, _, before := l.counts()
	until(x.T, 90*time.Second, "messages are consumed", func() error {
		if _, _, got := l.counts(); got < before+more {
			return fmt.Errorf("%d of %d", got-before, more)
		}
		return nil
	})
}

func (x *trial) clients(sends, consumes starter) {
	w := newWorld(x.T, x.kind, false, 1)
	b := w.broker(0, nil)
	w.topic(b, "chaos", 4)
	l := newLedger()
	p := sends(x, l, "send", w.nsAddrs(), "chaos", "chaos_p", 2)
	c := consumes(x, l, "consume", w.nsAddrs(), "chaos", "chaos_c", 0)
	x.someConsumed(l, 100)
	for range x.times {
		x.rest(time.Second, 3*time.Second)
		l.setMark()
		b.Kill()
		b.again()
		if d, ok := l.waitAgain(2 * time.Minute); ok {
			x.out.Again = append(x.out.Again, d.Seconds())
			x.out.Faults++
		} else {
			x.out.Stuck++
		}
	}
	time.Sleep(time.Second)
	p.quit()
	x.out.Add(l.verdict(90 * time.Second))
	c.kill()
	x.out.Note = "duplicates are those that the consumer got"
}

func churn(x *trial) {
	w := newWorld(x.T, x.kind, false, 1)
	b := w.broker(0, nil)
	w.topic(b, "chaos", 4)
	l := newLedger()
	p := javaApp(x, l, "send", w.nsAddrs(), "chaos", "chaos_p", 2)
	c := javaApp(x, l, "churn", w.nsAddrs(), "chaos", "chaos_c", 3000)
	x.someConsumed(l, 100)
	time.Sleep(time.Duration(x.times) * 3 * time.Second)
	x.out.Faults = x.times
	p.quit()
	x.out.Add(l.verdict(90 * time.Second))
	c.kill()
	x.out.Note = "duplicates are those that the consumers got"
}

func (x *trial) consumersKilled(client starter) {
	w := newWorld(x.T, x.kind, false, 1)
	b := w.broker(0, nil)
	w.topic(b, "chaos", 4)
	l := newLedger()
	p := client(x, l, "send", w.nsAddrs(), "chaos", "chaos_p", 5)
	c := client(x, l, "consume", w.nsAddrs(), "chaos", "chaos_c", 20)
	for range x.times {
		x.someConsumed(l, 200)
		c.kill()
		x.out.Faults++
		c = client(x, l, "consume", w.nsAddrs(), "chaos", "chaos_c", 20)
	}
	x.someConsumed(l, 200)
	p.quit()
	x.out.Add(l.verdict(2 * time.Minute))
	c.kill()
	x.out.Note = "duplicates are those that the consumers got"
}
