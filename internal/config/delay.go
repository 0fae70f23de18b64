package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Delay is what happens to messages that are to be seen later.
type Delay struct {
	Levels string        `key:"messageDelayLevel" doc:"times of the delay levels: numbers with s, m, h or d, separated by spaces"`
	Fold   time.Duration `key:"flushDelayOffsetInterval" unit:"ms" min:"10" max:"3600000" doc:"age of delayOffset.json"`
}

const javaDelayLevels = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"

// DelayLevels returns the times of the delay levels. The text has been validated.
func (d *Delay) DelayLevels() []time.Duration {
	levels, err := parseDelayLevels(d.Levels)
	if err != nil {
		return nil
	}
	return levels
}

// maxDelayLevel is the longest level.
const maxDelayLevel = 100 * 365 * 24 * time.Hour

func parseDelayLevels(text string) ([]time.Duration, error) {
	fields := strings.Fields(text)
	levels := make([]time.Duration, len(fields))
	for i, f := range fields {
		unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[f[len(f)-1]]
		n, err := strconv.ParseInt(f[:len(f)-1], 10, 64)
		if unit == 0 || err != nil || n < 0 || n > int64(maxDelayLevel/unit) {
			return nil, fmt.Errorf("level %d is %q", i+1, f)
		}
		levels[i] = time.Duration(n) * unit
	}
	return levels, nil
}
