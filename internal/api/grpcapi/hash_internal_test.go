package grpcapi

import (
	"fmt"
	"testing"

	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// The vectors were made with Guava.
func TestConsistentHash(t *testing.T) {
	t.Parallel()
	for key, want := range map[string][4]int32{
		"a": {0, 0, 0, 0}, "order-1": {0, 3, 3, 3}, "group": {0, 0, 0, 8}, "中文": {0, 3, 3, 3}, "0123456789": {0, 2, 2, 2},
	} {
		for i, n := range []int32{1, 4, 8, 16} {
			if got := bucket(key, n); got != want[i] {
				t.Errorf("bucket(%q, %d) = %d, want %d", key, n, got, want[i])
			}
		}
	}
}

// A broker makes no such topics any more, but a store may have some.
func TestMixedTopics(t *testing.T) {
	t.Parallel()
	c := &mq.TopicConfig{Attributes: map[string]string{attrType: typeMixed}}
	if got := fmt.Sprint(typesOf(c)); got != "[NORMAL FIFO DELAY TRANSACTION]" {
		t.Error(got)
	}
	if err := checkKind(c, v2.MessageType_FIFO); err != nil {
		t.Error(err)
	}
}
