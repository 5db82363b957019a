// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/relay"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/exec"
)

// runOn runs a command, split like shell words, with conn as its stdin and
// stdout. What it returns carries the command's exit code.
func (a *app) runOn(ctx context.Context, conn transport.Conn, command string) error {
	addr, err := endpoint.Parse("exec:" + command)
	if err != nil {
		return a.ownFailure(usageError{fmt.Errorf("--exec: %w", err)}, exitOwnFailure)
	}
	child, err := exec.Dial(ctx, addr, exec.Config{Stderr: a.err})
	switch fault.KindOf(err) {
	case fault.NotFound:
		return a.ownFailure(err, exitNotFound)
	case fault.Denied:
		return a.ownFailure(err, exitNotExecutable)
	}
	if err != nil {
		return a.ownFailure(err, exitOwnFailure)
	}
	copied := relay.Copy(ctx, conn, child)
	_ = child.Close() // ends its stdin; after the grace it is killed
	var exit *exec.ExitError
	if err := child.Wait(ctx); errors.As(err, &exit) {
		return codeError(codeOfCommand(exit))
	}
	return copied
}

// ownFailure reports err and ends with a code that says it was not CMD's.
func (a *app) ownFailure(err error, code int) error {
	fmt.Fprintf(a.err, "parley: %s\n", withAdvice(err))
	return codeError(code)
}

// commandResult makes what went wrong around a CMD a failure of our own, so
// that each other code is CMD's.
func (a *app) commandResult(err error) error {
	var code codeError
	if err == nil || errors.As(err, &code) {
		return err
	}
	return a.ownFailure(err, exitOwnFailure)
}

// codeOfCommand is the command's exit code, or 128 and the signal, as shells
// count.
func codeOfCommand(exit *exec.ExitError) int {
	if code := exit.ExitCode(); code >= 0 {
		return code
	}
	return 128 + signalOf(exit.ProcessState)
}
