package commitlog

import "github.com/cometmq/cometmq/internal/record"

// seekStep is how near SeekTime comes to the first record that it looks for.
const seekStep = 1 << 20

// SeekTime returns the start of a record, or of a file, before which nothing was stored at ms or later, as far as the clock
// did not go back. It is at most about a MiB before the first such record, unless damage is in the way.
func (l *Log) SeekTime(ms int64) record.Offset {
	files := l.Files()
	if len(files) == 0 {
		return l.Min()
	}
	i := len(files) - 1
	for ; i > 0; i-- {
		if first, ok := l.FirstRecord(files[i]); ok && first < ms {
			break
		}
	}
	lo, hi := files[i].Base(), min(files[i].End(), l.appended.Load())
	sc := &Scanner{l: l, rd: l.set.Reader(), limit: hi}
	defer sc.Close()
	for hi-lo > seekStep {
		mid := lo + (hi-lo)/2
		at, err := sc.search(mid, hi)
		if err != nil {
			break // lo is right, only far
		}
		if at >= 0 && sc.Msg.StoreTime < ms {
			lo = at
		} else {
			hi = mid
		}
	}
	return record.Offset(lo)
}
