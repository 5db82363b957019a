// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// Kind says what sort of failure happened. A Kind is itself an error, so that
// errors.Is(err, fault.Denied) works on any error that Parley returns.
//
// Kinds cross the wire by number: new ones are appended, none is renumbered.
type Kind uint8

// The kinds. docs/errors.md lists each with its cause and its remedy.
const (
	Other       Kind = iota // something failed that no other kind names
	Invalid                 // an argument, address or file is malformed
	Denied                  // policy, or the operating system, says no
	Unavailable             // nobody answers there (now): try again later
	Timeout                 // the time allowed for it ran out
	Canceled                // the caller's context was cancelled
	InUse                   // somebody alive has the name
	NotFound                // there is no such thing
	Protocol                // the peer broke the protocol or speaks another version
	TooLarge                // larger than a stated limit
	Exhausted               // memory, descriptors, space or a quota ran out
	Unsupported             // not on this platform, kernel or transport
	Closed                  // our own side was closed before
	PeerDied                // the peer ended without saying goodbye
	numKinds
)

var kindNames = [numKinds]string{
	Other: "failed", Invalid: "invalid", Denied: "denied", Unavailable: "unavailable",
	Timeout: "timed out", Canceled: "cancelled", InUse: "in use", NotFound: "not found",
	Protocol: "protocol error", TooLarge: "too large", Exhausted: "exhausted",
	Unsupported: "unsupported", Closed: "closed", PeerDied: "peer died",
}

// Kinds returns every kind, in wire order.
func Kinds() []Kind {
	ks := make([]Kind, numKinds)
	for i := range ks {
		ks[i] = Kind(i)
	}
	return ks
}

// Error returns the kind's name; an unknown number reads as "failed".
func (k Kind) Error() string {
	if k >= numKinds {
		return kindNames[Other]
	}
	return kindNames[k]
}

// Error is a failure with its operation, its object, its kind and a remedy.
// Its fields are immutable once it has been returned.
type Error struct {
	Op   string // what failed: "dial", "listen", "send"
	Addr string // on what: an address, a path, a name; may be empty
	Kind Kind
	Err  error  // why; may be nil
	Hint string // what to do about it; may be empty
}

// New returns an *Error of the given kind. why may be nil.
func New(kind Kind, op, addr string, why error) *Error {
	return &Error{Op: op, Addr: addr, Kind: kind, Err: why}
}

// Wrap returns an *Error whose kind is KindOf(why), or nil if why is nil.
func Wrap(op, addr string, why error) error {
	if why == nil {
		return nil
	}
	return &Error{Op: op, Addr: addr, Kind: KindOf(why), Err: why}
}

// WithHint returns a copy of e that tells what to do about it.
func (e *Error) WithHint(hint string) *Error {
	c := *e
	c.Hint = hint
	return &c
}

// Error reads "op addr: why (hint)".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Addr != "" {
		b.WriteString(" " + e.Addr)
	}
	if why := e.why(); why != "" {
		b.WriteString(": " + why)
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return strings.TrimSpace(b.String())
}

func (e *Error) why() string {
	switch {
	case e.Err == nil:
		return e.Kind.Error()
	case e.Kind == Other || strings.Contains(e.Err.Error(), e.Kind.Error()):
		return e.Err.Error()
	default:
		return e.Kind.Error() + ": " + e.Err.Error()
	}
}

// Unwrap makes both the kind and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Timeout makes *Error a net.Error.
func (e *Error) Timeout() bool { return e.Kind == Timeout }

// Temporary makes *Error a net.Error; it is never true, as net.Error advises.
func (e *Error) Temporary() bool { return false }

// Is lets errors.Is match the standard library's words for the same thing:
// net.ErrClosed, os.ErrDeadlineExceeded, fs.ErrPermission and fs.ErrNotExist.
func (e *Error) Is(target error) bool {
	switch target {
	case net.ErrClosed:
		return e.Kind == Closed
	case os.ErrDeadlineExceeded:
		return e.Kind == Timeout
	case fs.ErrPermission:
		return e.Kind == Denied
	case fs.ErrNotExist:
		return e.Kind == NotFound
	}
	return false
}

// KindOf returns the kind of err: its own if it has one, else the one that
// the standard library's error or the system's errno means, else Other.
func KindOf(err error) Kind {
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	for _, row := range byCause {
		if errors.Is(err, row.cause) {
			return row.kind
		}
	}
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return Timeout
	}
	return Other
}

var byCause = []struct {
	cause error
	kind  Kind
}{
	{context.Canceled, Canceled},
	{context.DeadlineExceeded, Timeout},
	{os.ErrDeadlineExceeded, Timeout},
	{net.ErrClosed, Closed},
	{os.ErrClosed, Closed},
	{syscall.ECONNREFUSED, Unavailable},
	{syscall.EADDRINUSE, InUse},
	{syscall.ECONNRESET, PeerDied},
	{syscall.EPIPE, PeerDied},
	{syscall.EMFILE, Exhausted},
	{syscall.ENFILE, Exhausted},
	{syscall.ENOSPC, Exhausted},
	{syscall.EDQUOT, Exhausted},
	{syscall.ENOMEM, Exhausted},
	{fs.ErrPermission, Denied},
	{syscall.EROFS, Denied},
	{fs.ErrNotExist, NotFound},
}
