package config

import "net"

// GRPC is the door for clients of RocketMQ 5 (gRPC), which Java has in its proxy.
//
// Differs from Java: it stands in the broker and is switched on by a key of ours; there a proxy runs in the broker's process with
// mqbroker --enable-proxy, which is understood here, too. grpcServerPort is a key of Java's rmq-proxy.json.
type GRPC struct {
	On        bool   `key:"enableGrpc" doc:"serve the clients of RocketMQ 5, which speak gRPC"`
	Port      int    `key:"grpcServerPort" min:"0" max:"65535" doc:"port for them; 0 = any free port"`
	Advertise string `key:"grpcAdvertisedAddress" doc:"host:port that these clients are told to talk to; default what they have dialed"`
}

func defaultGRPC() GRPC { return GRPC{Port: 8081} }

// checkGRPC checks what one tag cannot say.
func (l *loader) checkGRPC(g *GRPC, set settings) {
	if g.Advertise == "" {
		return
	}
	if host, _, err := net.SplitHostPort(g.Advertise); err != nil || host == "" || !validAddr(g.Advertise) {
		l.bad("grpcAdvertisedAddress", entry{g.Advertise, set.source("grpcAdvertisedAddress")}, "host:port, such as mq.example.com:8081")
	}
}
