package alerts

import (
	"context"
	"slices"
	"strings"
)

// Evaluate looks at all rules once.
func (w *Watcher) Evaluate(ctx context.Context) {
	readings, known := w.read(ctx)
	if ctx.Err() != nil {
		return
	}
	defer w.take()()
	now := w.o.Now()
	w.mu.Lock()
	p := w.copyLocked()
	w.mu.Unlock()
	var changes []change
	for _, r := range p.rules {
		changes = append(changes, evaluate(r, of(p.alerts, r.ID), readings[r.Kind], known[r.Kind], now)...)
	}
	changes = w.bounded(changes, p.alerts)
	loud := slices.DeleteFunc(slices.Clone(changes), func(c change) bool { return !c.tell })
	messages := w.messages(loud, p)
	quiet := len(messages) == 0 && !slices.ContainsFunc(changes, func(c change) bool { return matters(p.alerts[c.id], c.alert) })
	if quiet && !w.behind() { // new values of what is known already: the file need not have them
		w.mu.Lock()
		defer w.mu.Unlock()
		set(w.alerts, changes)
		return
	}
	_ = w.apply(func() { // it has told
		set(w.alerts, changes)
		for _, m := range messages {
			w.outbox[m.ID] = m
		}
		w.trimLocked()
		w.changedLocked()
	}, false)
	if len(messages) > 0 {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *Watcher) behind() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dirty
}

// read asks the source for what rules need.
func (w *Watcher) read(ctx context.Context) (map[Kind][]Reading, map[Kind]bool) {
	readings, known := map[Kind][]Reading{}, map[Kind]bool{}
	for _, r := range w.Rules() {
		if _, asked := known[r.Kind]; asked || !r.Enabled {
			continue
		}
		list, err := w.o.Source.Readings(ctx, r.Kind)
		readings[r.Kind], known[r.Kind] = list, err == nil
		if blind := err != nil; blind != w.blind[r.Kind] && ctx.Err() == nil {
			if w.blind[r.Kind] = blind; blind {
				w.o.Log.Warn("figures for alerts are missing", "kind", string(r.Kind), "err", err)
			}
		}
	}
	return readings, known
}

func of(all map[string]*Alert, rule string) map[string]*Alert {
	out := map[string]*Alert{}
	for k, a := range all {
		if a.Rule == rule || strings.HasPrefix(k, rule+"|") {
			out[k] = a
		}
	}
	return out
}

func set(alerts map[string]*Alert, changes []change) {
	for _, c := range changes {
		if c.alert == nil {
			delete(alerts, c.id)
		} else {
			alerts[c.id] = c.alert
		}
	}
}

// matters reports whether a change is more than another value.
func matters(before, after *Alert) bool {
	if before == nil || after == nil {
		return before != after
	}
	return before.State != after.State || after.Seen-before.Seen > Missing.Milliseconds()/2
}

// bounded leaves out new alerts when there are too many.
func (w *Watcher) bounded(changes []change, have map[string]*Alert) []change {
	room := maxAlerts - len(have)
	left := 0
	out := slices.DeleteFunc(changes, func(c change) bool {
		if c.alert == nil || have[c.id] != nil {
			return false
		}
		room--
		if room < 0 {
			left++
		}
		return room < 0
	})
	if crowded := left > 0; crowded != w.crowded {
		if w.crowded = crowded; crowded {
			w.o.Log.Warn("there are too many alerts: some are left out", "most", maxAlerts, "left_out", left)
		}
	}
	return out
}
