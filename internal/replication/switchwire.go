package replication

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cometmq/cometmq/internal/record"
)

// What AutoSwitchHA puts on the wire. Each message begins with the state that its sender is in.
//
//	slave to master, first:  i32 1, i16 from the last file, i16 learner, i64 broker id of the controller     16 bytes
//	master's answer:         i32 1, i32 length of the rest, i64 end of the master's log, i32 its last epoch  20 bytes
//	                         { i32 epoch, i64 begin }                                                        12 bytes each
//	slave to master, then:   i32 2, i64 end of the slave's log                                               12 bytes
//	master to slave, then:   i32 2, i32 length of the body, i64 log offset of the body,                      36 bytes
//	                         i32 epoch, i64 begin of the epoch, i64 confirm offset; the body
const (
	stateHandshake = 1
	stateTransfer  = 2

	handshakeLen    = 16
	answerLen       = 20
	epochLen        = 12
	switchReportLen = 12
	switchHeaderLen = 36

	// maxEpochs is how many epochs Java's master can send; with more its slaves never get an answer.
	maxEpochs = 1000
	// maxAnswered is how many are taken from a master.
	maxAnswered = 10_000
	// maxID is the highest broker id that is believed: the controller counts them from 1.
	maxID = 1 << 31
)

// ErrNoController says that the other side speaks DefaultHA.
var ErrNoController = errors.New("the other side is not in controller mode (DefaultHA), this broker is: set enableControllerMode on both or on none")

// handshake is how a slave introduces itself.
type handshake struct {
	lastFile bool  // an empty slave wants the newest file only
	learner  bool  // it does not become master
	id       int64 // of the controller
}

func (h handshake) encode() []byte {
	bit := func(b bool) uint16 {
		if b {
			return 1
		}
		return 0
	}
	dst := binary.BigEndian.AppendUint32(nil, stateHandshake)
	dst = binary.BigEndian.AppendUint16(dst, bit(h.lastFile))
	dst = binary.BigEndian.AppendUint16(dst, bit(h.learner))
	return binary.BigEndian.AppendUint64(dst, uint64(h.id))
}

func appendSwitchReport(dst []byte, end record.Offset) []byte {
	dst = binary.BigEndian.AppendUint32(dst, stateTransfer)
	return binary.BigEndian.AppendUint64(dst, uint64(end))
}

// sayings takes the stream of a slave apart.
type sayings struct {
	part  [handshakeLen]byte
	n     int
	hello bool // the handshake has come
}

// feed calls greet with handshakes and report with reports that end in p.
func (s *sayings) feed(p []byte, greet func(handshake) error, report func(end record.Offset) error) error {
	for len(p) > 0 {
		k := copy(s.part[s.n:s.want()], p)
		s.n, p = s.n+k, p[k:]
		if err := s.plausible(); err != nil {
			return err
		}
		if s.n < s.want() {
			continue
		}
		b := s.part[:]
		s.n = 0
		if binary.BigEndian.Uint32(b) == stateTransfer {
			end := record.Offset(binary.BigEndian.Uint64(b[4:]))
			if end < 0 {
				return fmt.Errorf("report of a negative offset %d", end)
			}
			if err := report(end); err != nil {
				return err
			}
			continue
		}
		h := handshake{lastFile: b[5] == 1, learner: b[7] == 1, id: int64(binary.BigEndian.Uint64(b[8:]))}
		s.hello = true
		if err := greet(h); err != nil {
			return err
		}
	}
	return nil
}

// want returns how many bytes the message that begins in part has, as far as that is known.
func (s *sayings) want() int {
	switch {
	case s.n < 4:
		return 4
	case binary.BigEndian.Uint32(s.part[:]) == stateTransfer:
		return switchReportLen
	}
	return handshakeLen
}

// plausible refuses as soon as what has come of a message cannot be one. A slave that speaks DefaultHA sends the end of its log
// in 8 bytes, so the first 4 of them are 1 only when that is between 4 and 8 GiB.
func (s *sayings) plausible() error {
	if s.n < 4 {
		return nil
	}
	wrong := func() error {
		if !s.hello {
			return &refusal{ErrNoController.Error()}
		}
		return fmt.Errorf("no message of AutoSwitchHA: % x", s.part[:s.n])
	}
	switch state := binary.BigEndian.Uint32(s.part[:]); {
	case state == stateTransfer && s.hello:
		return nil
	case state != stateHandshake:
		return wrong()
	case s.n >= 8 && binary.BigEndian.Uint32(s.part[4:])&^0x0001_0001 != 0:
		return wrong()
	case s.n >= handshakeLen:
		if id := int64(binary.BigEndian.Uint64(s.part[8:])); id < 1 || id > maxID {
			// A DefaultHA slave whose log ends at 4 GiB has repeated itself, or it is a slave of Java 5.0.0, whose handshake is longer.
			return &refusal{fmt.Sprintf("its handshake says that it is broker %d: it is not in controller mode (DefaultHA), or older than Java 5.1", id)}
		}
	}
	return nil
}

// answer is what a master says to a handshake.
type answer struct {
	end    record.Offset // of the master's log
	last   int32         // its last epoch
	epochs []Epoch
}

func (a *answer) encode() []byte {
	dst := binary.BigEndian.AppendUint32(nil, stateHandshake)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(a.epochs)*epochLen))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.end))
	dst = binary.BigEndian.AppendUint32(dst, uint32(a.last))
	for _, e := range a.epochs {
		dst = binary.BigEndian.AppendUint32(dst, uint32(e.Number))
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.Start))
	}
	return dst
}

// read reads an answer from r.
func (a *answer) read(r io.Reader) error {
	var head [answerLen]byte
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return err
	}
	if state := binary.BigEndian.Uint32(head[:]); state != stateHandshake {
		return ErrNoController // it begins with a log offset, of 64 bits
	}
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return err
	}
	n := int(int32(binary.BigEndian.Uint32(head[4:])))
	a.end, a.last = record.Offset(binary.BigEndian.Uint64(head[8:])), int32(binary.BigEndian.Uint32(head[16:]))
	if n < 0 || n%epochLen != 0 || n > maxAnswered*epochLen || a.end < 0 {
		return fmt.Errorf("impossible answer to the handshake: %d bytes of epochs, end of the log %d: is the other side in controller mode?", n, a.end)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	a.epochs = make([]Epoch, n/epochLen)
	for i := range a.epochs {
		b := body[i*epochLen:]
		a.epochs[i] = Epoch{int32(binary.BigEndian.Uint32(b)), record.Offset(binary.BigEndian.Uint64(b[4:]))}
	}
	return checkEpochs(a.epochs)
}

func appendSwitchHeader(dst []byte, f *frame) []byte {
	dst = binary.BigEndian.AppendUint32(dst, stateTransfer)
	dst = binary.BigEndian.AppendUint32(dst, uint32(f.n))
	dst = binary.BigEndian.AppendUint64(dst, uint64(f.off))
	dst = binary.BigEndian.AppendUint32(dst, uint32(f.epoch.Number))
	dst = binary.BigEndian.AppendUint64(dst, uint64(f.epoch.Start))
	return binary.BigEndian.AppendUint64(dst, uint64(f.confirm))
}

// parseSwitch reads a header of AutoSwitchHA.
func (f *frame) parseSwitch(p []byte) error {
	state := binary.BigEndian.Uint32(p)
	f.n, f.off = int(int32(binary.BigEndian.Uint32(p[4:]))), record.Offset(binary.BigEndian.Uint64(p[8:]))
	f.epoch = Epoch{int32(binary.BigEndian.Uint32(p[16:])), record.Offset(binary.BigEndian.Uint64(p[20:]))}
	f.confirm = record.Offset(binary.BigEndian.Uint64(p[28:]))
	if state != stateTransfer || f.off < 0 || f.n < 0 || f.n > maxFrame-switchHeaderLen || f.epoch.Start < 0 {
		return fmt.Errorf("impossible frame: state %d, offset %d, length %d, epoch %d from %d on", state, f.off, f.n, f.epoch.Number, f.epoch.Start)
	}
	return nil
}
