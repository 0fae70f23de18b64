package remoting

import (
	"testing"
	"testing/synctest"
	"time"
)

// trickle sends a frame in pieces and returns how many went out before the server ended the connection.
func trickle(t *testing.T, r *rig, b []byte, piece int, every time.Duration) (sent int) {
	t.Helper()
	w := r.wire(t)
	_ = w.SetDeadline(time.Time{})
	for len(b) > 0 {
		n := min(piece, len(b))
		if _, err := w.Write(b[:n]); err != nil {
			return sent
		}
		sent += n
		b = b[n:]
		time.Sleep(every)
	}
	if _, err := w.recv(); err != nil {
		t.Errorf("no answer: %v", err)
	}
	return sent
}

// TestPeersThatTrickleAreIdle: a byte now and then keeps no connection, a slow line does.
func TestPeersThatTrickleAreIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, overMemory(), remoteServer(ServerOptions{IdleTimeout: 24 * time.Second}))
		b := frame(JSON, codeEcho, 1, 0, nil, make([]byte, 64<<10))
		for name, begin := range map[string][]byte{"at once": nil, "behind a request": get(JSON, 1, 7)} {
			if n := trickle(t, r, append(begin, b...), 1+len(begin), time.Second); n > 40*(1+len(begin)) {
				t.Errorf("%s: %d bytes were taken", name, n)
			}
		}
		if n := trickle(t, r, []byte("PROXY TCP4 192.0.2.1 198.51.100.9 12345 10911\r\n"), 1, time.Second); n > 40 {
			t.Errorf("%d bytes of a PROXY header were taken", n)
		}
		if n := trickle(t, r, b, 4<<10, 12*time.Second); n != len(b) {
			t.Errorf("a slow line: %d bytes were taken of %d", n, len(b))
		}
		r.stop(t)
	})
}
