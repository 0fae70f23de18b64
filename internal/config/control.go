package config

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Control is controller mode: who is master is decided by controllers, and changes while the brokers run.
type Control struct {
	On          bool          `key:"enableControllerMode" doc:"controllers decide who is master; brokerId and brokerRole are not used"`
	Addrs       []string      `key:"controllerAddr" sep:";" doc:"controllers, host:port;host:port"`
	Lookup      bool          `key:"fetchControllerAddrByDnsLookup" doc:"controllerAddr is one name, all addresses of which are controllers"`
	Roles       time.Duration `key:"syncBrokerMetadataPeriod" unit:"ms" min:"10" max:"3600000" doc:"time between questions who is master; a fifth of controllerHeartBeatTimeoutMills if that is less"`
	Controllers time.Duration `key:"syncControllerMetadataPeriod" unit:"ms" min:"10" max:"3600000" doc:"time between questions which controller leads"`
	Expire      time.Duration `key:"controllerHeartBeatTimeoutMills" unit:"ms" min:"100" max:"3600000" doc:"a broker that is silent for so long counts as dead, and a master that was not confirmed for so long takes no messages"`
	Priority    int32         `key:"brokerElectionPriority" min:"0" max:"2147483647" doc:"the lower one becomes master among brokers whose logs are alike"`
	Learner     bool          `key:"asyncLearner" doc:"this broker copies the log and is never elected"`
	LastFile    bool          `key:"syncFromLastFile" doc:"a broker with an empty log copies the last file only"`
	AllAck      bool          `key:"allAckInSyncStateSet" doc:"a send is answered when all brokers that count as in sync have the message"`
	CaughtUp    time.Duration `key:"haMaxTimeSlaveNotCatchup" unit:"ms" min:"1" max:"3600000" doc:"a broker that is behind for so long does not count as in sync any more"`
	CheckSet    time.Duration `key:"checkSyncStateSetPeriod" unit:"ms" min:"10" max:"3600000" doc:"time between looks who is in sync"`
	Identity    string        `key:"storePathBrokerIdentity" doc:"file of the number that this broker has in its set, default brokerIdentity in the store"`
	Epochs      string        `key:"storePathEpochFile" doc:"file of the epochs of the log, default epochFileCheckpoint in the store"`
}

// defaultControl returns Java's defaults.
func defaultControl() Control {
	return Control{
		Roles: 5 * time.Second, Controllers: 10 * time.Second, Expire: 10 * time.Second, Priority: 1<<31 - 1,
		CaughtUp: 15 * time.Second, CheckSet: 5 * time.Second,
	}
}

// leastBeats is how many heartbeats must fit into the time after which a broker counts as dead.
const leastBeats = 3

// checkControl checks what belongs to controller mode, and says what the settings promise and what they do not.
func (l *loader) checkControl(c *Broker, set settings) {
	t, r := &c.Control, &c.Replica
	bad := func(key, value, allowed string) { l.bad(key, entry{value, set.source(key)}, allowed) }
	warn := func(key, text string, args ...any) {
		l.notice(slog.LevelWarn, key, set.source(key), text, args...)
	}
	for _, a := range t.Addrs {
		if !validAddr(a) {
			bad("controllerAddr", a, `controllers as host:port, separated by ";", such as 192.168.0.1:9878;192.168.0.2:9878;192.168.0.3:9878`)
		}
	}
	if !t.On {
		for _, k := range []string{"allAckInSyncStateSet", "asyncLearner", "syncFromLastFile"} {
			if e, ok := set[k]; ok && e.value == "true" {
				warn(k, "it has no effect without enableControllerMode")
			}
		}
		return
	}
	if len(t.Addrs) == 0 {
		bad("controllerAddr", "", `it must not be empty with enableControllerMode = true: controllers as host:port, separated by ";"`)
	}
	if t.Lookup && len(t.Addrs) > 1 {
		bad("controllerAddr", strconv.Itoa(len(t.Addrs))+" addresses", "one name with a port when fetchControllerAddrByDnsLookup = true")
	}
	if least := leastBeats * c.Routes.Beat; t.Expire < least {
		bad("controllerHeartBeatTimeoutMills", strconv.FormatInt(t.Expire.Milliseconds(), 10),
			"at least "+strconv.FormatInt(least.Milliseconds(), 10)+", the time of "+strconv.Itoa(leastBeats)+" heartbeats (brokerHeartbeatInterval)")
	}
	for _, k := range []string{"brokerId", "haMasterAddress"} {
		if e, ok := set[k]; ok && strings.TrimSpace(e.value) != "-1" {
			warn(k, "it is not used with enableControllerMode = true: the controllers decide")
		}
	}
	if r.Acting {
		r.Acting = false
		warn("enableSlaveActingMaster", "it is not used with enableControllerMode = true: when the master is gone another broker becomes the master")
	}
	switch {
	case !t.AllAck && r.Copies == 1:
		warn("allAckInSyncStateSet", "a send is answered as soon as the master has the message, so that an election can lose what was answered last: set allAckInSyncStateSet = true and minInSyncReplicas = 2 to lose nothing")
	case !t.AllAck:
		warn("allAckInSyncStateSet", "a send is answered when %d brokers have the message, and an election may choose another one: set allAckInSyncStateSet = true to lose nothing", r.Copies)
	case r.MinInSync == 1:
		warn("minInSyncReplicas", "when all others are gone the master goes on alone, and what it is sent then is lost with its disk: set minInSyncReplicas = 2 to refuse messages then")
	}
}

// checkReplicas refuses to promise more copies than there are brokers.
func (l *loader) checkReplicas(c *Broker, set settings) {
	r := &c.Replica
	_, told := set["totalReplicas"]
	if !told && r.Total == 1 {
		return // the default, which says nothing
	}
	for key, n := range map[string]int{"inSyncReplicas": r.Copies, "minInSyncReplicas": r.MinInSync} {
		if n > r.Total {
			l.bad(key, entry{strconv.Itoa(n), set.source(key)}, "at most totalReplicas = "+strconv.Itoa(r.Total))
		}
	}
	if c.Control.On && c.Control.Learner && r.Total == 1 {
		l.bad("asyncLearner", entry{"true", set.source("asyncLearner")}, "false in a set of one broker (totalReplicas = 1): a learner is never elected")
	}
}
