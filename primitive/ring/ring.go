// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/parley-ipc/parley/fault"
)

// errCounter is what an end answers, for ever, once its peer has published a
// counter that moved back or past what the ring can hold.
func errCounter(name string, was, is uint64) error {
	return fault.New(fault.Protocol, "ring", "", fmt.Errorf("the peer's %s counter went from %d to %d, which cannot be", name, was, is))
}

var errShape = fault.New(fault.Invalid, "ring", "", errors.New("the memory must be twice a power of two"))

// Producer is the writing end. It is not safe for concurrent use.
type Producer struct {
	buf  []byte // the data, mapped twice
	mask uint64

	own  *atomic.Uint64 // our tail, as the peer sees it; we alone write it
	peer *atomic.Uint64 // the peer's head, hostile

	tail uint64 // authoritative
	head uint64 // the peer's head when last read and found good
}

// NewProducer makes the writing end over buf, which shows the data twice. own
// is where our counter is published, peer where the consumer's is; both start
// at start. own is set here, before the consumer may look at it.
func NewProducer(buf []byte, own, peer *atomic.Uint64, start uint64) (*Producer, error) {
	size := uint64(len(buf) / 2)
	if size == 0 || size&(size-1) != 0 || len(buf)%2 != 0 {
		return nil, errShape
	}
	own.Store(start)
	return &Producer{buf: buf, mask: size - 1, own: own, peer: peer, tail: start, head: start}, nil
}

// Cap is the number of bytes that the ring holds.
func (p *Producer) Cap() int { return int(p.mask + 1) }

// Tail is the position of the next byte that will be written.
func (p *Producer) Tail() uint64 { return p.tail }

// Free is how many bytes can be written, as of the last look at the peer.
func (p *Producer) Free() int { return int(p.mask + 1 - (p.tail - p.head)) }

// Moved reports whether the peer's counter is no longer what Look saw.
func (p *Producer) Moved() bool { return p.peer.Load() != p.head }

// Look reads the peer's counter, once, and returns how many bytes can be
// written now. A counter that cannot be is fault.Protocol.
func (p *Producer) Look() (int, error) {
	head := p.peer.Load()
	if p.tail-head > p.tail-p.head { // back, or past what we wrote
		return 0, errCounter("read", p.head, head)
	}
	p.head = head
	return p.Free(), nil
}

// Next is the memory of the next Free bytes. What is in it is not the peer's
// until Publish.
func (p *Producer) Next() []byte {
	at := p.tail & p.mask
	return p.buf[at : at+uint64(p.Free())]
}

// Publish gives the first n bytes of Next to the consumer. It is also a full
// fence: what is loaded after it was not known before it.
func (p *Producer) Publish(n int) {
	p.tail += uint64(n)
	p.own.Store(p.tail)
}

// Consumer is the reading end. It is not safe for concurrent use.
type Consumer struct {
	buf  []byte
	mask uint64

	own  *atomic.Uint64 // our head, as the peer sees it; we alone write it
	peer *atomic.Uint64 // the peer's tail, hostile

	head uint64 // authoritative
	told uint64 // head as it has been published
	tail uint64 // the peer's tail when last read and found good
}

// NewConsumer makes the reading end, like NewProducer.
func NewConsumer(buf []byte, own, peer *atomic.Uint64, start uint64) (*Consumer, error) {
	size := uint64(len(buf) / 2)
	if size == 0 || size&(size-1) != 0 || len(buf)%2 != 0 {
		return nil, errShape
	}
	own.Store(start)
	return &Consumer{buf: buf, mask: size - 1, own: own, peer: peer, head: start, told: start, tail: start}, nil
}

// Cap is the number of bytes that the ring holds.
func (c *Consumer) Cap() int { return int(c.mask + 1) }

// Head is the position of the next byte that will be read.
func (c *Consumer) Head() uint64 { return c.head }

// Len is how many bytes can be read, as of the last look at the peer.
func (c *Consumer) Len() int { return int(c.tail - c.head) }

// Moved reports whether the peer's counter is no longer what Look saw.
func (c *Consumer) Moved() bool { return c.peer.Load() != c.tail }

// Look reads the peer's counter, once, and returns how many bytes can be read
// now. A counter that cannot be is fault.Protocol.
func (c *Consumer) Look() (int, error) {
	tail := c.peer.Load()
	if held := tail - c.head; held > c.mask+1 || held < c.tail-c.head {
		return 0, errCounter("write", c.tail, tail)
	}
	c.tail = tail
	return c.Len(), nil
}

// Next is the memory of the Len bytes that can be read. The peer may change
// it at any time: copy before you judge.
func (c *Consumer) Next() []byte {
	at := c.head & c.mask
	return c.buf[at : at+c.tail-c.head]
}

// Release gives the first n bytes of Next back to the producer, with all that
// were taken before. It is also a full fence.
func (c *Consumer) Release(n int) {
	c.head += uint64(n)
	c.told = c.head
	c.own.Store(c.head)
}

// Take is Release without a word to the producer, whose room they are not
// until the next Release.
func (c *Consumer) Take(n int) { c.head += uint64(n) }

// Owed is how many bytes were taken and not released.
func (c *Consumer) Owed() int { return int(c.head - c.told) }
