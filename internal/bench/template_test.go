package bench

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/record"
)

// sent takes a request frame apart.
func sent(t *testing.T, frame []byte) (h protocol.Header, v protocol.SendMessageRequestHeaderV2, body []byte) {
	t.Helper()
	if n := int(binary.BigEndian.Uint32(frame)); n != len(frame)-4 {
		t.Fatalf("the frame says %d bytes, it has %d", n, len(frame)-4)
	}
	serial, n := protocol.SplitWord(binary.BigEndian.Uint32(frame[4:]))
	if err := h.Decode(serial, frame[protocol.PrefixLen:][:n]); err != nil {
		t.Fatal(err)
	}
	if err := v.Decode(h.Fields); err != nil {
		t.Fatal(err)
	}
	return h, v, frame[protocol.PrefixLen+n:]
}

func TestTemplateChangesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	for _, serial := range []protocol.Serial{protocol.JSON, protocol.Binary} {
		t.Run(fmt.Sprint(serial), func(t *testing.T) {
			t.Parallel()
			c := &Client{serial: serial}
			props := string(record.AppendProp(nil, "KEYS", "k1"))
			tpl := newTemplate(c, "Topic", "group", props, 3, []byte("the body"), 1)
			var out []byte
			for i, opaque := range []int32{1, 7, 65_536, 999_999_999, 12} {
				born := int64(1_700_000_000_000 + i)
				at := len(out)
				var bodyAt int
				out, bodyAt = tpl.appendTo(out, opaque, born)
				copy(out[bodyAt:], fmt.Sprintf("body %03d", i))
				h, v, body := sent(t, out[at:])
				if h.Code != protocol.ReqSendMessageV2 || v.BornTimestamp != born || v.Topic != "Topic" || v.ProducerGroup != "group" || v.QueueID != 3 ||
					v.Properties != props || v.Batch || string(body) != fmt.Sprintf("body %03d", i) {
					t.Errorf("request %d: %+v, body %q", i, v, body)
				}
				if n := tpl.number(&Reply{opaque: h.Opaque}); n != opaque {
					t.Errorf("request %d: its answer has number %d, want %d", i, n, opaque)
				}
			}
		})
	}
}

func TestTemplateOfABatch(t *testing.T) {
	t.Parallel()
	for _, serial := range []protocol.Serial{protocol.JSON, protocol.Binary} {
		c := &Client{serial: serial}
		props := string(record.AppendProp(nil, "TAGS", "red"))
		out, _ := newTemplate(c, "Topic", "group", props, 0, []byte("one of many"), 5).appendTo(nil, 1, 1_700_000_000_000)
		h, v, body := sent(t, out)
		if h.Code != protocol.ReqSendBatchMessage || !v.Batch || v.Properties != "" {
			t.Errorf("%+v", v)
		}
		it := record.IterBatch(body)
		n := 0
		for {
			_, b, p, ok := it.Next()
			if !ok {
				break
			}
			n++
			if tag, _ := p.Get("TAGS"); string(b) != "one of many" || string(tag) != "red" {
				t.Errorf("message %d: %q %q", n, b, tag)
			}
		}
		if n != 5 || it.Err() != nil {
			t.Errorf("%d messages, %v", n, it.Err())
		}
	}
}

func TestTemplatesOfManyTopics(t *testing.T) {
	t.Parallel()
	for _, serial := range []protocol.Serial{protocol.JSON, protocol.Binary} {
		c := &Client{serial: serial}
		o := &Options{Topic: "many", Topics: 3, Queues: 8, Batch: 1, Group: "g"}
		ts := newTemplates(c, o, []byte("body"))
		if len(ts) != 3 {
			t.Fatalf("%d templates", len(ts))
		}
		var out []byte
		for i, tpl := range ts {
			for q := range o.Queues {
				at := len(out)
				var bodyAt int
				out, bodyAt = tpl.appendTo(out, int32(q), 1_700_000_000_000)
				tpl.setQueue(out, bodyAt, q)
				if _, v, _ := sent(t, out[at:]); v.Topic != fmt.Sprintf("many-%d", i) || v.QueueID != int32(q) {
					t.Errorf("topic %s queue %d, want many-%d %d", v.Topic, v.QueueID, i, q)
				}
			}
		}
		o.Topics = 1
		for q, tpl := range newTemplates(c, o, []byte("body")) {
			out, _ = tpl.appendTo(out[:0], 1, 1_700_000_000_000)
			if _, v, _ := sent(t, out); v.Topic != "many" || v.QueueID != int32(q) {
				t.Errorf("one topic: %s %d, want queue %d", v.Topic, v.QueueID, q)
			}
		}
	}
}
