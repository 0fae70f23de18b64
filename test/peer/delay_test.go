//go:build peer

package peer

import (
	"fmt"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

var delayConf = map[string]string{"messageDelayLevel": "1s 2s 3s", "recallMessageEnable": "true"}

// punctual runs a client until it says that nothing was delivered more than 3 s after its time, which includes sending; three times at
// most, since the machine may have been busy. Nothing may ever come before its time. name is another topic each time.
func punctual(t *testing.T, name string, run func(name string) map[string]any) {
	t.Helper()
	for i := range 3 {
		m := run(fmt.Sprint(name, i))
		if m["early"] != false {
			t.Errorf("early: %v", m)
		}
		if late, _ := m["latest"].(float64); late <= 3000 {
			return
		}
		t.Logf("run %d was late: %v", i, m)
	}
	t.Error("always late")
}

const levelsFeature = "Delay levels: configured times, order of queues, never early"

func TestDelayLevelsOfJavaClients(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, clients[0])
	c := newCluster(t, target.Options{Kind: target.Ours, Conf: delayConf})
	for _, set := range clients {
		t.Run(set, func(t *testing.T) {
			covers(t, set, levelsFeature)
			punctual(t, "delay_"+name(set), func(topic string) map[string]any {
				m := javaMain(t, set, "Delay", "both", c.NS, topic, "g_"+topic, "300", "0", "1", "2", "3")
				want(t, m, "distinct", 300)
				want(t, m, "got", 300)
				return m
			})
		})
	}
}

func TestDelayLevelsOfGoClient(t *testing.T) {
	t.Parallel()
	covers(t, goV2, levelsFeature)
	c := newCluster(t, target.Options{Kind: target.Ours, Conf: delayConf})
	punctual(t, "delay_go", func(topic string) map[string]any {
		m := goMain(t, "delay", c.NS, topic, "g_"+topic, "150")
		want(t, m, "distinct", 150)
		return m
	})
}

func TestTimersOfJavaClient(t *testing.T) {
	t.Parallel()
	const feature = "Timers: setDelayTimeSec, setDelayTimeMs, setDeliverTimeMs, never early; recall of a message"
	covers(t, java55, feature)
	lacks(java49, feature, "the client has no such calls")
	lacks(goV2, feature, "the client has no such calls")
	target.NeedJava(t, java55)
	c := newCluster(t, target.Options{Kind: target.Ours, Conf: delayConf})
	punctual(t, "timers", func(topic string) map[string]any { // the first must not be due before all are sent, and they are recalled
		m := javaMain(t, java55, "Timers", "both", c.NS, topic, "g_"+topic, "300", "12345", "30")
		for key, v := range map[string]int{"sent": 330, "recalled": 30, "wrongId": 0, "distinct": 300, "got": 300, "gone": 0} {
			want(t, m, key, v)
		}
		return m
	})
}

// TestDelaySwap takes a store with pending levels and timers from Java to us, and one from us to Java.
func TestDelaySwap(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, java55)
	conf := map[string]string{"messageDelayLevel": "1s 20s 25s", "recallMessageEnable": "true"}
	for _, how := range []string{"clean", "kill"} {
		for _, from := range []target.Kind{target.Java, target.Ours} {
			t.Run(string(from)+" first/"+how, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				to := target.Java
				if from == target.Java {
					to = target.Ours
				}
				first := target.New(t, target.Options{Kind: from, Dir: dir, Heap: "512m", Conf: conf})
				registered(t, first, "TBW102")
				// Some are delivered before the swap, most after it.
				want(t, javaMain(t, java55, "Timers", "send", first.NS, "timer", "timer_g", "20", "500", "0"), "sent", 20)
				want(t, javaMain(t, java55, "Delay", "send", first.NS, "level", "level_g", "120", "0", "1", "20", "25"), "sent", 120)
				want(t, javaMain(t, java55, "Timers", "send", first.NS, "timer", "timer_g", "100", "20345", "10"), "recalled", 10)
				if how == "kill" {
					time.Sleep(6 * time.Second) // Java writes consumer offsets every 5 s
					first.Brokers[0].Kill()
				} else if err := first.Brokers[0].Stop(60 * time.Second); err != nil {
					t.Fatal(err)
				}
				first.Namesrv.Kill()

				second := target.New(t, target.Options{Kind: to, Dir: dir, Heap: "512m", Conf: conf})
				registered(t, second, "timer")
				m := javaMain(t, java55, "Delay", "consume", second.NS, "level", "level_g2", "120")
				want(t, m, "distinct", 120)
				m = javaMain(t, java55, "Timers", "consume", second.NS, "timer", "timer_g2", "120")
				want(t, m, "distinct", 120)
				want(t, m, "gone", 0)
				if how == "clean" && to == target.Ours {
					want(t, m, "got", 120) // what the first one delivered does not come again
				}
				if early, _ := m["earliest"].(float64); to == target.Ours && from == target.Ours && early < 0 {
					t.Errorf("%v ms early", early)
				}
			})
		}
	}
}
