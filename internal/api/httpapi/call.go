package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
)

const (
	maxRequest  = 12 << 20 // a message of 8 MiB as base64
	callTimeout = 30 * time.Second
)

// call is one request.
type call struct {
	a   *API
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context //nolint:containedctx // it dies with the request
	rt  *route
	who *caller
	// What the audit is to know beside the path.
	target, before, after string
	partial               bool
}

// handled says that the answer was written.
type handled struct{}

type requestKey struct{}

func requestID(r *http.Request) string {
	id, _ := r.Context().Value(requestKey{}).(string)
	return id
}

// serve is a route as a handler.
func (a *API) serve(rt *route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := newID()
		ctx := context.WithValue(r.Context(), requestKey{}, id)
		if !rt.stream {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, callTimeout)
			defer cancel()
		}
		r = r.WithContext(ctx)
		w.Header().Set("X-Request-Id", id)
		c := &call{a: a, w: w, r: r, ctx: ctx, rt: rt}
		defer func() {
			if v := recover(); v != nil && v != http.ErrAbortHandler { //nolint:errorlint // it is thrown as it is
				a.log.Error("a request of the dashboard has crashed", "route", rt.id, "err", v, "stack", string(debug.Stack()))
				_ = a.refuse(w, r, problemf(http.StatusInternalServerError, "internal", "the request has crashed; the log says where"))
			}
		}()
		c.run()
	})
}

// run does what every request needs: who is it, may they, is it from them, was it here before.
func (c *call) run() {
	a := c.a
	var err error
	if c.who, err = a.identify(c.r); err == nil {
		err = c.allowed()
	}
	if err == nil && c.r.Method != http.MethodGet {
		c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxRequest)
	}
	if err != nil {
		c.finish(nil, err)
		return
	}
	if key := c.r.Header.Get("Idempotency-Key"); key != "" && c.rt.idem {
		c.once(key)
		return
	}
	v, err := c.rt.do(c)
	c.finish(v, err)
}

// once answers a request that was here before as it was answered then.
func (c *call) once(key string) {
	if len(key) > 128 {
		c.finish(nil, badField("Idempotency-Key", "tooLong", "128 characters at most"))
		return
	}
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		c.finish(nil, readError(err))
		return
	}
	c.r.Body = io.NopCloser(bytes.NewReader(body))
	sum := sha256.Sum256(append([]byte(c.r.URL.RequestURI()+"\n"), body...))
	e, mine, err := c.a.repeats.enter(c.ctx, c.who.name()+"\x00"+c.rt.id+"\x00"+key, sum)
	if err != nil {
		c.finish(nil, err)
		return
	}
	if !mine {
		h := c.w.Header()
		h.Set("Content-Type", e.contentType)
		h.Set("Idempotency-Replayed", "true")
		c.w.WriteHeader(e.status)
		_, _ = c.w.Write(e.body) // the client may have gone
		return
	}
	rec := &recorder{ResponseWriter: c.w}
	c.w = rec
	defer func() { c.a.repeats.leave(e, rec.status, rec.Header().Get("Content-Type"), rec.body.Bytes()) }()
	v, err := c.rt.do(c)
	c.finish(v, err)
}

// recorder keeps what is answered.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.body.Len() < maxRepeat {
		r.body.Write(p)
	}
	return r.ResponseWriter.Write(p)
}

// finish writes the answer and the line of the audit.
func (c *call) finish(v any, err error) {
	if err != nil {
		p := c.a.refuse(c.w, c.r, err)
		if p.Status >= 500 {
			c.a.log.Debug("a request of the dashboard failed", "route", c.rt.id, "err", err)
		}
		c.audit(p)
		return
	}
	if _, ok := v.(handled); !ok {
		c.answer(v)
	}
	c.audit(nil)
}

func (c *call) answer(v any) {
	h := c.w.Header()
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	if v == nil {
		c.w.WriteHeader(c.rt.success())
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		_ = c.a.refuse(c.w, c.r, err)
		return
	}
	if c.rt.etag && c.r.Method == http.MethodGet {
		h.Set("ETag", etag(b))
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	status := c.rt.success()
	if s, ok := v.(interface{ httpStatus() int }); ok && s.httpStatus() != 0 {
		status = s.httpStatus()
	}
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b) // the client may have gone
}

func etag(b []byte) string {
	sum := sha256.Sum256(b)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// unchanged holds If-Match against what is there now. current is what GET would answer.
func (c *call) unchanged(current any) error {
	want := c.r.Header.Get("If-Match")
	if want == "" || want == "*" {
		return nil
	}
	b, err := json.Marshal(current)
	if err != nil {
		return err
	}
	if etag(b) != strings.TrimPrefix(want, "W/") {
		return problemf(http.StatusPreconditionFailed, "changedMeanwhile", "somebody else has changed it since you read it")
	}
	return nil
}

func readError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	return problemf(http.StatusBadRequest, "badRequest", "read the request: %v", err)
}

// body decodes the JSON of a request. Unknown fields are refused: they are typing mistakes that would do nothing.
func (c *call) body(into any) error {
	data, err := io.ReadAll(c.r.Body)
	if err != nil {
		return readError(err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return problemf(http.StatusBadRequest, "bodyMissing", "the request needs a JSON body")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return badField(bad.Field, "wrongType", "%s: a %s is no %s", bad.Field, bad.Value, bad.Type)
		}
		if p, ok := errors.AsType[*problem](err); ok {
			return p
		}
		return problemf(http.StatusBadRequest, "badJSON", "%v", err)
	}
	if d.More() {
		return problemf(http.StatusBadRequest, "badJSON", "something stands behind the JSON value")
	}
	return nil
}

func (c *call) path(name string) string  { return c.r.PathValue(name) }
func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

// boolean reads a parameter that is true, false or absent.
func (c *call) boolean(name string) (bool, error) {
	switch v := c.query(name); v {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	default:
		return false, badField(name, "notBoolean", "%s: want true or false, not %q", name, v)
	}
}

// integer reads a parameter, def when it is absent.
func (c *call) integer(name string, def, lowest, highest int64) (int64, error) {
	v := c.query(name)
	if v == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, badField(name, "notNumber", "%s: %q is no number", name, v)
	}
	if n < lowest || n > highest {
		return 0, badField(name, "outOfRange", "%s: %d is not from %d to %d", name, n, lowest, highest)
	}
	return n, nil
}

func (c *call) dryRun() (bool, error) { return c.boolean("dryRun") }

// i64 travels as a string.
type i64 int64

// MarshalJSON quotes it.
func (n i64) MarshalJSON() ([]byte, error) {
	return append(strconv.AppendInt([]byte{'"'}, int64(n), 10), '"'), nil
}

// UnmarshalJSON takes a string, and a number too.
func (n *i64) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil {
		return problemf(http.StatusBadRequest, "notNumber", "%s is no 64-bit number", b)
	}
	*n = i64(v)
	return nil
}

func opt(n int64) *i64 { v := i64(n); return &v }

// cluster is the cluster of the path.
type cluster struct {
	mq.Cluster
	name string
	info mq.ClusterInfo
	sets []mq.BrokerSet
	a    *API
}

// cluster asks the name servers for the cluster of the path.
func (c *call) cluster() (*cluster, error) {
	info, err := c.a.cluster.NameServer("").ClusterInfo(c.ctx)
	if err != nil {
		return nil, err
	}
	name := c.path("cluster")
	if _, ok := info.Clusters[name]; !ok {
		return nil, notFound("clusterNotFound", "the name servers know no cluster %q", name)
	}
	return &cluster{c.a.cluster, name, info, info.In(name), c.a}, nil
}
