package protocol

import (
	"reflect"
	"testing"
)

// The texts are what the classes of Java 5.5.0 called like these wrote (RemotingSerializable.encode).
func TestLiteBodiesAreJavas(t *testing.T) {
	t.Parallel()
	control := LiteSubscriptionCtlRequestBody{Set: []LiteSubscription{{
		Action: "PARTIAL_ADD", ClientID: "c", Group: "G", Topic: "P", Lites: []string{"x"}, HasOffset: true, OffsetType: "TAIL_N", OffsetValue: 2, Version: 9,
	}}}
	const controlText = `{"subscriptionSet":[{"action":"PARTIAL_ADD","clientId":"c","group":"G","liteTopicSet":["x"],"offsetOption":{"type":"TAIL_N","value":2},"topic":"P","version":9}]}`
	for _, c := range []struct {
		body interface {
			AppendTo(dst []byte, std bool) []byte
		}
		want string
	}{
		{&control, controlText},
		{
			&GetBrokerLiteInfoResponseBody{
				StoreType: "default", MaxLmqNum: 20000, CurrentLmqNum: 1, LiteSubscriptionCount: 2, OrderInfoCount: 3, CqTableSize: 4, OffsetTableSize: 5,
				EventMapSize: 6, TopicMeta: map[string]int32{"P": 30}, GroupMeta: map[string][]string{"P": {"G"}},
			},
			`{"cqTableSize":4,"currentLmqNum":1,"eventMapSize":6,"groupMeta":{"P":["G"]},"liteSubscriptionCount":2,"maxLmqNum":20000,"offsetTableSize":5,"orderInfoCount":3,"storeType":"default","topicMeta":{"P":30}}`,
		},
		{
			&GetParentTopicInfoResponseBody{Topic: "P", TTL: 30, LmqNum: 1, LiteTopicCount: 2, Groups: []string{"G"}},
			`{"groups":["G"],"liteTopicCount":2,"lmqNum":1,"topic":"P","ttl":30}`,
		},
		{
			&GetLiteTopicInfoResponseBody{
				ParentTopic: "P", LiteTopic: "x", Subscriber: []LiteSubscriber{{"c", "G"}}, Min: 1, Max: 3, LastUpdate: 7, ShardingToBroker: true,
			},
			`{"liteTopic":"x","parentTopic":"P","shardingToBroker":true,"subscriber":[{"clientId":"c","group":"G"}],"topicOffset":{"lastUpdateTimestamp":7,"maxOffset":3,"minOffset":1}}`,
		},
		{
			&GetLiteClientInfoResponseBody{ParentTopic: "P", Group: "G", ClientID: "c", LastAccess: 7, LiteTopicCount: 1, LiteTopicSet: []string{"%LMQ%$P$x"}},
			`{"clientId":"c","group":"G","lastAccessTime":7,"lastConsumeTime":0,"liteTopicCount":1,"liteTopicSet":["%LMQ%$P$x"],"parentTopic":"P"}`,
		},
		{
			&GetLiteClientInfoResponseBody{ParentTopic: "P", Group: "G", ClientID: "c", LastAccess: -1, LiteTopicCount: -1},
			`{"clientId":"c","group":"G","lastAccessTime":-1,"lastConsumeTime":0,"liteTopicCount":-1,"parentTopic":"P"}`,
		},
		{
			&GetLiteGroupInfoResponseBody{
				Group: "G", ParentTopic: "P", Earliest: -1, TotalLag: 2, ByCount: []LiteLagInfo{{LiteTopic: "x", LagCount: 2, Earliest: 7}}, ByTime: []LiteLagInfo{},
			},
			`{"earliestUnconsumedTimestamp":-1,"group":"G","lagCountTopK":[{"earliestUnconsumedTimestamp":7,"lagCount":2,"liteTopic":"x"}],"lagTimestampTopK":[],"parentTopic":"P","totalLagCount":2}`,
		},
		{
			&GetLiteGroupInfoResponseBody{
				Group: "G", ParentTopic: "P", LiteTopic: "x", Earliest: 7, TotalLag: 2,
				Position: &QueueConsumeOffset{BrokerOffset: 3, ConsumerOffset: 1, LastTimestamp: 6},
			},
			`{"earliestUnconsumedTimestamp":7,"group":"G","liteTopic":"x","liteTopicOffsetWrapper":{"brokerOffset":3,"consumerOffset":1,"lastTimestamp":6,"pullOffset":0},"parentTopic":"P","totalLagCount":2}`,
		},
	} {
		if got := string(c.body.AppendTo(nil, false)); got != c.want {
			t.Errorf("%T:\n%s\nwant\n%s", c.body, got, c.want)
		}
	}
	var back LiteSubscriptionCtlRequestBody
	if err := back.Decode([]byte(controlText)); err != nil || !reflect.DeepEqual(back, control) {
		t.Errorf("%+v, %v", back, err)
	}
}
