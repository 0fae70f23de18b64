package controller

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

// lockedKeys can never be changed by a request, whatever configBlackList says.
var lockedKeys = []string{"configBlackList", "configStorePath", "rocketmqHome"}

// settings is one state of the configuration; it does not change.
type settings struct {
	props map[string]string

	scanBrokers time.Duration // scanNotActiveBrokerInterval
	scanMasters time.Duration // scanInactiveMasterInterval
	unclean     bool          // enableElectUncleanMaster
	notify      bool          // notifyBrokerRoleChanged
	readByLog   bool          // isProcessReadEvent
}

const defaultScan = 5 * time.Second

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
	span := func(key string) time.Duration {
		n, err := strconv.ParseInt(props[key], 10, 32)
		if err != nil || n <= 0 {
			return defaultScan
		}
		return time.Duration(n) * time.Millisecond
	}
	return &settings{
		props:       props,
		scanBrokers: span("scanNotActiveBrokerInterval"),
		scanMasters: span("scanInactiveMasterInterval"),
		unclean:     on("enableElectUncleanMaster"),
		notify:      on("notifyBrokerRoleChanged"),
		readByLog:   on("isProcessReadEvent") || on("processReadEvent"),
	}
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
	black := strings.Split(s.props["configBlackList"], ";")
	for k := range changes {
		if slices.Contains(lockedKeys, k) || slices.Contains(black, k) {
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

// parseProperties reads the body of UPDATE_CONTROLLER_CONFIG.
func parseProperties(body []byte) (map[string]string, error) {
	l := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	p, err := l.LoadBytes(body)
	if err != nil {
		return nil, fmt.Errorf("parse properties: %w", err)
	}
	return p.Map(), nil
}
