package httpapi_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// sent waits until a topic has n messages.
func (w *world) sent(topic string, n int) {
	w.t.Helper()
	w.eventually(fmt.Sprint(n, " messages in ", topic), func() bool {
		var s struct{ Messages string }
		w.get(inCluster+"/topics/"+url.PathEscape(topic)+"/stats", &s)
		return s.Messages == itoa(n)
	})
}

func (w *world) search(topic, query string) *page {
	w.t.Helper()
	var p page
	w.get(inCluster+"/topics/"+url.PathEscape(topic)+"/messages?"+query, &p)
	return &p
}

func TestSearchMergesQueuesByTimeAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 3)
	const all = 250
	for i := range all {
		w.put("T", i%3, fmt.Sprintf("m%03d", i), nil)
	}
	w.sent("T", all)
	for _, order := range []string{"newest", "oldest"} {
		var got []string
		var times []int64
		query := "limit=40&order=" + order
		cursor := ""
		for range 20 {
			p := w.search("T", query+"&cursor="+cursor)
			for i := range p.Items {
				times = append(times, p.Items[i].StoreTime)
			}
			got = append(got, p.bodies()...)
			if cursor = p.NextCursor; p.Done {
				break
			}
			if len(p.Items) != 40 {
				t.Errorf("a page of %d", len(p.Items))
			}
		}
		if order == "newest" {
			slices.Reverse(times)
		}
		if !slices.IsSorted(times) {
			t.Errorf("%s: times out of order", order)
		}
		slices.Sort(got)
		if len(got) != all || len(slices.Compact(got)) != all || cursor != "" {
			t.Errorf("%s: %d messages, then %q", order, len(got), cursor)
		}
	}
	p := w.search("T", "broker=broker-a&queue=1&offset=10&order=oldest&limit=2")
	if len(p.Items) != 2 || p.Items[0].Offset != "10" || p.Items[1].Offset != "11" || p.Items[0].Queue != 1 {
		t.Errorf("%+v", p)
	}
	last := p.Items[1].StoreTime
	if p = w.search("T", fmt.Sprintf("from=%d&to=%d", last+60_000, last+120_000)); len(p.Items) != 0 || !p.Done {
		t.Errorf("the future has %d messages", len(p.Items))
	}
	w.send(http.MethodGet, inCluster+"/topics/T/messages?from=20&to=10", nil).refused(http.StatusBadRequest, "invalidParameter")
	w.send(http.MethodGet, inCluster+"/topics/T/messages?limit=1000", nil).refused(http.StatusBadRequest, "invalidParameter")
}

func TestSearchFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 2)
	w.put("T", 0, `{"a":{"b":1,"c":["x","y"]},"name":"eins"}`, map[string]string{"TAGS": "A", "KEYS": "k1 k2", "n": "5"})
	w.put("T", 1, `{"a":{"b":2.0},"name":"zwei"}`, map[string]string{"TAGS": "B", "KEYS": "k2", "n": "7"})
	w.put("T", 0, "plain text, drei", map[string]string{"n": "9"})
	w.put("T", 1, "\xff\xfe\x00binary", nil)
	w.sent("T", 4)
	for query, want := range map[string]string{
		"tag=A": "eins", "tag=A+||+B": "eins zwei", "key=k2": "eins zwei", "key=k1": "eins", "property=n%3D7": "zwei", "property=n%3D7&property=x%3D1": "",
		"sql=" + url.QueryEscape("n > 6"): "zwei drei", "sql=" + url.QueryEscape("TAGS = 'A' OR n = '9'"): "eins drei", "contains=zwei": "zwei",
		"regex=" + url.QueryEscape("(?i)DREI|eins"): "eins drei", "json=" + url.QueryEscape("$.a.b==2"): "zwei", "json=" + url.QueryEscape("$.a.c[1]==y"): "eins",
		"json=" + url.QueryEscape(`$.a.c[*]=="x"`): "eins", "json=" + url.QueryEscape("$.name!=eins"): "zwei", "tag=A&contains=zwei": "",
	} {
		p := w.search("T", query)
		var got []string
		for _, word := range []string{"eins", "zwei", "drei"} {
			if strings.Contains(strings.Join(p.bodies(), " "), word) {
				got = append(got, word)
			}
		}
		if strings.Join(got, " ") != want || len(p.Items) != len(got) {
			t.Errorf("%s: %v, want %s", query, p.bodies(), want)
		}
	}
	p := w.search("T", "contains=binary")
	if len(p.Items) != 1 || p.Items[0].Body.Encoding != "base64" || p.Items[0].Body.Text != base64.StdEncoding.EncodeToString([]byte("\xff\xfe\x00binary")) {
		t.Errorf("%+v", p.Items)
	}
	for query, field := range map[string]string{
		"sql=n+%3E": "sql", "regex=(": "regex", "json=a": "json", "json=" + url.QueryEscape("$.a[x]==1"): "json", "property=x": "property", "order=up": "order",
		"queue=x": "queue", "broker=none": "broker", "offset=3": "offset",
	} {
		pr := w.send(http.MethodGet, inCluster+"/topics/T/messages?"+query, nil).refused(http.StatusBadRequest, "invalidParameter")
		if len(pr.Fields) != 1 || pr.Fields[0].Name != field {
			t.Errorf("%s: %+v", query, pr)
		}
	}
}

func TestLargeBodiesAreCutInLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.topic("T", 1)
	body := strings.Repeat("ä", 100_000)
	s := w.put("T", 0, body, map[string]string{"UNIQ_KEY": "7F00000100001B2E0A1B000000000001"})
	w.sent("T", 1)
	p := w.search("T", "")
	if b := p.Items[0].Body; !b.Truncated || b.Size != len(body) || len(b.Text) != 64<<10 || b.Encoding != "utf8" {
		t.Errorf("%d of %d bytes, truncated %t, %s", len(b.Text), b.Size, b.Truncated, b.Encoding)
	}
	var m struct{ Body struct{ Text string } }
	w.get(inCluster+"/messages/"+s.ID+"?full=true", &m)
	if m.Body.Text != body {
		t.Errorf("%d bytes", len(m.Body.Text))
	}
	a := w.get(inCluster+"/messages/7F00000100001B2E0A1B000000000001/body?topic=T", nil)
	if a.Body.String() != body || a.Header().Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(a.Header().Get("Content-Disposition"), "attachment;") {
		t.Errorf("%d bytes, %v", a.Body.Len(), a.Header())
	}
	for query, want := range map[string]int{
		"id=" + s.ID: 1, "id=7F00000100001B2E0A1B000000000001&topic=T": 1, "key=nothing&topic=T": 0,
	} {
		var l struct{ Items []struct{ OffsetID string } }
		w.get(inCluster+"/messages?"+query, &l)
		if len(l.Items) != want || want == 1 && l.Items[0].OffsetID != s.ID {
			t.Errorf("%s: %+v", query, l)
		}
	}
	w.send(http.MethodGet, inCluster+"/messages?id=X&key=Y", nil).refused(http.StatusBadRequest, "invalidParameter")
	w.send(http.MethodGet, inCluster+"/messages/7F0000010000271100000000000FFFFF", nil).refused(http.StatusNotFound, "messageNotFound")
}
