package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// peerCall is Java's forwardTimeout.
const peerCall = 3 * time.Second

// physical is the field lo of a question to another broker: it is about a queue of that broker.
const physical = "false"

// Bits of a pull's sysFlag (Java PullSysFlag).
const (
	pullSubscription = 4
	pullLite         = 16
)

// Peers asks the masters of other sets about their own queues: what a broker does that leads a queue of a static topic of which
// another one has an older part. Both may be Java's. It implements mq.Peers.
type Peers struct {
	r *Registrar
	// timeout of one question
	timeout time.Duration

	mu    sync.Mutex // guards the fields below
	addrs map[string]string
	until time.Time
}

var _ mq.Peers = (*Peers)(nil)

// NewPeers returns Peers that find others through r's name servers; timeout 0 means Java's 3 s.
func NewPeers(r *Registrar, timeout time.Duration) *Peers {
	if timeout <= 0 {
		timeout = peerCall
	}
	return &Peers{r: r, timeout: timeout}
}

// addr returns the address of the master of a set.
func (p *Peers) addr(ctx context.Context, broker string) (string, error) {
	p.mu.Lock()
	addr, fresh := p.addrs[broker], time.Now().Before(p.until)
	p.mu.Unlock()
	if addr != "" && fresh {
		return addr, nil
	}
	var errs []error
	for _, s := range p.r.servers() {
		addrs, err := masters(ctx, s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.mu.Lock()
		p.addrs, p.until = addrs, time.Now().Add(routeFresh)
		p.mu.Unlock()
		if now := addrs[broker]; now != "" {
			return now, nil
		}
	}
	if addr != "" { // no name server says otherwise
		return addr, nil
	}
	errs = append(errs, fmt.Errorf("no name server knows a master of %s", broker))
	return "", errors.Join(errs...)
}

// masters returns the master of each set that a name server knows.
func masters(ctx context.Context, s *server) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	addrs := map[string]string{}
	err := s.call(ctx, &remoting.Command{Code: protocol.ReqGetBrokerClusterInfo}, func(resp *remoting.Command) error {
		var c protocol.ClusterInfo
		if err := c.Decode(resp.Body); err != nil {
			return err
		}
		for name, b := range c.BrokerAddrTable {
			if addr := b.BrokerAddrs[0]; addr != "" {
				addrs[strings.Clone(name)] = strings.Clone(addr)
			}
		}
		return nil
	})
	return addrs, err
}

// call asks a broker. codes are those that are an answer; any other is an error.
func (p *Peers) call(ctx context.Context, broker string, cmd *remoting.Command, codes ...int32) (*remoting.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	addr, err := p.addr(ctx, broker)
	if err != nil {
		return nil, mq.Errorf(mq.KindInternal, "%s", err.Error())
	}
	resp, err := p.r.o.Client.Invoke(ctx, addr, cmd)
	if err != nil {
		p.mu.Lock()
		p.until = time.Time{} // it may be elsewhere by now
		p.mu.Unlock()
		return nil, mq.Errorf(mq.KindInternal, "ask %s, which has an older part of the queue: %s", broker, err.Error())
	}
	if slices.Contains(codes, resp.Code) {
		return resp, nil
	}
	return nil, mq.Errorf(mq.KindInternal, "%s, which has an older part of the queue, answers with code %d: %s", broker, resp.Code, resp.Remark)
}

// Pull implements mq.Peers.
func (p *Peers) Pull(ctx context.Context, broker string, r *mq.PullRequest, dst []byte) (mq.Fetch, error) {
	f := mq.Fetch{Records: dst, Next: r.From}
	h := &protocol.PullMessageRequestHeader{
		ConsumerGroup: r.Group, Topic: r.Topic, QueueID: r.QueueID, QueueOffset: int64(r.From), MaxMsgNums: r.MaxMessages,
		SubVersion: r.SubVersion, RequestSource: -1, Lo: physical,
	}
	if r.HasExpression {
		h.SysFlag, h.Subscription, h.ExpressionType = pullSubscription, r.Expression, r.ExpressionType
	}
	if r.Lite {
		h.SysFlag |= pullLite
	}
	resp, err := p.call(ctx, broker, &remoting.Command{Code: protocol.ReqPullMessage, Header: h}, protocol.RespSuccess,
		protocol.RespPullNotFound, protocol.RespPullRetryImmediately, protocol.RespPullOffsetMoved)
	if err != nil {
		return f, err
	}
	var a protocol.PullMessageResponseHeader
	if err := a.Decode(resp.Fields); err != nil {
		return f, mq.Errorf(mq.KindInternal, "answer of %s to a pull: %s", broker, err.Error())
	}
	f.Next, f.Min, f.Max = mq.Index(a.NextBeginOffset), mq.Index(a.MinOffset), mq.Index(a.MaxOffset)
	f.TopicSysFlag, f.GroupSysFlag = a.TopicSysFlag, a.GroupSysFlag
	switch resp.Code {
	case protocol.RespSuccess:
		f.Records = append(f.Records, resp.Body...)
	case protocol.RespPullNotFound:
		f.Status = mq.FetchOffsetOverflowOne
	case protocol.RespPullRetryImmediately:
		f.Status = mq.FetchNoMatchedMessage
	default:
		f.Status = mq.FetchOffsetOverflowBadly
	}
	return f, nil
}

// CommitIndex implements mq.Peers.
func (p *Peers) CommitIndex(ctx context.Context, broker, group, topic string, queue int32, at mq.Index) error {
	_, err := p.call(ctx, broker, &remoting.Command{Code: protocol.ReqUpdateConsumerOffset, Header: &protocol.UpdateConsumerOffsetRequestHeader{
		ConsumerGroup: group, Topic: topic, QueueID: queue, CommitOffset: int64(at), Lo: physical,
	}}, protocol.RespSuccess)
	return err
}

// QueryIndex implements mq.Peers.
func (p *Peers) QueryIndex(ctx context.Context, broker, group, topic string, queue int32) (at mq.Index, ok bool, err error) {
	resp, err := p.call(ctx, broker, &remoting.Command{Code: protocol.ReqQueryConsumerOffset, Header: &protocol.QueryConsumerOffsetRequestHeader{
		ConsumerGroup: group, Topic: topic, QueueID: queue, SetZeroIfNotFound: false, Lo: physical,
	}}, protocol.RespSuccess, protocol.RespQueryNotFound)
	if err != nil || resp.Code == protocol.RespQueryNotFound {
		return 0, false, err
	}
	at, err = position(broker, resp)
	return at, err == nil, err
}

// MinIndex implements mq.Peers.
func (p *Peers) MinIndex(ctx context.Context, broker, topic string, queue int32) (mq.Index, error) {
	return p.position(ctx, broker, &remoting.Command{Code: protocol.ReqGetMinOffset, Header: &protocol.GetMinOffsetRequestHeader{
		Topic: topic, QueueID: queue, Lo: physical,
	}})
}

// MaxIndex implements mq.Peers.
func (p *Peers) MaxIndex(ctx context.Context, broker, topic string, queue int32) (mq.Index, error) {
	return p.position(ctx, broker, &remoting.Command{Code: protocol.ReqGetMaxOffset, Header: &protocol.GetMaxOffsetRequestHeader{
		Topic: topic, QueueID: queue, Committed: true, Lo: physical,
	}})
}

// IndexAtTime implements mq.Peers.
func (p *Peers) IndexAtTime(ctx context.Context, broker, topic string, queue int32, ms int64, b mq.Boundary) (mq.Index, error) {
	boundary := "LOWER"
	if b == mq.BoundaryUpper {
		boundary = "UPPER"
	}
	return p.position(ctx, broker, &remoting.Command{Code: protocol.ReqSearchOffsetByTimestamp, Header: &protocol.SearchOffsetRequestHeader{
		Topic: topic, QueueID: queue, Timestamp: ms, BoundaryType: boundary, Lo: physical,
	}})
}

// EarliestStoreTime implements mq.Peers.
func (p *Peers) EarliestStoreTime(ctx context.Context, broker, topic string, queue int32) (int64, error) {
	resp, err := p.call(ctx, broker, &remoting.Command{
		Code:   protocol.ReqGetEarliestMsgStoreTime,
		Header: &protocol.GetEarliestMsgStoretimeRequestHeader{Topic: topic, QueueID: queue, Lo: physical},
	}, protocol.RespSuccess)
	if err != nil {
		return -1, err
	}
	var a protocol.GetEarliestMsgStoretimeResponseHeader
	if err := a.Decode(resp.Fields); err != nil {
		return -1, mq.Errorf(mq.KindInternal, "answer of %s: %s", broker, err.Error())
	}
	return a.Timestamp, nil
}

// position asks for one position.
func (p *Peers) position(ctx context.Context, broker string, cmd *remoting.Command) (mq.Index, error) {
	resp, err := p.call(ctx, broker, cmd, protocol.RespSuccess)
	if err != nil {
		return 0, err
	}
	return position(broker, resp)
}

// position reads an answer that is one position.
func position(broker string, resp *remoting.Command) (mq.Index, error) {
	var a protocol.GetMaxOffsetResponseHeader
	if err := a.Decode(resp.Fields); err != nil {
		return 0, mq.Errorf(mq.KindInternal, "answer of %s: %s", broker, err.Error())
	}
	return mq.Index(a.Offset), nil
}

// Leaders implements mq.Peers. Of two brokers that say that they lead a queue the one with the higher epoch does.
func (p *Peers) Leaders(ctx context.Context, topic string) (map[int32]string, error) {
	var errs []error
	for _, s := range p.r.servers() {
		leaders, err := leadersOf(ctx, s, topic)
		if err == nil {
			return leaders, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func leadersOf(ctx context.Context, s *server, topic string) (map[int32]string, error) {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	leaders := map[int32]string{}
	err := s.call(ctx, &remoting.Command{
		Code: protocol.ReqGetRouteInfoByTopic, Header: &protocol.GetRouteInfoRequestHeader{Topic: topic},
	}, func(resp *remoting.Command) error {
		var d protocol.TopicRouteData
		if err := d.Decode(resp.Body); err != nil {
			return err
		}
		epochs := map[int32]int64{}
		for name, m := range d.TopicQueueMappingByBroker {
			for id := range m.CurrIDMap {
				if old, had := epochs[int32(id)]; !had || m.Epoch > old {
					epochs[int32(id)], leaders[int32(id)] = m.Epoch, strings.Clone(name)
				}
			}
		}
		return nil
	})
	return leaders, err
}

// Mapping implements mq.Peers.
func (p *Peers) Mapping(ctx context.Context, broker, topic string) (*logicqueue.Mapping, error) {
	resp, err := p.call(ctx, broker, &remoting.Command{
		Code: protocol.ReqGetTopicConfig, Header: &protocol.GetTopicConfigRequestHeader{Topic: topic, Mapping: true},
	}, protocol.RespSuccess)
	if err != nil {
		return nil, err
	}
	var body protocol.TopicConfigAndQueueMapping
	if err = body.Decode(resp.Body); err != nil {
		return nil, mq.Errorf(mq.KindInternal, "what %s says of topic %s: %s", broker, topic, err.Error())
	}
	if body.MappingDetail == nil {
		return nil, nil //nolint:nilnil // mq.Peers says what it means
	}
	m, err := logicqueue.Parse(body.MappingDetail)
	if err == nil {
		err = m.Check()
	}
	if err != nil {
		return nil, mq.Errorf(mq.KindInternal, "what %s says of topic %s: %s", broker, topic, err.Error())
	}
	return m, nil
}
