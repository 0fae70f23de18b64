package grpcapi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cometmq/cometmq/internal/api/grpcapi"
	"github.com/cometmq/cometmq/internal/broker"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// rig is a door before a broker in memory, and a client of it, in a bubble with virtual time.
type rig struct {
	*testing.T
	ctx    context.Context // with the headers of the client
	core   *broker.Broker
	door   *grpcapi.Door
	client v2.MessagingServiceClient
	dial   func() (v2.MessagingServiceClient, func())
	topics int
}

// bubble runs f with a rig. What tune changes are the options of the door and of the broker.
func bubble(t *testing.T, f func(*rig), tune ...func(*grpcapi.Options, *broker.Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		addr := netip.MustParseAddrPort("10.0.0.2:10911")
		fs := vfs.NewMem(vfs.MemOptions{})
		do := grpcapi.Options{Broker: "broker-a"}
		bo := broker.Options{Name: "broker-a", Addr: addr, FS: fs, Dir: "/store", AutoCreateGroup: true}
		for _, f := range tune {
			f(&do, &bo)
		}
		store, err := storage.Open(fs, storage.Options{Dir: "/store", SegmentSize: 4 << 20, QueueFileSize: 60_000, CacheBytes: 1 << 20, StoreHost: addr, IndexEnabled: true, IndexSlots: 100, IndexCapacity: 400})
		must(t, err)
		bo.Store = store
		core, err := broker.Open(bo)
		must(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 3)
		go func() { done <- store.Run(ctx) }()
		go func() { done <- core.Run(ctx) }()
		door := grpcapi.New(do)
		door.Swap(&grpcapi.Core{Service: core, Admin: core})
		l := bufconn.Listen(1 << 20)
		go func() { done <- door.Serve(l) }()
		r := &rig{T: t, core: core, door: door}
		r.dial = func() (v2.MessagingServiceClient, func()) {
			conn, err := grpc.NewClient("passthrough:///127.0.0.1:8081", grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
			must(t, err)
			return v2.NewMessagingServiceClient(conn), func() { must(t, conn.Close()) }
		}
		var hangUp func()
		r.client, hangUp = r.dial()
		r.ctx = as(t.Context(), "client-1")
		t.Cleanup(func() {
			hangUp()
			end, stop := context.WithTimeout(context.Background(), time.Minute)
			door.Close(end)
			stop()
			cancel()
			must(t, errors.Join(<-done, <-done, <-done, core.Close(), store.Close()))
		})
		f(r)
	})
}

// as gives a context the headers of a client.
func as(ctx context.Context, id string) context.Context {
	return metadata.NewOutgoingContext(ctx, metadata.Pairs("x-mq-client-id", id, "x-mq-language", "GO", "x-mq-client-version", "5.1.0"))
}

// topic makes a topic of one type; "" leaves that out.
func (r *rig) topic(name, kind string, queues int32) {
	r.Helper()
	t := mq.TopicConfig{Name: name, ReadQueues: queues, WriteQueues: queues, Perm: 6}
	if kind != "" {
		t.Attributes = map[string]string{"+message.type": kind}
	}
	must(r, r.core.PutTopic(r.ctx, t))
}

func (r *rig) group(g mq.GroupConfig) {
	r.Helper()
	must(r, r.core.PutGroup(r.ctx, g))
}

func res(name string) *v2.Resource { return &v2.Resource{Name: name} }

// message is one that is in order.
func (r *rig) message(topic, body string) *v2.Message {
	r.topics++
	return &v2.Message{Topic: res(topic), Body: []byte(body), SystemProperties: &v2.SystemProperties{
		MessageId: fmt.Sprintf("%032X", r.topics), MessageType: v2.MessageType_NORMAL, BodyEncoding: v2.Encoding_IDENTITY,
	}}
}

func (r *rig) sendAll(list ...*v2.Message) *v2.SendMessageResponse {
	r.Helper()
	resp, err := r.client.SendMessage(r.ctx, &v2.SendMessageRequest{Messages: list})
	must(r, err)
	return resp
}

// send stores a message and returns its outcome.
func (r *rig) send(m *v2.Message) *v2.SendResultEntry {
	r.Helper()
	resp := r.sendAll(m)
	r.ok(resp.GetStatus())
	if len(resp.GetEntries()) != 1 {
		r.Fatalf("%d entries", len(resp.GetEntries()))
	}
	return resp.GetEntries()[0]
}

func (r *rig) ok(st *v2.Status) {
	r.Helper()
	r.is(st, v2.Code_OK)
}

func (r *rig) is(st *v2.Status, want v2.Code) {
	r.Helper()
	if st.GetCode() != want || st.GetMessage() == "" {
		r.Fatalf("status %v %q, want %v", st.GetCode(), st.GetMessage(), want)
	}
}

// ask is a request for messages that is in order.
func ask(group, topic string) *v2.ReceiveMessageRequest {
	return &v2.ReceiveMessageRequest{
		Group: res(group), MessageQueue: &v2.MessageQueue{Topic: res(topic)}, BatchSize: 32, InvisibleDuration: durationpb.New(30 * time.Second),
		FilterExpression: &v2.FilterExpression{Type: v2.FilterType_TAG, Expression: "*"}, LongPollingTimeout: durationpb.New(5 * time.Second),
	}
}

// receive returns what a request gets: the status comes first and the time last.
func (r *rig) receive(q *v2.ReceiveMessageRequest) (*v2.Status, []*v2.Message) {
	r.Helper()
	return r.receiveAs(r.ctx, q)
}

func (r *rig) receiveAs(ctx context.Context, q *v2.ReceiveMessageRequest) (st *v2.Status, list []*v2.Message) {
	r.Helper()
	stream, err := r.client.ReceiveMessage(ctx, q)
	must(r, err)
	for i := 0; ; i++ {
		resp, err := stream.Recv()
		must(r, err)
		switch c := resp.GetContent().(type) {
		case *v2.ReceiveMessageResponse_Status:
			if i != 0 {
				r.Fatalf("a status as part %d", i)
			}
			st = c.Status
		case *v2.ReceiveMessageResponse_Message:
			list = append(list, c.Message)
		case *v2.ReceiveMessageResponse_DeliveryTimestamp:
			if st == nil {
				r.Fatal("no status")
			}
			return st, list
		}
	}
}

// take receives so many messages, perhaps in several requests.
func (r *rig) take(q *v2.ReceiveMessageRequest, n int) []*v2.Message {
	r.Helper()
	var all []*v2.Message
	for len(all) < n {
		st, list := r.receive(q)
		if len(list) == 0 {
			r.Fatalf("%d messages, want %d: %v", len(all), n, st)
		}
		all = append(all, list...)
	}
	if len(all) > n {
		r.Fatalf("%d messages, want %d", len(all), n)
	}
	return all
}

func (r *rig) ack(group, topic string, list ...*v2.Message) *v2.AckMessageResponse {
	r.Helper()
	q := &v2.AckMessageRequest{Group: res(group), Topic: res(topic)}
	for _, m := range list {
		q.Entries = append(q.Entries, &v2.AckMessageEntry{
			MessageId: m.GetSystemProperties().GetMessageId(), ReceiptHandle: m.GetSystemProperties().GetReceiptHandle(),
		})
	}
	resp, err := r.client.AckMessage(r.ctx, q)
	must(r, err)
	return resp
}

// offsetOf is where the first of some records is.
func offsetOf(r *rig, records []byte) mq.Offset {
	r.Helper()
	h, err := record.Header(records)
	must(r, err)
	return h.Offset
}
