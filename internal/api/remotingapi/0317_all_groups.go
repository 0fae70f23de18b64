package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// QUERY_CORRECTION_OFFSET (308), GET_BROKER_CONSUME_STATS (317), GET_ALL_PRODUCER_INFO (328): what concerns all groups at once.

func corrections(a *API, s *session, r *remoting.Request) {
	var h protocol.QueryCorrectionOffsetHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	topic, compare := strings.Clone(h.Topic), strings.Clone(h.CompareGroup)
	var filter []string
	if h.FilterGroups != "" {
		filter = strings.Split(strings.Clone(h.FilterGroups), ",")
	}
	s.look(r, func(dst []byte) ([]byte, error) {
		table, err := a.adm.Corrections(a.ctx, topic, compare, filter)
		if err != nil {
			return nil, err
		}
		body := protocol.QueryCorrectionOffsetBody{Offsets: make(map[int32]int64, len(table))}
		for queue, at := range table {
			body.Offsets[queue] = int64(at)
		}
		return body.AppendTo(dst, false), nil
	})
}

func allGroupsStats(a *API, s *session, r *remoting.Request) {
	var h protocol.GetConsumeStatsInBrokerHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	ordered := h.Order
	s.look(r, func(dst []byte) ([]byte, error) {
		groups, err := a.adm.GroupsStats(a.ctx, ordered)
		if err != nil {
			return nil, err
		}
		body := protocol.ConsumeStatsList{BrokerAddr: a.o.StoreHost.String()}
		for _, g := range groups {
			out := protocol.GroupConsumeStats{Group: g.Group}
			for i := range g.Stats {
				out.Stats = append(out.Stats, wireStats(&g.Stats[i]))
				for _, q := range g.Stats[i].Queues {
					body.TotalDiff += int64(q.End - q.Committed)
					body.TotalInflightDiff += int64(q.Pulled - q.Committed)
				}
			}
			body.Groups = append(body.Groups, out)
		}
		return body.AppendTo(dst, false), nil
	})
}

func wireStats(st *mq.ConsumeStats) protocol.ConsumeStats {
	out := protocol.ConsumeStats{ConsumeTps: st.TPS}
	for _, q := range st.Queues {
		out.OffsetTable = append(out.OffsetTable, protocol.QueueConsumeOffset{
			Queue: wireQueue(q.Queue), BrokerOffset: int64(q.End), ConsumerOffset: int64(q.Committed), PullOffset: int64(q.Pulled),
			LastTimestamp: q.LastConsume,
		})
	}
	return out
}

// allProducers answers with consumers, too, when the request has FieldWithConsumers, as our dashboard's does: Java's brokers tell
// consumers of one group at a time only.
func allProducers(a *API, s *session, r *remoting.Request) {
	consumers, _ := r.Fields.Get(protocol.FieldWithConsumers)
	withConsumers := string(consumers) == "true"
	s.look(r, func(dst []byte) ([]byte, error) {
		groups, err := a.adm.AllProducers(a.ctx)
		if err != nil {
			return nil, err
		}
		body := protocol.ProducerTableInfo{Data: make(map[string][]protocol.ProducerInfo, len(groups))}
		for name, list := range groups {
			for _, p := range list {
				body.Data[name] = append(body.Data[name], protocol.ProducerInfo{
					ClientID: p.ClientID, RemoteIP: "/" + p.Remote.String(), Language: p.Language, Version: p.Version, LastUpdateTimestamp: p.LastSeen,
				})
			}
		}
		if withConsumers {
			all, err := a.adm.AllConsumers(a.ctx)
			if err != nil {
				return nil, err
			}
			body.Consumers = make(map[string]protocol.ConsumerConnection, len(all))
			for name, g := range all {
				body.Consumers[name] = wireConsumers(&g)
			}
		}
		return body.AppendTo(dst, false), nil
	})
}
