package membership

import (
	"cmp"
	"hash/crc32"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/wireconf"
)

// chunkTopics bounds one registration: 20,000 topics are a body of some 5 MB, well below the frame limit of 16 MiB.
const chunkTopics = 20000

// registerHeader writes what protocol's header leaves out when it is false: name servers tell old brokers from new ones
// by the presence of enableActingMaster.
type registerHeader struct {
	protocol.RegisterBrokerRequestHeader
}

func (h *registerHeader) AppendTo(w *protocol.FieldWriter) {
	h.RegisterBrokerRequestHeader.AppendTo(w)
	if !h.EnableActingMaster {
		w.Bool("enableActingMaster", false)
	}
	w.Bool("compressed", false)
}

func registerCommand(o *Options, topics []mq.TopicConfig, v mq.DataVersion) *remoting.Command {
	body := registerBody(o, topics, v)
	return &remoting.Command{
		Code: protocol.ReqRegisterBroker,
		Header: &registerHeader{protocol.RegisterBrokerRequestHeader{
			BrokerName: o.Name, BrokerAddr: o.Addr, ClusterName: o.Cluster, HAServerAddr: o.HAAddr, BrokerID: o.ID,
			HeartbeatTimeoutMillis: o.HeartbeatTimeout.Milliseconds(),
			EnableActingMaster:     o.ActingMaster,
			BodyCRC32:              int32(crc32.ChecksumIEEE(body) & 0x7FFFFFFF),
		}},
		Body: body,
	}
}

func versionCommand(o *Options, v mq.DataVersion) *remoting.Command {
	return &remoting.Command{
		Code: protocol.ReqQueryDataVersion,
		Header: &protocol.QueryDataVersionRequestHeader{
			BrokerName: o.Name, BrokerAddr: o.Addr, ClusterName: o.Cluster, BrokerID: o.ID,
		},
		Body: dataVersion(v).AppendTo(nil, false),
	}
}

func unregisterCommand(o *Options) *remoting.Command {
	return &remoting.Command{
		Code: protocol.ReqUnregisterBroker,
		Header: &protocol.UnRegisterBrokerRequestHeader{
			BrokerName: o.Name, BrokerAddr: o.Addr, ClusterName: o.Cluster, BrokerID: o.ID,
		},
	}
}

func registerBody(o *Options, topics []mq.TopicConfig, v mq.DataVersion) []byte {
	b := protocol.RegisterBrokerBody{Topics: protocol.TopicConfigAndMappingSerializeWrapper{
		DataVersion: dataVersion(v), TopicConfigTable: make([]protocol.TopicConfig, 0, len(topics)),
	}}
	for i := range topics {
		b.Topics.TopicConfigTable = append(b.Topics.TopicConfigTable, topicConfig(o, &topics[i]))
		if m := topics[i].Static; m != nil {
			if b.Topics.TopicQueueMappingInfoMap == nil {
				b.Topics.TopicQueueMappingInfoMap = map[string]protocol.TopicQueueMappingInfo{}
			}
			b.Topics.TopicQueueMappingInfoMap[topics[i].Name] = protocol.TopicQueueMappingInfo{
				Topic: m.Topic, Scope: m.Scope, TotalQueues: m.Total, BrokerName: m.Broker, Epoch: m.Epoch, Dirty: m.Dirty,
				CurrIDMap: m.Current(),
			}
		}
	}
	return b.AppendTo(make([]byte, 0, 256+240*len(topics)), false)
}

func topicConfig(o *Options, t *mq.TopicConfig) protocol.TopicConfig {
	perm := t.Perm
	if !o.Perm.Readable() || !o.Perm.Writable() {
		perm &= o.Perm
	}
	w := wireconf.FromTopic(t)
	w.Perm, w.TopicFilterType = int32(perm), cmp.Or(t.Filter, "SINGLE_TAG")
	return w
}

func dataVersion(v mq.DataVersion) protocol.DataVersion { return protocol.DataVersion(v) }

// learn takes what a name server answers to a registration.
func (r *Registrar) learn(from string, resp *remoting.Command) {
	if r.o.OnMaster != nil && r.as.Load().id > 0 {
		if addr := resp.Ext["masterAddr"]; addr != "" {
			r.o.OnMaster(addr, resp.Ext["haServerAddr"])
		}
	}
	if r.o.OnOrderTopics == nil || len(resp.Body) == 0 {
		return
	}
	var table protocol.KVTable
	if err := table.Decode(resp.Body); err != nil {
		r.o.Log.Warn("read the order configuration", "peer", from, "err", err)
		return
	}
	r.o.OnOrderTopics(table.Table)
}
