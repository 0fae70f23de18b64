package replication

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometmq/cometmq/internal/record"
	"github.com/cometmq/cometmq/internal/testkit/memnet"
	"github.com/cometmq/cometmq/internal/vfs"
)

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "").Replace(text))
	must(tb, err)
	return b
}

// The bytes were captured from Java 5.3.3 (replication spec, section 10: V4 and V5).
func TestSwitchBytesAreJavas(t *testing.T) {
	t.Parallel()
	h := handshake{id: 2}
	if got, want := h.encode(), unhex(t, "00000001 0000 0000 0000000000000002"); !bytes.Equal(got, want) {
		t.Errorf("handshake %x", got)
	}
	a := answer{end: 492, last: 3, epochs: []Epoch{{1, 0}, {3, 328}}}
	v4 := unhex(t, "00000001 00000018 00000000000001ec 00000003 | 00000001 0000000000000000 | 00000003 0000000000000148")
	if got := a.encode(); !bytes.Equal(got, v4) {
		t.Errorf("answer %x", got)
	}
	var b answer
	if err := b.read(bytes.NewReader(v4)); err != nil || b.end != a.end || b.last != a.last || !slices.Equal(a.epochs, b.epochs) {
		t.Errorf("read %+v %v", b, err)
	}
	if got, want := appendSwitchReport(nil, 0), unhex(t, "00000002 0000000000000000"); !bytes.Equal(got, want) {
		t.Errorf("report %x", got)
	}
	v5 := unhex(t, "00000002 00000148 0000000000000000 00000003 0000000000000148 00000000000001ec")
	f := frame{off: 0, n: 328, epoch: Epoch{3, 328}, confirm: 492}
	if got := appendSwitchHeader(nil, &f); !bytes.Equal(got, v5) {
		t.Errorf("header %x", got)
	}
	var g frame
	if err := g.parseSwitch(v5); err != nil || g != f {
		t.Errorf("parsed %+v %v", g, err)
	}
}

// two lets broker 1 write an epoch or two and lead.
func leader(tb testing.TB) (*referee, *replica) {
	tb.Helper()
	ref, all := group(tb, 1, false)
	a := all[0]
	for _, body := range []string{"first", "second"} {
		ref.elect(1)
		a.lead()
		put(tb, a.store, body)
		if body == "first" {
			a.close()
		}
	}
	return ref, a
}

// A whole conversation, byte for byte. The labels are those that Java's slave records rightly: see switchTalk.header.
func TestSwitchConversation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a := leader(t)
		half, end := a.epochs.Last().Start, a.store.Appended()
		rd := a.store.RawReader()
		p, err := rd.View(0, end)
		must(t, err)
		log := bytes.Clone(p)
		rd.Close()
		label := func(off record.Offset, n int, e Epoch) []byte {
			return appendSwitchHeader(nil, &frame{off: off, n: n, epoch: e, confirm: end})
		}
		one, two := Epoch{1, 0}, Epoch{2, half}
		alive := label(end, 0, two)
		hello := func(last bool) []byte { return handshake{id: 7, learner: true, lastFile: last}.encode() }
		greeting := (&answer{end: end, last: 2, epochs: []Epoch{one, two}}).encode()
		all := bytes.Join([][]byte{label(0, int(half), one), log[:half], label(half, int(end-half), two), log[half:], alive, alive}, nil)
		for name, c := range map[string]struct {
			say  [][]byte
			want []byte
		}{
			"from the begin":     {[][]byte{hello(false), appendSwitchReport(nil, 0)}, all},
			"at once":            {[][]byte{append(hello(false), appendSwitchReport(nil, 0)...)}, all},
			"the newest file":    {[][]byte{hello(true), appendSwitchReport(nil, 0)}, all},
			"handshake twice":    {[][]byte{hello(false), hello(false), appendSwitchReport(nil, 0)}, all},
			"in pieces":          {[][]byte{hello(false)[:3], hello(false)[3:12], hello(false)[12:15], hello(false)[15:], appendSwitchReport(nil, 0)[:5], appendSwitchReport(nil, 0)[5:]}, all},
			"from the middle":    {[][]byte{hello(false), appendSwitchReport(nil, half)}, all[36+half:]},
			"inside of a record": {[][]byte{hello(false), appendSwitchReport(nil, half-10)}, append(label(half-10, 10, one), append(log[half-10:half:half], all[36+half:]...)...)},
			"from the end":       {[][]byte{hello(false), appendSwitchReport(nil, end)}, append(bytes.Clone(alive), alive...)},
		} {
			conn, err := a.net.Host("10.0.0.7").Dial(context.Background(), "tcp", a.addr())
			must(t, err)
			for _, p := range c.say {
				_, err = conn.Write(p)
				must(t, err)
				time.Sleep(time.Millisecond)
			}
			got, err := readAll(conn, 12*time.Second)
			if err == nil {
				t.Errorf("%s: closed", name)
			}
			if want := append(bytes.Clone(greeting), c.want...); !bytes.Equal(got, want) {
				t.Errorf("%s:\n%x, want\n%x", name, got, want)
			}
			must(t, conn.Close())
		}
		a.close()
	})
}

func TestSwitchMasterRefuses(t *testing.T) {
	t.Parallel()
	hello := handshake{id: 2}.encode()
	report := func(end record.Offset) []byte { return appendSwitchReport(nil, end) }
	for name, say := range map[string]func(end record.Offset) [][]byte{
		"DefaultHA, empty": func(record.Offset) [][]byte { return [][]byte{appendReport(nil, 0)} },
		"DefaultHA":        func(end record.Offset) [][]byte { return [][]byte{appendReport(nil, end)} },
		"DefaultHA, 5 GiB": func(record.Offset) [][]byte { return [][]byte{appendReport(nil, 5<<30)} },
		"DefaultHA, 9 GiB": func(record.Offset) [][]byte { return [][]byte{appendReport(nil, 9<<30)} },
		"DefaultHA, 4 GiB": func(record.Offset) [][]byte { return [][]byte{appendReport(nil, 4<<30), appendReport(nil, 4<<30)} },
		"Java 5.0.0": func(record.Offset) [][]byte {
			return [][]byte{append([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 15}, "10.0.0.7:10911"...)}
		},
		"a report first":              func(end record.Offset) [][]byte { return [][]byte{report(end)} },
		"silence":                     func(record.Offset) [][]byte { return nil },
		"half a handshake":            func(record.Offset) [][]byte { return [][]byte{hello[:12]} },
		"no broker":                   func(record.Offset) [][]byte { return [][]byte{handshake{id: 0}.encode()} },
		"this broker":                 func(record.Offset) [][]byte { return [][]byte{handshake{id: 1}.encode()} },
		"ahead":                       func(end record.Offset) [][]byte { return [][]byte{hello, report(end + 1)} },
		"a negative offset":           func(record.Offset) [][]byte { return [][]byte{hello, report(-1)} },
		"more than was sent":          func(end record.Offset) [][]byte { return [][]byte{hello, report(end), report(end + 100)} },
		"backwards":                   func(end record.Offset) [][]byte { return [][]byte{hello, report(end), report(end - 1)} },
		"a handshake in the middle":   func(end record.Offset) [][]byte { return [][]byte{hello, report(end), hello} },
		"another one before it began": func(record.Offset) [][]byte { return [][]byte{hello, handshake{id: 3}.encode()} },
		"rubbish after the handshake": func(record.Offset) [][]byte { return [][]byte{hello, bytes.Repeat([]byte("rubbish"), 20)} },
		"flags that are none":         func(record.Offset) [][]byte { return [][]byte{{0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ref, a := leader(t)
				a.ma.Adopt([]int64{1, 2}, 100) // so that an acknowledgement would need broker 2
				mark := a.store.Replicated()
				end := put(t, a.store, "to be acknowledged by nobody")
				conn, err := a.net.Host("10.0.0.7").Dial(context.Background(), "tcp", a.addr())
				must(t, err)
				began := time.Now()
				for _, p := range say(end) {
					_, err = conn.Write(p)
					must(t, err)
					time.Sleep(100 * time.Millisecond)
				}
				if _, err = readAll(conn, 50*time.Second); err != nil {
					t.Fatalf("not closed: %v", err)
				}
				if strings.HasPrefix(name, "DefaultHA") && time.Since(began) > time.Second {
					t.Errorf("recognised after %v", time.Since(began))
				}
				synctest.Wait()
				if st := a.ma.State(); len(st.Slaves) != 0 {
					t.Errorf("%+v", st)
				}
				if got := a.store.Replicated(); got > mark && name != "more than was sent" && name != "backwards" && name != "a handshake in the middle" {
					t.Errorf("replicated up to %d", got)
				}
				_ = ref
				must(t, conn.Close())
				a.close()
			})
		})
	}
}

// What a master must not say: the connection ends, and nothing but sound records of the right place is stored.
func TestSwitchSlaveIsNotFooled(t *testing.T) {
	t.Parallel()
	one := specimen(t, "first")
	both := specimen(t, "first", "second")
	n := record.Offset(len(one))
	greeting := (&answer{end: 10_000, last: 2, epochs: []Epoch{{1, 0}, {2, n}}}).encode()
	fr := func(off record.Offset, e Epoch, p []byte) []byte {
		return append(appendSwitchHeader(nil, &frame{off: off, n: len(p), epoch: e, confirm: 1 << 40}), p...)
	}
	first, second := fr(0, Epoch{1, 0}, one), fr(n, Epoch{2, n}, both[n:])
	cat := func(p ...[]byte) []byte { return bytes.Join(p, nil) }
	head := func(state, n uint32, end uint64) []byte {
		b := (&answer{end: record.Offset(end)}).encode()
		b[3], b[4], b[5], b[6], b[7] = byte(state), byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
		return b
	}
	for name, c := range map[string]struct {
		sent   []byte
		has    record.Offset
		epochs int
		err    string
	}{
		"all right":                    {cat(greeting, first, second), record.Offset(len(both)), 2, "closed the connection"},
		"Java's label":                 {cat(greeting, fr(0, Epoch{2, n}, one), second), record.Offset(len(both)), 2, "closed the connection"},
		"a new epoch later":            {cat(greeting, first, fr(n, Epoch{5, n}, both[n:])), record.Offset(len(both)), 2, "closed the connection"},
		"DefaultHA":                    {appendHeader(nil, 0, 0), 0, 0, "not in controller mode"},
		"too many epochs":              {head(1, 0x7fff_fff0, 0), 0, 0, "impossible answer"},
		"half an epoch":                {head(1, 13, 0), 0, 0, "impossible answer"},
		"a negative length":            {head(1, 0xffff_fff4, 0), 0, 0, "impossible answer"},
		"no epochs":                    {head(1, 0, 0), 0, 0, "no epoch yet"},
		"epochs that go backwards":     {(&answer{end: 10, epochs: []Epoch{{2, 0}, {1, 5}}}).encode(), 0, 0, "go backwards"},
		"nothing":                      {nil, 0, 0, "at the handshake"},
		"another handshake":            {cat(greeting, greeting, greeting), 0, 0, "impossible frame"},
		"too long a frame":             {cat(greeting, appendSwitchHeader(nil, &frame{n: 4 << 20})), 0, 0, "impossible frame"},
		"a negative frame":             {cat(greeting, appendSwitchHeader(nil, &frame{n: -1})), 0, 0, "impossible frame"},
		"a gap":                        {cat(greeting, first, fr(n+1, Epoch{2, n}, both[n:])), n, 1, "the logs are not the same"},
		"an old place":                 {cat(greeting, first, first), n, 1, "the logs are not the same"},
		"an epoch inside of a record":  {cat(greeting, first, fr(n, Epoch{7, n + 10}, both[n:])), n, 2, "inside of a record"},
		"an epoch of the past":         {cat(greeting, first, second, fr(record.Offset(len(both)), Epoch{7, n}, nil)), record.Offset(len(both)), 2, "says that epoch 7"},
		"an epoch that begins anew":    {cat(greeting, first, second, fr(record.Offset(len(both)), Epoch{2, record.Offset(len(both))}, nil)), record.Offset(len(both)), 2, "says that epoch 2"},
		"a damaged record":             {cat(greeting, first, fr(n, Epoch{2, n}, append([]byte{9}, both[n+1:]...))), n, 2, "no sound record"},
		"a record of another log":      {cat(greeting, first, fr(n, Epoch{2, n}, one)), n, 2, "no sound record"},
		"confirmed more than there is": {cat(greeting, first), n, 1, "closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				net := memnet.New()
				l, err := net.Host("10.0.0.1").Listen(haAddr)
				must(t, err)
				disk := vfs.NewMem(vfs.MemOptions{})
				must(t, disk.MkdirAll("/store"))
				x := &replica{tb: t, net: net, id: 2, disk: disk}
				x.follow(haAddr, 1, SwitchSlaveOptions{})
				conn, err := l.Accept()
				must(t, err)
				_, err = conn.Write(c.sent)
				must(t, err)
				must(t, conn.(interface{ CloseWrite() error }).CloseWrite())
				_, err = readAll(conn, 10*time.Second)
				must(t, err)
				must(t, conn.Close())
				must(t, l.Close())
				synctest.Wait()
				st, err := x.slaveState()
				if st.End != c.has || err != nil || st.Err == nil || !strings.Contains(strings.ToLower(st.Err.Error()), strings.ToLower(c.err)) {
					t.Errorf("%v, state %+v: want %d, %q", err, st, c.has, c.err)
				}
				if len(st.Epochs) != c.epochs || st.Confirmed > st.End {
					t.Errorf("%+v", st)
				}
				must(t, x.store.Writable())
				x.close()
			})
		})
	}
}

func FuzzSayings(f *testing.F) {
	f.Add(append(handshake{id: 3, learner: true}.encode(), appendSwitchReport(nil, 5)...), 3)
	f.Add(appendReport(nil, 4<<30), 8)
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		run := func(parts ...[]byte) (hs []handshake, ends []record.Offset, err error) {
			var s sayings
			for _, p := range parts {
				if err == nil {
					err = s.feed(p, func(h handshake) error { hs = append(hs, h); return nil }, func(o record.Offset) error { ends = append(ends, o); return nil })
				}
			}
			return hs, ends, err
		}
		cut = max(0, min(cut, len(p)))
		h1, e1, err1 := run(p)
		h2, e2, err2 := run(p[:cut], p[cut:])
		if !slices.Equal(h1, h2) || !slices.Equal(e1, e2) || (err1 == nil) != (err2 == nil) || len(h1)*handshakeLen+len(e1)*switchReportLen > len(p) {
			t.Fatalf("%v %v %v, in two parts %v %v %v", h1, e1, err1, h2, e2, err2)
		}
		if len(e1) > 0 && len(h1) == 0 {
			t.Fatal("a report was taken without a handshake")
		}
	})
}

// quietConn is a connection on which a master says what it has said already.
type quietConn struct {
	net.Conn
	in *bytes.Reader
}

func (c *quietConn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *quietConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *quietConn) Close() error                     { return nil }
func (c *quietConn) SetDeadline(time.Time) error      { return nil }
func (c *quietConn) SetReadDeadline(time.Time) error  { return nil }
func (c *quietConn) SetWriteDeadline(time.Time) error { return nil }
func (c *quietConn) LocalAddr() net.Addr              { return net.TCPAddrFromAddrPort(netip.AddrPort{}) }

// FuzzSwitchSlave gives a slave whatever a master may send: only records are stored, and the list of epochs stays in order.
func FuzzSwitchSlave(f *testing.F) {
	both := specimen(f, "one", "two")
	n := record.Offset(len(specimen(f, "one")))
	greeting := (&answer{end: 10_000, last: 2, epochs: []Epoch{{1, 0}, {2, n}}}).encode()
	whole := bytes.Join([][]byte{
		greeting,
		appendSwitchHeader(nil, &frame{off: 0, n: int(n), epoch: Epoch{1, 0}}), both[:n],
		appendSwitchHeader(nil, &frame{off: n, n: len(both) - int(n), epoch: Epoch{2, n}}), both[n:],
	}, nil)
	f.Add(whole)
	f.Add(greeting[:20])
	f.Fuzz(func(t *testing.T, p []byte) {
		disk := vfs.NewMem(vfs.MemOptions{})
		s := open(t, disk, false, true)
		e := epochsOn(t, disk)
		sl, err := NewSwitchSlave(SwitchSlaveOptions{SlaveOptions: SlaveOptions{Store: s.store}, Epochs: e, ID: 2})
		must(t, err)
		c := &quietConn{in: bytes.NewReader(p)}
		x, err := switchAccent{sl}.greet(context.Background(), c)
		if err == nil {
			r := newReceiver(s.store, -1, x)
			_, err = r.feed(p[len(p)-c.in.Len():])
			if len(r.rest) > len(p) {
				t.Fatalf("%d bytes became %d", len(p), len(r.rest))
			}
		}
		if cerr := checkEpochs(e.List()); cerr != nil {
			t.Fatalf("%v after %v", cerr, err)
		}
		if errors.Is(err, ErrController) {
			t.Fatal("the wrong mode is blamed")
		}
		must(t, s.store.Writable())
		must(t, s.store.Close())
	})
}
