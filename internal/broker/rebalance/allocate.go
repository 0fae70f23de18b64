package rebalance

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// Strategies by their names on the wire.
const (
	Average  = "AVG"
	ByCircle = "AVG_BY_CIRCLE"
)

// Allocate returns the queues of one client out of all queues and all clients of a group. It sorts both lists in place.
// known is false when there is no answer, so that the client keeps what it has: a strategy that we do not know, no
// client id, no queue. A client that is not in the list gets no queue.
func Allocate(strategy, client string, queues []mq.Queue, clients []string) (mine []mq.Queue, known bool) {
	if client == "" || len(queues) == 0 || len(clients) == 0 || (strategy != Average && strategy != ByCircle) {
		return nil, false
	}
	Sort(queues)
	slices.Sort(clients)
	at, found := slices.BinarySearch(clients, client)
	if !found {
		return nil, true
	}
	if strategy == ByCircle {
		for i := at; i < len(queues); i += len(clients) {
			mine = append(mine, queues[i])
		}
		return mine, true
	}
	each, rest := len(queues)/len(clients), len(queues)%len(clients)
	from := at*each + min(at, rest)
	if at < rest {
		each++
	}
	return slices.Clone(queues[from : from+each]), true
}

// Sort puts queues into the order that all clients use: topic, broker name, queue id.
func Sort(queues []mq.Queue) {
	slices.SortFunc(queues, func(a, b mq.Queue) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), strings.Compare(a.Broker, b.Broker), cmp.Compare(a.ID, b.ID))
	})
}
