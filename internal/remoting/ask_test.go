package remoting

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/protocol"
)

// TestAsk has the server ask its client, which answers, answers late, or is gone.
func TestAsk(t *testing.T) {
	t.Parallel()
	type outcome struct {
		code int32
		body string
		err  error
	}
	const ask = 40 // any code; the client's handler looks at the body
	synctest.Test(t, func(t *testing.T) {
		conns := make(chan *Conn, 1)
		tr := overMemory()
		s := NewServer(ServerOptions{OnOpen: func(c *Conn) { conns <- c }})
		r := serve(t, tr, s)
		var late atomic.Int32
		cl := client(t, ClientOptions{Dial: tr.dial, OnRequest: map[int32]Handler{ask: func(c *Conn, r *Request) {
			if string(r.Body) == "silence" {
				late.Add(1)
				return
			}
			c.Reply(r.ReplyTo(), 7, "", nil, r.Body)
		}}})
		if err := cl.Oneway(t.Context(), r.addr, &Command{Code: protocol.ReqHeartBeat}); err != nil {
			t.Fatal(err)
		}
		c := <-conns
		got := make(chan outcome, 4)
		begin := func(body string) {
			c.Ask(3*time.Second, ask, nil, []byte(body), func(r *Response, err error) {
				if err != nil {
					got <- outcome{err: err}
					return
				}
				got <- outcome{code: r.Code, body: string(r.Body)}
			})
		}
		begin("one")
		begin("two")
		c.Flush()
		for _, want := range []string{"one", "two"} {
			if o := <-got; o.err != nil || o.code != 7 || o.body != want {
				t.Errorf("%+v, want %s", o, want)
			}
		}
		start := time.Now()
		begin("silence")
		c.Flush()
		if o := <-got; !errors.Is(o.err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("%+v after %v", o, time.Since(start))
		}
		c.Ask(time.Second, ask, nil, nil, func(*Response, error) { panic("on purpose") })
		c.Flush()
		synctest.Wait()
		begin("after a panic")
		c.Flush()
		if o := <-got; o.body != "after a panic" {
			t.Errorf("%+v", o)
		}
		begin("silence")
		c.Flush()
		synctest.Wait()
		why := fmt.Errorf("because")
		c.Close(why)
		if o := <-got; !errors.Is(o.err, why) {
			t.Errorf("%+v", o)
		}
		synctest.Wait()
		begin("too late")
		if o := <-got; !errors.Is(o.err, why) {
			t.Errorf("%+v", o)
		}
		if late.Load() != 2 || len(got) != 0 {
			t.Errorf("%d silent, %d left", late.Load(), len(got))
		}
		c.pmu.Lock()
		defer c.pmu.Unlock()
		if len(c.pending) != 0 {
			t.Errorf("%d requests are left", len(c.pending))
		}
	})
}
