// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

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
	fmt.Fprintf(a.err, "parley: %v\n", err)
	return codeOf(err)
}

func codeOf(err error) int {
	var usage usageError
	if errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command") {
		return exitUsage
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
