// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"context"
	"errors"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/exec"
	"github.com/parley-ipc/parley/transport/fifo"
	"github.com/parley-ipc/parley/transport/inproc"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/tcp"
	"github.com/parley-ipc/parley/transport/tls"
	"github.com/parley-ipc/parley/transport/unix"
)

// Listen listens on address with the zero ListenConfig, which admits our own
// uid and root only.
func Listen(ctx context.Context, address string) (transport.Listener, error) {
	return (&ListenConfig{}).Listen(ctx, address)
}

// ListenConfig listens by address. Its zero value works.
type ListenConfig struct {
	transport.ListenConfig // policy, time limits, caps, logger

	TLS tls.Config  // tls: certificate, key, authority for clients
	SHM shm.Options // shm: ring size, spinning, trust, budget
}

// Listen claims address and accepts what policy lets in. A name whose owner
// has died is taken over; one that is alive is fault.InUse and says who has
// it. ctx bounds Listen itself, not the listener.
//
// A socket that systemd passed (LISTEN_FDS) and that is bound to the same
// address is used instead of a new one.
func (lc *ListenConfig) Listen(ctx context.Context, address string) (transport.Listener, error) {
	addr, err := endpoint.Parse(address)
	if err != nil {
		return nil, err
	}
	return lc.ListenAddress(ctx, addr)
}

// ListenAddress is Listen for a parsed address.
func (lc *ListenConfig) ListenAddress(ctx context.Context, addr endpoint.Address) (transport.Listener, error) {
	if ln, err := lc.inherited(ctx, addr); ln != nil || err != nil {
		return ln, err
	}
	switch addr.Scheme {
	case endpoint.Inproc:
		return inproc.Listen(ctx, addr, lc.ListenConfig)
	case endpoint.SHM:
		return shm.Listen(ctx, addr, shm.ListenConfig{ListenConfig: lc.ListenConfig, Options: lc.SHM})
	case endpoint.Unix:
		return unix.Listen(ctx, addr, lc.ListenConfig)
	case endpoint.TCP:
		return tcp.Listen(ctx, addr, lc.ListenConfig)
	case endpoint.TLS:
		return tls.Listen(ctx, addr, lc.ListenConfig, lc.TLS)
	case endpoint.FIFO:
		return fifo.Listen(ctx, addr, lc.ListenConfig)
	case endpoint.Stdio:
		return exec.ListenStdio(ctx, addr, lc.ListenConfig)
	case endpoint.Exec:
		return nil, fault.New(fault.Invalid, "listen", addr.String(), errors.New("exec: can only be dialled")).
			WithHint("the child listens on stdio:")
	case endpoint.Mem:
		return nil, fault.New(fault.Invalid, "listen", addr.String(), errors.New("it names an engine, not a connection")).
			WithHint("open it with engine.Open, or parley pub and sub")
	}
	return nil, fault.New(fault.Invalid, "listen", addr.String(), errors.New("no transport has this scheme"))
}
