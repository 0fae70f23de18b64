//go:build peer

package peer

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

// mqttBinary builds mqttclient/ once: paho.mqtt.golang (3.1, 3.1.1) and paho.golang (5.0), in a module of its own, too.
var mqttBinary = sync.OnceValues(func() (string, error) { return buildClient("mqttclient") })

// mqttMain runs one action of the MQTT client and returns its line of JSON.
func mqttMain(t *testing.T, args ...string) map[string]any {
	t.Helper()
	return clientMain(t, mqttBinary, nil, args...)
}

// mqttCluster is a broker with the door for MQTT on ports from the first one on: TCP, TLS, WebSocket, WebSocket over TLS.
func mqttCluster(t *testing.T) (c *target.Cluster, first int) {
	t.Helper()
	first = target.FreePorts(t, 4)
	conf := map[string]string{"enableMqtt": "true"}
	for i, key := range []string{"mqttPort", "mqttTlsPort", "mqttWebSocketPort", "mqttWebSocketTlsPort"} {
		conf[key] = fmt.Sprint(first + i)
	}
	c = newCluster(t, target.Options{Kind: target.Ours, Conf: conf})
	c.Brokers[0].WaitPort(fmt.Sprintf("127.0.0.1:%d", first+3), time.Minute)
	return c, first
}

// TestMQTTClients has the unmodified clients go through QoS 0 to 2, wills, retained messages and sessions, on all transports.
func TestMQTTClients(t *testing.T) {
	t.Parallel()
	_, first := mqttCluster(t)
	for _, c := range []struct {
		version, scheme string
		port            int
	}{
		{"3.1", "tcp", 0}, {"3.1.1", "tcp", 0}, {"5", "tcp", 0}, {"3.1.1", "ssl", 1}, {"5", "ssl", 1}, {"3.1.1", "ws", 2}, {"3.1.1", "wss", 3},
	} {
		t.Run(c.version+" "+c.scheme, func(t *testing.T) {
			url := fmt.Sprintf("%s://127.0.0.1:%d/mqtt", c.scheme, first+c.port)
			m := mqttMain(t, "flows", c.version, url, fmt.Sprint("flow", c.port, c.version[:1], len(c.version)), "0", "0")
			want(t, m, "flows", 150)
			want(t, m, "will", c.port < 2) // by WebSocket the client cannot lose its connection
			want(t, m, "retained", true)
			want(t, m, "resume", true)
			if c.version == "5" {
				want(t, m, "properties", true)
			}
			if c.scheme == "tcp" && c.version != "3.1" {
				m = mqttMain(t, "share", c.version, url, fmt.Sprint("share", len(c.version)), "300", "1")
				want(t, m, "distinct", 300)
				want(t, m, "most", 1)
				if least, _ := m["least"].(float64); least == 0 {
					t.Errorf("a member got nothing: %v", m)
				}
			}
		})
	}
}

// TestMQTTMeetsRocketMQ: phones and Java applications on the same topic.
func TestMQTTMeetsRocketMQ(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, java55)
	c, first := mqttCluster(t)
	url := fmt.Sprintf("tcp://127.0.0.1:%d", first)
	covers(t, java55, "MQTT publish to push consumer, producer to MQTT subscriber")
	want(t, mqttMain(t, "publish", "5", url, "devices", "200", "1"), "ok", 200)
	m := javaClient(t, java55, "push", c.NS, "devices", "g_devices", "200", "MQTT_COMMON")
	want(t, m, "distinct", 200)
	want(t, m, "got", 200)
	want(t, mqttMain(t, "subscribe", "3.1.1", url, "devices", "0", "1"), "ok", true)
	want(t, javaClient(t, java55, "send", c.NS, "devices", "p_devices", "100"), "ok", 100)
	m = mqttMain(t, "receive", "3.1.1", url, "devices", "100", "1")
	want(t, m, "present", true)
	want(t, m, "distinct", 100)
	want(t, m, "got", 100)
	want(t, m, "topics", []any{"devices/TagA", "devices/TagB"})
}

// TestMQTTAcknowledgedSurvivesKills: the broker is killed under a publisher. What was acknowledged is in the session that was away.
func TestMQTTAcknowledgedSurvivesKills(t *testing.T) {
	t.Parallel()
	c, first := mqttCluster(t)
	url := fmt.Sprintf("tcp://127.0.0.1:%d", first)
	for qos, version := range []string{1: "3.1.1", 2: "5"} {
		if version == "" {
			continue
		}
		topic := fmt.Sprint("kills", qos)
		want(t, mqttMain(t, "publish", version, url, topic, "1", "1"), "ok", 1) // makes the topic
		want(t, mqttMain(t, "subscribe", version, url, topic, "0", fmt.Sprint(qos)), "ok", true)
		acked := mqttUntilEnd(t, version, url, topic, qos)
		for range 3 {
			enough := acked.len() + 200
			for end := time.Now().Add(time.Minute); acked.len() < enough; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d publishes are acknowledged", acked.len())
				}
			}
			c.Brokers[0].Kill()
			c.Brokers[0].Start()
		}
		c.Brokers[0].WaitPort(fmt.Sprintf("127.0.0.1:%d", first), time.Minute)
		list := acked.end()
		m := mqttMain(t, "drain", version, url, topic, "0", fmt.Sprint(qos))
		want(t, m, "present", true)
		seen, _ := m["seen"].(map[string]any)
		for _, n := range list {
			times, _ := seen[n].(float64)
			if times == 0 || qos == 2 && times > 1 {
				t.Errorf("QoS %d: %s of %d was acknowledged and came %v times", qos, n, len(list), times)
			}
		}
	}
}

// ackedLines are what mqttclient until-end has printed.
type ackedLines struct {
	mu    sync.Mutex // guards lines
	lines []string
	stop  func()
	done  chan struct{}
}

func mqttUntilEnd(t *testing.T, version, url, topic string, qos int) *ackedLines {
	t.Helper()
	bin, err := mqttBinary()
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, bin, "until-end", version, url, topic, "0", fmt.Sprint(qos))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	a := &ackedLines{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		for s := bufio.NewScanner(out); s.Scan(); {
			a.mu.Lock()
			a.lines = append(a.lines, s.Text())
			a.mu.Unlock()
		}
		_ = cmd.Wait() // it was killed
	}()
	t.Cleanup(func() { a.end() })
	return a
}

func (a *ackedLines) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.lines)
}

// end kills the publisher.
func (a *ackedLines) end() []string {
	a.stop()
	<-a.done
	return a.lines
}
