package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/cometmq/cometmq/internal/record"
)

// Options configures a Store. Keys in comments are the operator's names.
type Options struct {
	Dir              string // storePathRootDir
	CommitLogDir     string // storePathCommitLog, default <Dir>/commitlog
	SegmentSize      int64  // mappedFileSizeCommitLog, default 1 GiB
	QueueFileSize    int64  // mappedFileSizeConsumeQueue, default 6,000,000
	BatchFileSize    int64  // mapperFileSizeBatchConsumeQueue, default 13,800,000
	LightQueues      bool   // enableLmq and enableMultiDispatch: messages name more queues that they are in
	IndexSlots       int    // maxHashSlotNum, default 5,000,000
	IndexCapacity    int    // maxIndexNum, default 20,000,000
	IndexTags        bool   // tags are keys too, as in Java 5.5.0 (text topic#T#tag); up to 5.3 they are not
	IndexEnabled     bool   // messageIndexEnable
	FlushSync        bool   // flushDiskType = SYNC_FLUSH: what is not on disk is not visible
	FlushInterval    time.Duration
	AppendPropCRC    bool // enabledAppendPropCRC
	SkipBodyCRC      bool // checkCRCOnRecover = false
	CacheBytes       int64
	ReservedTime     time.Duration // fileReservedTime
	DeleteWhen       string        // hours, separated by ";"
	DiskMaxUsed      int           // diskMaxUsedSpaceRatio, percent
	ForceClean       int           // diskSpaceCleanForciblyRatio
	Warning          int           // diskSpaceWarningLevelRatio
	KeepForced       bool          // cleanFileForciblyEnable = false
	CleanInterval    time.Duration // cleanResourceInterval
	CompactFileSize  int64         // compactionMappedFileSize
	CompactQueueSize int64         // compactionCqMappedFileSize
	CompactMapBytes  int64         // maxOffsetMapSize
	CompactInterval  time.Duration // compactionScheduleInternal, default 15 min
	CompactFollow    time.Duration // how often messages are copied for it, default 1 s
	MarkInterval     time.Duration // how often queues and index are written
	ThoroughInterval time.Duration // how often they are synced
	Now              func() time.Time
	Log              *slog.Logger
	StoreHost        netip.AddrPort

	// Copy: the log is a copy of a master's. It takes no messages of its own, and after a power cut it ends before the first
	// gap, so that the master sends what is missing again; a log of one's own keeps what is behind a gap.
	Copy bool
	// Sealed: the log takes no messages of its own, as a copy.
	Sealed bool

	// TruncateTo, if not nil, is where the log is cut when the store is opened; inside of a record: before it. See Store.Cut.
	TruncateTo *record.Offset

	// TagsCode gives the tag field of a queue unit; nil or ok = false: the hash of the tag.
	TagsCode func(topic []byte, queue int32, props record.Props, storeMs int64) (code int64, ok bool)
	// OnDispatch is called in log order after the record became visible in q. It must be cheap.
	OnDispatch func(q *Queue, d *Dispatched)
	// Synced, if not nil, is told how long each flush of the log took. It must be cheap.
	Synced func(took time.Duration)
	// OnDamage, if not nil, is told of a damaged message that a read has found. If it returns true the read ends before the message, which
	// may be repaired soon; else the message is left out. It is called by readers, again and again, and must not wait.
	OnDamage func(x Spot) (wait bool)
}

func (o Options) withDefaults() Options {
	set := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	pick := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	every := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	if o.CommitLogDir == "" {
		o.CommitLogDir = filepath.Join(o.Dir, "commitlog")
	}
	set(&o.SegmentSize, 1<<30)
	set(&o.QueueFileSize, 6_000_000)
	set(&o.BatchFileSize, 13_800_000)
	set(&o.CacheBytes, 64<<20)
	pick(&o.IndexSlots, 5_000_000)
	pick(&o.IndexCapacity, 20_000_000)
	pick(&o.DiskMaxUsed, 75)
	pick(&o.ForceClean, 85)
	pick(&o.Warning, 90)
	every(&o.FlushInterval, 500*time.Millisecond)
	every(&o.ReservedTime, 72*time.Hour)
	every(&o.CleanInterval, 10*time.Second)
	every(&o.MarkInterval, time.Second)
	every(&o.CompactInterval, 15*time.Minute)
	every(&o.CompactFollow, time.Second)
	every(&o.ThoroughInterval, 10*time.Second)
	if o.DeleteWhen == "" {
		o.DeleteWhen = "04"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	// Java clamps these two silently.
	o.Warning = min(max(o.Warning, 35), 90)
	o.ForceClean = min(max(o.ForceClean, 30), 85)
	return o
}

func (o Options) validate() error {
	switch {
	case o.Dir == "":
		return errors.New("storePathRootDir is empty")
	case strings.Contains(o.CommitLogDir, ","):
		return fmt.Errorf("storePathCommitLog = %q: one directory is supported, not several", o.CommitLogDir)
	case o.SegmentSize < 1024 || o.SegmentSize > 1<<31-1:
		return fmt.Errorf("mappedFileSizeCommitLog = %d: must be 1024 to %d", o.SegmentSize, 1<<31-1)
	case o.QueueFileSize < 20 || o.QueueFileSize > 1<<31-1:
		return fmt.Errorf("mappedFileSizeConsumeQueue = %d: must be 20 to %d", o.QueueFileSize, 1<<31-1)
	case o.BatchFileSize < 46 || o.BatchFileSize > 1<<31-1:
		return fmt.Errorf("mapperFileSizeBatchConsumeQueue = %d: must be 46 to %d", o.BatchFileSize, 1<<31-1)
	case o.DiskMaxUsed < 10 || o.DiskMaxUsed > 95:
		return fmt.Errorf("diskMaxUsedSpaceRatio = %d: must be 10 to 95", o.DiskMaxUsed)
	}
	if _, err := parseHours(o.DeleteWhen); err != nil {
		return fmt.Errorf("deleteWhen = %q: %w", o.DeleteWhen, err)
	}
	return nil
}
