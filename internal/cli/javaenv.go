package cli

import (
	"iter"
	"maps"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/config"
)

// javaEnv is what the variables of Java's scripts and images come to.
type javaEnv struct {
	set     map[string]string // variables of ours
	memory  int64             // bytes for the limit of the runtime, 0: none said
	ignored []string
}

// leastHeap is a heap for which somebody who has memory to spare would ask. Smaller ones are those of examples, and a limit that is
// too small costs speed.
const leastHeap = 512 << 20

// javaVariables only tell a Java machine something.
var javaVariables = []string{"HEAP_OPTS", "BROKER_MEM", "MAX_HEAP_SIZE", "MAX_POSSIBLE_HEAP", "RMQ_NUMA_NODE"}

// readJavaEnv reads them. broker: the variables of the Kubernetes operator count, too. What is set for us already stays.
func readJavaEnv(environ []string, broker bool) javaEnv {
	j := javaEnv{set: map[string]string{}}
	get := func(key string) string { return lookup(environ, key) }
	put := func(name, value string) {
		if value != "" && get(name) == "" {
			j.set[name] = value
		}
	}
	for _, name := range []string{"JAVA_OPT", "JAVA_OPT_EXT"} {
		for f := range strings.FieldsSeq(get(name)) {
			j.option(f, put)
		}
	}
	if j.memory > 0 && get("GOMEMLIMIT") != "" {
		j.memory = 0
	}
	for _, name := range javaVariables {
		if get(name) != "" {
			j.ignored = append(j.ignored, name)
		}
	}
	if broker && get("BROKER_NAME") != "" {
		j.operator(get, put)
	}
	return j
}

// option judges one option of a Java machine.
func (j *javaEnv) option(f string, put func(name, value string)) {
	if size, ok := strings.CutPrefix(f, "-Xmx"); ok {
		if n := javaSize(size); n > leastHeap {
			j.memory = n
			return
		}
	}
	key, value, ok := strings.Cut(strings.TrimPrefix(f, "-D"), "=")
	if !strings.HasPrefix(f, "-D") || !ok {
		j.ignored = append(j.ignored, f)
		return
	}
	switch {
	case key == "rocketmq.namesrv.addr":
		put("NAMESRV_ADDR", value)
	case key == "rocketmq.home.dir":
		put("ROCKETMQ_HOME", value)
	case key == "user.home":
		j.set["HOME"] = value // there is always one
	case strings.HasPrefix(key, "tls."):
		put("COMETMQ_"+config.EnvName(key), value)
	default:
		j.ignored = append(j.ignored, f)
	}
}

// operator does what the entry point of the operator's image does: names come from variables, and so does the address. A broker
// that is not the first of its set is a slave, unless controllers say who is.
func (j *javaEnv) operator(get func(string) string, put func(name, value string)) {
	put("COMETMQ_BROKER_CLUSTER_NAME", get("BROKER_CLUSTER_NAME"))
	put("COMETMQ_BROKER_NAME", get("BROKER_NAME"))
	put("COMETMQ_BROKER_ID", get("BROKER_ID"))
	put("COMETMQ_"+config.EnvName("brokerIP1"), get("POD_IP"))
	if strings.EqualFold(get("enableControllerMode"), "true") {
		put("COMETMQ_ENABLE_CONTROLLER_MODE", "true")
		put("COMETMQ_CONTROLLER_ADDR", get("controllerAddr"))
	} else if id := get("BROKER_ID"); id != "" && id != "0" {
		put("COMETMQ_BROKER_ROLE", "SLAVE")
	}
}

// javaSize reads 4g, 512m, 1024k or bytes; 0 when it is none of these.
func javaSize(s string) int64 {
	shift := 0
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'k', 'K':
			shift = 10
		case 'm', 'M':
			shift = 20
		case 'g', 'G':
			shift = 30
		}
	}
	if shift > 0 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if shift == 0 {
		n, err = strconv.ParseInt(s, 10, 64)
	}
	if err != nil || n < 0 {
		return 0
	}
	return n << shift
}

func keysOf(m map[string]string) iter.Seq[string] { return maps.Keys(m) }
