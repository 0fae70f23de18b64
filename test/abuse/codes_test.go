package abuse

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/protocol"
)

// field is one of a typed header.
type field struct{ key, kind string }

// headers returns the fields of each request code, from the table that the code is generated from.
func headers(t *testing.T) map[int32][]field {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "internal", "protocol", "headers.tsv"))
	must(t, err)
	all := map[int32][]field{}
	var codes []int32
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimRight(line, "\n"), "\t")
		switch {
		case strings.HasPrefix(line, "#"), strings.TrimSpace(line) == "":
		case cells[0] != "":
			codes = nil
			if len(cells) < 2 || strings.Contains(cells[0], "Response") {
				continue
			}
			for c := range strings.SplitSeq(cells[1], ",") {
				if n, err := strconv.ParseInt(strings.TrimSpace(c), 10, 32); err == nil {
					codes = append(codes, int32(n))
				}
			}
		case len(cells) >= 3:
			for _, c := range codes {
				all[c] = append(all[c], field{cells[1], cells[2]})
			}
		}
	}
	return all
}

// good is a value that a field may have.
func good(f field) string {
	switch strings.ToLower(f.key) {
	case "topic", "b", "originTopic":
		return "T"
	case "group", "consumergroup", "producergroup", "a", "groupname":
		return "G"
	case "defaulttopic", "c":
		return "TBW102"
	case "brokeraddr", "addr", "brokeraddress", "masteraddr":
		return "127.0.0.1:1"
	case "brokername", "bname", "n":
		return "broker-x"
	}
	switch f.kind {
	case "int", "long", "short":
		return "1"
	case "bool":
		return "false"
	case "double":
		return "1.5"
	}
	return "x"
}

// wrong are values that no field, or hardly one, may have.
func wrong(all bool) []string {
	list := []string{"", "x", "-1", "9223372036854775808", "\x00\xff\xfe", strings.Repeat("9", 70_000)}
	if all {
		list = append(list, " 1", "1e9", "NaN", "2147483648", "-9223372036854775808", "true", "null", "../../etc/passwd", "a\nb=c\n", "%s%n", "${jndi:x}", strings.Repeat("[", 10_000),
			"\u2028", "*", "T\x01U\x02", "T;U", "%RETRY%G", "%DLQ%", "TBW102", "CID_RMQ_SYS_x")
	}
	return list
}

// bodies are bodies that no request has.
func bodies(all bool) [][]byte {
	texts := []string{
		"", "\x00", "{}", "[]", "null", `{"`, strings.Repeat("[", 5000), `{"a":` + strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 101),
		`{"groupName":7,"topicConfigList":{"x":[1]},"mqSet":[{"queueId":"9e9"}],"consumerDataSet":[null,1,"x",[[]]],"clientID":{},"offsetTable":{"x":-1}}`,
		`{"groupName":"G","topicConfigTable":{"":{}},"username":"x","subject":"User:x","policies":[{"entries":[null]}],"syncStateSet":[9,9,-1]}`,
	}
	if all {
		texts = append(texts, "a=b\nc", "brokerName=", "\\u12", "key", strings.Repeat("x=y\n", 20_000), strings.Repeat("\xff", 1<<20), `"x"`, "1", "-0", "[1,2",
			`{"mqSet":["a",{"topic":"T","brokerName":"broker-a","queueId":-5}],"clientId":"c","consumerGroup":"G"}`, "{\"a\":\"\\uD800\"}", strings.Repeat(`{"$ref":"$"}`, 50))
	}
	out := make([][]byte, len(texts))
	for i, s := range texts {
		out[i] = []byte(s)
	}
	return out
}

// forms are all abuses of one code: fields and body.
type form struct {
	name string
	f    protocol.Fields
	body []byte
}

func forms(hs []field, all bool) []form {
	var list []form
	add := func(name string, f protocol.Fields, body []byte) { list = append(list, form{name, f, body}) }
	var whole protocol.Fields
	for _, h := range hs {
		whole = append(whole, fields(h.key, good(h))...)
	}
	add("nothing", nil, nil)
	add("all fields", whole, nil)
	for _, b := range bodies(all) {
		add("body", whole, b)
		if len(hs) > 0 && all {
			add("only a body", nil, b)
		}
	}
	for i, h := range hs {
		add("without "+h.key, slices.Delete(slices.Clone(whole), i, i+1), []byte("{}"))
		for _, v := range wrong(all) {
			f := slices.Clone(whole)
			f[i].Val = []byte(v)
			add("wrong "+h.key, f, []byte("{}"))
		}
		if all {
			add("twice "+h.key, append(slices.Clone(whole), protocol.Field{Key: []byte(h.key), Val: []byte("U")}), nil)
		}
	}
	var extra protocol.Fields
	for i := range 500 {
		extra = append(extra, fields("extra"+strconv.Itoa(i), strings.Repeat("v", i))...)
	}
	add("extra fields", slices.Concat(whole, extra), nil)
	add("empty key", slices.Concat(whole, fields("", "v")), nil)
	add("large key", slices.Concat(whole, fields(strings.Repeat("k", 32_000), "v")), nil)
	var every protocol.Fields
	for _, h := range hs {
		every = append(every, fields(h.key, strings.Repeat("z", 3000))...)
	}
	add("all wrong", every, []byte("\xff\x00"))
	return list
}

// TestEveryRequestWithBadFields: whatever comes with a code, there is an answer or the connection ends; a request that was refused has
// changed nothing; and who is connected beside works all the time.
func TestEveryRequestWithBadFields(t *testing.T) {
	w := start(t, nil)
	hs := headers(t)
	for _, role := range []string{"broker", "namesrv", "controller"} {
		least := map[string]int{"broker": 90, "namesrv": 20, "controller": 8}[role]
		beside := w.dial(w.addr(role))
		served := 0
		for _, code := range protocol.RequestCodes() {
			probe := w.dial(w.addr(role))
			if a, err := probe.ask(code, nil, nil); err == nil && a.code == protocol.RespRequestCodeNotSupported {
				probe.close()
				continue
			}
			probe.close()
			served++
			for _, s := range []protocol.Serial{protocol.JSON, protocol.Binary} {
				w.abuse(role, code, s, forms(hs[code], *long), beside)
			}
		}
		if served < least {
			t.Errorf("the %s serves %d codes, at least %d were expected", role, served, least)
		}
		count(role+": request codes", int64(served))
		beside.close()
	}
	w.light(64 << 20)
}

// abuse sends forms of one code. beside is who must not notice.
func (w *world) abuse(role string, code int32, s protocol.Serial, list []form, beside *conn) {
	w.t.Helper()
	c := w.dial(w.addr(role))
	c.serial = s
	was := beside.state(role)
	first := was
	defer func() {
		c.close()
		if was != first { // who registered here is forgotten a moment after the connection has ended
			beside.settle(role)
		}
	}()
	for i, x := range list {
		if !*long && (i+int(code))%2 != int(s)&1 { // the short form has each of them in one serialisation
			continue
		}
		if !*long && raceEnabled && i%4 != 0 {
			continue
		}
		a, err := c.ask(code, x.f, x.body)
		if errors.Is(err, errEnd) {
			count(role+": connections ended", 1)
			c.close()
			c = w.dial(w.addr(role))
			c.serial = s
			if was != first {
				was = beside.settle(role)
			}
		}
		count(role+": bad requests", 1)
		if err == nil && a.code == protocol.RespSuccess {
			count(role+": of them answered with success", 1)
		}
		if err == nil && strings.Contains(a.remark, "internal error:") {
			w.t.Errorf("%s %s: %s: %s", role, protocol.RequestName(code), x.name, a.remark)
		}
		now := beside.state(role)
		if now != was && (err != nil || !succeeded(a.code)) {
			w.t.Errorf("%s %s (%d), serialisation %d: %s: refused (%v, %+v), and something has changed:\n%s", role, protocol.RequestName(code), code, s, x.name, err, a, difference(was, now))
		}
		was = now
	}
}

// succeeded reports codes of requests that did something.
func succeeded(code int32) bool {
	switch code {
	case protocol.RespSuccess, protocol.RespFlushDiskTimeout, protocol.RespFlushSlaveTimeout, protocol.RespSlaveNotAvailable, protocol.RespPullNotFound,
		protocol.RespPullOffsetMoved, protocol.RespPullRetryImmediately, protocol.RespPollingTimeout:
		return true
	}
	return false
}
