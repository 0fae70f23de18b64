package controller

import (
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/liveprops"
)

// lockedKeys can never be changed by a request, whatever configBlackList says.
var lockedKeys = []string{"configBlackList", "configStorePath", "rocketmqHome"}

// settings is one state of the configuration; it does not change.
type settings struct {
	liveprops.Table

	scanBrokers time.Duration // scanNotActiveBrokerInterval
	scanMasters time.Duration // scanInactiveMasterInterval
	unclean     bool          // enableElectUncleanMaster
	notify      bool          // notifyBrokerRoleChanged
	readByLog   bool          // isProcessReadEvent
}

const defaultScan = 5 * time.Second

// newSettings puts props over Java's defaults.
func newSettings(props map[string]string) *settings {
	return derive(liveprops.Over(javaDefaults, props))
}

// derive reads the keys that mean something here.
func derive(t liveprops.Table) *settings {
	span := func(key string) time.Duration {
		n, err := strconv.ParseInt(t.Get(key), 10, 32)
		if err != nil || n <= 0 {
			return defaultScan
		}
		return time.Duration(n) * time.Millisecond
	}
	return &settings{
		Table:       t,
		scanBrokers: span("scanNotActiveBrokerInterval"),
		scanMasters: span("scanInactiveMasterInterval"),
		unclean:     t.On("enableElectUncleanMaster"),
		notify:      t.On("notifyBrokerRoleChanged"),
		readByLog:   t.On("isProcessReadEvent") || t.On("processReadEvent"),
	}
}

// update returns the settings with the changes applied.
func (s *settings) update(changes map[string]string) *settings { return derive(s.With(changes)) }
