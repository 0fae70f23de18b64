package broker

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/record"
)

// RuntimeInfo implements mq.BrokerAdmin: Java's table of code 28. Tools parse several keys and fail without them, so those
// that have no meaning here (thread pools, timer wheel) are there with the value of an idle Java broker.
func (b *Broker) RuntimeInfo(context.Context) (map[string]string, error) {
	now := b.o.Now()
	m := map[string]string{}
	num := func(key string, v int64) { m[key] = strconv.FormatInt(v, 10) }
	b.putStore(m, num)
	b.putRates(now, m, num)

	num("bootTimestamp", b.started.UnixMilli())
	m["runtime"] = age(now.Sub(b.started))
	m["brokerActive"] = strconv.FormatBool(b.Acts())
	m["brokerVersionDesc"] = b.o.Version
	start := int64(0)
	if !b.o.StartAccept.IsZero() {
		start = b.o.StartAccept.UnixMilli()
	}
	num("startAcceptSendRequestTimeStamp", start)
	for _, pool := range []string{"send", "pull", "litePull", "query", "ack"} {
		num(pool+"ThreadPoolQueueSize", 0)
		num(pool+"ThreadPoolQueueCapacity", poolCapacity[pool])
		num(pool+"ThreadPoolQueueHeadWaitTimeMills", 0)
	}
	num("EndTransactionQueueSize", 0)
	num("EndTransactionThreadPoolQueueCapacity", poolCapacity["transaction"])
	for _, key := range []string{"dispatchMaxBuffer", "pageCacheLockTimeMills"} {
		num(key, 0)
	}
	m["timerEnqueueTps"], m["timerDequeueTps"] = "0.0", "0.0"
	num("acknowledgedCopies", int64(b.copies()))
	m["acknowledgedMeans"] = b.Promise()
	num("escapedMessages", b.figures.escaped.Load())
	num("escapeFailures", b.figures.escapeFailures.Load())
	b.putDelays(m)
	b.putQuotas(m)
	b.putReserved(m)
	b.putTimers(now, num)
	num("remainTransientStoreBufferNumbs", 1<<31-1)
	return m, nil
}

// copies is in how many logs a message is when it is acknowledged, 0 when none is.
func (b *Broker) copies() int {
	switch {
	case b.refuse != nil:
		return 0
	case b.o.Copies != nil:
		return b.o.Copies()
	}
	return 1 + b.replicas()
}

// Promise says what it means now when a send is acknowledged.
func (b *Broker) Promise() string {
	n := b.copies()
	if n == 0 {
		return "nothing: no messages are taken"
	}
	where := "in the log of this broker only"
	if n > 1 {
		where = "in the logs of " + strconv.Itoa(n) + " brokers"
	}
	if b.o.FlushSync {
		return where + ", on disk here"
	}
	return where + ", on disk a moment later"
}

// poolCapacity are Java's sizes of the queues before its thread pools. There are no such queues here.
var poolCapacity = map[string]int64{"send": 10_000, "pull": 100_000, "litePull": 100_000, "query": 20_000, "ack": 100_000, "transaction": 100_000}

// putStore adds what the store and its disk say.
func (b *Broker) putStore(m map[string]string, num func(string, int64)) {
	st := b.store.Stats()
	num("commitLogMinOffset", int64(st.MinOffset))
	num("commitLogMaxOffset", int64(st.Appended))
	num("dispatchBehindBytes", max(int64(st.Appended-st.Dispatched), 0))
	m["remainHowManyDataToFlush"] = bytesText(max(int64(st.Appended-st.Flushed), 0))
	num("earliestMessageTimeStamp", b.earliest())
	num("storeHoles", st.Holes)
	num("storeDamagedRecords", st.Damaged)
	num("storeRepairedRecords", st.Repaired)
	if err := b.store.Writable(); err != nil {
		m["storeWritable"] = err.Error()
	} else {
		m["storeWritable"] = "true"
	}
	if u, err := b.o.FS.Usage(b.o.Dir); err == nil && u.Total > 0 {
		m["commitLogDirCapacity"] = fmt.Sprintf("Total : %s, Free : %s.", bytesText(int64(u.Total)), bytesText(int64(u.Avail)))
	}
	ratio := "-1"
	if st.DiskUsed >= 0 {
		ratio = decimal(float64(st.DiskUsed) / 100)
	}
	m["commitLogDiskRatio"], m["consumeQueueDiskRatio"] = ratio, ratio
	m["commitLogDiskRatio_"+filepath.Join(b.o.Dir, "commitlog")] = ratio
}

// earliest returns the store time of the first message in the log in ms, -1 when there is none.
func (b *Broker) earliest() int64 {
	rec, err := b.store.ReadAt(b.store.MinOffset(), nil)
	if err != nil {
		return -1
	}
	return storeTime(rec)
}

// putRates adds counts and rates.
func (b *Broker) putRates(now time.Time, m map[string]string, num func(string, int64)) {
	f := &b.figures
	puts, bytes := f.puts.messages.Load(), f.puts.bytes.Load()
	gets := f.gets.messages.Load()
	num("putMessageTimesTotal", puts)
	num("putMessageFailedTimes", f.failed.Load())
	num("putMessageSizeTotal", bytes)
	m["putMessageAverageSize"] = decimal(float64(bytes) / float64(max(puts, 1)))
	num("putMessageEntireTimeMax", f.longest.Load()/int64(time.Millisecond))
	num("getMessageEntireTimeMax", f.longestGet.Load()/int64(time.Millisecond))
	m["putMessageDistributeTime"] = f.putTimes()
	m["putLatency99"], m["putLatency999"] = fmt.Sprintf("%.2f", f.putTime(0.99)), fmt.Sprintf("%.2f", f.putTime(0.999))
	m["putTps"] = f.rates(now, func(s sample) int64 { return s.puts })
	m["getTransferredTps"] = f.rates(now, func(s sample) int64 { return s.gets })
	m["getFoundTps"] = f.rates(now, func(s sample) int64 { return s.hits })
	m["getMissTps"] = f.rates(now, func(s sample) int64 { return s.misses })
	m["getTotalTps"] = f.rates(now, func(s sample) int64 { return s.hits + s.misses })
	d := f.today()
	num("msgPutTotalYesterdayMorning", d.putsBefore)
	num("msgPutTotalTodayMorning", d.putsMorning)
	num("msgPutTotalTodayNow", puts)
	num("msgGetTotalYesterdayMorning", d.getsBefore)
	num("msgGetTotalTodayMorning", d.getsMorning)
	num("msgGetTotalTodayNow", gets)
	sessions, consumers, producers := b.clients.Counts()
	num("clientConnections", int64(sessions))
	num("consumerGroupsOnline", int64(consumers))
	num("producerGroupsOnline", int64(producers))
	num("parkedRequests", int64(b.polls.Parked()))
}

// age writes a duration as Java's StoreStatsService does.
func age(d time.Duration) string {
	s := int64(d.Seconds())
	return fmt.Sprintf("[ %d days, %d hours, %d minutes, %d seconds ]", s/86400, s/3600%24, s/60%60, s%60)
}

// bytesText writes a size as Java's humanReadableByteCount does.
func bytesText(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	x, unit := float64(n), -1
	for x >= 1024 && unit < 5 {
		x /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", x, "KMGTPE"[unit])
}

var _ mq.BrokerAdmin = (*Broker)(nil)

// storeTime returns the store time of a record, -1 when it is none.
func storeTime(rec []byte) int64 {
	h, err := record.Header(rec)
	if err != nil {
		return -1
	}
	return h.StoreTime
}
