// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/fault"
)

// MaxBatch is how many bytes of a ring the records of one Batch may take,
// unless it is for one alone: subscribers need not wait for the end of a long
// one, and much of the ring is left to those who are behind.
func MaxBatch(ring int) int { return min(64<<10, ring/8) }

// RecordSize is what a record of n bytes takes in the ring.
func RecordSize(n int) int { return int(recordSize(n)) }

// Batch is a loan for several records, which are given out together: what is
// dear about a publication is done once. It ends with Commit or Abort.
type Batch struct {
	p      *Publisher
	room   []byte // that is left
	size   int    // of all of it
	newest int    // where the newest record starts
	now    int64
	seq    uint64
	back   uint32
}

// Batch lends room for records that take size bytes of the ring in all, each
// RecordSize of its length: no more than MaxBatch, or one record. Until Commit
// or Abort nothing else can be published. It waits as Publish does.
func (p *Publisher) Batch(ctx context.Context, size int) (Batch, error) {
	if size < headerSize || size&7 != 0 || size > RecordSize(MaxRecord(int(p.ring))) {
		return Batch{}, fault.New(fault.Invalid, "publish", "", fmt.Errorf("a batch of %d bytes", size))
	}
	if err := p.begin(ctx, uint64(size)); err != nil {
		return Batch{}, err
	}
	defer p.finish()
	p.claim(uint64(size))
	p.lent = uint64(size)
	i := p.tail & (p.ring - 1)
	return Batch{p: p, room: p.data[i : i+uint64(size)], size: size, now: p.now(), seq: p.seq, back: p.back}, nil
}

// Add appends a record of n bytes and returns where they go; nil if there is
// no room for it.
func (b *Batch) Add(n int) []byte {
	size := RecordSize(n)
	if n < 0 || size > len(b.room) {
		return nil
	}
	rec := b.room
	header{length: uint32(n), back: b.back, seq: b.seq, time: b.now}.put(rec)
	b.newest, b.room, b.seq, b.back = b.size-len(rec), rec[size:], b.seq+1, uint32(size)
	return rec[headerSize : headerSize+n : headerSize+n]
}

// Commit publishes what was added.
func (b *Batch) Commit() error {
	p := b.p
	if p == nil {
		return errNoLoan
	}
	b.p = nil
	p.mu.Lock()
	defer p.finish()
	p.lent = 0
	switch used := uint64(b.size - len(b.room)); {
	case p.closed:
		return errClosed
	case used > 0:
		p.seq, p.back = b.seq, b.back
		p.publish(p.tail+uint64(b.newest), used)
	}
	return nil
}

// Abort gives it back unpublished; after Commit it does nothing.
func (b *Batch) Abort() {
	if b.p != nil {
		b.p.Abort()
		b.p = nil
	}
}

// PublishBatch is Publish for many, which are given out together as far as
// MaxBatch allows. It returns how many were published, which is less than all
// only with an error.
func (p *Publisher) PublishBatch(ctx context.Context, records [][]byte) (int, error) {
	for done := 0; done < len(records); {
		n, err := p.publishSome(ctx, records[done:])
		if err != nil {
			return done, err
		}
		done += n
	}
	return len(records), nil
}

func (p *Publisher) publishSome(ctx context.Context, records [][]byte) (int, error) {
	if err := p.fits(len(records[0])); err != nil {
		return 0, err
	}
	n, size, limit := 1, RecordSize(len(records[0])), MaxBatch(int(p.ring))
	for n < len(records) && size+RecordSize(len(records[n])) <= limit {
		size += RecordSize(len(records[n]))
		n++
	}
	b, err := p.Batch(ctx, size)
	if err != nil {
		return 0, err
	}
	for _, rec := range records[:n] {
		copy(b.Add(len(rec)), rec)
	}
	return n, b.Commit()
}

var errNoLoan = fault.New(fault.Invalid, "commit", "", errors.New("nothing is on loan"))
