package broker_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/broker/stats"
	"github.com/cometmq/cometmq/internal/mq"
)

func TestStatsTellWhatWasCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.topic("T", 1)
		if _, err := r.Stats(t.Context(), mq.StatTopicPutNums, "T"); err == nil || err.Error() == "" {
			t.Error("a topic that nobody used has a past")
		}
		r.send(message("T", 0, "one"), message("T", 0, "two"))
		r.send(message("T", 0, "three"))
		r.settle()
		f, refused := r.Pull(t.Context(), pull("T", 0, 0), nil)
		must(t, refused)
		if f.Count != 3 {
			t.Fatalf("%d messages", f.Count)
		}
		time.Sleep(stats.Step + time.Second)
		for _, c := range []struct {
			name, key string
			sum       int64
			avg       float64
		}{
			{mq.StatTopicPutNums, "T", 3, 1},
			{mq.StatGroupGetNums, "T@g", 3, 3},
			{mq.StatGroupGetSize, "T@g", int64(len(f.Records)), float64(len(f.Records))},
			{mq.StatBrokerPutNums, "DefaultCluster", 3, 0},
			{mq.StatBrokerGetNumsUser, "DefaultCluster", 3, 0},
		} {
			s, err := r.Stats(t.Context(), c.name, c.key)
			must(t, err)
			if s.Minute.Sum != c.sum || s.Minute.AvgPT != c.avg || s.Minute.TPS == 0 || s.Hour.Sum != c.sum || s.Day.Sum != c.sum {
				t.Errorf("%s %s: %+v", c.name, c.key, s)
			}
		}
		_, none := r.Stats(t.Context(), mq.StatTopicPutNums, "U")
		if refusal, ok := errors.AsType[*mq.Error](none); !ok || refusal.Detail != "The stats <TOPIC_PUT_NUMS> <U> not exist" {
			t.Errorf("%v", none)
		}
		must(t, r.DeleteTopic(t.Context(), "T"))
		if _, err := r.Stats(t.Context(), mq.StatTopicPutNums, "T"); err == nil {
			t.Error("a topic that was deleted has a past")
		}
		r.stop()
	})
}
