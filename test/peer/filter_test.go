//go:build peer

package peer

import (
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

const filterFeature = "SQL92 filter: push consumer, wake-up of a waiting pull"

// wokenInTime checks that a waiting pull was answered when a message came, not by its deadline or a scan.
func wokenInTime(t *testing.T, m map[string]any) {
	t.Helper()
	if late, _ := m["late"].(float64); late < 0 || late > 1500 {
		t.Errorf("the late message came after %v ms", m["late"])
	}
}

func TestSQLFilterOfJavaClients(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, clients[0])
	c := newCluster(t, target.Options{Kind: target.Ours, Conf: map[string]string{"enablePropertyFilter": "true"}})
	for _, set := range clients {
		t.Run(set, func(t *testing.T) {
			covers(t, set, filterFeature)
			name := strings.NewReplacer(".", "_", "-", "_").Replace(set)
			m := javaMain(t, set, "FilterClient", c.NS, "sql_"+name, "sql_g_"+name, "n BETWEEN 10 AND 19 AND colour NOT CONTAINS 'red'", "5", "3")
			want(t, m, "numbers", "[10, 13, 14, 17, 18]")
			want(t, m, "got", 5)
			wokenInTime(t, m)
			m = javaMain(t, set, "FilterClient", c.NS, "sql2_"+name, "sql2_g_"+name, "colour = 'green' AND TAGS = 'TagA' AND (n < 6 OR n > 90)", "4", "0")
			want(t, m, "numbers", "[1, 5, 93, 97]")
		})
		t.Run(set+" mistake", func(t *testing.T) {
			covers(t, set, "SQL92 filter: an expression that does not compile is refused at the start, with the place")
			m := javaMain(t, set, "FilterClient", c.NS, "sql3", "sql_bad_"+strings.ReplaceAll(set, ".", "_"), "n > 3 AND", "0", "0")
			if text, _ := m["error"].(string); !strings.Contains(text, "at line 1, column 9") {
				t.Errorf("%v", m)
			}
		})
	}
}

func TestSQLFilterOfGoClient(t *testing.T) {
	t.Parallel()
	covers(t, goV2, filterFeature)
	lacks(goV2, "SQL92 filter: an expression that does not compile is refused at the start, with the place", "the client does not ask")
	c := newCluster(t, target.Options{Kind: target.Ours, Conf: map[string]string{"enablePropertyFilter": "true"}})
	m := goMain(t, "filter", c.NS, "go_sql", "go_sql_g", "5", "n BETWEEN 10 AND 13 OR n = 99")
	want(t, m, "numbers", "[10 11 12 13 99]")
	wokenInTime(t, m)
}
