// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// Copy joins a and b until both directions have ended, and closes both. The
// end of one direction is passed on with CloseWrite while the other goes on; a
// slow reader slows its writer down, since at most one buffer is under way.
// Open files travel along where both sides are transport.FilePassers. If
// either side breaks, or ctx ends, both are closed at once; the error names
// the side that failed, "a" or "b", with its address.
func Copy(ctx context.Context, a, b transport.Conn) error {
	closeBoth := func() { _, _ = a.Close(), b.Close() }
	defer closeBoth()
	stop := context.AfterFunc(ctx, closeBoth)
	defer stop()

	ends := make(chan error, 2)
	go func() { ends <- pump{side{"a", a}, side{"b", b}}.run() }()
	go func() { ends <- pump{side{"b", b}, side{"a", a}}.run() }()
	first := <-ends
	if first != nil {
		closeBoth()
	}
	second := <-ends // if the first failed, this is but its consequence
	if first == nil {
		first = second
	}
	if first != nil && ctx.Err() != nil {
		return fault.Wrap("relay", "", context.Cause(ctx))
	}
	return first
}
