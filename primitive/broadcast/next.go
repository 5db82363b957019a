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
	if s.off >= s.end || s.usable() != nil {
		if err := s.find(ctx, s.fill); err != nil {
			return Record{}, 0, err
		}
	}
	rec, lost := s.take()
	return rec, lost, nil
}

// NextRun is Next for many: it waits until there is a record, then returns
// those that have been copied already, and how many were lost before the
// first; none are between them. What is not cut off the run before the next
// call must be given back by Unread, or is passed over.
func (s *Subscriber) NextRun(ctx context.Context) (r Run, lost uint64, err error) {
	if s.off >= s.end || s.usable() != nil {
		if err := s.find(ctx, s.fill); err != nil {
			return Run{}, 0, err
		}
	}
	r = Run{s.buf[s.off:s.end]}
	lost, s.lost, s.off = s.lost, 0, s.end
	return r, lost, nil
}

// Unread gives back the rest of the newest run: it comes again.
func (s *Subscriber) Unread(r Run) { s.off = s.end - len(r.b) }

// Run is whole records one behind the other, in a copy of our own that is
// valid until the next call of the Subscriber.
type Run struct{ b []byte }

// Empty reports whether no record is left.
func (r Run) Empty() bool { return len(r.b) == 0 }

// Cut takes the first record off a run that is not empty.
func (r *Run) Cut() Record {
	n, seq, time := r.Head()
	rec := Record{Seq: seq, Time: time, Bytes: r.Body(n)}
	r.Skip(n)
	return rec
}

// Head is the length, number and time of the first record of a run that is
// not empty. With Body and Skip it is Cut in pieces, which cost no call.
func (r *Run) Head() (length int, seq uint64, time int64) {
	h := headerOf(r.b)
	return int(h.length), h.seq, h.time
}

// Body is the bytes of the first record, of that length.
func (r *Run) Body(length int) []byte {
	return r.b[headerSize : headerSize+length : headerSize+length]
}

// Skip passes over the first record, of that length.
func (r *Run) Skip(length int) { r.b = r.b[recordSize(length):] }

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

// overtaken goes on about half a ring back, so that less is lost than what
// was overtaken, and the publisher is not at our heels; but at the newest
// record if that was not enough. Without end only if the publisher is faster
// than a copy of its one record, or lies: that costs no processor and ends
// with ctx.
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
	return s.jump(tries == 1 && s.cfg.Policy != Latest)
}

// jump passes over what lies before the newest record, or before a record
// about half a ring back. What is newest is loaded before tail, so it is not
// past it.
func (s *Subscriber) jump(half bool) error {
	last := s.w.last.Load()
	tail := s.w.tail.Load()
	takeOver()
	if ahead(last, s.pos) <= 0 {
		return nil
	}
	if last&7 != 0 || ahead(tail, last) < 0 || ahead(tail, s.tail) < 0 {
		return s.wrong("the newest record at %d, the end at %d after %d", last, tail, s.tail)
	}
	if half {
		last = s.halfway(last, tail)
	}
	s.skipped += last - s.pos
	s.pos = last
	return nil
}

// halfway is where a record starts about half a ring before tail, or else
// last.
func (s *Subscriber) halfway(last, tail uint64) uint64 {
	for back := uint64(numMarks / 2); back > 0; back-- {
		at := eighth(tail-back*(s.ring/numMarks), s.ring)
		mark := s.w.marks[at%numMarks].Load()
		if mark&7 == 0 && eighth(mark, s.ring) == at && ahead(last, mark) > 0 && ahead(mark, s.pos) > 0 {
			return mark
		}
	}
	return last
}

// available reads tail, once, and how many bytes there are from pos on.
func (s *Subscriber) available() (uint64, error) {
	if s.cfg.Policy == Latest {
		if err := s.jump(false); err != nil {
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
	c, err := s.scan(n, have)
	if err != nil {
		return nothing, err
	}
	if c.end == 0 { // the first alone is larger
		if !s.copyOut(c.size) {
			return overtaken, nil
		}
		if c, err = s.scan(c.size, have); err != nil || c.end != c.size {
			return nothing, s.wrong("a length changed at %d", s.pos)
		}
	}
	return s.give(c)
}

// give hands out what scan found.
func (s *Subscriber) give(c scanned) (found, error) {
	first, off := headerOf(s.buf).seq, uint64(0)
	if s.cfg.Policy == Latest {
		first, off = c.last, c.newest
		s.skipped += off
	}
	lost, err := s.account(first)
	if err != nil {
		return nothing, err
	}
	s.lost, s.seq = lost, c.last+1
	s.off, s.end = int(off), int(c.end)
	s.pos += c.end
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

// scanned is what scan found in buf.
type scanned struct {
	newest, end uint64 // where the newest whole record starts and ends
	last        uint64 // its sequence number
	size        uint64 // of the record after end, or of the newest
}

// scan finds the whole records within the n bytes of buf, of the have that
// are published. If the first is larger there is none, but its size. Lengths
// and numbers are hostile, but our own copy.
func (s *Subscriber) scan(n, have uint64) (c scanned, err error) {
	most := uint64(MaxRecord(int(s.ring)))
	for first := true; n-c.end >= headerSize; first = false {
		h := headerOf(s.buf[c.end:])
		size := recordSize(int(h.length))
		if uint64(h.length) > most || size > have-c.end {
			return c, s.wrong("a record of %d bytes at %d, with %d published", h.length, s.pos+c.end, have-c.end)
		}
		if c.size = size; size > n-c.end {
			break
		}
		if !first && h.seq != c.last+1 {
			return c, s.wrong("record %d follows %d, with %d bytes between", h.seq, c.last, 0)
		}
		c.newest, c.last = c.end, h.seq
		c.end += size
	}
	if c.size == 0 {
		return c, s.wrong("%d bytes at %d are no record", have, s.pos)
	}
	return c, nil
}

// take returns the next record of buf.
func (s *Subscriber) take() (rec Record, lost uint64) {
	r := Run{s.buf[s.off:s.end]}
	rec = r.Cut()
	lost, s.lost, s.off = s.lost, 0, s.end-len(r.b)
	return rec, lost
}

// account checks a sequence number and returns how many are missing before
// it: none, unless bytes were passed over, and no more than these can hold.
func (s *Subscriber) account(seq uint64) (uint64, error) {
	lost := seq - s.seq
	if (lost == 0) != (s.skipped == 0) || lost > s.skipped/headerSize {
		return 0, s.wrong("record %d follows %d, with %d bytes between", seq, s.seq-1, s.skipped)
	}
	s.skipped = 0
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
