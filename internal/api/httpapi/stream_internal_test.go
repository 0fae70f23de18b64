package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowWriter is a client that reads nothing until it is let.
type slowWriter struct {
	*httptest.ResponseRecorder
	mu   sync.Mutex
	gate chan struct{} // nil: it reads
}

func (w *slowWriter) Write(b []byte) (int, error) {
	if w.gate != nil && !strings.HasPrefix(string(b), "retry") {
		<-w.gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ResponseRecorder.Write(b)
}

func (w *slowWriter) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Body.String()
}

// streaming opens a stream in a bubble.
func streaming(t *testing.T, a *API, w *slowWriter, produce func(ctx context.Context, s *stream)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/x", http.NoBody)
	who, err := a.identify(r)
	if err != nil {
		t.Fatal(err)
	}
	c := &call{a: a, w: w, r: r, ctx: ctx, rt: &route{role: roleViewer, stream: true}, who: who}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := c.stream(produce); err != nil {
			t.Error(err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func bareAPI(t *testing.T) *API {
	t.Helper()
	a := &API{o: Options{Auth: AuthNone}, now: time.Now}
	a.ctx, a.cancel = context.WithCancel(t.Context())
	return a
}

func TestStreamsBeatAndEndWithTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bareAPI(t)
		w := &slowWriter{ResponseRecorder: httptest.NewRecorder()}
		stop := streaming(t, a, w, func(ctx context.Context, s *stream) {
			s.offer("message", "id-1", map[string]string{"a": "line\nfeed"})
			<-ctx.Done()
		})
		time.Sleep(46 * time.Second)
		const want = "retry: 3000\n\nid: id-1\nevent: message\ndata: {\"a\":\"line\\nfeed\"}\n\n:\n\n:\n\n:\n\n"
		if got := w.text(); got != want {
			t.Errorf("%q", got)
		}
		h := w.Header()
		if h.Get("X-Accel-Buffering") != "no" || h.Get("Cache-Control") != "no-store" || !strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") {
			t.Errorf("%v", h)
		}
		a.cancel()
		synctest.Wait()
		if !strings.HasSuffix(w.text(), "event: end\ndata: {\"reason\":\"shutdown\"}\n\n") {
			t.Errorf("%q", w.text())
		}
		stop()
	})
}

func TestASlowReaderCostsEventsAndNoTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bareAPI(t)
		w := &slowWriter{ResponseRecorder: httptest.NewRecorder(), gate: make(chan struct{})}
		began, took, lost := time.Now(), time.Duration(0), int64(0)
		stop := streaming(t, a, w, func(_ context.Context, s *stream) {
			for range 3 * streamQueue {
				s.offer("message", "", 1)
			}
			took, lost = time.Since(began), s.dropped.Load()
			s.end("done")
		})
		synctest.Wait()
		if took != 0 || lost < 2*streamQueue-2 {
			t.Errorf("%d events were dropped, in %s", lost, took)
		}
		close(w.gate)
		synctest.Wait()
		if got := strings.Count(w.text(), "event: message"); int64(got) != 3*streamQueue-lost || !strings.Contains(w.text(), `{"reason":"done"}`) {
			t.Errorf("%d events came", got)
		}
		stop()
	})
}

func TestStreamsEndWithTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bareAPI(t)
		w := &slowWriter{ResponseRecorder: httptest.NewRecorder()}
		stop := streaming(t, a, w, func(ctx context.Context, s *stream) {
			a.o.Auth = AuthFile // from now on one has to sign in; the goroutine that looks gets the event first
			s.offer("changed", "", 1)
			<-ctx.Done()
		})
		time.Sleep(61 * time.Second)
		if !strings.Contains(w.text(), `{"reason":"signedOut"}`) {
			t.Errorf("%q", w.text())
		}
		stop()
	})
}

func TestASessionHasSixStreams(t *testing.T) {
	t.Parallel()
	var s streams
	for i := range maxStreams {
		if !s.enter("a") {
			t.Errorf("stream %d is refused", i)
		}
	}
	if s.enter("a") || !s.enter("b") {
		t.Error("the seventh is taken, or the first of another session is not")
	}
	s.leave("a")
	s.leave("b")
	if !s.enter("a") || len(s.open) != 1 {
		t.Error("a place that was left stays taken")
	}
}
