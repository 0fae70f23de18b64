package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/mq"
)

// BenchmarkPage fetches a page of 50,000 series: of 2,500 topics, each of which a group reads that is behind.
func BenchmarkPage(b *testing.B) {
	w := newWorld(b)
	n := w.start(w.options(map[string]string{"mappedFileSizeCommitLog": "16777216", "blockCacheBytes": "33554432"}))
	core := n.broker.now().core
	var batch mq.SendBatch
	for i := range 2500 {
		batch.Reset()
		topic := fmt.Sprintf("Topic%d", i)
		batch.Requests = append(batch.Requests, mq.SendRequest{
			Topic: topic, DefaultTopic: "TBW102", DefaultQueues: 1, Body: []byte("hello"), MaxReconsume: -1, BornHost: n.broker.advertised,
		}, mq.SendRequest{
			Topic: topic, DefaultTopic: "TBW102", DefaultQueues: 1, Body: []byte("hello"), MaxReconsume: -1, BornHost: n.broker.advertised,
		})
		core.Send(b.Context(), &batch)
		group := fmt.Sprintf("g%d", i%50)
		must(b, core.PutGroup(b.Context(), mq.DefaultGroupConfig(group)))
		_, err := core.Pull(b.Context(), &mq.PullRequest{Group: group, Topic: topic, MaxMessages: 1, HasExpression: true, Expression: "*"}, nil)
		must(b, err)
		must(b, core.CommitIndex(b.Context(), group, topic, 0, 1))
	}
	count := 0
	for b.Loop() {
		count = strings.Count(w.scrape(n), "\n")
	}
	b.ReportMetric(float64(count), "lines")
	must(b, n.Shutdown(b.Context()))
}
