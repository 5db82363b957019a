// SPDX-License-Identifier: Apache-2.0

package broadcast

import "context"

// borrowed is a record that was handed out where it lies.
type borrowed struct {
	out   bool
	size  uint64 // in the ring; 0: it was a copy after all
	seq   uint64
	start uint64
}

// Borrow is Next without the copy, for large records of a publisher that is
// trusted: the bytes lie in the ring, read-only, and can change under a
// reader. Under Reliable they do not until Release, for which the publisher
// waits as for everything else. Under Lossy and Latest nobody waits: judge by
// what Release says, and until then treat what was read as possibly torn.
// Nothing else can be read before Release.
func (s *Subscriber) Borrow(ctx context.Context) (Record, uint64, error) {
	if s.off < s.end {
		return s.borrowCopy(ctx)
	}
	var rec Record
	var lost uint64
	err := s.find(ctx, func() (was found, err error) {
		rec, lost, was, err = s.view()
		return was, err
	})
	return rec, lost, err
}

// borrowCopy hands out what Next has copied already, be it in part.
func (s *Subscriber) borrowCopy(ctx context.Context) (Record, uint64, error) {
	rec, lost, err := s.Next(ctx)
	if err == nil {
		s.borrowed = borrowed{out: true}
	}
	return rec, lost, err
}

// view looks at the record at pos.
func (s *Subscriber) view() (Record, uint64, found, error) {
	have, err := s.available()
	switch {
	case err != nil || have == 0:
		return Record{}, 0, nothing, err
	case have > s.ring:
		return Record{}, 0, overtaken, nil
	case have < headerSize:
		return Record{}, 0, nothing, s.wrong("%d bytes at %d are no record", have, s.pos)
	}
	h := s.peek(s.pos)
	if !s.settled(s.pos) {
		return Record{}, 0, overtaken, nil
	}
	if int64(h.length) > int64(MaxRecord(int(s.ring))) || recordSize(int(h.length)) > have {
		return Record{}, 0, nothing, s.wrong("a record of %d bytes at %d, with %d published", h.length, s.pos, have)
	}
	lost, err := s.account(h.seq)
	if err != nil {
		return Record{}, 0, nothing, err
	}
	s.seq = h.seq + 1
	s.borrowed = borrowed{out: true, size: recordSize(int(h.length)), seq: h.seq, start: s.pos}
	s.c.cursor.Store(s.pos + s.borrowed.size)
	s.c.floor.Store(s.pos) // skipping may have moved it
	from := s.pos&(s.ring-1) + headerSize
	to := from + uint64(h.length)
	return Record{Seq: h.seq, Time: h.time, Bytes: s.data[from:to:to]}, lost, some, nil
}

// Release gives a borrowed record back and reports whether its bytes were
// whole all the time. If not, what was read of them means nothing, and the
// record is counted among the lost before the next.
func (s *Subscriber) Release() (valid bool) {
	b := s.borrowed
	if !b.out {
		return false
	}
	s.borrowed = borrowed{}
	if valid = b.size == 0 || s.settled(b.start); !valid {
		s.seq, s.skipped = b.seq, b.size
	}
	s.pos += b.size
	switch {
	case s.closed:
		s.unmap()
	case b.size > 0:
		s.advance()
	}
	return valid
}
