// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"errors"
	"os"
	osexec "os/exec"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/process"
	"github.com/parley-ipc/parley/transport"
)

// Process is one life of a child: a supervised child has one after the other.
// Its methods may be called at once.
type Process struct {
	cfg      Config
	proc     *process.Process
	peer     auth.Identity
	started  time.Time
	attached bool // found alive, not started by us

	forgotten atomic.Bool // found, and left alone

	mu       sync.Mutex
	conn     transport.Conn // guarded by mu; immutable once anybody else has the Process
	protocol uint32

	quit context.Context // ended by kill
	kill context.CancelFunc

	done    chan struct{} // closed once it is reaped; what follows is set by then
	err     error
	stopped bool // it ended because we made it
}

func newProcess(cfg Config, proc *process.Process, peer auth.Identity) *Process {
	p := &Process{cfg: cfg, proc: proc, peer: peer, started: time.Now(), done: make(chan struct{})}
	p.quit, p.kill = context.WithCancel(context.Background())
	return p
}

// Conn is the connection to the child, nil for a Plain one. Whoever uses it
// may close it.
func (p *Process) Conn() transport.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn
}

// Protocol is the version of the application's protocol that both agreed on.
func (p *Process) Protocol() uint32 { return p.protocol }

// PID is for people to read.
func (p *Process) PID() int { return p.peer.PID }

// Peer says who the child is: by our own pidfd and the uid we gave it, or, for
// one that was found again, by what the kernel says of its socket.
func (p *Process) Peer() auth.Identity { return p.peer }

// Attached reports that the child was found alive, having survived an earlier
// life of ours.
func (p *Process) Attached() bool { return p.attached }

// Signal sends sig to the child, never to a later process with its number.
func (p *Process) Signal(sig unix.Signal) error { return p.proc.Signal(sig) }

// Done is closed when the child has ended and its output has been read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended, once Done is closed: nil for exit status 0.
// errors.As finds an *ExitError in it, but not for one that was found again:
// the kernel tells how a process ended to its parent only.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// endedByItself is told once Done is closed.
func (p *Process) endedByItself() bool { return !p.stopped }

// ExitError is how a child ended that did not end well.
type ExitError struct{ *os.ProcessState }

// Error reads "exit status 3" or "signal: killed".
func (e *ExitError) Error() string { return e.ProcessState.String() }

var errUnknownEnd = errors.New("it ended; how is known to nobody, since we are not its parent")

// reap sees a process that we started through to its end. Until it is reaped
// nobody else can have its number, nor its group's.
func (p *Process) reap(cmd *osexec.Cmd, out *output) {
	select {
	case <-p.proc.Done():
	case <-p.quit.Done():
	}
	p.stopped = p.proc.Alive()
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // the leader is ours to reap: the number is no other group's
	_ = p.proc.Signal(unix.SIGKILL)               // should it have joined another group
	<-p.proc.Done()
	out.finish()
	err := cmd.Wait()
	if state := cmd.ProcessState; state != nil && !state.Success() {
		err = fault.New(fault.PeerDied, "child", p.cfg.Name, &ExitError{state})
	}
	p.end(err)
}

// end settles how it ended, and lets go of everything.
func (p *Process) end(err error) {
	p.err = err
	p.kill()
	if c := p.Conn(); c != nil {
		_ = c.Close()
	}
	_ = p.proc.Close()
	close(p.done)
}

// watch is reap for one that was found again.
func (p *Process) watch() {
	select {
	case <-p.proc.Done():
	case <-p.quit.Done():
	}
	if p.forgotten.Load() {
		p.end(nil)
		return
	}
	p.stopped = p.proc.Alive()
	_ = p.proc.SignalGroup(unix.SIGKILL) // before Linux 6.9 those whom the child started go on
	_ = p.proc.Signal(unix.SIGKILL)
	<-p.proc.Done()
	p.end(fault.New(fault.PeerDied, "child", p.cfg.Name, errUnknownEnd))
}

// ended is a context that ends with the process.
func (p *Process) ended() context.Context { return p.quit }

// forget lets go of a process that was found and not recognised: it goes on.
func (p *Process) forget() {
	p.forgotten.Store(true)
	p.kill()
	<-p.done
}
