package httpapi

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

type controllerAnswer struct {
	Addr       string     `json:"addr"`
	Reachable  bool       `json:"reachable"`
	Group      string     `json:"group,omitempty"`
	Leader     *bool      `json:"leader,omitempty"`
	LeaderID   string     `json:"leaderId,omitempty"`
	LeaderAddr string     `json:"leaderAddr,omitempty"`
	Peers      []string   `json:"peers,omitempty"`
	Error      *nodeError `json:"error,omitempty"`
}

// controllers are the addresses that the brokers of a cluster are configured with. No other address is asked.
func (k *cluster) controllers(ctx context.Context) ([]string, []*nodeError) {
	answers, errs := ask(ctx, k.readers(), func(ctx context.Context, n *node) ([]mq.Setting, error) { return n.Config(ctx) })
	found := map[string]bool{}
	for _, a := range answers {
		conf := map[string]string{}
		for _, s := range a.v {
			conf[s.Key] = s.Value
		}
		if conf["enableControllerMode"] != "true" {
			continue
		}
		for _, addr := range strings.FieldsFunc(conf["controllerAddr"], func(r rune) bool { return r == ';' || r == ',' }) {
			found[strings.TrimSpace(addr)] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), errs
}

func listControllers(c *call) (any, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	addrs, errs := k.controllers(c.ctx)
	out := []controllerAnswer{}
	for _, addr := range addrs {
		x := controllerAnswer{Addr: addr}
		m, err := k.Controller(addr).Metadata(c.ctx)
		if err != nil {
			x.Error = nodeErrorOf(addr, err)
			out = append(out, x)
			continue
		}
		x.Reachable, x.Group, x.Leader, x.LeaderID, x.LeaderAddr = true, m.Group, &m.Leader, m.LeaderID, m.LeaderAddr
		if m.Peers != "" {
			x.Peers = strings.Split(m.Peers, ";")
		}
		out = append(out, x)
	}
	return whole(out, errs), nil
}

// controller is the one of the path.
func (c *call) controller() (mq.ControllerAdmin, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, err
	}
	addrs, _ := k.controllers(c.ctx)
	if !slices.Contains(addrs, c.path("addr")) {
		return nil, notFound("controllerNotFound", "%s is no controller of cluster %s", c.path("addr"), k.name)
	}
	return k.Controller(c.path("addr")), nil
}

var errNoController = problemf(http.StatusConflict, "noController", "no broker of the cluster runs in controller mode, or no controller has a leader")

// leader finds the controller that decides.
func (c *call) leader() (*cluster, string, mq.ControllerAdmin, error) {
	k, err := c.cluster()
	if err != nil {
		return nil, "", nil, err
	}
	addrs, _ := k.controllers(c.ctx)
	for _, addr := range addrs {
		m, err := k.Controller(addr).Metadata(c.ctx)
		if err != nil || m.LeaderAddr == "" {
			continue // another one will know
		}
		return k, m.LeaderAddr, k.Controller(m.LeaderAddr), nil
	}
	return nil, "", nil, errNoController
}

type replicaAnswer struct {
	Broker string `json:"broker"`
	ID     int64  `json:"id"`
	Addr   string `json:"addr"`
	Alive  bool   `json:"alive"`
}

type syncAnswer struct {
	Broker     string          `json:"broker"`
	MasterID   int64           `json:"masterId"`
	MasterAddr string          `json:"masterAddr"`
	Epoch      int32           `json:"epoch"`
	StateEpoch int32           `json:"stateEpoch"`
	InSync     []replicaAnswer `json:"inSync"`
	NotInSync  []replicaAnswer `json:"notInSync"`
}

func replicasOf(list []mq.Replica) []replicaAnswer {
	out := make([]replicaAnswer, 0, len(list))
	for _, r := range list {
		out = append(out, replicaAnswer(r))
	}
	return out
}

func listSyncStates(c *call) (any, error) {
	k, _, leader, err := c.leader()
	if err != nil {
		return nil, err
	}
	var sets []string
	for _, s := range k.sets {
		sets = append(sets, s.Name)
	}
	states, err := leader.SyncStates(c.ctx, sets)
	if err != nil {
		return nil, err
	}
	out := []syncAnswer{}
	for _, s := range states {
		out = append(out, syncAnswer{s.Broker, s.MasterID, s.MasterAddr, s.Epoch, s.StateEpoch, replicasOf(s.InSync), replicasOf(s.NotInSync)})
	}
	slices.SortFunc(out, func(a, b syncAnswer) int { return compareText(a.Broker, b.Broker) })
	return whole(out, nil), nil
}

func electMaster(c *call) (any, error) {
	var in struct {
		Broker string `json:"broker"`
		ID     int64  `json:"id"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	c.target = in.Broker
	k, addr, leader, err := c.leader()
	if err != nil {
		return nil, err
	}
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	p.add(step{Node: addr, Action: "CONTROLLER_ELECT_MASTER", Target: in.Broker}, func(ctx context.Context) (string, error) {
		e, err := leader.Elect(ctx, k.name, in.Broker, in.ID)
		return "master is " + e.MasterAddr, err
	})
	return p.run()
}

func cleanBrokerData(c *call) (any, error) {
	broker := c.query("broker")
	if broker == "" {
		return nil, badField("broker", "missing", "the name of a broker set is needed")
	}
	living, err := c.boolean("living")
	if err != nil {
		return nil, err
	}
	c.target = broker
	k, addr, leader, err := c.leader()
	if err != nil {
		return nil, err
	}
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	ids := strings.Join(names(c.query("ids")), ";")
	p.add(step{Node: addr, Action: "CLEAN_BROKER_DATA", Target: broker, Before: ids},
		func(ctx context.Context) (string, error) {
			return "", leader.CleanBroker(ctx, k.name, broker, ids, living)
		})
	return p.run()
}

// listProxies lists what calls itself a proxy. Java's proxies register nowhere, so there is nothing to ask for them.
func listProxies(c *call) (any, error) {
	if _, err := c.cluster(); err != nil {
		return nil, err
	}
	return whole([]struct{}{}, nil), nil
}
