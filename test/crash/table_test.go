package crash

import "sync"

// table collects what the tests of this package saw, for docs/crash-table.md.
var table tableData

type tableData struct {
	mu sync.Mutex // guards what follows
}

func (d *tableData) powerCuts(kind cutKind, n counts) {}

func (d *tableData) damage(kind string, n tallyDamage) {}
