package grpcapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/api/grpcapi"
	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		put := func(name string, read, write int32, perm mq.Perm, kind string) {
			c := mq.TopicConfig{Name: name, ReadQueues: read, WriteQueues: write, Perm: perm}
			if kind != "" {
				c.Attributes = map[string]string{"+message.type": kind}
			}
			must(r, r.core.PutTopic(r.ctx, c))
		}
		put("both", 2, 2, 6, "")
		put("reads", 3, 1, 6, "FIFO")
		put("writes", 1, 2, 6, "PRIORITY")
		put("read", 2, 2, 4, "DELAY")
		put("write", 2, 2, 2, "TRANSACTION")
		route := func(topic string, own *v2.Endpoints) (text string, at *v2.Endpoints) {
			resp, err := r.client.QueryRoute(r.ctx, &v2.QueryRouteRequest{Topic: res(topic), Endpoints: own})
			must(r, err)
			r.ok(resp.GetStatus())
			var all []string
			for i, q := range resp.GetMessageQueues() {
				if q.GetId() != int32(i) || q.GetTopic().GetName() != topic || q.GetBroker().GetName() != "broker-a" || q.GetBroker().GetId() != 0 {
					r.Errorf("%s: %v", topic, q)
				}
				all = append(all, q.GetPermission().String())
				at = q.GetBroker().GetEndpoints()
			}
			types := fmt.Sprint(resp.GetMessageQueues()[0].GetAcceptMessageTypes())
			return strings.Join(all, " ") + " " + types, at
		}
		for topic, want := range map[string]string{
			"both":   "READ_WRITE READ_WRITE [NORMAL]",
			"reads":  "READ READ READ_WRITE [FIFO]",
			"writes": "WRITE READ_WRITE [PRIORITY]",
			"read":   "READ READ [DELAY]",
			"write":  "WRITE WRITE [TRANSACTION]",
		} {
			got, at := route(topic, nil)
			if got != want {
				r.Errorf("%s: %s, want %s", topic, got, want)
			}
			if at.GetScheme() != v2.AddressScheme_IPv4 || at.GetAddresses()[0].GetHost() != "127.0.0.1" || at.GetAddresses()[0].GetPort() != 8081 {
				r.Errorf("%s is at %v, want what was dialed", topic, at)
			}
		}
		_, at := route("both", &v2.Endpoints{Scheme: v2.AddressScheme_DOMAIN_NAME, Addresses: []*v2.Address{{Host: "mq", Port: 30081}}})
		if at.GetScheme() != v2.AddressScheme_DOMAIN_NAME || at.GetAddresses()[0].GetPort() != 30081 {
			r.Errorf("%v, want what the client was given", at)
		}

		assigned := func(group string) (ids []int32) {
			resp, err := r.client.QueryAssignment(r.ctx, &v2.QueryAssignmentRequest{Group: res(group), Topic: res("reads")})
			must(r, err)
			r.ok(resp.GetStatus())
			for _, a := range resp.GetAssignments() {
				if len(a.GetMessageQueue().GetBroker().GetEndpoints().GetAddresses()) != 1 {
					r.Errorf("%v", a)
				}
				ids = append(ids, a.GetMessageQueue().GetId())
			}
			return ids
		}
		g := mq.DefaultGroupConfig("fifo")
		g.ConsumeMessageOrderly = true
		r.group(g)
		if got := fmt.Sprint(assigned("any"), assigned("fifo")); got != "[-1] [0 1 2]" {
			r.Error(got)
		}
	})
}

func TestConfiguredAddress(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.topic("T", "", 1)
		resp, err := r.client.QueryRoute(r.ctx, &v2.QueryRouteRequest{
			Topic: res("T"), Endpoints: &v2.Endpoints{Scheme: v2.AddressScheme_IPv4, Addresses: []*v2.Address{{Host: "10.0.0.9", Port: 1}}},
		})
		must(r, err)
		at := resp.GetMessageQueues()[0].GetBroker().GetEndpoints()
		if at.GetScheme() != v2.AddressScheme_DOMAIN_NAME || at.GetAddresses()[0].GetHost() != "mq.example.com" || at.GetAddresses()[0].GetPort() != 443 {
			r.Errorf("%v", at)
		}
	}, func(o *grpcapi.Options, _ *broker.Options) { o.Advertise = "mq.example.com:443" })
}
