package node

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/telemetry"
)

func TestLevelsOfComponentsChangeWhileTheBrokerRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		o := operated(t, w)
		o.Levels = telemetry.NewLevels(o.Level)
		n := w.start(o)
		c := w.caller(t)
		if r := c.call(brokerAddr, protocol.ReqUpdateBrokerConfig, nil, []byte("logLevels=store=debug,broker=error\n")); r.Code != 0 {
			t.Fatalf("%d %s", r.Code, r.Remark)
		}
		var out bytes.Buffer
		log := telemetry.NewLog(&out, false, o.Levels)
		log.With("role", "store").Debug("from the store")
		log.With("role", "broker").Warn("from the broker")
		if s := out.String(); !strings.Contains(s, "from the store") || strings.Contains(s, "from the broker") {
			t.Errorf("%s", s)
		}
		if r := c.call(brokerAddr, protocol.ReqUpdateBrokerConfig, nil, []byte("logLevels=store=loud\n")); r.Code == 0 {
			t.Error("a level that is none was taken")
		}
		must(t, n.Shutdown(t.Context()))
	})
}
