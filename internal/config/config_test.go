package config

import (
	"errors"
	"flag"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("update", false, "rewrite testdata/keys.md")

func testHost() *Host { return &Host{Name: "host-1", IP: "10.1.2.3", Home: "/home/mq"} }

func loadText(t *testing.T, text string) (*Broker, []Notice, error) {
	t.Helper()
	return LoadBroker(Sources{
		File: "broker.conf", Host: testHost(),
		ReadFile: func(string) ([]byte, error) { return []byte(text), nil },
	})
}

func TestDefaultsAreJavas(t *testing.T) {
	t.Parallel()
	b, notices, err := LoadBroker(Sources{Host: testHost()})
	if err != nil || len(notices) != 0 {
		t.Fatal(err, notices)
	}
	n, _, err := LoadNamesrv(Sources{Host: testHost()})
	if err != nil {
		t.Fatal(err)
	}
	differ := map[string]string{ // what BrokerStartup sets, what depends on the machine, what Java fills in later
		"listenPort": "10911", "haListenPort": "10912", "brokerName": "host-1", "brokerIP1": "10.1.2.3", "brokerIP2": "10.1.2.3",
		"storePathRootDir": "/home/mq/store", "storePathCommitLog": "/home/mq/store/commitlog",
		"storePathBrokerIdentity": "/home/mq/store/brokerIdentity", "storePathEpochFile": "/home/mq/store/epochFileCheckpoint",
		"authConfigPath":                  "/home/mq/store/auth",
		"maxTransferBytesOnMessageInDisk": "262144", "maxTransferCountOnMessageInDisk": "32", // Differs from Java: see docs/differences.md
		"metricsExporterType": "PROM", // likewise
	}
	props := b.Properties()
	nprops := n.Properties()
	differN := map[string]string{
		"listenPort": "9876", "kvConfigPath": "/home/mq/namesrv/kvConfig.json", "configStorePath": "/home/mq/namesrv/namesrv.properties",
	}
	for _, j := range javaKeys() {
		check := func(props, differ map[string]string, kind Kind) {
			got, ok := props[j.key]
			if !ok || !slices.Contains(kind.classes(), j.class) || j.class == "ControllerConfig" || j.class == "NettyClientConfig" {
				return
			}
			want, ok := differ[j.key]
			if !ok {
				want = j.def
			}
			if got != want {
				t.Errorf("%s of a %s: default %q, Java has %q", j.key, kind, got, want)
			}
		}
		check(props, differ, KindBroker)
		check(nprops, differN, KindNamesrv)
	}
}

func TestEveryKeyOfJavaIsDecidedOnce(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	for _, f := range fieldsOf(reflect.TypeFor[Broker]()) {
		keys["broker "+f.key] = true
	}
	for _, f := range fieldsOf(reflect.TypeFor[Namesrv]()) {
		keys["name server "+f.key] = true
	}
	for _, f := range fieldsOf(reflect.TypeFor[Controller]()) {
		keys["controller "+f.key] = true
	}
	all := decisions()
	java := map[string]bool{}
	classes := map[string][]Kind{
		"BrokerConfig": {KindBroker}, "MessageStoreConfig": {KindBroker}, "AuthConfig": {KindBroker},
		"NettyServerConfig": {KindBroker, KindNamesrv, KindController}, "NettyClientConfig": {KindBroker},
		"NamesrvConfig": {KindNamesrv}, "ControllerConfig": {KindController}, "JraftConfig": {KindController},
	}
	count := 0
	for _, j := range javaKeys() {
		count++
		java[j.key], java[j.class+"."+j.key] = true, true
		for _, k := range classes[j.class] {
			implemented := keys[k.String()+" "+j.key]
			_, fated := all[j.key]
			_, fatedHere := all[j.class+"."+j.key]
			switch {
			case !implemented && !fated && !fatedHere:
				t.Errorf("%s.%s is not decided", j.class, j.key)
			case implemented && (fated || fatedHere):
				t.Errorf("%s.%s is implemented and in the table of those that are not", j.class, j.key)
			}
		}
	}
	if count < 570 {
		t.Errorf("only %d keys of Java", count)
	}
	seen := map[string]bool{}
	for _, g := range fates {
		for k := range strings.FieldsSeq(g.keys) {
			if seen[k] {
				t.Errorf("%s is decided twice", k)
			}
			seen[k] = true
			if !java[k] {
				t.Errorf("%s is no key of Java", k)
			}
		}
	}
}

func TestOfficialLookingFiles(t *testing.T) {
	t.Parallel()
	b, notices, err := LoadBroker(Sources{File: "testdata/broker-2m-noslave.conf", Host: testHost()})
	if err != nil || len(notices) != 0 {
		t.Fatal(err, notices)
	}
	if b.Identity.Name != "broker-a" || b.Store.Reserved != 48*time.Hour || b.Store.DeleteWhen != "04" {
		t.Errorf("%+v", b)
	}

	b, notices, err = LoadBroker(Sources{File: "testdata/broker-full.conf", Host: testHost()})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Routes.NameServers; !slices.Equal(got, []string{"rocketmq-nameserver1:9876", "rocketmq-nameserver2:9876"}) {
		t.Errorf("name servers %q", got)
	}
	if b.Store.FlushDisk != FlushSync || b.Identity.Role != RoleSyncMaster || b.Topics.TraceTopic != "${notExpanded}" || b.Listen.HAPort != 10812 {
		t.Errorf("%+v", b)
	}
	want := []string{
		"inSyncReplicas: a SYNC_MASTER with inSyncReplicas = 1 waits for no slave",
		"checkTransactionMessageEnable: unknown key, it is ignored",
		"sendMessageThreadPoolNums: has no effect",
		"storePathConsumeQueue: unknown key, it is ignored; did you mean mappedFileSizeConsumeQueue?",
	}
	var got []string
	for _, n := range notices {
		if n.Key != "sendMessageThreadPoolNums" { // its default depends on the machine
			got = append(got, n.Key+": "+n.Text)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	want = slices.DeleteFunc(want, func(s string) bool { return strings.HasPrefix(s, "sendMessage") })
	if len(got) != len(want) {
		t.Fatalf("notices %q", got)
	}
	for i := range want {
		prefix, _, _ := strings.Cut(want[i], ";")
		if !strings.HasPrefix(got[i], prefix) {
			t.Errorf("notice %q, want %q", got[i], want[i])
		}
	}

	n, notices, err := LoadNamesrv(Sources{File: "testdata/namesrv.conf", Host: testHost()})
	if err != nil || len(notices) != 1 || n.Port != 9870 || !n.OrderConf || n.KVPath != "/data/namesrv/kvConfig.json" {
		t.Errorf("%+v %v %v", n, notices, err)
	}
}

func TestOrderOfSources(t *testing.T) {
	t.Parallel()
	s := Sources{
		File: "f", Host: testHost(),
		ReadFile: func(string) ([]byte, error) {
			return []byte("listenPort=1\nbrokerName=file\nregionId=file\nbrokerClusterName=file\n"), nil
		},
		Env:   []string{"COMETMQ_LISTEN_PORT=2", "COMETMQ_BROKER_NAME=env", "COMETMQ_REGION_ID=env", "COMETMQ_LISTEN_POTR=9", "COMETMQ_SOMETHING_ELSE_OF_OTHERS=1", "COMETMQ_NAMESRV_LISTEN_PORT=4", "PATH=x"},
		Flags: map[string]string{"listenPort": "3", "brokerName": "flag"},
	}
	b, notices, err := LoadBroker(s)
	if err != nil {
		t.Fatal(err)
	}
	if b.Listen.Port != 3 || b.Identity.Name != "flag" || b.Identity.Region != "env" || b.Identity.Cluster != "file" {
		t.Errorf("%+v %+v", b.Identity, b.Listen)
	}
	if len(notices) != 1 || !strings.Contains(notices[0].Text, "did you mean COMETMQ_LISTEN_PORT?") {
		t.Errorf("%v", notices)
	}
	s.EnvPrefix = "OTHER_"
	if b, _, err = LoadBroker(s); err != nil || b.Identity.Region != "file" {
		t.Errorf("with another prefix: %+v %v", b, err)
	}
}

func TestWrongValuesNameKeyValueAndWhatIsAllowed(t *testing.T) {
	t.Parallel()
	f := func(line, want string) {
		t.Helper()
		_, _, err := loadText(t, line)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	f("listenPort=abc", `broker.conf: listenPort = "abc" is not allowed: a whole number from 0 to 65535`)
	f("listenPort=70000", `listenPort = "70000" is not allowed`)
	f("autoCreateTopicEnable=yes", `autoCreateTopicEnable = "yes" is not allowed: true or false`)
	f("flushDiskType=SYNC", `flushDiskType = "SYNC" is not allowed: one of ASYNC_FLUSH, SYNC_FLUSH`)
	f("fileReservedTime=2d", `fileReservedTime = "2d" is not allowed: a whole number of hours from 1`)
	f("flushIntervalCommitLog=99999999999999999999", "milliseconds")
	f("namesrvAddr=10.0.0.1", `namesrvAddr = "10.0.0.1" is not allowed: name servers as host:port`)
	f("namesrvAddr=a:1;b:0", `"b:0"`)
	f("deleteWhen=24", "hours from 00 to 23")
	f("brokerName=a b", "no spaces")
	f("brokerName=", "must not be empty")
	f("brokerRole=SLAVE", "must be > 0")
	f("totalReplicas=2\ninSyncReplicas=3", "at most totalReplicas = 2")
	f("totalReplicas=2\nminInSyncReplicas=3", `minInSyncReplicas = "3" is not allowed: at most totalReplicas = 2`)
	f("totalReplicas=1\nminInSyncReplicas=2", "at most totalReplicas = 1")
	f("haMasterAddress=here", "host:port")
	f("enableControllerMode=true", `controllerAddr = "" is not allowed: it must not be empty with enableControllerMode = true`)
	f("controllerAddr=a:1;b", `controllerAddr = "b" is not allowed: controllers as host:port`)
	f("enableControllerMode=true\ncontrollerAddr=a:1;b:1\nfetchControllerAddrByDnsLookup=true", "one name with a port")
	f("enableControllerMode=true\ncontrollerAddr=a:1\ncontrollerHeartBeatTimeoutMills=2999", `controllerHeartBeatTimeoutMills = "2999" is not allowed: at least 3000`)
	f("enableControllerMode=true\ncontrollerAddr=a:1\ntotalReplicas=1\nasyncLearner=true", "a learner is never elected")
	f("enableDLegerCommitLog=true", `enableDLegerCommitLog = "true" is not allowed: refused, a DLedger`)
	f("storeType=defaultRocksDB", "refused, RocksDB")
	f("storePathCommitLog=/a,/b", "several folders")
	f("aclEnable=true", "refused, ACL 1.0 ended")
	f("authenticationWhitelist=105,all", "numbers of request codes")
	f("initAuthenticationUser=admin:secret", `initAuthenticationUser = "******" is not allowed: {"username":`)
	f(`innerClientAuthenticationCredentials={"accessKey":"a"}`, `innerClientAuthenticationCredentials = "******"`)
	f("metricsExporterType=OTLP_GRPC", `metricsGrpcExporterTarget = "" is not allowed: the collector's http://host:port`)
	f("metricsExporterType=4", "one of DISABLE, OTLP_GRPC, PROM, LOG")
	f("a\\u00zz=1", "broker.conf")

	_, _, err := loadText(t, "listenPort=x\nflushDiskType=y\n")
	var ve *ValueError
	if !errors.As(err, &ve) || strings.Count(err.Error(), "is not allowed") != 2 {
		t.Errorf("two wrong values: %v", err)
	}
	_, _, err = LoadBroker(Sources{File: filepath.Join(t.TempDir(), "none"), Host: testHost()})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	_, _, err = LoadBroker(Sources{Host: testHost(), Flags: map[string]string{"listenPort": "-1"}})
	if err == nil || !strings.HasPrefix(err.Error(), "flag: listenPort") {
		t.Errorf("flag: %v", err)
	}
}

func TestWhatJavaCorrectsIsCorrectedWithANotice(t *testing.T) {
	t.Parallel()
	b, notices, err := loadText(t, `
registerNameServerPeriod=1000
diskMaxUsedSpaceRatio=5
diskSpaceWarningLevelRatio=99
mappedFileSizeConsumeQueue=1001
brokerId=3
brokerFastFailureEnable=true
aclEnable=false
tfaMetricsEnable=1
fileReservedTim=3
supportActingMaster=true
`)
	if err != nil {
		t.Fatal(err)
	}
	if b.Routes.Period != 10*time.Second || b.Store.DiskMaxUsed != 10 || b.Store.Warning != 90 || b.Store.QueueFileSize != 1020 || b.Identity.ID != 0 {
		t.Errorf("%+v", b)
	}
	var keys []string
	for _, n := range notices {
		keys = append(keys, n.Key)
		if n.Level != slog.LevelWarn {
			t.Errorf("%v is not a warning", n)
		}
	}
	slices.Sort(keys)
	want := []string{"brokerId", "diskMaxUsedSpaceRatio", "diskSpaceWarningLevelRatio", "fileReservedTim", "mappedFileSizeConsumeQueue", "registerNameServerPeriod", "supportActingMaster", "tfaMetricsEnable"}
	if !slices.Equal(keys, want) {
		t.Errorf("notices for %v, want %v", keys, want)
	}
	for _, n := range notices {
		switch n.Key {
		case "fileReservedTim":
			if !strings.HasSuffix(n.Text, "did you mean fileReservedTime?") {
				t.Error(n)
			}
		case "supportActingMaster":
			if !strings.Contains(n.Text, "not a key of a broker") {
				t.Error(n)
			}
		case "registerNameServerPeriod":
			if n.Text != "1000 is outside of 10000 to 60000, 10000 is used" {
				t.Error(n)
			}
		}
	}
}

func TestFormatIsReadBackAlike(t *testing.T) {
	t.Parallel()
	b, _, err := LoadBroker(Sources{File: "testdata/broker-full.conf", Host: testHost()})
	if err != nil {
		t.Fatal(err)
	}
	want := b.Properties()
	want["odd key:="] = " leading\\ \t\nümläut 𝄞"
	text := Format(want)
	got, err := ParseProperties([]byte(text))
	want["odd key:="] = strings.TrimSpace(want["odd key:="])
	if err != nil || !maps.Equal(got, want) {
		for k := range want {
			if got[k] != want[k] {
				t.Errorf("%s: %q, want %q", k, got[k], want[k])
			}
		}
		t.Fatalf("%v\n%s", err, text)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if !slices.IsSorted(lines) {
		t.Error("not sorted")
	}
}

func TestEnvName(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"listenPort": "LISTEN_PORT", "brokerIP1": "BROKER_IP1", "useTLS": "USE_TLS", "tls.server.keyPath": "TLS_SERVER_KEY_PATH", "enableDLegerCommitLog": "ENABLE_D_LEGER_COMMIT_LOG",
		"checkCRCOnRecover": "CHECK_CRC_ON_RECOVER", "namesrvAddr": "NAMESRV_ADDR",
	} {
		if got := EnvName(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	seen := map[string]string{}
	for _, k := range allKeys() {
		if other, ok := seen[EnvName(k)]; ok {
			t.Errorf("%s and %s have one variable", k, other)
		}
		seen[EnvName(k)] = k
	}
}

func TestFirstAddress(t *testing.T) {
	t.Parallel()
	addrs := func(list ...string) (out []net.Addr) {
		for _, s := range list {
			ip, n, err := net.ParseCIDR(s)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		return out
	}
	for _, c := range []struct {
		in   []net.Addr
		want string
	}{
		{addrs("127.0.0.1/8", "fe80::1/64", "2001:db8::1/64", "10.0.0.5/24", "10.0.0.6/24"), "10.0.0.5"},
		{addrs("127.0.0.1/8", "2001:db8::1/64"), "2001:db8::1"},
		{nil, ""},
	} {
		if got, _ := firstAddr(c.in); got != c.want {
			t.Errorf("%v: %q, want %q", c.in, got, c.want)
		}
	}
	h := ThisHost([]string{"NAMESRV_ADDR=a:1;b:2", "ROCKETMQ_HOME=/opt/mq"})
	if h.Name == "" || h.IP == "" || len(h.NameServers) != 2 || h.RocketMQHome != "/opt/mq" {
		t.Errorf("%+v", h)
	}
}

func TestMarkdownIsUpToDate(t *testing.T) {
	t.Parallel()
	got := Markdown()
	const file = "testdata/keys.md"
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%s is old (go test -update writes it): %v", file, err)
	}
}

func FuzzLoad(f *testing.F) {
	for _, name := range []string{"testdata/broker-full.conf", "testdata/namesrv.conf"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a\\u12"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, _, err := LoadBroker(Sources{File: "f", Host: testHost(), ReadFile: func(string) ([]byte, error) { return data, nil }})
		if err != nil {
			return
		}
		// What was accepted is accepted again, with the same meaning.
		again, _, err := LoadBroker(Sources{File: "f", Host: testHost(), ReadFile: func(string) ([]byte, error) {
			return []byte(Format(b.Properties())), nil
		}})
		if again != nil {
			again.Set = b.Set // more of it is written down than was read
		}
		if err != nil || !reflect.DeepEqual(b, again) {
			t.Fatalf("%v\n%s\n%s", err, Format(b.Properties()), Format(again.Properties()))
		}
	})
}

func TestControllerModeSaysWhatIsNotPromised(t *testing.T) {
	t.Parallel()
	const on = "enableControllerMode=true\ncontrollerAddr=a:1;b:1;c:1\n"
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"asyncLearner=true", "asyncLearner: it has no effect without enableControllerMode"},
		{on, "allAckInSyncStateSet: a send is answered as soon as the master has the message"},
		{on + "inSyncReplicas=2", "allAckInSyncStateSet: a send is answered when 2 brokers have the message"},
		{on + "allAckInSyncStateSet=true", "minInSyncReplicas: when all others are gone the master goes on alone"},
		{on + "allAckInSyncStateSet=true\nminInSyncReplicas=2", ""},
		{on + "allAckInSyncStateSet=true\nminInSyncReplicas=2\nbrokerId=0\nhaMasterAddress=a:1", "brokerId: it is not used, haMasterAddress: it is not used"},
		{on + "allAckInSyncStateSet=true\nminInSyncReplicas=2\nbrokerId=-1\nbrokerRole=SLAVE", ""},
	} {
		b, notices, err := loadText(t, tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if b.Control.On && (len(b.Control.Addrs) != 3 || b.Identity.ID != 0 || b.Identity.Role != RoleAsyncMaster) {
			t.Errorf("%s: %+v", tt.text, b)
		}
		var want []string
		if tt.want != "" {
			want = strings.Split(tt.want, ", ")
		}
		if len(notices) != len(want) {
			t.Errorf("%s: notices %v, want %q", tt.text, notices, want)
			continue
		}
		for i, n := range notices {
			if !strings.Contains(n.String(), want[i]) {
				t.Errorf("%s: notice %q, want %q", tt.text, n, want[i])
			}
		}
	}
}

func TestPairsOfMetricsThatAreNoneAreLeftOut(t *testing.T) {
	t.Parallel()
	b, notices, err := loadText(t, `
metricsExporterType=1
metricsGrpcExporterTarget=http://c:4317
metricsGrpcExporterHeader=Authorization:Bearer a:b,,grpc-timeout:1,x y:1,te:1,plain
metricsLabel=zone:z1,1a:b,a:b:c
`)
	if err != nil {
		t.Fatal(err)
	}
	m := b.Metrics
	if m.Exporter != MetricsPush || m.ExporterNames() || len(m.Headers) != 1 || m.Headers[0] != [2]string{"authorization", "Bearer a:b"} {
		t.Errorf("%+v", m)
	}
	if len(m.Labels) != 1 || m.Labels[0] != [2]string{"zone", "z1"} {
		t.Errorf("%v", m.Labels)
	}
	left := 0
	for _, n := range notices {
		if strings.Contains(n.Text, "is left out") {
			left++
		}
	}
	if left != 6 {
		t.Errorf("%d notices: %v", left, notices)
	}
}
