package node

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/storage"
	"github.com/cometmq/cometmq/internal/vfs"
)

// BenchmarkChangeOfRole measures Become, from the last answer in the old role to the first one in the new role, with real files. The
// environment variable ROLE_MESSAGES gives how many messages the store has.
func BenchmarkChangeOfRole(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("ROLE_MESSAGES"))
	if err != nil {
		n = 100_000
	}
	for _, c := range []struct {
		queues int
		cut    record.Offset // bytes that are cut from the log with each change
	}{{8, 0}, {1000, 0}, {8, 100 << 10}} {
		queues := c.queues
		b.Run(fmt.Sprintf("messages=%d/queues=%d/cut=%d", n, queues, c.cut), func(b *testing.B) {
			w := newWorld(b)
			w.fs = vfs.OS()
			o := w.options(map[string]string{
				"storePathRootDir": b.TempDir(), "mappedFileSizeCommitLog": "1073741824", "mappedFileSizeConsumeQueue": "6000000",
				"maxHashSlotNum": "5000000", "maxIndexNum": "20000000",
			})
			fill(b, &o, n, queues)
			node := w.start(o)
			kinds := []Role{{Kind: Fenced, ID: -1}, {Kind: Slave, ID: 1}, {Kind: Master}}
			b.ResetTimer()
			for i := range b.N {
				r := kinds[i%3]
				if c.cut > 0 {
					to := node.broker.now().store.Appended() - c.cut
					r.TruncateTo = &to
				}
				must(b, node.Become(b.Context(), r))
			}
			b.StopTimer()
			must(b, node.Shutdown(b.Context()))
		})
	}
}

// fill stores n messages of 100 bytes with keys.
func fill(b *testing.B, o *Options, n, queues int) {
	b.Helper()
	s, err := storage.Open(o.FS, storeOptions(o, &Role{}, netip.MustParseAddrPort(brokerAddr)))
	must(b, err)
	var batch storage.Batch
	body := make([]byte, 100)
	for i := range n {
		m := record.Message{
			Topic: []byte("topic"), Body: body, BornTime: 1, BornHost: netip.MustParseAddrPort("10.0.0.1:1"),
			Props: record.AppendProp(nil, "KEYS", strconv.Itoa(i)),
		}
		_, err := batch.Add(s.Queue("topic", int32(i%queues)), &m)
		must(b, err)
		if batch.Len() == 1000 || i == n-1 {
			must(b, s.Append(&batch))
			batch.Reset()
		}
	}
	must(b, s.Close())
}
