package httpapi

import "net/http"

// route is one operation of the contract.
type route struct {
	method, path string
	id           string // operationId, and the name in the audit
	role         string
	do           func(c *call) (any, error)
	status       int // of success, default 200; 204 when there is nothing to answer

	etag         bool // GET has an ETag
	idem         bool // takes Idempotency-Key
	stream       bool // no deadline
	audited      bool // although it only reads
	silent       bool // not in the audit although it is no GET: it changes nothing
	beforeSignIn bool // there is no session yet that a CSRF token could be of
}

const (
	inCluster = "/clusters/{cluster}"
	inBroker  = inCluster + "/brokers/{broker}/{id}"
	inTopic   = inCluster + "/topics/{topic}"
	inMessage = inCluster + "/messages/{message}"
	inGroup   = inCluster + "/groups/{group}"
	inKV      = inCluster + "/kv/{namespace}/{key}"
	inACL     = inCluster + "/acl"
	inDLQ     = inCluster + "/dlq/{group}"
)

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// routes is an immutable table.
var routes = []route{
	{method: get, path: "/session", id: "getSession", role: rolePublic, do: getSession},
	{method: post, path: "/session", id: "login", role: rolePublic, do: login, beforeSignIn: true},
	{method: remove, path: "/session", id: "logout", role: roleAny, do: logout, status: 204},
	{method: post, path: "/session/password", id: "changePassword", role: roleAny, do: changePassword, status: 204},
	{method: get, path: "/setup", id: "getSetup", role: rolePublic, do: getSetup},
	{method: post, path: "/setup", id: "setup", role: rolePublic, do: doSetup, status: 201, beforeSignIn: true},

	{method: get, path: "/clusters", id: "listClusters", role: roleViewer, do: listClusters},
	{method: get, path: inCluster, id: "getCluster", role: roleViewer, do: getCluster},
	{method: get, path: inCluster + "/brokers", id: "listBrokers", role: roleViewer, do: listBrokers},
	{method: get, path: inBroker, id: "getBroker", role: roleViewer, do: getBroker},
	{method: get, path: inCluster + "/health", id: "getHealth", role: roleViewer, do: getHealth},
	{method: get, path: inBroker + "/config", id: "getBrokerConfig", role: roleViewer, do: getBrokerConfig, etag: true},
	{method: patch, path: inBroker + "/config", id: "patchBrokerConfig", role: roleAdmin, do: patchBrokerConfig},
	{method: post, path: inBroker + "/actions/{action}", id: "brokerAction", role: roleAdmin, do: brokerAction, idem: true},
	{method: get, path: inBroker + "/ha", id: "getBrokerHA", role: roleViewer, do: getBrokerHA},
	{method: get, path: inBroker + "/epoch", id: "getBrokerEpochs", role: roleViewer, do: getBrokerEpochs},
	{method: get, path: inBroker + "/timer", id: "getBrokerTimer", role: roleViewer, do: getBrokerTimer},
	{method: get, path: inBroker + "/consumeStats", id: "getBrokerConsumeStats", role: roleViewer, do: getBrokerConsumeStats},
	{method: get, path: inBroker + "/coldCtr", id: "getColdFlow", role: roleViewer, do: getColdFlow},
	{method: put, path: inBroker + "/coldCtr", id: "putColdFlow", role: roleAdmin, do: putColdFlow},
	{method: remove, path: inBroker + "/coldCtr", id: "deleteColdFlow", role: roleAdmin, do: deleteColdFlow},

	{method: get, path: inCluster + "/nameservers", id: "listNameServers", role: roleViewer, do: listNameServers},
	{method: get, path: inCluster + "/nameservers/{addr}/config", id: "getNameServerConfig", role: roleViewer, do: getNameServerConfig, etag: true},
	{method: patch, path: inCluster + "/nameservers/{addr}/config", id: "patchNameServerConfig", role: roleAdmin, do: patchNameServerConfig},
	{method: get, path: inCluster + "/kv/{namespace}", id: "listKV", role: roleViewer, do: listKV},
	{method: get, path: inKV, id: "getKV", role: roleViewer, do: getKV},
	{method: put, path: inKV, id: "putKV", role: roleAdmin, do: putKV},
	{method: remove, path: inKV, id: "deleteKV", role: roleAdmin, do: deleteKV},
	{method: get, path: inCluster + "/controllers", id: "listControllers", role: roleViewer, do: listControllers},
	{method: get, path: inCluster + "/controllers/{addr}/config", id: "getControllerConfig", role: roleViewer, do: getControllerConfig, etag: true},
	{method: patch, path: inCluster + "/controllers/{addr}/config", id: "patchControllerConfig", role: roleAdmin, do: patchControllerConfig},
	{method: get, path: inCluster + "/controllers/syncState", id: "listSyncStates", role: roleViewer, do: listSyncStates},
	{method: post, path: inCluster + "/controllers/elect", id: "electMaster", role: roleAdmin, do: electMaster, idem: true},
	{method: remove, path: inCluster + "/controllers/brokers", id: "cleanBrokerData", role: roleAdmin, do: cleanBrokerData},
	{method: get, path: inCluster + "/proxies", id: "listProxies", role: roleViewer, do: listProxies},

	{method: get, path: inCluster + "/topics", id: "listTopics", role: roleViewer, do: listTopics},
	{method: post, path: inCluster + "/topics", id: "createTopic", role: roleOperator, do: createTopic, status: 201, idem: true},
	{method: get, path: inTopic, id: "getTopic", role: roleViewer, do: getTopic, etag: true},
	{method: put, path: inTopic, id: "putTopic", role: roleOperator, do: putTopic},
	{method: remove, path: inTopic, id: "deleteTopic", role: roleAdmin, do: deleteTopic},
	{method: get, path: inTopic + "/route", id: "getTopicRoute", role: roleViewer, do: getTopicRoute},
	{method: get, path: inTopic + "/stats", id: "getTopicStats", role: roleViewer, do: getTopicStats},
	{method: get, path: inTopic + "/groups", id: "listTopicGroups", role: roleViewer, do: listTopicGroups},
	{method: get, path: inTopic + "/messages", id: "searchMessages", role: roleViewer, do: searchMessages},
	{method: post, path: inTopic + "/messages", id: "sendMessage", role: roleOperator, do: sendMessage, idem: true},

	{method: get, path: inCluster + "/messages", id: "findMessages", role: roleViewer, do: findMessages},
	{method: get, path: inMessage, id: "getMessage", role: roleViewer, do: getMessage},
	{method: get, path: inMessage + "/body", id: "getMessageBody", role: roleReader, do: getMessageBody},
	{method: get, path: inMessage + "/trace", id: "getMessageTrace", role: roleViewer, do: getMessageTrace},
	{method: get, path: inMessage + "/tracks", id: "getMessageTracks", role: roleViewer, do: getMessageTracks},
	{method: post, path: inMessage + "/consumeDirectly", id: "consumeDirectly", role: roleOperator, do: consumeDirectly, idem: true},
	{method: post, path: inMessage + "/resend", id: "resendMessage", role: roleOperator, do: resendMessage, idem: true},

	{method: get, path: inCluster + "/groups", id: "listGroups", role: roleViewer, do: listGroups},
	{method: post, path: inCluster + "/groups", id: "createGroup", role: roleOperator, do: createGroup, status: 201, idem: true},
	{method: get, path: inGroup, id: "getGroup", role: roleViewer, do: getGroup},
	{method: put, path: inGroup, id: "putGroup", role: roleOperator, do: putGroup},
	{method: remove, path: inGroup, id: "deleteGroup", role: roleAdmin, do: deleteGroup},
	{method: get, path: inGroup + "/lag", id: "getGroupLag", role: roleViewer, do: getGroupLag},
	{method: get, path: inGroup + "/clients", id: "listGroupClients", role: roleViewer, do: listGroupClients},
	{method: get, path: inGroup + "/subscriptions", id: "listSubscriptions", role: roleViewer, do: listSubscriptions},
	{method: get, path: inGroup + "/timeSpan", id: "getTimeSpan", role: roleViewer, do: getTimeSpan},
	{method: get, path: inGroup + "/clients/{client}/runningInfo", id: "getRunningInfo", role: roleViewer, do: getRunningInfo},
	{method: get, path: inGroup + "/offsets", id: "getOffsets", role: roleViewer, do: getOffsets},
	{method: patch, path: inGroup + "/offsets", id: "changeOffsets", role: roleOperator, do: changeOffsets},
	{method: put, path: inGroup + "/requestMode", id: "putRequestMode", role: roleOperator, do: putRequestMode},
	{method: put, path: inGroup + "/forbidden", id: "putForbidden", role: roleOperator, do: putForbidden},

	{method: get, path: inCluster + "/producers", id: "listProducers", role: roleViewer, do: listProducers},
	{method: get, path: inCluster + "/clients", id: "listClients", role: roleViewer, do: listClients},
	{method: get, path: inTopic + "/producers", id: "listTopicProducers", role: roleViewer, do: listTopicProducers},

	{method: get, path: inCluster + "/dlq", id: "listDLQ", role: roleViewer, do: listDLQ},
	{method: get, path: inDLQ + "/messages", id: "searchDLQ", role: roleViewer, do: searchDLQ},
	{method: post, path: inDLQ + "/resend", id: "resendDLQ", role: roleOperator, do: resendDLQ, status: 202, idem: true},
	{method: post, path: inDLQ + "/export", id: "exportDLQ", role: roleReader, do: exportDLQ, status: 202, idem: true},
	{method: post, path: inDLQ + "/purge", id: "purgeDLQ", role: roleAdmin, do: purgeDLQ, idem: true},
	{method: post, path: inTopic + "/messages/export", id: "exportMessages", role: roleReader, do: exportMessages, status: 202, idem: true},
	{method: get, path: inTopic + "/messages/stream", id: "streamMessages", role: roleReader, do: streamMessages, stream: true},

	{method: get, path: inCluster + "/metrics", id: "listMetrics", role: roleViewer, do: listMetrics},
	{method: get, path: inCluster + "/metrics/query", id: "queryMetrics", role: roleViewer, do: queryMetrics},
	{method: get, path: inCluster + "/events", id: "streamEvents", role: roleViewer, do: streamEvents, stream: true},

	{method: get, path: "/jobs", id: "listJobs", role: roleViewer, do: listJobs},
	{method: get, path: "/jobs/{job}", id: "getJob", role: roleViewer, do: getJob},
	{method: remove, path: "/jobs/{job}", id: "cancelJob", role: roleOperator, do: cancelJob, status: 204},
	{method: get, path: "/jobs/{job}/stream", id: "streamJob", role: roleViewer, do: streamJob, stream: true},
	{method: get, path: "/jobs/{job}/result", id: "getJobResult", role: roleReader, do: getJobResult, stream: true},
	{method: get, path: "/alerts", id: "listAlerts", role: roleViewer, do: listAlerts},
	{method: post, path: "/alerts/{alert}/acknowledge", id: "acknowledgeAlert", role: roleOperator, do: acknowledgeAlert},
	{method: get, path: "/alerts/settings", id: "getAlertSettings", role: roleOperator, do: getAlertSettings},
	{method: put, path: "/alerts/settings", id: "putAlertSettings", role: roleAdmin, do: putAlertSettings},
	{method: get, path: "/alerts/rules", id: "listAlertRules", role: roleViewer, do: listAlertRules},
	{method: post, path: "/alerts/rules", id: "createAlertRule", role: roleOperator, do: createAlertRule, status: 201, idem: true},
	{method: get, path: "/alerts/rules/{rule}", id: "getAlertRule", role: roleViewer, do: getAlertRule},
	{method: put, path: "/alerts/rules/{rule}", id: "putAlertRule", role: roleOperator, do: putAlertRule},
	{method: remove, path: "/alerts/rules/{rule}", id: "deleteAlertRule", role: roleOperator, do: deleteAlertRule, status: 204},

	{method: get, path: inCluster + "/delayed", id: "getDelayed", role: roleViewer, do: getDelayed},
	{method: post, path: inCluster + "/delayed/recall", id: "recallMessage", role: roleOperator, do: recallMessage, idem: true},
	{method: get, path: inCluster + "/transactions", id: "getTransactions", role: roleViewer, do: getTransactions},
	{method: post, path: inCluster + "/transactions/resumeCheck", id: "resumeCheck", role: roleOperator, do: resumeCheck, idem: true},
	{method: get, path: inACL + "/users", id: "listAclUsers", role: roleAdmin, do: listAclUsers},
	{method: post, path: inACL + "/users", id: "createAclUser", role: roleAdmin, do: createAclUser, status: 201, idem: true},
	{method: get, path: inACL + "/users/{user}", id: "getAclUser", role: roleAdmin, do: getAclUser},
	{method: put, path: inACL + "/users/{user}", id: "putAclUser", role: roleAdmin, do: putAclUser},
	{method: remove, path: inACL + "/users/{user}", id: "deleteAclUser", role: roleAdmin, do: deleteAclUser},
	{method: get, path: inACL + "/policies", id: "listAclPolicies", role: roleAdmin, do: listAclPolicies},
	{method: get, path: inACL + "/policies/{subject}", id: "getAclPolicy", role: roleAdmin, do: getAclPolicy},
	{method: put, path: inACL + "/policies/{subject}", id: "putAclPolicy", role: roleAdmin, do: putAclPolicy},
	{method: remove, path: inACL + "/policies/{subject}", id: "deleteAclPolicy", role: roleAdmin, do: deleteAclPolicy},
	{method: post, path: inACL + "/check", id: "checkAcl", role: roleAdmin, do: checkAcl, silent: true},

	{method: get, path: "/audit", id: "listAudit", role: roleAdmin, do: listAudit},
	{method: get, path: "/audit/export", id: "exportAudit", role: roleAdmin, do: exportAudit, stream: true},
	{method: get, path: "/users", id: "listUsers", role: roleAdmin, do: listUsers},
	{method: post, path: "/users", id: "createUser", role: roleAdmin, do: createUser, status: 201, idem: true},
	{method: get, path: "/users/{user}", id: "getUser", role: roleAdmin, do: getUser},
	{method: put, path: "/users/{user}", id: "putUser", role: roleAdmin, do: putUser},
	{method: remove, path: "/users/{user}", id: "deleteUser", role: roleAdmin, do: deleteUser, status: 204},
	{method: get, path: "/tokens", id: "listTokens", role: roleAny, do: listTokens},
	{method: post, path: "/tokens", id: "createToken", role: roleAny, do: createToken, status: 201},
	{method: remove, path: "/tokens/{token}", id: "deleteToken", role: roleAny, do: deleteToken, status: 204},
	{method: get, path: "/settings", id: "getSettings", role: roleViewer, do: getSettings, etag: true},
	{method: patch, path: "/settings", id: "patchSettings", role: roleAdmin, do: patchSettings},

	{method: get, path: "/openapi.json", id: "getOpenAPI", role: roleViewer, do: getOpenAPI},
	{method: get, path: "/healthz", id: "getHealthz", role: rolePublic, do: getHealthz},
	{method: get, path: "/readyz", id: "getReadyz", role: rolePublic, do: getReadyz},
}

// RouteInfo describes a route, for the test that compares them with the contract.
type RouteInfo struct {
	Method, Path, ID, Role string
	Status                 int
	Idempotent             bool
}

// Routes lists what is served under /api/v1.
func Routes() []RouteInfo {
	out := make([]RouteInfo, len(routes))
	for i := range routes {
		r := &routes[i]
		out[i] = RouteInfo{r.method, r.path, r.id, r.role, r.success(), r.idem}
	}
	return out
}

// success is the status of an answer that is no problem.
func (r *route) success() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}
