package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

// exportPath is where Java's tools put what they export when they are not told.
const exportPath = "/tmp/rocketmq/export"

func exportCommands() []Command {
	into := opt("f", "filePath", "the folder to write into, default "+exportPath)
	inCluster := need("c", "clusterName", "the cluster to export")
	names := opt("n", nameServersToo, "name servers, host:port;host:port; default $NAMESRV_ADDR")
	return []Command{
		{
			Name: "exportMetadata", About: "Write topics and consumer groups as JSON files", OneOf: either, Run: exportMetadata,
			Flags: []Flag{
				toCluster, opt("b", "brokerAddr", "the broker's address"), into, flag("t", "topic", "only topics"),
				flag("g", "subscriptionGroup", "only consumer groups"), flag("s", "specialTopic", "also retry and dead letter topics"),
			},
		},
		{Name: "exportConfigs", About: "Write the brokers' main settings as a JSON file", Flags: []Flag{inCluster, into}, Run: exportConfigs},
		{Name: "exportMetrics", About: "Write the brokers' load as a JSON file", Flags: []Flag{inCluster, into}, Run: exportMetrics},
		{
			Name: "exportPopRecord", About: "Have brokers turn what they keep of pops in RocksDB into messages", Changes: true, OneOf: either, Run: exportPop,
			Flags: []Flag{toBroker, opt("c", "clusterName", "all brokers of this cluster"), opt("d", "dryRun", "true: say what would be done, do nothing")},
		},
		{
			Name: "exportMetadataInRocksDB", About: "Print tables that a Java broker keeps in RocksDB: not possible here", Run: rocksTables, Local: true,
			Flags: []Flag{
				need("p", "path", "the folder of the tables"), need("t", "configType", "topics or subscriptionGroups"),
				opt("j", "jsonEnable", "as JSON, true or false"),
			},
		},
		{
			Name: "rocksDBConfigToJson", About: "Have Java brokers write the tables that they keep in RocksDB as JSON files", Changes: true, Run: rocksToJSON,
			Flags: []Flag{
				toBroker, opt("c", "cluster", "all masters of this cluster"), opt("t", "configType", "topics, subscriptionGroups or consumerOffsets, with semicolons; default all"),
				opt("p", "configPath", "read a folder instead of asking a broker: not possible here"), opt("e", "exportFile", "with -p: write here"),
				opt("j", "jsonEnable", "with -p: as JSON"), names,
			},
		},
		{
			Name: "checkRocksdbCqWriteProgress", About: "Have Java brokers compare the queues that they keep in RocksDB with those in files", Run: checkQueues,
			Flags: []Flag{need("c", "cluster", "cluster"), names, opt("t", "topic", "only this topic"), opt("cf", "checkFrom", "from this time on, ms; default 30 days ago").num(64)},
		},
	}
}

// export writes v as a JSON file and says where.
func (c *Call) export(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	path := filepath.Join(c.StrOr("f", exportPath), name)
	if err := c.env.WriteFile(path, pretty(data)); err != nil {
		return err
	}
	c.Only(map[string]string{"file": path}, "export %s success\n", path)
	return nil
}

// systemTopics are Java's own; brokers list only some of them.
var systemTopics = []string{
	"TBW102", "SCHEDULE_TOPIC_XXXX", "BenchmarkTest", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC",
	"TRANS_CHECK_MAX_TIME_TOPIC", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT", "CHECKPOINT_TOPIC", "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
	"RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC",
}

// systemGroups are those that every broker has.
var systemGroups = []string{
	"DEFAULT_CONSUMER", "DEFAULT_PRODUCER", "TOOLS_CONSUMER", "SCHEDULE_CONSUMER", "FILTERSRV_CONSUMER", "__MONITOR_CONSUMER", "CLIENT_INNER_PRODUCER",
	"SELF_TEST_P_GROUP", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY", "CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER", "CID_ONSAPI_PULL", "CID_RMQ_SYS_TRANS",
}

// userTopics are the topics of a broker that somebody has made.
func (c *Call) userTopics(b mq.RemoteBroker, special bool) ([]mq.TopicConfig, mq.DataVersion, error) {
	all, version, err := b.Topics(c.Ctx)
	if err != nil {
		return nil, version, err
	}
	system, err := b.SystemTopics(c.Ctx)
	if err != nil {
		return nil, version, err
	}
	return slices.DeleteFunc(all, func(t mq.TopicConfig) bool {
		made := strings.HasPrefix(t.Name, retryPrefix) || strings.HasPrefix(t.Name, dlqPrefix)
		return slices.Contains(system, t.Name) || slices.Contains(systemTopics, t.Name) || strings.HasPrefix(t.Name, "rmq_sys_") ||
			made && !special || t.Perm < 0 || t.Perm >= mq.PermPriority
	}), version, nil
}

func (c *Call) userGroups(b mq.RemoteBroker) ([]mq.GroupConfig, mq.DataVersion, error) {
	all, version, err := b.Groups(c.Ctx)
	return slices.DeleteFunc(all, func(g mq.GroupConfig) bool {
		return strings.HasPrefix(g.Name, "CID_RMQ_SYS_") || slices.Contains(systemGroups, g.Name)
	}), version, err
}

// versionJSON is Java's DataVersion.
type versionJSON struct {
	Counter      int64 `json:"counter"`
	StateVersion int64 `json:"stateVersion"`
	Timestamp    int64 `json:"timestamp"`
}

// exportMetadata writes what updateTopicList and others can read again. Queues of a topic on several brokers are added up, as Java does.
//
// Differs from Java: with -b and neither -t nor -g Java's tool does nothing; here both are written.
func exportMetadata(c *Call) error {
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	topics, groups := map[string]topicJSON{}, map[string]groupJSON{}
	var version mq.DataVersion
	for _, t := range targets {
		list, v, err := c.userTopics(t.broker, c.Has("s"))
		if err != nil {
			return err
		}
		version = v
		for i := range list {
			j := topicValue(&list[i])
			j.Read, j.Write = j.Read+topics[j.Name].Read, j.Write+topics[j.Name].Write
			topics[j.Name] = j
		}
		subs, v, err := c.userGroups(t.broker)
		if err != nil {
			return err
		}
		if c.Has("g") {
			version = v
		}
		for i := range subs {
			j := groupValue(&subs[i])
			if had, ok := groups[j.Name]; ok {
				*j.Queues += *had.Queues
			}
			groups[j.Name] = j
		}
	}
	out, name := map[string]any{"topicConfigTable": topics, "subscriptionGroupTable": groups}, "metadata.json"
	switch {
	case c.Has("t"):
		delete(out, "subscriptionGroupTable")
		name = "topic.json"
	case c.Has("g"):
		delete(out, "topicConfigTable")
		name = "subscriptionGroup.json"
	}
	if c.Has("b") && name != "metadata.json" {
		out["dataVersion"] = versionJSON(version)
	} else {
		out["exportTime"] = c.env.Now().UnixMilli()
	}
	return c.export(name, out)
}

// exportedKeys are the settings that exportConfigs writes.
var exportedKeys = []string{
	"brokerClusterName", "brokerId", "brokerName", "brokerRole", "fileReservedTime", "filterServerNums", "flushDiskType", "maxMessageSize",
	"messageDelayLevel", "msgTraceTopicName", "slaveReadEnable", "traceOn", "traceTopicEnable", "useTLS", "autoCreateTopicEnable", "autoCreateSubscriptionGroup",
}

func exportConfigs(c *Call) error {
	sets, err := c.inCluster(c.Str("c"))
	if err != nil {
		return err
	}
	masters, slaves := 0, 0
	configs := map[string]map[string]string{}
	for _, s := range sets {
		slaves += len(s.Addrs)
		addr := s.Master()
		if addr == "" {
			continue
		}
		masters, slaves = masters+1, slaves-1
		list, err := c.Broker(addr).Config(c.Ctx)
		if err != nil {
			c.Failed(err)
			continue
		}
		m := map[string]string{}
		for _, kv := range list {
			if slices.Contains(exportedKeys, kv.Key) {
				m[kv.Key] = kv.Value
			}
		}
		configs[s.Name] = m
	}
	return c.export("configs.json", map[string]any{
		"brokerConfigs": configs,
		"clusterScale":  map[string]int{"namesrvSize": len(c.NameServers()), "masterBrokerSize": masters, "slaveBrokerSize": slaves},
	})
}

// loadTotals adds up brokers.
type loadTotals struct {
	tps map[string]float64
	day map[string]int64
}

func exportMetrics(c *Call) error {
	sets, err := c.inCluster(c.Str("c"))
	if err != nil {
		return err
	}
	report := map[string]any{}
	total := loadTotals{
		tps: map[string]float64{"totalNormalInTps": 0, "totalNormalOutTps": 0, "totalTransInTps": 0, "totalScheduleInTps": 0},
		day: map[string]int64{"normalOneDayInNum": 0, "normalOneDayOutNum": 0, "transOneDayInNum": 0, "scheduleOneDayInNum": 0},
	}
	for i, s := range sets {
		c.working("brokers", i, len(sets))
		addr := s.Master()
		if addr == "" {
			c.Failed(errors.New("broker " + s.Name + " has no master"))
			continue
		}
		v, err := c.load(addr, &total)
		if err != nil {
			c.Failed(err)
			continue
		}
		report[s.Name] = v
	}
	return c.export("metrics.json", map[string]any{
		"evaluateReport": report, "totalData": map[string]any{"totalTps": total.tps, "totalOneDayNum": total.day},
	})
}

// load is what one broker does, as Java's exportMetrics has it.
func (c *Call) load(addr string, total *loadTotals) (map[string]any, error) {
	b := c.Broker(addr)
	info, err := b.RuntimeInfo(c.Ctx)
	if err != nil {
		return nil, err
	}
	config, err := b.Config(c.Ctx)
	if err != nil {
		return nil, err
	}
	topics, _, err := c.userTopics(b, false)
	if err != nil {
		return nil, err
	}
	groups, _, err := c.userGroups(b)
	if err != nil {
		return nil, err
	}
	env := map[string]any{}
	if v, ok := info["totalMemKBytes"]; ok {
		env["totalMemKBytes"] = v
	}
	for _, kv := range config {
		if kv.Key == "clientCallbackExecutorThreads" {
			env["cpuNum"] = kv.Value
		}
	}
	put := func(topic string) mq.Stats {
		s, err := b.Stats(c.Ctx, mq.StatTopicPutNums, topic)
		if err != nil {
			return mq.Stats{} // nothing was counted
		}
		return s
	}
	number := func(key string) int64 {
		n, _ := strconv.ParseInt(info[key], 10, 64)
		return n
	}
	trans, delayed := put("RMQ_SYS_TRANS_HALF_TOPIC"), put("SCHEDULE_TOPIC_XXXX")
	tps := map[string]float64{
		"normalInTps": first(info["putTps"]), "normalOutTps": first(info["getTransferredTps"]), "transInTps": trans.Minute.TPS, "scheduleInTps": delayed.Minute.TPS,
	}
	day := map[string]int64{
		"normalOneDayInNum":  number("msgPutTotalTodayMorning") - number("msgPutTotalYesterdayMorning"),
		"normalOneDayOutNum": number("msgGetTotalTodayMorning") - number("msgGetTotalYesterdayMorning"),
		"transOneDayInNum":   dayOf(&trans), "scheduleOneDayInNum": dayOf(&delayed),
	}
	for k, v := range tps {
		total.tps["total"+strings.ToUpper(k[:1])+k[1:]] += v
	}
	for k, v := range day {
		total.day[k] += v
	}
	clients := map[string]bool{}
	for i := range groups {
		g, err := b.Consumers(c.Ctx, groups[i].Name)
		if err != nil {
			continue // nobody is there
		}
		for _, conn := range g.Connections {
			clients[conn.Language+"%"+mq.VersionName(conn.Version)] = true
		}
	}
	return map[string]any{
		"runtimeEnv": env,
		"runtimeQuota": map[string]any{
			"diskRatio": map[string]string{"commitLogDiskRatio": info["commitLogDiskRatio"], "consumeQueueDiskRatio": info["consumeQueueDiskRatio"]},
			"tps":       tps, "oneDayNum": day, "messageAverageSize": info["putMessageAverageSize"], "topicSize": len(topics), "groupSize": len(groups),
		},
		"runtimeVersion": map[string]any{"rocketmqVersion": info["brokerVersionDesc"], "clientInfo": append([]string{}, sortedKeys(clients)...)},
	}, nil
}

// exportPop differs from Java: there -d false does nothing and -d true does the work, against what its help says.
func exportPop(c *Call) error {
	if c.Bool("d", false) {
		c.args["dry-run"] = "true"
	}
	targets, err := c.targets(true)
	if err != nil {
		return err
	}
	for i := range targets {
		t := &targets[i]
		name := t.set.Name
		if name == "" {
			list, err := t.broker.Config(c.Ctx)
			if err != nil {
				return err
			}
			if k := slices.IndexFunc(list, func(s mq.Setting) bool { return s.Key == "brokerName" }); k >= 0 {
				name = list[k].Value
			}
		}
		if c.Change(func() error { return t.broker.ExportPop(c.Ctx) }, "have %s (%s) turn its records of pops into messages", name, t.addr) {
			c.Row(map[string]string{"broker": name, "addr": t.addr}, "Export broker records, brokerName=%s, brokerAddr=%s, dryRun=false\n", name, t.addr)
		}
	}
	return nil
}

// errNoRocks is why tables in RocksDB cannot be read.
var errNoRocks = errors.New("this tool cannot read RocksDB, whose files no other program than RocksDB itself understands. " +
	"Ask the broker that has them: rocksDBConfigToJson -b ADDRESS has it write them as JSON. CometMQ's own tables are JSON files already: config/topics.json and its neighbours")

func rocksTables(c *Call) error {
	if t := c.Str("t"); t != "topics" && t != "subscriptionGroups" {
		return usage("Invalid config type=%s, Options: topics,subscriptionGroups", t)
	}
	return errNoRocks
}

func rocksToJSON(c *Call) error {
	if c.Has("p") && !c.Has("b") && !c.Has("c") {
		return errNoRocks
	}
	known := []string{"topics", "subscriptionGroups", "consumerOffsets"}
	tables := known
	if t := c.Str("t"); t != "" {
		tables = strings.FieldsFunc(t, func(r rune) bool { return r == ';' || r == ',' })
		for _, name := range tables {
			if !slices.Contains(known, name) {
				return usage("Invalid configType: %s please input topics/subscriptionGroups/consumerOffsets", name)
			}
		}
	}
	targets, err := c.targets(false)
	if err != nil {
		return err
	}
	if c.Has("b") {
		c.Say("Use [rpc mode] call broker to export to json file \n")
	} else {
		c.Say("Use [rpc mode] call all brokers in cluster to export to json file \n")
	}
	done := 0
	for _, t := range targets {
		if c.Change(func() error { return t.broker.ExportTables(c.Ctx, tables) }, "have %s write %s as JSON", t.addr, strings.Join(tables, ", ")) {
			c.Row(map[string]any{"addr": t.addr, "tables": tables}, "")
			done++
		}
	}
	if done == len(targets) {
		c.Say("broker export done.\n")
	}
	return nil
}

func checkQueues(c *Call) error {
	const span = 30 * 24 * time.Hour
	targets, err := c.clusterTargets(c.Str("c"), false)
	if err != nil {
		return err
	}
	since := c.Int("cf", c.env.Now().Add(-span).UnixMilli())
	for _, t := range targets {
		r, err := t.broker.CheckQueues(c.Ctx, c.Str("t"), since)
		switch {
		case err != nil:
			c.Failed(err)
		case r.Status == mq.CheckFailed:
			c.Failed(fmt.Errorf("%s check error, please check log... errInfo: %s", t.set.Name, r.Result))
		default:
			c.Row(map[string]any{"broker": t.set.Name, "status": r.Status, "result": r.Result}, "%s check doing, please wait and get the result from log... \n", t.set.Name)
			if r.Result != "" && c.Wide() {
				c.Say("%s answers: %s\n", t.set.Name, r.Result)
			}
		}
	}
	return nil
}
