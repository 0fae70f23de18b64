package httpapi

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/cometmq/cometmq/internal/record"
)

// message is a stored message as answers show it.
type message struct {
	ID         string            `json:"id"`
	OffsetID   string            `json:"offsetId"`
	Topic      string            `json:"topic"`
	Broker     string            `json:"broker"`
	Queue      int32             `json:"queue"`
	Index      i64               `json:"offset"`
	Offset     i64               `json:"commitLogOffset"`
	Born       int64             `json:"bornTime"`
	Stored     int64             `json:"storeTime"`
	BornHost   string            `json:"bornHost"`
	StoreHost  string            `json:"storeHost"`
	Tags       string            `json:"tags,omitempty"`
	Keys       []string          `json:"keys,omitempty"`
	Props      map[string]string `json:"properties"`
	Size       int               `json:"size"`
	Flag       int32             `json:"flag"`
	SysFlag    int32             `json:"sysFlag"`
	Reconsume  int32             `json:"reconsumeTimes"`
	Body       *bodyAnswer       `json:"body,omitempty"`
	BodyHidden bool              `json:"bodyHidden,omitempty"`

	raw    []byte // the body, unpacked where that is possible
	packed bool   // it was not possible
}

type bodyAnswer struct {
	Encoding   string `json:"encoding"`
	Text       string `json:"text"`
	Size       int    `json:"size"`
	Truncated  bool   `json:"truncated,omitempty"`
	Compressed bool   `json:"compressed,omitempty"`
	Masked     bool   `json:"masked,omitempty"`
}

const (
	// maxUnpacked bounds a body that is unpacked.
	maxUnpacked = 64 << 20
	// maxShown is what lists show of a body.
	maxShown = 64 << 10

	encodingText   = "utf8"
	encodingBase64 = "base64"
)

// unpack returns the body as the client sent it. packed: it cannot be unpacked here.
func unpack(m *record.Message, limit int64) (body []byte, packed bool) {
	if m.SysFlag&record.SysFlagCompressed == 0 {
		return m.Body, false
	}
	if kind := m.SysFlag & record.SysFlagCompressionMask; kind == 0 || kind == record.SysFlagZLIB {
		if z, err := zlib.NewReader(bytes.NewReader(m.Body)); err == nil {
			if b, err := io.ReadAll(io.LimitReader(z, limit)); err == nil {
				return b, false
			}
		}
	}
	return m.Body, true
}

// messageOf makes an answer of a record. The body is left to show.
func messageOf(broker string, m *record.Message, size int) *message {
	out := &message{
		OffsetID: string(record.AppendOffsetID(nil, m.StoreHost, m.Offset)), Topic: string(m.Topic), Broker: broker, Queue: m.QueueID, Index: i64(m.Index),
		Offset: i64(m.Offset), Born: m.BornTime, Stored: m.StoreTime, BornHost: m.BornHost.String(), StoreHost: m.StoreHost.String(), Props: map[string]string{},
		Size: size, Flag: m.Flag, SysFlag: m.SysFlag, Reconsume: m.Reconsume,
	}
	m.Props.ForEach(func(k, v []byte) bool {
		out.Props[string(k)] = string(v)
		return true
	})
	if out.ID = out.Props["UNIQ_KEY"]; out.ID == "" {
		out.ID = out.OffsetID
	}
	out.Tags = out.Props["TAGS"]
	out.Keys = strings.Fields(out.Props["KEYS"])
	out.raw, out.packed = unpack(m, maxUnpacked)
	return out
}

// decodeOne reads one record.
func decodeOne(broker string, rec []byte) (*message, int, error) {
	var m record.Message
	n, err := record.Decode(rec, &m, true)
	if err != nil {
		return nil, 0, err
	}
	return messageOf(broker, &m, n), n, nil
}

// decodeAll reads records back to back.
func decodeAll(broker string, rec []byte) ([]*message, error) {
	var out []*message
	for len(rec) > 0 {
		m, n, err := decodeOne(broker, rec)
		if err != nil {
			return out, err
		}
		out, rec = append(out, m), rec[n:]
	}
	return out, nil
}

// show puts in what the caller may see: limit 0 = the whole body.
func (m *message) show(c *call, limit int) *message {
	masks := c.masks(m.Topic)
	masks.properties(m.Props)
	if !c.who.may(roleReader) {
		m.BodyHidden = true
		return m
	}
	raw, masked := m.raw, false
	if !m.packed {
		raw, masked = masks.body(m.raw)
	}
	m.Body = &bodyAnswer{Size: len(m.raw), Compressed: m.packed, Masked: masked}
	if limit > 0 && len(raw) > limit {
		raw, m.Body.Truncated = raw[:limit], true
		raw = wholeRunes(raw)
	}
	if utf8.Valid(raw) {
		m.Body.Encoding, m.Body.Text = encodingText, string(raw)
	} else {
		m.Body.Encoding, m.Body.Text = encodingBase64, base64.StdEncoding.EncodeToString(raw)
	}
	return m
}

// wholeRunes drops a character that was cut at the end.
func wholeRunes(b []byte) []byte {
	for i := 1; i <= utf8.UTFMax && i <= len(b); i++ {
		if r := b[len(b)-i]; utf8.RuneStart(r) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}
