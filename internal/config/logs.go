package config

import (
	"log/slog"
	"strings"
)

// ParseLogLevels reads logLevels: levels by component. bad is the first part that is none.
func ParseLogLevels(list []string) (levels map[string]slog.Level, bad string) {
	levels = map[string]slog.Level{}
	for _, part := range list {
		name, word, ok := strings.Cut(strings.TrimSpace(part), "=")
		var level slog.Level
		if !ok || name == "" || level.UnmarshalText([]byte(word)) != nil {
			return nil, part
		}
		levels[name] = level
	}
	return levels, ""
}

func (l *loader) checkLogLevels(list []string, set settings) {
	if _, bad := ParseLogLevels(list); bad != "" {
		l.bad("logLevels", entry{bad, set.source("logLevels")}, "component=level, separated by \",\", with the levels debug, info, warn, error")
	}
}
