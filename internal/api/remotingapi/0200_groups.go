package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/wireconf"
)

// UPDATE_AND_CREATE_SUBSCRIPTIONGROUP (200), GET_ALL_SUBSCRIPTIONGROUP_CONFIG (201), DELETE_SUBSCRIPTIONGROUP (207),
// GET_SUBSCRIPTIONGROUP_CONFIG (352). Code 201 answers everything at once, as code 21 does.

func updateGroup(a *API, s *session, r *remoting.Request) {
	var body protocol.SubscriptionGroupConfig
	if err := body.Decode(r.Body); err != nil {
		s.fail(r, err)
		return
	}
	g := wireconf.ToGroup(&body)
	s.administer(r, func() error { return a.adm.PutGroup(a.ctx, g) })
}

func allGroupConfig(a *API, s *session, r *remoting.Request) {
	to := r.ReplyTo()
	s.later(to, func() {
		gs, v, err := a.adm.Groups(a.ctx)
		if err != nil {
			s.failLater(to, err)
			return
		}
		body := protocol.SubscriptionGroupWrapper{DataVersion: version(v)}
		for i := range gs {
			body.SubscriptionGroupTable = append(body.SubscriptionGroupTable, wireconf.FromGroup(&gs[i]))
		}
		s.conn.Reply(to, protocol.RespSuccess, "", &protocol.GetAllSubscriptionGroupResponseHeader{TotalGroupNum: int32(len(gs))},
			body.AppendTo(nil, false))
	})
}

func groupConfig(a *API, s *session, r *remoting.Request) {
	var h protocol.GetSubscriptionGroupConfigRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	g, err := a.adm.Group(a.ctx, h.Group)
	if err != nil {
		s.fail(r, err)
		return
	}
	body := wireconf.FromGroup(&g)
	s.ok(r, nil, body.AppendTo(nil, false))
}

func deleteGroup(a *API, s *session, r *remoting.Request) {
	var h protocol.DeleteSubscriptionGroupRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	name, clean := strings.Clone(h.GroupName), h.CleanOffset
	s.administer(r, func() error { return a.adm.DeleteGroup(a.ctx, name, clean) })
}
