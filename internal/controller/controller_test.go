package controller

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/testkit/controltalk"
)

// TestConversationIsJavas: the golden file was made by the peer test with Java 5.5.0.
func TestConversationIsJavas(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/java/5.5.0/conversation.txt")
	must(t, err)
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 1, nil)
		g.leader()
		got, err := controltalk.Hold(t.Context(), g.net.Host("10.0.2.1").Dial, g.peers[0].Addr)
		must(t, err)
		if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
			t.Errorf("Java and we differ:\n%s", d)
		}
	})
}

// pair is a group of n controllers with a master and a slave in sync.
func pair(t *testing.T, n int, props map[string]string) (g *group, a, b *broker) {
	t.Helper()
	g = newGroup(t, n, props)
	g.leader()
	a = g.join(1)
	a.elect(protocol.RespSuccess)
	b = g.join(2)
	b.elect(protocol.RespControllerMasterStillExist)
	time.Sleep(100 * time.Millisecond)
	a.alter(protocol.RespSuccess, a.id, b.id)
	time.Sleep(2 * time.Second)
	return g, a, b
}

func TestKilledMasterIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 3, nil)
		a.kill()
		if d := g.master(b.id, time.Second); d > 100*time.Millisecond {
			t.Errorf("the new master was elected after %v", d)
		}
		time.Sleep(100 * time.Millisecond)
		if h := b.heard(); h.MasterBrokerID != b.id || h.MasterEpoch != 2 || h.MasterAddress != b.addr {
			t.Errorf("the new master heard %+v", h)
		}
		a.connect()
		a.register() // comes back
		a.beats()
		if h := a.elect(protocol.RespControllerMasterStillExist); h.MasterBrokerID != b.id {
			t.Errorf("%+v", h)
		}
	})
}

func TestSilentMasterKeepsItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 3, nil)
		a.silence()
		began := time.Now()
		if h := b.elect(protocol.RespControllerMasterStillExist); h.MasterBrokerID != a.id {
			t.Errorf("%+v", h)
		}
		g.master(b.id, 12*time.Second)
		// The last heartbeat was at most 1 s before.
		if d := time.Since(began); d < 9*time.Second || d > 10*time.Second+100*time.Millisecond {
			t.Errorf("replaced after %v, want its lease of 10 s", d)
		}
	})
}

// TestNewLeaderWaitsForTheMaster: the leader may have confirmed the master until it died.
func TestNewLeaderWaitsForTheMaster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 3, nil)
		old := g.leader().c.Leader().ID
		a.silence()
		time.Sleep(5 * time.Second)
		g.stop(old)
		began := time.Now()
		g.leader()
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("a new leader after %v", d)
		}
		lead := time.Now()
		if h := b.elect(protocol.RespControllerMasterStillExist); h.MasterBrokerID != a.id {
			t.Errorf("%+v", h)
		}
		g.master(b.id, 12*time.Second)
		if d := time.Since(lead); d < 9500*time.Millisecond {
			t.Errorf("replaced %v after the new leader began to lead, want the lease of 10 s", d)
		}
	})
}

// TestLeaderAndMasterDieTogether: all controllers saw the connection of the master close.
func TestLeaderAndMasterDieTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 3, nil)
		began := time.Now()
		a.kill()
		g.stop(g.leader().c.Leader().ID)
		g.leader()
		g.master(b.id, 5*time.Second)
		if d := time.Since(began); d > 4*time.Second {
			t.Errorf("a new master after %v", d)
		}
	})
}

// TestRestartedMasterGetsANewEpoch also when nobody noticed that it was away: what it has lost, others may have.
func TestRestartedMasterGetsANewEpoch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 1, nil)
		b.max.Store(500)
		a.max.Store(400) // it had acknowledged more, and lost power
		time.Sleep(2 * time.Second)
		a.register()
		time.Sleep(2 * time.Second)
		if s := g.set(); s.Master != 0 || s.MasterEpoch != 2 {
			t.Errorf("%+v", s)
		}
		if h := a.elect(protocol.RespSuccess); h.MasterBrokerID != b.id || h.MasterEpoch != 3 {
			t.Errorf("elected %+v, want the one with the longer log", h)
		}
	})
}

func TestNobodyInSyncIsAlive(t *testing.T) {
	t.Parallel()
	for _, unclean := range []string{"false", "true"} {
		synctest.Test(t, func(t *testing.T) {
			g, a, b := pair(t, 1, map[string]string{"enableElectUncleanMaster": unclean})
			a.alter(protocol.RespSuccess, a.id)
			a.kill()
			if unclean == "true" {
				g.master(b.id, time.Second)
			} else {
				g.master(0, time.Second)
				b.elect(protocol.RespControllerElectMasterFailed)
				if s := g.set(); s.MasterEpoch != 2 || !s.InSync(a.id) {
					t.Errorf("%+v", s)
				}
				a.connect()
				a.register()
				a.beats()
				time.Sleep(10 * time.Millisecond)
				if h := a.elect(protocol.RespSuccess); h.MasterBrokerID != a.id || h.MasterEpoch != 3 {
					t.Errorf("%+v", h)
				}
			}
		})
	}
}

// TestReconnectedBrokerIsAlive: the end of an old connection says nothing when there is a newer one.
func TestReconnectedBrokerIsAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 1, nil)
		second := remoting.NewClient(remoting.ClientOptions{Dial: g.net.Host(host(a.addr)).Dial})
		_, err := second.Invoke(t.Context(), g.peers[0].Addr, a.beat())
		must(t, err)
		a.kill()
		time.Sleep(time.Second)
		if s := g.set(); s.Master != a.id {
			t.Errorf("master %d, want %d: it has another connection", s.Master, a.id)
		}
		second.Close()
		g.master(b.id, time.Second)
	})
}

// TestForgedHeartbeats of brokers that nobody registered, or from another address, count for nothing.
func TestForgedHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 1, nil)
		c := g.leader().c
		pulse := func(id int64) (known int, p pulse) {
			c.live.mu.Lock()
			defer c.live.mu.Unlock()
			return len(c.live.pulses), *c.live.pulses[member{setName, id}]
		}
		known, _ := pulse(a.id)
		for i := range 100 {
			forged := a.beat()
			h := forged.Header.(*protocol.BrokerHeartbeatRequestHeader)
			switch i % 3 {
			case 0:
				h.BrokerName = "nobody" + strings.Repeat("x", i)
			case 1:
				h.BrokerID = int64(100 + i)
			default:
				h.BrokerAddr = "10.9.9.9:1" // a copy of its folder
				h.MaxOffset = 1 << 60
			}
			r, err := b.client.Invoke(t.Context(), g.peers[0].Addr, forged)
			must(t, err)
			if r.Code != protocol.RespSuccess {
				t.Fatalf("%+v", r)
			}
		}
		now, p := pulse(a.id)
		if now != known {
			t.Errorf("%d brokers are known, there are %d", now, known)
		}
		if p.c.MaxOffset != 0 || len(p.conns) != 1 {
			t.Errorf("%+v", p)
		}
		r := b.ask(protocol.ReqControllerRegisterBroker, &protocol.RegisterBrokerToControllerRequestHeader{
			ClusterName: cluster, BrokerName: setName, BrokerID: a.id, HasBrokerID: true, BrokerAddress: "10.9.9.9:1",
		}, nil, protocol.RespControllerBrokerIDInvalid)
		if !strings.Contains(r.Remark, "copy of its identity") || g.set().addr(a.id) != a.addr {
			t.Errorf("%s", r.Remark)
		}
		r = b.ask(protocol.ReqControllerApplyBrokerID, &protocol.ApplyBrokerIdRequestHeader{
			ClusterName: "c2", BrokerName: setName, AppliedBrokerID: 3, HasAppliedBrokerID: true, RegisterCheckCode: "10.9.9.9:1;1",
		}, nil, protocol.RespControllerInvalidRequest)
		if !strings.Contains(r.Remark, "belongs to cluster c1, not c2") {
			t.Errorf("%s", r.Remark)
		}
	})
}

// TestPartitionedLeader: it stops to answer as one, the majority elects another, and nothing is decided twice.
func TestPartitionedLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 3, nil)
		old := g.leader()
		cut := old.c.Leader().Addr
		for _, p := range g.peers {
			if p.Addr != cut {
				g.net.Partition(host(cut), host(p.Addr))
			}
		}
		time.Sleep(time.Second)
		if old.c.Leader().Self {
			t.Error("the leader without a majority thinks it is one after 1 s")
		}
		r, err := a.client.Invoke(t.Context(), cut, &remoting.Command{
			Code: protocol.ReqControllerGetReplicaInfo, Header: &protocol.GetReplicaInfoRequestHeader{BrokerName: setName},
		})
		must(t, err)
		if r.Code != protocol.RespControllerNotLeader || r.Remark != "The controller is not in leader state" {
			t.Errorf("%d %s", r.Code, r.Remark)
		}
		time.Sleep(3 * time.Second)
		a.kill()
		g.master(b.id, 5*time.Second)
		for _, p := range g.peers {
			g.net.Heal(host(cut), host(p.Addr))
		}
		time.Sleep(5 * time.Second)
		for id, r := range g.run {
			if s := r.c.State().Set(setName); s == nil || s.Master != b.id || s.MasterEpoch != 2 {
				t.Errorf("%s has %+v", id, s)
			}
		}
	})
}

// TestMembersComeAndGo: five controllers bear the loss of two, and a new member gets everything.
func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 5, nil)
		for range 2 {
			g.stop(g.leader().c.Leader().ID)
			g.leader()
		}
		a.kill()
		g.master(b.id, 15*time.Second)
		for _, p := range g.peers {
			if g.run[p.ID] == nil {
				g.start(p.ID)
			}
		}
		time.Sleep(5 * time.Second)
		for id, r := range g.run {
			if s := r.c.State().Set(setName); s == nil || s.Master != b.id {
				t.Errorf("%s has %+v", id, s)
			}
		}
	})
}

func TestConfigurationIsChangedAndLocked(t *testing.T) {
	t.Parallel()
	s := newSettings(map[string]string{"scanNotActiveBrokerInterval": "100", "mine": "1", "notifyBrokerRoleChanged": "false"})
	if s.scanBrokers != 100*time.Millisecond || s.scanMasters != defaultScan || s.notify || s.unclean {
		t.Errorf("%+v", s)
	}
	n := s.update(map[string]string{"enableElectUncleanMaster": "TRUE", "scanInactiveMasterInterval": "x", "unknown": "1", "mine": "2"})
	if !n.unclean || n.scanMasters != defaultScan || n.Get("unknown") != "" || n.Get("mine") != "2" || s.unclean {
		t.Errorf("%+v", n)
	}
	for _, key := range []string{"configStorePath", "configBlackList", "rocketmqHome"} {
		if !s.Locked(map[string]string{key: "x"}, lockedKeys) {
			t.Errorf("%s can be changed", key)
		}
	}
	if s.Locked(map[string]string{"enableElectUncleanMaster": "true"}, lockedKeys) {
		t.Error("it cannot be changed")
	}
}

// TestNotReadyWithoutAMajority: one of three cannot decide anything.
func TestNotReadyWithoutAMajority(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		g.leader()
		g.stop("n1")
		g.stop("n2")
		time.Sleep(2 * time.Second)
		cl := remoting.NewClient(remoting.ClientOptions{Dial: g.net.Host("10.0.2.1").Dial})
		defer cl.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := cl.Invoke(ctx, g.peers[0].Addr, &remoting.Command{Code: protocol.ReqControllerGetMetadataInfo})
		must(t, err)
		if r.Ext["isLeader"] != "false" || r.Ext["controllerLeaderAddress"] != "" || r.Ext["peers"] == "" {
			t.Errorf("%v", r.Ext)
		}
		r, err = cl.Invoke(ctx, g.peers[0].Addr, &remoting.Command{
			Code: protocol.ReqControllerGetNextBrokerID, Header: &protocol.GetNextBrokerIdRequestHeader{ClusterName: cluster, BrokerName: setName},
		})
		must(t, err)
		if r.Code != protocol.RespControllerNotLeader {
			t.Errorf("%d %s", r.Code, r.Remark)
		}
	})
}

// TestGarbageOnThePort costs its connection and nothing else.
func TestGarbageOnThePort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, a, b := pair(t, 1, nil)
		long := strings.Repeat("x", 1<<16)
		for name, send := range map[string]string{
			"a frame of 2 GiB":      "\x7f\xff\xff\xff\x00\x00\x00\x10",
			"a header that is more": "\x00\x00\x00\x10\x00\x00\xff\xff" + strings.Repeat("y", 16),
			"no JSON":               "\x00\x00\x00\x08\x00\x00\x00\x04!!!!",
			"a web browser":         "GET / HTTP/1.1\r\n\r\n",
			"zeros":                 strings.Repeat("\x00", 4096),
			"a magic of nobody":     "\xC0MQRAFT\x01" + strings.Repeat("\xff", 4096),
		} {
			c, err := g.net.Host("10.0.9.9").Dial(t.Context(), "tcp", g.peers[0].Addr)
			must(t, err)
			_, err = c.Write([]byte(send))
			must(t, err)
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			if n, err := io.Copy(io.Discard, c); n > 64 || isTimeout(err) {
				t.Errorf("%s: %d bytes came back, %v", name, n, err)
			}
			_ = c.Close()
		}
		for _, cmd := range []*remoting.Command{
			{Code: protocol.ReqControllerAlterSyncStateSet, Body: []byte("{")},
			{Code: protocol.ReqControllerAlterSyncStateSet, Ext: map[string]string{"masterEpoch": "x"}, Body: []byte("{}")},
			{Code: protocol.ReqControllerAlterSyncStateSet, Body: []byte(`{"syncStateSet":[` + strings.Repeat("1,", maxReplicas+1) + `1]}`)},
			{Code: protocol.ReqControllerElectMaster, Ext: map[string]string{"brokerId": long}},
			{Code: protocol.ReqControllerGetSyncStateData, Body: []byte(`{"a":1}`)},
			{Code: protocol.ReqControllerApplyBrokerID, Ext: map[string]string{"brokerName": long, "appliedBrokerId": "1", "registerCheckCode": ";;;"}},
			{Code: protocol.ReqControllerRegisterBroker, Ext: map[string]string{"brokerName": setName, "brokerId": "1"}},
			{Code: protocol.ReqCleanBrokerData, Ext: map[string]string{"brokerName": setName, "brokerControllerIdsToClean": strings.Repeat("1;", maxReplicas+1) + "1"}},
			{Code: protocol.ReqUpdateControllerConfig, Body: []byte("\\u12")},
		} {
			r, err := b.client.Invoke(t.Context(), g.peers[0].Addr, cmd)
			must(t, err)
			if r.Code == protocol.RespSuccess {
				t.Errorf("%s %v %.40s: taken", protocol.RequestName(cmd.Code), cmd.Ext, cmd.Body)
			}
		}
		if s := g.set(); s.Master != a.id || s.MasterEpoch != 1 || len(g.leader().c.State().sets) != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}
