// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"

	"github.com/parley-ipc/parley/fault"
)

// Claim is our ownership of a name, from Claim to Close: while it lives the
// kernel holds a lock on the counters file for us, which is at once proof of
// life, registry entry and statistics (docs/formats/endpoint.md).
type Claim struct {
	addr     Address
	path     string
	counters *Counters
}

// Acquire claims addr for this process and publishes its registry entry. If
// somebody alive owns it the error is fault.InUse and says who; what a dead
// owner left behind is replaced. For shm, unix and fifo it makes the runtime
// directory if need be and removes a stale socket, so that the caller can
// bind Path at once.
func Acquire(ctx context.Context, addr Address) (*Claim, error) {
	return nil, fault.New(fault.Unsupported, "listen", addr.String(), errors.New("skeleton"))
}

// Path is the socket path (or the fifo's stem) to bind; empty for tcp, tls.
func (c *Claim) Path() string { return c.path }

// Address is the address that was claimed.
func (c *Claim) Address() Address { return c.addr }

// Counters are the endpoint's statistics, never nil.
func (c *Claim) Counters() *Counters { return c.counters }

// Close removes the socket, then the registry entry, and gives up the name.
// It is idempotent.
func (c *Claim) Close() error { return nil }

// DialPath returns the socket path behind a shm, unix or fifo address, having
// checked that the runtime directory it lies in belongs to whom it should.
func DialPath(addr Address) (string, error) {
	return "", fault.New(fault.Unsupported, "dial", addr.String(), errors.New("skeleton"))
}
