package protocol

import (
	"math"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// EpochEntryCache is the epochs of a broker's log: the answer to code 1007.
type EpochEntryCache struct {
	BrokerID    int64 // brokerId: the one that name servers know, 0 in a master
	BrokerName  string
	ClusterName string
	EpochList   []EpochEntry
	MaxOffset   int64
}

// EpochEntry is the part of a log that was written in one epoch.
type EpochEntry struct {
	Epoch                  int32
	StartOffset, EndOffset int64 // EndOffset: EpochGoesOn in the newest
}

// EpochGoesOn is Java's Long.MAX_VALUE.
const EpochGoesOn = math.MaxInt64

func (e *EpochEntry) write(w *fastjson.Writer) {
	w.ObjStart()
	intField(w, "endOffset", e.EndOffset)
	intField(w, "epoch", e.Epoch)
	intField(w, "startOffset", e.StartOffset)
	w.ObjEnd()
}

// Write writes c.
func (c *EpochEntryCache) Write(w *fastjson.Writer) {
	w.ObjStart()
	intField(w, "brokerId", c.BrokerID)
	strField(w, "brokerName", c.BrokerName)
	strField(w, "clusterName", c.ClusterName)
	listField(w, "epochList", c.EpochList, func(w *fastjson.Writer, e *EpochEntry) { e.write(w) })
	intField(w, "maxOffset", c.MaxOffset)
	w.ObjEnd()
}

func (c *EpochEntryCache) read(v fastjson.Value) {
	*c = EpochEntryCache{
		BrokerID: v.Get("brokerId").Int64(), BrokerName: v.Get("brokerName").Str(), ClusterName: v.Get("clusterName").Str(),
		MaxOffset: v.Get("maxOffset").Int64(),
		EpochList: readList(v.Get("epochList"), func(e *EpochEntry, v fastjson.Value) {
			*e = EpochEntry{v.Get("epoch").Int32(), v.Get("startOffset").Int64(), v.Get("endOffset").Int64()}
		}),
	}
}

// Decode reads c.
func (c *EpochEntryCache) Decode(data []byte) error { return decodeBody(data, c.read) }

// AppendTo appends c.
func (c *EpochEntryCache) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, c.Write) }
