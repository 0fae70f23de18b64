package nameserver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cometmq/cometmq/internal/protocol"
)

func TestDecodeBody(t *testing.T) {
	t.Parallel()
	const now = protocol.Version5_0_0
	entry := func(name string, read, write int32) topicEntry {
		return topicEntry{name: name, read: read, write: write, perm: 6}
	}
	none := []string{}
	for _, tt := range []struct {
		name       string
		body       string
		compressed bool
		version    int32
		want       registration
		wantErr    bool
	}{
		{name: "empty", version: now, want: registration{filters: none}},
		{
			name: "json", version: now, body: regBodyWith(3, `"f"`, mappingT, "T"),
			want: registration{
				version: protocol.DataVersion{Counter: 3, Timestamp: 5}, topics: []topicEntry{entry("T", 8, 8)}, filters: []string{"f"},
				mappings: []protocol.TopicQueueMappingInfo{{
					Topic: "T", Scope: "__global__", TotalQueues: 4, BrokerName: "a", Epoch: 1, CurrIDMap: map[int64]int64{0: 1},
				}},
			},
		},
		{
			name: "defaults", version: now, body: `{"topicConfigSerializeWrapper":{"topicConfigTable":{"T":{"topicName":"T"}}}}`,
			want: registration{topics: []topicEntry{entry("T", 16, 16)}, filters: none},
		},
		{
			name: "before 3.0.11", version: 36, body: `{"dataVersion":{"counter":1},"topicConfigTable":{"T":{"topicName":"T","writeQueueNums":2}}}`,
			want: registration{version: protocol.DataVersion{Counter: 1}, topics: []topicEntry{entry("T", 16, 2)}},
		},
		{
			name: "compressed", version: now, compressed: true,
			body: compressedBody(`{"counter":9}`, 1, `T 3 2 6 SINGLE_TAG {"a b":"c"}`, `["f"]`, 1, strings.TrimPrefix(mappingT, `"T":`)),
			want: registration{
				version: protocol.DataVersion{Counter: 9}, topics: []topicEntry{entry("T", 3, 2)}, filters: []string{"f"},
				mappings: []protocol.TopicQueueMappingInfo{{
					Topic: "T", Scope: "__global__", TotalQueues: 4, BrokerName: "a", Epoch: 1, CurrIDMap: map[int64]int64{0: 1},
				}},
			},
		},
		{
			name: "compressed before 5", version: now - 1, compressed: true, body: compressedBody(`{}`, 0, `[]`),
			want: registration{filters: none},
		},
		{name: "no name", version: now, body: `{"topicConfigSerializeWrapper":{"topicConfigTable":{"":{}}}}`, want: registration{filters: none}},
		{name: "cut", version: now, compressed: true, body: compressedBody(`{}`, 2, `T 3 2 6 SINGLE_TAG`), wantErr: true},
		{name: "negative", version: now, compressed: true, body: compressedBody(-1), wantErr: true},
		{name: "not JSON", version: now, body: `{]`, wantErr: true},
		{name: "not JSON before 3.0.11", version: 1, body: `{]`, wantErr: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got registration
			err := decodeBody(&got, []byte(tt.body), tt.compressed, tt.version)
			if (err != nil) != tt.wantErr {
				t.Fatalf("err = %v, want one: %v", err, tt.wantErr)
			}
			if err == nil {
				if d := cmp.Diff(&tt.want, &got, cmp.AllowUnexported(registration{}, topicEntry{}), cmpopts.EquateEmpty()); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

func FuzzDecodeBody(f *testing.F) {
	f.Add([]byte(regBodyWith(3, `"f"`, mappingT, "T", "U")), false, protocol.Version5_0_0)
	f.Add([]byte(compressedBody(`{"counter":9}`, 1, `T 3 2 6 SINGLE_TAG {"a":"c"}`, `["f"]`, 1, `{"topic":"T"}`)), true, protocol.Version5_0_0)
	f.Add([]byte(`{"dataVersion":{"counter":1},"topicConfigTable":{"T":{"topicName":"T"}}}`), false, int32(1))
	f.Fuzz(func(t *testing.T, body []byte, compressed bool, version int32) {
		g := &registration{cluster: "C", name: "a", addr: "1:1"}
		if decodeBody(g, body, compressed, version) != nil {
			return
		}
		// What decodes must be safe to apply and to undo.
		r := newRoutes()
		if _, _, err := r.register(start(), policy{dropMissing: true}, g); err != nil {
			return
		}
		check(t, r)
		for _, tp := range r.topics {
			d := r.view(tp, true)
			var back protocol.TopicRouteData
			if err := back.Decode(d.AppendTo(nil, true)); err != nil {
				t.Fatalf("route of %q cannot be read: %v", tp.name, err)
			}
		}
		r.unregister(policy{}, departure{"C", "a", "1:1", 0})
		check(t, r)
		if len(r.topics) != 0 {
			t.Fatal("topics are left")
		}
	})
}

func bigBody(n int) []byte {
	topics := make([]string, n)
	for i := range topics {
		topics[i] = fmt.Sprintf("a-topic-with-a-name-of-usual-length-%06d", i)
	}
	return []byte(regBody(1, topics...))
}

func BenchmarkDecode10000Topics(b *testing.B) {
	body := bigBody(10000)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var g registration
		if err := decodeBody(&g, body, false, protocol.Version5_0_0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRegister10000Topics(b *testing.B) {
	g := &registration{cluster: "C", name: "a", addr: "1:1"}
	if err := decodeBody(g, bigBody(10000), false, protocol.Version5_0_0); err != nil {
		b.Fatal(err)
	}
	r := newRoutes()
	b.ReportAllocs()
	for b.Loop() {
		g.version.Counter++
		if _, _, err := r.register(start(), policy{}, g); err != nil {
			b.Fatal(err)
		}
	}
}
