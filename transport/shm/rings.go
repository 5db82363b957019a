// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/ring"
	kernel "github.com/parley-ipc/parley/primitive/shm"
)

// rings are the two segments of a connection while it is being made. Nothing
// of them is ever used for another: once a peer has seen a segment it keeps it.
type rings struct {
	id     auth.Identity
	budget *Budget
	taken  int64 // of budget

	own      *kernel.Segment
	ownMap   *kernel.Mapping
	ownSize  int
	ownStart uint64

	theirMap *kernel.Mapping
	writer   *ring.Producer
	reader   *ring.Consumer
}

// create makes, maps and seals our segment, in this order: the seal forbids
// every later writable mapping, ours too.
func (r *rings) create(size int, start uint64) error {
	if err := r.take(segmentSize(size)); err != nil {
		return err
	}
	seg, err := kernel.Create("parley-ring", segmentSize(size))
	if err != nil {
		r.abandon()
		return err
	}
	r.own, r.ownSize, r.ownStart = seg, size, start
	if r.ownMap, err = seg.MapTwice(headSize(), true); err == nil {
		err = seg.Seal()
	}
	if err != nil {
		r.abandon()
		return err
	}
	return nil
}

// attach checks and maps the peer's segment and joins the two. It reports
// false if either side has no memory for rings; a segment that is not as it
// must be is an error.
func (r *rings) attach(peer *heard) (bool, error) {
	if peer.ring == 0 || r.own == nil {
		return false, nil
	}
	err := r.receive(peer)
	if err != nil && fault.KindOf(err) == fault.Exhausted {
		return false, nil
	}
	return err == nil, err
}

func (r *rings) receive(peer *heard) error {
	size := segmentSize(int(peer.ring))
	if err := r.take(size); err != nil {
		return err
	}
	fd := peer.fd
	peer.fd = -1
	seg, err := kernel.Receive(fd, size)
	if err != nil {
		return err
	}
	defer func() { _ = seg.Close() }()
	if r.theirMap, err = seg.MapTwice(headSize(), false); err != nil {
		return err
	}
	ours, theirs := pageOf(r.ownMap.Head), pageOf(r.theirMap.Head)
	var err1, err2 error
	r.writer, err1 = ring.NewProducer(r.ownMap.Tail, ours.tail, theirs.head, r.ownStart)
	r.reader, err2 = ring.NewConsumer(r.theirMap.Tail, ours.head, theirs.tail, peer.start)
	return errors.Join(err1, err2)
}

func (r *rings) take(n int) error {
	if err := r.budget.take(r.id, int64(n)); err != nil {
		return err
	}
	r.taken += int64(n)
	return nil
}

func (r *rings) hello(st status) hello {
	m := hello{version: Version, status: st}
	if r.own != nil {
		m.ring, m.start = uint32(r.ownSize), r.ownStart
	}
	return m
}

func (r *rings) offer() []int {
	if r.own == nil {
		return nil
	}
	return []int{r.own.FD()}
}

// keep hands the mappings over to a stream: abandon no longer undoes them.
func (r *rings) keep() *rings {
	k := *r
	_ = r.own.Close()
	k.own = nil
	*r = rings{budget: r.budget, id: r.id}
	return &k
}

// abandon undoes everything that has not been kept. It is idempotent.
func (r *rings) abandon() {
	if r.own != nil {
		_ = r.own.Close()
	}
	for _, m := range []*kernel.Mapping{r.ownMap, r.theirMap} {
		if m != nil {
			_ = m.Unmap()
		}
	}
	r.own, r.ownMap, r.theirMap, r.writer, r.reader = nil, nil, nil, nil, nil
	r.giveBack()
}

func (r *rings) giveBack() {
	if r.taken > 0 {
		r.budget.give(r.id, r.taken)
		r.taken = 0
	}
}
