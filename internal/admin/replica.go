package admin

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

func replicaCommands() []Command {
	ctl := need("a", "controllerAddress", "a controller's address")
	ctls := need("a", "controllerAddress", "controllers' addresses, with semicolons")
	every := opt("i", "interval", "again after so many seconds").num(64)
	name := need("bn", "brokerName", "broker name")
	return []Command{
		{Name: "haStatus", About: "How replication goes", Flags: []Flag{toCluster, toBroker, every}, Run: haStatus},
		{
			Name: "getSyncStateSet", About: "Who is in sync, as the controller has it", Run: syncStates,
			Flags: []Flag{ctl, opt("c", "clusterName", "all brokers of this cluster"), opt("b", "brokerName", "broker name"), every},
		},
		{
			Name: "getBrokerEpoch", About: "The epochs of brokers' logs", OneOf: either, Run: brokerEpochs,
			Flags: []Flag{opt("c", "clusterName", "all brokers of this cluster"), opt("b", "brokerName", "broker name"), every},
		},
		{Name: "getControllerMetaData", About: "Who leads the controllers", Flags: []Flag{ctl}, Run: controllerMetadata},
		{Name: "getControllerConfig", About: "The configuration of controllers", Flags: []Flag{ctls}, Run: controllerConfig},
		{
			Name: "updateControllerConfig", About: "Change a key of the controllers' configuration", Changes: true,
			Flags: []Flag{ctls, need("k", "key", "config key"), need("v", "value", "config value")}, Run: updateControllerConfig,
		},
		{
			Name: "electMaster", About: "Make a broker the master of its set", Changes: true, Destroys: true, Run: electMaster,
			Flags: []Flag{ctl, need("b", "brokerId", "id of the new master").num(64), name, need("c", "clusterName", "its cluster")},
		},
		{
			Name: "cleanBrokerMetadata", About: "Have the controller forget brokers", Changes: true, Destroys: true, Run: cleanMetadata,
			Flags: []Flag{
				ctl, opt("b", "brokerControllerIdsToClean", "ids with semicolons, default: the whole set"), name, opt("c", "clusterName", "its cluster"),
				flag("l", "cleanLivingBroker", "also brokers that are alive"),
			},
		},
		{
			Name: "resetMasterFlushOffset", About: "Tell a slave where its master's log ended", Changes: true, Destroys: true, Run: resetFlush,
			Flags: []Flag{need("b", "brokerAddr", "the broker's address"), need("o", "offset", "position in the log").num(64)},
		},
	}
}

func haStatus(c *Call) error {
	return c.again(func() error {
		targets, err := c.targets(true)
		if err != nil {
			return err
		}
		for _, t := range targets {
			st, err := t.broker.HAStatus(c.Ctx)
			if err != nil {
				c.Failed(err)
				continue
			}
			c.sayHA(t.addr, &st)
		}
		return nil
	})
}

func (c *Call) sayHA(addr string, st *mq.HAStatus) {
	v := struct {
		Addr string `json:"addr"`
		*mq.HAStatus
	}{addr, st}
	if !st.Master {
		cl := &st.Client
		c.Row(v, "\n#MasterAddr\t%s\n#CommitLogMaxOffset\t%d\n#TransferSpeed(KB/s)\t%.2f\n#LastReadTime\t%s\n#LastWriteTime\t%s\n#MasterFlushOffset\t%d\n",
			cl.Master, cl.End, float64(cl.Rate)/1024, millis(cl.LastRead), millis(cl.LastWrite), cl.Start)
		return
	}
	c.Row(v, "\n#MasterAddr\t%s\n#MasterCommitLogMaxOffset\t%d\n#SlaveNum\t%d\n#InSyncSlaveNum\t%d\n", addr, st.End, len(st.Slaves), st.InSync)
	c.Say("%-32s  %-16s %16s %16s %16s %16s\n", "#SlaveAddr", "#SlaveAckOffset", "#Diff", "#TransferSpeed(KB/s)", "#Status", "#TransferFromWhere")
	for _, s := range st.Slaves {
		state := "Fall Behind"
		if s.InSync {
			state = "OK"
		}
		c.Say("%-32s  %-16d %16d %16.2f %16s %16d\n", s.Addr, s.Acked, s.Behind, float64(s.Rate)/1024, state, s.SentUpTo)
	}
}

// leader finds the leading controller through any of them.
func (c *Call) leader() (string, mq.ControllerAdmin, error) {
	m, err := c.Controller(c.Str("a")).Metadata(c.Ctx)
	if err != nil {
		return "", nil, err
	}
	if m.LeaderAddr == "" {
		return "", nil, errors.New("controller " + c.Str("a") + " knows no leader")
	}
	return m.LeaderAddr, c.Controller(m.LeaderAddr), nil
}

func replicaText(r *mq.Replica) string {
	return fmt.Sprintf("ReplicaIdentity{brokerName='%s', brokerId=%d, brokerAddress='%s', alive=%t}", r.Broker, r.ID, r.Addr, r.Alive)
}

func syncStates(c *Call) error {
	return c.again(func() error {
		var names []string
		switch {
		case c.Has("b"):
			names = []string{c.Str("b")}
		case c.Has("c"):
			sets, err := c.inCluster(c.Str("c"))
			if err != nil {
				return err
			}
			for _, s := range sets {
				names = append(names, s.Name)
			}
		default:
			return usage("getSyncStateSet: one of -b, -c is needed")
		}
		_, k, err := c.leader()
		if err != nil {
			return err
		}
		list, err := k.SyncStates(c.Ctx, names)
		if err != nil {
			return err
		}
		for i := range list {
			s := &list[i]
			c.Row(s, "\n#brokerName\t%s\n#MasterBrokerId\t%d\n#MasterAddr\t%s\n#MasterEpoch\t%d\n#SyncStateSetEpoch\t%d\n#SyncStateSetNums\t%d\n",
				s.Broker, s.MasterID, s.MasterAddr, s.Epoch, s.StateEpoch, len(s.InSync))
			for j := range s.InSync {
				c.Say("\nInSyncReplica:\t%s\n", replicaText(&s.InSync[j]))
			}
			for j := range s.NotInSync {
				c.Say("\nNotInSyncReplica:\t%s\n", replicaText(&s.NotInSync[j]))
			}
		}
		return nil
	})
}

func brokerEpochs(c *Call) error {
	return c.again(func() error {
		sets, err := c.inCluster(c.Str("c"))
		if err != nil {
			return err
		}
		found := false
		for _, s := range sets {
			if c.Has("b") && s.Name != c.Str("b") {
				continue
			}
			found = true
			for _, id := range slices.Sorted(maps.Keys(s.Addrs)) {
				e, err := c.Broker(s.Addrs[id]).Epochs(c.Ctx)
				if err != nil {
					c.Failed(err)
					continue
				}
				if n := len(e.List); n > 0 {
					e.List[n-1].End = e.Max
				}
				c.Row(struct {
					Addr string `json:"addr"`
					mq.Epochs
				}{s.Addrs[id], e}, "\n#clusterName\t%s\n#brokerName\t%s\n#brokerAddr\t%s\n#brokerId\t%d", e.Cluster, e.Broker, s.Addrs[id], e.BrokerID)
				for _, x := range e.List {
					c.Say("\n#Epoch: EpochEntry{epoch=%d, startOffset=%d, endOffset=%d}", x.Epoch, x.Start, x.End)
				}
				c.Say("\n")
			}
		}
		if !found {
			return errors.New("broker " + c.Str("b") + " is not known to the name server")
		}
		return nil
	})
}

func controllerMetadata(c *Call) error {
	m, err := c.Controller(c.Str("a")).Metadata(c.Ctx)
	if err != nil {
		return err
	}
	c.Only(m, "\n#ControllerGroup\t%s\n#ControllerLeaderId\t%s\n#ControllerLeaderAddress\t%s", m.Group, m.LeaderID, m.LeaderAddr)
	for p := range strings.SplitSeq(m.Peers, ";") {
		if p != "" {
			c.Say("\n#Peer:\t%s", p)
		}
	}
	c.Say("\n")
	return nil
}

func splitAddrs(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ';' || r == ',' || r == ' ' })
}

func controllerConfig(c *Call) error {
	for _, addr := range splitAddrs(c.Str("a")) {
		c.settingsOf(addr, "============"+addr+"============", c.Controller(addr))
	}
	return nil
}

func updateControllerConfig(c *Call) error {
	k, v := c.Str("k"), c.Str("v")
	done := false
	for _, addr := range splitAddrs(c.Str("a")) {
		done = c.Change(func() error { return c.set(c.Controller(addr), addr, k, v) }, "set %s=%s on %s", k, v, addr) || done
	}
	if done && len(c.errs) == 0 {
		c.Only(map[string]string{"key": k, "value": v}, "update controller config success!\n%s : %s\n", k, v)
	}
	return nil
}

func electMaster(c *Call) error {
	cluster, name, id := c.Str("c"), c.Str("bn"), c.Int("b", 0)
	addr, k, err := c.leader()
	if err != nil {
		return err
	}
	c.Change(func() error {
		e, err := k.Elect(c.Ctx, cluster, name, id)
		if err != nil {
			return err
		}
		c.Only(e, "\n#ClusterName\t%s\n#BrokerName\t%s\n#BrokerMasterAddr\t%s\n#MasterEpoch\t%d\n#SyncStateSetEpoch\t%d\n", cluster, name,
			e.MasterAddr, e.Epoch, e.StateEpoch)
		for _, m := range slices.Sorted(maps.Keys(e.Members)) {
			c.Say("\t#Broker\t%d\t%s\n", m, e.Members[m])
		}
		return nil
	}, "have controller %s make broker %d of %s the master", addr, id, name)
	return nil
}

func cleanMetadata(c *Call) error {
	ids := c.Str("b")
	for id := range strings.SplitSeq(ids, ";") {
		if strings.Trim(id, "0123456789") != "" {
			return usage("cleanBrokerMetadata: -b %q: want ids with semicolons", ids)
		}
	}
	if c.Has("l") && ids == "" {
		return usage("cleanBrokerMetadata: -l needs -b, so that a whole set that is alive is not forgotten")
	}
	addr, k, err := c.leader()
	if err != nil {
		return err
	}
	name := c.Str("bn")
	if c.Change(func() error { return k.CleanBroker(c.Ctx, c.Str("c"), name, ids, c.Has("l")) },
		"have controller %s forget brokers %s of %s", addr, ids, name) {
		c.Only(map[string]string{"broker": name}, "clear broker %s metadata from controller success! \n", name)
	}
	return nil
}

func resetFlush(c *Call) error {
	addr, at := c.Str("b"), mq.Offset(c.Int("o", 0))
	if c.Change(func() error { return c.Broker(addr).ResetMasterFlush(c.Ctx, at) }, "set the master flush offset of %s to %d", addr, at) {
		c.Only(map[string]any{"addr": addr, "offset": at}, "reset master flush offset to %d success\n", at)
	}
	return nil
}
