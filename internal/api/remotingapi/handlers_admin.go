package remotingapi

import (
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
)

// adminHandlers are the requests of operators: about the configuration, the store and what it holds.
func adminHandlers() map[int32]handler {
	return map[int32]handler{
		protocol.ReqUpdateBrokerConfig:                   updateBrokerConfig,
		protocol.ReqGetBrokerConfig:                      brokerConfig,
		protocol.ReqUpdateAndCreateTopicList:             updateTopics,
		protocol.ReqUpdateAndCreateSubscriptionGroupList: updateGroups,
		protocol.ReqGetSystemTopicListFromBroker:         systemTopics,
		protocol.ReqUpdateAndGetGroupForbidden:           groupForbidden,
		protocol.ReqCleanExpiredConsumeQueue:             clean(mq.CleanExpiredQueues),
		protocol.ReqDeleteExpiredCommitLog:               clean(mq.CleanExpiredLog),
		protocol.ReqCleanUnusedTopic:                     clean(mq.CleanUnusedTopics),
		protocol.ReqResumeCheckHalfMessage:               recheckHalf,
		protocol.ReqQueryCorrectionOffset:                corrections,
		protocol.ReqGetBrokerConsumeStats:                allGroupsStats,
		protocol.ReqGetAllProducerInfo:                   allProducers,
		protocol.ReqViewBrokerStatsData:                  viewStats,
		protocol.ReqResetMasterFlushOffset:               resetMasterFlush,
		protocol.ReqGetBrokerEpochCache:                  noEpochs,
		protocol.ReqCheckRocksDBCQWriteProgress:          noRocksDB,
		protocol.ReqExportRocksDBConfigToJSON:            exported,
		protocol.ReqPopRollback:                          popRollback,
		protocol.ReqUpdateColdDataFlowCtrConfig:          setColdLimit,
		protocol.ReqRemoveColdDataFlowCtrConfig:          removeColdLimit,
		protocol.ReqGetColdDataFlowCtrInfo:               coldInfo,
		protocol.ReqSetCommitLogReadMode:                 setReadMode,
		protocol.ReqSwitchTimerEngine:                    switchTimers,
	}
}
