package config

import (
	"path/filepath"
	"time"
)

// Namesrv is the configuration of a name server.
type Namesrv struct {
	Address      string        `key:"bindAddress" doc:"address to listen on"`
	Port         int           `key:"listenPort" min:"0" max:"65535" doc:"port; 0 = any free port"`
	Idle         time.Duration `key:"serverChannelMaxIdleTimeSeconds" unit:"s" min:"1" max:"86400" doc:"a connection without traffic is closed after that"`
	KVPath       string        `key:"kvConfigPath" doc:"file of the key-value table"`
	StorePath    string        `key:"configStorePath" doc:"file that keeps changes of this configuration"`
	Product      string        `key:"productEnvName" doc:"name of the environment"`
	ClusterTest  bool          `key:"clusterTest" doc:"ask another name server for unknown topics; not supported"`
	OrderConf    bool          `key:"orderMessageEnable" live:"true" doc:"routes carry the order configuration"`
	ReturnOrder  bool          `key:"returnOrderTopicConfigToBroker" live:"true" doc:"tell brokers the order configuration when they register"`
	Scan         time.Duration `key:"scanNotActiveBrokerInterval" unit:"ms" min:"1" max:"3600000" doc:"time between looks for silent brokers"`
	ActingMaster bool          `key:"supportActingMaster" live:"true" doc:"serve routes of broker sets that have only slaves"`
	AllTopicList bool          `key:"enableAllTopicList" live:"true" doc:"answer the list of all topics"`
	TopicList    bool          `key:"enableTopicList" live:"true" doc:"answer lists of topics"`
	NotifyMinID  bool          `key:"notifyMinBrokerIdChanged" live:"true" doc:"tell brokers when the smallest id of their set changes"`
	NeedWait     bool          `key:"needWaitForService" live:"true" doc:"answer routes only some time after the start"`
	WaitService  time.Duration `key:"waitSecondsForService" unit:"s" live:"true" min:"0" max:"86400" doc:"that time"`
	DeleteTopics bool          `key:"deleteTopicWithBrokerRegistration" live:"true" doc:"forget topics that a broker no longer registers"`
	Blacklist    string        `key:"configBlackList" doc:"keys that cannot be changed in a running name server"`
	InProcess    bool          `key:"enableControllerInNamesrv" doc:"run a controller in the same process; its keys stand in the same file"`
	Home         string        `key:"rocketmqHome" doc:"where Java's name server is installed; unused"`
	ShutdownWait time.Duration `key:"shutdownWaitTimeSeconds" unit:"s" min:"0" max:"3600" doc:"deadline of a graceful stop"`
	LogLevel     string        `key:"logLevel" live:"true" enum:"debug info warn error" doc:"what is logged"`
	LogFormat    string        `key:"logFormat" enum:"text json" doc:"form of the lines of the log"`
	LogLevels    []string      `key:"logLevels" sep:"," doc:"other levels for single components, such as store=debug,broker=warn"`
	Metrics      Metrics
	Bounds       FixedBounds
	Auth         Auth
	TLS          TLS

	// Controller is the controller of the same process, nil without enableControllerInNamesrv.
	Controller *Controller `key:"-"`
}

// DefaultNamesrv returns the defaults: Java 5.5.0's where Java has the key.
func DefaultNamesrv(h Host) Namesrv {
	return Namesrv{
		Address: "0.0.0.0", Port: 9876, Idle: 120 * time.Second,
		KVPath:    filepath.Join(h.Home, "namesrv", "kvConfig.json"),
		StorePath: filepath.Join(h.Home, "namesrv", "namesrv.properties"),
		Product:   "center", ReturnOrder: true, Scan: 5 * time.Second, AllTopicList: true, TopicList: true,
		WaitService: 45 * time.Second, Blacklist: "configBlackList;configStorePath;kvConfigPath",
		Home: h.RocketMQHome, ShutdownWait: 30 * time.Second, LogLevel: "info", LogFormat: "text", Metrics: defaultMetrics(MetricsOff), Auth: defaultAuth(), TLS: defaultTLS(),
	}
}
