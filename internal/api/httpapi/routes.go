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

	{method: get, path: inCluster + "/topics", id: "listTopics", role: roleViewer, do: listTopics},
	{method: post, path: inCluster + "/topics", id: "createTopic", role: roleOperator, do: createTopic, status: 201, idem: true},
	{method: get, path: inTopic, id: "getTopic", role: roleViewer, do: getTopic, etag: true},
	{method: put, path: inTopic, id: "putTopic", role: roleOperator, do: putTopic},
	{method: remove, path: inTopic, id: "deleteTopic", role: roleAdmin, do: deleteTopic},
	{method: get, path: inTopic + "/route", id: "getTopicRoute", role: roleViewer, do: getTopicRoute},
	{method: get, path: inTopic + "/stats", id: "getTopicStats", role: roleViewer, do: getTopicStats},
	{method: get, path: inTopic + "/groups", id: "listTopicGroups", role: roleViewer, do: listTopicGroups},
	{method: get, path: inTopic + "/messages", id: "searchMessages", role: roleViewer, do: searchMessages},

	{method: get, path: inCluster + "/messages", id: "findMessages", role: roleViewer, do: findMessages},
	{method: get, path: inMessage, id: "getMessage", role: roleViewer, do: getMessage},
	{method: get, path: inMessage + "/body", id: "getMessageBody", role: roleReader, do: getMessageBody},

	{method: get, path: inCluster + "/groups", id: "listGroups", role: roleViewer, do: listGroups},
	{method: post, path: inCluster + "/groups", id: "createGroup", role: roleOperator, do: createGroup, status: 201, idem: true},
	{method: get, path: inGroup, id: "getGroup", role: roleViewer, do: getGroup},
	{method: put, path: inGroup, id: "putGroup", role: roleOperator, do: putGroup},
	{method: remove, path: inGroup, id: "deleteGroup", role: roleAdmin, do: deleteGroup},
	{method: get, path: inGroup + "/lag", id: "getGroupLag", role: roleViewer, do: getGroupLag},
	{method: get, path: inGroup + "/clients", id: "listGroupClients", role: roleViewer, do: listGroupClients},

	{method: get, path: inCluster + "/producers", id: "listProducers", role: roleViewer, do: listProducers},
	{method: get, path: inCluster + "/clients", id: "listClients", role: roleViewer, do: listClients},
	{method: get, path: inTopic + "/producers", id: "listTopicProducers", role: roleViewer, do: listTopicProducers},

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
