package node

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/cometmq/cometmq/internal/mq"
	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

const grpcAddr = "127.0.0.1:8081"

// Clients of gRPC are served by the broker of the process, keep their connection when its role changes, and nothing is left of it at the end.
func TestClientsOfGRPC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.start(w.options(map[string]string{"enableGrpc": "true"}))
	if n.GRPCAddr() != grpcAddr {
		t.Errorf("at %q", n.GRPCAddr())
	}
	conn, err := grpc.NewClient("passthrough:///"+grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return w.net.Dial(ctx, "tcp", addr) }))
	must(t, err)
	c := v2.NewMessagingServiceClient(conn)
	ctx := metadata.NewOutgoingContext(t.Context(), metadata.Pairs("x-mq-client-id", "c"))
	must(t, n.broker.now().core.PutTopic(ctx, mq.TopicConfig{Name: "T", ReadQueues: 1, WriteQueues: 1, Perm: 6}))
	send := func(id string) {
		t.Helper()
		r, serr := c.SendMessage(ctx, &v2.SendMessageRequest{Messages: []*v2.Message{{
			Topic: &v2.Resource{Name: "T"}, Body: []byte("x"), SystemProperties: &v2.SystemProperties{MessageId: id},
		}}})
		must(t, serr)
		if r.GetStatus().GetCode() != v2.Code_OK {
			t.Fatalf("%v", r)
		}
	}
	send("1")
	must(t, n.Become(ctx, Role{Kind: Master}))
	send("2")
	r, err := c.QueryRoute(ctx, &v2.QueryRouteRequest{Topic: &v2.Resource{Name: "T"}})
	must(t, err)
	if a := r.GetMessageQueues()[0].GetBroker().GetEndpoints().GetAddresses(); a[0].GetHost() != "127.0.0.1" || a[0].GetPort() != 8081 {
		t.Errorf("%v, want what was dialed", a)
	}
	// A stream does not keep the process from ending.
	stream, err := c.Telemetry(ctx)
	must(t, err)
	must(t, stream.Send(&v2.TelemetryCommand{Command: &v2.TelemetryCommand_Settings{Settings: &v2.Settings{
		ClientType: v2.ClientType_PRODUCER.Enum(), PubSub: &v2.Settings_Publishing{Publishing: &v2.Publishing{Topics: []*v2.Resource{{Name: "T"}}}},
	}}}))
	if _, err = stream.Recv(); err != nil {
		t.Error(err)
	}
	must(t, n.Shutdown(t.Context()))
	must(t, conn.Close())
	w.free()
	l, err := w.net.Listen(grpcAddr)
	if err != nil {
		t.Fatalf("still in use: %v", err)
	}
	must(t, l.Close())
}

func TestWithoutGRPC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.start(w.options(nil))
	if n.GRPCAddr() != "" || n.broker.grpc != nil {
		t.Errorf("at %q", n.GRPCAddr())
	}
	must(t, n.Shutdown(t.Context()))
}

func TestAGRPCPortThatIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, err := w.net.Listen(grpcAddr)
	must(t, err)
	if _, err = Start(t.Context(), w.options(map[string]string{"enableGrpc": "true"})); err == nil {
		t.Error("no error")
	}
	must(t, l.Close())
	w.free()
	n := w.start(w.options(map[string]string{"enableGrpc": "true"}))
	must(t, n.Shutdown(t.Context()))
}
