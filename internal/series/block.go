package series

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// A block is what the file has of one series over a span of time:
//
//	uint32  CRC-32C of all behind it, big endian
//	uint8   version, 1
//	uint8   columns: 1 (value), or 4 (minimum, average, maximum, last)
//	columns times
//	  uvarint n, bytes[n]   XOR chunk of Prometheus; its times are the numbers of slots, from 0
//
// A slot that was not sampled is not in the chunk; in memory it is NaN.
const (
	blockVersion = 1
	blockHead    = 6
)

// Columns of thinned blocks.
const (
	colMin = iota
	colAvg
	colMax
	colLast
	rolled // their number
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errBlock = errors.New("damaged block")

// grid is columns by slots, NaN where there is nothing.
type grid struct {
	slots int
	v     []float64 // column after column
	it    chunkenc.Iterator
}

func newGrid(columns, slots int) *grid {
	g := &grid{slots: slots, v: make([]float64, columns*slots)}
	g.clear()
	return g
}

func (g *grid) columns() int { return len(g.v) / g.slots }

func (g *grid) col(c int) []float64 { return g.v[c*g.slots : (c+1)*g.slots] }

func (g *grid) clear() {
	for i := range g.v {
		g.v[i] = math.NaN()
	}
}

// encode returns the block.
func (g *grid) encode() ([]byte, error) {
	dst := []byte{0, 0, 0, 0, blockVersion, byte(g.columns())}
	for c := range g.columns() {
		chunk := chunkenc.NewXORChunk()
		a, err := chunk.Appender()
		if err != nil {
			return nil, err
		}
		for slot, v := range g.col(c) {
			if !math.IsNaN(v) {
				a.Append(0, int64(slot), v)
			}
		}
		dst = binary.AppendUvarint(dst, uint64(len(chunk.Bytes())))
		dst = append(dst, chunk.Bytes()...)
	}
	binary.BigEndian.PutUint32(dst, crc32.Checksum(dst[4:], castagnoli))
	return dst, nil
}

// decode reads a block into g; an empty one is no block. After an error g is empty.
func (g *grid) decode(b []byte) error {
	g.clear()
	if len(b) == 0 {
		return nil
	}
	if err := g.fill(b); err != nil {
		g.clear()
		return err
	}
	return nil
}

func (g *grid) fill(b []byte) error {
	switch {
	case len(b) < blockHead:
		return fmt.Errorf("%w: %d bytes", errBlock, len(b))
	case crc32.Checksum(b[4:], castagnoli) != binary.BigEndian.Uint32(b):
		return fmt.Errorf("%w: checksum", errBlock)
	case b[4] != blockVersion:
		return fmt.Errorf("%w: version %d", errBlock, b[4])
	case int(b[5]) != g.columns():
		return fmt.Errorf("%w: %d columns for %d", errBlock, b[5], g.columns())
	}
	b = b[blockHead:]
	for c := range g.columns() {
		n, w := binary.Uvarint(b)
		if w <= 0 || n < 2 || n > uint64(len(b)-w) {
			return fmt.Errorf("%w: length of column %d", errBlock, c)
		}
		if err := g.column(g.col(c), b[w:w+int(n)]); err != nil {
			return err
		}
		b = b[w+int(n):]
	}
	if len(b) > 0 {
		return fmt.Errorf("%w: %d bytes too many", errBlock, len(b))
	}
	return nil
}

func (g *grid) column(to []float64, b []byte) error {
	if int(binary.BigEndian.Uint16(b)) > len(to) {
		return fmt.Errorf("%w: more samples than slots", errBlock)
	}
	var chunk chunkenc.XORChunk
	chunk.Reset(b)
	g.it = chunk.Iterator(g.it)
	last := int64(-1)
	for g.it.Next() == chunkenc.ValFloat {
		slot, v := g.it.At()
		if slot <= last || slot >= int64(len(to)) {
			return fmt.Errorf("%w: slot %d after %d", errBlock, slot, last)
		}
		to[slot], last = v, slot
	}
	if err := g.it.Err(); err != nil {
		return fmt.Errorf("%w: %w", errBlock, err)
	}
	return nil
}

// put sets slot of the thinned grid g to what values say. It reports whether they say anything.
func (g *grid) put(slot int, values []float64) bool {
	lo, hi, sum, last, n := math.Inf(1), math.Inf(-1), 0.0, 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			lo, hi, sum, last = min(lo, v), max(hi, v), sum+v, v
			n++
		}
	}
	if n == 0 {
		return false
	}
	g.set(slot, lo, sum/float64(n), hi, last)
	return true
}

// again is put of what is thinned already.
func (g *grid) again(slot int, from *grid, first, n int) bool {
	lo, hi, sum, last, count := math.Inf(1), math.Inf(-1), 0.0, 0.0, 0
	for i := first; i < first+n; i++ {
		if v := from.col(colAvg)[i]; !math.IsNaN(v) {
			lo, hi = min(lo, from.col(colMin)[i]), max(hi, from.col(colMax)[i])
			sum, last = sum+v, from.col(colLast)[i]
			count++
		}
	}
	if count == 0 {
		return false
	}
	g.set(slot, lo, sum/float64(count), hi, last)
	return true
}

func (g *grid) set(slot int, lo, avg, hi, last float64) {
	g.col(colMin)[slot], g.col(colAvg)[slot], g.col(colMax)[slot], g.col(colLast)[slot] = lo, avg, hi, last
}
