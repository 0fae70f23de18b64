//go:build peer

package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// javaAdmin runs command lines with Java's mqadmin in one JVM and returns what each printed.
func javaAdmin(t *testing.T, ns string, lines []string) map[string]string {
	t.Helper()
	home := t.TempDir()
	line := ownJVM(t, java55, []string{"-Xmx256m", "-Duser.home=" + home, "-Djava.io.tmpdir=" + home, "-Drocketmq.client.logRoot=" + home})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, line[0], append(line[1:], "Run", "AdminBatch", ns)...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("mqadmin: %v\n%s", err, out)
	}
	said := map[string]string{}
	for part := range strings.SplitSeq("\n"+string(out), "\n=== ") {
		line, text, _ := strings.Cut(part, "\n")
		said[line] = text
	}
	return said
}

func ourAdmin(t *testing.T, ns, line string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, target.Binary(t), append([]string{"admin"}, strings.Fields(line)...)...)
	cmd.Env = append(cmd.Environ(), "NAMESRV_ADDR="+ns)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // what is printed tells
	return out.String()
}

var (
	adminError   = regexp.MustCompile(`CODE: \d+ +DESC: [^\n]*`)
	adminVarying = []struct {
		find *regexp.Regexp
		put  string
	}{
		{mqadminNoise, ""},
		{regexp.MustCompile(`(?m)^.*%RETRY%TOOLS_CONSUMER.*\n`), ""}, // mqadmin itself makes it when it pulls
		{regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d+)?`), "TIME"},
		{regexp.MustCompile(`\b\d{13}\b`), "MS"},
		{regexp.MustCompile(`\b[0-9A-F]{32,56}\b`), "ID"},
		{regexp.MustCompile(`(?m)\s+$`), "\n"},
		{regexp.MustCompile(`(bornHost=/|Born Host: +)[0-9.:]+`), "${1}HOST"},
		{regexp.MustCompile(`MS(@\w+@K@\w+@)\w+@\d+`), "MS${1}ID@N"},
		{regexp.MustCompile(`storeSize=\d+`), "storeSize=N"},
		{regexp.MustCompile(`CommitLog Offset: +\d+`), "CommitLog Offset: N"},
		{regexp.MustCompile(`commitLogOffset=\d+`), "commitLogOffset=N"},
		{regexp.MustCompile(`physicOffset=\d+, physicSize=\d+`), "physicOffset=N, physicSize=N"},
		{regexp.MustCompile(`#MasterCommitLogMaxOffset\t\d+`), "#MasterCommitLogMaxOffset\tN"},
		// Java's client adds these two to what it pulls, after it came.
		{regexp.MustCompile(`(MIN|MAX)_OFFSET=\d+(, )?`), ""},
		// Of clusterList: rates, age of the log, how full the disk is.
		{regexp.MustCompile(`\d+\.\d+(\(|w|,|\)| +)`), "F${1}"},
		{regexp.MustCompile(`\d+\.\d+( |\n)`), "F${1}"},
	}
	adminProps = regexp.MustCompile(`\{[^{}\n]*=[^{}\n]*\}`)
)

// adminNormal takes away what differs from run to run: times, ids, the order of hash tables. Of an error the code and the text stay.
func adminNormal(s string, sorted bool) string {
	if e := adminError.FindString(s); e != "" {
		e, _, _ = strings.Cut(e, " BROKER: ")
		return strings.TrimSpace(e)
	}
	for _, v := range adminVarying {
		s = v.find.ReplaceAllString(s, v.put)
	}
	s = adminProps.ReplaceAllStringFunc(s, func(m string) string {
		list := strings.Split(strings.TrimRight(strings.Trim(m, "{}"), ", "), ", ")
		slices.Sort(list)
		return "{" + strings.Join(list, ", ") + "}"
	})
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if sorted {
		slices.Sort(lines)
	}
	return strings.Join(lines, "\n")
}

// adminCase is a command that reads. Sorted: Java prints the order of a hash table.
type adminCase struct {
	line   string
	sorted bool
}

// TestAdminPrintsWhatMQAdminPrints: the unmodified tool and cometmq admin ask the same cluster, of ours and in the long variant of
// Java. What they print is the same but for what differs from run to run.
func TestAdminPrintsWhatMQAdminPrints(t *testing.T) {
	t.Parallel()
	for i, kind := range []target.Kind{target.Ours, target.Java} {
		t.Run(string(kind), func(t *testing.T) {
			variant(t, i)
			covers(t, java55, "cometmq admin prints what mqadmin 5.5.0 prints, against brokers of either kind")
			c := newCluster(t, target.Options{Kind: kind, Heap: "512m", Conf: map[string]string{"mappedFileSizeCommitLog": "16777216"}})
			broker := c.Addrs[0]
			// Made by our commands: what they make is what Java's tool then shows.
			for _, line := range []string{
				"updateTopic -b " + broker + " -t AdminT1 -r 2 -w 2", "updateTopic -c DefaultCluster -t AdminT2 -o true", "updateSubGroup -c DefaultCluster -g AdminG1 -r 3",
				"sendMessage -t AdminT1 -p hello -k K1 -c TagA -i 0", "sendMessage -t AdminT1 -p world -i 1",
				"sendMessage -t AdminT2 -p alone -k K2 -c TagB -i 0", "resetOffsetByTime -g AdminG1 -t AdminT1 -s now",
			} {
				if out := ourAdmin(t, c.NS, line); strings.Contains(out, "CODE") || strings.Contains(out, "failed") {
					t.Fatalf("%s: %s", line, out)
				}
			}
			cases := []adminCase{
				{"clusterList", false},
				{"topicRoute -t AdminT1", false},
				{"topicRoute -t AdminT1 -l", false},
				{"topicRoute -t AdminNope", false},
				{"topicStatus -t AdminT1", false},
				{"topicList", true},
				{"getConsumerConfig -g AdminG1", false},
				{"consumerConnection -g AdminG1 -b " + broker, false},
				{"queryMsgByOffset -t AdminT2 -b broker-a -i 0 -o 0", false},
				{"printMsgByQueue -t AdminT1 -a broker-a -i 0 -p true -d true", false},
				{"queryCq -t AdminT1 -q 0 -i 0", false},
				{"haStatus -b " + broker, false},
				{"getNamesrvConfig", true},
				{"updateColdDataFlowCtrGroupConfig -b " + broker + " -g AdminG1 -v 1000", false},
				{"getColdDataFlowCtrInfo -b " + broker, true},
				{"setCommitLogReadAheadMode -b " + broker + " -m 0", false},
				{"exportMetadata -c DefaultCluster -f @D", false},
				{"exportConfigs -c DefaultCluster -f @D", false},
				{"exportMetrics -c DefaultCluster -f @D", false},
				{"getBrokerLiteInfo -b " + broker, false},
			}
			if *everyVariant {
				cases = append(cases, []adminCase{
					{"updateOrderConf -t AdminT2 -m get", false},
					{"topicList -c", true},
					{"topicClusterList -t AdminT1", false},
					{"getBrokerConfig -b " + broker, true},
					{"brokerConsumeStats -b " + broker, true},
					{"consumerProgress -g AdminNope", false},
					{"queryMsgByKey -t AdminT1 -k K1", false},
					{"wipeWritePerm -b nobroker", false},
					{"updateTopicPerm -t AdminT1 -c DefaultCluster -p 6", false},
					{"producerConnection -g P1 -t AdminT1", false},
					{"updateKvConfig -s ns1 -k k1 -v v1", false},
					{"deleteKvConfig -s ns1 -k k1", false},
					{"skipAccumulatedMessage -g AdminG1 -t AdminT1", true},
					{"switchTimerEngine -b " + broker + " -e F", false},
					{"exportMetadata -b " + broker + " -t -f @D", false},
					{"exportMetadata -b " + broker + " -g -f @D", false},
					{"addBroker -c " + broker + " -b /nothing", false},
					{"removeColdDataFlowCtrGroupConfig -c DefaultCluster -g AdminG1", false},
					{"getColdDataFlowCtrInfo -c DefaultCluster", true},
					{"switchTimerEngine -b " + broker + " -e R", false},
					{"checkRocksdbCqWriteProgress -c DefaultCluster -n " + c.NS, false},
					{"rocksDBConfigToJson -b " + broker, false},
					{"removeBroker -c " + broker + " -b DefaultCluster:broker-a:1", false},
				}...)
			}
			theirs, ours := t.TempDir(), t.TempDir()
			var lines []string
			for _, k := range cases {
				lines = append(lines, strings.ReplaceAll(k.line, "@D", theirs))
			}
			said := javaAdmin(t, c.NS, lines)
			for i, k := range cases {
				want, ok := said[lines[i]]
				if !ok {
					t.Errorf("mqadmin said nothing about %s", k.line)
					continue
				}
				got := ourAdmin(t, c.NS, strings.ReplaceAll(k.line, "@D", ours))
				want, got = strings.ReplaceAll(want, theirs, "DIR"), strings.ReplaceAll(got, ours, "DIR")
				if strings.HasPrefix(k.line, "queryMsgByOffset") { // where the body is printed differs by design
					body := regexp.MustCompile(`(?m)^Message Body.*$`)
					want, got = body.ReplaceAllString(want, "BODY"), body.ReplaceAllString(got, "BODY")
				}
				if d := cmp.Diff(adminNormal(want, k.sorted), adminNormal(got, k.sorted)); d != "" {
					t.Errorf("%s: -mqadmin +cometmq admin\n%s", k.line, d)
				}
			}
			files := []string{"metadata.json", "configs.json", "metrics.json"}
			if *everyVariant {
				files = append(files, "topic.json", "subscriptionGroup.json")
			}
			for _, name := range files {
				if d := cmp.Diff(exported(t, theirs, name), exported(t, ours, name)); d != "" {
					t.Errorf("%s: -mqadmin +cometmq admin\n%s", name, d)
				}
			}
		})
	}
}

// exported is a file of an export, without what differs from run to run: times, versions of tables, and of the load all numbers.
func exported(t *testing.T, dir, name string) any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, data)
	}
	delete(v, "exportTime")
	delete(v, "dataVersion")
	delete(v, "forbiddenTable")
	if name == "metrics.json" {
		return shape(v)
	}
	return v
}

// shape is what a value is made of: keys and kinds.
func shape(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("%T", v)
	}
	out := map[string]any{}
	for k, e := range m {
		out[k] = shape(e)
	}
	return out
}
