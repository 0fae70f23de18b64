package config

import (
	"net"
	"net/netip"
	"os"
	"strings"
)

// Host is what defaults depend on.
type Host struct {
	Name         string // host name
	IP           string // first address that is not loopback
	Home         string // home folder
	RocketMQHome string
	NameServers  []string
	TLSFile      string // Java's tls.properties, which is read if it is there; "" = none
}

// ThisHost asks the operating system. env is os.Environ() or what stands for it: Java's NAMESRV_ADDR and ROCKETMQ_HOME are
// honoured.
func ThisHost(env []string) Host {
	h := Host{Name: "DEFAULT_BROKER", IP: "127.0.0.1", TLSFile: "/etc/rocketmq/tls.properties"}
	if name, err := os.Hostname(); err == nil && name != "" {
		h.Name = name
	}
	if home, err := os.UserHomeDir(); err == nil {
		h.Home = home
	}
	if ip, ok := firstAddr(interfaceAddrs()); ok {
		h.IP = ip
	}
	for _, e := range env {
		switch k, v, _ := strings.Cut(e, "="); k {
		case "NAMESRV_ADDR":
			h.NameServers = splitList(v, ";")
		case "ROCKETMQ_HOME":
			h.RocketMQHome = v
		}
	}
	return h
}

func interfaceAddrs() []net.Addr {
	ifs, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var out []net.Addr
	for _, i := range ifs {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		if addrs, err := i.Addrs(); err == nil {
			out = append(out, addrs...)
		}
	}
	return out
}

// firstAddr prefers IPv4, as Java does: clients read the store host from message ids.
func firstAddr(addrs []net.Addr) (string, bool) {
	var v6 string
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		ip := p.Addr().Unmap()
		switch {
		case ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast():
		case ip.Is4():
			return ip.String(), true
		case v6 == "":
			v6 = ip.String()
		}
	}
	return v6, v6 != ""
}
