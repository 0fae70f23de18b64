package segment

// Reader looks at bytes of the set. It keeps the last block pinned, so neighbouring looks are cheap. The zero Reader of
// a set is made by Set.Reader; it is for one goroutine and must be closed.
type Reader struct {
	s    *Set
	b    *Block
	tmp  []byte
	disk bool
}

// Reader returns a reader of s.
func (s *Set) Reader() Reader { return Reader{s: s} }

// Disk reports whether any byte since the last call of Disk came from a file and not from the appender's memory.
func (r *Reader) Disk() bool {
	d := r.disk
	r.disk = false
	return d
}

// View returns the n bytes at off. They are valid until the next call. All of them must be below what the log has
// published and in one file.
func (r *Reader) View(off int64, n int) ([]byte, error) {
	if err := r.seek(off); err != nil {
		return nil, err
	}
	at := int(off - r.b.base)
	if at+n <= len(r.b.data) {
		return r.b.data[at : at+n : at+n], nil
	}
	var err error
	if r.tmp, err = r.Append(r.tmp[:0], off, n); err != nil {
		return nil, err
	}
	return r.tmp, nil
}

// Head returns as many of the n bytes at off as lie in one block, without copying.
func (r *Reader) Head(off int64, n int) ([]byte, error) {
	if err := r.seek(off); err != nil {
		return nil, err
	}
	at := int(off - r.b.base)
	n = min(n, len(r.b.data)-at)
	return r.b.data[at : at+n : at+n], nil
}

// Append copies the n bytes at off behind dst.
func (r *Reader) Append(dst []byte, off int64, n int) ([]byte, error) {
	for n > 0 {
		if err := r.seek(off); err != nil {
			return dst, err
		}
		p := r.b.data[off-r.b.base:]
		if len(p) > n {
			p = p[:n]
		}
		dst = append(dst, p...)
		off += int64(len(p))
		n -= len(p)
	}
	return dst, nil
}

// seek makes r.b the block that holds off.
func (r *Reader) seek(off int64) error {
	if r.b == nil || off < r.b.base || off >= r.b.End() {
		r.Close()
		b, err := r.s.block(off)
		if err != nil {
			return err
		}
		r.b = b
	}
	if r.b.disk {
		r.disk = true
	}
	return nil
}

// Shrink gives back scratch memory of more than n bytes.
func (r *Reader) Shrink(n int) {
	if cap(r.tmp) > n {
		r.tmp = nil
	}
}

// Close unpins. The reader can be used again.
func (r *Reader) Close() {
	if r.b != nil {
		r.s.cache.release(r.b)
		r.b = nil
	}
}
