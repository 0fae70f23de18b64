package cluster

import (
	"context"
	"strconv"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
)

type controller struct {
	c    *Cluster
	addr string
}

// Controller returns one controller.
func (c *Cluster) Controller(addr string) mq.ControllerAdmin { return &controller{c, addr} }

func (k *controller) Metadata(ctx context.Context) (mq.ControllerMetadata, error) {
	r, err := k.c.call(ctx, k.addr, protocol.ReqControllerGetMetadataInfo, nil, nil)
	if err != nil {
		return mq.ControllerMetadata{}, err
	}
	var h protocol.GetMetaDataResponseHeader
	if err := h.Decode(r.Fields); err != nil {
		return mq.ControllerMetadata{}, malformed(k.addr, protocol.ReqControllerGetMetadataInfo, err)
	}
	return mq.ControllerMetadata{
		Group: h.Group, LeaderID: h.ControllerLeaderID, LeaderAddr: h.ControllerLeaderAddress, Leader: h.Leader, Peers: h.Peers,
	}, nil
}

func (k *controller) SyncStates(ctx context.Context, brokers []string) ([]mq.SyncState, error) {
	r, err := k.c.call(ctx, k.addr, protocol.ReqControllerGetSyncStateData, nil, protocol.AppendNames(nil, brokers))
	if err != nil {
		return nil, err
	}
	var b protocol.BrokerReplicasInfo
	if err := b.Decode(r.Body); err != nil {
		return nil, malformed(k.addr, protocol.ReqControllerGetSyncStateData, err)
	}
	var out []mq.SyncState
	for _, s := range b.Sets {
		out = append(out, mq.SyncState{
			Broker: s.BrokerName, MasterID: s.MasterBrokerID, MasterAddr: s.MasterAddress, Epoch: s.MasterEpoch,
			StateEpoch: s.SyncStateSetEpoch, InSync: replicas(s.InSync), NotInSync: replicas(s.NotInSync),
		})
	}
	return out, nil
}

func replicas(list []protocol.ReplicaIdentity) []mq.Replica {
	out := make([]mq.Replica, len(list))
	for i, r := range list {
		out[i] = mq.Replica{Broker: r.BrokerName, ID: r.BrokerID, Addr: r.BrokerAddress, Alive: r.Alive}
	}
	return out
}

func (k *controller) Elect(ctx context.Context, cluster, broker string, id int64) (mq.Elected, error) {
	h := &protocol.ElectMasterRequestHeader{ClusterName: cluster, BrokerName: broker, BrokerID: id, DesignateElect: true}
	r, err := k.c.call(ctx, k.addr, protocol.ReqControllerElectMaster, h, nil)
	if err != nil {
		return mq.Elected{}, err
	}
	bad := func(err error) (mq.Elected, error) {
		return mq.Elected{}, malformed(k.addr, protocol.ReqControllerElectMaster, err)
	}
	var rh protocol.ElectMasterResponseHeader
	if err := rh.Decode(r.Fields); err != nil {
		return bad(err)
	}
	e := mq.Elected{MasterID: rh.MasterBrokerID, MasterAddr: rh.MasterAddress, Epoch: rh.MasterEpoch, StateEpoch: rh.SyncStateSetEpoch}
	if len(r.Body) > 0 {
		var b protocol.ElectMasterResponseBody
		if err := b.Decode(r.Body); err != nil {
			return bad(err)
		}
		if b.Members != nil {
			e.Members = b.Members.BrokerAddrs
		}
	}
	return e, nil
}

func (k *controller) CleanBroker(ctx context.Context, cluster, broker, ids string, living bool) error {
	_, err := k.c.call(ctx, k.addr, protocol.ReqCleanBrokerData, &cleanHeader{protocol.CleanControllerBrokerDataRequestHeader{
		ClusterName: cluster, BrokerName: broker, BrokerControllerIdsToClean: ids, CleanLivingBroker: living,
	}}, nil)
	return err
}

// cleanHeader always says whether living brokers are meant, as Java's tool does.
type cleanHeader struct {
	protocol.CleanControllerBrokerDataRequestHeader
}

func (h *cleanHeader) AppendTo(w *protocol.FieldWriter) {
	h.CleanControllerBrokerDataRequestHeader.AppendTo(w)
	if !h.CleanLivingBroker {
		w.Str("isCleanLivingBroker", strconv.FormatBool(false))
	}
}

func (k *controller) Config(ctx context.Context) ([]mq.Setting, error) {
	return k.c.config(ctx, k.addr, protocol.ReqGetControllerConfig)
}

func (k *controller) SetConfig(ctx context.Context, key, value string) (string, error) {
	return k.c.setConfig(ctx, k.addr, protocol.ReqUpdateControllerConfig, key, value)
}
