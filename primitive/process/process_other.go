// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/parley-ipc/parley/fault"
)

// Process needs Linux; elsewhere none can be made.
type Process struct{ _ int }

func unsupported(pid int) error {
	return fault.New(fault.Unsupported, "open process", strconv.Itoa(pid), errors.New("process handles need Linux's pidfd"))
}

// Open answers fault.Unsupported.
func Open(pid int) (*Process, error) { return nil, unsupported(pid) }

// FromFD answers fault.Unsupported, having closed pidfd.
func FromFD(pidfd *os.File) (*Process, error) {
	return nil, errors.Join(unsupported(0), pidfd.Close())
}

// Pid returns 0.
func (p *Process) Pid() int { return 0 }

// Alive returns false.
func (p *Process) Alive() bool { return false }

// Done returns nil, a channel that is never closed.
func (p *Process) Done() <-chan struct{} { return nil }

// Wait answers fault.Unsupported.
func (p *Process) Wait(context.Context) error { return unsupported(0) }

// Signal answers fault.Unsupported.
func (p *Process) Signal(syscall.Signal) error { return unsupported(0) }

// SignalGroup answers fault.Unsupported.
func (p *Process) SignalGroup(syscall.Signal) error { return unsupported(0) }

// Start answers fault.Unsupported.
func Start(*exec.Cmd, func(pid int) error) error { return unsupported(0) }

// Close does nothing.
func (p *Process) Close() error { return nil }

// Info answers fault.Unsupported.
func (p *Process) Info() (Info, error) { return Info{}, unsupported(0) }

// Exit answers fault.Unsupported.
func (p *Process) Exit() (Exit, error) { return Exit{}, unsupported(0) }

// SignalValue answers fault.Unsupported.
func (p *Process) SignalValue(syscall.Signal, int) error { return unsupported(0) }

// BlockSignals answers fault.Unsupported.
func BlockSignals(...syscall.Signal) error { return unsupported(0) }

// Receiver needs Linux; elsewhere none can be made.
type Receiver struct{ _ int }

// Receive answers fault.Unsupported.
func Receive(...syscall.Signal) (*Receiver, error) { return nil, unsupported(0) }

// Next answers fault.Unsupported.
func (r *Receiver) Next(context.Context) (Received, error) { return Received{}, unsupported(0) }

// Close does nothing.
func (r *Receiver) Close() error { return nil }
