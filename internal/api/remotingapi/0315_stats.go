package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// VIEW_BROKER_STATS_DATA (315): what was counted under a name and a key in the last minute, hour and day. The names are Java's.

func viewStats(a *API, s *session, r *remoting.Request) {
	var h protocol.ViewBrokerStatsDataRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	name, key := strings.Clone(h.StatsName), strings.Clone(h.StatsKey)
	s.look(r, func(dst []byte) ([]byte, error) {
		st, err := a.adm.Stats(a.ctx, name, key)
		if err != nil {
			return nil, err
		}
		body := protocol.BrokerStatsData{Minute: window(st.Minute), Hour: window(st.Hour), Day: window(st.Day)}
		return body.AppendTo(dst, false), nil
	})
}

func window(w mq.StatsWindow) protocol.StatsItem {
	return protocol.StatsItem{Sum: w.Sum, Tps: w.TPS, AvgPt: w.AvgPT}
}
