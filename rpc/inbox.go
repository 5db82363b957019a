// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// inbox is the receiving side of one stream: messages that have come, and the
// one that is coming.
type inbox struct {
	mu sync.Mutex
	waiting
}

// waiting is an inbox but for its lock.
type waiting struct {
	q       []message // guarded by mu; from head on
	head    int
	part    []byte  // guarded by mu: what has come of the message that is coming
	pooled  *[]byte // what part lies in
	quay    *[]byte // guarded by mu: what the first frame of a message has landed in
	need    int     // guarded by mu: how many bytes that one has; 0: none is coming
	packed  bool
	skip    bool // guarded by mu: it is too large, and thrown away
	max     int
	ended   bool  // guarded by mu: no more will come
	fail    error // guarded by mu: why no more can be had, after q
	gone    bool  // guarded by mu: nobody will receive any more
	parked  bool  // guarded by mu: somebody waits for wake
	wake    chan struct{}
	window  int // guarded by mu: what the peer may still send
	full    int // its size
	held    int // guarded by mu: what the message that is coming has cost and not given back
	unacked int // guarded by mu: given back here, and not yet told to the peer
}

func newInbox(l *Limits) *inbox {
	return &inbox{waiting: waiting{wake: make(chan struct{}, 1), window: l.StreamWindow, full: l.StreamWindow, max: l.MaxMessage}}
}

var errWindow = fmt.Errorf("%w: more than the window allows", rpcwire.ErrFrame)

func cost(n int) int { return n + rpcwire.Overhead }

// add takes in a part. The caller holds mu and wakes the receiver. Its error
// ends the connection.
func (in *inbox) add(flags uint8, b []byte) error {
	quay := in.quay
	in.quay = nil
	if in.gone {
		return nil // it crossed our Reset
	}
	in.window -= cost(len(b))
	if in.window < 0 || in.ended {
		return errWindow
	}
	if in.need == 0 && flags&rpcwire.FlagPart == 0 {
		m := message{b: b, pooled: quay, compressed: flags&rpcwire.FlagCompressed != 0}
		if quay == nil {
			m = copyMessage(b, m.compressed)
		}
		m.owed = cost(len(b))
		in.put(m)
		return nil
	}
	spent := cost(len(b))
	if in.need == 0 {
		if len(b) < 4 {
			return rpcwire.ErrFrame
		}
		in.begin(int(min(binary.LittleEndian.Uint32(b), math.MaxInt32)), 16*len(b), flags&rpcwire.FlagCompressed != 0, quay)
		b = b[4:]
	}
	if len(in.part)+len(b) > in.need || len(b) == 0 {
		return rpcwire.ErrFrame
	}
	switch {
	case in.skip:
		in.need -= len(b)
	case lies(b, in.part): // it has landed
		in.part = in.part[:len(in.part)+len(b)]
	default:
		copy(in.extend(len(b)), b)
		in.part = in.part[:len(in.part)+len(b)]
	}
	in.held += spent
	if in.pending() == 0 || in.skip {
		in.release()
	}
	done := in.need == len(in.part)
	if done == (flags&rpcwire.FlagPart != 0) {
		return rpcwire.ErrFrame
	}
	if done {
		in.finish()
	}
	return nil
}

// lend is add for the receiver itself, who reads: it will have parsed b before
// the reader's buffer is used again. It declines what add must judge.
func (in *inbox) lend(flags uint8, b []byte) bool {
	if flags&(rpcwire.FlagPart|rpcwire.FlagEnd) != 0 || in.need > 0 || in.ended || in.gone || in.fail != nil ||
		in.pending() > 0 || len(b) > in.max || in.window < cost(len(b)) {
		return false
	}
	in.window -= cost(len(b))
	in.q = append(in.q, message{b: b, pooled: in.quay, owed: cost(len(b)), compressed: flags&rpcwire.FlagCompressed != 0})
	in.quay = nil
	return true
}

// begin prepares for a message of size bytes, but for no more than most: what
// has come must justify what we reserve. Its first frame may lie in quay.
func (in *inbox) begin(size, most int, compressed bool, quay *[]byte) {
	in.need, in.packed = size, compressed
	if in.skip = size > in.max; in.skip {
		if in.fail == nil {
			in.fail = tooLarge(size, in.max)
		}
		return
	}
	if in.pooled = quay; quay != nil {
		in.part = (*quay)[4:4]
		return
	}
	in.pooled = pool.Get(min(size, most))
	in.part = (*in.pooled)[:0]
}

// finish moves the message that has come into the queue.
func (in *inbox) finish() {
	if !in.skip {
		in.put(message{b: in.part, pooled: in.pooled, compressed: in.packed, owed: in.held})
		in.held = 0
	}
	in.need, in.part, in.pooled, in.skip = 0, nil, nil, false
}

// put queues a whole message.
func (in *inbox) put(m message) {
	if len(m.b) > in.max && in.fail == nil {
		in.fail = tooLarge(len(m.b), in.max)
	}
	if in.gone || in.fail != nil {
		in.unacked += m.owed
		m.free()
		return
	}
	in.q = append(in.q, m)
}

func tooLarge(n, most int) error {
	return status.Errorf(codes.ResourceExhausted, "grpc: received message larger than max (%d vs. %d)", n, most)
}

func (in *inbox) pending() int { return len(in.q) - in.head }

// release gives back what the message that is coming has cost: its receiver
// waits for it.
func (in *inbox) release() {
	in.unacked += in.held
	in.held = 0
}

// take returns the first message. The caller holds mu.
func (in *inbox) take() (message, bool) {
	if in.pending() == 0 {
		return message{}, false
	}
	m := in.q[in.head]
	in.q[in.head] = message{}
	in.unacked += m.owed
	if in.head++; in.head == len(in.q) {
		in.q, in.head = in.q[:0], 0
		in.release()
	}
	return m, true
}

// credit is what to tell the peer that it may send more; 0: nothing yet. The
// caller holds mu.
func (in *inbox) credit() int {
	if in.ended || in.unacked < in.full/2 {
		return 0
	}
	n := in.unacked
	in.window += n
	in.unacked = 0
	return n
}

// drop throws away what is there, because nobody will receive it.
func (in *inbox) drop() {
	in.gone = true
	for {
		m, ok := in.take()
		if !ok {
			return
		}
		m.free()
	}
}
