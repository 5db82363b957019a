// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"errors"
	"os"
	"sync/atomic"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// stageSize is how much is gathered for one write.
const stageSize = 64 << 10

// directSize is what is not worth a copy to spare a write that costs no system
// call.
const directSize = 4 << 10

// writer is the sending half. Its lock guards all but greeted and watch.
type writer struct {
	c       *Conn
	lock    lock
	watch   watch
	passer  transport.FilePasser // nil if the transport is none; immutable
	greeted atomic.Bool          // our preface is written, or on its way
	whole   bool                 // the preface is written
	said    bool                 // so is our goodbye
	err     error                // why nothing more can be sent
	open    atomic.Bool          // whole frames may be written past the lock
	stage   stage                // in use within do only
}

// messages writes ps as frames, files with the first.
func (w *writer) messages(ctx context.Context, ps [][]byte, files []*os.File) error {
	total := prefaceSize
	for _, p := range ps {
		if total += headerSize + len(p); total >= stageSize {
			break
		}
	}
	return w.do(ctx, min(total, stageSize), func(s *stage) error {
		for _, p := range ps {
			h := header{length: uint32(len(p)), kind: kindMessage, files: uint16(len(files))}
			if err := s.frame(h, p, files); err != nil {
				return err
			}
			files = nil
		}
		return s.flush()
	})
}

// goodbye writes our last frame. Nothing can be sent after it.
func (w *writer) goodbye(ctx context.Context, g goodbye) error {
	w.said = true // before do could let Sends past the lock
	err := w.do(ctx, prefaceSize+headerSize+maxGoodbye, func(s *stage) error {
		s.buf = appendGoodbye(s.buf, g)
		return s.flush()
	})
	if w.said = err == nil; w.said {
		w.err = fault.New(fault.Closed, "send", w.c.addr(), errors.New("this side has said goodbye"))
	}
	return err
}

// preface writes our preface alone.
func (w *writer) preface() {
	_ = w.do(context.Background(), prefaceSize, (*stage).flush) // the next send says what is wrong
}

// do lets write fill a stage of the given size, and notes what a failure
// means for later writes.
func (w *writer) do(ctx context.Context, size int, write func(*stage) error) error {
	if w.err != nil {
		return w.err
	}
	w.greeted.Store(true)
	w.open.Store(false) // what is written here may take several writes
	defer w.reopen()
	buf := getBuffer(size)
	defer putBuffer(buf)
	s := &w.stage
	*s = stage{w: w, ctx: ctx, buf: buf.b[:0]}
	defer func() { *s = stage{} }()
	if !w.whole {
		s.buf = appendPreface(s.buf)
	}
	if w.c.ctxW == nil {
		w.watch.begin(ctx)
		defer w.watch.end(ctx)
	}
	err := write(s)
	if !w.whole && s.sent >= prefaceSize {
		w.whole = true
		s.sent -= prefaceSize
	}
	if err == nil {
		return nil
	}
	return w.failed(ctx, s.sent > 0, err)
}

// failed notes that a write ended with err, partial if it left a part of
// something behind.
func (w *writer) failed(ctx context.Context, partial bool, err error) error {
	c := w.c
	switch {
	case c.isClosed():
		err = c.errClosed("send")
		w.err = err
	case ctx.Err() != nil:
		err = c.ctxError(ctx, "send")
		if partial {
			w.err = fault.New(fault.Closed, "send", c.addr(), errors.New("an earlier send ended in the middle of a message")).
				WithHint("close the connection and dial again")
		}
	default:
		unsupported := !partial && fault.KindOf(err) == fault.Unsupported // of this send, not of the next
		if err = c.fail("send", err); !unsupported {
			w.err = err
		}
	}
	return err
}

// stage gathers bytes for the transport.
type stage struct {
	w     *writer
	ctx   context.Context
	buf   []byte     // not yet written
	files []*os.File // go with the first byte of buf
	sent  int        // bytes written
}

func (s *stage) frame(h header, p []byte, files []*os.File) error {
	if (len(files) > 0 && len(s.buf) > 0) || cap(s.buf)-len(s.buf) < headerSize {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.files = files
	s.buf = appendHeader(s.buf, h)
	if len(p) >= directSize && s.w.c.framer != nil && s.w.c.framer.Frames() {
		if err := s.flush(); err != nil {
			return err
		}
		return s.write(p)
	}
	return s.payload(p)
}

func (s *stage) payload(p []byte) error {
	for len(p) > 0 {
		if len(s.buf) == 0 && len(p) >= cap(s.buf) {
			return s.write(p)
		}
		n := copy(s.buf[len(s.buf):cap(s.buf)], p)
		s.buf, p = s.buf[:len(s.buf)+n], p[n:]
		if len(s.buf) == cap(s.buf) && len(p) > 0 {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stage) flush() error {
	b := s.buf
	s.buf = b[:0]
	if len(b) == 0 {
		return nil
	}
	return s.write(b)
}

func (s *stage) write(p []byte) (err error) {
	n := 0
	switch c := s.w.c; {
	case len(s.files) > 0:
		files := s.files
		s.files = nil
		if c.ctxW != nil { // else do watches
			s.w.watch.begin(s.ctx)
			defer s.w.watch.release()
		}
		n, err = s.w.passer.WriteFiles(p, files)
	case c.ctxW != nil:
		n, err = c.ctxW.WriteContext(s.ctx, p)
	default:
		n, err = c.t.Write(p)
	}
	s.sent += n
	return err
}
