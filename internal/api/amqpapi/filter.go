package amqpapi

import (
	"math"
	"strings"

	"github.com/cometmq/cometmq/internal/api/amqpapi/amqp10"
	"github.com/cometmq/cometmq/internal/api/amqpapi/jmsselector"
	"github.com/cometmq/cometmq/internal/mq"
)

// Descriptors of the filter that is a JMS selector (Apache's extension).
const (
	codeSelector = 0x0000468C00000004
	nameSelector = "apache.org:selector-filter:string"
	codeNoLocal  = 0x0000468C00000003
	nameNoLocal  = "apache.org:no-local-filter:list"
)

// selectorOf returns the selector of a source, nil when it has none, and those of its filters that are honoured.
func selectorOf(src *amqp10.Source) (*jmsselector.Selector, amqp10.Value, error) {
	var sel *jmsselector.Selector
	var kept amqp10.Value
	for i := 0; i+1 < len(src.Filter.Items); i += 2 {
		key, v := src.Filter.Items[i], src.Filter.Items[i+1]
		if v.Kind != amqp10.Described {
			continue
		}
		is := func(code uint64, name string) bool {
			d := v.Items[0]
			return d.Kind == amqp10.Ulong && d.Num == code || d.Text() == name
		}
		switch {
		case is(codeNoLocal, nameNoLocal):
			return nil, kept, mq.Errorf(mq.KindUnsupported, "no-local is not offered yet")
		case is(codeSelector, nameSelector):
			text := v.Items[1].Text()
			if strings.TrimSpace(text) == "" {
				continue
			}
			var err error
			if sel, err = jmsselector.Parse(text); err != nil {
				return nil, kept, mq.Errorf(mq.KindInvalidParameter, "%s", err.Error())
			}
			kept = amqp10.MapOf(key, v)
		}
	}
	return sel, kept, nil
}

// lookup finds what selectors name in a message.
func lookup(m *amqp10.Message) jmsselector.Lookup {
	return func(name string) jmsselector.Value {
		if strings.HasPrefix(name, "JMS") {
			if v, ok := header(m, name); ok {
				return v
			}
		}
		return selected(m.ApplicationProperties.Get(name))
	}
}

func header(m *amqp10.Message, name string) (v jmsselector.Value, ok bool) {
	text := func(s string) jmsselector.Value {
		if s == "" {
			return jmsselector.Value{}
		}
		return jmsselector.Value{Kind: jmsselector.String, Text: s}
	}
	h, p := m.Header, m.Properties
	switch name {
	case "JMSPriority":
		return jmsselector.Value{Kind: jmsselector.Int, Int: int64(h.Priority)}, true
	case "JMSDeliveryMode":
		if h.Durable.V {
			return text("PERSISTENT"), true
		}
		return text("NON_PERSISTENT"), true
	case "JMSTimestamp":
		if !p.CreationTime.OK {
			return v, true
		}
		return jmsselector.Value{Kind: jmsselector.Int, Int: p.CreationTime.V}, true
	case "JMSMessageID":
		return text(p.MessageID.Text()), true
	case "JMSCorrelationID":
		return text(p.CorrelationID.Text()), true
	case "JMSType":
		return text(p.Subject.V), true
	case "JMSXGroupID":
		return text(p.GroupID.V), true
	case "JMSXGroupSeq":
		if !p.GroupSequence.OK {
			return v, true
		}
		return jmsselector.Value{Kind: jmsselector.Int, Int: int64(p.GroupSequence.V)}, true
	}
	return v, false
}

// selected is an AMQP value as selectors see it. What JMS has no type for is missing.
func selected(v amqp10.Value) jmsselector.Value {
	switch v.Kind {
	case amqp10.Bool:
		return jmsselector.BoolOf(v.Num != 0)
	case amqp10.String:
		return jmsselector.Value{Kind: jmsselector.String, Text: string(v.Bytes)}
	case amqp10.Byte, amqp10.Short, amqp10.Int, amqp10.Long, amqp10.Timestamp, amqp10.Ubyte, amqp10.Ushort, amqp10.Uint, amqp10.Ulong:
		return jmsselector.Value{Kind: jmsselector.Int, Int: v.Int()}
	case amqp10.Float:
		return jmsselector.Value{Kind: jmsselector.Float, Num: float64(math.Float32frombits(uint32(v.Num)))}
	case amqp10.Double:
		return jmsselector.Value{Kind: jmsselector.Float, Num: math.Float64frombits(v.Num)}
	default:
		return jmsselector.Value{}
	}
}
