package httpapi

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/cometmq/cometmq/internal/record"
)

func FuzzCursor(f *testing.F) {
	s := newSealer(time.Now)
	good, err := s.seal("list", listState{5})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{good, "", "AAAA", good[:20], good + "A", "!!!!"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var st listState
		if err := s.open("list", text, &st); (err == nil) != (text == good) {
			t.Errorf("%q: %v", text, err)
		}
		if s.open("other", text, &st) == nil {
			t.Errorf("%q is taken for another list", text)
		}
	})
}

func TestCursorsExpire(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newSealer(func() time.Time { return now })
	c, err := s.seal("list", listState{5})
	if err != nil {
		t.Fatal(err)
	}
	var st listState
	if now = now.Add(23 * time.Hour); s.open("list", c, &st) != nil || st.From != 5 {
		t.Error("it does not last for a day")
	}
	if now = now.Add(2 * time.Hour); !errors.Is(s.open("list", c, &st), errCursorOld) {
		t.Error("it lasts for ever")
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		"tag=A||B", "sql=a%3D1", "regex=x%2B", "json=$.a.b[0]==1", "json=$['x'][*]!=null", "property=a%3Db&property=c", "contains=x&key=k", "json=$==1", "sql=(((",
	} {
		f.Add(seed, []byte(`{"a":{"b":[1]}}`))
	}
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		v, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		fl, err := parseFilter(v)
		if err != nil {
			if p := problemOf(err); p.Status != 400 || len(p.Fields) != 1 {
				t.Errorf("%q: %v", query, err)
			}
			return
		}
		fl.fits(&record.Message{Topic: []byte("T"), Body: body, Props: record.AppendProp(nil, "KEYS", "k")})
	})
}

func FuzzTraces(f *testing.F) {
	f.Add("Pub\x011\x01r\x01g\x01t\x01id\x01\x01k\x01h\x015\x013\x010\x01o\x01true\x02SubAfter\x01r\x01id\x011\x01true\x01k\x02")
	f.Fuzz(func(_ *testing.T, body string) { readTraces(body) })
}
