package rebalance

import (
	"slices"

	"github.com/cometmq/cometmq/internal/mq"
)

// AllocatePop is Allocate for a group that pops: share <= 0, or as many as there are other clients, gives each broker once, with
// queue id -1 for any queue; otherwise a client gets its own queues and those of the share clients after it (Java
// QueryAssignmentProcessor.allocate4Pop). With more clients than queues each gets one queue.
func AllocatePop(strategy, client string, queues []mq.Queue, clients []string, share int) (mine []mq.Queue, known bool) {
	if len(queues) == 0 || len(clients) == 0 || (strategy != Average && strategy != ByCircle) {
		return nil, false
	}
	Sort(queues)
	if share <= 0 || share >= len(clients)-1 {
		for _, q := range queues {
			q.ID = -1
			if !slices.Contains(mine, q) {
				mine = append(mine, q)
			}
		}
		return mine, true
	}
	slices.Sort(clients)
	at, found := slices.BinarySearch(clients, client)
	if !found {
		return nil, client != ""
	}
	if len(clients) > len(queues) {
		return []mq.Queue{queues[at%len(queues)]}, true
	}
	for i := range share + 1 {
		more, _ := Allocate(strategy, clients[(at+i)%len(clients)], queues, clients)
		for _, q := range more {
			if !slices.Contains(mine, q) {
				mine = append(mine, q)
			}
		}
	}
	return mine, true
}
