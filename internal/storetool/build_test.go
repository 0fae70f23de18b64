package storetool

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/vfs"
)

const (
	root     = "/store"
	fileSize = 4096
	cqSize   = 2000
)

var host = netip.MustParseAddrPort("127.0.0.1:10911")

// stored is a message of a test store.
type stored struct {
	topic string
	queue int32
	index int64
	off   int64
	size  int
}

// build makes a store of n messages in two topics with two queues each, in several files, as a broker leaves it that was
// stopped. spare is a further file, made ahead.
func build(tb testing.TB, n int, spare bool) (*vfs.Mem, []stored) {
	tb.Helper()
	m := vfs.NewMem(vfs.MemOptions{})
	var log []byte
	var all []stored
	next := map[queueKey]int64{}
	for i := range n {
		k := queueKey{fmt.Sprintf("Topic%d", i%2), int32(i / 2 % 2)}
		msg := record.Message{
			Topic: []byte(k.topic), QueueID: k.id, Index: record.Index(next[k]), BornHost: host, StoreHost: host,
			StoreTime: 1_700_000_000_000 + int64(i), Body: fmt.Appendf(nil, "body %03d", i), Props: record.AppendProp(nil, "KEYS", fmt.Sprint("k", i)),
		}
		size, err := msg.EncodedLen()
		must(tb, err)
		if left := fileSize - len(log)%fileSize; left < size+record.EndOfFileSize {
			log = append(record.EndOfFile(log, left), make([]byte, left-record.EndOfFileSize)...)
		}
		msg.Offset = record.Offset(len(log))
		all = append(all, stored{k.topic, k.id, next[k], int64(len(log)), size})
		log, err = msg.AppendTo(log)
		must(tb, err)
		next[k]++
	}
	files := (len(log) + fileSize - 1) / fileSize
	if spare {
		files++
	}
	log = append(log, make([]byte, files*fileSize-len(log))...)
	for i := range files {
		put(tb, m, fmt.Sprintf("%s/commitlog/%020d", root, i*fileSize), log[i*fileSize:][:fileSize])
	}
	queues := map[queueKey][]byte{}
	for _, s := range all {
		k := queueKey{s.topic, s.queue}
		u := binary.BigEndian.AppendUint64(queues[k], uint64(s.off))
		u = binary.BigEndian.AppendUint32(u, uint32(s.size))
		queues[k] = binary.BigEndian.AppendUint64(u, 0)
	}
	for k, units := range queues {
		for at := 0; at < len(units); at += cqSize {
			file := make([]byte, cqSize)
			copy(file, units[at:])
			put(tb, m, fmt.Sprintf("%s/consumequeue/%s/%d/%020d", root, k.topic, k.id, at), file)
		}
	}
	return m, all
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func put(tb testing.TB, fsys vfs.FS, name string, data []byte) {
	tb.Helper()
	must(tb, fsys.MkdirAll(filepath.Dir(name)))
	must(tb, vfs.WriteFileAtomic(fsys, name, data, false))
}

// overwrite changes bytes of the log.
func overwrite(tb testing.TB, fsys vfs.FS, off int64, data ...byte) {
	tb.Helper()
	f, err := fsys.Open(fmt.Sprintf("%s/commitlog/%020d", root, off/fileSize*fileSize))
	must(tb, err)
	defer func() { must(tb, f.Close()) }()
	_, err = f.WriteAt(data, off%fileSize)
	must(tb, err)
}

// flip changes one bit of the log.
func flip(tb testing.TB, fsys vfs.FS, off int64) {
	tb.Helper()
	data, err := vfs.ReadFile(fsys, fmt.Sprintf("%s/commitlog/%020d", root, off/fileSize*fileSize))
	must(tb, err)
	overwrite(tb, fsys, off, data[off%fileSize]^0x10)
}
