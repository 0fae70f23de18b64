package node

import (
	"encoding/binary"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/remoting"
	"github.com/cometmq/cometmq/internal/storage"
)

// spoil flips a bit in the body of the n-th message of a broker that does not run; the first one is 0.
func (m *machine) spoil(t *testing.T, n int) {
	t.Helper()
	f, err := m.disk.Open("/store/consumequeue/load/0/00000000000000000000")
	must(t, err)
	var unit [12]byte
	_, err = f.ReadAt(unit[:], int64(n)*20)
	must(t, err)
	must(t, f.Close())
	off, size := int64(binary.BigEndian.Uint64(unit[:])), int64(binary.BigEndian.Uint32(unit[8:]))
	f, err = m.disk.Open("/store/commitlog/00000000000000000000")
	must(t, err)
	rec := make([]byte, size)
	_, err = f.ReadAt(rec, off)
	must(t, err)
	var x record.Message
	_, err = record.Decode(rec, &x, true)
	must(t, err)
	x.Body[0] ^= 0x80 // of rec
	_, err = f.WriteAt(rec, off)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// TestADamagedMessageIsTakenFromAnotherBroker spoils messages of a slave and of a master.
func TestADamagedMessageIsTakenFromAnotherBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1, 2, map[string]string{"allAckInSyncStateSet": "true", "minInSyncReplicas": "1", "totalReplicas": "2", "slaveReadEnable": "true"})
		defer f.close()
		f.inSync(60 * time.Second)
		p := f.produce()
		time.Sleep(2 * time.Second)
		acked := p.end()
		a, b := f.brokers[0], f.brokers[1]
		if a != f.master() {
			a, b = b, a
		}
		c := remoting.NewClient(remoting.ClientOptions{Dial: f.net.Host("10.9.2.1").Dial})
		defer c.Close()
		told := func(m *machine, key string) int {
			info, err := m.node.broker.now().core.RuntimeInfo(t.Context())
			must(t, err)
			n, _ := strconv.Atoi(info[key])
			return n
		}
		// readAll reads as a consumer that waits.
		readAll := func(m *machine) {
			t.Helper()
			e := m.node.broker.now()
			q := e.store.Queue("load", 0)
			var next record.Index
			f.until(20*time.Second, "all of "+m.ip+" is read", func() bool {
				res := e.store.Read(q, &storage.Read{From: next}, nil)
				if res.Damaged > 0 {
					t.Errorf("%s leaves out a message before %d", m.ip, res.Next)
				}
				next = res.Next
				return int(next) >= len(acked)
			})
			f.check(m, acked)
		}
		restart := func(m *machine, spoilt ...int) {
			t.Helper()
			m.kill(false)
			for _, n := range spoilt {
				m.spoil(t, n)
			}
			m.revive()
			f.inSync(60 * time.Second)
			time.Sleep(15 * time.Second) // the name servers know both
		}
		restart(b, 3, 100, 5)
		readAll(b)
		if got := told(b, "storeRepairedRecords"); got != 3 || told(b, "storeDamagedRecords") != 0 {
			t.Errorf("slave: %d repaired, %d left out", got, told(b, "storeDamagedRecords"))
		}
		restart(a, 50) // the other one is master now
		restart(b)     // and this one
		if f.master() != a {
			t.Fatal("the first one is not master")
		}
		readAll(a)
		if got := told(a, "storeRepairedRecords"); got != 1 || f.diary.last("a damaged message was repaired") < 0 {
			t.Errorf("master: %d repaired", got)
		}
		f.alike(30 * time.Second)

		// Nobody else has it: it is left out, after a moment.
		b.kill(false)
		n := len(acked) / 2
		b.spoil(t, n)
		a.kill(false)
		a.spoil(t, n)
		a.revive()
		b.revive()
		f.inSync(60 * time.Second)
		time.Sleep(15 * time.Second)
		m := f.master()
		e := m.node.broker.now()
		q := e.store.Queue("load", 0)
		read := func() storage.ReadResult {
			return e.store.Read(q, &storage.Read{From: record.Index(n), MaxCount: 1}, nil)
		}
		if res := read(); res.Count > 0 || res.Next != record.Index(n) || res.Status != storage.OffsetFoundNull {
			t.Errorf("at first: %+v", res)
		}
		time.Sleep(10 * time.Second)
		if res := read(); res.Damaged != 1 || res.Next != record.Index(n)+2 || res.Count != 1 {
			t.Errorf("then: %+v", res)
		}
		if f.diary.last("a damaged message could not be repaired") < 0 {
			t.Error("nobody says that it cannot be repaired")
		}
	})
}

func TestRepairsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRepairs()
		for i := range record.Offset(repairQueue) {
			for try := range 2 {
				if !r.found(storage.Spot{Offset: i}) {
					t.Errorf("%d is not waited for when it is found for the %d. time", i, try+1)
				}
			}
		}
		if r.found(storage.Spot{Offset: 1000}) {
			t.Error("one that has no room is waited for")
		}
		x := <-r.work
		r.ended(&x, errors.New("nobody has it"))
		if r.found(x) {
			t.Error("one that failed is waited for")
		}
		time.Sleep(repairAgain + time.Second)
		if !r.found(x) {
			t.Error("it is not tried again")
		}
	})
}
