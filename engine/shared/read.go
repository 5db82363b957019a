// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"encoding/binary"

	"github.com/parley-ipc/parley/primitive/broadcast"
	"github.com/parley-ipc/parley/topic"
)

// Next implements topic.Subscription.
func (s *subscription) Next(ctx context.Context) (topic.Item, error) {
	var one [1]topic.Item
	_, err := s.NextBatch(ctx, one[:])
	return one[0], err
}

// NextBatch implements topic.Subscription.
func (s *subscription) NextBatch(ctx context.Context, items []topic.Item) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(items) == 0 {
		return 0, nil
	}
	return s.fill(ctx, items)
}

// fill reads until there is an item, through the ends of publishers.
func (s *subscription) fill(ctx context.Context, items []topic.Item) (int, error) {
	for {
		if err := s.ready(ctx); err != nil {
			return 0, err
		}
		n, err := s.take(ctx, items)
		if n > 0 {
			s.received.Add(uint64(n))
			return n, nil
		}
		if err != nil {
			if err := s.ended(ctx, err); err != nil {
				return 0, err
			}
		}
	}
}

// take reads what the ring has, once.
func (s *subscription) take(ctx context.Context, items []topic.Item) (int, error) {
	s.merged.Context = ctx
	if s.picks() {
		return s.newest(&s.merged, &items[0])
	}
	run, lost, err := s.at.NextRun(&s.merged)
	if err != nil {
		return 0, err
	}
	s.lose(lost)
	n, err := s.open(&run, items)
	s.at.Keep(run)
	return n, err
}

// picks says whether the newest item is picked out here: where a subject is
// asked for, the ring's own newest may be of another.
func (s *subscription) picks() bool { return s.cfg.Policy == topic.Latest && !s.filter.All() }

// open makes items of the records that match, as many as there is room for.
func (s *subscription) open(run *broadcast.Run, items []topic.Item) (n int, err error) {
	for err == nil {
		if s.seen.known && !s.stale(run.Seq()) {
			n += s.alike(run, items[n:])
		}
		if n == len(items) || !run.Whole() {
			break
		}
		length, time, _ := run.Head()
		seq, b := run.Seq(), run.Body(length)
		*run = run.Skip(length)
		it := &items[n]
		if err = s.split(b, it); err == nil && s.fresh(seq) && s.wanted() {
			it.Seq, it.Epoch, it.Time, it.Lost = seq, s.epoch, time, 0
			n++
		}
	}
	if n > 0 {
		items[0].Lost, s.pending = s.pending, 0
	}
	return n, err
}

// seen is the subject of the newest item, so that a run of the same costs
// nothing to recognize.
type seen struct {
	known   bool   // there was one without headers, and it began with
	prefix  uint64 // its first bytes, and
	rest    string // what follows up to the data
	subject string
	match   bool // the filter has it
}

// alike makes items of the first records as long as they have the subject
// seen last and no headers, or passes over them if the filter has not. It is
// where a fast subscriber spends its time.
func (s *subscription) alike(run *broadcast.Run, items []topic.Item) (n int) {
	left, known, epoch := *run, s.seen, s.epoch
	skip := prefixSize + len(known.rest)
	for n < len(items) {
		length, time, whole := left.Head()
		if !whole {
			break
		}
		b := left.Body(length)
		if len(b) < skip || binary.NativeEndian.Uint64(b) != known.prefix || len(known.rest) > 0 && string(b[prefixSize:skip]) != known.rest {
			break
		}
		if known.match {
			it := &items[n]
			it.Subject, it.Headers, it.Data = known.subject, topic.Headers{}, b[skip:]
			it.Seq, it.Epoch, it.Time, it.Lost = left.Seq(), epoch, time, 0
			n++
		}
		left = left.Skip(length)
	}
	if passed := left.Seq() - run.Seq(); passed > 0 {
		s.next = left.Seq()
		if !known.match {
			s.filtered.Add(passed)
		}
	}
	*run = left
	return n
}

// split takes a record apart whose subject is another than that of the one
// before.
func (s *subscription) split(b []byte, it *topic.Item) error {
	rec, err := cutRecord(b)
	if err != nil {
		return err
	}
	subject := s.names.get(rec.subject)
	s.seen = seen{subject: subject, match: s.filter.Match(subject)}
	if len(rec.headers) == 0 {
		s.seen.known = true
		s.seen.prefix = binary.NativeEndian.Uint64(b)
		s.seen.rest = s.rests.get(b[prefixSize : len(b)-len(rec.data)])
	}
	it.Subject, it.Headers, it.Data = subject, topic.ReadHeaders(rec.headers), rec.data
	return nil
}

// wanted says whether the filter has the subject seen last, and counts what
// it has not.
func (s *subscription) wanted() bool {
	if !s.seen.match {
		s.filtered.Add(1)
	}
	return s.seen.match
}

// stale says whether an item was read before from the same publisher, whose
// socket broke meanwhile.
func (s *subscription) stale(seq uint64) bool { return s.next != 0 && int64(seq-s.next) < 0 }

// fresh is the contrary, and notes that it has been read now.
func (s *subscription) fresh(seq uint64) bool {
	if s.stale(seq) {
		return false
	}
	s.next = seq + 1
	return true
}

// newest reads to the end of what there is and keeps the last item that
// matches. A publisher that never rests cannot keep us at it: after about as
// much as the ring holds, that is it.
func (s *subscription) newest(ctx context.Context, item *topic.Item) (int, error) {
	var one [1]topic.Item
	found := 0
	for rounds := 0; ; rounds++ {
		run, lost, err := s.at.NextRun(ctx)
		if err != nil {
			if found > 0 { // it will say so again
				break
			}
			return 0, err
		}
		s.lose(lost)
		for run.Whole() {
			got, err := s.open(&run, one[:])
			s.at.Keep(run)
			if err != nil {
				return 0, err
			}
			if got == 0 {
				continue
			}
			if found > 0 { // superseded
				s.lost.Add(1)
				one[0].Lost += item.Lost + 1
			}
			*item, found = one[0], 1
		}
		if !s.at.Ready() || rounds > maxRounds {
			break
		}
		if found > 0 {
			s.own(item)
		}
	}
	return found, nil
}

// maxRounds of what a ring gives at once, at most 32 KiB.
const maxRounds = 1000

// own copies what of the item would be overwritten by the next read.
func (s *subscription) own(item *topic.Item) {
	h := item.Headers.Bytes()
	if len(item.Data) > 0 && len(s.keep) > 0 && &item.Data[0] == &s.keep[0] {
		return // it is already
	}
	s.keep = append(append(s.keep[:0], item.Data...), h...)
	n := len(item.Data)
	item.Data, item.Headers = s.keep[:n:n], topic.ReadHeaders(s.keep[n:])
}

// Borrow implements topic.Subscription.
func (s *subscription) Borrow(ctx context.Context) (topic.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var one [1]topic.Item
	if s.picks() {
		_, err := s.fill(ctx, one[:])
		if err == nil {
			s.borrowed, s.lender = true, nil
		}
		return one[0], err
	}
	for {
		if err := s.ready(ctx); err != nil {
			return topic.Item{}, err
		}
		n, err := s.view(ctx, one[:])
		if n > 0 {
			s.borrowed, s.lender = true, s.at
			s.received.Add(1)
			return one[0], nil
		}
		if err != nil {
			if err := s.ended(ctx, err); err != nil {
				return topic.Item{}, err
			}
		}
	}
}

// view borrows the next record, and gives it back at once if it is not ours.
func (s *subscription) view(ctx context.Context, one []topic.Item) (int, error) {
	s.merged.Context = ctx
	rec, lost, err := s.at.Borrow(&s.merged)
	if err != nil {
		return 0, err
	}
	s.lose(lost)
	n, it := 0, &one[0]
	err = s.split(rec.Bytes, it)
	if err == nil && s.fresh(rec.Seq) && s.wanted() {
		it.Seq, it.Epoch, it.Time, it.Lost = rec.Seq, s.epoch, rec.Time, s.pending
		s.pending, n = 0, 1
	}
	if n == 0 && !s.at.Release() {
		return 0, nil // torn: the ring counts it as lost before the next, whatever it seemed to be
	}
	return n, err
}

// Release implements topic.Subscription.
func (s *subscription) Release() (whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.borrowed {
		return false
	}
	s.borrowed = false
	if s.lender == nil {
		return true
	}
	if whole = s.lender.Release(); !whole { // the ring counts it as lost before the next
		s.received.Add(^uint64(0))
	}
	s.lender = nil
	return whole
}
