package broker_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/telemetry"
)

func TestMessagesAreKeptAsLongAsTheTopicSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		put := func(name string, attrs map[string]string) {
			t.Helper()
			must(t, r.PutTopic(t.Context(), mq.TopicConfig{Name: name, ReadQueues: 2, WriteQueues: 2, Perm: 6, Attributes: attrs}))
		}
		first := func(topic string) mq.Index {
			t.Helper()
			n, err := r.MinIndex(t.Context(), topic, 0)
			must(t, err)
			return n
		}
		put("Hour", map[string]string{"+reserve.time": "1"})
		put("Forever", nil)
		r.putN("Hour", 300)
		r.putN("Forever", 10)
		time.Sleep(40 * time.Minute)
		r.putN("Hour", 5)
		if first("Hour") != 0 {
			t.Error("expired too early")
		}
		time.Sleep(22 * time.Minute)
		if n := first("Hour"); n != 300 {
			t.Errorf("after an hour the queue begins at %d, want 300", n)
		}
		if n := first("Forever"); n != 0 {
			t.Errorf("another topic begins at %d", n)
		}
		f, err := r.Pull(t.Context(), pull("Hour", 0, 0), nil)
		if err != nil || f.Status != mq.FetchOffsetTooSmall || f.Next != 300 {
			t.Errorf("%+v %v", f, err)
		}
		if f, err = r.Pull(t.Context(), pull("Hour", 0, 300), nil); err != nil || f.Count != 5 {
			t.Errorf("%+v %v", f, err)
		}
		time.Sleep(40 * time.Minute)
		if n := first("Hour"); n != 305 {
			t.Errorf("when all are old the queue begins at %d, want 305", n)
		}
		if res := r.put(message("Hour", 0, "new")); res.Index != 305 {
			t.Errorf("the next message has index %d", res.Index)
		}
		time.Sleep(2 * time.Minute)
		if n := first("Hour"); n != 305 {
			t.Errorf("the new message is gone: %d", n)
		}
		info, err := r.RuntimeInfo(t.Context())
		if err != nil || info["retention.Hour"] != "hours=1 expired=305" || info["retention.Forever"] != "" {
			t.Errorf("%q %v", info["retention.Hour"], err)
		}
		found := 0
		telemetry.Collect([]telemetry.Source{{Collect: func(s *telemetry.Sink) { r.Collect(s, false) }}}, 0, func(s *telemetry.Sample) {
			if s.Metric == telemetry.TopicRetention && s.Value == 3600 || s.Metric == telemetry.TopicExpired && s.Value == 305 {
				if strings.Join(s.Labels, " ") == "Hour" {
					found++
				}
			}
		})
		if found != 2 {
			t.Errorf("%d metrics", found)
		}
		// After a start, too.
		r.stop()
		r = start(t, func(o *setup) { o.FS = r.fs })
		synctest.Wait()
		if n := first("Hour"); n != 305 {
			t.Errorf("after a start the queue begins at %d", n)
		}
		// Without the attribute nothing more goes.
		put("Hour", map[string]string{"-reserve.time": ""})
		time.Sleep(2 * time.Hour)
		if n := first("Hour"); n != 305 {
			t.Errorf("without the attribute the queue begins at %d", n)
		}
		r.stop()
	})
}
