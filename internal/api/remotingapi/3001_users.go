package remotingapi

import (
	"strings"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// AUTH_CREATE_USER, AUTH_UPDATE_USER, AUTH_DELETE_USER, AUTH_GET_USER, AUTH_LIST_USER (3001 to 3005). What a super user alone may do is
// decided by the AccessKey of the request, which is worth what the authentication of this broker is worth.
//
// Differs from Java: the answers to 3004 and 3005 carry no passwords. So mqadmin copyUser cannot copy users from here; it says that the
// password is blank.

// authHandlers are the requests about users and policies.
func authHandlers() map[int32]handler {
	return map[int32]handler{
		protocol.ReqAuthCreateUser: guarded(createUser),
		protocol.ReqAuthUpdateUser: guarded(updateUser),
		protocol.ReqAuthDeleteUser: guarded(deleteUser),
		protocol.ReqAuthGetUser:    guarded(getUser),
		protocol.ReqAuthListUser:   guarded(listUsers),
		protocol.ReqAuthCreateACL:  guarded(putACL),
		protocol.ReqAuthUpdateACL:  guarded(putACL),
		protocol.ReqAuthDeleteACL:  guarded(deleteACL),
		protocol.ReqAuthGetACL:     guarded(getACL),
		protocol.ReqAuthListACL:    guarded(listACLs),
	}
}

// HandleUsers serves the requests about users and policies on a server that is no broker.
//
// Differs from Java: its name servers and controllers have no users.
func HandleUsers(rs *remoting.Server, g *auth.Guard) {
	a := &API{o: Options{Auth: g}}
	for code, h := range authHandlers() {
		rs.Handle(code, func(c *remoting.Conn, r *remoting.Request) { h(a, &session{a: a, conn: c}, r) })
	}
}

const (
	textNoAuth    = "An system error occurred, please try again later." // Java's, when no metadata provider is configured
	textBlankUser = "The username is blank"
)

// guarded is a handler that needs who keeps users. Without one the request is refused.
func guarded(f func(g *auth.Guard, s *session, r *remoting.Request)) handler {
	return func(a *API, s *session, r *remoting.Request) {
		if a.o.Auth == nil {
			s.conn.Reply(r.ReplyTo(), protocol.RespSystemError, textNoAuth, nil, nil)
			return
		}
		f(a.o.Auth, s, r)
	}
}

// by is who sends r.
func (s *session) by(r *remoting.Request) auth.By {
	key, _ := r.Fields.Get(auth.FieldAccessKey)
	return auth.By{User: string(key), From: s.conn.Remote().String()}
}

// manage runs a change on the workers, since it waits for the disk.
func (s *session) manage(r *remoting.Request, change func() error) {
	to := r.ReplyTo()
	s.later(to, func() {
		code, remark := managed(change())
		s.conn.Reply(to, code, remark, nil, nil)
	})
}

// managed is the answer to a change.
func managed(err error) (code int32, remark string) {
	if err == nil {
		return protocol.RespSuccess, ""
	}
	if text, ok := auth.AsRefused(err); ok {
		return protocol.RespNoPermission, text
	}
	// Differs from Java: it says "An system error occurred, please try again later." whatever it was.
	return protocol.RespSystemError, err.Error()
}

// userBody reads the user of 3001 and 3002. ok is false when r has been answered.
func (s *session) userBody(r *remoting.Request, name string) (u *protocol.UserInfo, ok bool) {
	if name == "" {
		s.conn.Reply(r.ReplyTo(), protocol.RespInvalidParameter, textBlankUser, nil, nil)
		return nil, false
	}
	u = new(protocol.UserInfo)
	if err := u.Decode(r.Body); err != nil {
		s.fail(r, err)
		return nil, false
	}
	u.Username = strings.Clone(name)
	return u, true
}

func createUser(g *auth.Guard, s *session, r *remoting.Request) {
	var h protocol.CreateUserRequestHeader
	_ = h.Decode(r.Fields) // texts only
	if u, ok := s.userBody(r, h.Username); ok {
		by := s.by(r)
		s.manage(r, func() error { return g.CreateUser(by, u) })
	}
}

func updateUser(g *auth.Guard, s *session, r *remoting.Request) {
	var h protocol.UpdateUserRequestHeader
	_ = h.Decode(r.Fields)
	if u, ok := s.userBody(r, h.Username); ok {
		by := s.by(r)
		s.manage(r, func() error { return g.UpdateUser(by, u) })
	}
}

func deleteUser(g *auth.Guard, s *session, r *remoting.Request) {
	var h protocol.DeleteUserRequestHeader
	_ = h.Decode(r.Fields)
	by, name := s.by(r), strings.Clone(h.Username)
	s.manage(r, func() error { return g.DeleteUser(by, name) })
}

func getUser(g *auth.Guard, s *session, r *remoting.Request) {
	var h protocol.GetUserRequestHeader
	_ = h.Decode(r.Fields)
	if strings.TrimSpace(h.Username) == "" {
		s.conn.Reply(r.ReplyTo(), protocol.RespInvalidParameter, textBlankUser, nil, nil)
		return
	}
	var body []byte
	if u, ok := g.User(h.Username); ok {
		body = u.AppendTo(nil, false)
	}
	s.ok(r, nil, body)
}

func listUsers(g *auth.Guard, s *session, r *remoting.Request) {
	var h protocol.ListUsersRequestHeader
	_ = h.Decode(r.Fields)
	var body []byte
	if all := g.Users(h.Filter); len(all) > 0 {
		body = protocol.AppendUsers(nil, all)
	}
	s.ok(r, nil, body)
}
