package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server-sent events. A producer offers events, and the goroutine of the request writes them: a reader that is too slow costs events, which
// are counted, and never makes the producer wait.
const (
	heartbeat      = 15 * time.Second
	sessionCheck   = time.Minute
	maxStreams     = 6   // of one session: browsers open no more to one host
	streamQueue    = 512 // events that wait for a slow reader
	writeWait      = 30 * time.Second
	jobPause       = 250 * time.Millisecond // between two events of one job
	reconnectAfter = 3 * time.Second
)

// event is one message of a stream.
type event struct {
	name, id string
	data     []byte
}

// stream is one open stream.
type stream struct {
	c       *call
	queue   chan event
	done    chan struct{} // closed when the producer has ended
	dropped atomic.Int64
	last    string // why it ends
}

// streams counts those that are open, by session.
type streams struct {
	mu   sync.Mutex // guards open
	open map[string]int
}

func (s *streams) enter(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who] >= maxStreams {
		return false
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.open[who]++
	return true
}

func (s *streams) leave(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who]--; s.open[who] == 0 {
		delete(s.open, who)
	}
}

// streamer is whose streams are counted together.
func (c *call) streamer() string {
	if c.who.session != nil {
		return "session " + c.who.session.CSRF
	}
	return "user " + c.who.name()
}

// offer queues an event, and counts it as dropped when there is no room. It must not be called after end.
func (s *stream) offer(name, id string, v any) bool {
	data, err := json.Marshal(v)
	if err != nil {
		s.c.a.log.Error("an event of the dashboard cannot be written", "event", name, "err", err)
		return false
	}
	select {
	case s.queue <- event{name, id, data}:
		return true
	default:
		s.dropped.Add(1)
		return false
	}
}

// end says why nothing more comes. The producer returns then.
func (s *stream) end(reason string) { s.last = reason }

// stream answers with events until the producer returns, the client goes, the session ends or the process does.
func (c *call) stream(produce func(ctx context.Context, s *stream)) (any, error) {
	who := c.streamer()
	if !c.a.streams.enter(who) {
		return nil, problemf(http.StatusTooManyRequests, "tooManyStreams", "%d streams are open in this session: close one", maxStreams)
	}
	defer c.a.streams.leave(who)
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	stop := context.AfterFunc(c.a.ctx, cancel)
	defer stop()
	s := &stream{c: c, queue: make(chan event, streamQueue), done: make(chan struct{})}
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(http.StatusOK)
	w := &eventWriter{w: c.w, rc: http.NewResponseController(c.w)}
	w.raw("retry: " + itoa64(reconnectAfter.Milliseconds()) + "\n\n")
	go func() {
		defer close(s.done)
		produce(ctx, s)
	}()
	s.write(ctx, w)
	cancel()
	<-s.done
	return handled{}, nil
}

// write is the goroutine of the request.
func (s *stream) write(ctx context.Context, w *eventWriter) {
	beat, check := time.NewTicker(heartbeat), time.NewTicker(sessionCheck)
	defer beat.Stop()
	defer check.Stop()
	for w.err == nil {
		select {
		case e := <-s.queue:
			w.event(e)
		case <-s.done:
			for len(s.queue) > 0 {
				w.event(<-s.queue)
			}
			if s.last != "" {
				w.end(s.last)
			}
			return
		case <-beat.C:
			w.raw(":\n\n")
		case <-check.C:
			if who, err := s.c.a.identify(s.c.r); err != nil || who == nil || !who.may(s.c.rt.role) {
				w.end("signedOut")
				return
			}
		case <-ctx.Done():
			if s.c.a.ctx.Err() != nil {
				w.end("shutdown")
			}
			return
		}
	}
}

// eventWriter writes events and keeps the first error.
type eventWriter struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	buf []byte
	err error
}

func (w *eventWriter) event(e event) {
	w.buf = w.buf[:0]
	if e.id != "" {
		w.buf = append(append(append(w.buf, "id: "...), e.id...), '\n')
	}
	w.buf = append(append(append(w.buf, "event: "...), e.name...), '\n')
	w.buf = append(append(append(w.buf, "data: "...), e.data...), "\n\n"...)
	w.send(w.buf)
}

func (w *eventWriter) end(reason string) {
	data, _ := json.Marshal(map[string]string{"reason": reason}) // strings always can be
	w.event(event{name: "end", data: data})
}

func (w *eventWriter) raw(s string) { w.send([]byte(s)) }

func (w *eventWriter) send(b []byte) {
	if w.err != nil {
		return
	}
	_ = w.rc.SetWriteDeadline(time.Now().Add(writeWait)) // tests' writers have none
	if _, w.err = w.w.Write(b); w.err == nil {
		w.err = w.rc.Flush()
	}
}

// pause waits, and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
