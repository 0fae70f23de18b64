package config

import (
	"strings"
	"testing"
)

func TestMQTTIsOffUnlessItIsSwitchedOn(t *testing.T) {
	t.Parallel()
	b, notices, err := loadText(t, "")
	if err != nil || len(notices) != 0 {
		t.Fatal(err, notices)
	}
	if b.MQTT.On || b.MQTT.Port != 1883 || b.MQTT.TLSPort != 8883 || b.MQTT.WebPort != 8888 || b.MQTT.WebTLSPort != 8889 {
		t.Errorf("%+v", b.MQTT)
	}
}

func TestMQTTKeysThatExcludeEachOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"enableMqtt=true\nmessageIndexEnable=false", "messageIndexEnable"},
		{"enableMqtt=true\nmqttTlsPort=1883", "mqttTlsPort"},
		{"enableMqtt=true\nmqttPort=65536", "mqttPort"},
		{"messageIndexEnable=false\nmqttTlsPort=1883", ""}, // nobody asks for MQTT
		{"enableMqtt=true\nmqttPort=0\nmqttTlsPort=0\nmqttWebSocketPort=-1\nmqttWebSocketTlsPort=-1", ""},
	} {
		_, _, err := loadText(t, c.text)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%q: %v", c.text, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: %v, want a word on %s", c.text, err, c.want)
		}
	}
}

func TestBridges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text      string
		one, both bool
	}{{"", true, true}, {"mqttBridgeTopics=a;b", true, false}, {"mqttBridgeTopics=", false, false}, {"mqttBridgeTopics=b;*", true, true}} {
		b, _, err := loadText(t, c.text)
		if err != nil {
			t.Fatal(err)
		}
		bridges := b.MQTT.Bridges()
		if bridges("a") != c.one || bridges("c") != c.both {
			t.Errorf("%q: a %v, c %v", c.text, bridges("a"), bridges("c"))
		}
	}
}
