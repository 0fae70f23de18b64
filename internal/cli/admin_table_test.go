package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/admin"
	"github.com/cometmq/cometmq/internal/membership"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/remoting"
)

// adminLines is a command line of each command, and the code with which it ends on our own cluster when that is not 0. @B is the broker's
// address, @D a folder with files. Those that change something are run with --dry-run.
var adminLines = map[string]struct {
	line string
	code int
}{
	"updateTopic": {"-b @B -t T2", 0}, "updateTopicList": {"-b @B -f @D/topics.json", 0}, "deleteTopic": {"-t T -c DefaultCluster", 0},
	"updateTopicPerm": {"-b @B -t T -p 4", 0}, "topicRoute": {"-t T", 0}, "topicStatus": {"-t T", 0}, "topicClusterList": {"-t T", 0}, "topicList": {"", 0},
	"updateOrderConf": {"-t T -m put -v broker-a:2", 0}, "allocateMQ": {"-t T -i a,b", 0}, "updateStaticTopic": {"-c DefaultCluster -t S -qn 4", 0},
	"remappingStaticTopic": {"-c DefaultCluster -t Static", 0},

	"updateSubGroup": {"-b @B -g G2", 0}, "updateSubGroupList": {"-b @B -f @D/groups.json", 0}, "deleteSubGroup": {"-b @B -g G", 0},
	"setConsumeMode": {"-b @B -t T -g G -m POP", 0}, "getConsumerConfig": {"-g G", 0}, "consumerProgress": {"-g G -c T", 0}, "consumerConnection": {"-g G", 1},
	"producerConnection": {"-g P -t T", 1}, "producer": {"-b @B", 0},

	"clusterList": {"", 0}, "brokerStatus": {"-b @B", 0}, "brokerConsumeStats": {"-b @B", 0}, "wipeWritePerm": {"-b broker-a", 0}, "addWritePerm": {"-b broker-a", 0},
	"cleanExpiredCQ": {"-b @B", 0}, "deleteExpiredCommitLog": {"-b @B", 0}, "cleanUnusedTopic": {"-b @B", 0},

	"getBrokerConfig": {"-b @B", 0}, "updateBrokerConfig": {"-b @B -k maxMessageSize -v 4194304", 0}, "getNamesrvConfig": {"", 0},
	"updateNamesrvConfig": {"-k enableTopicList -v true", 0}, "updateKvConfig": {"-s ns -k k -v v", 0}, "deleteKvConfig": {"-s ns -k k", 0},

	"queryMsgById": {"-t T -i @ID", 0}, "queryMsgByKey": {"-t T -k K", 0}, "queryMsgByUniqueKey": {"-t T -i @U", 0}, "queryMsgByOffset": {"-t T -b broker-a -i 0 -o 0", 0},
	"printMsg": {"-t T", 0}, "printMsgByQueue": {"-t T -a broker-a -i 0 -p true", 0}, "consumeMessage": {"-t T -c 1", 0}, "queryCq": {"-t T -q 0 -i 0", 0},
	"queryMsgTraceById": {"-i @U", 1}, "dumpCompactionLog": {"-f @D/empty", 0},

	"sendMessage": {"-t T -p body", 0}, "checkMsgSendRT": {"-t T -a 1", 0}, "sendMsgStatus": {"-b broker-a -c 1", 0}, "clusterRT": {"-a 1 -i 1", 0},

	"resetOffsetByTime": {"-g G -t T -s 0", 0}, "skipAccumulatedMessage": {"-g G -t T", 0}, "cloneGroupOffset": {"-s G -d G -t T", 0},
	"consumerStatus": {"-g G", 1}, "statsAll": {"", 0},

	"haStatus": {"-b @B", 0}, "getSyncStateSet": {"-a @B -b broker-a", 1}, "getBrokerEpoch": {"-b broker-a", 1}, "getControllerMetaData": {"-a @B", 1},
	"getControllerConfig": {"-a @B", 1}, "updateControllerConfig": {"-a @B -k a -v b", 0}, "electMaster": {"-a @B -b 1 -bn broker-a -c DefaultCluster", 1},
	"cleanBrokerMetadata": {"-a @B -bn broker-a -c DefaultCluster", 1}, "resetMasterFlushOffset": {"-b @B -o 0", 0},

	"createUser": {"-b @B -u u -p password1", 0}, "updateUser": {"-b @B -u u -p password2", 0}, "deleteUser": {"-b @B -u u", 0}, "getUser": {"-b @B -u u", 1}, "listUser": {"-b @B", 1},
	"copyUser": {"-f @B -t @B -u u", 1}, "createAcl": {"-b @B -s User:u -r Topic:T -a Pub -d Allow", 0}, "updateAcl": {"-b @B -s User:u -r Topic:T -a Pub -d Allow", 0},
	"deleteAcl": {"-b @B -s User:u", 0}, "getAcl": {"-b @B -s User:u", 1}, "listAcl": {"-b @B", 1}, "copyAcl": {"-f @B -t @B -s User:u", 1},

	"exportMetadata": {"-b @B -f @D", 0}, "exportConfigs": {"-c DefaultCluster -f @D", 0}, "exportMetrics": {"-c DefaultCluster -f @D", 0}, "exportPopRecord": {"-b @B", 0},
	"exportMetadataInRocksDB": {"-p @D -t topics", 1}, "rocksDBConfigToJson": {"-b @B", 0}, "checkRocksdbCqWriteProgress": {"-c DefaultCluster", 0},

	"addBroker": {"-c @B -b /broker.conf", 0}, "removeBroker": {"-c @B -b c:b:1", 0}, "getColdDataFlowCtrInfo": {"-b @B", 0},
	"updateColdDataFlowCtrGroupConfig": {"-b @B -g G -v 1", 0}, "removeColdDataFlowCtrGroupConfig": {"-b @B -g G", 0},
	"setCommitLogReadAheadMode": {"-b @B -m 1", 0}, "switchTimerEngine": {"-b @B -e F", 0},

	"getBrokerLiteInfo": {"-b @B", 0}, "getParentTopicInfo": {"-p T", 1}, "getLiteTopicInfo": {"-p T -l l", 1}, "getLiteClientInfo": {"-p T -g G -c c", 1},
	"getLiteGroupInfo": {"-p T -g G", 1}, "triggerLiteDispatch": {"-p T -g G", 0},
	"startMonitoring": {"--count 1", 0},

	"doctor": {"", -1}, "lag": {"", 0}, "tail": {"-t T --since 0 --count 1", 0}, "explain": {"-i @ID", 0}, "upgrade-check": {"", -1}, "top": {"--count 1", 0},
	"replay": {"-t T -b 0 -e now --to T2", 0}, "kv": {"-s ns", -1}, "quota": {"-b @B --set topic:T:bytes=1048576", 0},
}

// changed is a cluster that notes what is changed in it, and does not do it.
type changed struct {
	mq.Cluster
	log *[]string
}

func (c changed) note(s string) error { *c.log = append(*c.log, s); return nil }

func (c changed) Broker(addr string) mq.RemoteBroker { return changedBroker{c.Cluster.Broker(addr), c} }

func (c changed) NameServer(addr string) mq.NameServerAdmin {
	return changedNames{c.Cluster.NameServer(addr), c}
}

func (c changed) Controller(addr string) mq.ControllerAdmin {
	return changedController{c.Cluster.Controller(addr), c}
}

type changedBroker struct {
	mq.RemoteBroker
	c changed
}

func (b changedBroker) PutTopic(context.Context, mq.TopicConfig) error { return b.c.note("PutTopic") }

func (b changedBroker) PutStaticTopic(context.Context, mq.TopicConfig, bool) error {
	return b.c.note("PutStaticTopic")
}

func (b changedBroker) DeleteTopic(context.Context, string) error { return b.c.note("DeleteTopic") }

func (b changedBroker) PutGroup(context.Context, mq.GroupConfig) error { return b.c.note("PutGroup") }

func (b changedBroker) DeleteGroup(context.Context, string, bool) error {
	return b.c.note("DeleteGroup")
}

func (b changedBroker) SetConfig(context.Context, string, string) (string, error) {
	return "", b.c.note("SetConfig")
}

func (b changedBroker) ResetMasterFlush(context.Context, mq.Offset) error {
	return b.c.note("ResetMasterFlush")
}
func (b changedBroker) Clean(context.Context, mq.Cleaning) error { return b.c.note("Clean") }
func (b changedBroker) SetConsumeMode(context.Context, string, string, string, int32) error {
	return b.c.note("SetConsumeMode")
}

func (b changedBroker) CommitIndex(context.Context, string, string, int32, mq.Index) error {
	return b.c.note("CommitIndex")
}

func (b changedBroker) Put(context.Context, *mq.SendRequest) (mq.Stored, error) {
	return mq.Stored{}, b.c.note("Put")
}

func (b changedBroker) PutUser(context.Context, mq.User, bool) error { return b.c.note("PutUser") }

func (b changedBroker) DeleteUser(context.Context, string) error { return b.c.note("DeleteUser") }

func (b changedBroker) PutACL(context.Context, mq.ACL, bool) error { return b.c.note("PutACL") }

func (b changedBroker) DeleteACL(context.Context, string, string) error { return b.c.note("DeleteACL") }

func (b changedBroker) SetColdLimit(context.Context, string, string) error {
	return b.c.note("SetColdLimit")
}

func (b changedBroker) DropColdLimit(context.Context, string) error { return b.c.note("DropColdLimit") }

func (b changedBroker) SetReadAhead(context.Context, string) (string, error) {
	return "", b.c.note("SetReadAhead")
}

func (b changedBroker) SwitchTimers(context.Context, string) error { return b.c.note("SwitchTimers") }

func (b changedBroker) ExportTables(context.Context, []string) error { return b.c.note("ExportTables") }

func (b changedBroker) ExportPop(context.Context) error { return b.c.note("ExportPop") }

func (b changedBroker) AddBroker(context.Context, string) error { return b.c.note("AddBroker") }

func (b changedBroker) RemoveBroker(context.Context, string, string, int64) error {
	return b.c.note("RemoveBroker")
}

func (b changedBroker) TriggerLite(context.Context, string, string) error {
	return b.c.note("TriggerLite")
}

func (b changedBroker) ResetPositions(context.Context, *mq.PositionReset) ([]mq.QueuePosition, error) {
	return nil, b.c.note("ResetPositions")
}

func (b changedBroker) ClonePositions(context.Context, string, string, string, bool) error {
	return b.c.note("ClonePositions")
}

type changedNames struct {
	mq.NameServerAdmin
	c changed
}

func (n changedNames) DropTopic(context.Context, string, string) error { return n.c.note("DropTopic") }

func (n changedNames) PutKV(context.Context, string, string, string) error { return n.c.note("PutKV") }

func (n changedNames) DeleteKV(context.Context, string, string) error { return n.c.note("DeleteKV") }

func (n changedNames) SetWritable(context.Context, string, bool) (int, error) {
	return 0, n.c.note("SetWritable")
}

func (n changedNames) SetConfig(context.Context, string, string) (string, error) {
	return "", n.c.note("SetConfig")
}

type changedController struct {
	mq.ControllerAdmin
	c changed
}

func (k changedController) Elect(context.Context, string, string, int64) (mq.Elected, error) {
	return mq.Elected{}, k.c.note("Elect")
}

func (k changedController) CleanBroker(context.Context, string, string, string, bool) error {
	return k.c.note("CleanBroker")
}

func (k changedController) SetConfig(context.Context, string, string) (string, error) {
	return "", k.c.note("SetConfig")
}

// adminTable is a cluster on which every command has something to work on.
type adminTable struct {
	*adminCluster
	fill *strings.Replacer
	log  []string // what commands have changed
}

func newAdminTable(t *testing.T) *adminTable {
	t.Helper()
	c := startAdmin(t, nil)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"topics.json": `[{"topicName":"L1","perm":6}]`, "groups.json": `[{"groupName":"LG1"}]`, "empty": "\x00\x00\x00\x00",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addr := c.node.BrokerAddr()
	for _, line := range []string{
		"updateTopic -b @B -t T -r 1 -w 1", "updateTopic -b @B -t T2", "updateSubGroup -b @B -g G", "sendMessage -t T -p body -k K",
		"updateStaticTopic -c DefaultCluster -t Static -qn 2", "resetOffsetByTime -g G -t T -s 0", "updateKvConfig -s ns -k k -v v",
	} {
		c.must(strings.Fields(strings.ReplaceAll(line, "@B", addr))...)
	}
	unique, offset := c.found("T", "K")
	return &adminTable{adminCluster: c, fill: strings.NewReplacer("@B", addr, "@D", dir, "@ID", offset, "@U", unique)}
}

// args are the command line of a command.
func (a *adminTable) args(cmd *admin.Command, more ...string) []string {
	return slices.Concat([]string{cmd.Name}, strings.Fields(a.fill.Replace(adminLines[cmd.Name].line)), more)
}

// watched runs a command on a cluster in which nothing can change.
func (a *adminTable) watched(in string, terminal bool, args []string) (code int, out, errs string) {
	var o, e bytes.Buffer
	env := adminEnv(&Env{In: strings.NewReader(in), Out: &o, Err: &e})
	env.Terminal = terminal
	env.Getenv = func(string) string { return a.node.NamesrvAddr() }
	connect := env.Connect
	env.Connect = func(to *admin.Target) (mq.Cluster, error) {
		c, err := connect(to)
		return changed{c, &a.log}, err
	}
	a.log = nil
	code = admin.Run(a.t.Context(), env, args)
	return code, o.String(), e.String()
}

// TestAdminTable holds for every command what the package comment of internal/admin promises.
func TestAdminTable(t *testing.T) {
	t.Parallel()
	a := newAdminTable(t)
	all := admin.All()
	if len(all) != len(adminLines) {
		t.Errorf("%d commands, %d lines in this test", len(all), len(adminLines))
	}
	for i := range all {
		cmd := &all[i]
		t.Run(cmd.Name, func(t *testing.T) {
			want, ok := adminLines[cmd.Name]
			if !ok {
				t.Fatal("this command is not tested")
			}
			a.usage(t, cmd)
			a.unreachable(t, cmd)
			more := []string{}
			if cmd.Changes || cmd.Destroys {
				a.dryRun(t, cmd, want.code)
				more = append(more, "--dry-run")
			}
			if cmd.Destroys {
				a.asks(t, cmd)
			}
			for _, format := range []string{"table", "wide", "json", "yaml"} {
				code, out, errs := a.watched("", false, a.args(cmd, append(more, "--output", format)...))
				if want.code >= 0 && code != want.code {
					t.Errorf("as %s: exit code %d, want %d\n%s%s", format, code, want.code, out, errs)
				}
				if format == "json" && code == 0 && !isJSON(out) {
					t.Errorf("no JSON:\n%s", out)
				}
				if code != 0 && errs == "" {
					t.Errorf("as %s: exit code %d, and no reason", format, code)
				}
			}
		})
	}
}

// isJSON reports whether s is one document, or one a line.
func isJSON(s string) bool {
	d := json.NewDecoder(strings.NewReader(s))
	for d.More() {
		var v any
		if d.Decode(&v) != nil {
			return false
		}
	}
	return true
}

// usage: help, and a wrong flag gets a suggestion and code 2.
func (a *adminTable) usage(t *testing.T, cmd *admin.Command) {
	t.Helper()
	code, out, _ := a.watched("", false, []string{cmd.Name, "-h"})
	if code != 0 || !strings.HasPrefix(out, cmd.About+"\n\nUsage:\n") || !strings.Contains(out, "--output") || !strings.Contains(out, "--watch") {
		t.Errorf("help: code %d\n%s", code, out)
	}
	code, _, errs := a.watched("", false, []string{cmd.Name, "--namesrvAdr", "x"})
	if code != 2 || !strings.Contains(errs, "did you mean --namesrvAddr?") || !strings.Contains(errs, "see cometmq admin "+cmd.Name+" -h") {
		t.Errorf("a wrong flag: code %d\n%s", code, errs)
	}
	for _, f := range cmd.Flags {
		if f.Needed && len(cmd.Flags) > 0 {
			if code, _, errs := a.watched("", false, []string{cmd.Name}); code != 2 || !strings.Contains(errs, " is needed") {
				t.Errorf("without its flags: code %d\n%s", code, errs)
			}
		}
	}
}

// unreachable: which address, which step, after how long, and code 1.
func (a *adminTable) unreachable(t *testing.T, cmd *admin.Command) {
	t.Helper()
	if cmd.Local || adminLines[cmd.Name].code < 0 {
		return
	}
	args := a.args(cmd, "--namesrvAddr", "127.0.0.1:1", "--timeout", "20s")
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], a.node.BrokerAddr(), "127.0.0.1:1")
	}
	code, out, errs := a.run("", false, args...)
	if code != 1 || !strings.Contains(errs, " at 127.0.0.1:1 failed after ") {
		t.Errorf("unreachable: code %d\n%s%s", code, out, errs)
	}
}

// dryRun: it says what it would do and does nothing.
func (a *adminTable) dryRun(t *testing.T, cmd *admin.Command, want int) {
	t.Helper()
	code, out, errs := a.watched("", true, a.args(cmd, "--dry-run"))
	if code != want || a.log != nil || want == 0 && !strings.Contains(out, "would ") {
		t.Errorf("dry run: code %d, changed %v\n%s%s", code, a.log, out, errs)
	}
}

// asks: a person who does not say yes changes nothing.
func (a *adminTable) asks(t *testing.T, cmd *admin.Command) {
	t.Helper()
	code, out, errs := a.watched("no\n", true, a.args(cmd))
	if code != 1 || a.log != nil || !strings.Contains(errs, "are you sure?") || !strings.Contains(errs, "nothing was changed") {
		t.Errorf("no: code %d, changed %v\n%s%s", code, a.log, out, errs)
	}
	if _, _, errs := a.watched("", true, a.args(cmd, "--yes")); strings.Contains(errs, "are you sure?") {
		t.Errorf("--yes and it asks: %s", errs)
	}
}

// TestAdminCompletesNames: what the cluster has, kept for the next key; nothing and no error when it cannot be reached.
func TestAdminCompletesNames(t *testing.T) {
	c := startAdmin(t, nil)
	addr, ns := c.node.BrokerAddr(), c.node.NamesrvAddr()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("NAMESRV_ADDR", ns)
	c.must("updateTopic", "-b", addr, "-t", "Lively")
	c.must("updateSubGroup", "-b", addr, "-g", "LivelyGroup")
	complete := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := Run(t.Context(), Env{In: strings.NewReader(""), Out: &out, Err: io.Discard}, append([]string{"__complete", "admin"}, args...)); code != 0 {
			t.Fatalf("%v: exit code %d", args, code)
		}
		return out.String()
	}
	for _, step := range []struct {
		want string
		args []string
	}{
		{"Lively\n", []string{"topicStatus", "-t", "Liv"}},
		{"LivelyGroup\n", []string{"lag", "--group", "Li"}},
		{"broker-a\n", []string{"wipeWritePerm", "-b", ""}},
		{addr + "\tbroker-a\n", []string{"brokerStatus", "-b", ""}},
		{"DefaultCluster\n", []string{"haStatus", "-c", ""}},
		{"--topic=Lively\n", []string{"topicStatus", "--topic=Li"}},
	} {
		c.until(fmt.Sprintf("%v offers %q", step.args, step.want), func() bool { // a cluster that is slow is not waited for
			return strings.HasPrefix(complete(step.args...), step.want)
		})
	}
	c.until("the names are kept", func() bool { // for some seconds
		complete("topicStatus", "-t", "Liv")
		return recallNames(ns) != nil
	})
	if out := complete("topicStatus", "-n", "127.0.0.1:1", "-t", "L"); !strings.HasPrefix(out, ":4\n") {
		t.Errorf("unreachable: %q", out)
	}
}

// TestAdminPartialFailureOfBrokers: one broker of two is gone. What the other one says and does is there, the error names the one that is
// gone, and the exit code tells.
func TestAdminPartialFailureOfBrokers(t *testing.T) {
	t.Parallel()
	c := startAdmin(t, nil)
	const gone = "127.0.0.1:1"
	addr := c.node.BrokerAddr()
	c.must("updateTopic", "-b", addr, "-t", "T")
	client := remoting.NewClient(remoting.ClientOptions{})
	defer client.Close()
	reg := membership.New(membership.Options{
		NameServers: []string{c.node.NamesrvAddr()}, Client: client, Cluster: "DefaultCluster", Name: "broker-gone", Addr: gone, HAAddr: gone, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Topics: func() ([]mq.TopicConfig, mq.DataVersion) {
			return []mq.TopicConfig{{Name: "T", ReadQueues: 1, WriteQueues: 1, Perm: 6}, {Name: "Gone", ReadQueues: 1, WriteQueues: 1, Perm: 6}}, mq.DataVersion{Counter: 1}
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- reg.Run(ctx) }()
	defer func() { cancel(); <-done }()
	select {
	case <-reg.Tried():
	case <-time.After(time.Minute):
		t.Fatal("the broker that is gone was not registered")
	}
	dir := t.TempDir()
	for _, line := range []string{
		"clusterList", "brokerStatus -c DefaultCluster", "getBrokerConfig -c DefaultCluster", "haStatus -c DefaultCluster", "topicStatus -t T", "statsAll -t T",
		"getColdDataFlowCtrInfo -c DefaultCluster", "exportConfigs -c DefaultCluster -f " + dir, "exportMetrics -c DefaultCluster -f " + dir, "doctor",
		"checkRocksdbCqWriteProgress -c DefaultCluster", "exportPopRecord -c DefaultCluster", "rocksDBConfigToJson -c DefaultCluster",
		"updateTopic -c DefaultCluster -t T3", "updateSubGroup -c DefaultCluster -g G3", "updateBrokerConfig -c DefaultCluster -k maxMessageSize -v 4194304",
		"setConsumeMode -c DefaultCluster -t T -g G -m POP", "deleteSubGroup -c DefaultCluster -g G3", "cleanExpiredCQ -c DefaultCluster",
		"cleanUnusedTopic -c DefaultCluster", "deleteExpiredCommitLog -c DefaultCluster", "setCommitLogReadAheadMode -c DefaultCluster -m 0",
		"switchTimerEngine -c DefaultCluster -e F", "updateColdDataFlowCtrGroupConfig -c DefaultCluster -g G -v 1", "resetOffsetByTime -g G -t T -s 0",
	} {
		code, out, errs := c.run("", false, strings.Fields(line)...)
		if code != 1 || !strings.Contains(out+errs, gone) || len(strings.TrimSpace(out)) == 0 {
			t.Errorf("%s: code %d\n%s%s", line, code, out, errs)
		}
	}
}
