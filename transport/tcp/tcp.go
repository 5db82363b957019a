// SPDX-License-Identifier: Apache-2.0

package tcp

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/acceptor"
	"github.com/parley-ipc/parley/internal/sockdiag"
	"github.com/parley-ipc/parley/internal/tcpnet"
	"github.com/parley-ipc/parley/transport"
)

// Dial connects to a tcp:// address. Nobody there is fault.Unavailable; an
// address beyond loopback without ?insecure=true is fault.Denied.
func Dial(ctx context.Context, addr endpoint.Address, cfg transport.DialConfig) (*Conn, error) {
	cfg = cfg.WithDefaults()
	ctx, cancel := context.WithTimeout(ctx, cfg.HandshakeTimeout)
	defer cancel()
	sock, err := tcpnet.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &Conn{sock: sock, peer: identify(sock, sockdiag.ServerUID, cfg.Logger)}, nil
}

// Listen listens on a tcp:// address; port 0 takes any free one, which the
// listener's Address tells. A port that is taken is fault.InUse; an address
// beyond loopback without ?insecure=true is fault.Denied.
func Listen(ctx context.Context, addr endpoint.Address, cfg transport.ListenConfig) (transport.Listener, error) {
	ln, err := tcpnet.Listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	return listen(ctx, ln, addr, false, cfg)
}

// ListenOn listens on a TCP socket that somebody else bound, such as the
// service manager that started us, under the name addr. It owns ln from the
// call on, and closes it if it returns an error.
func ListenOn(ctx context.Context, ln net.Listener, addr endpoint.Address, cfg transport.ListenConfig) (transport.Listener, error) {
	tl, err := tcpnet.Adopt(ln, addr)
	if err != nil {
		return nil, err
	}
	return listen(ctx, tl, addr, true, cfg)
}

func listen(ctx context.Context, ln *net.TCPListener, addr endpoint.Address, passed bool, cfg transport.ListenConfig) (transport.Listener, error) {
	cfg = cfg.WithDefaults()
	claim, err := tcpnet.Enter(ctx, ln, addr, passed, cfg.Logger)
	if err != nil {
		return nil, err
	}
	return acceptor.New(acceptor.Config{
		ListenConfig: cfg,
		Raw:          ln,
		Address:      claim.Address,
		Counters:     claim.Counters,
		Release:      claim.Release,
		Handshake: func(_ context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
			return accept(raw, authorize, claim.Counters, cfg.Logger)
		},
	}), nil
}

func accept(raw net.Conn, authorize func(auth.Identity) error, counters *endpoint.Counters, logger *slog.Logger) (transport.Conn, error) {
	sock, ok := raw.(*net.TCPConn)
	if !ok {
		return nil, errors.New("not a tcp socket")
	}
	c := &Conn{sock: sock, peer: identify(sock, sockdiag.ClientUID, logger)}
	if err := authorize(c.peer); err != nil {
		return c, err
	}
	c.counters = counters
	return c, nil
}

// noGID is no group's number, as in chown(2): the kernel tells a socket's uid
// only, and 0 would be root's group.
const noGID = 1<<32 - 1

// identify asks the kernel, on loopback. Who cannot be known is anonymous.
func identify(sock *net.TCPConn, ask func(*net.TCPConn) (uint32, error), logger *slog.Logger) auth.Identity {
	uid, err := ask(sock)
	if err != nil {
		logger.Debug("peer unknown", "remote", sock.RemoteAddr().String(), "why", err)
		return auth.Identity{Method: auth.None}
	}
	return auth.FromUID(auth.SockDiag, uid, noGID)
}
