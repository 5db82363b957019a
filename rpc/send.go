// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"encoding/binary"
	"io"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// outflow is the sending side of one stream. Its fields are guarded by the
// writer's mu.
type outflow struct {
	id     uint32
	credit int
	wake   chan struct{} // at most one token: look again
	stop   error         // no more messages can be sent
	gone   bool          // the call is over: its number may be another's
}

func (o *outflow) ring() {
	if o.wake == nil {
		return
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

const maxCredit = 1<<31 - 1

// grant is the peer's word that the streams together may send n bytes more.
func (w *writer) grant(n int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n <= 0 || n > maxCredit-w.credit {
		return errWindow
	}
	w.credit += n
	w.feed()
	return nil
}

// feed makes those look again who wait for what the streams share: the window,
// or room in the queue. The caller holds mu.
func (w *writer) feed() {
	for _, ch := range w.starved {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
	w.starved = w.starved[:0]
}

// starve notes that o waits for feed. The caller holds mu.
func (w *writer) starve(o *outflow) {
	if o.wake != nil && !slices.Contains(w.starved, o.wake) {
		w.starved = append(w.starved, o.wake)
	}
}

// crowdAt is how much may wait for the one who writes before streams hold back
// what they have: more would only lie in memory. With one more small message it
// fits a buffer that is kept.
const crowdAt = keepTail - small - rpcwire.HeadSize

// crowded says that streams hold back. The caller holds mu.
func (w *writer) crowded() bool { return w.busy && w.queued+len(w.tail) > crowdAt }

// uncrowd lets streams go on when there is room. The caller holds mu.
func (w *writer) uncrowd() {
	if len(w.starved) > 0 && !w.crowded() {
		w.feed()
	}
}

// grantStream is the same for one stream.
func (w *writer) grantStream(o *outflow, n int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n <= 0 || n > maxCredit-o.credit {
		return errWindow
	}
	o.credit += n
	o.ring()
	return nil
}

var errWriteEnded = status.Error(codes.Unavailable, "transport is closing")

// stopped is why nothing can be sent on a stream any more. The caller holds mu.
func (w *writer) stopped(o *outflow) error {
	if o.stop == nil && w.err != nil {
		return errWriteEnded
	}
	return o.stop
}

// halt ends sending on a stream.
func (w *writer) halt(o *outflow, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o.stop == nil {
		o.stop = why
	}
	o.ring()
}

// retire is called when the stream's Close is queued or has been read, before
// its number can be used again. The caller holds mu.
func (o *outflow) retire() {
	o.gone = true
	if o.stop == nil {
		o.stop = io.EOF
	}
	o.ring()
}

// controlFor is control for a stream, unless it is over.
func (w *writer) controlFor(o *outflow, kind rpcwire.Kind, payload []byte) {
	w.mu.Lock()
	if o.gone {
		w.mu.Unlock()
		return
	}
	w.putControl(kind, 0, o.id, payload)
	w.flushUnlock(false)
}

// reset cancels a call of ours.
func (w *writer) reset(o *outflow) {
	w.halt(o, io.EOF)
	w.controlFor(o, rpcwire.Reset, nil)
}

// take takes the cost of up to n bytes from both windows and returns how many
// may be sent, -1 for not even a worthwhile part. The caller holds mu.
func (w *writer) take(o *outflow, n int) int {
	if w.crowded() {
		w.starve(o)
		return -1
	}
	most := min(w.credit, o.credit) - rpcwire.Overhead
	part := min(n, rpcwire.MaxPart)
	if most < part && most < 16<<10 {
		if w.credit <= o.credit {
			w.starve(o)
		}
		return -1
	}
	part = min(part, most)
	w.credit -= cost(part)
	o.credit -= cost(part)
	return part
}

// putMessage queues a Message frame with all of m, if the windows allow it and
// there is room. The caller holds mu. It takes m over on success.
func (w *writer) putMessage(o *outflow, m *message, flags uint8) bool {
	if len(m.b) > rpcwire.MaxPart || w.crowded() || min(w.credit, o.credit) < cost(len(m.b)) {
		return false
	}
	w.credit -= cost(len(m.b))
	o.credit -= cost(len(m.b))
	w.put(rpcwire.Message, flags|rpcwire.FlagMessage|packed(m), o.id, nil, m.b, m.pooled)
	return true
}

// mostAtOnce is the longest message whose parts are queued together: they take
// as long as others may be kept waiting.
const mostAtOnce = 9 * rpcwire.MaxPart

// putParts is putMessage for a long message over a transport that takes all of
// it in no time.
func (w *writer) putParts(o *outflow, m *message, flags uint8) bool {
	parts := (4+len(m.b)-1)/rpcwire.MaxPart + 1
	price := 4 + len(m.b) + parts*rpcwire.Overhead
	if w.lend == nil || len(m.b) > mostAtOnce || w.crowded() || min(w.credit, o.credit) < price {
		return false
	}
	w.credit -= price
	o.credit -= price
	heads := make([]byte, 0, 4+parts*rpcwire.HeadSize)
	for rest, n := m.b, rpcwire.MaxPart-4; len(rest) > 0; n = rpcwire.MaxPart {
		h := rpcwire.Head{Kind: rpcwire.Message, Flags: rpcwire.FlagMessage | rpcwire.FlagPart | packed(m), Stream: o.id}
		c := chunk{b: rest[:min(n, len(rest))]}
		rest = rest[len(c.b):]
		if len(rest) == 0 {
			h.Flags = rpcwire.FlagMessage | flags | packed(m)
			c.pooled = m.pooled
		}
		at := len(heads)
		if h.Length = uint32(len(c.b)); at == 0 {
			h.Length += 4
		}
		if heads = rpcwire.AppendHead(heads, h); at == 0 {
			heads = binary.LittleEndian.AppendUint32(heads, uint32(len(m.b)))
		}
		w.queue(chunk{b: heads[at:], leads: true})
		w.queue(c)
	}
	return true
}

func packed(m *message) uint8 {
	if m.compressed {
		return rpcwire.FlagCompressed
	}
	return 0
}

// sendDirect marshals a message of n bytes, for which direct says yes, where it
// is sent from. It has not sent it if there is no room or the windows do not
// allow it now, or if sending has ended.
func (w *writer) sendDirect(o *outflow, v proto.Message, n int, flags uint8) (sent bool, err error) {
	w.mu.Lock()
	if w.stopped(o) != nil || w.crowded() || min(w.credit, o.credit) < cost(n) {
		w.mu.Unlock()
		return false, nil
	}
	h := rpcwire.Head{Kind: rpcwire.Message, Flags: flags | rpcwire.FlagMessage, Stream: o.id}
	if n >= small {
		p, ok := w.placeFor(o, h, nil, n)
		if !ok {
			w.mu.Unlock()
			return false, nil
		}
		err = w.sendPlaceUnlock(p, v, true, nil)
		return err == nil, err
	}
	at := len(w.tail)
	defer func() {
		if !sent { // a panic even
			w.tail = w.tail[:at]
			w.mu.Unlock()
		}
	}()
	b := rpcwire.AppendHead(w.room(), h)
	b, err = proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, v)
	if err != nil {
		return false, marshalError(err)
	}
	w.tail = b
	n = len(b) - at - rpcwire.HeadSize
	rpcwire.SetLength(b[at:], n)
	w.credit -= cost(n)
	o.credit -= cost(n)
	sent = true
	w.flushSoonUnlock()
	return true, nil
}

// put queues a frame of pre and b. pooled, which b is a part of or nil, goes
// back to the pool when it has been written or copied. The caller holds mu.
func (w *writer) put(kind rpcwire.Kind, flags uint8, id uint32, pre, b []byte, pooled *[]byte) {
	t := rpcwire.AppendHead(w.room(), rpcwire.Head{Length: uint32(len(pre) + len(b)), Kind: kind, Flags: flags, Stream: id})
	t = append(t, pre...)
	whole := pooled == nil || len(b) == 0 || &b[0] == &(*pooled)[0] // else the queue may hold the parts before
	if len(b) < small && whole {
		w.tail = append(t, b...)
		if pooled != nil {
			pool.Put(pooled)
		}
		return
	}
	w.tail = t
	w.queue(chunk{b: b, pooled: pooled})
}

// sendMessage sends m as one or several Message frames, waiting for room in
// the windows, and takes m over. end says that the caller sends no more. It
// must not be called by the holder of the reader's role.
func (c *conn) sendMessage(ctx context.Context, o *outflow, m message, end bool) error {
	last := uint8(0)
	if end {
		last = rpcwire.FlagEnd
	}
	w := &c.w
	w.mu.Lock()
	if err := w.stopped(o); err != nil {
		w.mu.Unlock()
		m.free()
		return err
	}
	if w.putMessage(o, &m, last) || w.putParts(o, &m, last) {
		w.flushUnlock(true)
		return nil
	}
	w.mu.Unlock()
	return c.sendLater(ctx, o, m, last)
}

// sendLater waits for room as often as it takes: once for a message that fits
// one frame, else for each part.
func (c *conn) sendLater(ctx context.Context, o *outflow, m message, last uint8) error {
	w := &c.w
	rest := m.b
	var pre []byte
	drop := func() {
		if len(rest) == len(m.b) { // else the queue may still hold parts of it
			m.free()
		}
	}
	inParts := len(m.b) > rpcwire.MaxPart
	if inParts {
		pre = binary.LittleEndian.AppendUint32(nil, uint32(len(m.b)))
	}
	for {
		w.mu.Lock()
		if err := w.stopped(o); err != nil {
			w.mu.Unlock()
			drop()
			return err
		}
		if !inParts && w.putMessage(o, &m, last) {
			w.flushUnlock(true)
			return nil
		}
		n := -1
		if inParts {
			n = w.take(o, len(rest)+len(pre))
		} else if w.crowded() || w.credit <= o.credit {
			w.starve(o)
		}
		if n < 0 {
			w.flushUnlock(true)
			if err := c.awaitCredit(ctx, o); err != nil {
				if len(rest) < len(m.b) {
					w.halt(o, io.EOF) // nothing may follow half a message
				}
				drop()
				return err
			}
			continue
		}
		n -= len(pre)
		flags := rpcwire.FlagMessage | packed(&m)
		if n < len(rest) {
			w.put(rpcwire.Message, flags|rpcwire.FlagPart, o.id, pre, rest[:n], nil)
		} else {
			w.put(rpcwire.Message, flags|last, o.id, pre, rest, m.pooled)
		}
		pre, rest = nil, rest[n:]
		w.flushUnlock(true)
		if len(rest) == 0 {
			return nil
		}
	}
}

// awaitCredit waits until the windows may have grown.
func (c *conn) awaitCredit(ctx context.Context, o *outflow) error {
	c.waiters.Add(1)
	defer c.waiters.Add(-1)
	c.someoneReads()
	select {
	case <-o.wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.err
	}
}
