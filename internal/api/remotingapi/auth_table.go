package remotingapi

import (
	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/protocol"
)

// need is what the header of a request code says about the resources it accesses: Java's annotations of its header classes.
type need struct {
	actions auth.Actions
	cluster bool // the cluster, when no field names a resource
	fields  []needField
}

type needField struct {
	name  string
	kind  auth.Kind
	req   bool   // Java refuses the request when it is missing
	split string // between several names
}

// needTable is that of Java 5.5.0; a peer test compares it with the jars. Codes that are not in it, and are not treated in
// needsOf, need a valid signature and no permission. Those of the name server and of clients are here since a broker may get them.
func needTable() map[int32]need {
	return map[int32]need{
		protocol.ReqUpdateAndCreateTopic:            {actions: auth.ActionsOf(auth.Create), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqSearchOffsetByTimestamp:         {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqGetMaxOffset:                    {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqGetMinOffset:                    {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqGetEarliestMsgStoreTime:         {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqViewMessageByID:                 {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic}}},
		protocol.ReqCheckTransactionState:           {actions: auth.ActionsOf(auth.Pub), fields: []needField{{name: "topic", kind: auth.KindTopic}}},
		protocol.ReqNotifyConsumerIDsChanged:        {actions: auth.ActionsOf(auth.Sub), fields: []needField{{name: "consumerGroup", kind: auth.KindGroup, req: true}}},
		protocol.ReqPutKVConfig:                     {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqGetKVConfig:                     {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqDeleteKVConfig:                  {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqRegisterBroker:                  {actions: auth.ActionsOf(auth.Update), cluster: true, fields: []needField{{name: "clusterName", kind: auth.KindCluster, req: true}}},
		protocol.ReqUnregisterBroker:                {actions: auth.ActionsOf(auth.Update), cluster: true, fields: []needField{{name: "clusterName", kind: auth.KindCluster, req: true}}},
		protocol.ReqGetTopicStatsInfo:               {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqGetConsumerConnectionList:       {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "consumerGroup", kind: auth.KindGroup, req: true}}},
		protocol.ReqGetProducerConnectionList:       {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqWipeWritePermOfBroker:           {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqDeleteSubscriptionGroup:         {actions: auth.ActionsOf(auth.Delete), fields: []needField{{name: "groupName", kind: auth.KindGroup, req: true}}},
		protocol.ReqGetConsumeStats:                 {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "consumerGroup", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic}, {name: "topicList", kind: auth.KindTopic, split: ";"}}},
		protocol.ReqDeleteTopicInBroker:             {actions: auth.ActionsOf(auth.Delete), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqDeleteTopicInNamesrv:            {actions: auth.ActionsOf(auth.Update), cluster: true, fields: []needField{{name: "clusterName", kind: auth.KindCluster}}},
		protocol.ReqRegisterTopicInNamesrv:          {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqGetKVListByNamespace:            {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqInvokeBrokerToResetOffset:       {actions: auth.ActionsOf(auth.Update), fields: []needField{{name: "group", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqInvokeBrokerToGetConsumerStatus: {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}, {name: "group", kind: auth.KindGroup, req: true}}},
		protocol.ReqQueryTopicConsumeByWho:          {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqQueryConsumeTimeSpan:            {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}, {name: "group", kind: auth.KindGroup, req: true}}},
		protocol.ReqGetConsumerRunningInfo:          {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "consumerGroup", kind: auth.KindGroup, req: true}}},
		protocol.ReqQueryCorrectionOffset:           {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "filterGroups", kind: auth.KindGroup, split: ","}, {name: "compareGroup", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqConsumeMessageDirectly:          {actions: auth.ActionsOf(auth.Sub), fields: []needField{{name: "consumerGroup", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic}}},
		protocol.ReqCloneGroupOffset:                {actions: auth.ActionsOf(auth.Update), fields: []needField{{name: "destGroup", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic}}},
		protocol.ReqViewBrokerStatsData:             {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqGetBrokerConsumeStats:           {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqQueryConsumeQueue:               {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic}, {name: "consumerGroup", kind: auth.KindGroup}}},
		protocol.ReqQueryDataVersion:                {actions: auth.ActionsOf(auth.Get), cluster: true, fields: []needField{{name: "clusterName", kind: auth.KindCluster, req: true}}},
		protocol.ReqResumeCheckHalfMessage:          {actions: auth.ActionsOf(auth.Update), fields: []needField{{name: "topic", kind: auth.KindTopic}}},
		protocol.ReqPushReplyMessageToClient:        {actions: auth.ActionsOf(auth.Sub), fields: []needField{{name: "producerGroup", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqAddWritePermOfBroker:            {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqGetAllProducerInfo:              {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqQueryTopicsByConsumer:           {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "group", kind: auth.KindGroup, req: true}}},
		protocol.ReqQuerySubscriptionByConsumer:     {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "group", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic}}},
		protocol.ReqGetTopicConfig:                  {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqGetSubscriptionGroupConfig:      {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "group", kind: auth.KindGroup, req: true}}},
		protocol.ReqUpdateAndGetGroupForbidden:      {actions: auth.ActionsOf(auth.Update), fields: []needField{{name: "group", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqCheckRocksDBCQWriteProgress:     {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqExportRocksDBConfigToJSON:       {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqGetBrokerMemberGroup:            {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "clusterName", kind: auth.KindCluster, req: true}}},
		protocol.ReqAddBroker:                       {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqRemoveBroker:                    {actions: auth.ActionsOf(auth.Update), cluster: true, fields: []needField{{name: "brokerClusterName", kind: auth.KindCluster, req: true}}},
		protocol.ReqBrokerHeartbeat:                 {actions: auth.ActionsOf(auth.Update), cluster: true, fields: []needField{{name: "clusterName", kind: auth.KindCluster, req: true}}},
		protocol.ReqNotifyMinBrokerIDChange:         {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqExchangeBrokerHAInfo:            {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqResetMasterFlushOffset:          {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqControllerAlterSyncStateSet:     {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqControllerElectMaster:           {actions: auth.ActionsOf(auth.Update), cluster: true, fields: []needField{{name: "clusterName", kind: auth.KindCluster, req: true}}},
		protocol.ReqControllerRegisterBroker:        {actions: auth.ActionsOf(auth.Update), cluster: true, fields: []needField{{name: "clusterName", kind: auth.KindCluster}}},
		protocol.ReqControllerGetReplicaInfo:        {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqNotifyBrokerRoleChanged:         {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqCleanBrokerData:                 {actions: auth.ActionsOf(auth.Update), cluster: true, fields: []needField{{name: "clusterName", kind: auth.KindCluster}}},
		protocol.ReqControllerGetNextBrokerID:       {actions: auth.ActionsOf(auth.Get), cluster: true, fields: []needField{{name: "clusterName", kind: auth.KindCluster}}},
		protocol.ReqControllerApplyBrokerID:         {actions: auth.ActionsOf(auth.Update), cluster: true, fields: []needField{{name: "clusterName", kind: auth.KindCluster}}},
		protocol.ReqAuthCreateUser:                  {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqAuthUpdateUser:                  {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqAuthDeleteUser:                  {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqAuthGetUser:                     {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqAuthListUser:                    {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqAuthCreateACL:                   {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqAuthUpdateACL:                   {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqAuthDeleteACL:                   {actions: auth.ActionsOf(auth.Update), cluster: true},
		protocol.ReqAuthGetACL:                      {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqAuthListACL:                     {actions: auth.ActionsOf(auth.Get), cluster: true},
		protocol.ReqPopMessage:                      {actions: auth.ActionsOf(auth.Sub), fields: []needField{{name: "consumerGroup", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqAckMessage:                      {actions: auth.ActionsOf(auth.Sub), fields: []needField{{name: "consumerGroup", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqPeekMessage:                     {actions: auth.ActionsOf(auth.Sub), fields: []needField{{name: "topic", kind: auth.KindTopic, req: true}, {name: "consumerGroup", kind: auth.KindGroup, req: true}}},
		protocol.ReqChangeMessageInvisibleTime:      {actions: auth.ActionsOf(auth.Sub), fields: []needField{{name: "consumerGroup", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqNotification:                    {actions: auth.ActionsOf(auth.Sub), fields: []needField{{name: "consumerGroup", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqPollingInfo:                     {actions: auth.ActionsOf(auth.Get), fields: []needField{{name: "consumerGroup", kind: auth.KindGroup, req: true}, {name: "topic", kind: auth.KindTopic, req: true}}},
		protocol.ReqNotifyUnsubscribeLite:           {actions: auth.ActionsOf(auth.Sub), fields: []needField{{name: "consumerGroup", kind: auth.KindGroup, req: true}}},
	}
}
