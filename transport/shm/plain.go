// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// A connection without rings sends frames on its socket, so that it too can
// tell an end from a death:
//
//	offset  field
//	     0  kind    u8   frameData, frameEnd (no bytes will follow), or one of move.go
//	     1  files   u8   descriptors that come with the frame's first byte
//	     2  zero    u16
//	     4  length  u32  of what follows: data, 1 to maxFrame; 0 for frameEnd
const (
	frameData = 0x11
	frameEnd  = 0x12
	frameHead = 8

	// maxFrame keeps a frame within one socket buffer, which the kernel takes
	// whole or not at all: a Write that times out leaves no half of a frame.
	maxFrame = 16 << 10
)

// plain is a connection over its socket, or the part of one that is.
type plain struct {
	dir      *directions // whose halves are ours as long as they are nil
	move     *mover
	sock     *net.UnixConn
	raw      syscall.RawConn
	counters *endpoint.Counters
	addr     string

	closed atomic.Bool

	rmu   sync.Mutex
	from  receiver
	head  []byte  // guarded by rmu: the frame's head, or all of one without data, as far as it has come
	need  int     // guarded by rmu: how far head has to come; 0: not begun
	left  int     // guarded by rmu: data of the frame that have not been read
	fds   []int   // guarded by rmu: of the frame whose first byte is next
	cut   error   // guarded by rmu: why descriptors of this frame have not arrived
	rerr  error   // guarded by rmu: what every further Read answers
	rtime restore // read deadline

	wmu    gate
	paying sync.Mutex // held while payAlone holds wmu, which is no Write under way
	shut   atomic.Bool
	said   bool   // guarded by wmu: frameEnd has been sent
	frames int    // guarded by wmu: written, for glance
	lent   []byte // guarded by wmu: what Reserve lends
	loan   atomic.Int64
	wtime  restore
}

func newPlain(sock *net.UnixConn, addr string, opts Options, dir *directions) (*plain, error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return nil, err
	}
	p := &plain{dir: dir, sock: sock, raw: raw, addr: addr, counters: opts.Counters, head: make([]byte, 0, offerSize)}
	p.move = &mover{opts: opts}
	p.rtime.apply, p.wtime.apply = sock.SetReadDeadline, sock.SetWriteDeadline
	return p, nil
}

func (p *plain) read(ctx context.Context, b []byte, take bool) (int, []*os.File, error) {
	n, files, err := p.readSocket(ctx, b, take)
	if errors.Is(err, errMoved) {
		return p.dir.in.Load().read(ctx, b, take)
	}
	p.nudge() // what found no room, or what the bytes have given rise to
	return n, files, err
}

func (p *plain) readSocket(ctx context.Context, b []byte, take bool) (n int, files []*os.File, err error) {
	p.rmu.Lock()
	defer p.rmu.Unlock()
	if p.dir.in.Load() != nil {
		return 0, nil, errMoved
	}
	if err := p.stopped(ctx, "read"); err != nil || len(b) == 0 {
		return 0, nil, err
	}
	defer p.rtime.until(ctx)()
	if n, err = p.readFrame(b); err != nil {
		if errors.Is(err, errMoved) {
			return 0, nil, err
		}
		if stop := p.stopped(ctx, "read"); stop != nil {
			return 0, nil, stop
		}
		return 0, nil, err
	}
	p.counters.BytesIn.Add(uint64(n))
	p.counters.FilesIn.Add(uint64(len(p.fds)))
	p.move.note(p, n)
	if !take {
		closeAll(p.fds)
		p.fds = nil
		return n, nil, nil
	}
	for _, fd := range p.fds {
		files = append(files, os.NewFile(uintptr(fd), "received"))
	}
	p.fds = nil
	return n, files, nil
}

func (p *plain) readFrame(b []byte) (int, error) {
	if p.rerr != nil {
		return 0, p.rerr
	}
	for p.left == 0 {
		if err := p.readHead(true); err != nil {
			return 0, p.remember(err)
		}
	}
	n, fds, err := p.receive(b[:min(len(b), p.left)], true)
	if err == nil && len(fds) > 0 {
		closeAll(fds)
		err = fault.New(fault.Protocol, "read", p.addr, errLooseFile)
	}
	if err != nil {
		return 0, p.remember(err)
	}
	p.left -= n
	return n, nil
}

// readHead reads to the data of the next frame, or all of a frame that has
// none, which it obeys. Without wait it is errWouldWait if it has not come.
func (p *plain) readHead(wait bool) error {
	for p.need = max(p.need, frameHead); len(p.head) < p.need; { // a deadline may have come between
		n, fds, err := p.receive(p.head[len(p.head):p.need], wait)
		switch first := len(p.head) == 0; {
		case n > 0 && first && fault.KindOf(err) == fault.Exhausted:
			p.cut, err = err, nil
		case len(fds) > 0 && !first:
			closeAll(fds)
			err = fault.New(fault.Protocol, "read", p.addr, errLooseFile)
		}
		if err != nil {
			return err
		}
		p.fds = append(p.fds, fds...)
		p.head = p.head[:len(p.head)+n]
		if len(p.head) == frameHead {
			if p.need, err = p.checkHead(); err != nil {
				return err
			}
		}
	}
	frame := p.head
	p.head, p.need = p.head[:0], 0
	switch frame[0] {
	case frameData:
		p.left = int(binary.LittleEndian.Uint32(frame[4:]))
		return nil
	case frameEnd:
		p.move.peerEnded()
		return io.EOF
	}
	err := p.obey(frame)
	p.nudge() // before we wait for more
	return err
}

// checkHead says how long the part of the frame is that we read at once.
func (p *plain) checkHead() (int, error) {
	kind, files, length := p.head[0], int(p.head[1]), binary.LittleEndian.Uint32(p.head[4:])
	want, size := controlFrame(kind)
	cut := p.cut
	p.cut = nil
	switch {
	case cut != nil && want > 0 && int(length) == size-frameHead:
		return size, nil // they are not worth failing for
	case cut != nil:
		return 0, cut
	case files != len(p.fds) || files > transport.MaxFiles:
		return 0, fault.New(fault.Protocol, "read", p.addr, errLooseFile)
	case kind == frameData && length > 0 && length <= maxFrame, kind == frameEnd && length == 0 && files == 0:
		return frameHead, nil
	case size > 0 && int(length) == size-frameHead && files == want:
		return size, nil
	}
	return 0, fault.New(fault.Protocol, "read", p.addr, fmt.Errorf("a frame of kind %#x with %d bytes", kind, length))
}

// receive reads at least one byte; the end of the socket is a death, for an
// end has a frame of its own.
func (p *plain) receive(b []byte, wait bool) (n int, fds []int, err error) {
	var rerr error
	if wait {
		err = p.raw.Read(func(fd uintptr) bool {
			n, fds, rerr = p.from.receive(int(fd), b)
			return !errors.Is(rerr, errWouldWait)
		})
	} else {
		err = p.raw.Control(func(fd uintptr) { n, fds, rerr = p.from.receive(int(fd), b) })
	}
	if err == nil {
		err = rerr
	}
	if errors.Is(err, errWouldWait) { // only without wait
		return 0, nil, err
	}
	if err == nil && n == 0 || isGone(err) {
		err = fault.New(fault.PeerDied, "read", p.addr, errDied)
	}
	return n, fds, fault.Wrap("read", p.addr, err)
}

// remember keeps an error that no later Read can undo.
func (p *plain) remember(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, errWouldWait) && !errors.Is(err, errMoved) {
		p.rerr = err
	}
	return err
}

func (p *plain) stopped(ctx context.Context, op string) error {
	switch {
	case p.closed.Load():
		return fault.New(fault.Closed, op, p.addr, nil)
	case ctx.Err() != nil:
		return fault.Wrap(op, p.addr, context.Cause(ctx))
	}
	return nil
}

func (p *plain) write(ctx context.Context, b []byte) (int, error) {
	if err := p.lockWriter(ctx, "write"); err != nil {
		return 0, err
	}
	defer p.unlockWriter()
	return p.writeLocked(ctx, b, nil)
}

// lockWriter waits for a loan or another Write to end, until the connection
// or our direction does. Unlike with rings a deadline does not end this wait.
func (p *plain) lockWriter(ctx context.Context, op string) error {
	if p.wmu.tryLock() {
		return nil
	}
	return p.wmu.lock(ctx, func() error { return p.writable(ctx, op) })
}

func (p *plain) writeFiles(b []byte, files []*os.File) (int, error) {
	if len(files) > 0 {
		if err := checkFiles(b, files, p.addr); err != nil {
			return 0, err
		}
	}
	if err := p.lockWriter(context.Background(), "send files"); err != nil {
		return 0, err
	}
	defer p.unlockWriter()
	return p.writeLocked(context.Background(), b, files)
}

// writeLocked writes frames, and what is left when our direction moves into
// the ring.
func (p *plain) writeLocked(ctx context.Context, b []byte, files []*os.File) (n int, err error) {
	if s := p.dir.out.Load(); s != nil { // while we waited for the lock
		if len(files) > 0 {
			return s.writeFiles(b, files)
		}
		return s.write(ctx, b)
	}
	if err := p.writable(ctx, "write"); err != nil {
		return 0, err
	}
	var fds []int
	if len(files) > 0 {
		if fds, err = descriptors(files); err != nil {
			return 0, err
		}
	}
	defer runtime.KeepAlive(files)
	defer p.wtime.until(ctx)()
	for n < len(b) {
		if s := p.pay(); s != nil {
			return p.writeRest(ctx, s, b, files, n)
		}
		m := min(len(b)-n, maxFrame)
		if err := p.send(frameData, b[n:n+m], fds); err != nil {
			if stop := p.writable(ctx, "write"); stop != nil {
				err = stop
			}
			return n, err
		}
		p.counters.BytesOut.Add(uint64(m))
		p.counters.FilesOut.Add(uint64(len(fds)))
		n, fds, files = n+m, nil, nil
		p.move.note(p, m)
		p.glance()
	}
	return n, nil
}

func (p *plain) writable(ctx context.Context, op string) error {
	if err := p.stopped(ctx, op); err != nil {
		return err
	}
	if p.shut.Load() {
		return fault.New(fault.Closed, op, p.addr, fmt.Errorf("our direction has been closed: %w", syscall.EPIPE))
	}
	return nil
}

func (p *plain) send(kind byte, b []byte, fds []int) error {
	frame := make([]byte, frameHead, frameHead+len(b))
	frame[0], frame[1] = kind, byte(len(fds))
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(b)))
	frame = append(frame, b...)
	var serr error
	err := p.raw.Write(func(fd uintptr) bool {
		var room bool
		room, serr = sendFiles(int(fd), frame, fds)
		return room
	})
	if err == nil {
		err = serr
	}
	if isGone(err) {
		return fault.New(fault.PeerDied, "write", p.addr, err)
	}
	return fault.Wrap("write", p.addr, err)
}

func (p *plain) reserve(ctx context.Context, n int) ([]byte, error) {
	if n < 0 || n > p.maxLoan() {
		return nil, badLoan(p.addr, "reserve", n, p.maxLoan())
	}
	if err := p.lockWriter(ctx, "reserve"); err != nil {
		return nil, err
	}
	if s := p.dir.out.Load(); s != nil {
		p.unlockWriter()
		return s.reserve(ctx, n)
	}
	if err := p.writable(ctx, "reserve"); err != nil {
		p.unlockWriter()
		return nil, err
	}
	if cap(p.lent) < n {
		p.lent = make([]byte, n)
	}
	p.loan.Store(1 + int64(n))
	return p.lent[:n:n], nil
}

func (p *plain) commit(n int) error {
	lent := p.loan.Load() - 1
	if lent < 0 || n < 0 || int64(n) > lent {
		return badLoan(p.addr, "commit", n, int(lent))
	}
	p.loan.Store(0)
	defer p.unlockWriter()
	_, err := p.writeLocked(context.Background(), p.lent[:n], nil)
	return err
}

func (p *plain) peek(context.Context, int) ([]byte, error) {
	return nil, fault.New(fault.Unsupported, "peek", p.addr, errors.New("the connection works on its socket so far")).WithHint("Read")
}

func (p *plain) discard(n int) error { return badLoan(p.addr, "discard", n, -1) }

// maxLoan is no more than it will be with rings.
func (p *plain) maxLoan() int { return MinRingSize / 2 }

func (p *plain) setReadDeadline(t time.Time) error {
	return p.move.deadline(&p.rtime, t, (*stream).setReadDeadline)
}

func (p *plain) setWriteDeadline(t time.Time) error {
	return p.move.deadline(&p.wtime, t, (*stream).setWriteDeadline)
}

// closeWrite ends a Write under way, then says that no byte will follow.
func (p *plain) closeWrite() error {
	if p.closed.Load() {
		return fault.New(fault.Closed, "close", p.addr, nil)
	}
	if p.shut.Swap(true) {
		return nil
	}
	if s := p.dir.out.Load(); s != nil {
		return s.closeWrite()
	}
	_ = p.wtime.set(longAgo)
	p.wmu.kick()
	if err := p.wmu.lock(context.Background(), func() error {
		if p.closed.Load() {
			return fault.New(fault.Closed, "close", p.addr, nil)
		}
		return nil
	}); err != nil {
		return err
	}
	defer p.wmu.unlock()
	if s := p.dir.out.Load(); s != nil { // it has moved meanwhile
		return s.closeWrite()
	}
	_ = p.wtime.set(time.Now().Add(time.Second))
	err := p.sendEnd()
	if fault.KindOf(err) == fault.PeerDied {
		return nil // nobody is left to be told
	}
	return err
}

// sendEnd is the last frame. The caller holds wmu.
func (p *plain) sendEnd() error {
	if p.said {
		return nil
	}
	p.said = true
	p.move.weEnded()
	return p.send(frameEnd, nil, nil)
}

// tryLockWriter locks wmu unless a Write is under way, or a loan.
func (p *plain) tryLockWriter() bool {
	p.paying.Lock()
	defer p.paying.Unlock()
	return p.wmu.tryLock()
}

// linger is how long Close waits for room to say that the end is an orderly
// one, if the peer has not read what came before.
const linger = time.Second

// close ends Reads at once, then says goodbye, unless a Write is under way:
// then the stream is cut, and the peer may know it.
func (p *plain) close() error {
	if p.closed.Swap(true) {
		return nil
	}
	moved := p.move.end()
	_ = p.rtime.set(longAgo)
	if !p.shut.Swap(true) && p.tryLockWriter() {
		if p.dir.out.Load() == nil {
			_ = p.wtime.set(time.Now().Add(linger))
			_ = p.sendEnd()
		}
		p.wmu.unlock()
	}
	p.wmu.kick()
	var err error
	if moved != nil {
		err = moved.close()
	}
	err = errors.Join(err, ignoreClosed(p.sock.Close()))
	p.rmu.Lock()
	defer p.rmu.Unlock()
	closeAll(p.fds)
	p.fds = nil
	p.move.abandon()
	return err
}
