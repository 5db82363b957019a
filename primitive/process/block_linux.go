// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// envBlocked tells a program that it has executed itself already, and which
// signals it blocked before it did: a mask in hexadecimal digits.
const envBlocked = "PARLEY_SIGNALS_BLOCKED"

// blockedByUs is that mask: 0 in a program that has not executed itself. It is
// a fact about this process, read once, and our own children shall not find it.
var blockedByUs = sync.OnceValue(func() uint64 {
	text, ok := os.LookupEnv(envBlocked)
	if !ok {
		return 0
	}
	_ = os.Unsetenv(envBlocked) // fails for no name that is one
	mask, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return 0
	}
	return mask
})

// BlockSignals makes sure that this program runs with sigs blocked in all of
// its threads, which Receive needs. Go's runtime starts threads before main
// and gives them the mask that the program was started with, so the only way
// is to be started with it: where it is not, BlockSignals executes the program
// anew, with its arguments and environment, and does not return. Call it first
// in main; what comes of these signals earlier meets Go's own handlers.
//
// Programs that this one starts inherit the mask, as the kernel has it, and do
// not notice these signals until they unblock them: start them with Start, as
// package child does. os/signal must not be asked for any of sigs.
func BlockSignals(sigs ...syscall.Signal) error {
	missing, err := unblocked(sigs)
	tried := blockedByUs()
	if err != nil || len(missing) == 0 {
		return err
	}
	if again := maskOf(missing) & tried; again != 0 {
		return fault.New(fault.Unsupported, "block signals", "", fmt.Errorf("%v are not blocked although we were started so", missing))
	}
	exe, err := thisProgram()
	if err != nil {
		return fault.Wrap("block signals", "", err)
	}
	runtime.LockOSThread() // the mask is the thread's, and passed on by exec
	defer runtime.UnlockOSThread()
	set := setOf(missing)
	var old unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old); err != nil {
		return fault.Wrap("block signals", "", os.NewSyscallError("rt_sigprocmask", err))
	}
	mark := envBlocked + "=" + strconv.FormatUint(tried|maskOf(missing), 16)
	err = syscall.Exec(exe, os.Args, append(os.Environ(), mark))
	return fault.Wrap("block signals", exe, errors.Join(err, unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)))
}

// thisProgram is a path of the very file that runs, even if another one has
// its name by now.
func thisProgram() (string, error) {
	const self = "/proc/self/exe"
	running, err := os.Stat(self)
	if err != nil {
		return "", err
	}
	path, err := os.Executable()
	if err != nil {
		return self, nil //nolint:nilerr // it has no name, and needs none
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(named, running) {
		return self, nil //nolint:nilerr // upgraded or removed since
	}
	return path, nil
}

// maskOf has bit n-1 for signal n, as the kernel has it.
func maskOf(sigs []syscall.Signal) (mask uint64) {
	for _, s := range sigs {
		mask |= 1 << (s - 1)
	}
	return mask
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
	for _, s := range sigs {
		if s < 1 || s > 64 || s == unix.SIGKILL || s == unix.SIGSTOP {
			return nil, fault.New(fault.Invalid, "block signals", "", fmt.Errorf("signal %d cannot be blocked", s))
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, fault.Wrap("block signals", "", err)
	}
	everywhere := ^uint64(0)
	for _, t := range threads {
		mask, err := maskOfThread(t.Name())
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, fault.Wrap("block signals", "", err)
		}
		everywhere &= mask
	}
	var missing []syscall.Signal
	for _, s := range sigs {
		if everywhere>>(s-1)&1 == 0 {
			missing = append(missing, s)
		}
	}
	return missing, nil
}

func maskOfThread(tid string) (mask uint64, err error) {
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
