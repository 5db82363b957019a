// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/parley-ipc/parley/fault"
)

// Claim is our ownership of a name, from Acquire to Close: while it lives the
// kernel holds a lock on the counters file for us, which is at once proof of
// life, registry entry and statistics (docs/formats/endpoint.md). Its methods
// may run at once.
type Claim struct {
	place    place
	counters *Counters
	keep     *holding // what is held in the registry; nil if nothing is
	bound    bool     // the socket came from somebody else and stays

	mu     sync.Mutex
	socket fs.FileInfo // what was bound at Path, if Bound said so; guarded by mu

	closeOnce sync.Once
	closeErr  error
}

// Acquire claims addr for this process and publishes its registry entry. If
// somebody alive owns it the error is fault.InUse and says who; what a dead
// owner left behind is replaced. For shm, unix and fifo it makes the runtime
// directory if need be and removes a stale socket or fifo, so that the caller
// can bind Path at once. It waits for ctx only while another process is
// making or removing the same entry.
//
// For tcp and tls the kernel decides who has the port: claim it after binding.
// inproc, exec and stdio have a claim in memory that nobody else sees, and so
// has everything on other systems than Linux.
func Acquire(ctx context.Context, addr Address) (*Claim, error) {
	return names{}.acquire(ctx, addr, false)
}

// AcquireBound is Acquire for a socket that already listens at addr because
// whoever started us bound it (systemd's LISTEN_FDS). It neither probes nor
// removes the socket, and nor does Close.
func AcquireBound(ctx context.Context, addr Address) (*Claim, error) {
	return names{}.acquire(ctx, addr, true)
}

func (n names) acquire(ctx context.Context, addr Address, bound bool) (*Claim, error) {
	if ctx.Err() != nil {
		return nil, fault.Wrap("listen", addr.String(), context.Cause(ctx))
	}
	p, err := n.toListen(addr)
	if err != nil {
		return nil, err
	}
	c := &Claim{place: p, bound: bound, counters: new(Counters)}
	if err := c.hold(ctx, n); err != nil {
		return nil, err
	}
	return c, nil
}

// Path is the socket path (or the fifo's stem) to bind; empty for tcp, tls.
func (c *Claim) Path() string { return c.place.path }

// Mode is the permission to give the socket at Path: 0666 where policy is
// meant to decide who gets in (a shared runtime directory under /run/parley,
// or an absolute path), 0600 in a private runtime directory.
func (c *Claim) Mode() fs.FileMode { return c.place.mode }

// Address is the address that was claimed.
func (c *Claim) Address() Address { return c.place.addr }

// Counters are the endpoint's statistics, never nil. They stay usable after
// Close, for connections that outlive their listener.
func (c *Claim) Counters() *Counters { return c.counters }

// Bound tells the claim that its owner has bound Path, so that Close removes
// that very socket and no other. Without it Close probes.
func (c *Claim) Bound() error {
	st, err := os.Lstat(c.place.path)
	if err != nil {
		return c.place.failed(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.socket = st
	return nil
}

// Close removes the socket, then the registry entry, and gives up the name.
// Close the listener first: unless Bound was called, a socket that still
// answers is taken for a stranger's and left, with an error. It is idempotent.
func (c *Claim) Close() error {
	c.closeOnce.Do(func() {
		var err error
		if !c.bound {
			err = c.clear()
		}
		if c.keep != nil {
			err = errors.Join(err, c.keep.release())
		}
		c.closeErr = err
	})
	return c.closeErr
}

func (c *Claim) clear() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket == nil {
		return c.place.clear()
	}
	if st, err := os.Lstat(c.place.path); err != nil || !os.SameFile(st, c.socket) {
		return nil // gone, or somebody else's
	}
	return c.place.remove(c.place.path)
}
