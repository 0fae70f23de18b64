package protocol

import (
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// QueueData says what one broker has of a topic.
type QueueData struct {
	BrokerName     string
	ReadQueueNums  int32
	WriteQueueNums int32
	Perm           int32
	TopicSysFlag   int32
}

// Write writes q.
func (q *QueueData) Write(w *fastjson.Writer) {
	w.ObjStart()
	strField(w, "brokerName", q.BrokerName)
	intField(w, "perm", q.Perm)
	intField(w, "readQueueNums", q.ReadQueueNums)
	intField(w, "topicSysFlag", q.TopicSysFlag)
	intField(w, "writeQueueNums", q.WriteQueueNums)
	w.ObjEnd()
}

func (q *QueueData) read(v fastjson.Value) {
	*q = QueueData{
		BrokerName: v.Get("brokerName").Str(), ReadQueueNums: v.Get("readQueueNums").Int32(),
		WriteQueueNums: v.Get("writeQueueNums").Int32(), Perm: v.Get("perm").Int32(), TopicSysFlag: v.Get("topicSysFlag").Int32(),
	}
}

// BrokerData is one broker name with the addresses of its members.
type BrokerData struct {
	Cluster            string
	BrokerName         string
	BrokerAddrs        map[int64]string // by broker id; 0 is the master
	ZoneName           string           // optional
	EnableActingMaster bool
}

// Write writes b.
func (b *BrokerData) Write(w *fastjson.Writer) {
	w.ObjStart()
	writeAddrs(w, b.BrokerAddrs)
	strField(w, "brokerName", b.BrokerName)
	strField(w, "cluster", b.Cluster)
	boolField(w, "enableActingMaster", b.EnableActingMaster)
	optField(w, "zoneName", b.ZoneName)
	w.ObjEnd()
}

func (b *BrokerData) read(v fastjson.Value) {
	*b = BrokerData{
		Cluster: v.Get("cluster").Str(), BrokerName: v.Get("brokerName").Str(), BrokerAddrs: readAddrs(v.Get("brokerAddrs")),
		ZoneName: v.Get("zoneName").Str(), EnableActingMaster: v.Get("enableActingMaster").Bool(),
	}
}

func writeAddrs(w *fastjson.Writer, addrs map[int64]string) {
	w.Key("brokerAddrs")
	w.ObjStart()
	for _, id := range slices.Sorted(maps.Keys(addrs)) {
		w.KeyInt(id)
		w.Str(addrs[id])
	}
	w.ObjEnd()
}

func readAddrs(v fastjson.Value) map[int64]string {
	addrs := make(map[int64]string, v.Len())
	for _, m := range v.Members() {
		addrs[m.Key.Int64()] = m.Val.Str()
	}
	return addrs
}

// TopicRouteData is the route of a topic, the answer to code 105. Old clients in other languages split its text by hand:
// it has no spaces, and brokerAddrs is the first member of each broker.
type TopicRouteData struct {
	OrderTopicConf    string // optional
	QueueDatas        []QueueData
	BrokerDatas       []BrokerData
	FilterServerTable map[string][]string // by broker address
	// TopicQueueMappingByBroker is there for static topics only.
	TopicQueueMappingByBroker map[string]TopicQueueMappingInfo
}

// Write writes t.
func (t *TopicRouteData) Write(w *fastjson.Writer) {
	w.ObjStart()
	listField(w, "brokerDatas", t.BrokerDatas, func(w *fastjson.Writer, b *BrokerData) { b.Write(w) })
	listsField(w, "filterServerTable", t.FilterServerTable)
	optField(w, "orderTopicConf", t.OrderTopicConf)
	listField(w, "queueDatas", t.QueueDatas, func(w *fastjson.Writer, q *QueueData) { q.Write(w) })
	if t.TopicQueueMappingByBroker != nil {
		writeMappings(w, "topicQueueMappingByBroker", t.TopicQueueMappingByBroker)
	}
	w.ObjEnd()
}

func (t *TopicRouteData) read(v fastjson.Value) {
	*t = TopicRouteData{
		OrderTopicConf:    v.Get("orderTopicConf").Str(),
		QueueDatas:        readList(v.Get("queueDatas"), (*QueueData).read),
		BrokerDatas:       readList(v.Get("brokerDatas"), (*BrokerData).read),
		FilterServerTable: readLists(v.Get("filterServerTable")),
	}
	if m := v.Get("topicQueueMappingByBroker"); m.Exists() {
		t.TopicQueueMappingByBroker = readMappings(m)
	}
}

// Decode reads t.
func (t *TopicRouteData) Decode(data []byte) error { return decodeBody(data, t.read) }

// AppendTo appends t.
func (t *TopicRouteData) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, t.Write) }

func listsField(w *fastjson.Writer, key string, m map[string][]string) {
	w.Key(key)
	w.ObjStart()
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.Key(k)
		w.Strs(m[k])
	}
	w.ObjEnd()
}

func readLists(v fastjson.Value) map[string][]string {
	m := make(map[string][]string, v.Len())
	for _, e := range v.Members() {
		m[e.Key.Str()] = e.Val.Strs()
	}
	return m
}

// TopicQueueMappingInfo is what a broker tells the name server about its part of a static topic.
type TopicQueueMappingInfo struct {
	Topic       string
	Scope       string
	TotalQueues int32
	BrokerName  string // bname
	Epoch       int64
	Dirty       bool
	CurrIDMap   map[int64]int64 // logical queue to physical queue
}

// Write writes t.
func (t *TopicQueueMappingInfo) Write(w *fastjson.Writer) {
	w.ObjStart()
	strField(w, "bname", t.BrokerName)
	writeLongs(w, "currIdMap", t.CurrIDMap)
	boolField(w, "dirty", t.Dirty)
	intField(w, "epoch", t.Epoch)
	strField(w, "scope", t.Scope)
	strField(w, "topic", t.Topic)
	intField(w, "totalQueues", t.TotalQueues)
	w.ObjEnd()
}

func (t *TopicQueueMappingInfo) read(v fastjson.Value) {
	*t = TopicQueueMappingInfo{
		Topic: v.Get("topic").Str(), Scope: v.Get("scope").Str(), TotalQueues: v.Get("totalQueues").Int32(),
		BrokerName: v.Get("bname").Str(), Epoch: v.Get("epoch").Int64(), Dirty: v.Get("dirty").Bool(),
		CurrIDMap: readLongs(v.Get("currIdMap")),
	}
}

// writeLongs writes a table with number keys.
func writeLongs(w *fastjson.Writer, key string, m map[int64]int64) {
	w.Key(key)
	w.ObjStart()
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.KeyInt(k)
		w.Int(m[k])
	}
	w.ObjEnd()
}

func readLongs(v fastjson.Value) map[int64]int64 {
	m := make(map[int64]int64, v.Len())
	for _, e := range v.Members() {
		m[e.Key.Int64()] = e.Val.Int64()
	}
	return m
}

func writeMappings(w *fastjson.Writer, key string, m map[string]TopicQueueMappingInfo) {
	w.Key(key)
	w.ObjStart()
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.Key(k)
		i := m[k]
		i.Write(w)
	}
	w.ObjEnd()
}

func readMappings(v fastjson.Value) map[string]TopicQueueMappingInfo {
	m := make(map[string]TopicQueueMappingInfo, v.Len())
	for _, e := range v.Members() {
		var i TopicQueueMappingInfo
		i.read(e.Val)
		m[e.Key.Str()] = i
	}
	return m
}

// ClusterInfo lists all brokers and clusters, the answer to code 106.
type ClusterInfo struct {
	BrokerAddrTable  map[string]BrokerData // by broker name
	ClusterAddrTable map[string][]string   // cluster to broker names
}

// Write writes c.
func (c *ClusterInfo) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("brokerAddrTable")
	w.ObjStart()
	for _, name := range slices.Sorted(maps.Keys(c.BrokerAddrTable)) {
		w.Key(name)
		b := c.BrokerAddrTable[name]
		b.Write(w)
	}
	w.ObjEnd()
	listsField(w, "clusterAddrTable", c.ClusterAddrTable)
	w.ObjEnd()
}

func (c *ClusterInfo) read(v fastjson.Value) {
	t := v.Get("brokerAddrTable")
	*c = ClusterInfo{BrokerAddrTable: make(map[string]BrokerData, t.Len()), ClusterAddrTable: readLists(v.Get("clusterAddrTable"))}
	for _, m := range t.Members() {
		var b BrokerData
		b.read(m.Val)
		c.BrokerAddrTable[m.Key.Str()] = b
	}
}

// Decode reads c.
func (c *ClusterInfo) Decode(data []byte) error { return decodeBody(data, c.read) }

// AppendTo appends c.
func (c *ClusterInfo) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, c.Write) }

// GetBrokerMemberGroupResponseBody is the answer to code 901.
type GetBrokerMemberGroupResponseBody struct {
	Cluster     string
	BrokerName  string
	BrokerAddrs map[int64]string
}

// Write writes g.
func (g *GetBrokerMemberGroupResponseBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("brokerMemberGroup")
	w.ObjStart()
	writeAddrs(w, g.BrokerAddrs)
	strField(w, "brokerName", g.BrokerName)
	strField(w, "cluster", g.Cluster)
	w.ObjEnd()
	w.ObjEnd()
}

func (g *GetBrokerMemberGroupResponseBody) read(v fastjson.Value) {
	v = v.Get("brokerMemberGroup")
	*g = GetBrokerMemberGroupResponseBody{
		Cluster: v.Get("cluster").Str(), BrokerName: v.Get("brokerName").Str(), BrokerAddrs: readAddrs(v.Get("brokerAddrs")),
	}
}

// Decode reads g.
func (g *GetBrokerMemberGroupResponseBody) Decode(data []byte) error {
	return decodeBody(data, g.read)
}

// AppendTo appends g.
func (g *GetBrokerMemberGroupResponseBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, g.Write)
}

// TopicList is a set of topic names.
type TopicList struct {
	TopicList  []string
	BrokerAddr string // optional
}

// Write writes t.
func (t *TopicList) Write(w *fastjson.Writer) {
	w.ObjStart()
	optField(w, "brokerAddr", t.BrokerAddr)
	w.Key("topicList")
	w.Strs(t.TopicList)
	w.ObjEnd()
}

func (t *TopicList) read(v fastjson.Value) {
	*t = TopicList{TopicList: v.Get("topicList").Strs(), BrokerAddr: v.Get("brokerAddr").Str()}
}

// Decode reads t.
func (t *TopicList) Decode(data []byte) error { return decodeBody(data, t.read) }

// AppendTo appends t.
func (t *TopicList) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, t.Write) }
