// Package cometmqtest starts a message queue for the length of a test.
//
//	func TestOrders(t *testing.T) {
//		t.Parallel()
//		s := cometmqtest.Start(t, cometmq.WithTopics("orders"))
//		// configure the clients under test with s.NamesrvAddr()
//	}
//
// The server keeps everything in memory, listens on free ports of the loopback interface, and stops with the test. Each test may have
// its own.
//
// With Virtual the server lives on the virtual clock of a testing/synctest bubble: a retry after an hour, a message that is due
// tomorrow, the check of a forgotten transaction take milliseconds. The code under test must run inside the bubble, too; it uses the
// server through its methods, or through connections from its Dial.
package cometmqtest

import (
	"context"
	"net"
	"testing"

	"github.com/cometmq/cometmq"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
)

// Start starts a server that is shut down at the end of the test. A start that fails ends the test.
func Start(tb testing.TB, opts ...cometmq.Option) *cometmq.Server {
	tb.Helper()
	s, err := cometmq.Start(tb.Context(), opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Virtual puts a server into the bubble of testing/synctest in which Start is called: its network is in memory, and nobody outside
// the bubble can reach it.
func Virtual() cometmq.Option {
	n := memnet.New()
	return cometmq.WithNetwork(cometmq.Network{
		Listen: func(_ context.Context, _, addr string) (net.Listener, error) { return n.Listen(addr) },
		Dial:   n.Dial,
	})
}
