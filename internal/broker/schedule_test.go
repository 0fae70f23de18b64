package broker

import (
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
)

func TestScheduleTagsAreWhenAMessageIsDue(t *testing.T) {
	t.Parallel()
	const stored = 1700000000000
	for _, tc := range []struct {
		topic, level string
		want         time.Duration
		ok           bool
	}{
		{scheduleTopic, "1", time.Second, true},
		{scheduleTopic, "3", 10 * time.Second, true},
		{scheduleTopic, "18", 2 * time.Hour, true},
		{scheduleTopic, "99", 2 * time.Hour, true}, // clamped, as Java does
		{scheduleTopic, "0", 0, false},
		{scheduleTopic, "x", 0, false},
		{"T", "3", 0, false},
	} {
		props := record.Props(record.AppendProp(nil, record.PropDelay, tc.level))
		code, ok := ScheduleTags([]byte(tc.topic), 2, props, stored)
		if ok != tc.ok || ok && code != stored+tc.want.Milliseconds() {
			t.Errorf("%s level %s: %d %v, want %v later", tc.topic, tc.level, code-stored, ok, tc.want)
		}
	}
	if _, ok := ScheduleTags([]byte(scheduleTopic), 0, nil, stored); ok {
		t.Error("a message without a level has a due time")
	}
}
