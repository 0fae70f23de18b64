package remotingapi

import (
	"errors"
	"strings"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// AUTH_CREATE_ACL, AUTH_UPDATE_ACL, AUTH_DELETE_ACL, AUTH_GET_ACL, AUTH_LIST_ACL (3006 to 3010). To create and to update are the same,
// as in Java: entries about resources that are there already take their place.

var errNoPolicies = errors.New("The body of acl is null") //nolint:staticcheck // Java's text

func putACL(g *auth.Guard, s *session, r *remoting.Request) {
	var h protocol.CreateAclRequestHeader // that of an update is the same
	_ = h.Decode(r.Fields)
	in := new(protocol.ACLInfo)
	if err := in.Decode(r.Body); err != nil {
		s.fail(r, err)
		return
	}
	if len(in.Policies) == 0 {
		s.fail(r, errNoPolicies)
		return
	}
	by, subject := s.by(r), strings.Clone(h.Subject)
	s.manage(r, func() error { return g.PutACL(by, subject, in) })
}

func deleteACL(g *auth.Guard, s *session, r *remoting.Request) {
	var h protocol.DeleteAclRequestHeader
	_ = h.Decode(r.Fields)
	by, subject, kind, resource := s.by(r), strings.Clone(h.Subject), strings.Clone(h.PolicyType), strings.Clone(h.Resource)
	s.manage(r, func() error { return g.DeleteACL(by, subject, kind, resource) })
}

func getACL(g *auth.Guard, s *session, r *remoting.Request) {
	var h protocol.GetAclRequestHeader
	_ = h.Decode(r.Fields)
	acl, err := g.ACL(h.Subject)
	if err != nil {
		code, remark := managed(err)
		s.conn.Reply(r.ReplyTo(), code, remark, nil, nil)
		return
	}
	var body []byte
	if acl != nil {
		body = acl.AppendTo(nil, false)
	}
	s.ok(r, nil, body)
}

func listACLs(g *auth.Guard, s *session, r *remoting.Request) {
	var h protocol.ListAclsRequestHeader
	_ = h.Decode(r.Fields)
	var body []byte
	if all := g.ACLs(h.SubjectFilter, h.ResourceFilter); len(all) > 0 {
		body = protocol.AppendACLs(nil, all)
	}
	s.ok(r, nil, body)
}
