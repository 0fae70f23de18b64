package protocol

import (
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// TopicConfig is a topic of a broker. In requests (codes 17, 18) the keys of Attributes have a + or - in front.
type TopicConfig struct {
	TopicName       string
	ReadQueueNums   int32
	WriteQueueNums  int32
	Perm            int32
	TopicFilterType string // SINGLE_TAG or MULTI_TAG
	TopicSysFlag    int32
	Order           bool
	Attributes      map[string]string
}

// Write writes t.
func (t *TopicConfig) Write(w *fastjson.Writer) { t.write(w, nil) }

func (t *TopicConfig) write(w *fastjson.Writer, mappingDetail []byte) {
	w.ObjStart()
	stringsField(w, "attributes", t.Attributes)
	if mappingDetail != nil {
		rawField(w, "mappingDetail", mappingDetail)
	}
	boolField(w, "order", t.Order)
	intField(w, "perm", t.Perm)
	intField(w, "readQueueNums", t.ReadQueueNums)
	strField(w, "topicFilterType", t.TopicFilterType)
	strField(w, "topicName", t.TopicName)
	intField(w, "topicSysFlag", t.TopicSysFlag)
	intField(w, "writeQueueNums", t.WriteQueueNums)
	w.ObjEnd()
}

// read gives what is missing the values of a new TopicConfig in Java.
func (t *TopicConfig) read(v fastjson.Value) {
	*t = TopicConfig{
		TopicName: v.Get("topicName").Str(), ReadQueueNums: v.Get("readQueueNums").Int32Or(16),
		WriteQueueNums: v.Get("writeQueueNums").Int32Or(16), Perm: v.Get("perm").Int32Or(6),
		TopicFilterType: v.Get("topicFilterType").Str(), TopicSysFlag: v.Get("topicSysFlag").Int32(),
		Order: v.Get("order").Bool(), Attributes: readStrings(v.Get("attributes")),
	}
	if t.TopicFilterType == "" {
		t.TopicFilterType = "SINGLE_TAG"
	}
}

// Decode reads t.
func (t *TopicConfig) Decode(data []byte) error { return decodeBody(data, t.read) }

// AppendTo appends t.
func (t *TopicConfig) AppendTo(dst []byte, std bool) []byte { return appendBody(dst, std, t.Write) }

// TopicConfigAndQueueMapping is the answer to code 351.
type TopicConfigAndQueueMapping struct {
	TopicConfig
	MappingDetail []byte // JSON, optional
}

// Write writes t.
func (t *TopicConfigAndQueueMapping) Write(w *fastjson.Writer) { t.write(w, t.MappingDetail) }

func (t *TopicConfigAndQueueMapping) read(v fastjson.Value) {
	t.TopicConfig.read(v)
	t.MappingDetail = readRaw(v.Get("mappingDetail"))
}

// readRaw keeps a value as JSON text, nil when it is not there.
func readRaw(v fastjson.Value) []byte {
	if !v.Exists() {
		return nil
	}
	return v.AppendTo(nil, fastjson.Compact)
}

// Decode reads t.
func (t *TopicConfigAndQueueMapping) Decode(data []byte) error { return decodeBody(data, t.read) }

// AppendTo appends t.
func (t *TopicConfigAndQueueMapping) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, t.Write)
}

// CreateTopicListRequestBody is the body of code 18.
type CreateTopicListRequestBody struct {
	TopicConfigList []TopicConfig
}

// Write writes c.
func (c *CreateTopicListRequestBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	listField(w, "topicConfigList", c.TopicConfigList, func(w *fastjson.Writer, t *TopicConfig) { t.Write(w) })
	w.ObjEnd()
}

func (c *CreateTopicListRequestBody) read(root fastjson.Value) {
	c.TopicConfigList = readList(root.Get("topicConfigList"), func(t *TopicConfig, v fastjson.Value) {
		t.read(v.Resolve(root))
		if ref := v.Resolve(root).Get("attributes"); ref.Exists() {
			t.Attributes = readStrings(ref.Resolve(root))
		}
	})
}

// Decode reads c.
func (c *CreateTopicListRequestBody) Decode(data []byte) error { return decodeBody(data, c.read) }

// AppendTo appends c.
func (c *CreateTopicListRequestBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, c.Write)
}

// TopicConfigAndMappingSerializeWrapper is a broker's topics, the answer to code 21 and part of a registration.
type TopicConfigAndMappingSerializeWrapper struct {
	DataVersion        DataVersion
	MappingDataVersion DataVersion
	TopicConfigTable   []TopicConfig
	// TopicQueueMappingDetailMap is JSON by topic, for static topics.
	TopicQueueMappingDetailMap map[string][]byte
	TopicQueueMappingInfoMap   map[string]TopicQueueMappingInfo
}

// Write writes t.
func (t *TopicConfigAndMappingSerializeWrapper) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("dataVersion")
	t.DataVersion.Write(w)
	w.Key("mappingDataVersion")
	t.MappingDataVersion.Write(w)
	w.Key("topicConfigTable")
	w.ObjStart()
	for i := range t.TopicConfigTable {
		w.Key(t.TopicConfigTable[i].TopicName)
		t.TopicConfigTable[i].Write(w)
	}
	w.ObjEnd()
	w.Key("topicQueueMappingDetailMap")
	w.ObjStart()
	for _, k := range slices.Sorted(maps.Keys(t.TopicQueueMappingDetailMap)) {
		rawField(w, k, t.TopicQueueMappingDetailMap[k])
	}
	w.ObjEnd()
	writeMappings(w, "topicQueueMappingInfoMap", t.TopicQueueMappingInfoMap)
	w.ObjEnd()
}

func (t *TopicConfigAndMappingSerializeWrapper) read(v fastjson.Value) {
	t.DataVersion.read(v.Get("dataVersion"))
	t.MappingDataVersion.read(v.Get("mappingDataVersion"))
	t.TopicConfigTable = readTopics(v.Get("topicConfigTable"))
	details := v.Get("topicQueueMappingDetailMap")
	t.TopicQueueMappingDetailMap = make(map[string][]byte, details.Len())
	for _, m := range details.Members() {
		t.TopicQueueMappingDetailMap[m.Key.Str()] = readRaw(m.Val)
	}
	t.TopicQueueMappingInfoMap = readMappings(v.Get("topicQueueMappingInfoMap"))
}

func readTopics(v fastjson.Value) []TopicConfig {
	list := make([]TopicConfig, 0, v.Len())
	for _, m := range v.Members() {
		var t TopicConfig
		t.read(m.Val)
		t.TopicName = m.Key.Str()
		list = append(list, t)
	}
	return list
}

// Decode reads t.
func (t *TopicConfigAndMappingSerializeWrapper) Decode(data []byte) error {
	return decodeBody(data, t.read)
}

// AppendTo appends t.
func (t *TopicConfigAndMappingSerializeWrapper) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, t.Write)
}

// SubscriptionGroupConfig is a consumer group of a broker.
type SubscriptionGroupConfig struct {
	GroupName                      string
	ConsumeEnable                  bool
	ConsumeFromMinEnable           bool
	ConsumeBroadcastEnable         bool
	ConsumeMessageOrderly          bool
	RetryQueueNums                 int32
	RetryMaxTimes                  int32
	GroupRetryPolicy               []byte // JSON, nil = Java's default
	BrokerID                       int64
	WhichBrokerWhenConsumeSlowly   int64
	NotifyConsumerIDsChangedEnable bool
	GroupSysFlag                   int32
	ConsumeTimeoutMinute           int32
	SubscriptionDataSet            []byte // JSON, optional
	Attributes                     map[string]string
}

// defaultRetryPolicy is what a new SubscriptionGroupConfig has in Java.
const defaultRetryPolicy = `{"type":"CUSTOMIZED"}`

// Write writes s.
func (s *SubscriptionGroupConfig) Write(w *fastjson.Writer) {
	w.ObjStart()
	stringsField(w, "attributes", s.Attributes)
	intField(w, "brokerId", s.BrokerID)
	boolField(w, "consumeBroadcastEnable", s.ConsumeBroadcastEnable)
	boolField(w, "consumeEnable", s.ConsumeEnable)
	boolField(w, "consumeFromMinEnable", s.ConsumeFromMinEnable)
	boolField(w, "consumeMessageOrderly", s.ConsumeMessageOrderly)
	intField(w, "consumeTimeoutMinute", s.ConsumeTimeoutMinute)
	strField(w, "groupName", s.GroupName)
	if s.GroupRetryPolicy != nil {
		rawField(w, "groupRetryPolicy", s.GroupRetryPolicy)
	} else {
		rawField(w, "groupRetryPolicy", []byte(defaultRetryPolicy))
	}
	intField(w, "groupSysFlag", s.GroupSysFlag)
	boolField(w, "notifyConsumerIdsChangedEnable", s.NotifyConsumerIDsChangedEnable)
	intField(w, "retryMaxTimes", s.RetryMaxTimes)
	intField(w, "retryQueueNums", s.RetryQueueNums)
	if s.SubscriptionDataSet != nil {
		rawField(w, "subscriptionDataSet", s.SubscriptionDataSet)
	}
	intField(w, "whichBrokerWhenConsumeSlowly", s.WhichBrokerWhenConsumeSlowly)
	w.ObjEnd()
}

// read gives what is missing the values of a new SubscriptionGroupConfig in Java.
func (s *SubscriptionGroupConfig) read(v fastjson.Value) {
	*s = SubscriptionGroupConfig{
		GroupName:                      v.Get("groupName").Str(),
		ConsumeEnable:                  v.Get("consumeEnable").BoolOr(true),
		ConsumeFromMinEnable:           v.Get("consumeFromMinEnable").BoolOr(true),
		ConsumeBroadcastEnable:         v.Get("consumeBroadcastEnable").BoolOr(true),
		ConsumeMessageOrderly:          v.Get("consumeMessageOrderly").Bool(),
		RetryQueueNums:                 v.Get("retryQueueNums").Int32Or(1),
		RetryMaxTimes:                  v.Get("retryMaxTimes").Int32Or(16),
		GroupRetryPolicy:               readRaw(v.Get("groupRetryPolicy")),
		BrokerID:                       v.Get("brokerId").Int64(),
		WhichBrokerWhenConsumeSlowly:   v.Get("whichBrokerWhenConsumeSlowly").Int64Or(1),
		NotifyConsumerIDsChangedEnable: v.Get("notifyConsumerIdsChangedEnable").BoolOr(true),
		GroupSysFlag:                   v.Get("groupSysFlag").Int32(),
		ConsumeTimeoutMinute:           v.Get("consumeTimeoutMinute").Int32Or(15),
		SubscriptionDataSet:            readRaw(v.Get("subscriptionDataSet")),
		Attributes:                     readStrings(v.Get("attributes")),
	}
}

// Decode reads s.
func (s *SubscriptionGroupConfig) Decode(data []byte) error { return decodeBody(data, s.read) }

// AppendTo appends s.
func (s *SubscriptionGroupConfig) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, s.Write)
}

// SubscriptionGroupList is the body of code 225.
type SubscriptionGroupList struct {
	GroupConfigList []SubscriptionGroupConfig
}

// Write writes l.
func (l *SubscriptionGroupList) Write(w *fastjson.Writer) {
	w.ObjStart()
	listField(w, "groupConfigList", l.GroupConfigList, func(w *fastjson.Writer, s *SubscriptionGroupConfig) { s.Write(w) })
	w.ObjEnd()
}

func (l *SubscriptionGroupList) read(root fastjson.Value) {
	l.GroupConfigList = readList(root.Get("groupConfigList"), func(s *SubscriptionGroupConfig, v fastjson.Value) {
		v = v.Resolve(root)
		s.read(v)
		if ref := v.Get("attributes"); ref.Exists() {
			s.Attributes = readStrings(ref.Resolve(root))
		}
		s.GroupRetryPolicy = readRaw(v.Get("groupRetryPolicy").Resolve(root))
		s.SubscriptionDataSet = readRaw(v.Get("subscriptionDataSet").Resolve(root))
	})
}

// Decode reads l.
func (l *SubscriptionGroupList) Decode(data []byte) error { return decodeBody(data, l.read) }

// AppendTo appends l.
func (l *SubscriptionGroupList) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, l.Write)
}

// SubscriptionGroupWrapper is a broker's consumer groups, the answer to code 201.
type SubscriptionGroupWrapper struct {
	DataVersion            DataVersion
	ForbiddenTable         map[string]map[string]int64 // group, topic, bits; bit 4 = reading
	SubscriptionGroupTable []SubscriptionGroupConfig
}

// Write writes s.
func (s *SubscriptionGroupWrapper) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("dataVersion")
	s.DataVersion.Write(w)
	w.Key("forbiddenTable")
	w.ObjStart()
	for _, group := range slices.Sorted(maps.Keys(s.ForbiddenTable)) {
		w.Key(group)
		w.ObjStart()
		topics := s.ForbiddenTable[group]
		for _, topic := range slices.Sorted(maps.Keys(topics)) {
			intField(w, topic, topics[topic])
		}
		w.ObjEnd()
	}
	w.ObjEnd()
	w.Key("subscriptionGroupTable")
	w.ObjStart()
	for i := range s.SubscriptionGroupTable {
		w.Key(s.SubscriptionGroupTable[i].GroupName)
		s.SubscriptionGroupTable[i].Write(w)
	}
	w.ObjEnd()
	w.ObjEnd()
}

func (s *SubscriptionGroupWrapper) read(v fastjson.Value) {
	*s = SubscriptionGroupWrapper{}
	s.DataVersion.read(v.Get("dataVersion"))
	if f := v.Get("forbiddenTable"); f.Len() > 0 {
		s.ForbiddenTable = make(map[string]map[string]int64, f.Len())
		for _, g := range f.Members() {
			topics := make(map[string]int64, g.Val.Len())
			for _, t := range g.Val.Members() {
				topics[t.Key.Str()] = t.Val.Int64()
			}
			s.ForbiddenTable[g.Key.Str()] = topics
		}
	}
	for _, m := range v.Get("subscriptionGroupTable").Members() {
		var g SubscriptionGroupConfig
		g.read(m.Val)
		g.GroupName = m.Key.Str()
		s.SubscriptionGroupTable = append(s.SubscriptionGroupTable, g)
	}
}

// Decode reads s.
func (s *SubscriptionGroupWrapper) Decode(data []byte) error { return decodeBody(data, s.read) }

// AppendTo appends s.
func (s *SubscriptionGroupWrapper) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, s.Write)
}
