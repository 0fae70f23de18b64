// Package controltalk is a conversation of two brokers and a tool with a controller. It is held with Java's, whose answers
// are a golden file, and with ours, whose answers must be the same.
package controltalk

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// step is one question.
type step struct {
	what string
	from string // who asks, each on a connection of his own
	code int32
	ext  map[string]string
	body string
	end  string        // instead of asking: the connection of that one ends
	wait time.Duration // before
}

type m = map[string]string

const (
	addr1 = "127.0.0.1:1"
	addr2 = "127.0.0.1:2"
)

func beat(id, addr, max string) m {
	return m{
		"clusterName": "c1", "brokerName": "broker-a", "brokerAddr": addr, "brokerId": id, "epoch": "0", "maxOffset": max,
		"confirmOffset": max, "heartbeatTimeoutMills": "60000", "electionPriority": "2147483647",
	}
}

func alter(master, epoch string) m {
	return m{"brokerName": "broker-a", "masterBrokerId": master, "masterEpoch": epoch, "invokeTime": "1"}
}

func elect(id, designate string) m {
	return m{"clusterName": "c1", "brokerName": "broker-a", "brokerId": id, "designateElect": designate, "invokeTime": "1"}
}

func register(id, addr string) m {
	return m{"clusterName": "c1", "brokerName": "broker-a", "brokerId": id, "brokerAddress": addr, "invokeTime": "1"}
}

func apply(id, check string) m {
	return m{"clusterName": "c1", "brokerName": "broker-a", "appliedBrokerId": id, "registerCheckCode": check}
}

func clean(name, ids string) m {
	h := m{"clusterName": "c1", "brokerName": name, "isCleanLivingBroker": "false", "invokeTime": "1"}
	if ids != "" {
		h["brokerControllerIdsToClean"] = ids
	}
	return h
}

var (
	set    = m{"brokerName": "broker-a"}
	member = m{"clusterName": "c1", "brokerName": "broker-a"}
)

var steps = []step{
	{what: "who leads", from: "tool", code: protocol.ReqControllerGetMetadataInfo},
	{what: "a set nobody knows", from: "tool", code: protocol.ReqControllerGetReplicaInfo, ext: set},
	{what: "elect in it", from: "b1", code: protocol.ReqControllerElectMaster, ext: elect("1", "false")},
	{what: "register in it", from: "b1", code: protocol.ReqControllerRegisterBroker, ext: register("1", addr1)},
	{what: "alter it", from: "b1", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("1", "1"), body: `{"syncStateSet":[1],"syncStateSetEpoch":1}`},
	{what: "clean it", from: "tool", code: protocol.ReqCleanBrokerData, ext: clean("broker-a", "")},
	{what: "the first id", from: "b1", code: protocol.ReqControllerGetNextBrokerID, ext: member},
	{what: "apply for the second id first", from: "b1", code: protocol.ReqControllerApplyBrokerID, ext: apply("2", addr1+";1")},
	{what: "apply", from: "b1", code: protocol.ReqControllerApplyBrokerID, ext: apply("1", addr1+";1")},
	{what: "apply again", from: "b1", code: protocol.ReqControllerApplyBrokerID, ext: apply("1", addr1+";1")},
	{what: "apply for a taken id", from: "b2", code: protocol.ReqControllerApplyBrokerID, ext: apply("1", addr2+";2")},
	{what: "the second id", from: "b2", code: protocol.ReqControllerGetNextBrokerID, ext: member},
	{what: "register with an id nobody has", from: "b1", code: protocol.ReqControllerRegisterBroker, ext: register("9", addr1)},
	{what: "before the first election", from: "b1", code: protocol.ReqControllerGetReplicaInfo, ext: set},
	{what: "register", from: "b1", code: protocol.ReqControllerRegisterBroker, ext: register("1", addr1)},
	{what: "heartbeat without id", from: "b1", code: protocol.ReqBrokerHeartbeat, ext: m{"clusterName": "c1", "brokerName": "broker-a", "brokerAddr": addr1}},
	{what: "heartbeat", from: "b1", code: protocol.ReqBrokerHeartbeat, ext: beat("1", addr1, "100")},
	{what: "first election", from: "b1", code: protocol.ReqControllerElectMaster, ext: elect("1", "false")},
	{what: "state", from: "b1", code: protocol.ReqControllerGetReplicaInfo, ext: set},
	{what: "elect again", from: "b1", code: protocol.ReqControllerElectMaster, ext: elect("1", "false")},
	{what: "second broker applies", from: "b2", code: protocol.ReqControllerApplyBrokerID, ext: apply("2", addr2+";2")},
	{what: "and registers", from: "b2", code: protocol.ReqControllerRegisterBroker, ext: register("2", addr2)},
	{what: "and asks for a master", from: "b2", code: protocol.ReqControllerElectMaster, ext: elect("2", "false")},
	{what: "expand with a broker that is not alive", from: "b1", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("1", "1"), body: `{"syncStateSet":[1,2],"syncStateSetEpoch":1}`},
	{what: "it is alive", from: "b2", code: protocol.ReqBrokerHeartbeat, ext: beat("2", addr2, "50")},
	{what: "nothing changes", from: "b1", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("1", "1"), body: `{"syncStateSet":[1],"syncStateSetEpoch":1}`},
	{what: "not the master", from: "b2", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("2", "1"), body: `{"syncStateSet":[1,2],"syncStateSetEpoch":1}`},
	{what: "another epoch", from: "b1", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("1", "7"), body: `{"syncStateSet":[1,2],"syncStateSetEpoch":1}`},
	{what: "another epoch of the set", from: "b1", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("1", "1"), body: `{"syncStateSet":[1,2],"syncStateSetEpoch":7}`},
	{what: "a broker nobody knows", from: "b1", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("1", "1"), body: `{"syncStateSet":[1,2,7],"syncStateSetEpoch":1}`},
	{what: "without the master", from: "b1", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("1", "1"), body: `{"syncStateSet":[2],"syncStateSetEpoch":1}`},
	{what: "expand", from: "b1", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("1", "1"), body: `{"syncStateSet":[1,2],"syncStateSetEpoch":1}`},
	{what: "shrink", from: "b1", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("1", "1"), body: `{"syncStateSet":[1],"syncStateSetEpoch":2}`},
	{what: "expand again", from: "b1", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("1", "1"), body: `{"syncStateSet":[1,2],"syncStateSetEpoch":3}`},
	{what: "all of it", from: "tool", code: protocol.ReqControllerGetSyncStateData, body: `["broker-a"]`},
	{what: "nothing of it", from: "tool", code: protocol.ReqControllerGetSyncStateData, body: `["nobody"]`},
	{what: "no names", from: "tool", code: protocol.ReqControllerGetSyncStateData},
	{what: "third broker applies", from: "b3", code: protocol.ReqControllerApplyBrokerID, ext: apply("3", "127.0.0.1:3;3")},
	{what: "clean a set that has a master", from: "tool", code: protocol.ReqCleanBrokerData, ext: clean("broker-a", "")},
	{what: "clean a live broker", from: "tool", code: protocol.ReqCleanBrokerData, ext: clean("broker-a", "2")},
	{what: "clean what is no number", from: "tool", code: protocol.ReqCleanBrokerData, ext: clean("broker-a", "2;x")},
	{what: "clean a set nobody knows", from: "tool", code: protocol.ReqCleanBrokerData, ext: clean("nobody", "1")},
	{what: "clean a dead broker", from: "tool", code: protocol.ReqCleanBrokerData, ext: clean("broker-a", "3")},
	{what: "the next id is not that one", from: "b3", code: protocol.ReqControllerGetNextBrokerID, ext: member},
	{what: "designate the master", from: "tool", code: protocol.ReqControllerElectMaster, ext: elect("1", "true")},
	{what: "designate the other one", from: "tool", code: protocol.ReqControllerElectMaster, ext: elect("2", "true")},
	{what: "state after it", from: "b1", code: protocol.ReqControllerGetReplicaInfo, ext: set},
	{what: "designate a broker that is not in sync", from: "tool", code: protocol.ReqControllerElectMaster, ext: elect("1", "true")},
	{what: "the old master is fenced", from: "b1", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("1", "1"), body: `{"syncStateSet":[1],"syncStateSetEpoch":5}`},
	{what: "expand in the new epoch", from: "b2", code: protocol.ReqControllerAlterSyncStateSet, ext: alter("2", "2"), body: `{"syncStateSet":[1,2],"syncStateSetEpoch":5}`},
	{what: "the master dies", end: "b2"},
	{what: "and is replaced", from: "b1", code: protocol.ReqControllerGetReplicaInfo, ext: set, wait: 2 * time.Second},
	{what: "it comes back elsewhere", from: "b2", code: protocol.ReqControllerRegisterBroker, ext: register("2", "127.0.0.1:22")},
	{what: "all of it then", from: "tool", code: protocol.ReqControllerGetSyncStateData, body: `["broker-a"]`},
	{what: "a locked key", from: "tool", code: protocol.ReqUpdateControllerConfig, body: "configBlackList=x\n"},
	{what: "a key", from: "tool", code: protocol.ReqUpdateControllerConfig, body: "enableElectUncleanMaster=true\n"},
	{what: "an unknown request", from: "tool", code: 1999},
}

// Hold has the conversation with the controller at addr and returns it as text.
func Hold(ctx context.Context, dial func(ctx context.Context, network, addr string) (net.Conn, error), addr string) (string, error) {
	who := map[string]*remoting.Client{}
	defer func() {
		for _, c := range who {
			c.Close()
		}
	}()
	var out strings.Builder
	for i := range steps {
		s := &steps[i]
		fmt.Fprintf(&out, "# %s\n", s.what)
		if s.end != "" {
			who[s.end].Close()
			delete(who, s.end)
			continue
		}
		if s.wait > 0 {
			select {
			case <-ctx.Done():
				return out.String(), ctx.Err()
			case <-time.After(s.wait):
			}
		}
		c := who[s.from]
		if c == nil {
			c = remoting.NewClient(remoting.ClientOptions{Dial: dial})
			who[s.from] = c
		}
		bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
		cmd := &remoting.Command{Code: s.code, Ext: s.ext}
		if s.body != "" {
			cmd.Body = []byte(s.body)
		}
		r, err := c.Invoke(bounded, addr, cmd)
		cancel()
		if err != nil {
			return out.String(), fmt.Errorf("%s: %w", s.what, err)
		}
		fmt.Fprintf(&out, "> %s %d %s\n", s.from, s.code, fields(s.ext))
		if s.body != "" {
			fmt.Fprintf(&out, "> %s\n", strings.TrimSpace(s.body))
		}
		fmt.Fprintf(&out, "< %d %q %s\n", r.Code, r.Remark, strings.ReplaceAll(fields(r.Ext), addr, "ADDR"))
		if len(r.Body) > 0 {
			fmt.Fprintf(&out, "< %s\n", r.Body)
		}
		out.WriteByte('\n')
	}
	return out.String(), nil
}

func fields(f map[string]string) string {
	list := make([]string, 0, len(f))
	for _, k := range slices.Sorted(maps.Keys(f)) {
		list = append(list, k+"="+f[k])
	}
	return "{" + strings.Join(list, " ") + "}"
}
