//go:build !linux

package remoting

import "net"

// rawIO is not used on this system: connections are read and written through net.Conn.
type rawIO struct{ blocked bool }

func newRawIO(*Conn, net.Conn) *rawIO { return nil }

func (*rawIO) read() (int, error) { return 0, net.ErrClosed }

func (*rawIO) write([]chunk, bool) (int, error) { return 0, net.ErrClosed }
