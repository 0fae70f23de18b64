//go:build peer

package peer

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// commands are subcommands of mqadmin 5.5.0. Those of one paragraph run side by side; each paragraph finds what it needs. @NS@, @B@ and
// @DIR@ are the name server, the broker and a folder; see java-5.5.0/Admin.java for the rest. A line that begins with "!" is for that
// program.
const commands = `
updateTopic -c DefaultCluster -t T1 -r 4 -w 4
updateTopic -b @B@ -t T2 -r 2 -w 2 -o true
updateTopic -c DefaultCluster -t TBW102
updateTopicList -b @B@ -f @DIR@/topics.json
updateSubGroup -c DefaultCluster -g G1
updateSubGroup -b @B@ -g G2 -r 3
updateSubGroupList -b @B@ -f @DIR@/groups.json
updateKvConfig -s NS -k a -v 1

!clients
updateTopicPerm -c DefaultCluster -t T2 -p 6
updateOrderConf -t T1 -m put -v broker-a:4
sendMessage -t T1 -p hello -k K1 -c TagA -b broker-a -i 2
sendMsgStatus -b broker-a -s 16 -c 2
setConsumeMode -b @B@ -t T1 -g G2 -m POP -q 2
updateBrokerConfig -b @B@ -k maxMessageSize -v 4194304
updateBrokerConfig -b @B@ -k noSuchKey -v 1
updateBrokerConfig -b @B@ -k configBlackList -v x
updateNamesrvConfig -k enableTopicList -v true
updateColdDataFlowCtrGroupConfig -b @B@ -g G1 -v 1000
createUser -b @B@ -u alice -p secret12 -t Normal
deleteKvConfig -s NS -k a

!settle
topicList
topicList -c
topicRoute -t T1
topicRoute -t T1 -l
topicRoute -t nothing
topicStatus -t T1
topicStatus -t T1 -c DefaultCluster
topicStatus -t nothing
topicClusterList -t T1
allocateMQ -t T1 -i 10.0.0.1,10.0.0.2
updateOrderConf -t T1 -m get
queryMsgById -i @OFFSETID@ -t T1
queryMsgByKey -t T1 -k K0
queryMsgByUniqueKey -i @ID@ -t T1
queryMsgByOffset -t T1 -b broker-a -i @QUEUE@ -o 0
queryMsgTraceById -i @ID@
printMsg -t T1
printMsgByQueue -t T1 -a broker-a -i @QUEUE@ -p true
consumeMessage -t T1 -c 1 -b broker-a -i @QUEUE@ -o 0
queryCq -t T1 -q @QUEUE@ -i 0 -c 5 -b @B@
queryCq -t T1 -q @QUEUE@ -i 0 -c 5 -b @B@ -g G1
statsAll
statsAll -t T1
producer -b @B@
producerConnection -g PG -t T1
producerConnection -g nobody -t T1
consumerConnection -g G1
consumerConnection -g nobody
consumerStatus -g G1
consumerStatus -g G1 -i @CLIENT@
consumerProgress
consumerProgress -g G1
consumerProgress -g G1 -t T1
getConsumerConfig -g G1
clusterList
clusterList -m
brokerStatus -b @B@
brokerStatus -c DefaultCluster
brokerConsumeStats -b @B@
brokerConsumeStats -b @B@ -o true
getBrokerConfig -b @B@
getNamesrvConfig
getColdDataFlowCtrInfo -b @B@
getBrokerEpoch -c DefaultCluster
getBrokerEpoch -b broker-a
haStatus -b @B@
haStatus -c DefaultCluster
checkRocksdbCqWriteProgress -c DefaultCluster -n @NS@ -t T1
rocksDBConfigToJson -b @B@ -t topics
exportPopRecord -b @B@ -d false
exportMetadata -c DefaultCluster -f @DIR@
exportMetadata -b @B@ -t -f @DIR@
exportConfigs -c DefaultCluster -f @DIR@
exportMetrics -c DefaultCluster -f @DIR@
dumpCompactionLog -f @DIR@/nothing
getBrokerLiteInfo -b @B@
getLiteTopicInfo -p T1 -l x
getParentTopicInfo -p T1
getLiteClientInfo -p T1 -g G1 -c @CLIENT@
getLiteGroupInfo -p T1 -g G1
triggerLiteDispatch -p T1 -g G1
addBroker -c @B@ -b /nothing
removeBroker -c @B@ -b DefaultCluster:broker-a:1
getControllerMetaData -a @B@
getControllerConfig -a @B@
updateControllerConfig -a @B@ -k enableElectUncleanMaster -v false
electMaster -a @B@ -b 1 -bn broker-a -c DefaultCluster
cleanBrokerMetadata -a @B@ -bn broker-a
getSyncStateSet -a @B@ -b broker-a
updateUser -b @B@ -u alice -p secret34
getUser -b @B@ -u alice
listUser -b @B@
copyUser -f @B@ -t @B@ -u alice
createAcl -b @B@ -s User:alice -r Topic:T1 -a Pub,Sub -d Allow

updateAcl -b @B@ -s User:alice -r Topic:T1 -a Pub -d Allow
getAcl -b @B@ -s User:alice
listAcl -b @B@
copyAcl -f @B@ -t @B@ -s User:alice
queryMsgById -i @OFFSETID@ -t T1 -g G1 -d @CLIENT@
queryMsgByUniqueKey -i @ID@ -t T1 -g G1 -d @CLIENT@
checkMsgSendRT -t T1 -a 3 -s 16
updateBrokerConfig -c DefaultCluster -k flushIntervalCommitLog -v 400
updateTopicPerm -c DefaultCluster -t T2 -p 4
updateOrderConf -t T1 -m delete
cleanExpiredCQ -b @B@
cleanExpiredCQ -c DefaultCluster
cleanUnusedTopic -b @B@
deleteExpiredCommitLog -b @B@
resetOffsetByTime -g G1 -t T1 -s 0
cloneGroupOffset -s G1 -d G9 -t T1 -o false
setCommitLogReadAheadMode -b @B@ -m 1
removeColdDataFlowCtrGroupConfig -b @B@ -g G1
switchTimerEngine -b @B@ -e R
switchTimerEngine -b @B@ -e F
resetMasterFlushOffset -b @B@ -o 0
updateStaticTopic -t ST -qn 2 -c DefaultCluster

setCommitLogReadAheadMode -b @B@ -m 0
getColdDataFlowCtrInfo -b @B@
remappingStaticTopic -t ST -c DefaultCluster
deleteSubGroup -c DefaultCluster -g G2
deleteAcl -b @B@ -s User:alice

skipAccumulatedMessage -g G1 -t T1 -f true
wipeWritePerm -b broker-a
deleteUser -b @B@ -u alice

!leave
addWritePerm -b broker-a
deleteTopic -t T2 -c DefaultCluster
deleteTopic -t nothing -c DefaultCluster

topicList
clusterRT -a 1 -s 16 -c DefaultCluster -i 1
startMonitoring
exportMetadataInRocksDB -p @DIR@ -t topics
`

// outcome is what a subcommand did.
type outcome struct {
	line, out, err, note string
	took                 time.Duration
}

// mqadmin runs the script against a cluster in one JVM.
func mqadmin(t *testing.T, c *target.Cluster) []outcome {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"topics.json": `[{"topicName":"L1","readQueueNums":1,"writeQueueNums":1,"perm":6},{"topicName":"L2","readQueueNums":2,"writeQueueNums":2,"perm":6}]`,
		"groups.json": `[{"groupName":"LG1"},{"groupName":"LG2","retryMaxTimes":5}]`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill := strings.NewReplacer("@NS@", c.NS, "@B@", c.Addrs[0], "@DIR@", dir, " ", "\t")
	var script []string
	var out []outcome
	for line := range strings.Lines(strings.TrimSpace(commands)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "!") {
			out = append(out, outcome{line: line})
		}
		script = append(script, fill.Replace(line))
	}
	file := filepath.Join(dir, "script")
	if err := os.WriteFile(file, []byte(strings.Join(script, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	run := append(ownJVM(t, java55, []string{"-Xmx256m", "-Duser.home=" + dir, "-Drocketmq.client.logRoot=" + dir}), "Admin", c.NS, file)
	cmd := exec.CommandContext(ctx, run[0], run[1:]...)
	cmd.Dir = dir // some leave files
	text, err := cmd.CombinedOutput()
	n := 0
	s := bufio.NewScanner(strings.NewReader(string(text)))
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		f := strings.Split(s.Text(), "\t")
		i, err := strconv.Atoi(strings.TrimPrefix(f[0], "#"))
		if len(f) != 5 || err != nil || i >= len(out) {
			continue
		}
		o := &out[i]
		n++
		ms, _ := time.ParseDuration(f[1] + "ms")
		o.took, o.out, o.err, o.note = ms, decode64(f[2]), decode64(f[3]), f[4]
	}
	r := strings.NewReplacer(c.NS, "NS", c.Addrs[0], "BROKER", dir, "DIR", c.Dir, "HERE")
	for i := range out {
		out[i].out, out[i].err = r.Replace(out[i].out), r.Replace(out[i].err)
	}
	dump(t, string(c.Kind), out[:n])
	if n != len(out) {
		t.Fatalf("%d of %d commands ran, %v\n%s", n, len(out), err, text[max(0, len(text)-4000):])
	}
	return out
}

func decode64(s string) string {
	b, _ := base64.StdEncoding.DecodeString(s)
	return string(b)
}

var (
	stackLine = regexp.MustCompile(`(?m)^\s+(at |\.\.\. ).*\n?`)
	clock     = regexp.MustCompile(`\d{4}-\d\d-\d\d[ #T,]\d\d:\d\d:\d\d([.,:]\d+)?`)
	hexID     = regexp.MustCompile(`\b[0-9A-F]{24,}\b`)
	number    = regexp.MustCompile(`-?\d+\.\d+(E-?\d+)?|\d{4,}|\d+ms|spentTimeMills=\d+`)
	anyNumber = regexp.MustCompile(`\d+`)
	blanks    = regexp.MustCompile(`[ \t]+`)
)

// timed are commands that print how long something took or how much there was of it.
var timed = []string{"checkMsgSendRT", "clusterRT", "clusterList", "sendMsgStatus", "statsAll"}

// normal is an output without what differs from run to run: times, ids, large numbers, the order of lines.
func normal(o *outcome) string {
	s := stackLine.ReplaceAllString(o.out+"\n"+o.err, "")
	s = clock.ReplaceAllString(s, "TIME")
	s = hexID.ReplaceAllString(s, "ID")
	s = number.ReplaceAllString(s, "N")
	command, _, _ := strings.Cut(o.line, " ")
	if slices.Contains(timed, command) {
		s = anyNumber.ReplaceAllString(s, "N")
	}
	var lines []string
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(blanks.ReplaceAllString(line, " "))
		if line != "" && !strings.Contains(line, "RMQ_SYS_ROCKSDB_TRANS") { // topics of Java's broker only
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// noAuth is what a broker says that has no users: access control has tests of its own.
const noAuth = "An system error occurred, please try again later."

// refusals are what commands must fail with, by their beginning. No other may print a stack trace.
var refusals = map[string]string{
	"updateTopic -c DefaultCluster -t TBW102":  "conflict with system topic",
	"updateTopic -b @B@ -t T2":                 "No config item, Namespace: ORDER_TOPIC_CONFIG", // it is looked for, then made
	"updateTopicPerm -c DefaultCluster -t T2":  "",                                              // as fast as the route comes
	"updateBrokerConfig -b @B@ -k configBlack": "CODE: 16  DESC: Can not update config in black list.",
	"topicRoute -t nothing":                    "CODE: 17",
	"topicStatus -t nothing":                   "CODE: 17",
	"queryMsgTraceById":                        "RMQ_SYS_TRACE_TOPIC] not matched route info",
	"producerConnection -g nobody":             "the producer group[nobody] not exist",
	"consumerConnection -g nobody":             "CODE: 17",
	"getBrokerEpoch":                           "this request only for controllerMode",
	"dumpCompactionLog":                        "not exist",
	"addBroker":                                "request type 902 not supported",
	"removeBroker":                             "request type 903 not supported",
	"getControllerMetaData":                    "request type 1005 not supported",
	"getControllerConfig":                      "request type 1010 not supported",
	"updateControllerConfig":                   "request type 1009 not supported",
	"electMaster":                              "request type 1005 not supported",
	"cleanBrokerMetadata":                      "clusterName option can not be empty",
	"getSyncStateSet":                          "request type 1005 not supported",
	"cloneGroupOffset":                         "Group G9 not exist!",
	"switchTimerEngine -b @B@ -e R":            "timerRocksDBEnable must be configured true",
	"createUser":                               noAuth,
	"updateUser":                               noAuth,
	"getUser":                                  noAuth,
	"listUser":                                 noAuth,
	"copyUser":                                 noAuth,
	"deleteUser":                               noAuth,
	"createAcl":                                noAuth,
	"updateAcl":                                noAuth,
	"getAcl":                                   noAuth,
	"listAcl":                                  noAuth,
	"copyAcl":                                  noAuth,
	"deleteAcl":                                noAuth,
	"triggerLiteDispatch":                      "",
}

// TestMQAdmin runs every subcommand of the official tool against us.
func TestMQAdmin(t *testing.T) {
	t.Parallel()
	checkMQAdmin(t, mqadmin(t, newCluster(t, target.Options{Kind: target.Ours})))
}

func checkMQAdmin(t *testing.T, list []outcome) {
	t.Helper()
	for _, o := range list {
		want, refused := "", false
		for begin, text := range refusals {
			if strings.HasPrefix(o.line, begin) {
				want, refused = text, true
			}
		}
		switch failed := strings.Contains(o.err, "Exception"); {
		case failed && !refused, refused && !strings.Contains(o.err, want):
			t.Errorf("%s\n%s%s", o.line, o.out, stackLine.ReplaceAllString(o.err, ""))
		case !failed && strings.TrimSpace(o.out+o.err) == "" && !refused && !quiet(o.line):
			t.Errorf("%s printed nothing", o.line)
		}
		if strings.Contains(o.note, "goes on") != strings.HasPrefix(o.line, "clusterRT") {
			t.Errorf("%s %s", o.line, o.note)
		}
	}
}

// TestMQAdminAsJava compares what the tool prints with Java's servers and with ours, for docs/compatibility.md.
func TestMQAdminAsJava(t *testing.T) {
	t.Parallel()
	variant(t, 1)
	java := mqadmin(t, newCluster(t, target.Options{Kind: target.Java}))
	ours := mqadmin(t, newCluster(t, target.Options{Kind: target.Ours}))
	for i := range java {
		j, o := normal(&java[i]), normal(&ours[i])
		said := "same output"
		switch {
		case j == o:
		case strings.Contains(java[i].err, "Exception") != strings.Contains(ours[i].err, "Exception"):
			said = "**differs**: fails with one of the two"
			t.Logf("%s\nJava:\n%s\nours:\n%s", java[i].line, j, o)
		default:
			said = "same outcome, the output has other lines"
		}
		adminVerdict(java[i].line, said)
	}
}

// quiet reports whether a command prints nothing when all is well.
func quiet(line string) bool {
	for _, begin := range []string{"startMonitoring", "printMsg", "statsAll", "exportPopRecord", "consumerStatus"} {
		if strings.HasPrefix(line, begin) {
			return true
		}
	}
	return false
}

func dump(t *testing.T, name string, list []outcome) {
	t.Helper()
	dir := os.Getenv("MQADMIN_OUT")
	if dir == "" {
		return
	}
	var b strings.Builder
	for i := range list {
		o := list[i]
		fmt.Fprintf(&b, "=== %s  [%v %s]\n%s\n", o.line, o.took, o.note, normal(&o))
	}
	if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
