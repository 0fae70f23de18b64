package node

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// The hosts of sets: a name server, set a with master and slave, set b with a master.
const (
	hostNS, hostMaster, hostSlave, hostOther = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
)

// sets is a cluster of two sets, in one of which the slave may act as the master.
type sets struct {
	*world
	ns                   *Node
	master, slave, other *Node
	conf                 map[string]string // of all
	c                    *caller
}

func newSets(t *testing.T, conf map[string]string) *sets {
	t.Helper()
	s := &sets{world: newWorld(t), conf: conf}
	s.c = s.caller(t)
	ns, _, err := config.LoadNamesrv(config.Sources{
		Flags: map[string]string{"bindAddress": hostNS, "supportActingMaster": "true", "notifyMinBrokerIdChanged": "true"}, Host: &host,
	})
	must(t, err)
	o := s.options(nil)
	o.Broker, o.Namesrv, o.Dial = nil, ns, s.net.Host(hostNS).Dial
	o.Log = slog.New(slog.NewTextHandler(&s.diary, nil)).With("host", "ns")
	s.ns = s.start(o)
	s.other = s.broker(hostOther, map[string]string{"brokerName": "broker-b", "totalReplicas": "1"})
	s.master = s.broker(hostMaster, nil)
	s.slave = s.broker(hostSlave, map[string]string{"brokerId": "1", "brokerRole": "SLAVE"})
	return s
}

func (s *sets) broker(at string, set map[string]string) *Node {
	s.tb.Helper()
	all := map[string]string{
		"bindAddress": at, "brokerIP1": at, "brokerIP2": at, "storePathRootDir": "/" + at, "enableSlaveActingMaster": "true", "enableRemoteEscape": "true",
		"totalReplicas": "2", "transactionCheckInterval": "5000", "messageDelayLevel": "1s 5s 10s 30s 1m",
	}
	maps.Copy(all, s.conf)
	maps.Copy(all, set)
	o := s.options(all)
	o.Namesrv, o.Dial = nil, s.net.Host(at).Dial
	o.Log = slog.New(slog.NewTextHandler(&s.diary, nil)).With("host", at)
	return s.start(o)
}

// kill ends the master as a dead machine does: nobody hears anything of it any more.
func (s *sets) kill() {
	s.tb.Helper()
	for _, h := range []string{hostNS, hostSlave, hostOther, "127.0.0.9"} {
		s.net.Partition(hostMaster, h)
	}
	_ = s.master.Shutdown(s.tb.Context())
	for _, h := range []string{hostNS, hostSlave, hostOther, "127.0.0.9"} {
		s.net.Cut(hostMaster, h)
		s.net.Heal(hostMaster, h)
	}
}

func (s *sets) back() { s.master = s.broker(hostMaster, nil) }

// put sends a message to the master of set a.
func (s *sets) put(topic string, queue int32, body string, sysFlag int32, props ...string) {
	s.tb.Helper()
	var p record.Props
	for i := 0; i+1 < len(props); i += 2 {
		p = record.AppendProp(p, props[i], props[i+1])
	}
	h := protocol.SendMessageRequestHeaderV2{
		ProducerGroup: "PG", Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: queue, SysFlag: sysFlag,
		BornTimestamp: time.Now().UnixMilli(), Properties: string(p), MaxReconsumeTimes: -1,
	}
	if r := s.c.call(s.master.BrokerAddr(), protocol.ReqSendMessageV2, &h, []byte(body)); r.Code != 0 {
		s.tb.Fatalf("send: %d %s", r.Code, r.Remark)
	}
}

// bodies returns what a broker has in a topic.
func (s *sets) bodies(n *Node, topic string) []string {
	var out []string
	for q := range int32(8) {
		for _, m := range s.c.all(n.BrokerAddr(), topic, q) {
			out = append(out, string(m.Body))
		}
	}
	slices.Sort(out)
	return out
}

// shown returns who serves the consumers of set a, as a client sees it.
func (s *sets) shown(topic string) (addr string, perm int32) {
	r := s.c.call(nsAddr, protocol.ReqGetRouteInfoByTopic, &protocol.GetRouteInfoRequestHeader{Topic: topic}, nil)
	var d protocol.TopicRouteData
	if d.Decode(r.Body) != nil {
		return "", 0
	}
	for _, b := range d.BrokerDatas {
		if b.BrokerName == "broker-a" {
			addr = b.BrokerAddrs[0]
		}
	}
	for _, q := range d.QueueDatas {
		if q.BrokerName == "broker-a" {
			perm = q.Perm
		}
	}
	return addr, perm
}

func (s *sets) end() {
	s.tb.Helper()
	for _, n := range []*Node{s.master, s.slave, s.other, s.ns} {
		if err := n.Shutdown(s.tb.Context()); err != nil {
			s.tb.Error(err)
		}
	}
	if s.tb.Failed() {
		s.tb.Log("\n" + s.diary.String())
	}
}

func TestSlaveActsWhileTheMasterIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSets(t, nil)
		defer s.end()
		time.Sleep(15 * time.Second)
		if addr, perm := s.shown("TBW102"); addr != s.master.BrokerAddr() || perm != 7 {
			t.Fatalf("shown at first: %s %d", addr, perm)
		}
		now := time.Now()
		at := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).UnixMilli(), 10) }
		for i := range 8 {
			q := int32(i % 4)
			s.put("T", q, fmt.Sprintf("plain %d", i), 0)
			s.put("T", q, fmt.Sprintf("delayed %d", i), 0, "DELAY", "5") // a minute
			s.put("T", q, fmt.Sprintf("timed %d", i), 0, "TIMER_DELIVER_MS", at(time.Duration(50+i)*time.Second))
			s.put("T", q, fmt.Sprintf("late %d", i), 0, "TIMER_DELIVER_MS", at(time.Duration(400+i)*time.Second))
			s.put("X", q, fmt.Sprintf("half %d", i), record.SysFlagPrepared, "TRAN_MSG", "true", "PGROUP", "PG", "UNIQ_KEY", fmt.Sprintf("U%d", i))
		}
		commit := func(to string, at int64) *protocol.Head {
			r := s.c.call(to, protocol.ReqUpdateConsumerOffset, &protocol.UpdateConsumerOffsetRequestHeader{
				ConsumerGroup: "g_T", Topic: "T", QueueID: 0, CommitOffset: at,
			}, nil)
			return &protocol.Head{Code: r.Code}
		}
		s.bodies(s.master, "T") // makes the group
		commit(s.master.BrokerAddr(), 1)
		time.Sleep(15 * time.Second) // tables and timers
		s.kill()
		time.Sleep(20 * time.Second)
		if addr, perm := s.shown("T"); addr != s.slave.BrokerAddr() || perm != 4 {
			t.Errorf("shown without the master: %s %d", addr, perm)
		}
		if got := s.bodies(s.slave, "T"); len(got) != 8 || !strings.HasPrefix(got[0], "plain") {
			t.Errorf("the slave has %q", got)
		}
		if r := commit(s.slave.BrokerAddr(), 2); r.Code != 0 {
			t.Errorf("commit: %d", r.Code)
		}
		if r := s.c.send(s.slave.BrokerAddr(), "T", 0, 1); r.Code != protocol.RespServiceNotAvailable {
			t.Errorf("the slave takes a message: %d", r.Code)
		}
		time.Sleep(100 * time.Second)
		// All that was due is in the other set, once.
		var want []string
		for i := range 8 {
			want = append(want, fmt.Sprintf("delayed %d", i), fmt.Sprintf("timed %d", i))
		}
		slices.Sort(want)
		if got := s.bodies(s.other, "T"); !slices.Equal(got, want) {
			t.Errorf("the other set has %q", got)
		}
		halves := s.bodies(s.other, "RMQ_SYS_TRANS_HALF_TOPIC")
		if u := slices.Compact(slices.Clone(halves)); len(u) != 8 {
			t.Errorf("the other set has the halves %q", halves)
		}

		s.back()
		time.Sleep(20 * time.Second)
		if addr, perm := s.shown("T"); addr != s.master.BrokerAddr() || perm != 6 {
			t.Errorf("shown with the master back: %s %d", addr, perm)
		}
		r := s.c.call(s.master.BrokerAddr(), protocol.ReqQueryConsumerOffset, &protocol.QueryConsumerOffsetRequestHeader{ConsumerGroup: "g_T", Topic: "T"}, nil)
		if r.Ext["offset"] != "2" {
			t.Errorf("the position is %s", r.Ext["offset"])
		}
		if got := s.bodies(s.master, "T"); len(got) != 8 {
			t.Errorf("the master that is back has delivered %q", got)
		}
		s.put("T", 0, "after", 0, "DELAY", "1")
		time.Sleep(400 * time.Second)
		var late []string
		for _, b := range s.bodies(s.master, "T") {
			if strings.HasPrefix(b, "late") || b == "after" {
				late = append(late, b)
			}
		}
		if len(late) != 9 || len(s.bodies(s.master, "T")) != 17 {
			t.Errorf("in the end %q", s.bodies(s.master, "T"))
		}
		if got := s.bodies(s.other, "T"); !slices.Equal(got, want) {
			t.Errorf("the other set has %q in the end", got)
		}
		if a, b := s.master.broker.now().store.Appended(), s.slave.broker.now().store.Appended(); a != b {
			t.Errorf("the logs end at %d and %d", a, b)
		}
	})
}

// A SYNC_MASTER waits for as many slaves as are there, and takes nothing when there are too few.
func TestSyncMasterCountsWhoIsInSync(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		conf           map[string]string
		without        int32 // the answer to a send without the slave
		remark, copies string
	}{
		{"as many as are told", map[string]string{"inSyncReplicas": "2"}, protocol.RespSystemError, "in-sync replicas not enough", "2"},
		{"as many as there are", map[string]string{"inSyncReplicas": "2", "enableAutoInSyncReplicas": "true"}, 0, "", "1"},
		{"but not too few", map[string]string{"inSyncReplicas": "2", "enableAutoInSyncReplicas": "true", "minInSyncReplicas": "2"}, protocol.RespSystemError, "in-sync replicas not enough", "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				conf := maps.Clone(c.conf)
				conf["brokerRole"] = "SYNC_MASTER"
				s := newSets(t, nil)
				defer s.end()
				must(t, s.master.Shutdown(t.Context()))
				s.master = s.broker(hostMaster, conf)
				time.Sleep(15 * time.Second)
				if r := s.c.send(s.master.BrokerAddr(), "T", 0, 1); r.Code != 0 {
					t.Fatalf("with the slave: %d %s", r.Code, r.Remark)
				}
				if a, b := s.master.broker.now().store.Appended(), s.slave.broker.now().store.Appended(); a != b {
					t.Errorf("acknowledged at %d, the slave is at %d", a, b)
				}
				slave := s.slave
				must(t, slave.Shutdown(t.Context()))
				time.Sleep(time.Second)
				end := s.master.broker.now().store.Appended()
				r := s.c.send(s.master.BrokerAddr(), "T", 0, 2)
				if r.Code != c.without || r.Remark != c.remark {
					t.Errorf("without the slave: %d %q", r.Code, r.Remark)
				}
				if stored := s.master.broker.now().store.Appended() != end; stored != (c.without == 0) {
					t.Errorf("stored: %v", stored)
				}
				info, err := s.master.broker.now().core.RuntimeInfo(t.Context())
				must(t, err)
				if info["acknowledgedCopies"] != c.copies {
					t.Errorf("acknowledged: %s %s", info["acknowledgedCopies"], info["acknowledgedMeans"])
				}
				s.slave = s.broker(hostSlave, map[string]string{"brokerId": "1", "brokerRole": "SLAVE"})
				time.Sleep(15 * time.Second)
				if r := s.c.send(s.master.BrokerAddr(), "T", 0, 3); r.Code != 0 {
					t.Errorf("with the slave back: %d %s", r.Code, r.Remark)
				}
			})
		})
	}
}

// The slave goes on acting when its master has announced itself and then dies again, and a master whose slave cannot be reached
// comes back alone.
func TestHandoverThatIsNotCompleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSets(t, nil)
		defer s.end()
		time.Sleep(15 * time.Second)
		s.kill()
		time.Sleep(20 * time.Second)
		if !s.slave.broker.now().core.Acts() {
			t.Fatal("the slave does not act")
		}
		r := s.c.call(s.slave.BrokerAddr(), protocol.ReqExchangeBrokerHAInfo, &protocol.ExchangeHAInfoRequestHeader{
			MasterHAAddress: hostMaster + ":10912", MasterAddress: hostMaster + ":10911",
		}, nil)
		if r.Code != 0 || s.slave.broker.now().core.Acts() {
			t.Errorf("told of the master: %d %s, acts %v", r.Code, r.Remark, s.slave.broker.now().core.Acts())
		}
		time.Sleep(20 * time.Second)
		if s.slave.broker.now().core.Acts() {
			t.Error("it acts again too early")
		}
		time.Sleep(15 * time.Second)
		if !s.slave.broker.now().core.Acts() {
			t.Error("it does not act again")
		}
		s.net.Partition(hostMaster, hostSlave)
		s.back()
		time.Sleep(10 * time.Second)
		if addr, _ := s.shown("TBW102"); addr != s.slave.BrokerAddr() {
			t.Errorf("shown while the master waits for its slave: %s", addr)
		}
		time.Sleep(90 * time.Second)
		if addr, perm := s.shown("TBW102"); addr != s.master.BrokerAddr() || perm != 7 || s.slave.broker.now().core.Acts() {
			t.Errorf("shown in the end: %s %d", addr, perm)
		}
		s.net.Heal(hostMaster, hostSlave)
		time.Sleep(30 * time.Second)
		if a, b := s.master.broker.now().store.Appended(), s.slave.broker.now().store.Appended(); a != b {
			t.Errorf("the logs end at %d and %d", a, b)
		}
	})
}

// manual returns the configuration files that a page of the manual shows.
func manual(t *testing.T, page string) (files []map[string]string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations/" + page)
	must(t, err)
	for _, block := range strings.Split(string(text), "```properties\n")[1:] {
		file := map[string]string{}
		body, _, _ := strings.Cut(block, "```")
		for line := range strings.Lines(body) {
			k, v, ok := strings.Cut(strings.TrimSpace(line), "=")
			if !ok {
				t.Fatalf("%s: %q", page, line)
			}
			file[k] = v
		}
		files = append(files, file)
	}
	return files
}

func TestTheFilesOfTheManualMakeASetWithAnActingSlave(t *testing.T) {
	t.Parallel()
	files := manual(t, "slave-acting-master.md")
	if len(files) != 3 {
		t.Fatalf("%d files", len(files))
	}
	synctest.Test(t, func(t *testing.T) {
		s := &sets{world: newWorld(t)}
		s.c = s.caller(t)
		files[0]["bindAddress"] = hostNS
		ns, notices, err := config.LoadNamesrv(config.Sources{Flags: files[0], Host: &host})
		must(t, err)
		if len(notices) > 0 {
			t.Errorf("name server: %v", notices)
		}
		o := s.options(nil)
		o.Broker, o.Namesrv, o.Dial = nil, ns, s.net.Host(hostNS).Dial
		s.ns = s.start(o)
		s.other = s.broker(hostOther, map[string]string{"brokerName": "broker-b", "totalReplicas": "1"})
		s.master = s.broker(hostMaster, files[1])
		s.slave = s.broker(hostSlave, files[2])
		defer s.end()
		time.Sleep(15 * time.Second)
		s.put("T", 0, "delayed", 0, "DELAY", "4") // has waited for the slave
		s.kill()
		time.Sleep(time.Minute)
		if got := s.bodies(s.other, "T"); len(got) != 1 || !s.slave.broker.now().core.Acts() {
			t.Errorf("the other set has %q", got)
		}
		s.master = s.broker(hostMaster, files[1])
		time.Sleep(30 * time.Second)
		if addr, perm := s.shown("T"); addr != s.master.BrokerAddr() || perm != 6 {
			t.Errorf("shown in the end: %s %d", addr, perm)
		}
	})
}

func TestABrokerWhoseIDIsTakenStaysOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSets(t, nil)
		defer s.end()
		time.Sleep(15 * time.Second)
		const elsewhere = "127.0.0.5"
		twin := s.broker(elsewhere, nil)
		time.Sleep(30 * time.Second)
		if addr, _ := s.shown("TBW102"); addr != s.master.BrokerAddr() {
			t.Errorf("shown: %s", addr)
		}
		if s.diary.last("has the id 0 of set broker-a") < 0 {
			t.Error("nobody says why")
		}
		s.kill()
		time.Sleep(2 * time.Minute) // the slave acts meanwhile, and does not know the log of the twin
		if addr, _ := s.shown("TBW102"); addr != twin.BrokerAddr() {
			t.Errorf("shown when the first one has gone: %s", addr)
		}
		must(t, twin.Shutdown(t.Context()))
		s.back()
		time.Sleep(30 * time.Second)
	})
}
