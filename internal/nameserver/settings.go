package nameserver

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magiconair/properties"

	"github.com/cometmq/cometmq/internal/vfs"
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
	props map[string]string

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

// newSettings puts props over Java's defaults. A value that does not parse is replaced by the default.
func newSettings(props map[string]string) *settings {
	all := maps.Clone(javaDefaults)
	for k, v := range props {
		if def, ok := javaDefaults[k]; !ok || validValue(def, v) {
			all[k] = v
		}
	}
	return derive(all)
}

// derive reads the keys that mean something here.
func derive(props map[string]string) *settings {
	on := func(key string) bool { return strings.EqualFold(props[key], "true") }
	span := func(key string, unit time.Duration) time.Duration {
		n, err := strconv.ParseInt(props[key], 10, 32)
		if err != nil {
			return 0
		}
		return time.Duration(n * int64(unit))
	}
	s := &settings{
		props: props,
		policy: policy{
			dropMissing: on("deleteTopicWithBrokerRegistration"),
			notifyMin:   on("notifyMinBrokerIdChanged"),
		},
		orderConf:      on("orderMessageEnable"),
		returnOrder:    on("returnOrderTopicConfigToBroker"),
		actingMaster:   on("supportActingMaster"),
		allTopicList:   on("enableAllTopicList"),
		topicList:      on("enableTopicList"),
		needWait:       on("needWaitForService"),
		waitForService: span("waitSecondsForService", time.Second),
		scanInterval:   span("scanNotActiveBrokerInterval", time.Millisecond),
	}
	if s.scanInterval <= 0 {
		s.scanInterval = 5 * time.Second
	}
	return s
}

// validValue reports whether v can replace a value like def: a number needs a number. Java reads anything else than
// "true" as false, so a boolean takes all.
func validValue(def, v string) bool {
	if _, err := strconv.ParseInt(def, 10, 64); err != nil {
		return true
	}
	_, err := strconv.ParseInt(v, 10, 64)
	return err == nil
}

// update returns the settings with the changes applied. Keys that do not exist are ignored, as in Java.
func (s *settings) update(changes map[string]string) *settings {
	all := maps.Clone(s.props)
	for k, v := range changes {
		old, ok := all[k]
		if !ok || !validValue(old, v) {
			continue
		}
		if old == "true" || old == "false" {
			v = strconv.FormatBool(strings.EqualFold(v, "true"))
		}
		all[k] = v
	}
	return derive(all)
}

// locked reports whether a change touches a key of the black list.
func (s *settings) locked(changes map[string]string) bool {
	for k := range changes {
		if slices.Contains(lockedKeys, k) || slices.Contains(strings.Split(s.props["configBlackList"], ";"), k) {
			return true
		}
	}
	return false
}

// text prints all keys as Java does: sorted, one a line, without escapes.
func (s *settings) text() []byte {
	var b []byte
	for _, k := range slices.Sorted(maps.Keys(s.props)) {
		b = append(b, k...)
		b = append(b, '=')
		b = append(b, s.props[k]...)
		b = append(b, '\n')
	}
	return b
}

// store writes a change into a file. What else stands there stays, comments and order too, if edit can do that; a file that is not there
// gets all keys, as in Java.
//
// Differs from Java: it writes the whole configuration anew, and what the operator has written into the file is gone.
func (s *settings) store(fs vfs.FS, name string, changes map[string]string, edit func(file []byte, values map[string]string) []byte) error {
	old, err := vfs.ReadFile(fs, name)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && edit == nil:
		return vfs.WriteFileAtomic(fs, name, s.text(), true)
	case err != nil:
		return err
	}
	values := map[string]string{}
	for k := range changes {
		if v, known := s.props[k]; known {
			values[k] = v
		}
	}
	return vfs.WriteFileAtomic(fs, name, edit(old, values), true)
}

// parseProperties reads the body of UPDATE_NAMESRV_CONFIG.
func parseProperties(body []byte) (map[string]string, error) {
	l := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	p, err := l.LoadBytes(body)
	if err != nil {
		return nil, fmt.Errorf("parse properties: %w", err)
	}
	return p.Map(), nil
}
