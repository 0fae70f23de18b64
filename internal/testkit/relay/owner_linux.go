package relay

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// peerInode finds the socket at the other end of c in the kernel's table of connections.
func peerInode(c *net.TCPConn) (string, error) {
	peer, okPeer := c.RemoteAddr().(*net.TCPAddr)
	here, okHere := c.LocalAddr().(*net.TCPAddr)
	if !okPeer || !okHere {
		return "", errors.New("not a TCP connection")
	}
	local, remote := fmt.Sprintf(":%04X", peer.Port), fmt.Sprintf(":%04X", here.Port)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			return "", err
		}
		for row := range strings.Lines(string(b)) {
			f := strings.Fields(row)
			if len(f) > 9 && strings.HasSuffix(f[1], local) && strings.HasSuffix(f[2], remote) && f[9] != "0" {
				return "socket:[" + f[9] + "]", nil
			}
		}
	}
	return "", errors.New("not in the table")
}

// holds reports whether a process has that socket open.
func holds(pid int, inode string) bool {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	list, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range list {
		if to, err := os.Readlink(dir + "/" + e.Name()); err == nil && to == inode {
			return true
		}
	}
	return false
}
