// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"io"
	"runtime"

	"github.com/parley-ipc/parley/fault"
)

// errEnd is the orderly end.
var errEnd = io.EOF

// Record is one published item.
type Record struct {
	Seq   uint64 // one more than that of the record published before it, modulo 2^64
	Time  int64  // of publication: CLOCK_MONOTONIC in nanoseconds
	Bytes []byte // a copy of our own, until the next call of Next, Borrow or Close
}

// Next returns the next record, and how many were lost between it and the one
// before; it waits until there is one. After the publisher's Close, and once
// all is read, it is io.EOF; a publisher that breaks the rules is
// fault.Protocol, for ever. Under Reliable a loss means that the publisher
// overtook us before it attached us, or has dropped us.
func (s *Subscriber) Next(ctx context.Context) (Record, uint64, error) {
	if s.off < s.end && !s.borrowed.out && !s.closed && s.broken == nil {
		return s.take()
	}
	if err := s.find(ctx, s.fill); err != nil {
		return Record{}, 0, err
	}
	return s.take()
}

// NextBatch is Next for many: it waits until there is a record, then returns
// those that have been copied already, at most len(recs), and how many were
// lost before the first; none are between them. Their bytes are ours until the
// next call.
func (s *Subscriber) NextBatch(ctx context.Context, recs []Record) (n int, lost uint64, err error) {
	if len(recs) == 0 {
		return 0, 0, s.usable()
	}
	if recs[0], lost, err = s.Next(ctx); err != nil {
		return 0, 0, err
	}
	for n = 1; n < len(recs) && s.off < s.end; n++ {
		h := headerOf(s.buf[s.off:])
		if h.seq != s.seq {
			return n, lost, nil // the next call says what is wrong with it
		}
		s.seq++
		from := s.off + headerSize
		to := from + int(h.length)
		s.off += int(recordSize(int(h.length)))
		recs[n] = Record{Seq: h.seq, Time: h.time, Bytes: s.buf[from:to:to]}
	}
	return n, lost, nil
}

// found is what a look at the ring ended in.
type found uint8

const (
	nothing   found = iota
	some            // what was looked for
	overtaken       // the publisher has overwritten it
)

// find calls look until there is something or an error.
func (s *Subscriber) find(ctx context.Context, look func() (found, error)) error {
	if err := s.usable(); err != nil {
		return err
	}
	for tries := 0; ; {
		was, err := look()
		switch {
		case err != nil:
			return err
		case was == some:
			s.poll.reset()
			return nil
		case was == overtaken:
			tries++
			err = s.overtaken(ctx, tries)
		default:
			err = s.pause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// overtaken goes on at the newest record. Without end only if the publisher
// is faster than a copy of its one record, or lies: that costs no processor
// and ends with ctx.
func (s *Subscriber) overtaken(ctx context.Context, tries int) error {
	if err := ctx.Err(); err != nil && tries > 1 {
		return fault.Wrap("receive", "", err)
	}
	switch {
	case tries > 16:
		if err := s.poll.wait(ctx); err != nil {
			return fault.Wrap("receive", "", err)
		}
	case tries > 1:
		runtime.Gosched()
	}
	return s.jump()
}

// jump passes over what lies before the newest record. That is loaded before
// tail, so it is not past it.
func (s *Subscriber) jump() error {
	last := s.w.last.Load()
	tail := s.w.tail.Load()
	takeOver()
	over := ahead(last, s.pos)
	switch {
	case over <= 0:
		return nil
	case last&7 != 0 || ahead(tail, last) < 0 || ahead(tail, s.tail) < 0:
		return s.wrong("the newest record at %d, the end at %d after %d", last, tail, s.tail)
	}
	s.skipped += uint64(over)
	s.pos = last
	return nil
}

// available reads tail, once, and how many bytes there are from pos on.
func (s *Subscriber) available() (uint64, error) {
	if s.cfg.Policy == Latest {
		if err := s.jump(); err != nil {
			return 0, err
		}
	}
	tail := s.w.tail.Load()
	takeOver()
	if tail&7 != 0 || ahead(tail, s.tail) < 0 || ahead(tail, s.pos) < 0 {
		return 0, s.wrong("its end went from %d to %d", s.tail, tail)
	}
	s.tail = tail
	return tail - s.pos, nil
}

// fill copies whole records out of the ring, as many as fit or else one.
func (s *Subscriber) fill() (found, error) {
	have, err := s.available()
	switch {
	case err != nil || have == 0:
		return nothing, err
	case have > s.ring:
		return overtaken, nil
	}
	n := min(have, copySize, s.ring/8)
	if !s.copyOut(n) {
		return overtaken, nil
	}
	newest, end, next, err := s.scan(n, have)
	if err != nil {
		return nothing, err
	}
	if end == 0 { // the first alone is larger
		if !s.copyOut(next) {
			return overtaken, nil
		}
		if end = next; recordSize(int(headerOf(s.buf).length)) != end {
			return nothing, s.wrong("a length changed at %d", s.pos)
		}
	}
	s.off, s.end = 0, int(end)
	s.pos += end
	if s.cfg.Policy == Latest {
		s.off = int(newest)
		s.skipped += newest
	}
	s.advance()
	return some, nil
}

// copyOut copies n bytes from pos on and reports whether they are whole.
func (s *Subscriber) copyOut(n uint64) bool {
	if uint64(len(s.buf)) < n {
		s.buf = make([]byte, n)
	}
	at := s.pos & (s.ring - 1)
	copy(s.buf[:n], s.data[at:at+n])
	return s.settled(s.pos)
}

// scan finds the whole records within the n bytes of buf, of the have that
// are published: the start of the newest, the end of it, and if there is none
// the size of the first. The lengths are hostile, but our own copy.
func (s *Subscriber) scan(n, have uint64) (newest, end, size uint64, err error) {
	for n-end >= headerSize {
		length := headerOf(s.buf[end:]).length
		if int64(length) > int64(MaxRecord(int(s.ring))) || recordSize(int(length)) > have-end {
			return 0, 0, 0, s.wrong("a record of %d bytes at %d, with %d published", length, s.pos+end, have-end)
		}
		size = recordSize(int(length))
		if size > n-end {
			break
		}
		newest, end = end, end+size
	}
	if size == 0 {
		return 0, 0, 0, s.wrong("%d bytes at %d are no record", have, s.pos)
	}
	return newest, end, size, nil
}

// take returns the next record of buf.
func (s *Subscriber) take() (Record, uint64, error) {
	h := headerOf(s.buf[s.off:])
	lost, err := s.account(h.seq)
	if err != nil {
		return Record{}, 0, err
	}
	from := s.off + headerSize
	to := from + int(h.length)
	s.off += int(recordSize(int(h.length)))
	return Record{Seq: h.seq, Time: h.time, Bytes: s.buf[from:to:to]}, lost, nil
}

// account checks a sequence number and returns how many are missing before
// it: none, unless bytes were passed over, and no more than these can hold.
func (s *Subscriber) account(seq uint64) (uint64, error) {
	lost := seq - s.seq
	if (lost == 0) != (s.skipped == 0) || lost > s.skipped/headerSize {
		return 0, s.wrong("record %d follows %d, with %d bytes between", seq, s.seq-1, s.skipped)
	}
	s.seq, s.skipped = seq+1, 0
	return lost, nil
}

// sleep sleeps, unless something has moved once everybody can see that we do.
func (s *Subscriber) sleep(ctx context.Context) error {
	s.nap++
	s.c.sleep.Store(s.nap) // and a full fence: what was published before the publisher sees this, we see now
	defer func() {
		s.nap++
		s.c.sleep.Store(s.nap)
	}()
	if s.moved() {
		return nil
	}
	if err := s.cfg.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return fault.Wrap("receive", "", ctx.Err())
		}
		s.gone = err // but first what it has published
	}
	return nil
}
