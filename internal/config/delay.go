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

	TimerMax       time.Duration `key:"timerMaxDelaySec" unit:"s" min:"1" max:"9000000000" doc:"how far ahead a message may ask to be delivered"`
	Precision      time.Duration `key:"timerPrecisionMs" unit:"ms" min:"10" max:"3600000" doc:"what a slot of the timer wheel stands for; a store keeps the value it was made with"`
	RollWindow     int           `key:"timerRollWindowSlot" min:"2" max:"604740" doc:"messages that are due in more slots are stored again on the way"`
	TimerFlush     time.Duration `key:"timerFlushIntervalMs" unit:"ms" min:"10" max:"3600000" doc:"time between checkpoints of the timers"`
	TimerFile      int64         `key:"mappedFileSizeTimerLog" min:"4096" max:"2147483647" doc:"bytes of a timer log file"`
	Recall         bool          `key:"recallMessageEnable" doc:"messages that are not due yet can be taken back"`
	RecallLocked   bool          `key:"allowRecallWhenBrokerNotWriteable" doc:"also while brokerPermission forbids sends"`
	RecallTopicKey bool          `key:"appendTopicForTimerDeleteKey" doc:"write the topic into what takes a message back; both forms are understood"`
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
