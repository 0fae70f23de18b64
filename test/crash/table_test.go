package crash

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cometmq/cometmq/test/history"
)

var tableFile = flag.String("table", "", "write what the tests saw to this file (make crash-table)")

// table collects what the tests of this package saw, for docs/crash-table.md.
var table tableData

type tableData struct {
	mu      sync.Mutex // guards what follows
	kills   []killRow
	cuts    map[cutKind]counts
	damages []damageRow
	faults  []faultRow
	feats   []featureRow
}

type featureRow struct {
	name  string
	kills int
	v     history.Feature
}

type faultRow struct {
	name string
	ok   bool
}

type killRow struct {
	mode  string
	kills int
	v     history.Verdict
}

type damageRow struct {
	kind string
	n    tallyDamage
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *tableFile != "" {
		if err := os.WriteFile(*tableFile, []byte(table.text()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func (d *tableData) kill(mode string, n int, v history.Verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kills = append(d.kills, killRow{mode, n, v})
}

func (d *tableData) feature(name string, n int, v history.Feature) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.feats = append(d.feats, featureRow{name, n, v})
}

func (d *tableData) powerCuts(kind cutKind, n counts) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cuts == nil {
		d.cuts = map[cutKind]counts{}
	}
	d.cuts[kind] = n
}

func (d *tableData) damage(kind string, n tallyDamage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.damages = append(d.damages, damageRow{kind, n})
}

func (d *tableData) fault(name string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, faultRow{name, ok})
}

// text is the whole document.
func (d *tableData) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, `# Crash table

Written by `+"`make crash-table`"+` from a run of test/crash; not edited by hand. This run: %s, %s/%s, %d cores, -kills %d, -seeds %d.

## The real binary, killed with SIGKILL under load

Four senders with 64 requests in flight each, restarted again and again on the same store. Phantom: readable but never sent.
Inverted: read before one that was sent earlier to the same queue. Each kill is preceded by four offset commits, and after each
restart none of them may have moved back.

| flush mode | kills | acknowledged | lost | phantom | inverted | duplicates | offsets moved back |
|---|---|---|---|---|---|---|---|
`, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *kills, *seeds)
	slices.SortFunc(d.kills, func(a, b killRow) int { return strings.Compare(a.mode, b.mode) })
	for _, k := range d.kills {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d |\n", k.mode, k.kills, k.v.Acked, k.v.Lost, k.v.Phantom, k.v.Inverted, k.v.Duplicates, k.v.MovedBack)
	}
	if len(d.feats) > 0 {
		b.WriteString(`
## Features, killed with SIGKILL under load

Lost: acknowledged, and not delivered, or not asked about again (transactions that nobody decided). Phantom: delivered and never
due: rolled back, undecided, or never sent. Asked again: about something whose end had been acknowledged.

| feature | kills | acknowledged | lost | phantom | duplicates | asked again |
|---|---|---|---|---|---|---|
`)
		slices.SortFunc(d.feats, func(a, b featureRow) int { return strings.Compare(a.name, b.name) })
		for _, f := range d.feats {
			fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d |\n", f.name, f.kills, f.v.Acked, f.v.Lost, f.v.Phantom, f.v.Duplicates, f.v.Again)
		}
	}
	b.WriteString(`
## A simulated disk that loses power

Each seed is a run of three to five lives of a store with its tables: batches over six queues, sync and async flush, marks, new and
deleted log files, deleted topics, commits, folds. It ends before a random operation of the disk. A power cut keeps a random part of
what was not synced: pages, halves of pages, sizes, names. A kill keeps what was written. "In recovery" are those that hit the store
while it was coming up from the one before. Promised are the messages that had to be there (durable, answered or shown to a
consumer; after a kill all that were stored), counted at each restart, each with its body, index, order and key. Offsets: positions
that had to be at least at what was acknowledged (kill) or folded (power cut). Lost: seeds in which anything of this did not hold.

| accident | seeds | power cuts | kills | in recovery | clean stops | messages promised | offsets | lost |
|---|---|---|---|---|---|---|---|---|
`)
	for _, k := range []struct {
		kind cutKind
		name string
	}{{cutPower, "power cuts"}, {cutKill, "kills"}, {cutBoth, "both, mixed"}} {
		if n, ok := d.cuts[k.kind]; ok {
			fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d |\n", k.name, n.runs, n.cuts, n.kills, n.inRecovery, n.clean, n.acked, n.commits, n.lost)
		}
	}
	b.WriteString(`
## Damaged files

Each case harms one place of a store that stopped cleanly, of one that was killed, and of one without marks. Then the store opens, or
refuses and names the file. Damaged: messages whose own bytes were harmed and that are left out. Beyond: messages, bodies or
table rows that are wrong or missing although they were not harmed. Silent: cases in which something is missing and neither a counter nor
the log says so. After every eighth case the store takes new messages, is killed and gives all of it back. "Java's store" are
directories that Java 5.5.0 made.

| damage | cases | refused, file named | damaged | beyond | silent |
|---|---|---|---|---|---|
`)
	slices.SortFunc(d.damages, func(x, y damageRow) int { return cmp.Compare(x.kind, y.kind) })
	for _, x := range d.damages {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d |\n", x.kind, x.n.cases, x.n.refused, x.n.damaged, x.n.beyond, x.n.silent)
	}
	d.faultText(&b)
	b.WriteString(`
What no reader of damaged files can tell and is not counted as silent: zeros from the end of a record on when all marks are gone too, the last file of
a consume queue missing as a whole, a harmed last entry of a queue, which looks like one that a crash left behind, and a message
whose topic or queue number was harmed and that now looks like the first one of another queue: no checksum of the format covers these.
Keys may be missing from the index after its own files were harmed; messages are not.
`)
	return b.String()
}

func (d *tableData) faultText(b *strings.Builder) {
	b.WriteString(`
## Full and failing disks

A whole broker on a disk that fills up or fails. While it does, sends are refused with the cause, all that was acknowledged is
read, offsets are committed; a full disk takes messages again by itself when there is room, a failing one after a restart; a kill at
the end loses nothing.

| fault | held |
|---|---|
`)
	slices.SortFunc(d.faults, func(x, y faultRow) int { return cmp.Compare(x.name, y.name) })
	for _, x := range d.faults {
		held := "yes"
		if !x.ok {
			held = "NO"
		}
		fmt.Fprintf(b, "| %s | %s |\n", x.name, held)
	}
}
