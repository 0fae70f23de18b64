package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/bench"
	"github.com/cometmq/cometmq/internal/protocol"
)

// filterConf is the broker of the filter cases: SQL92 is off by default, as in Java.
var filterConf = map[string]string{"enablePropertyFilter": "true"}

// subscribe registers a connection as a consumer of the case's group with one subscription.
func (e *env) subscribe(c *bench.Client, kind, expr string, version int64) {
	e.Helper()
	d := protocol.HeartbeatData{
		ClientID: "c@" + e.group,
		Consumers: []protocol.ConsumerData{{
			GroupName: e.group, ConsumeType: "CONSUME_PASSIVELY", MessageModel: "CLUSTERING", ConsumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
			SubscriptionDataSet: []protocol.SubscriptionData{{Topic: e.topic, SubString: expr, ExpressionType: kind, SubVersion: version}},
		}},
	}
	e.code(e.call(c, protocol.ReqHeartBeat, nil, d.AppendTo(nil, false)), 0)
}

// check asks CHECK_CLIENT_CONFIG.
func (e *env) check(kind, expr string) *bench.Reply {
	e.Helper()
	body := fmt.Sprintf(`{"clientId":"c","group":%q,"namespace":"","subscriptionData":{"classFilterMode":false,"codeSet":[],`+
		`"expressionType":%q,"subString":%q,"subVersion":1,"tagsSet":[],"topic":%q}}`, e.group, kind, expr, e.topic)
	return e.call(e.b, protocol.ReqCheckClientConfig, nil, []byte(body))
}

// subscribed pulls with the heartbeat's subscription.
func (e *env) subscribed(version int64) *bench.Reply {
	e.Helper()
	h := e.pullHeader(0, 0)
	h.SysFlag, h.SubVersion, h.ExpressionType, h.Subscription = 0, version, "SQL92", ""
	return e.call(e.b, protocol.ReqPullMessage, h, nil)
}

// texts are the bodies of an answer.
func (e *env) texts(r *bench.Reply) string {
	e.Helper()
	var s []string
	for _, m := range e.decode(r.Body) {
		s = append(s, string(m.Body))
	}
	return strings.Join(s, " ")
}

// colours sends four messages.
func (e *env) colours() {
	e.Helper()
	e.create(1)
	e.send(0, "n\x011\x02colour\x01red\x02", "1red")
	e.send(0, "n\x012\x02colour\x01blue\x02", "2blue")
	e.send(0, "n\x013\x02", "3")
	e.send(0, "TAGS\x01A\x02n\x01x\x02colour\x01dark red\x02", "xdark")
	e.filled(0, 4)
}

// follow is a second connection's parked pull from the end of the queue.
func (e *env) follow(expr string, at int64) *bench.Client {
	e.Helper()
	c := e.dial(e.cluster.Addrs[0])
	h := e.pullHeader(0, at)
	h.SysFlag, h.ExpressionType, h.Subscription, h.SuspendTimeoutMillis = 4|2, "SQL92", expr, 30_000
	if err := c.Start(protocol.ReqPullMessage, h, nil, 4711); err != nil {
		e.Fatal(err)
	}
	if err := c.FlushOut(); err != nil {
		e.Fatal(err)
	}
	return c
}

var filterCases = []testCase{
	{"a check of an expression that compiles succeeds", func(e *env) {
		for _, expr := range []string{"a > 1", "a BETWEEN 1 AND 3 AND b IN ('x', 'y') OR c IS NOT NULL", "TRUE", "a = 1 and the rest is not = looked at"} {
			e.code(e.check("SQL92", expr), 0)
		}
		e.code(e.check("TAG", "||"), 0)
	}},
	{"a check of an expression that does not compile is 23 and names the place", func(e *env) {
		e.code(e.check("SQL92", "a >"), protocol.RespSubscriptionParseFailed, "ParseException: Encountered \"<EOF>\" at line 1, column 3.")
		e.code(e.check("SQL92", "a = 1 and\n and b"), protocol.RespSubscriptionParseFailed, "at line 2, column 2.")
		e.code(e.check("SQL92", "a = 'x"), protocol.RespSubscriptionParseFailed, "TokenMgrError: Lexical error at line 1, column 7.  Encountered: <EOF> after : \"\\'x\"")
		e.code(e.check("SQL92", "a > 'x'"), protocol.RespSubscriptionParseFailed, "java.lang.RuntimeException: Value ''x'' cannot be compared.")
		e.code(e.check("SQL92", "a BETWEEN 3 AND 1"), protocol.RespSubscriptionParseFailed, "left value(3) must less than or equal to right value(1)")
		e.code(e.check("LUA", "a > 1"), protocol.RespSubscriptionParseFailed)
	}},
	{"an expression with the pull chooses messages", func(e *env) {
		e.colours()
		for expr, want := range map[string]string{
			"n > 1": "2blue 3", "colour = 'red'": "1red", "colour IS NULL": "3", "colour CONTAINS 'red'": "1red xdark",
			"colour STARTSWITH 'dark' OR n = 3": "3 xdark", "NOT (colour = 'red')": "2blue xdark", "n IN ('1', 'x')": "1red xdark",
			"TAGS = 'A'": "xdark", "n BETWEEN 1 AND 2": "1red 2blue", "TRUE": "1red 2blue 3 xdark",
		} {
			h := e.pullHeader(0, 0)
			h.ExpressionType, h.Subscription = "SQL92", expr
			r := e.call(e.b, protocol.ReqPullMessage, h, nil)
			e.code(r, 0)
			if got := e.texts(r); got != want {
				e.Errorf("%s: %q, want %q", expr, got, want)
			}
			if n := e.num(r, "nextBeginOffset"); n != 4 {
				e.Errorf("%s: next %d", expr, n)
			}
		}
	}},
	{"an expression that nothing matches is 20 and moves on", func(e *env) {
		e.colours()
		h := e.pullHeader(0, 0)
		h.ExpressionType, h.Subscription = "SQL92", "n > 100"
		r := e.call(e.b, protocol.ReqPullMessage, h, nil)
		e.code(r, protocol.RespPullRetryImmediately)
		if n := e.num(r, "nextBeginOffset"); n != 4 {
			e.Errorf("next %d", n)
		}
	}},
	{"an empty expression with the pull is 23", func(e *env) {
		e.create(1)
		h := e.pullHeader(0, 0)
		h.ExpressionType, h.Subscription = "SQL92", ""
		e.code(e.call(e.b, protocol.ReqPullMessage, h, nil), protocol.RespSubscriptionParseFailed, "parse the consumer's subscription failed")
	}},
	{"the heartbeat's expression chooses messages", func(e *env) {
		e.colours()
		e.subscribe(e.b, "SQL92", "n >= 2", 10)
		r := e.subscribed(10)
		e.code(r, 0)
		if got := e.texts(r); got != "2blue 3" {
			e.Errorf("%q", got)
		}
		e.subscribe(e.b, "SQL92", "n = 1", 11)
		r = e.subscribed(11)
		e.code(r, 0)
		if got := e.texts(r); got != "1red" {
			e.Errorf("%q", got)
		}
		e.subscribe(e.b, "SQL92", "n = 3", 9) // older
		if got := e.texts(e.subscribed(11)); got != "1red" {
			e.Errorf("%q", got)
		}
	}},
	{"a newer expression than the heartbeat's is 25", func(e *env) {
		e.colours()
		e.subscribe(e.b, "SQL92", "n >= 2", 10)
		e.code(e.subscribed(11), protocol.RespSubscriptionNotLatest)
	}},
	{"a heartbeat's expression that does not compile is 27", func(e *env) {
		e.colours()
		e.subscribe(e.b, "SQL92", "n >=", 10)
		e.code(e.subscribed(10), protocol.RespFilterDataNotExist, "The broker's consumer filter data is not exist!Your expression may be wrong!")
		e.subscribe(e.b, "SQL92", "n >= 2", 11)
		e.code(e.subscribed(11), 0)
		e.subscribe(e.b, "SQL92", "n >=", 12)
		e.code(e.subscribed(12), protocol.RespFilterDataNotExist)
	}},
	{"filter data that are not as new as the subscription are 28", func(e *env) {
		e.colours()
		e.subscribe(e.b, "SQL92", "n >= 2", 20)
		e.call(e.b, protocol.ReqUnregisterClient, &protocol.UnregisterClientRequestHeader{ClientID: "c@" + e.group, ConsumerGroup: e.group}, nil)
		e.subscribe(e.b, "SQL92", "", 30) // kept as a subscription, not as an expression
		e.code(e.subscribed(30), protocol.RespFilterDataNotLatest)
	}},
	{"a parked pull is woken by a message that its expression wants", func(e *env) {
		e.colours()
		c := e.follow("n = 7 AND colour = 'green'", 4)
		time.Sleep(200 * time.Millisecond) // let it park
		e.send(0, "n\x017\x02colour\x01red\x02", "no")
		e.send(0, "n\x018\x02colour\x01green\x02", "no")
		began := time.Now()
		e.send(0, "n\x017\x02colour\x01green\x02", "yes")
		for range 10 {
			r, _, err := c.Next(40 * time.Second)
			if err != nil {
				e.Fatal(err)
			}
			if r.Code == protocol.RespPullRetryImmediately { // a look at what was there while it went to sleep
				h := e.pullHeader(0, e.num(r, "nextBeginOffset"))
				h.SysFlag, h.ExpressionType, h.Subscription, h.SuspendTimeoutMillis = 4|2, "SQL92", "n = 7 AND colour = 'green'", 30_000
				if err := c.Start(protocol.ReqPullMessage, h, nil, 4712); err != nil {
					e.Fatal(err)
				}
				if err := c.FlushOut(); err != nil {
					e.Fatal(err)
				}
				continue
			}
			e.code(r, 0)
			if got := e.texts(r); got != "yes" {
				e.Errorf("%q", got)
			}
			if d := time.Since(began); d > 20*time.Second {
				e.Errorf("woken after %v", d)
			}
			return
		}
		e.Error("never an answer with messages")
	}},
	{"a message that an expression cannot compare is left out", func(e *env) {
		e.colours()
		h := e.pullHeader(0, 0)
		h.ExpressionType, h.Subscription = "SQL92", "n > 0 OR colour = 'dark red'" // n is a word in the last one
		r := e.call(e.b, protocol.ReqPullMessage, h, nil)
		e.code(r, 0)
		if got := strings.Fields(e.texts(r)); !slices.Equal(got, []string{"1red", "2blue", "3"}) {
			e.Errorf("%q", got)
		}
	}},
}
