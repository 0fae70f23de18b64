package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Replicas returns the addresses of the other brokers of this one's set, as the first name server knows them that answers; the master's
// first.
func (r *Registrar) Replicas(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	var errs []error
	for _, s := range r.servers() {
		var peers []string
		err := s.call(ctx, &remoting.Command{
			Code:   protocol.ReqGetBrokerMemberGroup,
			Header: &protocol.GetBrokerMemberGroupRequestHeader{ClusterName: r.o.Cluster, BrokerName: r.o.Name},
		}, func(resp *remoting.Command) error {
			var body protocol.GetBrokerMemberGroupResponseBody
			if err := body.Decode(resp.Body); err != nil {
				return fmt.Errorf("members of the set: %w", err)
			}
			var ids []int64
			for id, addr := range body.BrokerAddrs {
				if addr != r.o.Addr {
					ids = append(ids, id)
				}
			}
			slices.Sort(ids)
			for _, id := range ids {
				peers = append(peers, strings.Clone(body.BrokerAddrs[id]))
			}
			return nil
		})
		if err == nil {
			return peers, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}
