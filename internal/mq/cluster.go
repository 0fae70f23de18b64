package mq

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Cluster is a whole cluster as its operator sees it: name servers, brokers and controllers by address. internal/cluster reaches it
// over the wire. A call that fails returns a *CallError.
type Cluster interface {
	// NameServers are the addresses that it was made with.
	NameServers() []string
	// NameServer is one name server, "" = whichever answers first of all of them, in their order.
	NameServer(addr string) NameServerAdmin
	Broker(addr string) RemoteBroker
	Controller(addr string) ControllerAdmin
	Close()
}

// NameServerAdmin is what a name server tells and does.
type NameServerAdmin interface {
	ClusterInfo(ctx context.Context) (ClusterInfo, error)
	Route(ctx context.Context, topic string) (Route, error)
	Topics(ctx context.Context) ([]string, error)
	TopicsOf(ctx context.Context, cluster string) ([]string, error)
	// DropTopic removes a topic from the routes of a cluster; brokers that still have it bring it back.
	DropTopic(ctx context.Context, topic, cluster string) error

	PutKV(ctx context.Context, namespace, key, value string) error
	// KV returns KindQueryNotFound for a key that is not there.
	KV(ctx context.Context, namespace, key string) (string, error)
	KVs(ctx context.Context, namespace string) (map[string]string, error)
	DeleteKV(ctx context.Context, namespace, key string) error

	// SetWritable takes the write permission of a broker away or gives it back. It returns in how many topics.
	SetWritable(ctx context.Context, broker string, writable bool) (topics int, err error)
	Configurable
}

// Configurable has a configuration of Java's keys.
type Configurable interface {
	Config(ctx context.Context) ([]Setting, error)
	// SetConfig changes one key. remark, if not empty, is what the server wants the operator to know.
	SetConfig(ctx context.Context, key, value string) (remark string, err error)
}

// Setting is one key of a configuration.
type Setting struct{ Key, Value string }

// RemoteBroker is one broker by its address.
type RemoteBroker interface {
	TopicAdmin
	GroupAdmin
	PositionAdmin
	StatsAdmin
	Configurable

	RuntimeInfo(ctx context.Context) (map[string]string, error)
	Consumers(ctx context.Context, group string) (ConsumerGroup, error)
	Producers(ctx context.Context, group string) ([]Connection, error)
	AllProducers(ctx context.Context) (map[string][]ProducerInfo, error)
	// AllClients returns who produces and who consumes.
	AllClients(ctx context.Context) (AllClients, error)
	Ask(ctx context.Context, r *RunningInfoRequest) (ClientAnswer, error)
	HaveConsumed(ctx context.Context, r *DirectRequest) (ClientAnswer, error)
	// GroupsStats returns how far all groups of the broker are.
	GroupsStats(ctx context.Context, ordered bool) (GroupsStats, error)
	HAStatus(ctx context.Context) (HAStatus, error)
	Epochs(ctx context.Context) (Epochs, error)
	ResetMasterFlush(ctx context.Context, at Offset) error
	SystemTopics(ctx context.Context) ([]string, error)
	Clean(ctx context.Context, what Cleaning) error
	SetConsumeMode(ctx context.Context, topic, group, mode string, shareQueues int32) error

	RemoteMessages
	RemoteUsers
	RemoteParts
	RemoteLite
	RemoteSpecials
}

// RemoteMessages reads and writes messages and positions of one broker.
type RemoteMessages interface {
	Pull(ctx context.Context, r *PullRequest, dst []byte) (Fetch, error)
	MinIndex(ctx context.Context, topic string, queue int32) (Index, error)
	MaxIndex(ctx context.Context, topic string, queue int32) (Index, error)
	IndexAtTime(ctx context.Context, topic string, queue int32, ms int64, b Boundary) (Index, error)
	MessageAt(ctx context.Context, at Offset, dst []byte) ([]byte, error)
	QueryByKey(ctx context.Context, q *KeyQuery) (KeyResult, error)
	CommitIndex(ctx context.Context, group, topic string, queue int32, at Index) error
	// Put stores one message.
	Put(ctx context.Context, r *SendRequest) (Stored, error)
}

// Stored says where a message was put.
type Stored struct {
	Status  SendStatus
	ID      string // the offset message id
	QueueID int32
	Index   Index
}

// String returns Java's name of a status.
func (s SendStatus) String() string {
	return [...]string{"SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE"}[s]
}

// Cleaning is what a broker can be told to clean up.
type Cleaning uint8

// What can be cleaned.
const (
	CleanExpiredQueues Cleaning = iota
	CleanExpiredLog
	CleanUnusedTopics
)

// ProducerInfo is one producer of a broker.
type ProducerInfo struct {
	Connection
	LastSeen int64 // ms
}

// AllClients are the clients of a broker, by group.
type AllClients struct {
	Producers map[string][]ProducerInfo
	Consumers map[string]ConsumerGroup // without subscriptions; nil: the broker does not tell, as Java's
}

// GroupsStats is how far all groups of a broker are.
type GroupsStats struct {
	Broker   string
	Groups   []GroupStats
	Total    int64 // messages behind
	Inflight int64
}

// GroupStats is one group of GroupsStats, by topic.
type GroupStats struct {
	Group string
	Stats []ConsumeStats
}

// Epochs are the epochs of a broker's log in controller mode.
type Epochs struct {
	Cluster, Broker string
	BrokerID        int64
	Max             Offset
	List            []Epoch
}

// Epoch is the part of a log that was written under one master.
type Epoch struct {
	Epoch      int32
	Start, End Offset // End of the newest is where the log ends
}

// ControllerAdmin is what a controller tells and does. Calls that change something want the leader.
type ControllerAdmin interface {
	Metadata(ctx context.Context) (ControllerMetadata, error)
	SyncStates(ctx context.Context, brokers []string) ([]SyncState, error)
	// Elect makes a broker the master of its set.
	Elect(ctx context.Context, cluster, broker string, id int64) (Elected, error)
	// CleanBroker forgets brokers of a set; ids is Java's list with semicolons, "" = all.
	CleanBroker(ctx context.Context, cluster, broker, ids string, living bool) error
	Configurable
}

// ControllerMetadata is what a controller says about its group.
type ControllerMetadata struct {
	Group, LeaderID, LeaderAddr string
	Leader                      bool
	Peers                       string // id:host:port, with semicolons
}

// SyncState is one set of brokers as the controller has it.
type SyncState struct {
	Broker            string
	MasterID          int64
	MasterAddr        string
	Epoch, StateEpoch int32
	InSync, NotInSync []Replica
}

// Replica is one broker of a set.
type Replica struct {
	Broker string
	ID     int64
	Addr   string
	Alive  bool
}

// Elected is the outcome of an election.
type Elected struct {
	MasterID          int64
	MasterAddr        string
	Epoch, StateEpoch int32
	Members           map[int64]string
}

// ClusterInfo lists all clusters and brokers.
type ClusterInfo struct {
	Clusters map[string][]string  // broker names
	Brokers  map[string]BrokerSet // by name
}

// BrokerSet is one broker name: a master and its slaves.
type BrokerSet struct {
	Cluster, Name string
	Addrs         map[int64]string // by id, 0 = the master
	Zone          string
	ActingMaster  bool // a slave may act for a master that is gone
}

// Master returns the address of the master, "" when there is none.
func (b *BrokerSet) Master() string { return b.Addrs[0] }

// Any returns the address of the master, else that of the smallest id.
func (b *BrokerSet) Any() string {
	for _, id := range slices.Sorted(maps.Keys(b.Addrs)) {
		return b.Addrs[id]
	}
	return ""
}

// In returns the broker sets of a cluster ("" = of all), sorted by name.
func (c *ClusterInfo) In(cluster string) []BrokerSet {
	var out []BrokerSet
	for name, set := range c.Brokers {
		if cluster == "" || slices.Contains(c.Clusters[cluster], name) {
			out = append(out, set)
		}
	}
	slices.SortFunc(out, func(a, b BrokerSet) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Route says where the queues of a topic are.
type Route struct {
	Order   string // Java's orderTopicConf, "" = none
	Brokers []BrokerSet
	Queues  []RouteQueues
}

// RouteQueues are the queues of a topic on one broker set.
type RouteQueues struct {
	Broker      string
	Read, Write int32
	Perm        Perm
	SysFlag     int32
}

// Set returns the broker set of a name, nil when the route does not have it.
func (r *Route) Set(name string) *BrokerSet {
	for i := range r.Brokers {
		if r.Brokers[i].Name == name {
			return &r.Brokers[i]
		}
	}
	return nil
}

// CallError says which server did not do what it was asked for: an operator sees address, step and time.
type CallError struct {
	Addr string
	Step string // Java's name of the request
	Took time.Duration
	Code int32 // the server's answer, 0 = it gave none
	Err  error // an *Error when the server has answered
}

// Error names the address, the step and the time.
func (e *CallError) Error() string {
	if e.Code != 0 { // Java's servers add a line with the address of their FAQ
		text, _, _ := strings.Cut(e.Err.Error(), "\n")
		return fmt.Sprintf("%s at %s: CODE: %d  DESC: %s", e.Step, e.Addr, e.Code, text)
	}
	return fmt.Sprintf("%s at %s failed after %s: %v", e.Step, e.Addr, round(e.Took), e.Err)
}

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.Err }

func round(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Microsecond)
}
