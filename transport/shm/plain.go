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
//	     0  kind    u8   frameData, frameEnd (no bytes will follow)
//	     1  files   u8   descriptors that come with the frame's first byte
//	     2  zero    u16
//	     4  length  u32  of the data that follow: 1 to maxFrame, 0 for frameEnd
const (
	frameData = 0x11
	frameEnd  = 0x12
	frameHead = 8

	// maxFrame keeps a frame within one socket buffer, which the kernel takes
	// whole or not at all: a Write that times out leaves no half of a frame.
	maxFrame = 16 << 10
)

// plain is a connection over its socket alone.
type plain struct {
	sock     *net.UnixConn
	raw      syscall.RawConn
	counters *endpoint.Counters
	addr     string

	closed atomic.Bool

	rmu   sync.Mutex
	from  receiver
	head  []byte  // guarded by rmu: the frame's head as far as it has come
	left  int     // guarded by rmu: data of the frame that have not been read
	fds   []int   // guarded by rmu: of the frame whose first byte is next
	rerr  error   // guarded by rmu: what every further Read answers
	rtime restore // read deadline

	wmu   gate
	shut  atomic.Bool
	lent  []byte // guarded by wmu: what Reserve lends
	loan  atomic.Int64
	wtime restore
}

func newPlain(sock *net.UnixConn, addr string, opts Options) (*plain, error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return nil, err
	}
	p := &plain{sock: sock, raw: raw, addr: addr, counters: opts.Counters, head: make([]byte, 0, frameHead)}
	p.rtime.apply, p.wtime.apply = sock.SetReadDeadline, sock.SetWriteDeadline
	return p, nil
}

func (p *plain) read(ctx context.Context, b []byte, take bool) (n int, files []*os.File, err error) {
	p.rmu.Lock()
	defer p.rmu.Unlock()
	if err := p.stopped(ctx, "read"); err != nil || len(b) == 0 {
		return 0, nil, err
	}
	defer p.rtime.until(ctx)()
	if n, err = p.readFrame(b); err != nil {
		if stop := p.stopped(ctx, "read"); stop != nil {
			return 0, nil, stop
		}
		return 0, nil, err
	}
	p.counters.BytesIn.Add(uint64(n))
	p.counters.FilesIn.Add(uint64(len(p.fds)))
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
		if err := p.readHead(); err != nil {
			return 0, p.remember(err)
		}
	}
	n, fds, err := p.receive(b[:min(len(b), p.left)])
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

func (p *plain) readHead() error {
	for len(p.head) < frameHead {
		n, fds, err := p.receive(p.head[len(p.head):frameHead])
		if err != nil {
			return err
		}
		p.fds = append(p.fds, fds...)
		p.head = p.head[:len(p.head)+n]
	}
	kind, files, length := p.head[0], int(p.head[1]), binary.LittleEndian.Uint32(p.head[4:])
	p.head = p.head[:0]
	switch {
	case files != len(p.fds) || files > transport.MaxFiles:
		return fault.New(fault.Protocol, "read", p.addr, errLooseFile)
	case kind == frameEnd && length == 0 && files == 0:
		return io.EOF
	case kind != frameData || length == 0 || length > maxFrame:
		return fault.New(fault.Protocol, "read", p.addr, fmt.Errorf("a frame of kind %#x with %d bytes", kind, length))
	}
	p.left = int(length)
	return nil
}

// receive reads at least one byte; the end of the socket is a death, for an
// end has a frame of its own.
func (p *plain) receive(b []byte) (n int, fds []int, err error) {
	var rerr error
	err = p.raw.Read(func(fd uintptr) bool {
		n, fds, rerr = p.from.receive(int(fd), b)
		return !errors.Is(rerr, errWouldWait)
	})
	if err == nil {
		err = rerr
	}
	if err == nil && n == 0 || isGone(err) {
		err = fault.New(fault.PeerDied, "read", p.addr, errDied)
	}
	return n, fds, fault.Wrap("read", p.addr, err)
}

// remember keeps an error that no later Read can undo.
func (p *plain) remember(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
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
	defer p.wmu.unlock()
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
	fds, err := descriptors(files)
	if err != nil {
		return 0, err
	}
	if err := p.lockWriter(context.Background(), "send files"); err != nil {
		return 0, err
	}
	defer p.wmu.unlock()
	n, err := p.writeLocked(context.Background(), b, fds)
	runtime.KeepAlive(files)
	return n, err
}

func (p *plain) writeLocked(ctx context.Context, b []byte, fds []int) (int, error) {
	if err := p.writable(ctx, "write"); err != nil {
		return 0, err
	}
	defer p.wtime.until(ctx)()
	n := 0
	for n < len(b) {
		m := min(len(b)-n, maxFrame)
		err := p.send(frameData, b[n:n+m], fds)
		if err != nil {
			if stop := p.writable(ctx, "write"); stop != nil {
				err = stop
			}
			return n, err
		}
		p.counters.BytesOut.Add(uint64(m))
		p.counters.FilesOut.Add(uint64(len(fds)))
		n, fds = n+m, nil
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
	if err := p.writable(ctx, "reserve"); err != nil {
		p.wmu.unlock()
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
	defer p.wmu.unlock()
	_, err := p.writeLocked(context.Background(), p.lent[:n], nil)
	return err
}

func (p *plain) peek(context.Context, int) ([]byte, error) {
	return nil, fault.New(fault.Unsupported, "peek", p.addr, errors.New("the connection works on its socket")).WithHint("Read")
}

func (p *plain) discard(n int) error { return badLoan(p.addr, "discard", n, -1) }

func (p *plain) maxLoan() int { return MinRingSize }

func (p *plain) setReadDeadline(t time.Time) error { return p.rtime.set(t) }

func (p *plain) setWriteDeadline(t time.Time) error { return p.wtime.set(t) }

// closeWrite ends a Write under way, then says that no byte will follow.
func (p *plain) closeWrite() error {
	if p.closed.Load() {
		return fault.New(fault.Closed, "close", p.addr, nil)
	}
	if p.shut.Swap(true) {
		return nil
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
	_ = p.wtime.set(time.Now().Add(time.Second))
	err := p.send(frameEnd, nil, nil)
	if fault.KindOf(err) == fault.PeerDied {
		return nil // nobody is left to be told
	}
	return err
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
	_ = p.rtime.set(longAgo)
	if !p.shut.Swap(true) && p.wmu.tryLock() {
		_ = p.wtime.set(time.Now().Add(linger))
		_ = p.send(frameEnd, nil, nil)
		p.wmu.unlock()
	}
	p.wmu.kick()
	err := p.sock.Close()
	p.rmu.Lock()
	defer p.rmu.Unlock()
	closeAll(p.fds)
	p.fds = nil
	return err
}
