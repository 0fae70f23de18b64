package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/wireconf"
)

// UPDATE_AND_CREATE_TOPIC_LIST (18), UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST (225), GET_SYSTEM_TOPIC_LIST_FROM_BROKER (305),
// UPDATE_AND_GET_GROUP_FORBIDDEN (353).
//
// Differs from Java: a list of topics is not cut short at one that exists already as it is asked for.

func updateTopics(a *API, s *session, r *remoting.Request) {
	var body protocol.CreateTopicListRequestBody
	if err := body.Decode(r.Body); err != nil {
		s.fail(r, err)
		return
	}
	list := make([]mq.TopicConfig, 0, len(body.TopicConfigList))
	for i := range body.TopicConfigList {
		list = append(list, wireconf.ToTopic(&body.TopicConfigList[i]))
	}
	s.administer(r, func() error { return a.adm.PutTopics(a.ctx, list) })
}

func updateGroups(a *API, s *session, r *remoting.Request) {
	var body protocol.SubscriptionGroupList
	if err := body.Decode(r.Body); err != nil {
		s.fail(r, err)
		return
	}
	list := make([]mq.GroupConfig, 0, len(body.GroupConfigList))
	for i := range body.GroupConfigList {
		list = append(list, wireconf.ToGroup(&body.GroupConfigList[i]))
	}
	s.administer(r, func() error { return a.adm.PutGroups(a.ctx, list) })
}

func systemTopics(a *API, s *session, r *remoting.Request) {
	s.look(r, func(dst []byte) ([]byte, error) {
		names, err := a.adm.SystemTopics(a.ctx)
		if err != nil {
			return nil, err
		}
		body := protocol.TopicList{TopicList: names}
		return body.AppendTo(dst, false), nil
	})
}

func groupForbidden(a *API, s *session, r *remoting.Request) {
	var h protocol.UpdateGroupForbiddenRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, err)
		return
	}
	body := protocol.GroupForbidden{Group: strings.Clone(h.Group), Topic: strings.Clone(h.Topic)}
	change, forbid := h.HasReadable, !h.Readable
	s.look(r, func(dst []byte) ([]byte, error) {
		if change {
			if err := a.adm.Forbid(a.ctx, body.Group, body.Topic, forbid); err != nil {
				return nil, err
			}
		}
		forbidden, err := a.adm.Forbidden(a.ctx, body.Group, body.Topic)
		if err != nil {
			return nil, err
		}
		body.Readable = !forbidden
		return body.AppendTo(dst, false), nil
	})
}
