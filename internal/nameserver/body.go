package nameserver

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
)

const (
	// maxInflated bounds what a compressed registration may become; 80,000 topics are some 8 MiB.
	maxInflated = 64 << 20
	// maxItem bounds one length-prefixed part of it.
	maxItem = 16 << 20
	// Java's TopicConfig defaults.
	defaultQueues = 16
	defaultPerm   = mq.PermRead | mq.PermWrite
)

var errNoTopicName = errors.New("a topic has no name")

// decodeBody reads the body of a registration into g. Names may alias body.
func decodeBody(g *registration, body []byte, compressed bool, version int32) error {
	g.filters = []string{}
	switch {
	case len(body) == 0:
		return nil
	case version < protocol.Version3_0_11:
		g.filters = nil
		v, err := fastjson.Parse(body)
		if err != nil {
			return err
		}
		return decodeWrapper(g, v)
	case compressed:
		return decodeCompressed(g, body, version)
	}
	v, err := fastjson.Parse(body)
	if err != nil {
		return err
	}
	g.filters = decodeFilters(v.Get("filterServerList"))
	return decodeWrapper(g, v.Get("topicConfigSerializeWrapper"))
}

// decodeFilters never returns nil, which would mean that the list was not sent.
func decodeFilters(v fastjson.Value) []string {
	return append([]string{}, v.Strs()...)
}

// decodeWrapper reads a TopicConfigAndMappingSerializeWrapper.
func decodeWrapper(g *registration, w fastjson.Value) error {
	g.version = decodeVersion(w.Get("dataVersion"))
	table := w.Get("topicConfigTable").Members()
	g.topics = make([]topicEntry, 0, len(table))
	for i := range table {
		e, err := decodeTopic(&table[i])
		if err != nil {
			return err
		}
		g.topics = append(g.topics, e)
	}
	for _, m := range w.Get("topicQueueMappingInfoMap").Members() {
		g.mappings = append(g.mappings, decodeMapping(m.Val))
	}
	return nil
}

func decodeTopic(m *fastjson.Member) (topicEntry, error) {
	e := topicEntry{read: defaultQueues, write: defaultQueues, perm: defaultPerm}
	for _, f := range m.Val.Members() {
		switch f.Key.Str() {
		case "topicName":
			e.name = f.Val.Str()
		case "readQueueNums":
			e.read = f.Val.Int32()
		case "writeQueueNums":
			e.write = f.Val.Int32()
		case "perm":
			e.perm = mq.Perm(f.Val.Int32())
		case "topicSysFlag":
			e.sysFlag = f.Val.Int32()
		}
	}
	if e.name == "" {
		return e, errNoTopicName
	}
	return e, nil
}

func decodeVersion(v fastjson.Value) mq.DataVersion {
	return mq.DataVersion{
		Counter: v.Get("counter").Int64(), StateVersion: v.Get("stateVersion").Int64(), Timestamp: v.Get("timestamp").Int64(),
	}
}

// decodeMapping reads a TopicQueueMappingInfo; nothing in it aliases the body, since it is kept.
func decodeMapping(v fastjson.Value) protocol.TopicQueueMappingInfo {
	m := protocol.TopicQueueMappingInfo{
		Topic: strings.Clone(v.Get("topic").Str()), BrokerName: strings.Clone(v.Get("bname").Str()),
		Scope: strings.Clone(v.Get("scope").Str()), Dirty: v.Get("dirty").Bool(), Epoch: v.Get("epoch").Int64(),
		TotalQueues: v.Get("totalQueues").Int32(), CurrIDMap: make(map[int64]int64),
	}
	for _, id := range v.Get("currIdMap").Members() {
		m.CurrIDMap[id.Key.Int64()] = id.Val.Int64()
	}
	return m
}

// decodeCompressed reads the zlib form: data version, topics as text, filter servers and, from 5.0.0 on, mappings, each
// part with its length in front.
func decodeCompressed(g *registration, body []byte, version int32) error {
	z, err := zlib.NewReader(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("inflate: %w", err)
	}
	p := parts{r: bufio.NewReader(io.LimitReader(z, maxInflated))}
	v, err := p.json()
	if err != nil {
		return fmt.Errorf("data version: %w", err)
	}
	g.version = decodeVersion(v)
	n, err := p.count()
	if err != nil {
		return fmt.Errorf("topic count: %w", err)
	}
	for range n {
		text, err := p.next()
		if err != nil {
			return fmt.Errorf("topic: %w", err)
		}
		e, err := decodeTopicText(string(text))
		if err != nil {
			return err
		}
		g.topics = append(g.topics, e)
	}
	if v, err = p.json(); err != nil {
		return fmt.Errorf("filter servers: %w", err)
	}
	g.filters = decodeFilters(v)
	if version < protocol.Version5_0_0 {
		return nil
	}
	if n, err = p.count(); err != nil {
		return fmt.Errorf("mapping count: %w", err)
	}
	for range n {
		if v, err = p.json(); err != nil {
			return fmt.Errorf("mapping: %w", err)
		}
		g.mappings = append(g.mappings, decodeMapping(v))
	}
	return nil
}

// decodeTopicText reads "name readQueues writeQueues perm filterType attributes"; the last is not always there.
func decodeTopicText(s string) (topicEntry, error) {
	f := strings.SplitN(s, " ", 6)
	if len(f) < 5 || f[0] == "" {
		return topicEntry{}, errNoTopicName
	}
	var n [3]int32
	for i := range n {
		v, err := strconv.ParseInt(f[i+1], 10, 32)
		if err != nil {
			return topicEntry{}, fmt.Errorf("topic %s: %w", f[0], err)
		}
		n[i] = int32(v)
	}
	return topicEntry{name: f[0], read: n[0], write: n[1], perm: mq.Perm(n[2])}, nil
}

// parts reads length-prefixed parts. What it returns is valid until the next call.
type parts struct {
	r   *bufio.Reader
	buf []byte
}

func (p *parts) count() (int, error) {
	var b [4]byte
	if _, err := io.ReadFull(p.r, b[:]); err != nil {
		return 0, err
	}
	n := int32(binary.BigEndian.Uint32(b[:]))
	if n < 0 {
		return 0, fmt.Errorf("length %d", n)
	}
	return int(n), nil
}

func (p *parts) next() ([]byte, error) {
	n, err := p.count()
	if err != nil {
		return nil, err
	}
	if n > maxItem {
		return nil, fmt.Errorf("length %d is over %d", n, maxItem)
	}
	// Grow with what really comes, not with what is promised.
	p.buf = p.buf[:0]
	for len(p.buf) < n {
		at := len(p.buf)
		p.buf = slices.Grow(p.buf, min(n-at, 64<<10))
		p.buf = p.buf[:at+min(n-at, 64<<10)]
		if _, err := io.ReadFull(p.r, p.buf[at:]); err != nil {
			return nil, err
		}
	}
	return p.buf, nil
}

func (p *parts) json() (fastjson.Value, error) {
	b, err := p.next()
	if err != nil {
		return fastjson.Value{}, err
	}
	return fastjson.Parse(b)
}
