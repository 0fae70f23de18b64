package mq

import "context"

// RemoteParts is what Java's tools tell and ask of parts of Java's broker. CometMQ has some of them in another form, and some not: then
// its answer is the one of a Java broker with its defaults, or KindUnsupported.
type RemoteParts interface {
	// ColdReads returns the limits of groups that read old messages and what they read, as Java's JSON; nil when there is nothing.
	ColdReads(ctx context.Context) ([]byte, error)
	// SetColdLimit is in bytes a second. A broker ignores a limit that is no number.
	SetColdLimit(ctx context.Context, group, limit string) error
	DropColdLimit(ctx context.Context, group string) error
	// SetReadAhead takes 0 for normal and 1 for random reads of the commit log.
	SetReadAhead(ctx context.Context, mode string) (remark string, err error)
	// SwitchTimers takes F for the wheel in files and R for RocksDB.
	SwitchTimers(ctx context.Context, engine string) error
	// CheckQueues compares the queues in RocksDB with those in files, of one topic or of all, from a store time in ms on.
	CheckQueues(ctx context.Context, topic string, since int64) (QueueCheck, error)
	// ExportTables has a broker write tables that it keeps in RocksDB as JSON files: topics, subscriptionGroups, consumerOffsets.
	ExportTables(ctx context.Context, tables []string) error
	// ExportPop has a broker turn what it keeps of pops in RocksDB into messages, which brokers without it understand.
	ExportPop(ctx context.Context) error
	// AddBroker and RemoveBroker are for Java's containers, which have several brokers in one process. The path is one of theirs.
	AddBroker(ctx context.Context, configPath string) error
	RemoveBroker(ctx context.Context, cluster, broker string, id int64) error
}

// QueueCheck is the answer of CheckQueues.
type QueueCheck struct {
	Status int32 // Java's CheckStatus: 0 right, 1 wrong, 2 in progress, 3 could not be done
	Result string
}

// CheckFailed is the Status of a check that could not be done.
const CheckFailed = 3

// RemoteLite asks brokers with light topics (Java 5.5), of which a parent topic has any number.
type RemoteLite interface {
	LiteBroker(ctx context.Context) (LiteBroker, error)
	LiteParent(ctx context.Context, topic string) (LiteParent, error)
	LiteTopic(ctx context.Context, parent, topic string) (LiteTopic, error)
	LiteClient(ctx context.Context, parent, group, client string) (LiteClient, error)
	// LiteGroup tells of one light topic, or of those that are most behind when topic is "".
	LiteGroup(ctx context.Context, group, topic string, most int32) (LiteGroup, error)
	// TriggerLite has a group, or one client of it, look for messages again.
	TriggerLite(ctx context.Context, group, client string) error
}

// LiteBroker counts what a broker has of light topics.
type LiteBroker struct {
	StoreType      string `json:"storeType"`
	MaxTopics      int32  `json:"maxTopics"`
	Topics         int32  `json:"topics"`
	Subscriptions  int32  `json:"subscriptions"`
	OrderInfos     int32  `json:"orderInfos"`
	Queues         int32  `json:"queues"`
	Positions      int32  `json:"positions"`
	ClientsWaiting int32  `json:"clientsWaiting"`
	// Parents is the time to live of each parent topic in minutes, Groups are its consumer groups.
	Parents map[string]int32    `json:"parents"`
	Groups  map[string][]string `json:"groups"`
}

// LiteParent is the parent topic of light topics on a broker.
type LiteParent struct {
	TTL    int32    `json:"ttlMinutes"` // -1: forever
	Groups []string `json:"groups"`
	Queues int32    `json:"queues"`
	Topics int32    `json:"topics"`
}

// LiteTopic is one light topic on a broker.
type LiteTopic struct {
	Min         Index            `json:"min"`
	Max         Index            `json:"max"`
	LastUpdate  int64            `json:"lastUpdateMs"`
	Here        bool             `json:"here"` // this broker is the one that has it
	Subscribers []LiteSubscriber `json:"subscribers"`
}

// LiteSubscriber is a client that has subscribed to a light topic.
type LiteSubscriber struct {
	Client string `json:"clientId"`
	Group  string `json:"group"`
}

// LiteClient is what one client has subscribed to on a broker.
type LiteClient struct {
	LastAccess  int64    `json:"lastAccessMs"` // 0: never
	LastConsume int64    `json:"lastConsumeMs"`
	Count       int32    `json:"count"` // of its topics, all of them; -1: the client is not known
	Topics      []string `json:"topics"`
}

// LiteGroup is how far behind a group is.
type LiteGroup struct {
	Parent   string `json:"-"` // its topic, as the broker itself says it
	Behind   int64  `json:"behind"`
	Earliest int64  `json:"earliestMs"` // store time of the oldest message that it has not consumed, <= 0: none
	// Topic is set when one topic was asked for and the group has a position there.
	Topic   *LitePosition `json:"topic,omitempty"`
	Most    []LiteLag     `json:"most"` // the most behind, by number and by age
	Earlier []LiteLag     `json:"earlier"`
}

// LitePosition is a group's position in a light topic.
type LitePosition struct {
	End       Index `json:"end"`
	Committed Index `json:"committed"`
	LastTime  int64 `json:"lastMs"`
}

// LiteLag is how far behind a group is in one light topic.
type LiteLag struct {
	Topic    string `json:"topic"`
	Behind   int64  `json:"behind"`
	Earliest int64  `json:"earliestMs"`
}
