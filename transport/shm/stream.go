// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	kernel "github.com/parley-ipc/parley/primitive/shm"
)

// Bits of stream.status. They are what a waiting side watches beside the ring.
const (
	isClosed  = 1 << iota // Close was called
	isShut                // CloseWrite was called
	isBroken              // the peer broke the protocol: failure says how
	isHungUp              // the peer's end of the socket has gone
	rdExpired             // the read deadline has passed
	wrExpired             // the write deadline has passed
	isClosing             // Close has begun: the peer's end may be its answer
)

// stream is a connection over two rings.
//
// Each half (reader, writer) is locked for as long as one operation lasts,
// sleep and loan included. Closing never waits for a lock: it sets a bit and
// kicks, and whoever holds a half settles what there is to settle when it
// lets go. The memory is unmapped when both halves have been given up, so
// never under an operation or a loan.
type stream struct {
	sock     *net.UnixConn
	bell     *bell
	counters *endpoint.Counters
	addr     string // for errors
	trusted  bool
	logger   *slog.Logger
	peer     auth.Identity

	status  atomic.Uint32
	failure atomic.Pointer[fault.Error]

	ours   page // in our segment, which we alone write
	theirs page // in the peer's: read once, check, use

	maps   [2]*kernel.Mapping
	halves atomic.Int32 // not yet given up
	drop   func()       // gives the budget back, once the memory is unmapped

	closeOnce sync.Once
	closeErr  error

	_  [128]byte // the halves belong to different processors
	rd reader
	_  [128]byte
	wr writer
}

// fail ends the connection for good because the peer broke the protocol.
func (s *stream) fail(err error) error {
	kind := fault.KindOf(err)
	if kind == fault.Other {
		kind = fault.Protocol
	}
	e := fault.New(kind, "connection", s.addr, err)
	if s.failure.CompareAndSwap(nil, e) {
		s.logger.Warn("connection failed", "address", s.addr, "who", s.peer.String(), "pid", s.peer.PID, "error", err)
	}
	s.raise(isBroken)
	_ = s.sock.CloseRead()
	_ = s.sock.CloseWrite() // the peer learns it from the end of the socket
	return s.failure.Load()
}

// hangup is the bell's news that the socket has ended, or brought nonsense.
func (s *stream) hangup(err error) {
	switch {
	case errors.Is(err, net.ErrClosed):
	case errors.Is(err, io.EOF), isGone(err):
		s.raise(isHungUp)
	default:
		_ = s.fail(err)
	}
}

// raise sets bits and ends the sleep of both sides if they are new.
func (s *stream) raise(bits uint32) {
	if s.status.Or(bits)&bits != bits {
		s.kick(&s.rd.half)
		s.kick(&s.wr.half)
	}
}

// kick makes whoever waits in or for a half look at the status again.
func (s *stream) kick(h *half) {
	s.kickSleep(h)
	h.mu.kick()
}

// kickSleep ends h's sleep, wherever it sleeps.
func (s *stream) kickSleep(h *half) {
	s.bell.kick(h.side)
	h.bed.Kick()
}

// expire is the deadlines' news.
func (s *stream) expire(h *half, bit uint32) func(bool) {
	return func(expired bool) {
		if !expired {
			s.status.And(^bit)
			return
		}
		s.status.Or(bit)
		s.kick(h)
	}
}

// stopped is why an operation cannot go on, beside what is in the ring: nil if
// it can.
func (s *stream) stopped(ctx context.Context, op string, expired uint32) error {
	st := s.status.Load()
	switch {
	case st&isClosed != 0:
		return fault.New(fault.Closed, op, s.addr, nil)
	case st&isBroken != 0:
		return s.failure.Load()
	case st&expired != 0:
		return fault.New(fault.Timeout, op, s.addr, nil)
	case ctx.Err() != nil:
		return fault.Wrap(op, s.addr, context.Cause(ctx))
	}
	return nil
}

// ended is why nothing more will come from the peer, once its ring is empty.
func (s *stream) ended() error {
	switch st := s.theirs.state.Load(); {
	case st&(stateEnded|stateClosed) != 0:
		return s.orClosing("read", io.EOF)
	case s.status.Load()&isHungUp != 0:
		return s.died("read")
	}
	return nil
}

// orClosing is err, or our own Close if the peer may have ended because of it.
// The caller has seen the peer's end before.
func (s *stream) orClosing(op string, err error) error {
	if s.status.Load()&isClosing != 0 {
		return fault.New(fault.Closed, op, s.addr, nil)
	}
	return err
}

var errDied = fmt.Errorf("%w: the peer ended without closing the connection", io.ErrUnexpectedEOF)

func (s *stream) died(op string) error {
	return fault.New(fault.PeerDied, op, s.addr, errDied)
}

// refused is why the peer will never read what we write.
func (s *stream) refused() error {
	switch st := s.status.Load(); {
	case s.theirs.state.Load()&stateClosed != 0:
		return s.orClosing("write", fault.New(fault.PeerDied, "write", s.addr, fmt.Errorf("the peer has closed the connection: %w", syscall.EPIPE)))
	case st&isHungUp != 0:
		return s.died("write")
	}
	return nil
}

// closeWrite implements CloseWrite: a Write under way ends with an error, and
// whoever holds the writing half publishes the end.
func (s *stream) closeWrite() error {
	if err := s.stopped(context.Background(), "close", 0); err != nil {
		return err
	}
	if s.status.Or(isShut)&isShut == 0 {
		s.kick(&s.wr.half)
	}
	s.settle(&s.wr.half)
	return nil
}

// close says goodbye in memory first, so that the end of the socket finds it.
func (s *stream) close() error {
	s.closeOnce.Do(func() {
		s.status.Or(isClosing) // isClosed would let go of the memory
		s.ours.state.Or(stateEnded | stateClosed)
		s.knockUp(s.ours.rknock, s.theirs.rsleep.Load())
		s.knockUp(s.ours.wknock, s.theirs.wsleep.Load())
		s.raise(isClosed)
		s.closeErr = s.bell.close()
		s.rd.deadline.stop()
		s.wr.deadline.stop()
		s.settle(&s.rd.half)
		s.settle(&s.wr.half)
	})
	return s.closeErr
}

func (s *stream) setReadDeadline(t time.Time) error { return s.setDeadline(&s.rd.half, rdExpired, t) }

func (s *stream) setWriteDeadline(t time.Time) error { return s.setDeadline(&s.wr.half, wrExpired, t) }

// maxLoan is half a ring: a reader that waits for so much leaves room for a
// writer that waits for so much. With more, both could wait for ever.
func (s *stream) maxLoan() int { return min(s.rd.ring.Cap(), s.wr.ring.Cap()) / 2 }

// setDeadline arms one side's deadline.
func (s *stream) setDeadline(h *half, bit uint32, t time.Time) error {
	if s.status.Load()&isClosed != 0 {
		return fault.New(fault.Closed, "set deadline", s.addr, nil)
	}
	h.deadline.set(t, s.expire(h, bit))
	return nil
}
