package remotingapi

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

var (
	needs   = needTable()
	actPub  = auth.ActionsOf(auth.Pub)
	actSub  = auth.ActionsOf(auth.Sub)
	actGet  = auth.ActionsOf(auth.Sub, auth.Get)
	actMove = auth.ActionsOf(auth.Sub, auth.Update)
	actFind = auth.ActionsOf(auth.Pub, auth.Sub, auth.Get)
)

// readers are the requests to name servers and controllers that change nothing and that Java has not annotated.
var readers = map[int32]bool{
	protocol.ReqGetBrokerClusterInfo: true, protocol.ReqGetAllTopicListFromNameServer: true, protocol.ReqGetTopicsByCluster: true,
	protocol.ReqGetSystemTopicListFromNS: true, protocol.ReqGetUnitTopicList: true, protocol.ReqGetHasUnitSubTopicList: true,
	protocol.ReqGetHasUnitSubUnUnitTopicList: true, protocol.ReqGetNamesrvConfig: true, protocol.ReqGetBrokerMemberGroup: true,
	protocol.ReqControllerGetReplicaInfo: true, protocol.ReqControllerGetMetadataInfo: true, protocol.ReqControllerGetSyncStateData: true,
	protocol.ReqGetControllerConfig: true,
}

// errParse is Java's answer to a request whose resources cannot be told.
var errParse = &auth.Refused{Text: "parse authorization context error."}

// asker is who asks for access, and to which cluster.
type asker struct {
	guard   *auth.Guard
	account *auth.Account
	name    []byte
	named   bool
	from    netip.Addr
	cluster string
	strict  bool                                  // see Gate.Strict
	trace   func(r auth.Resource, a auth.Actions) // of tests: instead of deciding
}

func (q *asker) may(r auth.Resource, a auth.Actions) error {
	if q.trace != nil {
		q.trace(r, a)
		return nil
	}
	return q.guard.Authorize(q.account, q.name, q.named, &r, a, q.from)
}

// name of a resource in a field; a null value is no name.
func resource(kind auth.Kind, v []byte) auth.Resource {
	return auth.Resource{Kind: kind, Name: bytesview.String(v), NoName: v == nil}
}

func topicOf(v []byte) auth.Resource { return resource(auth.KindTopic, v) }

func groupOf(v []byte) auth.Resource {
	if r, ok := bytes.CutPrefix(v, retryPrefix); ok {
		v = r
	}
	return resource(auth.KindGroup, v)
}

var retryPrefix = []byte(auth.RetryPrefix)

func isRetry(topic []byte) bool { return bytes.HasPrefix(topic, retryPrefix) }

func get(f protocol.Fields, key string) []byte {
	v, _ := f.Get(key)
	return v
}

// needsOf asks for everything that r needs, in Java's order, and returns the first refusal. Java's
// DefaultAuthorizationContextBuilder says what that is.
//
// Differs from Java: code 361 (lite pull) needs what a pull needs, code 25 (change the configuration) Update on the cluster and code
// 27601 (tables for a slave) Get on it; code 513 (static topic) needs what code 17 needs, and codes 200070 and 200071 (lite topics) Sub on
// topic and group, the questions of operators about lite topics Get and code 200079 Update on the cluster. Java's builder does not know
// them, so that every user may do them.
func (q *asker) needsOf(r *remoting.Request) error {
	f := r.Fields
	if q.strict && r.Code != protocol.ReqGetRouteInfoByTopic {
		n, ok := needs[r.Code]
		switch {
		case ok:
			return q.annotated(&n, f)
		case readers[r.Code]:
			return q.may(auth.Cluster(q.cluster), auth.ActionsOf(auth.Get))
		}
		return q.may(auth.Cluster(q.cluster), auth.ActionsOf(auth.Update))
	}
	switch {
	case r.Code == protocol.ReqUpdateBrokerConfig:
		return q.may(auth.Cluster(q.cluster), auth.ActionsOf(auth.Update))
	case r.Code == protocol.ReqFollowTables:
		return q.may(auth.Cluster(q.cluster), auth.ActionsOf(auth.Get))
	case r.Code >= protocol.ReqPopLiteMessage && r.Code <= protocol.ReqTriggerLiteDispatch && r.Code != protocol.ReqNotifyUnsubscribeLite:
		return q.liteNeeds(r)
	case len(f) == 0:
		return nil
	}
	switch r.Code {
	case protocol.ReqSendMessage:
		return q.send(get(f, "topic"))
	case protocol.ReqSendMessageV2, protocol.ReqSendBatchMessage:
		return q.send(get(f, "b"))
	case protocol.ReqPullMessage, protocol.ReqLitePullMessage:
		return q.topicAndGroup(get(f, "topic"), get(f, "consumerGroup"), actSub)
	case protocol.ReqGetRouteInfoByTopic:
		if t := get(f, "topic"); isRetry(t) {
			return q.may(groupOf(t), actGet)
		}
		return q.may(topicOf(get(f, "topic")), actFind)
	case protocol.ReqRecallMessage:
		return q.may(topicOf(get(f, "topic")), actPub)
	case protocol.ReqEndTransaction:
		if t := get(f, "topic"); len(bytes.TrimSpace(t)) > 0 {
			return q.may(topicOf(t), actPub)
		}
		return nil
	case protocol.ReqConsumerSendMsgBack:
		return q.may(groupOf(get(f, "group")), actSub)
	case protocol.ReqQueryMessage:
		return q.may(topicOf(get(f, "topic")), actGet)
	case protocol.ReqUnregisterClient:
		if g := get(f, "consumerGroup"); len(bytes.TrimSpace(g)) > 0 {
			return q.may(groupOf(g), actSub)
		}
		return nil
	case protocol.ReqGetConsumerListByGroup:
		return q.required(actGet, nil, get(f, "consumerGroup"))
	case protocol.ReqQueryConsumerOffset:
		return q.required(actGet, f, get(f, "consumerGroup"))
	case protocol.ReqUpdateConsumerOffset:
		return q.required(actMove, f, get(f, "consumerGroup"))
	case protocol.ReqHeartBeat:
		return q.heartbeat(r.Body)
	case protocol.ReqLockBatchMQ, protocol.ReqUnlockBatchMQ:
		return q.lock(r.Body)
	}
	code := r.Code
	if code == protocol.ReqUpdateAndCreateStaticTopic {
		code = protocol.ReqUpdateAndCreateTopic
	}
	if n, ok := needs[code]; ok {
		return q.annotated(&n, f)
	}
	return nil
}

// Needs lists what a request needs, each as its resource and the actions of which one must be allowed.
func Needs(r *remoting.Request, cluster string) ([]string, error) {
	var list []string
	q := asker{cluster: cluster, trace: func(r auth.Resource, a auth.Actions) {
		list = append(list, r.String()+" "+strings.ReplaceAll(a.String(), ",", " "))
	}}
	err := q.needsOf(r)
	return list, err
}

// send is Pub on the topic; who sends to a retry topic is a consumer of its group.
func (q *asker) send(topic []byte) error {
	if isRetry(topic) {
		return q.may(groupOf(topic), actSub)
	}
	return q.may(topicOf(topic), actPub)
}

func (q *asker) topicAndGroup(topic, group []byte, a auth.Actions) error {
	if !isRetry(topic) {
		if err := q.may(topicOf(topic), a); err != nil {
			return err
		}
	}
	return q.may(groupOf(group), a)
}

// required is topicAndGroup where both must be there; without fields there is no topic.
func (q *asker) required(a auth.Actions, f protocol.Fields, group []byte) error {
	if group == nil {
		return errParse
	}
	if f == nil {
		return q.may(groupOf(group), a)
	}
	topic := get(f, "topic")
	if topic == nil {
		return errParse
	}
	return q.topicAndGroup(topic, group, a)
}

func (q *asker) heartbeat(body []byte) error {
	var d protocol.HeartbeatData
	if err := d.Decode(body); err != nil {
		return errParse
	}
	for i := range d.Consumers {
		c := &d.Consumers[i]
		if err := q.may(auth.Group(c.GroupName), actSub); err != nil {
			return err
		}
		for j := range c.SubscriptionDataSet {
			if t := c.SubscriptionDataSet[j].Topic; !strings.HasPrefix(t, auth.RetryPrefix) {
				if err := q.may(auth.Topic(t), actSub); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (q *asker) lock(body []byte) error {
	var b protocol.LockBatchRequestBody
	if err := b.Decode(body); err != nil {
		return errParse
	}
	if err := q.may(auth.Group(b.ConsumerGroup), actSub); err != nil {
		return err
	}
	for i := range b.MQSet {
		if t := b.MQSet[i].Topic; !strings.HasPrefix(t, auth.RetryPrefix) {
			if err := q.may(auth.Topic(t), actSub); err != nil {
				return err
			}
		}
	}
	return nil
}

// annotated asks for what the fields of a header name, else for the cluster.
func (q *asker) annotated(n *need, f protocol.Fields) error {
	some := false
	for i := range n.fields {
		x := &n.fields[i]
		v := get(f, x.name)
		if v == nil {
			if x.req {
				return errParse
			}
			continue
		}
		for len(v) > 0 || x.split == "" {
			one, rest := v, []byte(nil)
			if x.split != "" {
				one, rest, _ = bytes.Cut(v, bytesview.Bytes(x.split))
			}
			v = rest
			if len(one) == 0 && x.split != "" {
				continue
			}
			some = true
			res := resource(x.kind, one)
			if x.kind == auth.KindTopic && isRetry(one) {
				res = groupOf(one)
			}
			if err := q.may(res, n.actions); err != nil {
				return err
			}
			if x.split == "" {
				break
			}
		}
	}
	if n.cluster && !some {
		return q.may(auth.Cluster(q.cluster), n.actions)
	}
	return nil
}
