package member

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// ErrNoLeader says that no controller has named a leader.
var ErrNoLeader = errors.New("no leader of the controllers is known")

// Refused is an answer of a controller that is not a success: what was asked for was not done.
type Refused struct {
	Request, Code int32
	Remark        string
}

// Error names codes as Java does.
func (r *Refused) Error() string {
	return fmt.Sprintf("the controllers refuse %s with %d: %s", protocol.RequestName(r.Request), r.Code, r.Remark)
}

// refusedWith reports whether err is a refusal with one of the codes.
func refusedWith(err error, codes ...int32) bool {
	r, ok := errors.AsType[*Refused](err)
	return ok && slices.Contains(codes, r.Code)
}

// answer is a leader's, with the time when the question was sent.
type answer struct {
	*remoting.Command
	sent time.Time
}

// ask sends a question to the leader of the controllers. A refusal is an error; when it comes with an answer that is worth
// reading, that is returned, too.
func (m *Member) ask(ctx context.Context, code int32, h remoting.HeaderAppender, body []byte) (answer, error) {
	m.mu.Lock()
	leader := m.leader
	m.mu.Unlock()
	if leader == "" {
		kick(m.find)
		return answer{}, ErrNoLeader
	}
	ctx, cancel := context.WithTimeout(ctx, m.o.Call)
	defer cancel()
	sent := time.Now()
	resp, err := m.o.Client.Invoke(ctx, leader, &remoting.Command{Code: code, Header: h, Body: body})
	if err != nil {
		kick(m.find)
		return answer{}, fmt.Errorf("ask the controller %s for %s: %w", leader, protocol.RequestName(code), err)
	}
	if resp.Code != protocol.RespSuccess {
		if resp.Code == protocol.RespControllerNotLeader {
			m.forget(leader)
		}
		return answer{resp, sent}, &Refused{code, resp.Code, resp.Remark}
	}
	return answer{resp, sent}, nil
}

// view is what a leader of the controllers says about the set.
type view struct {
	Term
	sent time.Time
}

func (m *Member) nextID(ctx context.Context) (int64, error) {
	a, err := m.ask(ctx, protocol.ReqControllerGetNextBrokerID, &protocol.GetNextBrokerIdRequestHeader{ClusterName: m.o.Cluster, BrokerName: m.o.Name}, nil)
	if err != nil {
		return 0, err
	}
	var h protocol.GetNextBrokerIdResponseHeader
	if err := h.Decode(a.Fields); err != nil {
		return 0, err
	}
	if h.NextBrokerID < 1 {
		return 0, fmt.Errorf("the controllers offer the number %d, want 1 or more", h.NextBrokerID)
	}
	return h.NextBrokerID, nil
}

func (m *Member) applyID(ctx context.Context, c *claim) error {
	_, err := m.ask(ctx, protocol.ReqControllerApplyBrokerID, &protocol.ApplyBrokerIdRequestHeader{
		ClusterName: m.o.Cluster, BrokerName: m.o.Name, AppliedBrokerID: c.ID, HasAppliedBrokerID: true, RegisterCheckCode: c.Code,
	}, nil)
	return err
}

func (m *Member) registerBroker(ctx context.Context, id int64) (view, error) {
	a, err := m.ask(ctx, protocol.ReqControllerRegisterBroker, &protocol.RegisterBrokerToControllerRequestHeader{
		ClusterName: m.o.Cluster, BrokerName: m.o.Name, BrokerID: id, HasBrokerID: true, BrokerAddress: m.o.Addr, InvokeTime: time.Now().UnixMilli(),
	}, nil)
	if err != nil {
		return view{}, err
	}
	var h protocol.RegisterBrokerToControllerResponseHeader
	if err = h.Decode(a.Fields); err != nil {
		return view{}, err
	}
	set, err := readSyncSet(a.Body)
	set.Epoch = max(set.Epoch, h.SyncStateSetEpoch)
	return view{Term{Epoch: h.MasterEpoch, MasterID: h.MasterBrokerID, MasterAddr: h.MasterAddress, InSync: set}, a.sent}, err
}

// elect asks for a master; the answer names it, whoever it is.
func (m *Member) elect(ctx context.Context, id int64) (view, error) {
	a, err := m.ask(ctx, protocol.ReqControllerElectMaster, &protocol.ElectMasterRequestHeader{
		ClusterName: m.o.Cluster, BrokerName: m.o.Name, BrokerID: id, InvokeTime: time.Now().UnixMilli(),
	}, nil)
	if err != nil && !refusedWith(err, protocol.RespControllerMasterStillExist) {
		return view{}, err
	}
	var h protocol.ElectMasterResponseHeader
	if derr := h.Decode(a.Fields); derr != nil {
		return view{}, derr
	}
	if h.MasterBrokerID == 0 {
		if err == nil {
			err = errors.New("the controllers elected nobody")
		}
		return view{}, err
	}
	var body protocol.ElectMasterResponseBody
	if len(a.Body) > 0 {
		if err = body.Decode(a.Body); err != nil {
			return view{}, err
		}
	}
	set, err := syncSet(body.SyncStateSet, h.SyncStateSetEpoch)
	return view{Term{Epoch: h.MasterEpoch, MasterID: h.MasterBrokerID, MasterAddr: h.MasterAddress, InSync: set}, a.sent}, err
}

// replicaInfo asks who is master.
func (m *Member) replicaInfo(ctx context.Context) (view, error) {
	a, err := m.ask(ctx, protocol.ReqControllerGetReplicaInfo, &protocol.GetReplicaInfoRequestHeader{BrokerName: m.o.Name}, nil)
	if err != nil {
		return view{}, err
	}
	var h protocol.GetReplicaInfoResponseHeader
	if derr := h.Decode(a.Fields); derr != nil {
		return view{}, derr
	}
	set, err := readSyncSet(a.Body)
	return view{Term{Epoch: h.MasterEpoch, MasterID: h.MasterBrokerID, MasterAddr: h.MasterAddress, InSync: set}, a.sent}, err
}

// replicas returns what the controllers know of the set.
func (m *Member) replicas(ctx context.Context) (*protocol.ReplicasInfo, error) {
	a, err := m.ask(ctx, protocol.ReqControllerGetSyncStateData, nil, protocol.AppendNames(nil, []string{m.o.Name}))
	if err != nil {
		return nil, err
	}
	var all protocol.BrokerReplicasInfo
	if err := all.Decode(a.Body); err != nil {
		return nil, fmt.Errorf("the controllers' table of replicas: %w", err)
	}
	for i := range all.Sets {
		if s := &all.Sets[i]; s.BrokerName == m.o.Name {
			return s, nil
		}
	}
	return &protocol.ReplicasInfo{}, nil
}

// Propose asks the controllers to change the set of those that are in sync, in the name of the master of epoch; s.Epoch is that of
// the set which it changes. It returns the set that holds then.
//
// A *Refused means that the controllers did not do it. Any other error leaves it open: what was proposed can still come to
// hold, and counts as long as the engine has not been given a set with a newer epoch.
func (m *Member) Propose(ctx context.Context, epoch int32, s SyncSet) (SyncSet, error) {
	m.mu.Lock()
	id := m.id
	m.mu.Unlock()
	a, err := m.ask(ctx, protocol.ReqControllerAlterSyncStateSet, &protocol.AlterSyncStateSetRequestHeader{
		BrokerName: m.o.Name, MasterBrokerID: id, HasMasterBrokerID: true, MasterEpoch: epoch, HasMasterEpoch: true, InvokeTime: time.Now().UnixMilli(),
	}, (&protocol.SyncStateSet{SyncStateSet: s.IDs, SyncStateSetEpoch: s.Epoch}).AppendTo(nil, false))
	if err != nil {
		// All refusals but these come from what this broker knows being old.
		if !refusedWith(err, protocol.RespControllerInvalidReplicas, protocol.RespControllerBrokerNotAlive) {
			m.Ask()
		}
		return SyncSet{}, err
	}
	var h protocol.AlterSyncStateSetResponseHeader
	if err = h.Decode(a.Fields); err != nil {
		return SyncSet{}, err
	}
	set, err := readSyncSet(a.Body)
	if err != nil {
		return SyncSet{}, err
	}
	set.Epoch = max(set.Epoch, h.NewSyncStateSetEpoch)
	m.adopted(epoch, set)
	return set, nil
}

// haAddress asks a master where its slaves connect.
func (m *Member) haAddress(ctx context.Context, addr string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, min(m.o.Call, time.Second))
	defer cancel()
	resp, err := m.o.Client.Invoke(ctx, addr, &remoting.Command{Code: protocol.ReqExchangeBrokerHAInfo, Header: &protocol.ExchangeHAInfoRequestHeader{}})
	if err != nil {
		return "", fmt.Errorf("ask the master %s where its slaves connect: %w", addr, err)
	}
	var h protocol.ExchangeHAInfoResponseHeader
	if err := h.Decode(resp.Fields); err != nil {
		return "", err
	}
	if resp.Code != protocol.RespSuccess || h.MasterHAAddress == "" {
		return "", fmt.Errorf("the master %s does not say where its slaves connect (code %d %s)", addr, resp.Code, resp.Remark)
	}
	return h.MasterHAAddress, nil
}

// maxMembers bounds a set that is believed.
const maxMembers = 4096

// syncSet makes a set of what came: ids ascending, each once.
func syncSet(ids []int64, epoch int32) (SyncSet, error) {
	if len(ids) > maxMembers {
		return SyncSet{}, fmt.Errorf("a set of %d members, at most %d", len(ids), maxMembers)
	}
	slices.Sort(ids)
	return SyncSet{slices.Compact(ids), epoch}, nil
}

// readSyncSet reads a body; an empty one is an empty set.
func readSyncSet(body []byte) (SyncSet, error) {
	if len(body) == 0 {
		return SyncSet{}, nil
	}
	var s protocol.SyncStateSet
	if err := s.Decode(body); err != nil {
		return SyncSet{}, fmt.Errorf("set of those in sync: %w", err)
	}
	return syncSet(s.SyncStateSet, s.SyncStateSetEpoch)
}
