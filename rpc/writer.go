// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"os"
	"sync"
	"time"

	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/transport"
)

// tryWriter is a transport that can write what fits at once.
type tryWriter interface{ TryWrite(p []byte) (int, error) }

// tryLender is a transport that lends what fits at once, to be written in place.
type tryLender interface {
	TryReserve(n int) []byte
	Commit(n int) error
}

// chunk is bytes to be written. Pooled ones go back to their pool then.
type chunk struct {
	b      []byte
	pooled *[]byte
	tail   bool       // b was our tail, and can be again
	leads  bool       // b is the head of what follows, or ends with it
	files  []*os.File // go with the first byte; never with pooled bytes
}

// writer gathers frames and writes them. Whoever finds nobody writing writes
// all that is there, his neighbours' frames too; nobody waits for the lock
// while the transport does.
//
// It also keeps the windows for what we send, under the same lock.
type writer struct {
	t    transport.Conn
	try  tryWriter // nil: a write may wait
	lend tryLender // nil: there is nothing to lend
	c    *conn

	mu      sync.Mutex
	q       []chunk // guarded by mu: not yet taken by the one who writes
	queued  int     // guarded by mu: bytes in q
	tail    []byte  // guarded by mu: small frames after q
	spares  [2][]byte
	busy    bool // guarded by mu: somebody writes
	waits   bool // guarded by mu: calls wait in tail until the reader has let their callers run
	quiet   *sync.Cond
	err     error
	credit  int             // guarded by mu: what the peer takes on all streams
	starved []chan struct{} // guarded by mu: who waits for it

	cheap    bool // a write is no system call
	born     time.Time
	lastSoon time.Duration // guarded by mu: when a stream's small message was sent, since born
	awake    bool          // guarded by mu: flushLater is on its way
}

const (
	small     = 8 << 10  // larger messages are queued, not copied
	keepTail  = 64 << 10 // the largest buffer that is kept
	pileLimit = 1 << 20  // of control frames that nobody reads: then the connection ends
)

// queue appends a chunk of its own. The caller holds mu.
func (w *writer) queue(c chunk) {
	if len(w.tail) > 0 {
		w.q = append(w.q, chunk{b: w.tail, tail: true, leads: true})
		w.queued += len(w.tail)
		w.tail = nil
	}
	w.q = append(w.q, c)
	w.queued += len(c.b)
}

// room returns the buffer to append small frames to. The caller holds mu.
func (w *writer) room() []byte {
	if w.tail == nil {
		for i, s := range w.spares {
			if s != nil {
				w.spares[i] = nil
				return s[:0]
			}
		}
		return make([]byte, 0, 1024)
	}
	return w.tail
}

func (w *writer) keep(b []byte) {
	if cap(b) > keepTail {
		return
	}
	for i, s := range w.spares {
		if s == nil {
			w.spares[i] = b[:0]
			return
		}
	}
}

// control queues a frame without a message and sends it.
func (w *writer) control(kind rpcwire.Kind, flags uint8, stream uint32, payload []byte) {
	w.mu.Lock()
	if len(w.tail) > pileLimit {
		w.mu.Unlock()
		w.c.fail(errFlood)
		return
	}
	w.putControl(kind, flags, stream, payload)
	w.flushUnlock(false)
}

// putControl is control without sending. The caller holds mu.
func (w *writer) putControl(kind rpcwire.Kind, flags uint8, stream uint32, payload []byte) {
	b := rpcwire.AppendHead(w.room(), rpcwire.Head{Length: uint32(len(payload)), Kind: kind, Flags: flags, Stream: stream})
	w.tail = append(b, payload...)
}

// flushUnlock writes what is queued, unless somebody does already, and unlocks
// mu. Without wait it leaves to a goroutine what the transport does not take at
// once.
func (w *writer) flushUnlock(wait bool) {
	if w.busy {
		w.mu.Unlock()
		return
	}
	w.busy = true
	w.drainUnlock(wait, chunk{})
}

// drainUnlock is for the one who writes: rest goes before the queue.
func (w *writer) drainUnlock(wait bool, rest chunk) {
	for w.err == nil {
		if rest.b == nil {
			if rest = w.next(); rest.b == nil {
				break
			}
		}
		body, room := w.lendFor(rest)
		w.uncrowd()
		w.mu.Unlock()
		if room != nil {
			err := w.writeBoth(room, rest, body)
			w.mu.Lock()
			if w.done(rest); err != nil {
				w.err = err
				break
			}
			rest = chunk{}
			w.done(body)
			continue
		}
		n, err := w.write(rest, wait)
		w.mu.Lock()
		if err != nil {
			w.err = err
			break
		}
		if n < len(rest.b) {
			w.mu.Unlock()
			rest.b = rest.b[n:]
			if w.c.crew.enlist() {
				w.drainLater(rest)
				return
			}
			w.mu.Lock()
			w.err = errGoaway
			break
		}
		w.done(rest)
		rest = chunk{}
	}
	w.busy = false
	w.quiet.Broadcast()
	err := w.err
	if err != nil {
		w.discard()
	}
	w.mu.Unlock()
	if err != nil {
		w.c.cannotWrite(err)
	}
}

// drainLater is drainUnlock in a goroutine that may wait.
func (w *writer) drainLater(rest chunk) {
	go func() {
		defer w.c.crew.discharge()
		w.mu.Lock()
		w.drainUnlock(true, rest)
	}()
}

// discard lets go of what will never be written, and of those who wait for room.
// The caller holds mu.
func (w *writer) discard() {
	w.q, w.queued, w.tail = nil, 0, nil
	w.feed()
}

// lendFor borrows room for heads and what follows them, so that the peer does
// not wake up for the heads alone, and takes what follows from the queue. The
// caller holds mu.
func (w *writer) lendFor(heads chunk) (body chunk, room []byte) {
	if w.lend == nil || !heads.leads || len(w.q) == 0 || len(w.q[0].files) > 0 {
		return chunk{}, nil
	}
	if room = w.lend.TryReserve(len(heads.b) + len(w.q[0].b)); room == nil {
		return chunk{}, nil
	}
	return w.next(), room
}

func (w *writer) writeBoth(room []byte, heads, body chunk) error {
	n := copy(room, heads.b)
	copy(room[n:], body.b)
	return w.lend.Commit(len(room))
}

// done gives back what has been written. The caller holds mu.
func (w *writer) done(c chunk) {
	if c.pooled != nil {
		pool.Put(c.pooled)
	} else if c.tail {
		w.keep(c.b)
	}
}

// next takes the first chunk. The caller holds mu.
func (w *writer) next() chunk {
	if len(w.q) > 0 {
		c := w.q[0]
		w.q[0] = chunk{}
		w.queued -= len(c.b)
		if w.q = w.q[1:]; len(w.q) == 0 {
			w.q = nil
		}
		return c
	}
	b := w.tail
	w.tail = nil
	return chunk{b: b, tail: true}
}

func (w *writer) write(c chunk, wait bool) (int, error) {
	b := c.b
	if len(c.files) > 0 {
		if !wait {
			return 0, nil
		}
		return w.t.(transport.FilePasser).WriteFiles(b, c.files)
	}

	if w.try == nil {
		if !wait {
			return 0, nil
		}
		return w.t.Write(b)
	}
	n, err := w.try.TryWrite(b)
	if err != nil || n == len(b) || !wait {
		return n, err
	}
	w.c.someoneReads()
	m, err := w.t.Write(b[n:])
	return n + m, err
}
