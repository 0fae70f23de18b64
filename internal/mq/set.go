package mq

import "context"

// Escaped is a message that a slave which acts as the master gives to the master of another set, because it must not write to
// its own log: a copy of a message that is due now, a half message that nobody has decided, one that was popped and not
// acknowledged.
type Escaped struct {
	Topic     string
	Queue     int32  // where it would be here
	Group     string // of its producer, "" for the broker's own
	Flag      int32
	SysFlag   int32
	BornTime  int64 // ms
	Reconsume int32
	Props     []byte // as stored
	Body      []byte
}

// HAInfo is what a master tells its slaves about itself (EXCHANGE_BROKER_HA_INFO).
type HAInfo struct {
	HAAddr string // where it serves slaves
	Addr   string // where it serves clients
	Start  Offset // where its log ended when it was started
}

// ExactProgress is a field of a CometMQ slave's answer to EXCHANGE_BROKER_HA_INFO: it has stopped acting, and says exactly how far it
// is.
const ExactProgress = "cometmqExact"

// MinBroker is a change of the smallest broker id of a set, as a name server tells it (NOTIFY_MIN_BROKER_ID_CHANGE).
type MinBroker struct {
	ID      int64
	Addr    string
	Offline string // the address of the broker that went, "" when one came
	HAAddr  string // of the broker that came
}

// HAStatus is how a broker stands to the others of its set (GET_BROKER_HA_STATUS).
type HAStatus struct {
	Master bool
	End    Offset // of the master's log
	InSync int32  // slaves that are in sync
	Slaves []SlaveStatus
	Client HAClientStatus // of a slave
}

// SlaveStatus is one slave as its master sees it.
type SlaveStatus struct {
	Addr     string
	Acked    Offset
	Behind   int64 // bytes
	InSync   bool
	Rate     int64 // bytes/s that are sent to it
	SentUpTo Offset
}

// HAClientStatus is how a slave follows its master.
type HAClientStatus struct {
	Master    string
	Rate      int64 // bytes/s that come
	End       Offset
	LastRead  int64  // ms
	LastWrite int64  // ms
	Start     Offset // HAInfo.Start of the master, 0: not known
	Connected bool
}

// Set is what the brokers of one set and the name servers tell each other.
type Set interface {
	// HAInfo returns how slaves reach this broker; ok = false: it is no master.
	HAInfo(ctx context.Context) (info HAInfo, ok bool)
	// TakeHAInfo tells a slave where its master is. A slave that acts as the master has stopped doing so when it returns.
	TakeHAInfo(ctx context.Context, info HAInfo) error
	// MinBroker tells that the smallest id of the set has changed.
	MinBroker(ctx context.Context, m MinBroker) error
	// HAStatus tells how replication goes.
	HAStatus(ctx context.Context) (HAStatus, error)
}
