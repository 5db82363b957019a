// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// place is a frame in the transport's own memory, whose message is marshalled
// there. Whoever has it is the one who writes.
type place struct {
	room  []byte
	at    int    // where the message begins
	tail  []byte // what was queued before it, and is in room
	o     *outflow
	price int
}

// mostPrefix is room for what most calls have before their message.
const mostPrefix = 256

var errSize = errors.New("the message has changed while it was marshalled")

// direct says that a message of n bytes may be marshalled where it is sent from.
func (w *writer) direct(n int) bool {
	return n < small || w.lend != nil && n <= rpcwire.MaxPart
}

// placeFor lends the place for a frame whose payload is pre and a message of n
// bytes, and takes its price from both windows; false if there is no room, or
// others come first. The caller holds mu.
func (w *writer) placeFor(o *outflow, h rpcwire.Head, pre []byte, n int) (place, bool) {
	if w.lend == nil || w.busy || w.err != nil || len(w.q) > 0 || min(w.credit, o.credit) < cost(n) {
		return place{}, false
	}
	room := w.lend.TryReserve(len(w.tail) + rpcwire.HeadSize + len(pre) + n)
	if room == nil {
		return place{}, false
	}
	p := place{room: room, tail: w.tail, o: o, price: cost(n)}
	w.tail, w.busy = nil, true
	w.credit -= p.price
	o.credit -= p.price
	h.Length = uint32(len(pre) + n)
	b := append(rpcwire.AppendHead(append(room[:0], p.tail...), h), pre...)
	p.at = len(b)
	return p, true
}

// sendPlaceUnlock marshals v into p and sends it, or sends only what was queued
// before it. It is called with mu held and unlocks it, so that nobody waits for
// v; before, if any, is called with it just before the peer can see the frame.
func (w *writer) sendPlaceUnlock(p place, v proto.Message, wait bool, before func()) (err error) {
	w.mu.Unlock()
	sent := false
	defer func() {
		if sent {
			return
		}
		_ = w.lend.Commit(0) // a panic even
		w.mu.Lock()
		w.credit += p.price
		p.o.credit += p.price
		w.feed()
		var rest chunk
		if len(p.tail) > 0 {
			rest = chunk{b: p.tail, tail: true}
		}
		w.drainUnlock(wait, rest)
	}()
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(p.room[:p.at], v)
	if err == nil && (len(b) != len(p.room) || &b[0] != &p.room[0]) {
		err = errSize
	}
	if err != nil {
		return marshalError(err)
	}
	if before != nil {
		w.mu.Lock()
		before()
		w.mu.Unlock()
	}
	sent = true
	err = w.lend.Commit(len(p.room))
	w.mu.Lock()
	if p.tail != nil {
		w.keep(p.tail)
	}
	if err != nil && w.err == nil {
		w.err = err
	}
	w.drainUnlock(wait, chunk{})
	return nil
}
