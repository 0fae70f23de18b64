package remotingapi

import (
	"errors"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

func TestEveryKindHasItsCode(t *testing.T) {
	t.Parallel()
	want := map[mq.Kind]int32{
		mq.KindInternal: 1, mq.KindBusy: 2, mq.KindUnsupported: 3, mq.KindMessageIllegal: 13, mq.KindUnavailable: 14,
		mq.KindNoPermission: 16, mq.KindTopicNotExist: 17, mq.KindTopicExists: 18, mq.KindQueryNotFound: 22,
		mq.KindSubscriptionIllegal: 23, mq.KindSubscriptionNotExist: 24, mq.KindSubscriptionNotLatest: 25, mq.KindGroupNotExist: 26,
		mq.KindFilterDataNotExist: 27, mq.KindFilterDataNotLatest: 28, mq.KindInvalidParameter: 29, mq.KindConsumerNotOnline: 206,
		mq.KindTimeout: 207, mq.KindNoMessage: 208, mq.KindNotMaster: 11, mq.KindIgnored: 0,
		mq.KindIllegalOperation: 604, mq.KindPollingFull: 209, mq.KindPollingTimeout: 210, mq.KindNotLeader: 501, mq.KindLiteQuota: 2018,
	}
	if len(want) != mq.Kinds {
		t.Errorf("%d kinds, the test knows %d", mq.Kinds, len(want))
	}
	for k := range mq.Kinds {
		kind := mq.Kind(k)
		code, remark := failure(mq.Errorf(kind, "why"))
		if code != want[kind] || remark != "why" {
			t.Errorf("kind %d: code %d %q, want %d", kind, code, remark, want[kind])
		}
		if kind != mq.KindInternal && code == 1 {
			t.Errorf("kind %d has no code of its own", kind)
		}
	}
	if code, _ := failure(errors.New("other")); code != 1 {
		t.Errorf("code %d", code)
	}
}

// asked is one request and what must come of it.
type asked struct {
	name   string
	code   int32
	h      ext
	body   string
	call   string
	fields ext    // of the answer
	answer string // part of its body
}

const subscriptionJSON = `{"classFilterMode":false,"codeSet":[97],"expressionType":"TAG","subString":"a","subVersion":7,"tagsSet":["a"],"topic":"T"}`

func requests() []asked {
	queue := ext{"topic": "T", "queueId": "1"}
	return []asked{
		{
			"query", 12,
			ext{"topic": "T", "key": "k", "maxNum": "3", "beginTimestamp": "1", "endTimestamp": "9", "_UNIQUE_KEY_QUERY": "true"},
			"",
			"key T k max 3 1..9 true",
			ext{"indexLastUpdateTimestamp": "11", "indexLastUpdatePhyoffset": "12"},
			"found",
		},
		{"query offset", 14, ext{"consumerGroup": "G", "topic": "T", "queueId": "1", "setZeroIfNotFound": "false"}, "", "query G T/1 false", ext{"offset": "7"}, ""},
		{"query offset, old client", 14, ext{"consumerGroup": "G", "topic": "T", "queueId": "1"}, "", "query G T/1 true", ext{"offset": "7"}, ""},
		{"commit", 15, ext{"consumerGroup": "G", "topic": "T", "queueId": "1", "commitOffset": "55"}, "", "commit G T/1 55", nil, ""},
		{
			"put topic", 17,
			ext{
				"topic": "T", "defaultTopic": "D", "readQueueNums": "3", "writeQueueNums": "4", "perm": "6", "topicFilterType": "SINGLE_TAG",
				"topicSysFlag": "1", "order": "true", "attributes": "+message.type=FIFO, -x",
			},
			"",
			"put topic {Name:T ReadQueues:3 WriteQueues:4 Perm:6 Filter:SINGLE_TAG SysFlag:1 Order:true Attributes:map[+message.type:FIFO -x:] Static:<nil>}", nil, "",
		},
		{"all topics", 21, nil, "", "topics", ext{"totalTopicNum": "2"}, `"A":{`},
		{"runtime", 28, nil, "", "runtime", nil, `{"table":{"k":"v"}}`},
		{"search, lower", 29, ext{"topic": "T", "queueId": "1", "timestamp": "99", "boundaryType": "LOWER"}, "", "at T/1 99 boundary 0", ext{"offset": "5"}, ""},
		{"search, upper", 29, ext{"topic": "T", "queueId": "1", "timestamp": "99", "boundaryType": "UPPER"}, "", "at T/1 99 boundary 1", ext{"offset": "5"}, ""},
		{"search, upper by name", 29, ext{"topic": "T", "queueId": "1", "timestamp": "99", "boundaryType": "upper"}, "", "at T/1 99 boundary 1", ext{"offset": "5"}, ""},
		{"search, old client", 29, ext{"topic": "T", "queueId": "1", "timestamp": "99"}, "", "at T/1 99 boundary 0", ext{"offset": "5"}, ""},
		{"max", 30, queue, "", "max T/1", ext{"offset": "9"}, ""},
		{"min", 31, queue, "", "min T/1", ext{"offset": "1"}, ""},
		{"earliest", 32, queue, "", "earliest T/1", ext{"timestamp": "1234"}, ""},
		{"view", 33, ext{"offset": "4711"}, "", "view 4711", nil, "record"},
		{
			"give back", 36,
			ext{"offset": "4711", "group": "G", "delayLevel": "-1", "originMsgId": "id", "originTopic": "T", "unitMode": "true", "maxReconsumeTimes": "0"},
			"",
			"back {Group:G At:4711 DelayLevel:-1 MaxReconsume:0 HasMax:true UnitMode:true}", nil, "",
		},
		{
			"give back, no limit", 36,
			ext{"offset": "4711", "group": "G", "delayLevel": "0"},
			"",
			"back {Group:G At:4711 DelayLevel:0 MaxReconsume:0 HasMax:false UnitMode:false}", nil, "",
		},
		{"recall", 370, ext{"producerGroup": "G", "topic": "T", "recallHandle": "aGFuZGxl"}, "", "recall G T aGFuZGxl", ext{"msgId": "ID", "MSG_REGION": "DefaultRegion"}, ""},
		{"members", 38, ext{"consumerGroup": "G"}, "", "members G", nil, `{"consumerIdList":["c1","c2"]}`},
		{
			"lock", 41, nil, `{"clientId":"c","consumerGroup":"G","mqSet":[{"brokerName":"b","queueId":1,"topic":"T"},{"brokerName":"b","queueId":2,"topic":"T"}],"onlyThisBroker":false}`,
			"lock G c [{T b 1} {T b 2}]", nil, `{"lockOKMQSet":[{"brokerName":"b","queueId":1,"topic":"T"}]}`,
		},
		{"lock of nothing", 41, nil, `{"clientId":"c","consumerGroup":"G"}`, "lock G c []", nil, `{"lockOKMQSet":[]}`},
		{"unlock", 42, nil, `{clientId:"c",consumerGroup:"G",mqSet:[{brokerName:"b",queueId:1,topic:"T"}]}`, "unlock G c [{T b 1}]", nil, ""},
		{"check", 46, nil, `{"clientId":"c","group":"G","subscriptionData":` + subscriptionJSON + `}`, "check G a TAG", nil, ""},
		{"put group", 200, nil, `{"groupName":"G","groupRetryPolicy":{"type":"CUSTOMIZED"}}`, `put group G policy {"type":"CUSTOMIZED"}`, nil, ""},
		{"all groups", 201, nil, "", "groups", ext{"totalGroupNum": "1"}, `"G":{`},
		{"delete group", 207, ext{"groupName": "G", "cleanOffset": "true"}, "", "delete group G true", nil, ""},
		{"delete topic", 215, ext{"topic": "T"}, "", "delete topic T", nil, ""},
		{"topic", 351, ext{"topic": "T"}, "", "topic T", nil, `"topicName":"T"`},
		{"group", 352, ext{"group": "G"}, "", "group G", nil, `"groupName":"G"`},
		{
			"assignment", 400, nil, `{"clientId":"c","consumerGroup":"G","messageModel":"BROADCASTING","strategyName":"AVG","topic":"T"}`,
			"assign {Topic:T Group:G ClientID:c Strategy:AVG Broadcast:true}", nil, `"mode":"PULL"`,
		},
	}
}

func TestRequestsReachTheCoreAndComeBack(t *testing.T) {
	t.Parallel()
	f := &fake{}
	w := overMemory(t, f, f).wire(t)
	opaque := int32(0)
	for _, c := range requests() {
		for _, s := range []remoting.Serial{remoting.JSON, remoting.Binary} {
			opaque++
			f.fail(nil)
			w.write(frame(s, c.code, opaque, 0, c.h, c.body))
			r := w.want(opaque, 0)
			wantCalls(t, f, c.call)
			for k, v := range c.fields {
				if r.ext[k] != v {
					t.Errorf("%s: %s=%q, want %q", c.name, k, r.ext[k], v)
				}
			}
			if !strings.Contains(r.body, c.answer) {
				t.Errorf("%s: body %q, want %q", c.name, r.body, c.answer)
			}
			// Refused by the core.
			opaque++
			f.fail(mq.Errorf(mq.KindTopicNotExist, "no such thing"))
			w.write(frame(s, c.code, opaque, 0, c.h, c.body))
			if r := w.want(opaque, 17); r.remark != "no such thing" {
				t.Errorf("%s: remark %q", c.name, r.remark)
			}
			f.take()
		}
	}
}

// A one-way request is handled and never answered, whether it works, is refused or cannot be read.
func TestOneWayRequestsAreNeverAnswered(t *testing.T) {
	t.Parallel()
	f := &fake{}
	w := overMemory(t, f, f).wire(t)
	list := append(requests(), asked{code: 10, h: v1("A")}, asked{code: 310, h: v2("A")}, asked{code: 11, h: pullHead("1", "0")},
		asked{code: 34, body: `{"clientID":"c"}`}, asked{code: 35, h: ext{"clientID": "c"}}, asked{code: 9999})
	for _, err := range []error{nil, mq.Errorf(mq.KindBusy, "busy")} {
		f.fail(err)
		for _, c := range list {
			w.write(frame(remoting.JSON, c.code, 5, protocol.FlagOneway, c.h, c.body),
				frame(remoting.JSON, c.code, 6, protocol.FlagOneway, ext{"queueId": "x", "e": "x", "offset": "x"}, "{["))
		}
	}
	f.fail(nil)
	w.write(req(30, 7, ext{"topic": "T", "queueId": "1"}, ""))
	w.want(7, 0)
}

func TestHeadersAndBodiesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	f := &fake{}
	w := overMemory(t, f, f).wire(t)
	opaque := int32(0)
	for _, code := range []int32{10, 310, 320, 11, 361, 12, 14, 15, 17, 29, 30, 31, 32, 33} {
		opaque++
		w.write(req(code, opaque, ext{"queueId": "x", "e": "x", "offset": "x", "maxNum": "x", "readQueueNums": "x"}, ""))
		w.want(opaque, 1)
	}
	for _, code := range []int32{34, 41, 42, 46, 200, 400} {
		for _, body := range []string{"{", "\x00\xff", strings.Repeat("[", 5000)} {
			opaque++
			w.write(req(code, opaque, nil, body))
			if r := w.want(opaque, 1); r.remark == "" {
				t.Errorf("code %d, body %q: no remark", code, body)
			}
		}
	}
	opaque++
	w.write(req(9999, opaque, nil, ""))
	if r := w.want(opaque, 3); r.remark != " request type 9999 not supported" {
		t.Errorf("remark %q", r.remark)
	}
	wantCalls(t, f, "")
}

func TestQueryThatFindsNothing(t *testing.T) {
	t.Parallel()
	f := &fake{}
	w := overMemory(t, f, f).wire(t)
	w.write(req(12, 1, ext{"topic": "T", "key": "none", "maxNum": "3", "beginTimestamp": "1", "endTimestamp": "9"}, ""))
	w.want(1, 22)
}

// A panic in a task on the workers is answered, too.
func TestPanicsAreAnswered(t *testing.T) {
	t.Parallel()
	f := &fake{ask: func(call string) {
		if call == "runtime" || call == "max T/1" {
			panic("bug")
		}
	}}
	w := overMemory(t, f, f).wire(t)
	w.write(req(28, 1, nil, ""))
	w.want(1, 1)
	w.write(req(30, 2, ext{"topic": "T", "queueId": "1"}, ""))
	w.want(2, 1)
}

const beat = `{"clientID":"c@1","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"G",` +
	`"messageModel":"CLUSTERING","subscriptionDataSet":[` + subscriptionJSON + `],"unitMode":false}],"producerDataSet":[{"groupName":"P"}]`

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	f := &fake{beat: mq.HeartbeatReply{SubsChanged: true}}
	r := overMemory(t, f, f)
	w := r.wire(t)
	const subs = "[{Topic:T Expression:a ExpressionType:TAG Tags:[a] Codes:[97] Version:7 ClassFilter:false}]"
	const data = "Consumers:[{Group:G Type:CONSUME_PASSIVELY Broadcast:false FromWhere:CONSUME_FROM_LAST_OFFSET Subscriptions:" + subs + " UnitMode:false}]"
	w.write(req(35, 1, ext{"clientID": "c@1", "consumerGroup": "G"}, "")) // before any heartbeat
	w.want(1, 0)
	w.write(req(34, 2, nil, beat+"}"))
	if a := w.want(2, 0); a.ext["IS_SUPPORT_HEART_BEAT_V2"] != "true" || a.ext["IS_SUB_CHANGE"] != "true" {
		t.Errorf("%v", a.ext)
	}
	f.beat.SubsChanged = false
	w.write(req(34, 3, nil, beat+`,"heartbeatFingerprint":99,"withoutSub":true}`))
	if a := w.want(3, 0); a.ext["IS_SUPPORT_HEART_BEAT_V2"] != "true" || a.ext["IS_SUB_CHANGE"] != "false" {
		t.Errorf("%v", a.ext)
	}
	// Words nobody knows and missing parts do not fail a heartbeat.
	w.write(req(34, 4, nil, `{"clientID":"c@1","consumerDataSet":[{"groupName":"H","consumeType":"NEW"}],"unknown":{}}`))
	w.want(4, 0)
	w.write(req(35, 5, ext{"clientID": "c@1", "producerGroup": "P", "consumerGroup": "G"}, ""))
	w.want(5, 0)
	wantCalls(t, f, "beat c@1 GO v317 {Producers:[P] "+data+" WithoutSubs:false Fingerprint:0}\n"+
		"beat c@1 GO v317 {Producers:[P] "+data+" WithoutSubs:true Fingerprint:99}\n"+
		"beat c@1 GO v317 {Producers:[] Consumers:[{Group:H Type:NEW Broadcast:false FromWhere: Subscriptions:[] UnitMode:false}] WithoutSubs:false Fingerprint:0}\n"+
		`leave c@1 "P" "G"`)
	if f.sess[0] != f.sess[1] || f.sess[0] != f.sess[2] {
		t.Error("each heartbeat made a session")
	}

	// The core calls back; another client id is another member.
	f.sess[0].Peer.ConsumerIDsChanged("G")
	n, err := w.recv()
	if err != nil || n.code != 40 || n.flag&protocol.FlagOneway == 0 || n.ext["consumerGroup"] != "G" {
		t.Errorf("%+v %v", n, err)
	}
	w.write(req(34, 6, nil, `{"clientID":"c@2"}`))
	w.want(6, 0)
	wantCalls(t, f, "detach c@1\nbeat c@2 GO v317 {Producers:[] Consumers:[] WithoutSubs:false Fingerprint:0}")

	f.sess[3].Peer.Close()
	if _, err := w.recv(); err == nil {
		t.Error("the connection is open")
	}
	waitClosed(t, r)
	wantCalls(t, f, "detach c@2")
	f.sess[3].Peer.ConsumerIDsChanged("G") // too late: nothing happens
}

func TestInternedNamesAreBounded(t *testing.T) {
	t.Parallel()
	s := &session{}
	for i := range 3 * maxNames {
		name := strings.Repeat("n", 1+i%7) + string(rune('a'+i%26)) + strings.Repeat("x", i%200)
		if s.intern(name) != name {
			t.Fatal("not the same")
		}
	}
	long := strings.Repeat("y", maxName+1)
	before := len(s.names)
	if s.intern(long) != long || len(s.names) != before || before > maxNames {
		t.Errorf("%d names", len(s.names))
	}
}
