package admin

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/selector"
)

// filter makes a test of messages: tags, or SQL92 on properties when the text is no tag expression.
func filter(expr string) (func(*message) bool, error) {
	expr = strings.TrimSpace(expr)
	if expr == "" || expr == "*" {
		return func(*message) bool { return true }, nil
	}
	if !strings.ContainsAny(expr, "=<>'()") && !strings.Contains(strings.ToUpper(expr), " IS ") {
		return func(m *message) bool { return wanted(expr, m.Props["TAGS"]) }, nil
	}
	sql, err := selector.ParseSQL(expr)
	if err != nil {
		return nil, usage("--filter: %v", err)
	}
	return func(m *message) bool {
		var p record.Props
		for k, v := range m.Props {
			p = record.AppendProp(p, k, v)
		}
		return sql.Matches(p)
	}, nil
}

// tailWait is how long tail rests when no queue had anything.
const tailWait = 200 * time.Millisecond

func tail(c *Call) error {
	match, err := filter(c.Str("filter"))
	if err != nil {
		return err
	}
	since, err := c.when("since")
	if err != nil {
		return err
	}
	list, err := c.sources(c.Str("t"), "")
	if err != nil {
		return err
	}
	c.streams = true
	at := make([]mq.Index, len(list))
	for i := range list {
		lo, hi, err := list[i].bounds(c.Ctx, since, -1)
		if err != nil {
			return err
		}
		if at[i] = hi; since >= 0 {
			at[i] = lo
		}
	}
	left := c.Int("count", -1)
	for {
		moved := false
		for i := range list {
			hi, err := list[i].broker.MaxIndex(c.Ctx, list[i].topic, list[i].queue)
			if err == nil && at[i] < hi {
				var next mq.Index
				next, _, err = list[i].read(c.Ctx, "*", at[i], hi, func(m *message) error {
					if !match(m) {
						return nil
					}
					left--
					return cmp.Or(c.tailLine(m), enough(left))
				})
				moved = moved || next > at[i]
				at[i] = next
			}
			if errors.Is(err, errEnough) || c.Ctx.Err() != nil {
				return nil //nolint:nilerr // the end that was asked for
			}
			if err != nil {
				return err
			}
		}
		if moved {
			continue
		}
		select {
		case <-c.Ctx.Done():
			return nil
		case <-time.After(tailWait):
		}
	}
}

func (c *Call) tailLine(m *message) error {
	tag := ""
	if t := m.Props["TAGS"]; t != "" {
		tag = "[" + t + "] "
	}
	body := m.Body
	if m.Base64 != "" {
		body = "base64 " + m.Base64
	}
	if c.Wide() {
		tag = m.ID + " " + mapText(m.Props) + " "
	}
	return c.Stream(m, "%s %s/%d@%d %s%s\n", time.UnixMilli(m.Stored).Format("15:04:05.000"), m.Broker, m.Queue, m.Index, tag, body)
}
