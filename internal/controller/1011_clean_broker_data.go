package controller

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// CLEAN_BROKER_DATA 1011: an operator lets the controllers forget brokers.

func (c *Controller) cleanBrokerData(conn *remoting.Conn, r *remoting.Request) {
	var h protocol.CleanControllerBrokerDataRequestHeader
	err := h.Decode(r.Fields)
	own(&h.ClusterName, &h.BrokerName, &h.BrokerControllerIdsToClean)
	c.answer(conn, r, func(ctx context.Context) reply {
		if err != nil {
			return reply{err: err}
		}
		ids, wrong := parseIDs(h.BrokerControllerIdsToClean)
		if wrong != "" {
			return reply{code: protocol.RespControllerInvalidCleanBrokerMetadata, remark: fmt.Sprintf(
				"Please set the option <brokerControllerIdsToClean> according to the format, exception: java.lang.NumberFormatException: For input string: %q", wrong)}
		}
		a, err := c.do(ctx, &Command{Op: OpClean, Cluster: h.ClusterName, Name: h.BrokerName, IDs: ids, Living: h.CleanLivingBroker})
		if a.Set != nil {
			c.log.Warn("brokers forgotten on request", "broker", h.BrokerName, "ids", ids, "peer", conn.Remote())
		}
		return reply{code: a.Code, remark: a.Remark, err: err}
	})
}

// parseIDs reads a list such as 1;2;3. wrong is what is no number.
func parseIDs(list string) (ids []int64, wrong string) {
	if strings.TrimSpace(list) == "" {
		return nil, ""
	}
	for f := range strings.SplitSeq(strings.TrimRight(list, ";"), ";") {
		id, err := strconv.ParseInt(f, 10, 64)
		if err != nil || len(ids) == maxReplicas {
			return nil, f
		}
		ids = append(ids, id)
	}
	return sorted(ids), ""
}
