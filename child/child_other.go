// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package child

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

func unsupported(op string) error {
	return fault.New(fault.Unsupported, op, "", errors.New("supervised children need Linux"))
}

// Process is one life of a child. It needs Linux; elsewhere there is none.
type Process struct {
	cfg     Config
	started time.Time
}

// Conn is nil.
func (p *Process) Conn() transport.Conn { return nil }

// Protocol is 0.
func (p *Process) Protocol() uint32 { return 0 }

// PID is 0.
func (p *Process) PID() int { return 0 }

// Peer is nobody.
func (p *Process) Peer() auth.Identity { return auth.Identity{Method: auth.None} }

// Attached is false.
func (p *Process) Attached() bool { return false }

// Signal answers fault.Unsupported.
func (p *Process) Signal(syscall.Signal) error { return unsupported("signal child") }

// Done is nil.
func (p *Process) Done() <-chan struct{} { return nil }

// Err answers fault.Unsupported.
func (p *Process) Err() error { return unsupported("child") }

func (p *Process) endedByItself() bool { return true }

func (p *Process) kill() {}

func (p *Process) ended() context.Context { return context.Background() }

// ExitError is how a child ended that did not end well.
type ExitError struct{ *os.ProcessState }

// Error reads "exit status 3".
func (e *ExitError) Error() string { return e.ProcessState.String() }

func spawn(context.Context, Config) (*Process, error) { return nil, unsupported("start child") }

func attach(context.Context, Config) (*Process, error) { return nil, unsupported("attach to child") }

// Connect answers fault.Unsupported.
func Connect(context.Context, ListenConfig) (transport.Conn, uint32, error) {
	return nil, 0, unsupported("find parent")
}

// Listener needs Linux; elsewhere there is none.
type Listener struct{ transport.Listener }

// AcceptProtocol answers fault.Unsupported.
func (l *Listener) AcceptProtocol(context.Context) (transport.Conn, uint32, error) {
	return nil, 0, unsupported("accept")
}

// Address is empty.
func (l *Listener) Address() endpoint.Address { return endpoint.Address{} }

// Listen answers fault.Unsupported.
func Listen(context.Context, ListenConfig) (*Listener, error) { return nil, unsupported("find parent") }
