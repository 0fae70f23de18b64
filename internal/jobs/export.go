package jobs

import (
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// Export writes messages to a file.
type Export struct {
	Cluster mq.Cluster
	Topic   string
	Selection
	Format string // csv, jsonl
	// Match chooses among the messages; nil: all.
	Match func(m *record.Message) bool
	// Show changes what is written of a message, for those who must not see all; nil: nothing.
	Show func(props map[string]string, body []byte) (map[string]string, []byte)
}

// DeadTopic is the topic of the dead letters of a group.
func DeadTopic(group string) string { return deadPrefix + group }

// Spec says what the job is about.
func (x *Export) Spec(cluster, user string) Spec {
	s := Spec{Kind: KindExport, Cluster: cluster, Target: x.Topic, User: user}
	if group, dead := strings.CutPrefix(x.Topic, deadPrefix); dead {
		s.Kind, s.Target = KindDead, group
	}
	return s
}

// Validate checks the request.
func (x *Export) Validate() error {
	if x.Format != "csv" && x.Format != "jsonl" {
		return fmt.Errorf("the format must be csv or jsonl, not %q", x.Format)
	}
	return x.Selection.Validate()
}

// row is a message as it is exported. The body is text when it is UTF-8.
type row struct {
	ID         string            `json:"id"`
	OffsetID   string            `json:"offsetId"`
	Topic      string            `json:"topic"`
	Broker     string            `json:"broker"`
	Queue      int32             `json:"queue"`
	Offset     string            `json:"offset"`
	Stored     string            `json:"storeTime"`
	Born       string            `json:"bornTime"`
	BornHost   string            `json:"bornHost"`
	Tags       string            `json:"tags"`
	Keys       string            `json:"keys"`
	Reconsume  int32             `json:"reconsumeTimes"`
	Properties map[string]string `json:"properties"`
	Encoding   string            `json:"bodyEncoding"` // utf-8, base64, or how it is packed inside of base64
	Body       string            `json:"body"`
}

var columns = []string{
	"id", "offsetId", "topic", "broker", "queue", "offset", "storeTime", "bornTime", "bornHost", "tags", "keys", "reconsumeTimes", "properties", "bodyEncoding",
	"body",
}

const byteOrderMark = "\ufeff" // by which spreadsheets know that the file is UTF-8

// Run implements Body.
func (x *Export) Run(ctx context.Context, t *Task) error {
	rd, err := newReader(ctx, x.Cluster, x.Topic)
	if err != nil {
		return err
	}
	name := strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == '%' || r < ' ' {
			return '_'
		}
		return r
	}, strings.TrimPrefix(x.Topic, deadPrefix))
	w, err := t.Result(name + "." + x.Format)
	if err != nil {
		return err
	}
	write := jsonLines(w)
	if x.Format == "csv" {
		if write, err = csvRows(w); err != nil {
			return err
		}
	}
	n := 0
	err = rd.each(ctx, t, &x.Selection, func(m *message) error {
		if x.Match == nil || x.Match(&m.Message) {
			if werr := write(x.row(m)); werr != nil {
				return werr
			}
			n++
		}
		t.Through(1)
		return nil
	})
	if err == nil {
		t.Say("%d messages", n)
	}
	return err
}

func (x *Export) row(m *message) *row {
	body, packed := m.unpack()
	props := map[string]string{}
	m.Props.ForEach(func(k, v []byte) bool {
		props[string(k)] = string(v)
		return true
	})
	if x.Show != nil {
		props, body = x.Show(props, body)
	}
	r := &row{
		ID: props[record.PropUniqKey], OffsetID: string(record.AppendOffsetID(nil, m.StoreHost, m.Offset)), Topic: string(m.Topic), Broker: m.ref.Broker,
		Queue: m.QueueID, Offset: strconv.FormatInt(int64(m.Index), 10), Stored: stamp(m.StoreTime), Born: stamp(m.BornTime), BornHost: m.BornHost.String(),
		Tags: props[record.PropTags], Keys: props[record.PropKeys], Reconsume: m.Reconsume, Properties: props, Encoding: "utf-8",
	}
	switch {
	case packed != "":
		r.Encoding, r.Body = packed, base64.StdEncoding.EncodeToString(body)
	case utf8.Valid(body):
		r.Body = string(body)
	default:
		r.Encoding, r.Body = "base64", base64.StdEncoding.EncodeToString(body)
	}
	return r
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

func jsonLines(w io.Writer) func(*row) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return func(r *row) error { return e.Encode(r) }
}

func csvRows(w io.Writer) (func(*row) error, error) {
	if _, err := io.WriteString(w, byteOrderMark); err != nil {
		return nil, err
	}
	c := csv.NewWriter(w)
	c.UseCRLF = true
	if err := c.Write(columns); err != nil {
		return nil, err
	}
	return func(r *row) error {
		props, err := json.Marshal(r.Properties)
		if err != nil {
			return err
		}
		cells := []string{
			r.ID, r.OffsetID, r.Topic, r.Broker, strconv.Itoa(int(r.Queue)), r.Offset, r.Stored, r.Born, r.BornHost, r.Tags, r.Keys,
			strconv.Itoa(int(r.Reconsume)), string(props), r.Encoding, r.Body,
		}
		for i, s := range cells {
			cells[i] = Harmless(s)
		}
		if err := c.Write(cells); err != nil {
			return err
		}
		c.Flush()
		return c.Error()
	}, nil
}

// Harmless returns a cell that a spreadsheet does not take for a formula.
func Harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
