package storetool

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

// DumpOptions choose what Dump prints.
type DumpOptions struct {
	Topic string // "" = all
	From  int64  // log offset to start at
	Limit int64  // 0 = all
	Body  bool   // with bodies
}

// Line is a record as Dump prints it, one JSON object a line.
type Line struct {
	Offset   int64             `json:"offset"`
	Topic    string            `json:"topic"`
	Queue    int32             `json:"queue"`
	Index    int64             `json:"index"`
	Stored   time.Time         `json:"stored"`
	BornHost string            `json:"born_host"`
	SysFlag  int32             `json:"sys_flag"`
	Props    map[string]string `json:"properties,omitempty"`
	Size     int               `json:"body_bytes"`
	Body     string            `json:"body,omitempty"`
}

// errEnough stops a walk.
var errEnough = errors.New("enough")

// Dump prints the records of a store.
func Dump(ctx context.Context, fsys vfs.FS, p Place, o DumpOptions, out io.Writer, damaged func(Damage)) error {
	enc := json.NewEncoder(out)
	var n int64
	tail, err := walk(ctx, fsys, p.log(), func(m *record.Message, _ []byte) error {
		if o.Topic != "" && o.Topic != string(m.Topic) || int64(m.Offset) < o.From {
			return nil
		}
		l := Line{
			Offset: int64(m.Offset), Topic: string(m.Topic), Queue: m.QueueID, Index: int64(m.Index),
			Stored: time.UnixMilli(m.StoreTime).UTC(), BornHost: m.BornHost.String(), SysFlag: m.SysFlag, Size: len(m.Body),
		}
		m.Props.ForEach(func(k, v []byte) bool {
			if l.Props == nil {
				l.Props = map[string]string{}
			}
			l.Props[string(k)] = string(v)
			return true
		})
		if o.Body {
			l.Body = string(m.Body)
		}
		if err := enc.Encode(&l); err != nil {
			return err
		}
		if n++; o.Limit > 0 && n >= o.Limit {
			return errEnough
		}
		return nil
	}, damaged)
	if errors.Is(err, errEnough) {
		return nil
	}
	if tail != nil {
		damaged(*tail)
	}
	return err
}
