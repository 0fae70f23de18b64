package amqpapi

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/cometmq/cometmq/internal/api/amqpapi/amqp10"
	"github.com/cometmq/cometmq/internal/bytesview"
	"github.com/cometmq/cometmq/internal/record"
)

// Properties of a stored message that this door adds.
const (
	propMsgType = "amqpMsgType" // x-opt-jms-msg-type
	propBody    = "amqpBody"    // what the body was: bodyText or bodySections; absent: data
	propHdr     = "amqpHdr"     // base64 of header, message annotations and properties
	propTypes   = "amqpTypes"   // name=letter,... of the application properties that are no strings
	propMore    = "amqpMore"    // base64 of a map of the application properties that cannot be properties
	propExpiry  = "amqpExpiry"  // ms when the message is of no use any more
)

// letters name the types of application properties in propTypes.
var letters = [...]struct {
	kind   amqp10.Kind
	letter byte
	bits   int
}{
	{amqp10.Bool, 'b', 0},
	{amqp10.Byte, 'y', 8},
	{amqp10.Short, 'h', 16},
	{amqp10.Int, 'i', 32},
	{amqp10.Long, 'l', 64},
	{amqp10.Float, 'f', 32},
	{amqp10.Double, 'd', 64},
	{amqp10.Ubyte, 'Y', -8},
	{amqp10.Ushort, 'H', -16},
	{amqp10.Uint, 'I', -32},
	{amqp10.Ulong, 'L', -64},
	{amqp10.Char, 'c', -32},
	{amqp10.Timestamp, 't', 64},
}

// text writes a value as a property, as Java's String.valueOf would. ok = false: the value cannot be one.
func text(v amqp10.Value) (s string, letter byte, ok bool) {
	if v.Kind == amqp10.String {
		return string(v.Bytes), 0, len(v.Bytes) > 0
	}
	for _, l := range letters {
		if l.kind != v.Kind {
			continue
		}
		switch {
		case l.letter == 'b':
			s = strconv.FormatBool(v.Num != 0)
		case l.letter == 'f':
			s = strconv.FormatFloat(float64(math.Float32frombits(uint32(v.Num))), 'g', -1, 32)
		case l.letter == 'd':
			s = strconv.FormatFloat(math.Float64frombits(v.Num), 'g', -1, 64)
		case l.bits < 0:
			s = strconv.FormatUint(v.Num, 10)
		default:
			s = strconv.FormatInt(v.Int(), 10)
		}
		// Some values have no text that is read back as the same: not-a-number with a payload.
		back, same := value([]byte(s), l.letter)
		return s, l.letter, same && back.Num == v.Num
	}
	return "", 0, false
}

// value reads a property back as what it was.
func value(s []byte, letter byte) (amqp10.Value, bool) {
	if letter == 0 {
		return amqp10.Value{Kind: amqp10.String, Bytes: s}, true
	}
	for _, l := range letters {
		if l.letter != letter {
			continue
		}
		v := amqp10.Value{Kind: l.kind}
		t := bytesview.String(s)
		var err error
		switch {
		case letter == 'b':
			var b bool
			b, err = strconv.ParseBool(t)
			v = amqp10.BoolValue(b)
		case letter == 'f':
			var f float64
			f, err = strconv.ParseFloat(t, 32)
			v.Num = uint64(math.Float32bits(float32(f)))
		case letter == 'd':
			var f float64
			f, err = strconv.ParseFloat(t, 64)
			v.Num = math.Float64bits(f)
		case l.bits < 0:
			v.Num, err = strconv.ParseUint(t, 10, -l.bits)
		default:
			var n int64
			n, err = strconv.ParseInt(t, 10, l.bits)
			v.Num = uint64(n)
		}
		return v, err == nil
	}
	return amqp10.Value{}, false
}

// system are the properties of RocketMQ that are no application properties.
var system = func() map[string]bool {
	m := map[string]bool{"TRAN_MSG": true, "DLQ_ORIGIN_TOPIC": true, "CONSUME_START_TIME": true, "MSG_REGION": true}
	for _, n := range []string{
		record.PropKeys, record.PropTags, record.PropUniqKey, record.PropWait, record.PropDelay, record.PropRetryTopic, record.PropRealTopic,
		record.PropRealQueueID, record.PropProducerGroup, record.PropMinOffset, record.PropMaxOffset, record.PropBuyerID, record.PropOriginID,
		record.PropReconsume, record.PropMaxReconsume, record.PropTraceOn, record.PropCluster, record.PropMessageType, record.PropShardingKey,
		record.PropInstanceID, record.PropInnerNum, record.PropInnerBase, record.PropMultiDispatch, record.PropMultiOffset,
		record.PropTransactionID, record.PropCheckTimes, record.PropCheckImmunity, record.PropPreparedIndex, record.PropPopCheckpoint,
		record.PropPopCKOffset, record.PropFirstPopTime, record.PropOriginGroup, record.PropCorrelationID, record.PropReplyToClient,
		record.PropTTL, record.PropArriveTime, record.PropPushReplyTime, record.PropTimerDelaySec, record.PropTimerDelayMS,
		record.PropTimerDeliverMS, record.PropTimerEnqueueMS, record.PropTimerDequeueMS, record.PropTimerRollTimes, record.PropTimerOutMS,
		record.PropTimerDelKey, record.PropTimerLevel, record.PropTimerDueMS, record.PropBornHost, record.PropBornTime,
		record.PropDLQOriginID, record.PropCRC32, record.PropPriority, record.PropLiteTopic, propMsgType, propBody, propHdr, propTypes,
		propMore, propExpiry,
	} {
		m[n] = true
	}
	return m
}()

// plain reports whether an application property can be a property of the same name.
func plain(name string) bool {
	return name != "" && !system[name] && !strings.ContainsAny(name, "\x01\x02,=")
}

// appendApplication appends application properties.
func appendApplication(dst []byte, app amqp10.Value) []byte {
	var types []byte
	var more amqp10.Value
	seen := map[string]bool{}
	for i := 0; i+1 < len(app.Items); i += 2 {
		k, v := app.Items[i], app.Items[i+1]
		name := k.Text()
		s, letter, ok := text(v)
		if k.Kind != amqp10.String || !ok || !plain(name) || !record.ValidProp(name, s) || seen[name] {
			more.Kind = amqp10.MapKind
			more.Items = append(more.Items, k, v)
			continue
		}
		seen[name] = true
		dst = record.AppendProp(dst, name, s)
		if letter != 0 {
			if len(types) > 0 {
				types = append(types, ',')
			}
			types = append(append(types, name...), '=', letter)
		}
	}
	if len(types) > 0 {
		dst = record.AppendProp(dst, propTypes, string(types))
	}
	if len(more.Items) > 0 {
		dst = record.AppendProp(dst, propMore, encode64(amqp10.AppendValue(nil, more)))
	}
	return dst
}

// application makes application properties of the properties that users set.
func application(p record.Props) amqp10.Value {
	var app amqp10.Value
	types, _ := p.Get(propTypes)
	letter := map[string]byte{}
	for len(types) > 0 {
		var one []byte
		one, types, _ = bytes.Cut(types, []byte(","))
		if i := bytes.LastIndexByte(one, '='); i > 0 && i == len(one)-2 {
			letter[string(one[:i])] = one[i+1]
		}
	}
	at := map[string]int{} // of equal names the last wins
	p.ForEach(func(k, v []byte) bool {
		name := string(k)
		if system[name] {
			return true
		}
		val, ok := value(v, letter[name])
		if !ok {
			val = amqp10.Value{Kind: amqp10.String, Bytes: v}
		}
		if i, twice := at[name]; twice {
			app.Items[i] = val
			return true
		}
		app.Kind = amqp10.MapKind
		at[name] = len(app.Items) + 1
		app.Items = append(app.Items, amqp10.StringValue(name), val)
		return true
	})
	if b, ok := decode64(p, propMore); ok {
		if more, err := amqp10.NewReader(b).Value(); err == nil && more.Kind == amqp10.MapKind {
			app.Kind = amqp10.MapKind
			app.Items = append(app.Items, more.Items...)
		}
	}
	return app
}
