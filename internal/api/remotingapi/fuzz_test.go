package remotingapi

import (
	"testing"

	"github.com/cometmq/cometmq/internal/remoting"
)

// FuzzBodies feeds the handlers that read a JSON body. Whatever comes, the request is answered once, the connection lives
// and the next request works.
func FuzzBodies(f *testing.F) {
	codes := []int32{34, 41, 42, 46, 200, 400}
	for i := range codes {
		for _, body := range []string{
			"", "{}", "null", "[]", beat + "}", `{"clientId":"c","consumerGroup":"G","mqSet":[{"queueId":"9"}]}`,
			`{"mqSet":{"a":1},"subscriptionData":[],"consumerDataSet":[null,1,"x",[[]]]}`, `{"groupName":{},"groupRetryPolicy":[1,{"$ref":".."}]}`,
		} {
			f.Add(uint8(i), body)
		}
	}
	core := &fake{}
	r := overMemory(f, core, core)
	w := r.wire(f)
	opaque := int32(0)
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		if len(body) > 64<<10 {
			t.Skip()
		}
		w.t = t
		opaque += 2
		w.write(frame(remoting.Binary, codes[int(which)%len(codes)], opaque, 0, nil, body), req(30, opaque+1, ext{"topic": "T", "queueId": "1"}, ""))
		first, err := w.recv()
		if err != nil {
			t.Fatal(err)
		}
		second, err := w.recv()
		if err != nil {
			t.Fatal(err)
		}
		if first.opaque > second.opaque {
			first, second = second, first
		}
		if first.opaque != opaque || second.opaque != opaque+1 || second.code != 0 || (first.code != 0 && first.code != 1) {
			t.Fatalf("%+v %+v", first, second)
		}
		core.take()
	})
}

// FuzzFields does the same to the handlers that read header fields.
func FuzzFields(f *testing.F) {
	f.Add(int32(310), "a", "b", []byte("x"))
	f.Add(int32(11), "queueOffset", "-1", []byte(nil))
	f.Add(int32(17), "attributes", "+a=b=c,,-,=", []byte(nil))
	core := &fake{}
	w := overMemory(f, core, core).wire(f)
	known := handlers()
	opaque := int32(0)
	f.Fuzz(func(t *testing.T, code int32, key, value string, body []byte) {
		if known[code] == nil || len(key) > 1000 || len(value) > 10_000 || len(body) > 10_000 {
			t.Skip()
		}
		w.t = t
		opaque++
		w.write(frame(remoting.Binary, code, opaque, 0, ext{key: value}, string(body)))
		if r, err := w.recv(); err != nil || r.opaque != opaque {
			t.Fatalf("%+v %v", r, err)
		}
		core.take()
	})
}
