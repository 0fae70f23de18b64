package protocol

import (
	"fmt"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// SyncStateSet is which brokers of a set have all that was acknowledged: the body of codes 1001, 1003, 1004 and 1008. Ids
// are those that the controller gave, in ascending order.
type SyncStateSet struct {
	SyncStateSet      []int64
	SyncStateSetEpoch int32
}

// Write writes s.
func (s *SyncStateSet) Write(w *fastjson.Writer) {
	w.ObjStart()
	idsField(w, "syncStateSet", s.SyncStateSet)
	intField(w, "syncStateSetEpoch", s.SyncStateSetEpoch)
	w.ObjEnd()
}

func (s *SyncStateSet) read(v fastjson.Value) {
	*s = SyncStateSet{SyncStateSet: readIDs(v.Get("syncStateSet")), SyncStateSetEpoch: v.Get("syncStateSetEpoch").Int32()}
}

// Decode reads s.
func (s *SyncStateSet) Decode(data []byte) error { return decodeBody(data, s.read) }

// AppendTo appends s.
func (s *SyncStateSet) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, s.Write) }

// ElectMasterResponseBody is the answer to code 1002: the members of the set when a master was elected, and the sync-state
// set after it.
type ElectMasterResponseBody struct {
	Members      *BrokerMemberGroup // brokerMemberGroup, optional
	SyncStateSet []int64
}

// BrokerMemberGroup is who belongs to a set: addresses by id.
type BrokerMemberGroup struct {
	Cluster     string // optional
	BrokerName  string
	BrokerAddrs map[int64]string
}

// Write writes g.
func (g *BrokerMemberGroup) Write(w *fastjson.Writer) {
	w.ObjStart()
	writeAddrs(w, g.BrokerAddrs)
	strField(w, "brokerName", g.BrokerName)
	optField(w, "cluster", g.Cluster)
	w.ObjEnd()
}

// Write writes e.
func (e *ElectMasterResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	if e.Members != nil {
		w.Key("brokerMemberGroup")
		e.Members.Write(w)
	}
	idsField(w, "syncStateSet", e.SyncStateSet)
	w.ObjEnd()
}

func (e *ElectMasterResponseBody) read(v fastjson.Value) {
	*e = ElectMasterResponseBody{SyncStateSet: readIDs(v.Get("syncStateSet"))}
	if g := v.Get("brokerMemberGroup"); g.Kind() == fastjson.Object {
		e.Members = &BrokerMemberGroup{
			Cluster: g.Get("cluster").Str(), BrokerName: g.Get("brokerName").Str(), BrokerAddrs: readAddrs(g.Get("brokerAddrs")),
		}
	}
}

// Decode reads e.
func (e *ElectMasterResponseBody) Decode(data []byte) error { return decodeBody(data, e.read) }

// AppendTo appends e.
func (e *ElectMasterResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, e.Write)
}

// BrokerReplicasInfo is the answer to code 1006: the state of some sets, in the order given.
type BrokerReplicasInfo struct {
	Sets []ReplicasInfo // replicasInfoTable
}

// ReplicasInfo is the state of one set.
type ReplicasInfo struct {
	BrokerName        string // the key of the table
	MasterBrokerID    int64  // masterBrokerId, optional: 0 when there is no master
	MasterAddress     string // optional
	MasterEpoch       int32
	SyncStateSetEpoch int32
	InSync            []ReplicaIdentity // inSyncReplicas
	NotInSync         []ReplicaIdentity // notInSyncReplicas
}

// ReplicaIdentity is a broker of a set.
type ReplicaIdentity struct {
	BrokerName    string
	BrokerID      int64 // brokerId
	BrokerAddress string
	Alive         bool
}

func (r *ReplicaIdentity) write(w *fastjson.Writer) {
	w.ObjStart()
	boolField(w, "alive", r.Alive)
	strField(w, "brokerAddress", r.BrokerAddress)
	intField(w, "brokerId", r.BrokerID)
	strField(w, "brokerName", r.BrokerName)
	w.ObjEnd()
}

func (r *ReplicaIdentity) read(v fastjson.Value) {
	*r = ReplicaIdentity{
		BrokerName: v.Get("brokerName").Str(), BrokerID: v.Get("brokerId").Int64(), BrokerAddress: v.Get("brokerAddress").Str(),
		Alive: v.Get("alive").Bool(),
	}
}

func (r *ReplicasInfo) write(w *fastjson.Writer) {
	list := func(w *fastjson.Writer, e *ReplicaIdentity) { e.write(w) }
	w.ObjStart()
	listField(w, "inSyncReplicas", r.InSync, list)
	optField(w, "masterAddress", r.MasterAddress)
	if r.MasterBrokerID != 0 {
		intField(w, "masterBrokerId", r.MasterBrokerID)
	}
	intField(w, "masterEpoch", r.MasterEpoch)
	listField(w, "notInSyncReplicas", r.NotInSync, list)
	intField(w, "syncStateSetEpoch", r.SyncStateSetEpoch)
	w.ObjEnd()
}

// Write writes b.
func (b *BrokerReplicasInfo) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("replicasInfoTable")
	w.ObjStart()
	for i := range b.Sets {
		w.Key(b.Sets[i].BrokerName)
		b.Sets[i].write(w)
	}
	w.ObjEnd()
	w.ObjEnd()
}

func (b *BrokerReplicasInfo) read(v fastjson.Value) {
	b.Sets = nil
	one := func(e *ReplicaIdentity, v fastjson.Value) { e.read(v) }
	for _, m := range v.Get("replicasInfoTable").Members() {
		b.Sets = append(b.Sets, ReplicasInfo{
			BrokerName: m.Key.Str(), MasterBrokerID: m.Val.Get("masterBrokerId").Int64(), MasterAddress: m.Val.Get("masterAddress").Str(),
			MasterEpoch: m.Val.Get("masterEpoch").Int32(), SyncStateSetEpoch: m.Val.Get("syncStateSetEpoch").Int32(),
			InSync: readList(m.Val.Get("inSyncReplicas"), one), NotInSync: readList(m.Val.Get("notInSyncReplicas"), one),
		})
	}
}

// Decode reads b.
func (b *BrokerReplicasInfo) Decode(data []byte) error { return decodeBody(data, b.read) }

// AppendTo appends b.
func (b *BrokerReplicasInfo) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, b.Write)
}

// DecodeNames reads a body that is an array of texts, as that of code 1006.
func DecodeNames(data []byte) ([]string, error) {
	v, err := fastjson.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	}
	if v.Kind() != fastjson.Array {
		return nil, fmt.Errorf("%w: no JSON array", ErrBody)
	}
	return v.Strs(), nil
}

// AppendNames appends such a body.
func AppendNames(dst []byte, names []string) []byte {
	w := fastjson.NewWriter(dst, fastjson.Compact)
	w.Strs(names)
	return w.Bytes()
}

func idsField(w *fastjson.Writer, key string, ids []int64) {
	w.Key(key)
	w.ArrStart()
	for _, id := range ids {
		w.Int(id)
	}
	w.ArrEnd()
}

func readIDs(v fastjson.Value) []int64 {
	a := v.Arr()
	if len(a) == 0 {
		return nil
	}
	ids := make([]int64, len(a))
	for i := range a {
		ids[i] = a[i].Int64()
	}
	return ids
}
