package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cometmq/cometmq"

// level is the height of each package (path below internal/, longest prefix wins). A package may import lower levels
// and what siblings lists for it; nothing else of this module.
var level = map[string]int{
	"mq": 0, "record": 0, "protocol": 0, "fastjson": 0, "selector": 0, "config": 0, "telemetry": 0, "vfs": 0,
	"bufpool": 0, "bytesview": 0, "invariants": 0, "version": 0, "logicqueue": 0, "quota": 0, "certificate": 0,
	"storage": 1, "remoting": 1, "auth": 1, "wireconf": 1, "kvfile": 1, "liveprops": 1,
	"broker": 2, "cluster": 2, "membership": 2, "nameserver": 2, "controller": 2, "replication": 2, "series": 2, "alerts": 2, "jobs": 2,
	"api":   3,
	"admin": 4, "bench": 4, "storetool": 4,
	"cli": 5, "node": 5,
}

// generatedProto is what tools/genproto makes of proto/: the one package outside of internal that one inside of it imports.
const generatedProto = module + "/proto/"

// siblings are the imports inside one level, or across a border that levels alone would allow or forbid.
var siblings = map[string][]string{
	"mq":                {"record", "logicqueue"},
	"logicqueue":        {"record", "fastjson"},
	"protocol":          {"record", "fastjson", "bytesview"},
	"fastjson":          {"bytesview"},
	"record":            {"bytesview"},
	"selector":          {"record", "bytesview"},
	"config":            {"version", "quota"},
	"bufpool":           {"invariants"},
	"telemetry":         {"vfs"},
	"telemetry/prom":    {"telemetry"},
	"telemetry/otlp":    {"telemetry"},
	"storage/commitlog": {"storage/segment"},
	"storage":           {"storage/segment", "storage/commitlog", "storage/consumequeue", "storage/keyindex", "storage/compaction"},
	"broker":            {"broker/meta", "broker/clients", "broker/longpoll", "broker/rebalance", "broker/delay", "broker/tx", "broker/pop", "broker/stats", "broker/tablefeed", "broker/lite"},
	"broker/meta":       {"broker/journalfile", "broker/tablefeed"},
	"broker/pop":        {"broker/journalfile", "broker/tablefeed"},
	"broker/tx":         {"broker/meta"},
	"controller":        {"controller/raftlog"},
	"api/amqpapi":       {"api/amqpapi/amqp10", "api/amqpapi/jmsselector"},
	"api/mqttapi":       {"api/mqttapi/packet", "api/mqttapi/topic", "api/mqttapi/message", "api/mqttapi/state", "api/mqttapi/retained", "api/mqttapi/websocket"},

	"api/mqttapi/topic":    {"api/mqttapi/packet"},
	"api/mqttapi/message":  {"api/mqttapi/packet", "api/mqttapi/topic"},
	"api/mqttapi/retained": {"api/mqttapi/message"},

	"alerts": {"series"},
	"cli":    {"node"},
}

// only narrows what a package may import below its level; absent means: every lower level.
var only = map[string][]string{
	"api":         {"mq", "record", "protocol", "remoting", "auth", "selector", "bufpool", "bytesview", "fastjson", "telemetry", "version", "logicqueue", "wireconf", "series", "alerts", "jobs", "liveprops"},
	"broker":      {"storage", "mq", "record", "selector", "vfs", "bufpool", "bytesview", "fastjson", "telemetry", "version", "logicqueue", "quota"},
	"storage":     {"record", "vfs", "bufpool", "bytesview", "invariants"},
	"replication": {"storage", "vfs", "record", "bufpool"},
	"membership":  {"mq", "remoting", "protocol", "fastjson", "record", "vfs", "logicqueue", "wireconf"},
	"nameserver":  {"remoting", "protocol", "fastjson", "vfs", "bytesview", "liveprops"},
	"controller":  {"remoting", "protocol", "vfs", "telemetry", "liveprops"},
	"wireconf":    {"mq", "protocol"},
	"kvfile":      {"vfs"},
	"liveprops":   {"vfs"},
	"series":      {"mq", "telemetry", "kvfile", "vfs"},
	"alerts":      {"mq", "kvfile", "vfs"},
	"jobs":        {"mq", "record", "vfs"},
	"admin":       {"mq", "record", "selector", "quota", "logicqueue"},
	"api/mqttapi": {"mq", "record", "kvfile"},
	"api/httpapi": {"mq", "record", "selector", "fastjson", "auth", "jobs", "series", "alerts", "kvfile"},
}

type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// room is the part of an import path below internal/, "" for packages elsewhere in the module.
func room(path string) string {
	r, ok := strings.CutPrefix(path, module+"/internal/")
	if !ok {
		return ""
	}
	return r
}

func levelOf(r string) (int, bool) {
	for r != "" {
		if l, ok := level[r]; ok {
			return l, true
		}
		i := strings.LastIndexByte(r, '/')
		if i < 0 {
			return 0, false
		}
		r = r[:i]
	}
	return 0, false
}

// within reports whether room r is p or below p.
func within(r, p string) bool { return r == p || strings.HasPrefix(r, p+"/") }

func lookup(table map[string][]string, r string) ([]string, bool) {
	for p := r; p != ""; {
		if v, ok := table[p]; ok {
			return v, true
		}
		i := strings.LastIndexByte(p, '/')
		if i < 0 {
			break
		}
		p = p[:i]
	}
	return nil, false
}

func allowed(from, to string) bool {
	if sib, ok := siblings[from]; ok && slices.Contains(sib, to) {
		return true
	}
	lf, okf := levelOf(from)
	lt, okt := levelOf(to)
	if !okf || !okt || lt >= lf {
		return false
	}
	if o, ok := lookup(only, from); ok {
		return slices.ContainsFunc(o, func(p string) bool { return within(to, p) })
	}
	return true
}

func TestImportsFollowTheTable(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		from := room(p.ImportPath)
		if from == "" || within(from, "archtest") || within(from, "testkit") {
			continue
		}
		if _, ok := levelOf(from); !ok {
			t.Errorf("internal/%s has no level: give it one in this file and in docs/adr/0002-package-table.md", from)
			continue
		}
		for _, imp := range p.Imports {
			to := room(imp)
			if to == "" {
				if strings.HasPrefix(imp, module) && (from != "api/grpcapi" || !strings.HasPrefix(imp, generatedProto)) {
					t.Errorf("internal/%s imports %s: internal packages import only internal packages", from, imp)
				}
				continue
			}
			if !allowed(from, to) {
				t.Errorf("internal/%s may not import internal/%s", from, to)
			}
		}
	}
}

func TestTestkitIsForTestsOnly(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if within(room(p.ImportPath), "testkit") || strings.HasPrefix(p.ImportPath, module+"/test/") || p.ImportPath == module+"/cometmqtest" {
			continue // the last one is for tests of others
		}
		for _, imp := range p.Imports {
			if within(room(imp), "testkit") {
				t.Errorf("%s imports %s outside a test", p.ImportPath, imp)
			}
		}
	}
}
