package config

import (
	"net/netip"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/quota"
)

// Quotas bound what clients may send to a broker. Without any they are off.
type Quotas struct {
	Rules    []string      `key:"quotas" sep:";" live:"true" doc:"what topics, users and clients may send a second, such as topic:Orders:bytes=1048576;user:bob:messages=100;client:*:messages=1000; a name may end in *, then everybody whose name begins so may send that much; empty = no limit"`
	MaxDelay time.Duration `key:"quotaMaxDelay" unit:"ms" live:"true" min:"0" max:"2000" doc:"who is over a quota gets answers that much later; what would have to wait longer is refused with SYSTEM_BUSY"`
	Bounds   Bounds
}

// Bounds are those of the connections of a port.
type Bounds struct {
	Conns   int      `key:"maxConnections" live:"true" min:"0" max:"10000000" doc:"most connections of clients, 0 = no limit; what comes above is closed"`
	PerAddr int      `key:"maxConnectionsPerAddress" live:"true" min:"0" max:"10000000" doc:"most connections of clients from one IP address, 0 = no limit"`
	Proxies []string `key:"proxyAddresses" sep:";" live:"true" doc:"addresses or networks, 10.0.0.7;10.1.0.0/16, whose PROXY headers are believed and whose connections count for the address in the header; empty: everybody's are believed, as in Java, and connections count for the address that they come from"`
}

// FixedBounds are Bounds that a running server does not change.
type FixedBounds struct {
	Conns   int      `key:"maxConnections" min:"0" max:"10000000" doc:"most connections of clients and brokers, 0 = no limit; what comes above is closed"`
	PerAddr int      `key:"maxConnectionsPerAddress" min:"0" max:"10000000" doc:"most connections from one IP address, 0 = no limit"`
	Proxies []string `key:"proxyAddresses" sep:";" doc:"as in broker.conf: whose PROXY headers are believed"`
}

// Of returns the rules. They have been checked.
func (q *Quotas) Of() []quota.Rule {
	rules, err := quota.Parse(q.Rules)
	if err != nil {
		return nil
	}
	return rules
}

func (l *loader) checkQuotas(q *Quotas, set settings) {
	if _, err := quota.Parse(q.Rules); err != nil {
		l.bad("quotas", entry{strings.Join(q.Rules, ";"), set.source("quotas")}, err.Error())
	}
	l.checkProxies(q.Bounds.Proxies, set)
}

func (l *loader) checkProxies(list []string, set settings) {
	if _, bad := ParseNetworks(list); bad != "" {
		l.bad("proxyAddresses", entry{bad, set.source("proxyAddresses")}, "IP addresses or networks, such as 10.0.0.7;10.1.0.0/16")
	}
}

// Networks are those of Proxies. They have been checked.
func (b *Bounds) Networks() []netip.Prefix {
	list, _ := ParseNetworks(b.Proxies)
	return list
}

// ParseNetworks reads addresses and networks; bad is the first that is neither.
func ParseNetworks(list []string) (networks []netip.Prefix, bad string) {
	for _, text := range list {
		if a, err := netip.ParseAddr(text); err == nil {
			a = a.Unmap()
			networks = append(networks, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, text
		}
		networks = append(networks, p.Masked())
	}
	return networks, ""
}
