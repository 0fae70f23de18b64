package protocol

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/fastjson"
)

// RegisterBrokerBody is what a broker tells the name servers (code 103).
type RegisterBrokerBody struct {
	FilterServerList []string
	Topics           TopicConfigAndMappingSerializeWrapper // topicConfigSerializeWrapper
}

// Write writes r.
func (r *RegisterBrokerBody) Write(w *fastjson.Writer) {
	w.ObjStart()
	w.Key("filterServerList")
	w.Strs(r.FilterServerList)
	w.Key("topicConfigSerializeWrapper")
	r.Topics.Write(w)
	w.ObjEnd()
}

func (r *RegisterBrokerBody) read(v fastjson.Value) {
	r.FilterServerList = v.Get("filterServerList").Strs()
	r.Topics.read(v.Get("topicConfigSerializeWrapper"))
}

// Decode reads the form without compression.
func (r *RegisterBrokerBody) Decode(data []byte) error { return decodeBody(data, r.read) }

// AppendTo appends the form without compression.
func (r *RegisterBrokerBody) AppendTo(dst []byte, std bool) []byte {
	return appendBody(dst, std, r.Write)
}

// maxRegistration and maxTopics bound an inflated registration: a line is some 60 bytes.
const (
	maxRegistration = 64 << 20
	maxTopics       = 1 << 20
)

// AppendCompressed appends the compressed form, a zlib stream of
//
//	int32 n, DataVersion JSON
//	int32 topics, for each: int32 n, "name readQueues writeQueues perm filterType {attributes}"
//	int32 n, filter server list JSON
//	int32 mappings, for each: int32 n, TopicQueueMappingInfo JSON
//
// It has no room for topicSysFlag and order of a topic, nor for the mapping's version and details.
func (r *RegisterBrokerBody) AppendCompressed(dst []byte) []byte {
	t := &r.Topics
	plain := appendSized(nil, func(b []byte) []byte { return t.DataVersion.AppendTo(b, false) })
	plain = binary.BigEndian.AppendUint32(plain, uint32(len(t.TopicConfigTable)))
	for i := range t.TopicConfigTable {
		plain = appendSized(plain, t.TopicConfigTable[i].appendLine)
	}
	plain = appendSized(plain, func(b []byte) []byte {
		w := fastjson.NewWriter(b, fastjson.Compact)
		w.Strs(r.FilterServerList)
		return w.Bytes()
	})
	plain = binary.BigEndian.AppendUint32(plain, uint32(len(t.TopicQueueMappingInfoMap)))
	for _, k := range slices.Sorted(maps.Keys(t.TopicQueueMappingInfoMap)) {
		m := t.TopicQueueMappingInfoMap[k]
		plain = appendSized(plain, func(b []byte) []byte { return appendBody(b, false, m.Write) })
	}
	out := bytes.NewBuffer(dst)
	z, _ := zlib.NewWriterLevel(out, zlib.BestCompression) // the level is known to be good
	_, _ = z.Write(plain)                                  // a bytes.Buffer takes everything
	_ = z.Close()
	return out.Bytes()
}

func appendSized(b []byte, f func([]byte) []byte) []byte {
	at := len(b)
	b = f(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// DecodeCompressed reads the compressed form of a broker of the given version: those before 5.0 send no mappings.
func (r *RegisterBrokerBody) DecodeCompressed(data []byte, version int32) error {
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("%w: inflate registration: %w", ErrBody, err)
	}
	*r = RegisterBrokerBody{}
	d := inflated{r: bufio.NewReader(z), left: maxRegistration}
	t := &r.Topics
	if doc := d.chunk(); d.err == nil {
		d.err = t.DataVersion.Decode(doc)
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		var c TopicConfig
		if c.decodeLine(string(d.chunk())) {
			t.TopicConfigTable = append(t.TopicConfigTable, c)
		}
		if len(t.TopicConfigTable) > maxTopics {
			d.err = fmt.Errorf("more than %d topics", maxTopics)
		}
	}
	if doc := d.chunk(); d.err == nil {
		var v fastjson.Value
		v, d.err = fastjson.Parse(doc)
		r.FilterServerList = v.Strs()
	}
	if version >= Version5_0_0 {
		t.TopicQueueMappingInfoMap = make(map[string]TopicQueueMappingInfo)
		for n := d.count(); n > 0 && d.err == nil; n-- {
			var m TopicQueueMappingInfo
			if doc := d.chunk(); d.err == nil {
				d.err = decodeBody(doc, m.read)
				t.TopicQueueMappingInfoMap[m.Topic] = m
			}
		}
	}
	if d.err == nil { // read on to the checksum, over what newer versions may add
		_, d.err = io.Copy(io.Discard, io.LimitReader(d.r, int64(max(d.left, 0))))
	}
	if d.err != nil {
		return fmt.Errorf("%w: inflate registration: %w", ErrBody, d.err)
	}
	return nil
}

// inflated reads the parts of a compressed registration. The first error stays.
type inflated struct {
	r    *bufio.Reader
	left int
	err  error
}

func (d *inflated) count() int {
	var b [4]byte
	if d.err == nil {
		_, d.err = io.ReadFull(d.r, b[:])
	}
	if d.err != nil {
		return 0
	}
	n := int(int32(binary.BigEndian.Uint32(b[:])))
	if n < 0 || n > d.left {
		d.err = fmt.Errorf("length %d", n)
		return 0
	}
	return n
}

// chunk reads a part with its length in front. The memory grows with what really comes.
func (d *inflated) chunk() []byte {
	n := d.count()
	if d.err != nil {
		return nil
	}
	d.left -= n + 4
	b, err := io.ReadAll(io.LimitReader(d.r, int64(n)))
	if err == nil && len(b) < n {
		err = io.ErrUnexpectedEOF
	}
	d.err = err
	return b
}

// appendLine appends the topic as one line of a compressed registration.
func (t *TopicConfig) appendLine(b []byte) []byte {
	b = append(b, t.TopicName...)
	for _, n := range []int32{t.ReadQueueNums, t.WriteQueueNums, t.Perm} {
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(n), 10)
	}
	b = append(b, ' ')
	b = append(b, t.TopicFilterType...)
	b = append(b, ' ')
	w := fastjson.NewWriter(b, fastjson.Compact)
	writeStrings(w, t.Attributes)
	return w.Bytes()
}

// decodeLine reads a line. Old brokers send no attributes. A line that makes no sense is left out, as in Java.
func (t *TopicConfig) decodeLine(line string) bool {
	f := strings.SplitN(line, " ", 6)
	if len(f) < 5 {
		return false
	}
	*t = TopicConfig{TopicName: f[0], TopicFilterType: f[4], Attributes: make(map[string]string)}
	for i, n := range []*int32{&t.ReadQueueNums, &t.WriteQueueNums, &t.Perm} {
		v, err := strconv.ParseInt(f[1+i], 10, 32)
		if err != nil {
			return false
		}
		*n = int32(v)
	}
	if len(f) == 6 {
		if v, err := fastjson.ParseString(f[5]); err == nil {
			t.Attributes = readStrings(v)
		}
	}
	return true
}
