// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// envBlocked tells a program that it has executed itself already.
const envBlocked = "PARLEY_SIGNALS_BLOCKED"

// BlockSignals makes sure that this program runs with sigs blocked in all of
// its threads, which Receive needs. Go's runtime starts threads before main
// and gives them the mask that the program was started with, so the only way
// is to be started with it: where it is not, BlockSignals executes the program
// anew, with its arguments and environment, and does not return. Call it first
// in main.
//
// Programs that this one starts inherit the mask, as the kernel has it: they
// do not notice these signals until they unblock them. os/signal must not be
// asked for any of them.
func BlockSignals(sigs ...syscall.Signal) error {
	set := setOf(sigs)
	missing, err := unblocked(sigs)
	if err != nil || len(missing) == 0 {
		return errors.Join(err, os.Unsetenv(envBlocked))
	}
	if os.Getenv(envBlocked) != "" {
		return fault.New(fault.Unsupported, "block signals", "", fmt.Errorf("%v are not blocked although we were started so", missing))
	}
	exe, err := os.Executable()
	if err != nil {
		return fault.Wrap("block signals", "", err)
	}
	runtime.LockOSThread() // the mask is the thread's, and passed on by exec
	defer runtime.UnlockOSThread()
	var old unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old); err != nil {
		return fault.Wrap("block signals", "", os.NewSyscallError("rt_sigprocmask", err))
	}
	err = syscall.Exec(exe, os.Args, append(os.Environ(), envBlocked+"=1"))
	return fault.Wrap("block signals", exe, errors.Join(err, unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)))
}

func setOf(sigs []syscall.Signal) (set unix.Sigset_t) {
	bits := 8 * sizeOfWord(set)
	for _, s := range sigs {
		set.Val[(int(s)-1)/bits] |= 1 << ((int(s) - 1) % bits)
	}
	return set
}

// unblocked are those of sigs that some thread of ours would be given.
func unblocked(sigs []syscall.Signal) ([]syscall.Signal, error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, err
	}
	var missing []syscall.Signal
	for _, t := range threads {
		mask, err := maskOf(t.Name())
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		for _, s := range sigs {
			if s < 1 || s > 64 || s == unix.SIGKILL || s == unix.SIGSTOP {
				return nil, fault.New(fault.Invalid, "block signals", "", fmt.Errorf("signal %d cannot be blocked", s))
			}
			if mask>>(s-1)&1 == 0 {
				missing = append(missing, s)
			}
		}
	}
	return missing, nil
}

func maskOf(tid string) (mask uint64, err error) {
	b, err := os.ReadFile("/proc/self/task/" + tid + "/status")
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(b), "\nSigBlk:\t")
	if !ok {
		return 0, fmt.Errorf("%w: no SigBlk in /proc/self/task/%s/status", fault.Protocol, tid)
	}
	_, err = fmt.Sscanf(rest, "%x", &mask)
	return mask, err
}

// Receiver receives signals with their senders. Its methods may run at once.
type Receiver struct {
	file *os.File // the signalfd, ours alone, in the poller

	mu sync.Mutex // held by the one Next at work
}

// Receive receives sigs, which BlockSignals must have blocked in this program:
// otherwise it is fault.Invalid.
func Receive(sigs ...syscall.Signal) (*Receiver, error) {
	missing, err := unblocked(sigs)
	if err != nil {
		return nil, fault.Wrap("receive signals", "", err)
	}
	if len(missing) > 0 || len(sigs) == 0 {
		return nil, fault.New(fault.Invalid, "receive signals", "", fmt.Errorf("%v are not blocked", missing)).
			WithHint("call process.BlockSignals with them first in main")
	}
	set := setOf(sigs)
	fd, err := unix.Signalfd(-1, &set, unix.SFD_NONBLOCK|unix.SFD_CLOEXEC)
	if err != nil {
		return nil, fault.Wrap("receive signals", "", os.NewSyscallError("signalfd", err))
	}
	return &Receiver{file: os.NewFile(uintptr(fd), "signalfd")}, nil
}

// Next waits for a signal until ctx ends or the Receiver is closed.
func (r *Receiver) Next(ctx context.Context) (Received, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.file.SetReadDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { _ = r.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var b [signalfdInfoSize]byte
	_, err := io.ReadFull(r.file, b[:])
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Received{}, fault.Wrap("receive signals", "", err)
	}
	return receivedFrom(&b), nil
}

// Close ends a Next under way with fault.Closed. Signals stay blocked.
func (r *Receiver) Close() error { return fault.Wrap("receive signals", "", r.file.Close()) }
