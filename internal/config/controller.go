package config

import (
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Controller is the configuration of a controller. Java has two kinds of them, which differ in how they keep their log; both
// sets of keys are read here and mean the same group.
type Controller struct {
	Address      string        `key:"bindAddress" doc:"address to listen on"`
	Port         int           `key:"listenPort" min:"0" max:"65535" doc:"port, unless the address of this controller has another one, which counts then"`
	Idle         time.Duration `key:"serverChannelMaxIdleTimeSeconds" unit:"s" min:"1" max:"86400" doc:"a connection without traffic is closed after that"`
	Type         string        `key:"controllerType" enum:"DLedger jRaft" doc:"whose keys name the group: those of DLedger or those of jRaft"`
	Group        string        `key:"controllerDLegerGroup" doc:"name of the group of controllers"`
	PeerList     []string      `key:"controllerDLegerPeers" sep:";" doc:"all controllers as id-host:port; brokers and the other controllers use the same port"`
	SelfID       string        `key:"controllerDLegerSelfId" doc:"id of this controller"`
	StorePath    string        `key:"controllerStorePath" doc:"folder; each controller has one of its own in it"`
	ScanBrokers  time.Duration `key:"scanNotActiveBrokerInterval" unit:"ms" live:"true" min:"1" max:"3600000" doc:"longest time between looks for silent brokers"`
	ScanMasters  time.Duration `key:"scanInactiveMasterInterval" unit:"ms" live:"true" min:"1" max:"3600000" doc:"longest time between looks for dead masters"`
	Unclean      bool          `key:"enableElectUncleanMaster" live:"true" doc:"when nobody of the sync-state set is alive, elect another broker and lose messages"`
	Notify       bool          `key:"notifyBrokerRoleChanged" live:"true" doc:"tell brokers about a new master at once"`
	ReadByLog    bool          `key:"isProcessReadEvent" live:"true" doc:"let each read go through the log of the controllers"`
	ReadByLog2   bool          `key:"processReadEvent" doc:"the same"`
	StoreConfig  string        `key:"configStorePath" doc:"file that keeps changes of this configuration"`
	Blacklist    string        `key:"configBlackList" doc:"keys that cannot be changed in a running controller"`
	JGroup       string        `key:"jRaftGroupId" doc:"jRaft: name of the group"`
	JSelf        string        `key:"jRaftServerId" doc:"jRaft: this controller, one of jRaftInitConf"`
	JPeers       []string      `key:"jRaftInitConf" sep:"," doc:"jRaft: ids of all controllers as host:port; nothing listens there, the addresses are those of jRaftControllerRPCAddr"`
	JAddrs       []string      `key:"jRaftControllerRPCAddr" sep:"," doc:"jRaft: addresses of all controllers, in the same order"`
	JElection    time.Duration `key:"jRaftElectionTimeoutMs" unit:"ms" min:"50" max:"600000" doc:"jRaft: after how long without a leader the controllers elect one; half of it is used, up to twice that can pass"`
	JSnapshot    time.Duration `key:"jRaftSnapshotIntervalSecs" unit:"s" min:"1" max:"604800" doc:"jRaft: longest time between snapshots"`
	Home         string        `key:"rocketmqHome" doc:"where Java's controller is installed; unused"`
	ShutdownWait time.Duration `key:"shutdownWaitTimeSeconds" unit:"s" min:"0" max:"3600" doc:"deadline of a graceful stop"`
	LogLevel     string        `key:"logLevel" live:"true" enum:"debug info warn error" doc:"what is logged"`
	LogFormat    string        `key:"logFormat" enum:"text json" doc:"form of the lines of the log"`
	LogLevels    []string      `key:"logLevels" sep:"," doc:"other levels for single components, such as store=debug,broker=warn"`
	Metrics      Metrics
	Bounds       FixedBounds
	Auth         Auth
	TLS          TLS

	// What the keys of either kind come to.

	Name    string             `key:"-"` // of the group
	Self    string             `key:"-"` // id
	Members []ControllerMember `key:"-"`
	// Election and Snapshot are 0 where the defaults count.
	Election, Snapshot time.Duration `key:"-"`
}

// ControllerMember is a controller of the group.
type ControllerMember struct {
	ID   string
	Addr string // host:port
}

// Words of controllerType.
const (
	ControllerDLedger = "DLedger"
	ControllerJRaft   = "jRaft"
)

const maxMembers = 15

// DefaultController returns the defaults: Java 5.5.0's where Java has the key.
func DefaultController(h Host) Controller {
	return Controller{
		Address: "0.0.0.0", Port: 19876, Idle: 120 * time.Second, Type: ControllerDLedger,
		// Differs from Java: it has the root folder of the machine, or a temporary one.
		StorePath:   filepath.Join(h.Home, "controller", "store"),
		ScanBrokers: 5 * time.Second, ScanMasters: 5 * time.Second, Notify: true,
		StoreConfig: filepath.Join(h.Home, "controller", "controller.properties"), Blacklist: "configBlackList;configStorePath",
		JGroup: "jRaft-Controller", JSelf: "localhost:9880",
		JPeers:    []string{"localhost:9880", "localhost:9881", "localhost:9882"},
		JAddrs:    []string{"localhost:9770", "localhost:9771", "localhost:9772"},
		JElection: time.Second, JSnapshot: time.Hour,
		Home: h.RocketMQHome, ShutdownWait: 30 * time.Second, LogLevel: "info", LogFormat: "text", Metrics: defaultMetrics(MetricsOff), Auth: defaultAuth(), TLS: defaultTLS(),
	}
}

// Listen is the address to listen on: the port of this controller's address, on the configured interface.
func (c *Controller) Listen() string {
	return net.JoinHostPort(c.Address, strconv.Itoa(c.Port))
}

// Folder is where this controller keeps its log.
func (c *Controller) Folder() string {
	return filepath.Join(c.StorePath, "cometmq-"+strings.NewReplacer(":", "_", "/", "_", `\`, "_").Replace(c.Self))
}

// controller loads a controller's configuration.
func (l *loader) controller() *Controller {
	cfg := DefaultController(l.sources.host())
	def := cfg
	set := load(l, &cfg)
	l.changesIntoFile(&cfg.StoreConfig, set)
	if l.isWithin {
		// These two are the other role's: two that write into one file would lose changes.
		cfg.StoreConfig, cfg.Port = def.StoreConfig, def.Port
		delete(set, "listenPort")
	}
	cfg.ReadByLog = cfg.ReadByLog || cfg.ReadByLog2
	l.checkMetrics(&cfg.Metrics, set)
	l.checkTLS(&cfg.TLS, set)
	l.checkLogLevels(cfg.LogLevels, set)
	l.checkProxies(cfg.Bounds.Proxies, set)
	if cfg.Address == "" {
		l.bad("bindAddress", entry{"", set.source("bindAddress")}, "it must not be empty")
	}
	if cfg.StorePath == "" {
		l.bad("controllerStorePath", entry{"", set.source("controllerStorePath")}, "it must not be empty")
	}
	if cfg.Type == ControllerJRaft {
		l.jraftMembers(&cfg, set)
	} else {
		l.dledgerMembers(&cfg, set)
	}
	if len(l.errs) == 0 {
		l.checkMembers(&cfg, set)
	}
	return &cfg
}

// ofController reports whether a key is one of a controller's file.
func (l *loader) ofController(key string) bool {
	for _, j := range javaKeys() {
		if j.key == key && (j.class == "ControllerConfig" || j.class == "JraftConfig") {
			return true
		}
	}
	return false
}

func (l *loader) dledgerMembers(c *Controller, set settings) {
	const peers, allowed = "controllerDLegerPeers", `all controllers as id-host:port, separated by ";", such as n0-10.0.0.1:9878;n1-10.0.0.2:9878;n2-10.0.0.3:9878`
	c.Name, c.Self = c.Group, c.SelfID
	if c.Name == "" {
		l.bad("controllerDLegerGroup", entry{"", set.source("controllerDLegerGroup")}, "a name, the same for all controllers of the group")
	}
	if len(c.PeerList) == 0 {
		l.bad(peers, entry{"", set.source(peers)}, allowed)
	}
	for _, p := range c.PeerList {
		id, addr, ok := strings.Cut(p, "-")
		if !ok || id == "" || !validAddr(addr) {
			l.bad(peers, entry{p, set.source(peers)}, allowed)
			continue
		}
		c.Members = append(c.Members, ControllerMember{id, addr})
	}
	if c.Self == "" || (len(c.Members) > 0 && !c.has(c.Self)) {
		l.bad("controllerDLegerSelfId", entry{c.Self, set.source("controllerDLegerSelfId")}, "one of the ids in controllerDLegerPeers")
	}
}

func (l *loader) jraftMembers(c *Controller, set settings) {
	c.Name, c.Self = c.JGroup, c.JSelf
	c.Election, c.Snapshot = c.JElection/2, c.JSnapshot
	if c.Name == "" {
		l.bad("jRaftGroupId", entry{"", set.source("jRaftGroupId")}, "a name, the same for all controllers of the group")
	}
	if len(c.JPeers) != len(c.JAddrs) {
		l.bad("jRaftControllerRPCAddr", entry{strings.Join(c.JAddrs, ","), set.source("jRaftControllerRPCAddr")},
			fmt.Sprintf("as many addresses as jRaftInitConf has, %d", len(c.JPeers)))
		return
	}
	for i, id := range c.JPeers {
		if !validAddr(id) {
			l.bad("jRaftInitConf", entry{id, set.source("jRaftInitConf")}, `all controllers as host:port, separated by ","`)
		}
		if !validAddr(c.JAddrs[i]) {
			l.bad("jRaftControllerRPCAddr", entry{c.JAddrs[i], set.source("jRaftControllerRPCAddr")}, `addresses as host:port, separated by ","`)
		}
		c.Members = append(c.Members, ControllerMember{id, c.JAddrs[i]})
	}
	if !c.has(c.Self) {
		l.bad("jRaftServerId", entry{c.Self, set.source("jRaftServerId")}, "one of those in jRaftInitConf")
	}
}

func (c *Controller) has(id string) bool {
	return slices.ContainsFunc(c.Members, func(m ControllerMember) bool { return m.ID == id })
}

// checkMembers checks the group and takes the port from the address of this controller.
func (l *loader) checkMembers(c *Controller, set settings) {
	l.checkAuth(&c.Auth, filepath.Join(c.StorePath, "auth", filepath.Base(c.Folder())), c.Home, len(c.Members) > 1, set)
	key, text := "controllerDLegerPeers", strings.Join(c.PeerList, ";")
	if c.Type == ControllerJRaft {
		key, text = "jRaftInitConf", strings.Join(c.JPeers, ",")
	}
	seen := map[string]bool{}
	for _, m := range c.Members {
		if seen["id "+m.ID] || seen["addr "+m.Addr] {
			l.bad(key, entry{text, set.source(key)}, "each controller once, with an id and an address of its own")
			return
		}
		seen["id "+m.ID], seen["addr "+m.Addr] = true, true
	}
	n := len(c.Members)
	if n > maxMembers {
		l.bad(key, entry{text, set.source(key)}, fmt.Sprintf("at most %d controllers, 3 or 5 are enough", maxMembers))
	}
	if n%2 == 0 {
		l.notice(slog.LevelWarn, key, set.source(key), "%d controllers bear the loss of %d, as %d do: take 3 or 5", n, (n-1)/2, n-1)
	}
	for _, m := range c.Members {
		if m.ID != c.Self {
			continue
		}
		_, port, _ := net.SplitHostPort(m.Addr)
		p, _ := strconv.Atoi(port)
		if e, ok := set["listenPort"]; ok && c.Port != p {
			l.notice(slog.LevelWarn, "listenPort", e.source, "the port of this controller is %d, that of its address in %s", p, key)
		}
		c.Port = p
	}
}
