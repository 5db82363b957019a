// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"context"
	"errors"
	"log/slog"
	"time"

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

// Dial connects to address with the zero Dialer.
func Dial(ctx context.Context, address string) (transport.Conn, error) {
	return (&Dialer{}).Dial(ctx, address)
}

// Dialer connects by address. Its zero value works; a Dialer may be used by
// many goroutines at once as long as its fields do not change.
type Dialer struct {
	// WaitFor is how long to wait for a listener that is not there yet, or
	// that ends before it has accepted us. Default 0: either is an error at
	// once.
	WaitFor time.Duration

	// HandshakeTimeout bounds what comes between the connect and the first
	// byte of payload. Default 5 s.
	HandshakeTimeout time.Duration

	// AllowExec accepts exec: addresses. Set it only where the address comes
	// from the program itself or from a person at the command line: never from
	// the environment, a file or the network.
	AllowExec bool

	TLS  tls.Config  // tls: certificates, authorities, server name
	SHM  shm.Options // shm: ring size, spinning, trust, budget
	Exec exec.Config // exec: environment, directory, grace

	// Logger gets what cannot be returned, such as a child's stderr.
	// Default: discarded.
	Logger *slog.Logger
}

// Dial connects to address. Its errors have a fault.Kind: Invalid for an
// address that is none, Unavailable where nobody listens, Denied where policy
// says no and the protocol can tell, Timeout where ctx ended first.
func (d *Dialer) Dial(ctx context.Context, address string) (transport.Conn, error) {
	addr, err := endpoint.Parse(address)
	if err != nil {
		return nil, err
	}
	return d.DialAddress(ctx, addr)
}

// DialAddress is Dial for a parsed address.
func (d *Dialer) DialAddress(ctx context.Context, addr endpoint.Address) (transport.Conn, error) {
	dial, err := d.backend(addr)
	if err != nil {
		return nil, err
	}
	if d.WaitFor > 0 {
		return waitFor(ctx, d.WaitFor, addr, dial)
	}
	return dial(ctx)
}

type dialFunc func(context.Context) (transport.Conn, error)

func (d *Dialer) backend(addr endpoint.Address) (dialFunc, error) {
	common := transport.DialConfig{HandshakeTimeout: d.HandshakeTimeout, Logger: d.Logger}
	switch addr.Scheme {
	case endpoint.Inproc:
		return func(ctx context.Context) (transport.Conn, error) { return conn(inproc.Dial(ctx, addr, common)) }, nil
	case endpoint.SHM:
		cfg := shm.DialConfig{DialConfig: common, Options: d.SHM}
		return func(ctx context.Context) (transport.Conn, error) { return conn(shm.Dial(ctx, addr, cfg)) }, nil
	case endpoint.Unix:
		return func(ctx context.Context) (transport.Conn, error) { return conn(unix.Dial(ctx, addr, common)) }, nil
	case endpoint.TCP:
		return func(ctx context.Context) (transport.Conn, error) { return conn(tcp.Dial(ctx, addr, common)) }, nil
	case endpoint.TLS:
		return func(ctx context.Context) (transport.Conn, error) { return conn(tls.Dial(ctx, addr, common, d.TLS)) }, nil
	case endpoint.FIFO:
		return func(ctx context.Context) (transport.Conn, error) { return conn(fifo.Dial(ctx, addr, common)) }, nil
	case endpoint.Exec:
		if !d.AllowExec {
			return nil, fault.New(fault.Denied, "dial", addr.String(), errors.New("it would run a program")).
				WithHint("set Dialer.AllowExec where the address comes from the program itself or from a person")
		}
		cfg := d.Exec
		cfg.DialConfig = common
		return func(ctx context.Context) (transport.Conn, error) { return conn(exec.Dial(ctx, addr, cfg)) }, nil
	case endpoint.Stdio:
		return func(ctx context.Context) (transport.Conn, error) { return conn(exec.Stdio(ctx, common)) }, nil
	case endpoint.Mem:
		return nil, fault.New(fault.Invalid, "dial", addr.String(), errors.New("it names an engine, not a connection")).
			WithHint("open it with engine.Open, or parley pub and sub")
	}
	return nil, fault.New(fault.Invalid, "dial", addr.String(), errors.New("no transport has this scheme"))
}

// conn keeps a nil pointer of a backend from becoming a non-nil Conn.
func conn[C transport.Conn](c C, err error) (transport.Conn, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}
