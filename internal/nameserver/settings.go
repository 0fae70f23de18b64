package nameserver

import (
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/liveprops"
)

// javaDefaults holds every key that Java's name server prints for GET_NAMESRV_CONFIG, with its default. Keys that mean
// nothing here (thread counts and the like) are kept, shown and stored, so that tools and files work unchanged.
var javaDefaults = map[string]string{
	"bindAddress":                          "0.0.0.0",
	"clientRequestThreadPoolNums":          "8",
	"clientRequestThreadPoolQueueCapacity": "50000",
	"clusterTest":                          "false",
	"configBlackList":                      "configBlackList;configStorePath;kvConfigPath",
	"configStorePath":                      "",
	"defaultThreadPoolNums":                "16",
	"defaultThreadPoolQueueCapacity":       "10000",
	"deleteTopicWithBrokerRegistration":    "false",
	"enableAllTopicList":                   "true",
	"enableControllerInNamesrv":            "false",
	"enableShutdownGracefully":             "false",
	"enableTopicList":                      "true",
	"kvConfigPath":                         "",
	"listenPort":                           "9876",
	"needWaitForService":                   "false",
	"notifyMinBrokerIdChanged":             "false",
	"orderMessageEnable":                   "false",
	"productEnvName":                       "center",
	"returnOrderTopicConfigToBroker":       "true",
	"rocketmqHome":                         "",
	"scanNotActiveBrokerInterval":          "5000",
	"serverAsyncSemaphoreValue":            "64",
	"serverCallbackExecutorThreads":        "0",
	"serverChannelMaxIdleTimeSeconds":      "120",
	"serverNettyWorkerGroupEnable":         "true",
	"serverOnewaySemaphoreValue":           "256",
	"serverPooledByteBufAllocatorEnable":   "true",
	"serverSelectorThreads":                "3",
	"serverSocketBacklog":                  "1024",
	"serverSocketRcvBufSize":               "0",
	"serverSocketSndBufSize":               "0",
	"serverWorkerThreads":                  "8",
	"shutdownWaitTimeSeconds":              "30",
	"supportActingMaster":                  "false",
	"unRegisterBrokerQueueCapacity":        "3000",
	"useEpollNativeSelector":               "false",
	"waitSecondsForService":                "45",
	"writeBufferHighWaterMark":             "0",
	"writeBufferLowWaterMark":              "0",
}

// lockedKeys can never be changed by a request, whatever configBlackList says.
var lockedKeys = []string{"configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"}

// settings is one state of the configuration; it does not change.
type settings struct {
	liveprops.Table

	policy
	orderConf      bool // orderMessageEnable: routes carry the order configuration
	returnOrder    bool // returnOrderTopicConfigToBroker
	actingMaster   bool // supportActingMaster
	allTopicList   bool // enableAllTopicList
	topicList      bool // enableTopicList
	needWait       bool // needWaitForService
	waitForService time.Duration
	scanInterval   time.Duration
}

// newSettings puts props over Java's defaults.
func newSettings(props map[string]string) *settings {
	return derive(liveprops.Over(javaDefaults, props))
}

// derive reads the keys that mean something here.
func derive(t liveprops.Table) *settings {
	span := func(key string, unit time.Duration) time.Duration {
		n, err := strconv.ParseInt(t.Get(key), 10, 32)
		if err != nil {
			return 0
		}
		return time.Duration(n * int64(unit))
	}
	s := &settings{
		Table: t,
		policy: policy{
			dropMissing: t.On("deleteTopicWithBrokerRegistration"),
			notifyMin:   t.On("notifyMinBrokerIdChanged"),
		},
		orderConf:      t.On("orderMessageEnable"),
		returnOrder:    t.On("returnOrderTopicConfigToBroker"),
		actingMaster:   t.On("supportActingMaster"),
		allTopicList:   t.On("enableAllTopicList"),
		topicList:      t.On("enableTopicList"),
		needWait:       t.On("needWaitForService"),
		waitForService: span("waitSecondsForService", time.Second),
		scanInterval:   span("scanNotActiveBrokerInterval", time.Millisecond),
	}
	if s.scanInterval <= 0 {
		s.scanInterval = 5 * time.Second
	}
	return s
}

// update returns the settings with the changes applied.
func (s *settings) update(changes map[string]string) *settings { return derive(s.With(changes)) }
