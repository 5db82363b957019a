// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

const maxMethods = 1024 // that are numbered on one connection

// opening is what a new call sends first.
type opening struct {
	method   string
	pairs    rpcwire.Pairs
	files    []*os.File
	deadline time.Time
	has      bool // a message comes with the call
	m        message
	direct   proto.Message // marshalled in place: then m is empty
	size     int           // of direct
	end      bool
}

// openingOf is what goes before the message of an opening.
func (s *clientStream) openingOf(o *opening) rpcwire.Opening {
	r := rpcwire.Opening{Files: len(o.files), Metadata: o.pairs}
	if !o.deadline.IsZero() {
		r.Flags |= rpcwire.FlagTimeout
		r.Timeout = time.Until(o.deadline)
	}
	if len(o.pairs) > 0 || s.opts.subtype != "" || s.opts.encoding != "" {
		r.Flags |= rpcwire.FlagExtra
		r.Subtype, r.Encoding = []byte(s.opts.subtype), []byte(s.opts.encoding)
	}
	if len(o.files) > 0 {
		r.Flags |= rpcwire.FlagFiles
	}
	return r
}

// open begins the call s. The stream has its place, and nothing has been sent
// of it. The message, if any, is taken over; if it does not fit the windows
// later says that the caller sends it. On an error the place is given back.
func (c *conn) open(ctx context.Context, s *clientStream, o *opening) (later bool, err error) {
	r := s.openingOf(o)
	w := &c.w
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		c.forget(s.id)
		return false, errAgain
	}
	s.out.id = s.id
	if s.desc != nil {
		s.out.wake = make(chan struct{}, 1)
	}
	c.nameMethod(&r, o.method)
	n := len(o.m.b) + o.size
	if o.has {
		if n > rpcwire.MaxPart || min(w.credit, s.out.credit) < cost(n) {
			later = true
			s.out.wake = make(chan struct{}, 1)
		} else {
			w.credit -= cost(n)
			s.out.credit -= cost(n)
			r.Flags |= rpcwire.FlagMessage | packed(&o.m)
			if o.end {
				r.Flags |= rpcwire.FlagEnd
			}
		}
	}
	if len(o.files) > 0 {
		return later, c.openWithFiles(s, &r, o, later)
	}
	at, sent := len(w.tail), false
	defer func() {
		if !sent { // it could not be marshalled, by a panic even: the frame is gone
			w.tail = w.tail[:at]
			w.credit += cost(n)
			if r.Flags&rpcwire.FlagNamed != 0 {
				delete(c.named, o.method)
			}
			w.mu.Unlock()
			c.forget(s.id)
		}
	}()
	w.tail = r.Append(rpcwire.AppendHead(w.room(), rpcwire.Head{Kind: rpcwire.Open, Flags: r.Flags, Stream: s.id}))
	switch {
	case !o.has || later:
	case o.direct != nil:
		b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(w.tail, o.direct)
		if err != nil {
			return false, marshalError(err)
		}
		w.tail = b
	case len(o.m.b) < small:
		w.tail = append(w.tail, o.m.b...)
		o.m.free()
	}
	head := w.tail[at:]
	rpcwire.SetLength(head, len(head)-rpcwire.HeadSize)
	if o.has && !later && len(o.m.b) >= small {
		rpcwire.SetLength(head, len(head)-rpcwire.HeadSize+len(o.m.b))
		w.queue(chunk{b: o.m.b, pooled: o.m.pooled})
	}
	sent = true
	w.flushCallUnlock()
	return later, nil
}

// nameMethod chooses between number and name. The caller holds w.mu, so that
// numbers are used in the order in which they are given.
func (c *conn) nameMethod(r *rpcwire.Opening, method string) {
	if n, ok := c.named[method]; ok {
		r.Method = n
		return
	}
	r.Flags |= rpcwire.FlagNamed
	r.Name = []byte(method)
	if len(c.named) < maxMethods {
		r.Method = uint32(len(c.named) + 1)
		c.named[method] = r.Method
	}
}

// openInPlace is open for a whole request that is marshalled where the peer
// reads it, without the lock. It has done nothing if there is no room for it
// now, or if the call would be the first to name its method: were it to fail,
// others might have used the number. On an error, or a panic, the place is
// given back.
func (c *conn) openInPlace(s *clientStream, o *opening) (sent bool, err error) {
	w, r := &c.w, s.openingOf(o)
	r.Flags |= rpcwire.FlagMessage | rpcwire.FlagEnd
	w.mu.Lock()
	n, ok := c.named[o.method]
	if !ok {
		w.mu.Unlock()
		return false, nil
	}
	r.Method, s.out.id = n, s.id
	var few [mostPrefix]byte
	p, ok := w.placeFor(&s.out, rpcwire.Head{Kind: rpcwire.Open, Flags: r.Flags, Stream: s.id}, r.Append(few[:0]), o.size)
	if !ok {
		w.mu.Unlock()
		return false, nil
	}
	defer func() {
		if !sent {
			c.forget(s.id)
		}
	}()
	err = w.sendPlaceUnlock(p, o.direct, true, nil)
	return err == nil, err
}

// openWithFiles is the rest of open for a call with files. It is called with
// w.mu held, and returns without.
func (c *conn) openWithFiles(s *clientStream, r *rpcwire.Opening, o *opening, later bool) error {
	w := &c.w
	b := r.Append(rpcwire.AppendHead(nil, rpcwire.Head{Kind: rpcwire.Open, Flags: r.Flags, Stream: s.id}))
	if o.has && !later {
		b = append(b, o.m.b...)
		o.m.free()
	}
	rpcwire.SetLength(b, len(b)-rpcwire.HeadSize)
	w.queue(chunk{b: b, files: o.files})
	w.flushUnlock(true)
	return nil
}
