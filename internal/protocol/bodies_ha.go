package protocol

import "github.com/cometmq/cometmq/internal/fastjson"

// HARuntimeInfo is the answer to GET_BROKER_HA_STATUS (907).
type HARuntimeInfo struct {
	Master                   bool
	MasterCommitLogMaxOffset int64
	InSyncSlaveNums          int32
	Connections              []HAConnectionRuntimeInfo
	Client                   HAClientRuntimeInfo
}

// HAConnectionRuntimeInfo is one slave as its master sees it.
type HAConnectionRuntimeInfo struct {
	Addr                    string
	SlaveAckOffset          int64
	Diff                    int64
	InSync                  bool
	TransferredByteInSecond int64
	TransferFromWhere       int64
}

// HAClientRuntimeInfo is how a slave follows its master.
type HAClientRuntimeInfo struct {
	MasterAddr              string // optional
	TransferredByteInSecond int64
	MaxOffset               int64
	LastReadTimestamp       int64
	LastWriteTimestamp      int64
	MasterFlushOffset       int64
	Activated               bool
}

// Write writes h. The keys are in fastjson's order; those of connections and client are there whatever the role is.
func (h *HARuntimeInfo) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("haClientRuntimeInfo")
	w.ObjStart()
	c := &h.Client
	boolField(w, "activated", c.Activated)
	intField(w, "lastReadTimestamp", c.LastReadTimestamp)
	intField(w, "lastWriteTimestamp", c.LastWriteTimestamp)
	optField(w, "masterAddr", c.MasterAddr)
	intField(w, "masterFlushOffset", c.MasterFlushOffset)
	intField(w, "maxOffset", c.MaxOffset)
	intField(w, "transferredByteInSecond", c.TransferredByteInSecond)
	w.ObjEnd()
	listField(w, "haConnectionInfo", h.Connections, func(w *fastjson.Writer, x *HAConnectionRuntimeInfo) {
		w.ObjStart()
		strField(w, "addr", x.Addr)
		intField(w, "diff", x.Diff)
		boolField(w, "inSync", x.InSync)
		intField(w, "slaveAckOffset", x.SlaveAckOffset)
		intField(w, "transferFromWhere", x.TransferFromWhere)
		intField(w, "transferredByteInSecond", x.TransferredByteInSecond)
		w.ObjEnd()
	})
	intField(w, "inSyncSlaveNums", h.InSyncSlaveNums)
	boolField(w, "master", h.Master)
	intField(w, "masterCommitLogMaxOffset", h.MasterCommitLogMaxOffset)
	w.ObjEnd()
}

func (h *HARuntimeInfo) read(v fastjson.Value) {
	c := v.Get("haClientRuntimeInfo")
	*h = HARuntimeInfo{
		Master: v.Get("master").Bool(), MasterCommitLogMaxOffset: v.Get("masterCommitLogMaxOffset").Int64(),
		InSyncSlaveNums: v.Get("inSyncSlaveNums").Int32(),
		Client: HAClientRuntimeInfo{
			MasterAddr: c.Get("masterAddr").Str(), TransferredByteInSecond: c.Get("transferredByteInSecond").Int64(),
			MaxOffset: c.Get("maxOffset").Int64(), LastReadTimestamp: c.Get("lastReadTimestamp").Int64(),
			LastWriteTimestamp: c.Get("lastWriteTimestamp").Int64(), MasterFlushOffset: c.Get("masterFlushOffset").Int64(),
			Activated: c.Get("activated").Bool(),
		},
	}
	for _, x := range v.Get("haConnectionInfo").Arr() {
		h.Connections = append(h.Connections, HAConnectionRuntimeInfo{
			Addr: x.Get("addr").Str(), SlaveAckOffset: x.Get("slaveAckOffset").Int64(), Diff: x.Get("diff").Int64(), InSync: x.Get("inSync").Bool(),
			TransferredByteInSecond: x.Get("transferredByteInSecond").Int64(), TransferFromWhere: x.Get("transferFromWhere").Int64(),
		})
	}
}

// Decode reads h.
func (h *HARuntimeInfo) Decode(data []byte) error { return decodeBody(data, h.read) }

// AppendTo appends h.
func (h *HARuntimeInfo) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, h.Write) }
