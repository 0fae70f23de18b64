package cluster

import (
	"context"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// list reads a JSON array, or nothing.
func (b *broker) list(ctx context.Context, code int32, h remoting.HeaderAppender, each func(data []byte) error) error {
	return b.read(ctx, code, h, func(data []byte) error {
		if len(data) == 0 {
			return nil
		}
		v, err := fastjson.Parse(data)
		if err != nil {
			return err
		}
		for _, e := range v.Arr() {
			if err := each(e.AppendTo(nil, fastjson.Compact)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *broker) PutUser(ctx context.Context, u mq.User, create bool) error {
	body := protocol.UserInfo{Username: u.Name, Password: u.Password, UserType: u.Type, UserStatus: u.Status}
	var h remoting.HeaderAppender = &protocol.UpdateUserRequestHeader{Username: u.Name}
	code := protocol.ReqAuthUpdateUser
	if create {
		code, h = protocol.ReqAuthCreateUser, &protocol.CreateUserRequestHeader{Username: u.Name}
	}
	_, err := b.call(ctx, code, h, body.AppendTo(nil, false))
	return err
}

func (b *broker) DeleteUser(ctx context.Context, name string) error {
	_, err := b.call(ctx, protocol.ReqAuthDeleteUser, &protocol.DeleteUserRequestHeader{Username: name}, nil)
	return err
}

func user(u *protocol.UserInfo) mq.User {
	return mq.User{Name: u.Username, Password: u.Password, Type: u.UserType, Status: u.UserStatus}
}

func (b *broker) Users(ctx context.Context, filter string) ([]mq.User, error) {
	var out []mq.User
	err := b.list(ctx, protocol.ReqAuthListUser, &protocol.ListUsersRequestHeader{Filter: filter}, func(data []byte) error {
		var u protocol.UserInfo
		err := u.Decode(data)
		out = append(out, user(&u))
		return err
	})
	return out, err
}

func (b *broker) User(ctx context.Context, name string) (*mq.User, error) {
	var out *mq.User
	err := b.read(ctx, protocol.ReqAuthGetUser, &protocol.GetUserRequestHeader{Username: name}, func(data []byte) error {
		if len(data) == 0 {
			return nil
		}
		var u protocol.UserInfo
		err := u.Decode(data)
		found := user(&u)
		out = &found
		return err
	})
	return out, err
}

func (b *broker) PutACL(ctx context.Context, a mq.ACL, create bool) error {
	body := protocol.ACLInfo{Subject: a.Subject}
	for _, p := range a.Policies {
		info := protocol.PolicyInfo{PolicyType: p.Type}
		for _, e := range p.Entries {
			info.Entries = append(info.Entries, protocol.PolicyEntryInfo{Resource: e.Resource, Actions: e.Actions, SourceIPs: e.Sources, Decision: e.Decision})
		}
		body.Policies = append(body.Policies, info)
	}
	var h remoting.HeaderAppender = &protocol.UpdateAclRequestHeader{Subject: a.Subject}
	code := protocol.ReqAuthUpdateACL
	if create {
		code, h = protocol.ReqAuthCreateACL, &protocol.CreateAclRequestHeader{Subject: a.Subject}
	}
	_, err := b.call(ctx, code, h, body.AppendTo(nil, false))
	return err
}

func (b *broker) DeleteACL(ctx context.Context, subject, resource string) error {
	_, err := b.call(ctx, protocol.ReqAuthDeleteACL, &protocol.DeleteAclRequestHeader{Subject: subject, Resource: resource}, nil)
	return err
}

func acl(a *protocol.ACLInfo) mq.ACL {
	out := mq.ACL{Subject: a.Subject}
	for _, p := range a.Policies {
		np := mq.Policy{Type: p.PolicyType}
		for _, e := range p.Entries {
			np.Entries = append(np.Entries, mq.PolicyEntry{Resource: e.Resource, Actions: e.Actions, Sources: e.SourceIPs, Decision: e.Decision})
		}
		out.Policies = append(out.Policies, np)
	}
	return out
}

func (b *broker) ACLs(ctx context.Context, subject, resource string) ([]mq.ACL, error) {
	var out []mq.ACL
	h := &protocol.ListAclsRequestHeader{SubjectFilter: subject, ResourceFilter: resource}
	err := b.list(ctx, protocol.ReqAuthListACL, h, func(data []byte) error {
		var a protocol.ACLInfo
		err := a.Decode(data)
		out = append(out, acl(&a))
		return err
	})
	return out, err
}

func (b *broker) ACL(ctx context.Context, subject string) (*mq.ACL, error) {
	var out *mq.ACL
	err := b.read(ctx, protocol.ReqAuthGetACL, &protocol.GetAclRequestHeader{Subject: subject}, func(data []byte) error {
		if len(data) == 0 {
			return nil
		}
		var a protocol.ACLInfo
		err := a.Decode(data)
		found := acl(&a)
		out = &found
		return err
	})
	return out, err
}
