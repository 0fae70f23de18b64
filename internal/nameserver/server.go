package nameserver

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/vfs"
)

const (
	notifyTimeout  = 300 * time.Millisecond
	maxNotices     = 1024                        // that wait to be sent
	unsetRemark    = "not set any response code" // what Java says when it forgets to say something
	disabledRemark = "disable"
)

// Client sends to brokers; *remoting.Client is one.
type Client interface {
	Oneway(ctx context.Context, addr string, cmd *remoting.Command) error
}

// Options configure a Server. The zero value works: Java's defaults, nothing on disk.
type Options struct {
	// Properties are the keys of Java's namesrv.conf. Unknown keys are kept and shown.
	Properties map[string]string
	// FS holds kvConfigPath and configStorePath, as far as these are set.
	FS vfs.FS
	// Edit sets values in the text of a properties file and leaves the rest as it is. Nil: configStorePath is written anew.
	Edit func(file []byte, values map[string]string) []byte
	// Client tells brokers about a new smallest broker id (notifyMinBrokerIdChanged); nil: they are not told.
	Client Client
	Log    *slog.Logger
}

// Server is a name server. Give its Closed to the remoting server as OnClose, Attach it, then Run it.
type Server struct {
	log     *slog.Logger
	client  Client
	fs      vfs.FS
	edit    func(file []byte, values map[string]string) []byte
	kv      *kvTable
	seed    maphash.Seed
	started time.Time
	notices chan *notice

	settings atomic.Pointer[settings]
	writing  chan struct{} // has room for one: who changes the configuration

	mu     sync.RWMutex // guards routes
	routes *routes
}

// New returns a Server with the key-value table that is on disk.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		log: o.Log, client: o.Client, fs: o.FS, edit: o.Edit, seed: maphash.MakeSeed(), started: time.Now(),
		notices: make(chan *notice, maxNotices), writing: make(chan struct{}, 1), routes: newRoutes(),
	}
	s.settings.Store(newSettings(o.Properties))
	kv, err := loadKV(o.FS, s.conf().Get("kvConfigPath"))
	if err != nil {
		return nil, err
	}
	s.kv = kv
	return s, nil
}

func (s *Server) conf() *settings { return s.settings.Load() }

// Attach registers the handlers of all request codes.
func (s *Server) Attach(rs *remoting.Server) {
	rs.Handle(protocol.ReqPutKVConfig, s.putKV)
	rs.Handle(protocol.ReqGetKVConfig, s.getKV)
	rs.Handle(protocol.ReqDeleteKVConfig, s.deleteKV)
	rs.Handle(protocol.ReqRegisterBroker, s.registerBroker)
	rs.Handle(protocol.ReqUnregisterBroker, s.unregisterBroker)
	rs.Handle(protocol.ReqGetRouteInfoByTopic, s.topicRoute)
	rs.Handle(protocol.ReqGetBrokerClusterInfo, s.clusterInfo)
	rs.Handle(protocol.ReqWipeWritePermOfBroker, s.wipeWritePerm)
	rs.Handle(protocol.ReqGetAllTopicListFromNameServer, s.allTopics)
	rs.Handle(protocol.ReqDeleteTopicInNamesrv, s.deleteTopic)
	rs.Handle(protocol.ReqRegisterTopicInNamesrv, s.registerTopic)
	rs.Handle(protocol.ReqGetKVListByNamespace, s.listKV)
	rs.Handle(protocol.ReqGetTopicsByCluster, s.clusterTopics)
	rs.Handle(protocol.ReqGetSystemTopicListFromNS, s.systemTopics)
	rs.Handle(protocol.ReqGetUnitTopicList, s.topicsThat(unitTopic))
	rs.Handle(protocol.ReqGetHasUnitSubTopicList, s.topicsThat(unitSubTopic))
	rs.Handle(protocol.ReqGetHasUnitSubUnUnitTopicList, s.topicsThat(unitSubNotUnit))
	rs.Handle(protocol.ReqUpdateNamesrvConfig, s.updateConfig)
	rs.Handle(protocol.ReqGetNamesrvConfig, s.showConfig)
	rs.Handle(protocol.ReqQueryDataVersion, s.queryDataVersion)
	rs.Handle(protocol.ReqAddWritePermOfBroker, s.addWritePerm)
	rs.Handle(protocol.ReqGetBrokerMemberGroup, s.memberGroup)
	rs.Handle(protocol.ReqBrokerHeartbeat, s.heartbeat)
}

// Run removes silent brokers and sends notices until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.scanLoop(ctx) })
	wg.Go(func() { s.notifyLoop(ctx) })
	wg.Wait()
	return nil
}

func (s *Server) scanLoop(ctx context.Context) {
	every := s.conf().scanInterval
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		s.scan(time.Now())
		if d := s.conf().scanInterval; d != every {
			every = d
			t.Reset(every)
		}
	}
}

// scan removes the brokers that have been silent for their timeout and closes their connections.
func (s *Server) scan(now time.Time) {
	s.mu.Lock()
	gone, conns, notices := s.routes.expire(now, s.conf().policy)
	s.mu.Unlock()
	for i, d := range gone {
		s.log.Warn("broker is silent, removed", "broker", d.name, "id", d.id, "peer", d.addr, "cluster", d.cluster)
		if conns[i] != nil {
			conns[i].Close(errSilent)
		}
	}
	s.post(notices...)
}

var errSilent = errors.New("no sign of life from the broker within its timeout")

// Closed is the remoting server's OnClose: a broker whose connection ends is gone.
func (s *Server) Closed(c *remoting.Conn) {
	if c.State() == nil {
		return // never registered a broker
	}
	s.mu.Lock()
	gone, notices := s.routes.detach(s.conf().policy, c)
	s.mu.Unlock()
	for _, d := range gone {
		s.log.Info("connection of broker closed, removed", "broker", d.name, "id", d.id, "peer", d.addr, "cluster", d.cluster)
	}
	s.post(notices...)
}

// post hands notices to the sender. With too many waiting they are dropped: brokers poll their group as well.
func (s *Server) post(notices ...*notice) {
	for _, n := range notices {
		if n == nil || s.client == nil {
			continue
		}
		select {
		case s.notices <- n:
		default:
			s.log.Warn("too many notices of changed broker groups, dropped one", "broker", n.minAddr)
		}
	}
}

func (s *Server) notifyLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-s.notices:
			s.notify(ctx, n)
		}
	}
}

func (s *Server) notify(ctx context.Context, n *notice) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, addr := range n.to {
		wg.Go(func() {
			err := s.client.Oneway(ctx, addr, &remoting.Command{
				Code: protocol.ReqNotifyMinBrokerIDChange,
				Header: &protocol.NotifyMinBrokerIdChangeRequestHeader{
					MinBrokerID: n.minID, HasMinBrokerID: true, MinBrokerAddr: n.minAddr, OfflineBrokerAddr: n.offline, HABrokerAddr: n.haAddr,
				},
			})
			if err != nil {
				s.log.Warn("tell broker about its group's smallest id", "peer", addr, "err", err)
			}
		})
	}
	wg.Wait()
}

// field returns a field of a request as a string that outlives it.
func field(r *remoting.Request, key string) (string, bool) {
	v, ok := r.Fields.Get(key)
	return string(v), ok && v != nil
}

// text is field with Java's text of a missing one.
func text(r *remoting.Request, key string) string {
	if v, ok := field(r, key); ok {
		return v
	}
	return "null"
}
