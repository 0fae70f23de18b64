package config

import (
	"log/slog"
	"net"
	"strconv"
	"time"
)

// Replica is how the broker stands to the others of its set.
type Replica struct {
	Copies       int           `key:"inSyncReplicas" min:"1" max:"64" doc:"SYNC_MASTER: in how many logs a message is before its send is answered, the master's included"`
	MinInSync    int           `key:"minInSyncReplicas" min:"1" max:"64" doc:"messages are refused while fewer brokers are in sync, the master included"`
	Total        int           `key:"totalReplicas" min:"1" max:"64" doc:"brokers in the set, the master included"`
	Timeout      time.Duration `key:"slaveTimeout" unit:"ms" min:"1" max:"3600000" doc:"how long a send waits for slaves"`
	Heartbeat    time.Duration `key:"haSendHeartbeatInterval" unit:"ms" min:"1" max:"3600000" doc:"after how much silence master and slave send a sign of life"`
	Housekeeping time.Duration `key:"haHousekeepingInterval" unit:"ms" min:"1" max:"3600000" doc:"after how much silence master and slave close the connection"`
	Batch        int           `key:"haTransferBatchSize" min:"1" max:"4194292" doc:"most bytes of the log in one frame to a slave"`
	Master       string        `key:"haMasterAddress" doc:"where a slave finds its master, host:port; default what the name servers say"`
	MaxGap       int64         `key:"haMaxGapNotInSync" min:"0" max:"2147483647" doc:"a slave that is more bytes behind is not in sync"`
	Limited      bool          `key:"haFlowControlEnable" doc:"limit the bytes a second that go to a slave"`
	MaxRate      int64         `key:"maxHaTransferByteInSecond" min:"1" max:"1099511627776" doc:"that limit"`
	SlaveRead    bool          `key:"slaveReadEnable" doc:"consumers that are far behind are sent to a slave, and slaves serve them"`
	OffsetCheck  bool          `key:"offsetCheckInSlave" doc:"a slave corrects positions that are outside of a queue"`
	Acting       bool          `key:"enableSlaveActingMaster" doc:"when the master is gone the slave with the smallest id does what it does by itself, and serves consumers as it would; the name servers need supportActingMaster=true"`
	Escape       bool          `key:"enableRemoteEscape" doc:"what such a slave delivers is stored by the masters of other sets; else it waits for its master"`
	SkipOnline   bool          `key:"skipPreOnline" doc:"with enableSlaveActingMaster: register at once, without looking for the others of the set first"`
	Members      time.Duration `key:"syncBrokerMemberGroupPeriod" unit:"ms" min:"1" max:"3600000" doc:"with enableSlaveActingMaster: time between questions to the name servers who is in the set"`
	Inactive     time.Duration `key:"brokerNotActiveTimeoutMillis" unit:"ms" min:"1" max:"3600000" doc:"with enableSlaveActingMaster: after how much silence the name servers forget this broker"`
	Auto         bool          `key:"enableAutoInSyncReplicas" doc:"with enableSlaveActingMaster: a SYNC_MASTER waits for fewer logs while fewer are in sync, but not for fewer than minInSyncReplicas"`
	TLS          bool          `key:"tls.ha.enable" doc:"the log is copied over TLS only, with the certificates of tls.server and tls.client; for sets without Java's brokers, the same on all of them"`
}

// defaultReplica returns Java's defaults.
func defaultReplica() Replica {
	return Replica{
		Copies: 1, MinInSync: 1, Total: 1, Timeout: 3 * time.Second, Heartbeat: 5 * time.Second, Housekeeping: 20 * time.Second, Batch: 32 << 10,
		MaxGap: 256 << 20, MaxRate: 100 << 20, Members: time.Second, Inactive: 10 * time.Second,
	}
}

// checkRole checks id and role as BrokerStartup does, and warns of promises that the settings do not make.
func (l *loader) checkRole(c *Broker, set settings) {
	r := &c.Replica
	l.checkReplicas(c, set)
	if c.Control.On {
		if r.Acting {
			l.notice(slog.LevelWarn, "enableSlaveActingMaster", set.source("enableSlaveActingMaster"), "it has no effect with enableControllerMode: there a slave becomes the master")
		}
		c.Identity.ID, c.Identity.Role = 0, RoleAsyncMaster
		return
	}
	if c.Identity.Role == RoleSlave {
		if c.Identity.ID <= 0 {
			l.bad("brokerId", entry{strconv.FormatInt(c.Identity.ID, 10), set.source("brokerId")}, "a slave's id must be > 0, each slave of a set has its own")
		}
	} else if c.Identity.ID != 0 {
		l.notice(slog.LevelWarn, "brokerId", set.source("brokerId"), "a master has id 0, %d is ignored", c.Identity.ID)
		c.Identity.ID = 0
	}
	switch {
	case c.Identity.Role == RoleSyncMaster && r.Copies == 1:
		l.notice(slog.LevelWarn, "inSyncReplicas", set.source("inSyncReplicas"),
			"a SYNC_MASTER with inSyncReplicas = 1 waits for no slave, as in Java: set inSyncReplicas = 2 to have each message in a second log before its send is answered")
	case c.Identity.Role != RoleSyncMaster && r.Copies > 1:
		l.notice(slog.LevelWarn, "inSyncReplicas", set.source("inSyncReplicas"), "only a SYNC_MASTER waits for slaves, this broker is %s", c.Identity.Role)
	}
	switch {
	case !r.Acting && r.Auto:
		l.notice(slog.LevelWarn, "enableAutoInSyncReplicas", set.source("enableAutoInSyncReplicas"), "it counts with enableSlaveActingMaster only, as in Java")
	case !r.Acting && r.Escape:
		l.notice(slog.LevelWarn, "enableRemoteEscape", set.source("enableRemoteEscape"), "it counts with enableSlaveActingMaster only, as in Java")
	}
	if r.Master != "" {
		if _, _, err := net.SplitHostPort(r.Master); err != nil {
			l.bad("haMasterAddress", entry{r.Master, set.source("haMasterAddress")}, "an address as host:port, such as 192.168.0.1:10912")
		}
	}
}
