// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func ownerOf(st fs.FileInfo) (uid uint32, known bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return sys.Uid, true
}

// hangups delivers each SIGHUP, until stop.
func hangups() (c <-chan os.Signal, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}

// passedOn delivers what parley run passes on to its CMD, until stop. SIGHUP is
// among that where it does not say that our terminal has gone.
func passedOn(terminal bool) (c <-chan os.Signal, stop func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	if !terminal {
		signal.Notify(signals, syscall.SIGHUP)
	}
	return signals, func() { signal.Stop(signals) }
}

// signalOf is the number of the signal that ended a command.
func signalOf(exit *os.ProcessState) int {
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return int(status.Signal())
	}
	return 0
}

// parseSignal reads a signal: TERM, SIGTERM, 15, RTMIN+2 or RTMAX-1.
func parseSignal(s string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n <= sigRTMax {
		return syscall.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if sig := unix.SignalNum("SIG" + name); sig != 0 {
		return sig, nil
	}
	for base, from := range map[string]int{"RTMIN": sigRTMin, "RTMAX": sigRTMax} {
		rest, ok := strings.CutPrefix(name, base)
		if !ok {
			continue
		}
		offset, err := strconv.Atoi(rest)
		if n := from + offset; (err == nil || rest == "") && n >= sigRTMin && n <= sigRTMax {
			return syscall.Signal(n), nil
		}
	}
	return 0, fmt.Errorf("%q is no signal: write a name such as TERM, USR1 or RTMIN+2, or a number from 1 to %d", s, sigRTMax)
}

// The real-time signals, as C programs see them: the C library keeps the first
// two for itself.
const (
	sigRTMin = 34
	sigRTMax = 64
)

// isOurs reports whether uid is what we act as.
func isOurs(uid uint32) bool { return uid == uint32(os.Geteuid()) }
