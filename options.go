package cometmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/node"
	"github.com/cometmq/cometmq/internal/vfs"
)

// Option changes how Start builds a server.
type Option func(*options)

// Topic is a topic that exists when Start returns.
type Topic struct {
	Name   string
	Queues int    // default 4
	Type   string // NORMAL, FIFO, DELAY, TRANSACTION; "" says nothing, and every kind of message is taken
}

// Group is a consumer group that exists when Start returns.
type Group struct {
	Name       string
	FIFO       bool // messages of a queue are handed out one after another
	MaxRetries int  // deliveries after the first one; 0 = 16, negative = none
}

// Network is where a server listens and from where it connects. The zero value is that of the operating system.
type Network struct {
	Listen func(ctx context.Context, network, addr string) (net.Listener, error)
	Dial   func(ctx context.Context, network, addr string) (net.Conn, error)
}

type options struct {
	dir         string
	host        string
	names, port int
	cluster     string
	broker      string
	topics      []Topic
	groups      []Group
	set         map[string]string
	network     Network
	log         *slog.Logger
	shutdown    time.Duration
	errs        []error
}

// WithDir keeps the store in a directory, which is made when it is missing. The default is memory.
func WithDir(dir string) Option { return func(o *options) { o.dir = dir } }

// WithHost listens on an IP address and gives it to clients. The default is 127.0.0.1.
func WithHost(ip string) Option {
	return func(o *options) {
		if net.ParseIP(ip) == nil {
			o.errs = append(o.errs, fmt.Errorf("WithHost(%q): want an IP address", ip))
		}
		o.host = ip
	}
}

// WithPorts says where the name server and the broker listen. 0, the default, takes a free port.
func WithPorts(namesrv, broker int) Option {
	return func(o *options) {
		for _, p := range []int{namesrv, broker} {
			if p < 0 || p > 65535 {
				o.errs = append(o.errs, fmt.Errorf("WithPorts(%d, %d): want 0 to 65535", namesrv, broker))
			}
		}
		o.names, o.port = namesrv, broker
	}
}

// WithName gives the cluster and the broker their names. The defaults are DefaultCluster and broker-a.
func WithName(cluster, broker string) Option {
	return func(o *options) { o.cluster, o.broker = cluster, broker }
}

// WithTopics creates topics with 4 queues.
func WithTopics(names ...string) Option {
	return func(o *options) {
		for _, n := range names {
			o.topics = append(o.topics, Topic{Name: n})
		}
	}
}

// WithTopic creates one topic.
func WithTopic(t Topic) Option { return func(o *options) { o.topics = append(o.topics, t) } }

// WithGroups creates consumer groups.
func WithGroups(names ...string) Option {
	return func(o *options) {
		for _, n := range names {
			o.groups = append(o.groups, Group{Name: n})
		}
	}
}

// WithGroup creates one consumer group.
func WithGroup(g Group) Option { return func(o *options) { o.groups = append(o.groups, g) } }

// WithSetting sets a key of broker.conf, such as "maxMessageSize".
func WithSetting(key, value string) Option {
	return func(o *options) { o.set[key] = value }
}

// WithLogger says where the server's log goes. The default is nowhere.
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithNetwork has the server use another network than that of the operating system.
func WithNetwork(n Network) Option { return func(o *options) { o.network = n } }

// WithShutdownWait bounds how long Shutdown waits for what is in flight when its context has no deadline. The default is 5 s; what
// goes to the disk is waited for in any case.
func WithShutdownWait(d time.Duration) Option { return func(o *options) { o.shutdown = d } }

// memory holds the files of a server without a directory.
const memory = "/cometmq"

// node turns the options into those of the roles.
func (o *options) node() (node.Options, error) {
	if err := errors.Join(o.errs...); err != nil {
		return node.Options{}, err
	}
	n := node.Options{ShutdownWait: o.shutdown, Listen: o.network.Listen, Dial: o.network.Dial, Log: o.log}
	dir := o.dir
	flags := map[string]string{
		"bindAddress": o.host, "brokerIP1": o.host, "brokerIP2": o.host, "listenPort": strconv.Itoa(o.port), "brokerName": o.broker,
		"brokerClusterName": o.cluster, "metricsExporterType": "DISABLE",
	}
	if dir == "" {
		n.FS, dir = vfs.NewMem(vfs.MemOptions{}), memory
		maps.Copy(flags, smallFiles)
	}
	host := config.Host{Name: "localhost", IP: o.host, Home: dir}
	flags["storePathRootDir"] = filepath.Join(dir, "store")
	maps.Copy(flags, o.set)
	var err error
	if n.Broker, _, err = config.LoadBroker(config.Sources{Flags: flags, Host: &host}); err != nil {
		return n, err
	}
	n.Namesrv, _, err = config.LoadNamesrv(config.Sources{Host: &host, Flags: map[string]string{
		"bindAddress": o.host, "listenPort": strconv.Itoa(o.names),
	}})
	return n, err
}

// smallFiles make a start in memory quick. A segment is as large as the largest message that a client may set needs.
var smallFiles = map[string]string{
	"mappedFileSizeCommitLog": strconv.Itoa(16 << 20), "mappedFileSizeConsumeQueue": "600000", "maxHashSlotNum": "10000", "maxIndexNum": "40000",
	"blockCacheBytes": strconv.Itoa(2 << 20),
}
