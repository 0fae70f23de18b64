package node

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/telemetry"
)

func TestQuotasChangeWhileTheBrokerRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.start(operated(t, w))
		c := w.caller(t)
		set := func(text string, code int32, part string) {
			t.Helper()
			if r := c.call(brokerAddr, protocol.ReqUpdateBrokerConfig, nil, []byte(text)); r.Code != code || !strings.Contains(r.Remark, part) {
				t.Errorf("%q: %d %s", text, r.Code, r.Remark)
			}
		}
		// A producer that sends one message after the other.
		produce := func(topic string, span time.Duration) (sent int, longest time.Duration) {
			t.Helper()
			for end := time.Now().Add(span); time.Now().Before(end); sent++ {
				begin := time.Now()
				if r := c.send(brokerAddr, topic, 0, 1); r.Code != 0 {
					t.Fatalf("%d %s", r.Code, r.Remark)
				}
				longest = max(longest, time.Since(begin))
				time.Sleep(10 * time.Millisecond)
			}
			return sent, longest
		}
		if n, longest := produce("A", 5*time.Second); n != 500 || longest > 0 {
			t.Errorf("without quotas %d messages, waited up to %s", n, longest)
		}
		set("quotas=topic:A:messages=50", 0, "")
		if n, longest := produce("A", time.Minute); n < 2940 || n > 3060 || longest > 500*time.Millisecond {
			t.Errorf("%d messages in a minute, waited up to %s", n, longest)
		}
		if n, longest := produce("B", 5*time.Second); n != 500 || longest > 0 {
			t.Errorf("another topic: %d messages, waited up to %s", n, longest)
		}
		page := w.scrape(n)
		for _, m := range []*telemetry.Metric{telemetry.QuotaDelayed, telemetry.QuotaTaken} {
			if got := linesOf(page, m.Name, `kind="topic"`, `name="A"`); len(got) == 0 || strings.HasSuffix(got[0], " 0") {
				t.Errorf("%s %s", m.Name, got)
			}
		}
		// Who does not wait is refused, and is told what for.
		set("quotaMaxDelay=0", 0, "")
		codes := map[int32]int{}
		for range 100 {
			r := c.send(brokerAddr, "A", 0, 1)
			if codes[r.Code]++; r.Code != 0 && !strings.Contains(r.Remark, "quota of topic A: 50 messages/s, behind by ") {
				t.Errorf("%d %s", r.Code, r.Remark)
			}
		}
		if codes[protocol.RespSystemBusy] < 80 || len(codes) != 2 {
			t.Errorf("%v", codes)
		}
		set("quotas=client:127.0.0.1:messages=10", 0, "") // before a heartbeat a client is its address
		set("quotaMaxDelay=500", 0, "")
		if n, _ := produce("A", 20*time.Second); n < 190 || n > 220 {
			t.Errorf("a client sent %d messages in a minute", n)
		}
		set("quotas=topic:A:messages=many", protocol.RespInvalidParameter, "no whole number")
		set("quotas=", 0, "")
		if n, longest := produce("A", 5*time.Second); n != 500 || longest > 0 {
			t.Errorf("without quotas again %d messages, waited up to %s", n, longest)
		}
		must(t, n.Shutdown(t.Context()))
		w.free()
	})
}

func TestConnectionsAreLimitedByTheConfiguration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.start(operated(t, w))
		c := w.caller(t)
		if r := c.call(brokerAddr, protocol.ReqUpdateBrokerConfig, nil, []byte("maxConnectionsPerAddress=1")); r.Code != 0 {
			t.Fatalf("%d %s", r.Code, r.Remark)
		}
		if r := w.caller(t).send(brokerAddr, "A", 0, 1); r.Code != -1 {
			t.Errorf("another connection is answered: %d %s", r.Code, r.Remark)
		}
		if r := c.send(brokerAddr, "A", 0, 1); r.Code != 0 {
			t.Errorf("%d %s", r.Code, r.Remark)
		}
		if got := linesOf(w.scrape(n), telemetry.ConnsRefused.Name, `role="broker"`, `reason="address"`); len(got) != 1 {
			t.Errorf("%s", got)
		}
		must(t, n.Shutdown(t.Context()))
		w.free()
	})
}
