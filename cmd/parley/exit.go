// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/parley-ipc/parley/fault"
)

// The exit codes, as the help states them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDenied      = 3
	exitUnavailable = 4

	exitOwnFailure    = 125 // commands that run a CMD: we failed, not it
	exitNotExecutable = 126
	exitNotFound      = 127
)

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// failedError is a failure of the work itself: exit code 1, whatever its kind.
type failedError struct{ error }

func (e failedError) Unwrap() error { return e.error }

// codeError ends the process with the code of a CMD that it ran. It has been
// reported already, or there is nothing to report.
type codeError int

func (e codeError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitCode reports err to the person and says how the process should end.
func (a *app) exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	var code codeError
	if errors.As(err, &code) {
		return int(code)
	}
	fmt.Fprintf(a.err, "parley: %s\n", withAdvice(err))
	return codeOf(err)
}

// withAdvice is the text of err, in which peers and names have a say, without
// what a terminal would obey; a full descriptor table can show itself in
// any call, so what to do about it is said here.
func withAdvice(err error) string {
	text := err.Error()
	if errors.Is(err, syscall.EMFILE) && !strings.Contains(text, "ulimit") {
		text += " (the descriptor table is full: raise `ulimit -n`)"
	}
	return harmlessLines(text)
}

// hinted adds what to do where the system denied us a file and nothing says
// more.
func hinted(err error, hint string) error {
	var e *fault.Error
	if errors.As(err, &e) && e.Kind == fault.Denied && e.Hint == "" {
		return e.WithHint(hint)
	}
	return err
}

func codeOf(err error) int {
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	if answered := (*statusError)(nil); errors.As(err, &answered) {
		return answered.exitCode()
	}
	if failed := (failedError{}); errors.As(err, &failed) {
		return exitFailed
	}
	switch fault.KindOf(err) {
	case fault.Invalid:
		return exitUsage
	case fault.Denied:
		return exitDenied
	case fault.Timeout, fault.Unavailable:
		return exitUnavailable
	}
	return exitFailed
}
