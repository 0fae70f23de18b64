package httpapi

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// sealer signs cursors, so that what comes back is what was handed out.
type sealer struct {
	key [32]byte
	now func() time.Time
}

func newSealer(now func() time.Time) *sealer {
	s := &sealer{now: now}
	_, _ = rand.Read(s.key[:]) // it never fails
	return s
}

const (
	sealLen   = 16
	maxCursor = 16 << 10
	sealValid = 24 * time.Hour
)

// sealed is what a cursor holds.
type sealed struct {
	For   string          `json:"f"` // the list that it belongs to
	At    int64           `json:"t"` // ms
	State json.RawMessage `json:"s"`
}

func (s *sealer) seal(list string, state any) (string, error) {
	raw, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(sealed{list, s.now().UnixMilli(), raw})
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(s.mac(b), b...)), nil
}

func (s *sealer) mac(b []byte) []byte {
	m := hmac.New(sha256.New, s.key[:])
	m.Write(b)
	return m.Sum(nil)[:sealLen]
}

var errCursor = problemf(http.StatusBadRequest, "badCursor", "the cursor is not from here, or of another list")

// errCursorOld is also what a cursor gets that another process has made: after a restart keys are new.
var errCursorOld = problemf(http.StatusGone, "cursorExpired", "the cursor has expired: begin again")

// open reads a cursor into state.
func (s *sealer) open(list, text string, state any) error {
	if len(text) > maxCursor {
		return errCursor
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < sealLen {
		return errCursor
	}
	if !hmac.Equal(b[:sealLen], s.mac(b[sealLen:])) {
		return errCursorOld
	}
	var v sealed
	if err := json.Unmarshal(b[sealLen:], &v); err != nil || v.For != list {
		return errCursor
	}
	if age := s.now().UnixMilli() - v.At; age > sealValid.Milliseconds() {
		return errCursorOld
	}
	if json.Unmarshal(v.State, state) != nil {
		return errCursor
	}
	return nil
}

// list is the answer of all lists.
type list[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"nextCursor,omitempty"`
	Total      *int   `json:"total,omitempty"`
	partial
}

// listQuery is what the caller wants of a list.
type listQuery struct {
	text  string
	sort  string
	down  bool
	limit int
	from  int
	id    string // of the list, for cursors
}

type listState struct {
	From int `json:"n"`
}

const (
	defaultLimit = 50
	maxLimit     = 1000
)

// listQuery reads q, sort, limit and cursor.
func (c *call) listQuery() (*listQuery, error) {
	limit, err := c.integer("limit", defaultLimit, 1, maxLimit)
	if err != nil {
		return nil, err
	}
	v := c.r.URL.Query()
	q := &listQuery{text: strings.ToLower(strings.TrimSpace(v.Get("q"))), limit: int(limit)}
	q.sort, q.down = strings.CutPrefix(v.Get("sort"), "-")
	cursor := v.Get("cursor")
	v.Del("cursor")
	v.Del("limit")
	q.id = c.r.URL.Path + "?" + v.Encode()
	if cursor != "" {
		var s listState
		if err := c.a.seal.open(q.id, cursor, &s); err != nil {
			return nil, err
		}
		q.from = max(s.From, 0)
	}
	return q, nil
}

// wants says whether a name passes the filter of q.
func (q *listQuery) wants(texts ...string) bool {
	return q.text == "" || slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), q.text) })
}

// by are the columns that a list can be sorted by. The first one is the default, and breaks ties.
type by[T any] struct {
	name string
	less func(a, b *T) int
}

// pageOf sorts, cuts out the page and counts.
func pageOf[T any](c *call, q *listQuery, items []T, errs []*nodeError, columns ...by[T]) (*list[T], error) {
	first := columns[0].less
	order := first
	if q.sort != "" {
		i := slices.IndexFunc(columns, func(b by[T]) bool { return b.name == q.sort })
		if i < 0 {
			return nil, badField("sort", "unknownColumn", "the list cannot be sorted by %q", q.sort)
		}
		order = columns[i].less
	}
	slices.SortStableFunc(items, func(a, b T) int {
		n := order(&a, &b)
		if q.down {
			n = -n
		}
		if n == 0 {
			n = first(&a, &b)
		}
		return n
	})
	total := len(items)
	out := &list[T]{Total: &total, partial: partialOf(errs)}
	from := min(q.from, total)
	to := min(from+q.limit, total)
	out.Items = append([]T{}, items[from:to]...)
	if to < total {
		next, err := c.a.seal.seal(q.id, listState{to})
		if err != nil {
			return nil, err
		}
		out.NextCursor = next
	}
	return out, nil
}

func text[T any](name string, get func(*T) string) by[T] {
	return by[T]{name, func(a, b *T) int { return compareText(get(a), get(b)) }}
}

func number[T any, N cmp.Ordered](name string, get func(*T) N) by[T] {
	return by[T]{name, func(a, b *T) int { return cmp.Compare(get(a), get(b)) }}
}

// value is what a pointer points to, or the zero value, which sorts first.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// whole is a list that is never cut.
func whole[T any](items []T, errs []*nodeError) *list[T] {
	if items == nil {
		items = []T{}
	}
	n := len(items)
	return &list[T]{Items: items, Total: &n, partial: partialOf(errs)}
}
