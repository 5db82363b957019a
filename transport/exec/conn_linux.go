// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	osexec "os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/loglines"
	"github.com/parley-ipc/parley/primitive/process"
	"github.com/parley-ipc/parley/transport"
)

// stage is where the stream runs. It begins as offered and changes once.
//
//	offered ──the child took the socket──▶ taken
//	   └──stdout was used, or the offer ran out, or a broken take──▶ plain
type stage int

const (
	offered stage = iota // over the pipes; the child may still take the socket
	plain                // over the pipes for good; the socket is closed
	taken                // over the socket; stdout goes to the logger
)

// Conn is the parent's side of a connection to a child. WriteFiles and
// ReadFiles carry files once the child has taken the offered socket.
type Conn struct {
	addr   endpoint.Address
	peer   auth.Identity
	logger *slog.Logger
	kid    *child

	stdin, stdout *os.File
	sock          *net.UnixConn
	offer         offer

	wmu sync.Mutex // held by the one Write under way
	rmu sync.Mutex // held by whoever reads stdout

	mu         sync.Mutex // guards what follows
	stage      stage
	offerErr   error // why stage became plain; nil if stdout was used
	writesMove bool  // GIVEN was sent: writes go to the socket
	halfClosed bool
	rdl, wdl   time.Time
	wtimer     *deadline // follows wdl, for what waits for something else than the stream
	rtimer     *deadline // follows rdl, likewise

	decided   chan struct{} // closed when stage is no longer offered
	closed    chan struct{} // closed by Close
	closeOnce sync.Once
	wg        sync.WaitGroup
}

var _ transport.FilePasser = (*Conn)(nil)

func newConn(addr endpoint.Address, cfg Config, e *ends, o offer, cmd *osexec.Cmd, proc *process.Process) *Conn {
	c := &Conn{
		addr: addr, peer: identity(cfg, cmd.Process.Pid), logger: cfg.Logger.With("child", addr.Args[0], "pid", cmd.Process.Pid),
		stdin: e.stdin, stdout: e.stdout, sock: e.sock, offer: o, wtimer: newDeadline(), rtimer: newDeadline(),
		decided: make(chan struct{}), closed: make(chan struct{}),
		kid: &child{cmd: cmd, proc: proc, grace: cfg.Grace, output: []*os.File{e.stdout}, reaped: make(chan struct{})},
	}
	c.kid.told, c.kid.tell = context.WithCancel(context.Background())
	if e.stderr != nil {
		c.kid.output = append(c.kid.output, e.stderr)
		c.relayStderr(e.stderr, cfg.Stderr)
	}
	c.wg.Go(c.kid.reap)
	c.wg.Go(func() { c.answerOffer(cfg.HandshakeTimeout) })
	return c
}

// relayStderr owns stderr. What left the child's group may hold it for ever:
// once the child was reaped, only what the pipe holds by then is read.
func (c *Conn) relayStderr(stderr *os.File, to io.Writer) {
	ended := make(chan struct{})
	c.wg.Go(func() {
		defer close(ended)
		if to == nil {
			loglines.Copy(stderr, c.logger, "stderr")
			return
		}
		if _, err := io.Copy(to, stderr); err != nil {
			_, _ = io.Copy(io.Discard, stderr) // lest the child wait for room
		}
	})
	c.wg.Go(func() {
		select {
		case <-c.kid.reaped:
			_ = stderr.SetReadDeadline(time.Now().Add(leftovers))
			<-ended
		case <-ended:
			<-c.kid.reaped // who holds it open still counts until then
		}
		_ = stderr.Close()
	})
}

// leftovers is the time to read what a dead child's pipes still hold.
const leftovers = 250 * time.Millisecond

// Peer implements transport.Conn: the child, by our own pidfd and the uid we
// gave it.
func (c *Conn) Peer() auth.Identity { return c.peer }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.addr.Addr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.addr.Addr() }

// Wait waits until the child has ended and returns nil if its exit status was
// 0, else an error in which errors.As finds an *ExitError. It does not make
// the child end: Close does.
func (c *Conn) Wait(ctx context.Context) error {
	select {
	case <-c.kid.reaped:
	case <-ctx.Done():
		return fault.Wrap("wait", c.addr.String(), context.Cause(ctx))
	}
	if err := c.kid.failure(nil); err != nil {
		return fault.New(fault.PeerDied, "wait", c.addr.String(), err)
	}
	return nil
}

// Close ends the child's stdin, gives it the grace to end, kills what is left
// of its process group, and returns once the child has been reaped. It is
// idempotent; how the child ended is for Wait to tell.
func (c *Conn) Close() error {
	c.closeOnce.Do(func() {
		close(c.closed)
		c.settle(plain, fault.New(fault.Closed, "dial", c.addr.String(), nil))
		_ = c.stdin.Close()
		_ = c.stdout.Close()
		// Not closed yet: with bytes of the child's unread, that would reset
		// the connection under a child that still reads ours.
		_ = c.shutdown(unix.SHUT_RDWR)
		c.kid.tell()
		<-c.kid.reaped
		_ = c.sock.Close()
		c.wg.Wait()
		c.wtimer.set(time.Time{})
		c.rtimer.set(time.Time{})
		_ = c.kid.proc.Close()
	})
	<-c.kid.reaped
	return nil
}

func (c *Conn) shutdown(how int) error {
	raw, err := c.sock.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := raw.Control(func(fd uintptr) { serr = unix.Shutdown(int(fd), how) }); err != nil {
		return err
	}
	return serr
}

// CloseWrite implements transport.Conn.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.halfClosed || c.isClosed() {
		return nil
	}
	c.halfClosed = true
	if c.writesMove {
		if err := c.sock.CloseWrite(); !errors.Is(err, syscall.ENOTCONN) {
			return err
		}
		return nil
	}
	return c.stdin.Close()
}

func (c *Conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rdl = t
	c.rtimer.set(t)
	if c.stage == taken { // stdout's deadline is then the logger's
		return deadlineError(c.addr, c.sock.SetReadDeadline(t))
	}
	return deadlineError(c.addr, c.stdout.SetReadDeadline(t))
}

// deadlineError is for files, which call a closed one by no name that others
// know. A file that never waits needs no deadline.
func deadlineError(addr endpoint.Address, err error) error {
	if err == nil || errors.Is(err, os.ErrNoDeadline) {
		return nil
	}
	return fault.New(fault.Closed, "set deadline", addr.String(), nil)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wdl = t
	c.wtimer.set(t)
	if c.writesMove {
		return deadlineError(c.addr, c.sock.SetWriteDeadline(t))
	}
	if err := c.stdin.SetWriteDeadline(t); !c.halfClosed {
		return deadlineError(c.addr, err)
	}
	return nil
}
