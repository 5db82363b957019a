// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"errors"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// Refusal is what somebody met who should not get in.
type Refusal struct {
	Refused bool   `json:"refused"`
	Denied  bool   `json:"denied"` // it was told so; else it found the connection closed
	Bytes   int    `json:"bytes"`  // that it got from the other side
	Error   string `json:"error,omitempty"`

	ExitCode int `json:"exit_code,omitempty"` // exec: of the child
}

// intrudeTime is how long an intruder waits for an answer.
const intrudeTime = 5 * time.Second

// Intrude dials and asks a question that everyone who gets in is answered.
func Intrude(ctx context.Context, dial func(context.Context) (transport.Conn, error)) Refusal {
	ctx, cancel := context.WithTimeout(ctx, intrudeTime)
	defer cancel()
	conn, err := dial(ctx)
	if err != nil {
		return refusal(0, err)
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return Refusal{Error: err.Error()}
	}
	// Whether it can still be written is no proof: the answer is.
	_, wrote := conn.Write([]byte{byte(whoami)})
	var b [256]byte
	n, err := conn.Read(b[:])
	if err == nil {
		return Refusal{Bytes: n}
	}
	if child, ok := conn.(interface{ Wait(context.Context) error }); ok {
		err = errors.Join(err, child.Wait(ctx)) // its exit code is all that it can tell
	}
	return refusal(n, errors.Join(err, wrote))
}

// refusal: a connection that ends without a byte is one, a time-out is not.
// It may also be that nobody listens, or a child that has crashed: the caller
// asks the listener, or looks at the exit code.
func refusal(n int, err error) Refusal {
	kind := fault.KindOf(err)
	r := Refusal{
		Refused: n == 0 && kind != fault.Timeout && kind != fault.Canceled,
		Denied:  kind == fault.Denied,
		Bytes:   n,
		Error:   err.Error(),
	}
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		r.ExitCode = exit.ExitCode()
	}
	return r
}
