package alerts

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Format of what a webhook gets.
type Format string

// Formats.
const (
	JSON     Format = "json"
	DingTalk Format = "dingtalk" // a markdown message of a DingTalk robot
	WeCom    Format = "wecom"    // a markdown message of a WeCom (WeChat Work) robot
)

// message is what one webhook is told of one evaluation. It waits in the outbox until it was taken.
type message struct {
	ID       string  `json:"id"`
	To       string  `json:"to"`
	Format   Format  `json:"format"`
	Created  int64   `json:"created"` // ms
	Next     int64   `json:"next"`    // ms, when it is tried
	Attempts int     `json:"attempts"`
	Alerts   []Alert `json:"alerts"`
	More     int     `json:"more,omitempty"` // alerts that are not in it
}

const (
	inMessage   = 100 // alerts
	inOutbox    = 1_000
	giveUp      = 24 * time.Hour
	firstPause  = 5 * time.Second
	longPause   = 10 * time.Minute
	askFor      = 10 * time.Second
	maxReply    = 64 << 10
	idleRecheck = time.Hour
)

// messages makes one for each webhook.
func (w *Watcher) messages(loud []change, p *picture) []*message {
	byHook := map[string]*message{}
	slices.SortFunc(loud, func(a, b change) int { return cmp.Compare(a.id, b.id) })
	for _, c := range loud {
		to := p.settings.Webhook
		if r := p.rules[c.alert.Rule]; r != nil && r.Webhook != "" {
			to = r.Webhook
		}
		if to == "" {
			continue
		}
		m := byHook[to]
		if m == nil {
			now := w.o.Now().UnixMilli()
			m = &message{ID: newID(), To: to, Format: cmp.Or(p.settings.Format, JSON), Created: now, Next: now}
			byHook[to] = m
		}
		if len(m.Alerts) == inMessage {
			m.More++
			continue
		}
		m.Alerts = append(m.Alerts, *c.alert)
	}
	out := make([]*message, 0, len(byHook))
	for _, m := range byHook {
		out = append(out, m)
	}
	return out
}

// trimLocked drops the oldest messages when there are too many.
func (w *Watcher) trimLocked() {
	for len(w.outbox) > inOutbox {
		oldest := ""
		for id, m := range w.outbox {
			if oldest == "" || m.Created < w.outbox[oldest].Created {
				oldest = id
			}
		}
		delete(w.outbox, oldest)
		w.dropped.Add(1)
	}
}

// deliver tells webhooks, one after the other, until ctx ends.
func (w *Watcher) deliver(ctx context.Context) {
	for {
		m, wait := w.due()
		if m != nil {
			w.attempt(ctx, m)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-w.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

// due returns a message whose time has come, or how long there is none.
func (w *Watcher) due() (*message, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var first *message
	for _, m := range w.outbox {
		if first == nil || m.Next < first.Next || m.Next == first.Next && m.ID < first.ID {
			first = m
		}
	}
	if first == nil {
		return nil, idleRecheck
	}
	if wait := time.UnixMilli(first.Next).Sub(w.o.Now()); wait > 0 {
		return nil, wait
	}
	return first, 0
}

// attempt sends a message once and notes what came of it.
func (w *Watcher) attempt(ctx context.Context, m *message) {
	err := w.post(ctx, m)
	if ctx.Err() != nil {
		return // it is tried again after the start
	}
	next := *m
	next.Attempts++
	now := w.o.Now()
	pause := longPause
	if next.Attempts < 8 {
		pause = min(firstPause<<(next.Attempts-1), longPause)
	}
	next.Next = now.Add(pause).UnixMilli()
	late := now.UnixMilli()-m.Created > giveUp.Milliseconds()
	switch {
	case err == nil:
		w.told.Add(1)
	case late:
		w.dropped.Add(1)
		w.o.Log.Error("a webhook did not take a message about alerts for a day: it is dropped", "host", hostOf(m.To), "err", err)
	default:
		w.failedAttempts.Add(1)
		w.o.Log.Warn("a webhook does not take a message about alerts", "host", hostOf(m.To), "attempt", next.Attempts, "again_in", pause, "err", err)
	}
	defer w.take()()
	_ = w.apply(func() { // it has told
		if err == nil || late {
			delete(w.outbox, m.ID)
		} else if w.outbox[m.ID] != nil {
			w.outbox[m.ID] = &next
		}
	}, false)
}

// hostOf is what may be logged of an address: what is behind it is often a secret.
func hostOf(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Host
}

var errRefused = errors.New("refused")

func (w *Watcher) post(ctx context.Context, m *message) error {
	now := w.o.Now()
	secret := w.Settings().Secret
	body, err := m.body(now)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.address(secret, now), bytes.NewReader(body))
	if err != nil {
		return plain(err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "CometMQ")
	req.Header.Set("X-Cometmq-Id", m.ID)
	if secret != "" && m.Format == JSON {
		req.Header.Set("X-Cometmq-Signature", "sha256="+hex.EncodeToString(sum(secret, body)))
	}
	res, err := w.o.Client.Do(req)
	if err != nil {
		return plain(err)
	}
	defer func() { _ = res.Body.Close() }() // it was read
	reply, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	switch {
	case err != nil:
		return plain(err)
	case res.StatusCode < 200 || res.StatusCode > 299:
		return fmt.Errorf("%w: %s", errRefused, res.Status)
	case m.Format == JSON:
		return nil
	}
	var robot struct {
		Code int    `json:"errcode"`
		Text string `json:"errmsg"`
	}
	if err := json.Unmarshal(reply, &robot); err != nil {
		return fmt.Errorf("%w: the robot's answer makes no sense", errRefused)
	}
	if robot.Code != 0 {
		return fmt.Errorf("%w: %d %s", errRefused, robot.Code, robot.Text)
	}
	return nil
}

// plain leaves out the address, in which robots have their key.
func plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func sum(secret string, data []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(data)
	return h.Sum(nil)
}

// address is where it goes; DingTalk's robots want the signature in it.
func (m *message) address(secret string, now time.Time) string {
	if m.Format != DingTalk || secret == "" {
		return m.To
	}
	ms := strconv.FormatInt(now.UnixMilli(), 10)
	sign := base64.StdEncoding.EncodeToString(sum(secret, []byte(ms+"\n"+secret)))
	sep := "?"
	if strings.Contains(m.To, "?") {
		sep = "&"
	}
	return m.To + sep + "timestamp=" + ms + "&sign=" + url.QueryEscape(sign)
}

func (m *message) body(now time.Time) ([]byte, error) {
	switch m.Format {
	case DingTalk:
		return json.Marshal(map[string]any{"msgtype": "markdown", "markdown": map[string]string{"title": m.title(), "text": m.markdown()}})
	case WeCom:
		return json.Marshal(map[string]any{"msgtype": "markdown", "markdown": map[string]string{"content": m.markdown()}})
	case JSON:
	}
	return json.Marshal(map[string]any{"version": 1, "id": m.ID, "sent": now.UnixMilli(), "alerts": m.Alerts, "more": m.More})
}

func (m *message) title() string {
	firing := 0
	for i := range m.Alerts {
		if m.Alerts[i].State == Firing {
			firing++
		}
	}
	return fmt.Sprintf("CometMQ: %d firing, %d resolved", firing, len(m.Alerts)-firing)
}

const robotMost = 3_500 // bytes; WeCom takes 4,096

// markdown is the text for people. Names were chosen by strangers: what markdown would take for its own is escaped.
func (m *message) markdown() string {
	var b strings.Builder
	more := m.More
	b.WriteString("### " + m.title() + "\n")
	for i := range m.Alerts {
		a := &m.Alerts[i]
		if b.Len() > robotMost {
			more += len(m.Alerts) - i
			break
		}
		fmt.Fprintf(&b, "- **%s** %s: %s / %s, %s (limit %s)\n", a.State, escape(a.RuleName), escape(a.Cluster), escape(a.Target), number(a.Value), number(a.Threshold))
	}
	if more > 0 {
		fmt.Fprintf(&b, "- … %d more\n", more)
	}
	return b.String()
}

var escaper = strings.NewReplacer("\\", "\\\\", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "<", "&lt;", "`", "\\`", "\n", " ", "\r", " ")

func escape(s string) string { return escaper.Replace(s) }

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
