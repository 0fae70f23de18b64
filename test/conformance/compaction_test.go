package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// compactConf has the broker compact files of some ten messages every few seconds.
var compactConf = map[string]string{
	"compactionCqMappedFileSize": "460", "compactionMappedFileSize": "2300", "compactionScheduleInternal": "1000",
}

// keyed sends message i with one of five keys.
func (e *env) keyed(i int) {
	e.Helper()
	e.code(e.send(0, fmt.Sprintf("KEYS\x01k%d\x02", i%5), fmt.Sprintf("k%d v%d", i%5, i)), 0)
}

// walk reads the queue from an index on as a consumer does.
func (e *env) walk(from int64) (ms []record.Message) {
	e.Helper()
	for {
		r := e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, from), nil)
		if r.Code != 0 {
			return ms
		}
		ms = append(ms, e.decode(r.Body)...)
		next := e.num(r, "nextBeginOffset")
		if next <= from {
			e.Fatalf("from %d to %d", from, next)
		}
		from = next
	}
}

var compactCases = []testCase{
	{"of a compacted topic the newest message of each key is left", func(e *env) {
		e.createWith("+cleanup.policy=COMPACTION")
		e.code(e.call(e.b, protocol.ReqSendMessageV2, e.sendHeader(), []byte("no key")), 13, "Required message key is missing")
		const n = 60
		for i := range n {
			e.keyed(i)
		}
		e.filled(0, n)
		var ms []record.Message
		e.eventually("it is compacted, and compacting it again changes nothing", func() bool {
			before := len(ms)
			ms = e.walk(0)
			if len(ms) == 0 || len(ms) >= n/2 {
				return false
			}
			if len(ms) != before {
				time.Sleep(2200 * time.Millisecond) // compactionScheduleInternal, twice
				return false
			}
			return true
		})
		newest := map[string]bool{}
		for i := range ms {
			m := &ms[i]
			if want := fmt.Sprintf("k%d v%d", m.Index%5, m.Index); string(m.Body) != want || i > 0 && m.Index <= ms[i-1].Index {
				e.Errorf("%d: %s at %d", i, m.Body, m.Index)
			}
			newest[string(m.Body)] = true
		}
		for i := n - 5; i < n; i++ {
			if !newest[fmt.Sprintf("k%d v%d", i%5, i)] {
				e.Errorf("message %d is the newest of its key and missing", i)
			}
		}
		// A position before the first, and one in a gap.
		first := int64(ms[0].Index)
		r := e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, 0), nil)
		e.code(r, 0)
		if e.num(r, "minOffset") != first || e.num(r, "maxOffset") != n {
			e.Errorf("%v, the first message is %d", r.Fields, first)
		}
		if got := e.walk(first + 1); len(got) != len(ms)-1 || len(got) > 0 && got[0].Index != ms[1].Index {
			e.Errorf("%d messages behind the first, want %d", len(got), len(ms)-1)
		}
		e.code(e.call(e.b, protocol.ReqPullMessage, e.pullHeader(0, n), nil), protocol.RespPullNotFound)
		// It goes on.
		for i := n; i < n+7; i++ {
			e.keyed(i)
		}
		e.eventually("the new ones come", func() bool {
			got := e.walk(n)
			return slices.ContainsFunc(got, func(m record.Message) bool { return strings.HasSuffix(string(m.Body), fmt.Sprint("v", n+6)) })
		})
	}},
}
