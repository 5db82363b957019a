// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// The read buffer starts small, so that idle connections are cheap, and
// doubles when a read fills it.
const (
	minRead = 4 << 10
	maxRead = 64 << 10

	maxFramed = 16 << 10 // beside a Framer: what stays in a processor's first cache
)

// reader is the receiving half. Its lock guards all but watch. Between two
// calls its state is exactly what has arrived:
//
//	        8 bytes        8 bytes           payload
//	greeting ──────► header ──────► filling ─────────┐
//	                  ▲   └─ goodbye ──► err         │
//	                  └──────── message returned ◄───┘
type reader struct {
	c         *Conn
	lock      lock
	watch     watch
	passer    transport.FilePasser        // nil if no files are to be expected
	ctxPasser transport.ContextFileReader // the same with a context; nil if it is none
	buf       []byte                      // read ahead: buf[off:]; cap is the buffer's size
	off       int
	queue     []*os.File    // arrived, their frame's header not yet read
	hello     bool          // the peer's preface was right
	msg       *Message      // being filled
	view      Message       // what Each shows
	inPlace   bool          // the transport may lend to us
	many      bool          // Each receives
	open      atomic.Bool   // whole frames may be read past the lock
	last      atomic.Uint32 // about how large the next message may be
	err       error         // final
}

// next returns the next message.
func (r *reader) next(ctx context.Context) (*Message, error) {
	if r.msg == nil {
		if err := r.begin(ctx); err != nil {
			return nil, err
		}
	}
	for {
		room := r.msg.room()
		if len(room) == 0 {
			m := r.msg
			r.msg = nil
			return m, nil
		}
		n, err := r.payload(ctx, room)
		if err != nil {
			return nil, err
		}
		r.msg.got += n
	}
}

// begin reads up to the payload of the next message.
func (r *reader) begin(ctx context.Context) error {
	h, err := r.header(ctx)
	if err != nil {
		return err
	}
	if h.kind == kindGoodbye {
		return r.goodbye(ctx, h)
	}
	if h.kind == kindMemory {
		return r.memory(ctx, h)
	}
	if int64(h.length) > int64(r.c.cfg.MaxSize) {
		return r.tooLarge(int64(h.length))
	}
	files, err := r.take(int(h.files))
	if err != nil {
		return r.broken(fault.Protocol, err)
	}
	r.off += headerSize
	r.msg = newMessage(int(h.length), files)
	return nil
}

func (r *reader) tooLarge(n int64) error {
	return r.broken(fault.TooLarge, fmt.Errorf("a message of %d bytes, at most %d are allowed", n, r.c.cfg.MaxSize))
}

// header waits for the next frame's header and leaves it in the buffer.
func (r *reader) header(ctx context.Context) (header, error) {
	if r.err != nil {
		return header{}, r.err
	}
	if !r.hello {
		if err := r.need(ctx, prefaceSize); err != nil {
			return header{}, err
		}
		if err := checkPreface(r.buf[r.off:]); err != nil {
			return header{}, r.broken(fault.Protocol, err)
		}
		r.off += prefaceSize
		r.hello = true
	}
	if err := r.need(ctx, headerSize); err != nil {
		return header{}, err
	}
	h, err := parseHeader(r.buf[r.off:])
	if err != nil {
		return header{}, r.broken(fault.Protocol, err)
	}
	return h, nil
}

// goodbye reads the peer's, whose header is h, and returns what it means.
func (r *reader) goodbye(ctx context.Context, h header) error {
	size := headerSize + int(h.length)
	if err := r.need(ctx, size); err != nil {
		return err
	}
	g, err := parseGoodbye(r.buf[r.off+headerSize : r.off+size])
	if err != nil {
		return r.broken(fault.Protocol, err)
	}
	r.off += size
	if !g.early {
		r.err = io.EOF
		return r.err
	}
	r.err = g.err("receive", r.c.addr())
	return r.err
}

// take claims the files of the frame whose header has just been read.
func (r *reader) take(n int) ([]*os.File, error) {
	if n == 0 {
		return nil, nil
	}
	if n > r.c.cfg.MaxFiles {
		return nil, fmt.Errorf("a message with %d files, at most %d are allowed", n, r.c.cfg.MaxFiles)
	}
	if n > len(r.queue) {
		return nil, fmt.Errorf("a message that announces %d files, and %d have come with it", n, len(r.queue))
	}
	files := append([]*os.File(nil), r.queue[:n]...)
	r.queue = append(r.queue[:0], r.queue[n:]...)
	return files, nil
}

// need waits until n bytes are buffered; n is less than minRead.
func (r *reader) need(ctx context.Context, n int) error {
	for len(r.buf)-r.off < n {
		if err := r.fill(ctx, n-(len(r.buf)-r.off)); err != nil {
			return err
		}
	}
	return nil
}

// payload fills a part of room: from the buffer, or past it if room is large.
func (r *reader) payload(ctx context.Context, room []byte) (int, error) {
	if r.off == len(r.buf) {
		if len(room) >= maxRead || r.exact() {
			return r.read(ctx, room)
		}
		if err := r.fill(ctx, len(room)); err != nil {
			return 0, err
		}
	}
	n := copy(room, r.buf[r.off:])
	r.off += n
	return n, nil
}

// exact says to read no further than is needed: where a read costs no system
// call, what is read ahead costs a copy.
func (r *reader) exact() bool { return r.framed() && !r.many && r.c.framer.Frames() }

// fill reads at least one byte more into the buffer, of lack that are needed.
func (r *reader) fill(ctx context.Context, lack int) error {
	have, most := r.buf[r.off:], maxRead
	if r.framed() {
		most = maxFramed
	}
	switch full := len(r.buf) == cap(r.buf); {
	case full && cap(r.buf) < most:
		r.buf = append(make([]byte, 0, max(2*cap(r.buf), minRead)), have...)
		r.off = 0
	case full || len(have) == 0:
		r.buf = append(r.buf[:0], have...)
		r.off = 0
	}
	room := r.buf[len(r.buf):cap(r.buf)]
	if r.exact() {
		room = room[:min(lack, len(room))]
	}
	n, err := r.read(ctx, room)
	r.buf = r.buf[:len(r.buf)+n]
	return err
}

// read reads at least one byte from the transport, or fails.
func (r *reader) read(ctx context.Context, p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.off == len(r.buf) && len(r.queue) > 0 || len(r.queue) > transport.MaxFiles {
		return 0, r.broken(fault.Protocol, fmt.Errorf("%d files that no message announced", len(r.queue)))
	}
	var n int
	var err error
	for range 100 {
		if n, err = r.try(ctx, p); n > 0 {
			return n, nil // err comes again with the next read
		}
		if err != nil {
			return 0, r.failed(ctx, err)
		}
	}
	return 0, r.failed(ctx, io.ErrNoProgress)
}

func (r *reader) try(ctx context.Context, p []byte) (int, error) {
	if r.passer == nil && r.c.ctxR != nil {
		return r.c.ctxR.ReadContext(ctx, p)
	}
	if r.passer != nil && r.ctxPasser != nil {
		n, files, err := r.ctxPasser.ReadFilesContext(ctx, p)
		if files != nil {
			r.queue = append(r.queue, files...)
		}
		return n, err
	}
	r.watch.begin(ctx)
	defer r.watch.end(ctx)
	if r.passer == nil {
		return r.c.t.Read(p)
	}
	n, files, err := r.passer.ReadFiles(p)
	if n == 0 && fault.KindOf(err) == fault.Unsupported {
		r.passer = nil // this connection of a file-passing transport passes none
		return 0, nil
	}
	r.queue = append(r.queue, files...)
	return n, err
}

// failed says what the transport's err means; only the end of ctx is not
// final.
func (r *reader) failed(ctx context.Context, err error) error {
	c := r.c
	switch {
	case c.isClosed():
		return c.errClosed("receive")
	case ctx.Err() != nil:
		return c.ctxError(ctx, "receive")
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	r.err = c.fail("receive", err)
	if e, ok := r.err.(*fault.Error); ok && !r.hello && e.Kind == fault.PeerDied { //nolint:errorlint // our own, unwrapped
		r.err = e.WithHint("the peer said nothing before it closed: it may not speak this protocol, or deny us")
	}
	return r.err
}

// broken ends the connection because of what the peer sent, and tells it.
func (r *reader) broken(kind fault.Kind, why error) error {
	r.err = fault.New(kind, "receive", r.c.addr(), why)
	r.c.sayGoodbye(goodbye{early: true, reason: kind, why: why.Error()})
	return r.err
}

// lastWord looks whether the peer said goodbye with a reason, and takes no
// message. It returns the final error of the receiving half, if it has one.
func (r *reader) lastWord(ctx context.Context) error {
	if !r.acquire(ctx, r.c.closed) {
		return nil
	}
	defer r.release()
	if r.msg == nil {
		if h, err := r.header(ctx); err == nil && h.kind == kindGoodbye {
			_ = r.goodbye(ctx, h)
		}
	}
	return r.err
}

// close frees what has arrived and nobody will receive.
func (r *reader) close() {
	r.acquire(context.Background(), nil) // whoever held it has seen the transport close
	defer r.release()
	r.watch.close()
	closeFiles(r.queue)
	r.queue = nil
	if r.msg != nil {
		r.msg.Release()
		r.msg = nil
	}
	r.err = r.c.errClosed("receive")
}
