package protocol

import (
	"maps"
	"slices"
	"strconv"
)

// Request codes (Java RequestCode). The comment is Java's name.
const (
	// Sending, pulling, offsets, client liveness and message queries.

	ReqSendMessage                 int32 = 10  // SEND_MESSAGE
	ReqPullMessage                 int32 = 11  // PULL_MESSAGE
	ReqQueryMessage                int32 = 12  // QUERY_MESSAGE
	ReqQueryBrokerOffset           int32 = 13  // QUERY_BROKER_OFFSET
	ReqQueryConsumerOffset         int32 = 14  // QUERY_CONSUMER_OFFSET
	ReqUpdateConsumerOffset        int32 = 15  // UPDATE_CONSUMER_OFFSET
	ReqSearchOffsetByTimestamp     int32 = 29  // SEARCH_OFFSET_BY_TIMESTAMP
	ReqGetMaxOffset                int32 = 30  // GET_MAX_OFFSET
	ReqGetMinOffset                int32 = 31  // GET_MIN_OFFSET
	ReqGetEarliestMsgStoreTime     int32 = 32  // GET_EARLIEST_MSG_STORETIME
	ReqViewMessageByID             int32 = 33  // VIEW_MESSAGE_BY_ID
	ReqHeartBeat                   int32 = 34  // HEART_BEAT
	ReqUnregisterClient            int32 = 35  // UNREGISTER_CLIENT
	ReqConsumerSendMsgBack         int32 = 36  // CONSUMER_SEND_MSG_BACK
	ReqEndTransaction              int32 = 37  // END_TRANSACTION
	ReqGetConsumerListByGroup      int32 = 38  // GET_CONSUMER_LIST_BY_GROUP
	ReqCheckTransactionState       int32 = 39  // CHECK_TRANSACTION_STATE
	ReqNotifyConsumerIDsChanged    int32 = 40  // NOTIFY_CONSUMER_IDS_CHANGED
	ReqLockBatchMQ                 int32 = 41  // LOCK_BATCH_MQ
	ReqUnlockBatchMQ               int32 = 42  // UNLOCK_BATCH_MQ
	ReqGetAllConsumerOffset        int32 = 43  // GET_ALL_CONSUMER_OFFSET
	ReqGetAllDelayOffset           int32 = 45  // GET_ALL_DELAY_OFFSET
	ReqCheckClientConfig           int32 = 46  // CHECK_CLIENT_CONFIG
	ReqResetConsumerClientOffset   int32 = 220 // RESET_CONSUMER_CLIENT_OFFSET
	ReqGetConsumerStatusFromClient int32 = 221 // GET_CONSUMER_STATUS_FROM_CLIENT
	ReqSendMessageV2               int32 = 310 // SEND_MESSAGE_V2
	ReqSendBatchMessage            int32 = 320 // SEND_BATCH_MESSAGE
	ReqQueryConsumeQueue           int32 = 321 // QUERY_CONSUME_QUEUE
	ReqSendReplyMessage            int32 = 324 // SEND_REPLY_MESSAGE
	ReqSendReplyMessageV2          int32 = 325 // SEND_REPLY_MESSAGE_V2
	ReqPushReplyMessageToClient    int32 = 326 // PUSH_REPLY_MESSAGE_TO_CLIENT
	ReqLitePullMessage             int32 = 361 // LITE_PULL_MESSAGE
	ReqRecallMessage               int32 = 370 // RECALL_MESSAGE
	ReqQueryAssignment             int32 = 400 // QUERY_ASSIGNMENT
	ReqSetMessageRequestMode       int32 = 401 // SET_MESSAGE_REQUEST_MODE
	ReqGetAllMessageRequestMode    int32 = 402 // GET_ALL_MESSAGE_REQUEST_MODE

	// Name server.

	ReqPutKVConfig                   int32 = 100 // PUT_KV_CONFIG
	ReqGetKVConfig                   int32 = 101 // GET_KV_CONFIG
	ReqDeleteKVConfig                int32 = 102 // DELETE_KV_CONFIG
	ReqRegisterBroker                int32 = 103 // REGISTER_BROKER
	ReqUnregisterBroker              int32 = 104 // UNREGISTER_BROKER
	ReqGetRouteInfoByTopic           int32 = 105 // GET_ROUTEINFO_BY_TOPIC
	ReqGetBrokerClusterInfo          int32 = 106 // GET_BROKER_CLUSTER_INFO
	ReqWipeWritePermOfBroker         int32 = 205 // WIPE_WRITE_PERM_OF_BROKER
	ReqGetAllTopicListFromNameServer int32 = 206 // GET_ALL_TOPIC_LIST_FROM_NAMESERVER
	ReqDeleteTopicInNamesrv          int32 = 216 // DELETE_TOPIC_IN_NAMESRV
	ReqRegisterTopicInNamesrv        int32 = 217 // REGISTER_TOPIC_IN_NAMESRV
	ReqGetKVListByNamespace          int32 = 219 // GET_KVLIST_BY_NAMESPACE
	ReqGetTopicsByCluster            int32 = 224 // GET_TOPICS_BY_CLUSTER
	ReqGetSystemTopicListFromNS      int32 = 304 // GET_SYSTEM_TOPIC_LIST_FROM_NS
	ReqGetUnitTopicList              int32 = 311 // GET_UNIT_TOPIC_LIST
	ReqGetHasUnitSubTopicList        int32 = 312 // GET_HAS_UNIT_SUB_TOPIC_LIST
	ReqGetHasUnitSubUnUnitTopicList  int32 = 313 // GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST
	ReqUpdateNamesrvConfig           int32 = 318 // UPDATE_NAMESRV_CONFIG
	ReqGetNamesrvConfig              int32 = 319 // GET_NAMESRV_CONFIG
	ReqQueryDataVersion              int32 = 322 // QUERY_DATA_VERSION
	ReqAddWritePermOfBroker          int32 = 327 // ADD_WRITE_PERM_OF_BROKER

	// POP family. In the binary header these arrive cut to 16 bits, see Widen.

	ReqPopMessage                 int32 = 200050 // POP_MESSAGE
	ReqAckMessage                 int32 = 200051 // ACK_MESSAGE
	ReqPeekMessage                int32 = 200052 // PEEK_MESSAGE
	ReqChangeMessageInvisibleTime int32 = 200053 // CHANGE_MESSAGE_INVISIBLETIME
	ReqNotification               int32 = 200054 // NOTIFICATION
	ReqPollingInfo                int32 = 200055 // POLLING_INFO
	ReqPopRollback                int32 = 200056 // POP_ROLLBACK
	ReqBatchAckMessage            int32 = 200151 // BATCH_ACK_MESSAGE

	// Lite topics (Java 5.4 and later).

	ReqPopLiteMessage        int32 = 200070 // POP_LITE_MESSAGE
	ReqLiteSubscriptionCtl   int32 = 200071 // LITE_SUBSCRIPTION_CTL
	ReqAckLiteMessage        int32 = 200072 // ACK_LITE_MESSAGE
	ReqNotifyUnsubscribeLite int32 = 200073 // NOTIFY_UNSUBSCRIBE_LITE
	ReqGetBrokerLiteInfo     int32 = 200074 // GET_BROKER_LITE_INFO
	ReqGetParentTopicInfo    int32 = 200075 // GET_PARENT_TOPIC_INFO
	ReqGetLiteTopicInfo      int32 = 200076 // GET_LITE_TOPIC_INFO
	ReqGetLiteClientInfo     int32 = 200077 // GET_LITE_CLIENT_INFO
	ReqGetLiteGroupInfo      int32 = 200078 // GET_LITE_GROUP_INFO
	ReqTriggerLiteDispatch   int32 = 200079 // TRIGGER_LITE_DISPATCH

	// Brokers among themselves and with the controller.

	ReqGetBrokerMemberGroup            int32 = 901  // GET_BROKER_MEMBER_GROUP
	ReqAddBroker                       int32 = 902  // ADD_BROKER
	ReqRemoveBroker                    int32 = 903  // REMOVE_BROKER
	ReqBrokerHeartbeat                 int32 = 904  // BROKER_HEARTBEAT
	ReqNotifyMinBrokerIDChange         int32 = 905  // NOTIFY_MIN_BROKER_ID_CHANGE
	ReqExchangeBrokerHAInfo            int32 = 906  // EXCHANGE_BROKER_HA_INFO
	ReqGetBrokerHAStatus               int32 = 907  // GET_BROKER_HA_STATUS
	ReqResetMasterFlushOffset          int32 = 908  // RESET_MASTER_FLUSH_OFFSET
	ReqControllerAlterSyncStateSet     int32 = 1001 // CONTROLLER_ALTER_SYNC_STATE_SET
	ReqControllerElectMaster           int32 = 1002 // CONTROLLER_ELECT_MASTER
	ReqControllerRegisterBroker        int32 = 1003 // CONTROLLER_REGISTER_BROKER
	ReqControllerGetReplicaInfo        int32 = 1004 // CONTROLLER_GET_REPLICA_INFO
	ReqControllerGetMetadataInfo       int32 = 1005 // CONTROLLER_GET_METADATA_INFO
	ReqControllerGetSyncStateData      int32 = 1006 // CONTROLLER_GET_SYNC_STATE_DATA
	ReqGetBrokerEpochCache             int32 = 1007 // GET_BROKER_EPOCH_CACHE
	ReqNotifyBrokerRoleChanged         int32 = 1008 // NOTIFY_BROKER_ROLE_CHANGED
	ReqUpdateControllerConfig          int32 = 1009 // UPDATE_CONTROLLER_CONFIG
	ReqGetControllerConfig             int32 = 1010 // GET_CONTROLLER_CONFIG
	ReqCleanBrokerData                 int32 = 1011 // CLEAN_BROKER_DATA
	ReqControllerGetNextBrokerID       int32 = 1012 // CONTROLLER_GET_NEXT_BROKER_ID
	ReqControllerApplyBrokerID         int32 = 1013 // CONTROLLER_APPLY_BROKER_ID
	ReqBrokerCloseChannelRequest       int32 = 1014 // BROKER_CLOSE_CHANNEL_REQUEST
	ReqCheckNotActiveBrokerRequest     int32 = 1015 // CHECK_NOT_ACTIVE_BROKER_REQUEST
	ReqGetBrokerLiveInfoRequest        int32 = 1016 // GET_BROKER_LIVE_INFO_REQUEST
	ReqGetSyncStateDataRequest         int32 = 1017 // GET_SYNC_STATE_DATA_REQUEST
	ReqRaftBrokerHeartBeatEventRequest int32 = 1018 // RAFT_BROKER_HEART_BEAT_EVENT_REQUEST

	// Between CometMQ brokers. Java's numbers end at 3999, but for 200050 to 200151; what it adds there will not get here.

	ReqFollowTables int32 = 27601 // COMETMQ_FOLLOW_TABLES

	// Users and access rules.

	ReqUpdateAndCreateACLConfig     int32 = 50   // UPDATE_AND_CREATE_ACL_CONFIG
	ReqDeleteACLConfig              int32 = 51   // DELETE_ACL_CONFIG
	ReqGetBrokerClusterACLInfo      int32 = 52   // GET_BROKER_CLUSTER_ACL_INFO
	ReqUpdateGlobalWhiteAddrsConfig int32 = 53   // UPDATE_GLOBAL_WHITE_ADDRS_CONFIG
	ReqGetBrokerClusterACLConfig    int32 = 54   // GET_BROKER_CLUSTER_ACL_CONFIG
	ReqAuthCreateUser               int32 = 3001 // AUTH_CREATE_USER
	ReqAuthUpdateUser               int32 = 3002 // AUTH_UPDATE_USER
	ReqAuthDeleteUser               int32 = 3003 // AUTH_DELETE_USER
	ReqAuthGetUser                  int32 = 3004 // AUTH_GET_USER
	ReqAuthListUser                 int32 = 3005 // AUTH_LIST_USER
	ReqAuthCreateACL                int32 = 3006 // AUTH_CREATE_ACL
	ReqAuthUpdateACL                int32 = 3007 // AUTH_UPDATE_ACL
	ReqAuthDeleteACL                int32 = 3008 // AUTH_DELETE_ACL
	ReqAuthGetACL                   int32 = 3009 // AUTH_GET_ACL
	ReqAuthListACL                  int32 = 3010 // AUTH_LIST_ACL

	// Administration of a broker.

	ReqUpdateAndCreateTopic                 int32 = 17   // UPDATE_AND_CREATE_TOPIC
	ReqUpdateAndCreateTopicList             int32 = 18   // UPDATE_AND_CREATE_TOPIC_LIST
	ReqGetAllTopicConfig                    int32 = 21   // GET_ALL_TOPIC_CONFIG
	ReqGetTopicConfigList                   int32 = 22   // GET_TOPIC_CONFIG_LIST
	ReqGetTopicNameList                     int32 = 23   // GET_TOPIC_NAME_LIST
	ReqUpdateBrokerConfig                   int32 = 25   // UPDATE_BROKER_CONFIG
	ReqGetBrokerConfig                      int32 = 26   // GET_BROKER_CONFIG
	ReqTriggerDeleteFiles                   int32 = 27   // TRIGGER_DELETE_FILES
	ReqGetBrokerRuntimeInfo                 int32 = 28   // GET_BROKER_RUNTIME_INFO
	ReqGetClientConfig                      int32 = 47   // GET_CLIENT_CONFIG
	ReqGetTimerCheckPoint                   int32 = 60   // GET_TIMER_CHECK_POINT
	ReqGetTimerMetrics                      int32 = 61   // GET_TIMER_METRICS
	ReqUpdateAndCreateSubscriptionGroup     int32 = 200  // UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
	ReqGetAllSubscriptionGroupConfig        int32 = 201  // GET_ALL_SUBSCRIPTIONGROUP_CONFIG
	ReqGetTopicStatsInfo                    int32 = 202  // GET_TOPIC_STATS_INFO
	ReqGetConsumerConnectionList            int32 = 203  // GET_CONSUMER_CONNECTION_LIST
	ReqGetProducerConnectionList            int32 = 204  // GET_PRODUCER_CONNECTION_LIST
	ReqDeleteSubscriptionGroup              int32 = 207  // DELETE_SUBSCRIPTIONGROUP
	ReqGetConsumeStats                      int32 = 208  // GET_CONSUME_STATS
	ReqSuspendConsumer                      int32 = 209  // SUSPEND_CONSUMER
	ReqResumeConsumer                       int32 = 210  // RESUME_CONSUMER
	ReqResetConsumerOffsetInConsumer        int32 = 211  // RESET_CONSUMER_OFFSET_IN_CONSUMER
	ReqResetConsumerOffsetInBroker          int32 = 212  // RESET_CONSUMER_OFFSET_IN_BROKER
	ReqAdjustConsumerThreadPool             int32 = 213  // ADJUST_CONSUMER_THREAD_POOL
	ReqWhoConsumeTheMessage                 int32 = 214  // WHO_CONSUME_THE_MESSAGE
	ReqDeleteTopicInBroker                  int32 = 215  // DELETE_TOPIC_IN_BROKER
	ReqInvokeBrokerToResetOffset            int32 = 222  // INVOKE_BROKER_TO_RESET_OFFSET
	ReqInvokeBrokerToGetConsumerStatus      int32 = 223  // INVOKE_BROKER_TO_GET_CONSUMER_STATUS
	ReqUpdateAndCreateSubscriptionGroupList int32 = 225  // UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST
	ReqQueryTopicConsumeByWho               int32 = 300  // QUERY_TOPIC_CONSUME_BY_WHO
	ReqRegisterFilterServer                 int32 = 301  // REGISTER_FILTER_SERVER
	ReqRegisterMessageFilterClass           int32 = 302  // REGISTER_MESSAGE_FILTER_CLASS
	ReqQueryConsumeTimeSpan                 int32 = 303  // QUERY_CONSUME_TIME_SPAN
	ReqGetSystemTopicListFromBroker         int32 = 305  // GET_SYSTEM_TOPIC_LIST_FROM_BROKER
	ReqCleanExpiredConsumeQueue             int32 = 306  // CLEAN_EXPIRED_CONSUMEQUEUE
	ReqGetConsumerRunningInfo               int32 = 307  // GET_CONSUMER_RUNNING_INFO
	ReqQueryCorrectionOffset                int32 = 308  // QUERY_CORRECTION_OFFSET
	ReqConsumeMessageDirectly               int32 = 309  // CONSUME_MESSAGE_DIRECTLY
	ReqCloneGroupOffset                     int32 = 314  // CLONE_GROUP_OFFSET
	ReqViewBrokerStatsData                  int32 = 315  // VIEW_BROKER_STATS_DATA
	ReqCleanUnusedTopic                     int32 = 316  // CLEAN_UNUSED_TOPIC
	ReqGetBrokerConsumeStats                int32 = 317  // GET_BROKER_CONSUME_STATS
	ReqResumeCheckHalfMessage               int32 = 323  // RESUME_CHECK_HALF_MESSAGE
	ReqGetAllProducerInfo                   int32 = 328  // GET_ALL_PRODUCER_INFO
	ReqDeleteExpiredCommitLog               int32 = 329  // DELETE_EXPIRED_COMMITLOG
	ReqQueryTopicsByConsumer                int32 = 343  // QUERY_TOPICS_BY_CONSUMER
	ReqQuerySubscriptionByConsumer          int32 = 345  // QUERY_SUBSCRIPTION_BY_CONSUMER
	ReqGetTopicConfig                       int32 = 351  // GET_TOPIC_CONFIG
	ReqGetSubscriptionGroupConfig           int32 = 352  // GET_SUBSCRIPTIONGROUP_CONFIG
	ReqUpdateAndGetGroupForbidden           int32 = 353  // UPDATE_AND_GET_GROUP_FORBIDDEN
	ReqCheckRocksDBCQWriteProgress          int32 = 354  // CHECK_ROCKSDB_CQ_WRITE_PROGRESS
	ReqExportRocksDBConfigToJSON            int32 = 355  // EXPORT_ROCKSDB_CONFIG_TO_JSON
	ReqUpdateAndCreateStaticTopic           int32 = 513  // UPDATE_AND_CREATE_STATIC_TOPIC
	ReqUpdateColdDataFlowCtrConfig          int32 = 2001 // UPDATE_COLD_DATA_FLOW_CTR_CONFIG
	ReqRemoveColdDataFlowCtrConfig          int32 = 2002 // REMOVE_COLD_DATA_FLOW_CTR_CONFIG
	ReqGetColdDataFlowCtrInfo               int32 = 2003 // GET_COLD_DATA_FLOW_CTR_INFO
	ReqSetCommitLogReadMode                 int32 = 2004 // SET_COMMITLOG_READ_MODE
	ReqSwitchTimerEngine                    int32 = 5001 // SWITCH_TIMER_ENGINE
)

// Response codes (Java ResponseCode).
const (
	RespRPCTimeOut                           int32 = -1006 // RPC_TIME_OUT
	RespRPCSendToChannelFailed               int32 = -1004 // RPC_SEND_TO_CHANNEL_FAILED
	RespRPCAddrIsNull                        int32 = -1002 // RPC_ADDR_IS_NULL
	RespRPCUnknown                           int32 = -1000 // RPC_UNKNOWN
	RespSuccess                              int32 = 0     // SUCCESS
	RespSystemError                          int32 = 1     // SYSTEM_ERROR
	RespSystemBusy                           int32 = 2     // SYSTEM_BUSY
	RespRequestCodeNotSupported              int32 = 3     // REQUEST_CODE_NOT_SUPPORTED
	RespTransactionFailed                    int32 = 4     // TRANSACTION_FAILED
	RespFlushDiskTimeout                     int32 = 10    // FLUSH_DISK_TIMEOUT
	RespSlaveNotAvailable                    int32 = 11    // SLAVE_NOT_AVAILABLE
	RespFlushSlaveTimeout                    int32 = 12    // FLUSH_SLAVE_TIMEOUT
	RespMessageIllegal                       int32 = 13    // MESSAGE_ILLEGAL
	RespServiceNotAvailable                  int32 = 14    // SERVICE_NOT_AVAILABLE
	RespVersionNotSupported                  int32 = 15    // VERSION_NOT_SUPPORTED
	RespNoPermission                         int32 = 16    // NO_PERMISSION
	RespTopicNotExist                        int32 = 17    // TOPIC_NOT_EXIST
	RespTopicExistAlready                    int32 = 18    // TOPIC_EXIST_ALREADY
	RespPullNotFound                         int32 = 19    // PULL_NOT_FOUND
	RespPullRetryImmediately                 int32 = 20    // PULL_RETRY_IMMEDIATELY
	RespPullOffsetMoved                      int32 = 21    // PULL_OFFSET_MOVED
	RespQueryNotFound                        int32 = 22    // QUERY_NOT_FOUND
	RespSubscriptionParseFailed              int32 = 23    // SUBSCRIPTION_PARSE_FAILED
	RespSubscriptionNotExist                 int32 = 24    // SUBSCRIPTION_NOT_EXIST
	RespSubscriptionNotLatest                int32 = 25    // SUBSCRIPTION_NOT_LATEST
	RespSubscriptionGroupNotExist            int32 = 26    // SUBSCRIPTION_GROUP_NOT_EXIST
	RespFilterDataNotExist                   int32 = 27    // FILTER_DATA_NOT_EXIST
	RespFilterDataNotLatest                  int32 = 28    // FILTER_DATA_NOT_LATEST
	RespInvalidParameter                     int32 = 29    // INVALID_PARAMETER
	RespTransactionShouldCommit              int32 = 200   // TRANSACTION_SHOULD_COMMIT
	RespTransactionShouldRollback            int32 = 201   // TRANSACTION_SHOULD_ROLLBACK
	RespTransactionStateUnknown              int32 = 202   // TRANSACTION_STATE_UNKNOW
	RespTransactionStateGroupWrong           int32 = 203   // TRANSACTION_STATE_GROUP_WRONG
	RespNoBuyerID                            int32 = 204   // NO_BUYER_ID
	RespNotInCurrentUnit                     int32 = 205   // NOT_IN_CURRENT_UNIT
	RespConsumerNotOnline                    int32 = 206   // CONSUMER_NOT_ONLINE
	RespConsumeMsgTimeout                    int32 = 207   // CONSUME_MSG_TIMEOUT
	RespNoMessage                            int32 = 208   // NO_MESSAGE
	RespPollingFull                          int32 = 209   // POLLING_FULL
	RespPollingTimeout                       int32 = 210   // POLLING_TIMEOUT
	RespBrokerNotExist                       int32 = 211   // BROKER_NOT_EXIST
	RespBrokerDispatchNotComplete            int32 = 212   // BROKER_DISPATCH_NOT_COMPLETE
	RespBroadcastConsumption                 int32 = 213   // BROADCAST_CONSUMPTION
	RespFlowControl                          int32 = 215   // FLOW_CONTROL
	RespNotLeaderForQueue                    int32 = 501   // NOT_LEADER_FOR_QUEUE
	RespIllegalOperation                     int32 = 604   // ILLEGAL_OPERATION
	RespGoAway                               int32 = 1500  // GO_AWAY
	RespControllerFencedMasterEpoch          int32 = 2000  // CONTROLLER_FENCED_MASTER_EPOCH
	RespControllerFencedSyncStateSetEpoch    int32 = 2001  // CONTROLLER_FENCED_SYNC_STATE_SET_EPOCH
	RespControllerInvalidMaster              int32 = 2002  // CONTROLLER_INVALID_MASTER
	RespControllerInvalidReplicas            int32 = 2003  // CONTROLLER_INVALID_REPLICAS
	RespControllerMasterNotAvailable         int32 = 2004  // CONTROLLER_MASTER_NOT_AVAILABLE
	RespControllerInvalidRequest             int32 = 2005  // CONTROLLER_INVALID_REQUEST
	RespControllerBrokerNotAlive             int32 = 2006  // CONTROLLER_BROKER_NOT_ALIVE
	RespControllerNotLeader                  int32 = 2007  // CONTROLLER_NOT_LEADER
	RespControllerBrokerMetadataNotExist     int32 = 2008  // CONTROLLER_BROKER_METADATA_NOT_EXIST
	RespControllerInvalidCleanBrokerMetadata int32 = 2009  // CONTROLLER_INVALID_CLEAN_BROKER_METADATA
	RespControllerBrokerNeedToBeRegistered   int32 = 2010  // CONTROLLER_BROKER_NEED_TO_BE_REGISTERED
	RespControllerMasterStillExist           int32 = 2011  // CONTROLLER_MASTER_STILL_EXIST
	RespControllerElectMasterFailed          int32 = 2012  // CONTROLLER_ELECT_MASTER_FAILED
	RespControllerAlterSyncStateSetFailed    int32 = 2013  // CONTROLLER_ALTER_SYNC_STATE_SET_FAILED
	RespControllerBrokerIDInvalid            int32 = 2014  // CONTROLLER_BROKER_ID_INVALID
	RespControllerJRaftInternalError         int32 = 2015  // CONTROLLER_JRAFT_INTERNAL_ERROR
	RespControllerBrokerLiveInfoNotExists    int32 = 2016  // CONTROLLER_BROKER_LIVE_INFO_NOT_EXISTS
	RespLMQQuotaExceeded                     int32 = 2017  // LMQ_QUOTA_EXCEEDED
	RespLiteSubscriptionQuotaExceeded        int32 = 2018  // LITE_SUBSCRIPTION_QUOTA_EXCEEDED
	RespUserNotExist                         int32 = 3001  // USER_NOT_EXIST
	RespPolicyNotExist                       int32 = 3002  // POLICY_NOT_EXIST
)

// Widen maps a request code that came in a binary header, which has only 16 bits for it, to the code that was
// meant. Java's own binary decoder leaves the POP family broken in this way; no other request uses these values.
func Widen(code int32) int32 {
	switch {
	case code >= ReqPopMessage&0xFFFF && code <= ReqTriggerLiteDispatch&0xFFFF:
		return code - ReqPopMessage&0xFFFF + ReqPopMessage
	case code == ReqBatchAckMessage&0xFFFF:
		return ReqBatchAckMessage
	}
	return code
}

// RequestCodes returns every request code that has a name, sorted.
func RequestCodes() []int32 { return slices.Sorted(maps.Keys(requestNames)) }

// RequestName returns Java's name of a request code, or the number when there is none.
func RequestName(code int32) string {
	if s, ok := requestNames[code]; ok {
		return s
	}
	return strconv.Itoa(int(code))
}

// ResponseName returns Java's name of a response code, or the number when there is none.
func ResponseName(code int32) string {
	if s, ok := responseNames[code]; ok {
		return s
	}
	return strconv.Itoa(int(code))
}
