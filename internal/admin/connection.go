package admin

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

// connRow is one connection.
type connRow struct {
	Client   string `json:"clientId"`
	Addr     string `json:"clientAddr"`
	Language string `json:"language"`
	Version  string `json:"version"`
}

func connRows(list []mq.Connection) []connRow {
	out := make([]connRow, 0, len(list))
	for _, conn := range list {
		out = append(out, connRow{conn.ClientID, remoteText(conn.Remote), conn.Language, mq.VersionName(conn.Version)})
	}
	slices.SortFunc(out, func(a, b connRow) int { return strings.Compare(a.Client, b.Client) })
	return out
}

func remoteText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func consumerConnection(c *Call) error {
	group := c.Str("g")
	var g mq.ConsumerGroup
	err := errors.New("no broker knows group " + group)
	if addr := c.Str("b"); addr != "" {
		g, err = c.Broker(addr).Consumers(c.Ctx, group)
	} else {
		holders, routeErr := c.groupHolders(group)
		if routeErr != nil {
			return routeErr
		}
		for _, h := range holders { // a consumer is connected to all of them: the first that knows it is enough
			if g, err = h.broker.Consumers(c.Ctx, group); err == nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	slices.SortFunc(g.Subscriptions, func(a, b mq.Subscription) int { return strings.Compare(a.Topic, b.Topic) })
	type sub struct {
		Topic      string `json:"topic"`
		Expression string `json:"subExpression"`
	}
	var subs []sub
	for _, s := range g.Subscriptions {
		subs = append(subs, sub{s.Topic, s.Expression})
	}
	conns := connRows(g.Connections)
	c.Only(struct {
		Connections   []connRow `json:"connections"`
		Subscriptions []sub     `json:"subscriptions"`
		Type          string    `json:"consumeType"`
		Model         string    `json:"messageModel"`
		FromWhere     string    `json:"consumeFromWhere"`
	}{conns, subs, string(g.Type), model(&g), g.FromWhere}, "%-36s %-22s %-10s %s\n", "#ClientId", "#ClientAddr", "#Language", "#Version")
	for _, r := range conns {
		c.Say("%-36s %-22s %-10s %s\n", r.Client, r.Addr, r.Language, r.Version)
	}
	c.Say("\nBelow is subscription:\n%-20s %s\n", "#Topic", "#SubExpression")
	for _, s := range subs {
		c.Say("%-20s %s\n", s.Topic, s.Expression)
	}
	c.Say("\nConsumeType: %s\nMessageModel: %s\nConsumeFromWhere: %s\n", g.Type, model(&g), g.FromWhere)
	return nil
}

func producerConnection(c *Call) error {
	_, holders, err := c.holders(c.Str("t"))
	if err != nil {
		return err
	}
	var list []mq.Connection
	for _, h := range holders {
		if list, err = h.broker.Producers(c.Ctx, c.Str("g")); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	for i, r := range connRows(list) {
		c.Row(r, "%04d  %-32s %-22s %-8s %s\n", i+1, r.Client, r.Addr, r.Language, r.Version)
	}
	return nil
}

func allProducers(c *Call) error {
	all, err := c.Broker(c.Str("b")).AllProducers(c.Ctx)
	if err != nil {
		return err
	}
	var groups []string
	for g := range all {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for _, g := range groups {
		if len(all[g]) == 0 {
			c.Say("producer group (%s) instances are empty\n", g)
		}
		for _, p := range all[g] {
			v := struct {
				Group string `json:"group"`
				connRow
				LastSeen int64 `json:"lastUpdateMs"`
			}{g, connRow{p.ClientID, remoteText(p.Remote), p.Language, mq.VersionName(p.Version)}, p.LastSeen}
			c.Row(v, "producer group (%s) instance : clientId=%s,remoteIP=/%s, language=%s, version=%d, lastUpdateTimestamp=%d\n", g, p.ClientID, v.Addr, p.Language, p.Version, p.LastSeen)
		}
	}
	return nil
}
