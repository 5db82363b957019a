// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"encoding/binary"
)

// maxQuick bounds what is written in place at once: a larger message is
// copied piece by piece, so that the peer copies while we do.
const maxQuick = 32 << 10

// quick writes p as one frame straight into the transport's memory, whose own
// lock keeps frames apart. It reports false if something stands in the way:
// then nothing was written, and the slow way finds out what. It runs beside
// the holder of w.lock, who closes w.open before it writes anything in more
// than one piece; what was reserved before that is committed before that.
func (w *writer) quick(ctx context.Context, p []byte) bool {
	if !w.open.Load() {
		return false
	}
	lender := w.c.lender
	b, err := lender.Reserve(ctx, headerSize+len(p))
	if err != nil {
		return false
	}
	if !w.open.Load() {
		_ = lender.Commit(0) // the slow way says what fails
		return false
	}
	putMessage(b, p)
	return lender.Commit(headerSize+len(p)) == nil
}

// putMessage writes a frame to b and returns its length.
func putMessage(b, p []byte) int {
	binary.LittleEndian.PutUint64(b, uint64(uint32(len(p)))|uint64(kindMessage)<<32)
	return headerSize + copy(b[headerSize:], p)
}

// fit says whether each of ps can be written in place.
func (w *writer) fit(ps [][]byte) bool {
	for _, p := range ps {
		if headerSize+len(p) > int(w.c.loan.Load()) {
			return false
		}
	}
	return true
}

// inPlace writes ps straight into the transport's memory, as many at once as
// there is room for in a loan. The caller holds the lock; what goes in several
// loans is kept together by closing w.open.
func (w *writer) inPlace(ctx context.Context, ps [][]byte) error {
	if w.err != nil {
		return w.err
	}
	for n, size := 0, 0; len(ps) > 0; ps = ps[n:] {
		if n, size = w.next(ps); n < len(ps) {
			w.open.Store(false)
			defer w.reopen()
		}
		b, err := w.c.lender.Reserve(ctx, size)
		if err != nil {
			return w.failed(ctx, false, err)
		}
		for _, p := range ps[:n] {
			b = b[putMessage(b, p):]
		}
		if err := w.c.lender.Commit(size); err != nil {
			return w.failed(context.Background(), true, err)
		}
	}
	return nil
}

// next is how many of ps go into one loan, at least one, and their size.
func (w *writer) next(ps [][]byte) (n, size int) {
	for _, p := range ps {
		if more := size + headerSize + len(p); more > int(w.c.loan.Load()) {
			break
		} else {
			n, size = n+1, more
		}
	}
	return n, size
}

// reopen lets Sends past the lock, if they may. The caller holds the lock.
func (w *writer) reopen() {
	if w.c.loan.Load() == 0 {
		w.c.findRings()
	}
	if w.c.loan.Load() > 0 && w.whole && w.err == nil && !w.said {
		w.open.Store(true)
	}
}
