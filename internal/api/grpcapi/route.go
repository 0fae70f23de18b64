package grpcapi

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/auth"
	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

// anyQueue is the id of an assignment that stands for all queues of a broker.
const anyQueue = -1

// QueryRoute tells where the queues of a topic are: here.
//
// Differs from Java: as in its local mode the queues of one broker are told, but with the address that the client has reached. There it is
// brokerIP1, or in cluster mode the client's own address with the proxy's port, neither of which is right behind a port mapping.
func (d *Door) QueryRoute(ctx context.Context, r *v2.QueryRouteRequest) (*v2.QueryRouteResponse, error) {
	resp := &v2.QueryRouteResponse{}
	resp.Status = d.serve(ctx, famRoute, func(c *call) error {
		if err := c.may(auth.Topic(r.GetTopic().GetName()), auth.Pub, auth.Sub); err != nil {
			return err
		}
		topic, err := topicOf(r.GetTopic())
		if err != nil {
			return err
		}
		t, err := c.core.Admin.Topic(ctx, topic)
		if err != nil {
			return err
		}
		at, err := c.endpoints(r.GetEndpoints())
		if err != nil {
			return err
		}
		broker := &v2.Broker{Name: d.o.Broker, Id: int32(c.core.ID), Endpoints: at}
		resp.MessageQueues = queuesOf(&t, broker)
		return nil
	})
	return resp, nil
}

// maxQueues bounds the queues of a route: the core has no more either.
const maxQueues = 65_536

// queuesOf numbers the queues of a topic as Java does: those that can only be read, then those that can only be written, then the rest.
func queuesOf(t *mq.TopicConfig, b *v2.Broker) []*v2.MessageQueue {
	read, write, both := int32(0), int32(0), int32(0)
	perm := v2.Permission_NONE
	r, w := min(max(t.ReadQueues, 0), maxQueues), min(max(t.WriteQueues, 0), maxQueues)
	switch {
	case t.Perm.Readable() && t.Perm.Writable():
		both = min(r, w)
		read, write = r-both, w-both
	case t.Perm.Readable():
		read = r
	case t.Perm.Writable():
		write = w
	default:
		both = max(1, r, w)
	}
	if t.Perm.Readable() && t.Perm.Writable() {
		perm = v2.Permission_READ_WRITE
	}
	types := typesOf(t)
	out := make([]*v2.MessageQueue, 0, read+write+both)
	add := func(n int32, p v2.Permission) {
		for range n {
			out = append(out, &v2.MessageQueue{
				Topic: resource(t.Name), Id: int32(len(out)), Permission: p, Broker: b, AcceptMessageTypes: types,
			})
		}
	}
	add(read, v2.Permission_READ)
	add(write, v2.Permission_WRITE)
	add(both, perm)
	return out
}

// resource is how a stored name is told: ns%name has a namespace, also behind the prefixes of retry topics and dead letters.
func resource(stored string) *v2.Resource {
	prefix, name := "", stored
	for _, p := range [...]string{retryPrefix, dlqPrefix} {
		if rest, ok := strings.CutPrefix(name, p); ok {
			prefix, name = p, rest
		}
	}
	if ns, rest, ok := strings.Cut(name, "%"); ok && ns != "" && rest != "" {
		return &v2.Resource{ResourceNamespace: ns, Name: prefix + rest}
	}
	return &v2.Resource{Name: stored}
}

// endpoints is where clients are to go on: what is configured, else what the client says it was given, else what it has dialed.
func (c *call) endpoints(own *v2.Endpoints) (*v2.Endpoints, error) {
	if a := c.d.o.Advertise; a != "" {
		return endpointsOf(a), nil
	}
	if len(own.GetAddresses()) > 0 {
		scheme := own.GetScheme()
		if scheme == v2.AddressScheme_ADDRESS_SCHEME_UNSPECIFIED {
			scheme = schemeOf(own.GetAddresses()[0].GetHost())
		}
		return &v2.Endpoints{Scheme: scheme, Addresses: slices.Clone(own.GetAddresses())}, nil
	}
	if e := endpointsOf(header(c.ctx, ":authority")); e != nil {
		return e, nil
	}
	return nil, refuse(v2.Code_ILLEGAL_ACCESS_POINT, "the request has no endpoints, and its authority is no host:port")
}

// endpointsOf reads host:port, nil when it is none.
func endpointsOf(addr string) *v2.Endpoints {
	host, text, err := net.SplitHostPort(addr)
	port, perr := strconv.ParseUint(text, 10, 16)
	if err != nil || perr != nil || host == "" || port == 0 {
		return nil
	}
	return &v2.Endpoints{Scheme: schemeOf(host), Addresses: []*v2.Address{{Host: host, Port: int32(port)}}}
}

func schemeOf(host string) v2.AddressScheme {
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return v2.AddressScheme_DOMAIN_NAME
	case ip.Unmap().Is4():
		return v2.AddressScheme_IPv4
	}
	return v2.AddressScheme_IPv6
}

// QueryAssignment tells a push consumer from which queues it may receive: for a FIFO group each one of the topic, else the broker. Each
// consumer of the group gets all of them.
func (d *Door) QueryAssignment(ctx context.Context, r *v2.QueryAssignmentRequest) (*v2.QueryAssignmentResponse, error) {
	resp := &v2.QueryAssignmentResponse{}
	resp.Status = d.serve(ctx, famRoute, func(c *call) error {
		if err := c.mayConsume(r.GetGroup().GetName(), r.GetTopic().GetName()); err != nil {
			return err
		}
		group, topic, err := groupAndTopic(r.GetGroup(), r.GetTopic())
		if err != nil {
			return err
		}
		t, err := c.core.Admin.Topic(ctx, topic)
		if err != nil {
			return err
		}
		if !t.Perm.Readable() || t.ReadQueues <= 0 {
			return refuse(v2.Code_FORBIDDEN, "no readable queue")
		}
		at, err := c.endpoints(r.GetEndpoints())
		if err != nil {
			return err
		}
		perm := v2.Permission_READ
		if t.Perm.Writable() {
			perm = v2.Permission_READ_WRITE
		}
		add := func(id int32) {
			resp.Assignments = append(resp.Assignments, &v2.Assignment{MessageQueue: &v2.MessageQueue{
				Topic: resource(topic), Id: id, Permission: perm, Broker: &v2.Broker{Name: d.o.Broker, Endpoints: at},
			}})
		}
		g := c.group(group)
		if !g.ConsumeMessageOrderly || g.Attributes[attrLiteTopic] != "" {
			add(anyQueue)
			return nil
		}
		for id := range min(t.ReadQueues, maxQueues) {
			add(id)
		}
		return nil
	})
	return resp, nil
}

// attrLiteTopic is the attribute of a group that consumes lite topics: their parent.
const attrLiteTopic = "lite.bind.topic"

// group returns the configuration of a group, Java's defaults when it has none.
func (c *call) group(name string) mq.GroupConfig {
	g, err := c.core.Admin.Group(c.ctx, name)
	if err != nil {
		return mq.DefaultGroupConfig(name)
	}
	return g
}
