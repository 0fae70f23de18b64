package remotingapi

import "github.com/cometmq/cometmq/internal/protocol"

// adminHandlers are the requests of operators: about the configuration, the store and what it holds.
func adminHandlers() map[int32]handler {
	return map[int32]handler{
		protocol.ReqUpdateBrokerConfig:  updateBrokerConfig,
		protocol.ReqGetBrokerConfig:     brokerConfig,
		protocol.ReqViewBrokerStatsData: viewStats,
	}
}
