//go:build peer

package peer

import (
	"strings"
	"testing"

	"github.com/cometmq/cometmq/internal/testkit/target"
)

const txFeature = "Transactions: commit, rollback, unknown until the broker asks"

// quickChecks makes a broker ask within seconds, but not about what a busy machine has decided and not told yet. Java collects its op
// records for less time than it waits then.
var quickChecks = map[string]string{
	"transactionTimeOut": "6000", "transactionCheckInterval": "1000", "transactionOpBatchInterval": "200", "transactionCheckMax": "60",
}

// TestTransactionsOfJavaClients: of 60 messages 20 are committed at once and 10 when the broker has asked.
func TestTransactionsOfJavaClients(t *testing.T) {
	t.Parallel()
	target.NeedJava(t, clients[0])
	c := newCluster(t, target.Options{Kind: target.Ours, Conf: quickChecks})
	registered(t, c, "TBW102")
	for _, set := range clients {
		t.Run(set, func(t *testing.T) {
			covers(t, set, txFeature)
			v := strings.NewReplacer(".", "_", "-", "_").Replace(set)
			m := javaMain(t, set, "Transactions", "decide", c.NS, "tx_"+v, "txp_"+v, "60")
			want(t, m, "ok", 60)
			want(t, m, "asked", 20)
			want(t, m, "wrong", "")
			m = javaClient(t, set, "push", c.NS, "tx_"+v, "txc_"+v, "30")
			want(t, m, "distinct", 30)
			want(t, m, "got", 30)
		})
	}
}

// TestTransactionsOfTheGoClient is the same with rocketmq-client-go/v2.
func TestTransactionsOfTheGoClient(t *testing.T) {
	t.Parallel()
	covers(t, goV2, txFeature)
	c := newCluster(t, target.Options{Kind: target.Ours, Conf: quickChecks})
	registered(t, c, "TBW102")
	m := goMain(t, "transactions", c.NS, "tx_go", "txp_go", "60")
	want(t, m, "ok", 60)
	want(t, m, "asked", 20)
	m = goMain(t, "push", c.NS, "tx_go", "txc_go", "30")
	want(t, m, "distinct", 30)
	want(t, m, "got", 30)
}
