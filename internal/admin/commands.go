package admin

import (
	"cmp"
	"slices"
)

// commands returns the table: mqadmin's commands in the order of their families, then ours.
func commands() []Command {
	return slices.Concat(
		topicCommands(), staticCommands(), groupCommands(), clusterCommands(), configCommands(), queryCommands(), []Command{traceCommand(), dumpCommand()},
		sendCommands(), positionCommands(), replicaCommands(), userCommands(), exportCommands(), partCommands(), liteCommands(),
		[]Command{monitorCommand()}, ourCommands(),
	)
}

// Flags that many commands share.
var (
	toBroker  = opt("b", "brokerAddr", "the broker's address")
	toCluster = opt("c", "clusterName", "all masters of this cluster")
	ofTopic   = need("t", "topic", "topic name")
)

// either is what commands on a broker or a cluster want.
var either = [][]string{{"b", "c"}}

// cut is Java's UtilAll.frontStringAtLeast.
func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

func compareQueues(aTopic, bTopic, aBroker, bBroker string, a, b int32) int {
	return cmp.Or(cmp.Compare(aTopic, bTopic), cmp.Compare(aBroker, bBroker), cmp.Compare(a, b))
}
