package remotingapi

import "github.com/cometmq/cometmq/internal/protocol"

// transactionHandlers are the requests about transactions.
func transactionHandlers() map[int32]handler {
	return map[int32]handler{protocol.ReqEndTransaction: endTransaction}
}
