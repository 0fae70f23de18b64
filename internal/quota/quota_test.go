package quota

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func table(t *testing.T, delay time.Duration, rules ...string) *Table {
	t.Helper()
	list, err := Parse(rules)
	if err != nil {
		t.Fatal(err)
	}
	q := New(time.Unix(0, 0))
	q.Set(list, delay)
	return q
}

// offer sends requests of size bytes at a rate for a span of virtual time, and returns what went through and the longest wait.
func offer(q *Table, k Kind, name string, every, span time.Duration, messages, size int64) (taken, bytes int64, longest time.Duration) {
	for at := int64(time.Hour); at < int64(time.Hour+span); at += int64(every) {
		s := q.Of(k, name, false, at)
		if _, refused := q.Refuses(s, at); refused {
			s.Refused(messages)
			continue
		}
		longest = max(longest, q.Take(s, at, messages, size))
		taken += messages
		bytes += size
	}
	return taken, bytes, longest
}

func TestMinuteIsWithinTwoPercent(t *testing.T) {
	t.Parallel()
	const delay = 500 * time.Millisecond
	for _, rate := range []int64{200, 5000, 1_000_000} {
		for _, load := range []float64{0.5, 1, 1.5, 5} {
			q := table(t, delay, fmt.Sprintf("topic:*:messages=%d", rate), fmt.Sprintf("client:*:bytes=%d", rate*1000))
			n := max(rate/200, 1) // messages of a request
			every := time.Duration(float64(time.Second) * float64(n) / float64(rate) / load)
			want := float64(rate) * 60 * min(load, 1)
			taken, _, wait := offer(q, Topic, "A", every, time.Minute, n, 1)
			_, bytes, _ := offer(q, Client, "c", every, time.Minute, n, n*1000)
			if got := float64(taken); got < want*0.98 || got > want*1.02 {
				t.Errorf("%d messages/s, %.1f times as many sent: %.0f went through, want %.0f", rate, load, got, want)
			}
			if got := float64(bytes) / 1000; got < want*0.98 || got > want*1.02 {
				t.Errorf("%d kB/s, %.1f times as many sent: %.0f went through, want %.0f", rate, load, got, want)
			}
			if wait > delay || load < 1 && wait > 0 {
				t.Errorf("%d messages/s, %.1f times as many sent: waited %s", rate, load, wait)
			}
		}
	}
}

func TestSendersThatWaitAreNeverRefused(t *testing.T) {
	t.Parallel()
	q := table(t, 500*time.Millisecond, "topic:T:messages=100")
	at, n := int64(0), 0
	for at < int64(time.Minute) {
		s := q.Of(Topic, "T", false, at)
		if o, refused := q.Refuses(s, at); refused {
			t.Fatalf("refused after %d: %+v", n, o)
		}
		at += int64(q.Take(s, at, 1, 10))
		n++
		at++ // sending takes time
	}
	if n < 5900 || n > 6100 {
		t.Errorf("%d messages in a minute", n)
	}
}

func TestOneAtItsLimitDoesNotSlowAnother(t *testing.T) {
	t.Parallel()
	q := table(t, 100*time.Millisecond, "topic:A:messages=10", "topic:B:messages=1000", "user:u:messages=100")
	for range 100 {
		q.Take(q.Of(Topic, "A", false, 0), 0, 1, 1)
	}
	if o, refused := q.Refuses(q.Of(Topic, "A", false, 0), 0); !refused || o.Unit != UnitMessages || o.Rate != 10 || o.Behind < 9*time.Second {
		t.Errorf("%+v %v", o, refused)
	}
	for k, name := range map[Kind]string{Topic: "B", User: "u"} {
		s := q.Of(k, name, false, 0)
		if o, refused := q.Refuses(s, 0); refused {
			t.Errorf("%s: %+v", name, o)
		}
		if wait := q.Take(s, 0, 1, 1); wait != 0 {
			t.Errorf("%s waits %s", name, wait)
		}
	}
	if s := q.Of(Topic, "C", false, 0); s != nil {
		t.Errorf("%+v", s)
	}
	if s := q.Of(Client, "A", false, 0); s != nil {
		t.Errorf("%+v", s)
	}
}

func TestOneLargeMessageGoesThrough(t *testing.T) {
	t.Parallel()
	q := table(t, 100*time.Millisecond, "topic:T:bytes=1000")
	s := q.Of(Topic, "T", false, 0)
	if wait := q.Take(s, 0, 1, 60_000); wait != 0 {
		t.Errorf("waits %s", wait)
	}
	for at := time.Second; at < 59*time.Second; at += time.Second {
		if _, refused := q.Refuses(s, int64(at)); !refused {
			t.Fatalf("taken after %s", at)
		}
	}
	if _, refused := q.Refuses(s, int64(time.Minute)); refused {
		t.Error("still refused")
	}
}

func TestSpecialRulesCountFirst(t *testing.T) {
	t.Parallel()
	q := table(t, 0, "topic:*:bytes=1", "topic:*:messages=2", "topic:Or*:bytes=3", "topic:Orders:messages=4", "topic:Own:bytes=5")
	for name, want := range map[string][2]int64{"X": {1, 2}, "Orbit": {3, 2}, "Orders": {3, 4}, "Own": {5, 2}} {
		s := q.Of(Topic, name, false, 0)
		if got := [2]int64{s.bytes.rate.Load(), s.messages.rate.Load()}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if s := q.Of(Topic, "RMQ_SYS", true, 0); s != nil {
		t.Errorf("%+v", s)
	}
}

func TestRulesChangeUnderWay(t *testing.T) {
	t.Parallel()
	q := table(t, time.Second, "topic:T:messages=1")
	s := q.Of(Topic, "T", false, 0)
	for range 10 {
		q.Take(s, 0, 1, 1)
	}
	rules, _ := Parse([]string{"topic:T:messages=1000", "user:*:bytes=7"})
	q.Set(rules, time.Second)
	if again := q.Of(Topic, "T", false, 0); again != s || s.messages.rate.Load() != 1000 {
		t.Errorf("%p %p %d", again, s, s.messages.rate.Load())
	}
	q.Sample(10 * time.Second)
	uses := q.Uses()
	if len(uses) != 1 || uses[0].Taken != 10 || uses[0].Rate != 1 || uses[0].Messages != 1000 {
		t.Errorf("%+v", uses)
	}
	q.Set(nil, 0)
	if q.On() || q.Of(Topic, "T", false, 0) != nil || q.Uses() != nil {
		t.Error("there are still quotas")
	}
	if o, refused := q.Refuses(s, 0); refused { // somebody still holds it
		t.Errorf("%+v", o)
	}
}

func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	q := table(t, 0, "client:*:messages=1")
	at := int64(0)
	for i := range 2 * maxSubjects {
		at += int64(time.Millisecond)
		q.Take(q.Of(Client, fmt.Sprint("c", i), false, at), at, 1, 1)
		if n := len(q.names[Client]); n > maxSubjects {
			t.Fatal(n)
		}
	}
}

func TestWrongRulesAreNamed(t *testing.T) {
	t.Parallel()
	for text, part := range map[string]string{
		"": "kind:name:unit", "topic": "kind:name:unit", "topic:A": "kind:name:unit", "queue:A:bytes=1": "none of topic, user, client",
		"topic::bytes=1": "1 to 255", "topic:A:bytes": "whole number", "topic:A:bytes=0": "whole number", "topic:A:bytes=-1": "whole number",
		"topic:A:kb=1": "neither", "user:A:messages=x": "whole number", "user:" + strings.Repeat("u", 256) + ":bytes=1": "1 to 255",
	} {
		if _, err := Parse([]string{text}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v, want %q", text, err, part)
		}
	}
	if _, err := Parse([]string{"topic:A:bytes=1", "topic:A:bytes=2"}); err == nil {
		t.Error("two rules for one thing")
	}
	rules, err := Parse([]string{"topic:A:bytes=1", " topic:A:messages=2", "client:[::1]@7*:messages=3"})
	if err != nil || len(rules) != 2 || rules[0] != (Rule{Topic, "A", 1, 2}) || rules[1] != (Rule{Client, "[::1]@7*", 0, 3}) {
		t.Errorf("%v %v", rules, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	q := table(t, 0, "topic:*:messages=1000", "client:*:messages=1000")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				for _, k := range []Kind{Topic, Client} {
					q.Take(q.Of(k, fmt.Sprint(i%50), false, 0), 0, 1, 1)
				}
				if i%500 == 0 {
					q.Sample(time.Second)
				}
			}
		})
	}
	wg.Wait()
	total := int64(0)
	for _, u := range q.Uses() {
		total += u.Taken
	}
	if total != 2*8*2000 {
		t.Errorf("%d taken", total)
	}
}

func TestAskingCostsNoMemory(t *testing.T) {
	q := table(t, time.Second, "topic:*:messages=1000000000", "user:*:bytes=1000000000")
	q.Of(Topic, "T", false, 0)
	q.Of(User, "u", false, 0)
	if n := testing.AllocsPerRun(100, func() {
		for k, name := range [...]string{"T", "u", "c"} {
			s := q.Of(Kind(k), name, false, 0)
			if _, refused := q.Refuses(s, 0); !refused {
				q.Take(s, 0, 1, 1)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("topic:A:bytes=1")
	f.Add("client:*:messages=99999999999999999999")
	f.Add("user:a:b:c:bytes= 7")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := Parse([]string{text})
		if err != nil {
			return
		}
		if r := rules[0]; len(rules) != 1 || r.Name == "" || r.Bytes+r.Messages < 1 || r.Bytes+r.Messages > MaxRate {
			t.Errorf("%q: %+v", text, rules)
		}
	})
}
