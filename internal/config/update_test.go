package config

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"
)

func TestAnUpdateSaysWhatItDoes(t *testing.T) {
	t.Parallel()
	b, _, err := loadText(t, "brokerName=a\nsendThreadPoolQueueCapacity=7\n")
	if err != nil {
		t.Fatal(err)
	}
	u, err := b.Plan(b, map[string]string{
		"autoCreateTopicEnable": "false", "fileReservedTime": "9", "flushIntervalCommitLog": "77", "listenPort": "10911",
		"sendThreadPoolQueueCapacity": "8", "fileReservdTime": "3",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Change{}
	for _, c := range u.Changes {
		got[c.Key] = c
	}
	want := map[string]Change{
		"autoCreateTopicEnable":       {"autoCreateTopicEnable", "true", "false", EffectNow, ""},
		"fileReservedTime":            {"fileReservedTime", "72", "9", EffectNow, ""},
		"flushIntervalCommitLog":      {"flushIntervalCommitLog", "500", "77", EffectRestart, ""},
		"sendThreadPoolQueueCapacity": {"sendThreadPoolQueueCapacity", "7", "8", EffectNone, got["sendThreadPoolQueueCapacity"].Note},
		"fileReservdTime":             {"fileReservdTime", "", "3", EffectUnknown, "no broker has such a key; did you mean fileReservedTime?"},
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if u.Running.Topics.AutoCreate || u.Running.Store.Reserved != 9*time.Hour || u.Running.Store.FlushInterval != 500*time.Millisecond {
		t.Errorf("running: %+v", u.Running.Store)
	}
	if u.Stored.Store.FlushInterval != 77*time.Millisecond || !b.Topics.AutoCreate {
		t.Errorf("stored: %+v", u.Stored.Store)
	}
	if p := u.Stored.JavaProperties(); p["flushIntervalCommitLog"] != "77" || p["sendThreadPoolQueueCapacity"] != "8" || p["clientAsyncSemaphoreValue"] == "" {
		t.Errorf("properties: %v", p)
	}
	// The same once more changes nothing.
	again, err := u.Running.Plan(u.Stored, map[string]string{"flushIntervalCommitLog": "77", "sendThreadPoolQueueCapacity": "8"})
	if err != nil || len(again.Changes) != 0 {
		t.Errorf("again: %+v %v", again, err)
	}
}

func TestAnUpdateIsRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	b, _, err := loadText(t, "brokerName=a\nconfigBlackList=traceOn\n")
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"autoCreateTopicEnable": "x", "maxMessageSize": "0", "deleteWhen": "25", "namesrvAddr": "here", "tls.server.mode": "perhaps", "brokerName": "",
	} {
		u, err := b.Plan(b, map[string]string{k: v, "fileReservedTime": "9"})
		var bad *ValueError
		if u != nil || !errors.As(err, &bad) || bad.Key != k {
			t.Errorf("%s=%s: %v, %v", k, v, u, err)
		}
	}
	for _, k := range []string{"configBlackList", "brokerConfigPath", "rocketmqHome", "traceOn"} {
		var locked *LockedError
		if _, err := b.Plan(b, map[string]string{k: "false"}); !errors.As(err, &locked) || locked.Key != k {
			t.Errorf("%s: %v", k, err)
		}
	}
}

func TestAnUpdateTellsWhatWillWinAtTheNextStart(t *testing.T) {
	t.Parallel()
	b, _, err := LoadBroker(Sources{Host: testHost(), Env: []string{"COMETMQ_TRACE_ON=true"}, Flags: map[string]string{"maxMessageSize": "100"}})
	if err != nil {
		t.Fatal(err)
	}
	u, err := b.Plan(b, map[string]string{"traceOn": "false", "maxMessageSize": "200"})
	if err != nil || len(u.Changes) != 2 {
		t.Fatalf("%+v %v", u, err)
	}
	if n := u.Changes[0].Note; !strings.Contains(n, "a flag") {
		t.Error(n)
	}
	if n := u.Changes[1].Note; !strings.Contains(n, "COMETMQ_TRACE_ON") {
		t.Error(n)
	}
}

func TestPasswordsAreNotTold(t *testing.T) {
	t.Parallel()
	b, _, err := loadText(t, "brokerName=a\ninitAuthenticationUser={\"username\":\"u\",\"password\":\"geheim\"}\n")
	if err != nil {
		t.Fatal(err)
	}
	text := Format(b.JavaProperties())
	if strings.Contains(text, "geheim") || !strings.Contains(text, "initAuthenticationUser=******\n") {
		t.Error(text)
	}
	u, err := b.Plan(b, map[string]string{"initAuthenticationUser": Hidden})
	if err != nil || len(u.Changes) != 0 {
		t.Errorf("%+v %v", u, err)
	}
}

func TestEditKeepsWhatItDoesNotChange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "a=1\nk\\ y=z\n"},
		{"comments and order", "# top\n\nb = 2\n  a: 0 \n! end\n", "# top\n\nb = 2\na=1\n! end\nk\\ y=z\n"},
		{"the last one counts", "a=0\nb=2\na = 5\n", "a=0\nb=2\na=1\nk\\ y=z\n"},
		{"a line that goes on", "a = x,\\\n  y\\\n  z\nb=2", "a=1\nb=2\nk\\ y=z\n"},
		{"a backslash that is one", "c=x\\\\\na=0\n", "c=x\\\\\na=1\nk\\ y=z\n"},
		{"a commented line does not go on", "# a=3\\\na=0\n", "# a=3\\\na=1\nk\\ y=z\n"},
		{"escaped keys", "k\\u0020y = old\n\\a=0\n", "k\\ y=z\na=1\n"},
		{"Windows", "b=2\r\na=0\r\n", "b=2\r\na=1\r\nk\\ y=z\r\n"},
		{"no value", "a\nk\\ y\n", "a=1\nk\\ y=z\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := string(Edit([]byte(tt.in), map[string]string{"a": "1", "k y": "z"}))
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			props, err := ParseProperties([]byte(got))
			if err != nil || props["a"] != "1" || props["k y"] != "z" {
				t.Errorf("read back: %v %v", props, err)
			}
		})
	}
}

func FuzzEdit(f *testing.F) {
	f.Add("a=0\n#c\nb : x\\\n y\n", "b", "v w")
	f.Add("", "k", " =#")
	f.Fuzz(func(t *testing.T, file, key, value string) {
		before, err := ParseProperties([]byte(file))
		if err != nil || key == "" || strings.ContainsRune(file+key+value, 0xFFFD) {
			return
		}
		after, err := ParseProperties(Edit([]byte(file), map[string]string{key: value}))
		if err != nil {
			t.Fatalf("%q: %v", Edit([]byte(file), map[string]string{key: value}), err)
		}
		before[key] = strings.TrimSpace(value)
		if len(before) != len(after) {
			t.Errorf("%q: %v, want %v", Edit([]byte(file), map[string]string{key: value}), after, before)
		}
	})
}
