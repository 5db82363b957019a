// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"encoding/binary"
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
	r, lost, err := s.NextRun(ctx)
	if err != nil {
		return Record{}, 0, err
	}
	n, time, _ := r.Head()
	rec := Record{Seq: r.seq, Time: time, Bytes: r.Body(n)}
	s.Keep(r.Skip(n))
	return rec, lost, nil
}

// NextRun is Next for many: it waits until there is a record, then returns
// those that have been copied already, and how many were lost before the
// first; none are between them. Keep says how many of them were taken: else
// they come again.
func (s *Subscriber) NextRun(ctx context.Context) (r Run, lost uint64, err error) {
	if r = s.run(); !r.Whole() || s.closed || s.borrowed.out {
		if err := s.find(ctx, s.fill); err != nil {
			return Run{}, 0, err
		}
		r = s.run()
	}
	lost, s.lost = s.lost, 0
	return r, lost, nil
}

// Keep says what is left of the newest run, which comes again.
func (s *Subscriber) Keep(r Run) { s.off, s.seq = s.end-len(r.b), r.seq }

// run is what was copied and not taken.
func (s *Subscriber) run() Run { return Run{s.buf[s.off:s.end], s.seq} }

// Run is records one behind the other, in a copy of our own that is valid
// until the next call of the Subscriber but Keep. What is behind the last whole
// one need not be a record, or not yet: the next NextRun judges it.
//
//	for n, time, whole := run.Head(); whole; n, time, whole = run.Head() {
//		use(run.Seq(), time, run.Body(n))
//		run = run.Skip(n)
//	}
//	s.Keep(run)
//
// It is small, and its methods cost no call: this is where a fast subscriber
// spends its time.
type Run struct {
	b   []byte
	seq uint64 // of the first record, if it is whole
}

// Head is the length and time of the first record, and whether there is one.
func (r Run) Head() (length int, time int64, whole bool) {
	if len(r.b) < headerSize {
		return 0, 0, false
	}
	length = int(binary.NativeEndian.Uint32(r.b))
	return length, int64(binary.NativeEndian.Uint64(r.b[16:])),
		binary.NativeEndian.Uint64(r.b[8:]) == r.seq && uint64(len(r.b)) >= recordSize(length)
}

// Whole reports whether there is another record.
func (r Run) Whole() bool {
	_, _, whole := r.Head()
	return whole
}

// Seq is the number of the first record.
func (r Run) Seq() uint64 { return r.seq }

// Body is the bytes of the first record, which has that length.
func (r Run) Body(length int) []byte {
	return r.b[headerSize : headerSize+length : headerSize+length]
}

// Skip is the run after its first record, which has that length.
func (r Run) Skip(length int) Run { return Run{r.b[recordSize(length):], r.seq + 1} }

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
	s.skipped += last - s.pos + uint64(s.end-s.off) // what there is of a record whose rest is lost
	s.pos, s.off, s.end = last, 0, 0
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
	if s.cfg.Policy == Latest && s.off == s.end {
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

// fill copies out of the ring until there is a whole record in buf: as much as
// is copied at once, so that there are mostly many, and the beginning of one
// more. What was copied is in use no longer.
func (s *Subscriber) fill() (found, error) {
	for {
		want, err := s.judge()
		if err != nil || want == 0 {
			return some, err
		}
		have, err := s.available()
		switch {
		case err != nil:
			return nothing, err
		case have < want && s.off < s.end:
			return nothing, s.wrong("it ends at %d, where a record has %d bytes more", s.tail, want)
		case have == 0:
			return nothing, nil
		case have > s.ring || !s.copyOut(want, min(have, max(copySize, min(want, pieceSize)), s.ring/8)):
			return overtaken, nil
		}
		if s.cfg.Policy == Latest {
			s.newest()
		}
		s.advance()
	}
}

// judge says how many bytes the first record of buf lacks: none if it is
// whole. Its length and number are hostile, but our own copy.
func (s *Subscriber) judge() (want uint64, err error) {
	b := s.buf[s.off:s.end]
	n := uint64(len(b))
	if n < headerSize {
		return headerSize - n, nil
	}
	h := headerOf(b)
	size := recordSize(int(h.length))
	if int64(h.length) > int64(MaxRecord(int(s.ring))) || size > n+s.tail-s.pos {
		return 0, s.wrong("a record of %d bytes at %d, with %d published", h.length, s.pos-n, n+s.tail-s.pos)
	}
	if size > n {
		return size - n, nil
	}
	lost, err := s.account(h.seq)
	if err != nil {
		return 0, err
	}
	s.lost += lost
	s.seq = h.seq
	return 0, nil
}

// copyOut appends n bytes of the ring to buf, where the first record wants
// some, and reports whether they are whole.
func (s *Subscriber) copyOut(want, n uint64) bool {
	kept := s.buf[s.off:s.end]
	if need := uint64(len(kept)) + max(want, n); need > uint64(len(s.buf)) {
		s.buf = make([]byte, need)
	}
	s.off, s.end = 0, copy(s.buf, kept)
	at := s.pos & (s.ring - 1)
	copy(s.buf[s.end:], s.data[at:at+n])
	if !s.settled(s.pos) {
		return false
	}
	s.end += int(n)
	s.pos += n
	return true
}

// newest passes over all whole records of buf but the last, and takes back the
// copy of what is behind it.
func (s *Subscriber) newest() {
	b := s.buf[s.off:s.end]
	start, end := uint64(0), uint64(0)
	for left := uint64(len(b)); left-end >= headerSize; {
		size := recordSize(int(headerOf(b[end:]).length))
		if size > left-end {
			break
		}
		start, end = end, end+size
	}
	if end > 0 {
		s.skipped += start
		s.pos -= uint64(len(b)) - end
		s.off, s.end = s.off+int(start), s.off+int(end)
	}
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
