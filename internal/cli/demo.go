package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/cometmq/cometmq/internal/api/httpapi"
	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/config"
	"github.com/cometmq/cometmq/internal/node"
)

func joined(errs ...error) error { return errors.Join(errs...) }

// temporary is the configuration of a name server and a broker on loopback with a store in dir. Port 0 takes any free
// one.
func temporary(dir string, nsPort, brokerPort int, set map[string]string) (*config.Namesrv, *config.Broker, error) {
	ns, _, err := config.LoadNamesrv(config.Sources{Flags: map[string]string{
		"bindAddress": "127.0.0.1", "listenPort": strconv.Itoa(nsPort), "kvConfigPath": filepath.Join(dir, "kvConfig.json"),
		"configStorePath": filepath.Join(dir, "namesrv.properties"),
	}})
	if err != nil {
		return nil, nil, err
	}
	flags := map[string]string{
		"mqttTlsPort": "-1", "mqttWebSocketPort": "-1", "mqttWebSocketTlsPort": "-1", // pages of strangers that a browser shows reach this machine
		"bindAddress": "127.0.0.1", "brokerIP1": "127.0.0.1", "brokerIP2": "127.0.0.1", "listenPort": strconv.Itoa(brokerPort),
		"brokerName": "broker-a", "storePathRootDir": filepath.Join(dir, "store"), "autoCreateTopicEnable": "true",
		"metricsPromExporterPort": "0",
	}
	maps.Copy(flags, set)
	b, _, err := config.LoadBroker(config.Sources{Flags: flags})
	return ns, b, err
}

// page is where the figures of a node are.
func page(n *node.Node) string {
	if n.MetricsAddr() == "" {
		return "off"
	}
	return n.MetricsURL()
}

// mqttLine is where MQTT clients connect.
func mqttLine(n *node.Node) string { return cmp.Or(n.MQTTAddr(), "off") }

// amqpLine is where AMQP and JMS clients connect.
func amqpLine(n *node.Node) string { return cmp.Or(n.AMQPAddr(), "off") }

// grpcLine is where clients of gRPC connect.
func grpcLine(n *node.Node) string { return cmp.Or(n.GRPCAddr(), "off") }

// demoResult is the line of `demo --json`.
type demoResult struct {
	OK        bool          `json:"ok"`
	Namesrv   string        `json:"namesrv"`
	Broker    string        `json:"broker"`
	Store     string        `json:"store"`
	StartMS   float64       `json:"start_ms"`
	ResidentB int64         `json:"heap_and_stacks_bytes"`
	RoundTrip *bench.Verify `json:"round_trip"`
}

func newDemoCmd(env *Env) *cobra.Command {
	var once, asJSON bool
	var df dashboardFlags
	var count int64
	cmd := &cobra.Command{
		Use: "demo", Short: "Start everything on a temporary store, send and consume real messages, keep serving", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			dir, err := os.MkdirTemp("", "cometmq-demo-")
			if err != nil {
				return fmt.Errorf("temporary store: %w", err)
			}
			defer func() { err = joined(err, os.RemoveAll(dir)) }()
			ns, b, err := temporary(dir, 0, 0, map[string]string{"mappedFileSizeCommitLog": strconv.Itoa(256 << 20)})
			if err != nil {
				return err
			}
			b.MQTT.On, b.AMQP.On, b.GRPC.On = !once, !once, !once
			d, err := df.dashboard(env, cmd.Flags().Changed("dashboard"))
			if err != nil {
				return err
			}
			if once {
				d = nil
			}
			t0 := time.Now()
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			return serve(ctx, node.Options{Namesrv: ns, Broker: b, Dashboard: d, Elsewhere: true, Log: newLogger(env, "warn")}, func(n *node.Node) error {
				if once {
					defer cancel()
				}
				return demo(ctx, env, n, dir, time.Since(t0), count, asJSON, once)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&once, "once", false, "end after the round trip")
	f.BoolVar(&asJSON, "json", false, "print one line of JSON")
	f.Int64Var(&count, "count", 100_000, "messages of the round trip")
	df.bind(cmd, "dashboard", httpapi.AuthNone)
	return cmd
}

func demo(ctx context.Context, env *Env, n *node.Node, dir string, start time.Duration, count int64, asJSON, once bool) error {
	say := func(format string, args ...any) {
		if !asJSON {
			fmt.Fprintf(env.Out, format, args...)
		}
	}
	say("name server and broker started in %.0f ms\n", float64(start.Microseconds())/1000)
	say("sending %d messages of 1 KiB to 8 queues through a real socket, and consuming them back ...\n", count)
	v, err := bench.RunVerify(ctx, bench.Options{
		Broker: n.BrokerAddr(), Topic: "DemoTopic", Group: "demo_group", Queues: 8, Size: 1024, Count: count, Window: 512, Create: true,
	})
	if err != nil {
		return fmt.Errorf("round trip: %w", err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	res := demoResult{
		OK: v.OK() && v.Consumed.Messages >= count, Namesrv: n.NamesrvAddr(), Broker: n.BrokerAddr(), Store: filepath.Join(dir, "store"),
		StartMS: float64(start.Microseconds()) / 1000, ResidentB: int64(m.HeapSys + m.StackSys), RoundTrip: v,
	}
	if asJSON {
		if err := printJSON(env, res); err != nil {
			return err
		}
	}
	say("sent      %d in %.2f s: %.0f/s, %.0f MB/s, ack p50 %.0f us, p99 %.0f us\n", v.Produced.Messages, v.Produced.Seconds, v.Produced.PerSec, v.Produced.MBPerSec, v.Produced.P50, v.Produced.P99)
	say("consumed  %d in %.2f s: %.0f/s, one pull at a time, pull p50 %.0f us, p99 %.0f us\n", v.Consumed.Messages, v.Consumed.Seconds, v.Consumed.PerSec, v.Consumed.P50, v.Consumed.P99)
	say("checked   missing %d, out of order %d, damaged %d; offsets committed and read back\n", v.Missing, v.Inverted, v.Damaged)
	if !res.OK {
		return errors.New("the round trip failed its check")
	}
	if once {
		return nil
	}
	say("\nname server  %s\nbroker       %s\nMQTT         %s\nAMQP         %s\ngRPC         %s\nmetrics      %s\nstore        %s (removed at the end)\n", res.Namesrv, res.Broker, mqttLine(n), amqpLine(n), grpcLine(n), page(n), res.Store)
	say("dashboard    %s\n\ntry: cometmq tail -n %s -t hello\n     cometmq send -n %s -t hello -b 'first message'\n\nserving; Ctrl-C ends\n", dashboardLine(n), res.Namesrv, res.Namesrv)
	return nil
}

func newDevCmd(env *Env) *cobra.Command {
	var nsPort, brokerPort int
	var df dashboardFlags
	var dir string
	var set []string
	cmd := &cobra.Command{
		Use: "dev", Short: "Run a broker for development: loopback, everything on, a temporary store", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			store := dir
			if store == "" {
				if store, err = os.MkdirTemp("", "cometmq-dev-"); err != nil {
					return fmt.Errorf("temporary store: %w", err)
				}
				defer func() { err = joined(err, os.RemoveAll(store)) }()
			}
			f := roleFlags{set: set}
			s, err := f.sources()
			if err != nil {
				return err
			}
			for _, key := range []string{"enableMqtt", "enableAmqp", "enableGrpc"} {
				if _, said := s.Flags[key]; !said {
					s.Flags[key] = "true"
				}
			}
			ns, b, err := temporary(store, nsPort, brokerPort, s.Flags)
			if err != nil {
				return err
			}
			d, err := df.dashboard(env, cmd.Flags().Changed("dashboard"))
			if err != nil {
				return err
			}
			return serve(cmd.Context(), node.Options{Namesrv: ns, Broker: b, Dashboard: d, Elsewhere: true, Log: newLogger(env, b.Process.LogLevel)}, func(n *node.Node) error {
				_, err := fmt.Fprintf(env.Out, "name server %s\nbroker      %s\nMQTT        %s\nAMQP        %s\ngRPC        %s\nmetrics     %s\ndashboard   %s\nstore       %s\nserving; Ctrl-C ends\n", n.NamesrvAddr(), n.BrokerAddr(), mqttLine(n), amqpLine(n), grpcLine(n), page(n), dashboardLine(n), store)
				return err
			})
		},
	}
	f := cmd.Flags()
	f.IntVar(&nsPort, "namesrv-port", 9876, "port of the name server, 0 = any free one")
	f.IntVar(&brokerPort, "broker-port", 10911, "port of the broker, 0 = any free one")
	f.StringVar(&dir, "dir", "", "keep the store here instead of in a temporary folder")
	f.StringArrayVar(&set, "set", nil, "a broker key=value (repeatable)")
	df.bind(cmd, "dashboard", httpapi.AuthNone)
	return cmd
}
