// SPDX-License-Identifier: Apache-2.0

package unix

import (
	"context"
	"errors"
	"net"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/acceptor"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/transport"
)

// Dial connects to a unix:// address. Nobody there is fault.Unavailable.
func Dial(ctx context.Context, addr endpoint.Address, cfg transport.DialConfig) (*Conn, error) {
	cfg = cfg.WithDefaults()
	ctx, cancel := context.WithTimeout(ctx, cfg.HandshakeTimeout)
	defer cancel()
	path, err := endpoint.DialPath(addr)
	if err != nil {
		return nil, err
	}
	sock, err := unixconn.Dial(ctx, path, addr.String())
	if err != nil {
		return nil, err
	}
	peer, err := unixconn.PeerIdentity(sock)
	if err != nil {
		return nil, errors.Join(err, sock.Close())
	}
	return NewConn(sock, peer), nil
}

// Listen claims a unix:// address and listens on it.
func Listen(ctx context.Context, addr endpoint.Address, cfg transport.ListenConfig) (transport.Listener, error) {
	raw, claim, err := unixconn.Claim(ctx, addr)
	if err != nil {
		return nil, err
	}
	return listen(raw, addr, claim.Counters(), claim.Close, cfg), nil
}

// ListenOn listens on a socket that somebody else bound at addr, such as the
// service manager that started us. It becomes raw's owner, but never removes
// the socket's file.
func ListenOn(ctx context.Context, raw net.Listener, addr endpoint.Address, cfg transport.ListenConfig) (transport.Listener, error) {
	claim, err := endpoint.AcquireBound(ctx, addr)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return listen(raw, addr, claim.Counters(), claim.Close, cfg), nil
}

func listen(raw net.Listener, addr endpoint.Address, counters *endpoint.Counters, release func() error, cfg transport.ListenConfig) transport.Listener {
	return acceptor.New(acceptor.Config{
		ListenConfig: cfg,
		Raw:          raw,
		Address:      addr,
		Counters:     counters,
		Release:      release,
		Handshake: func(_ context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
			return identify(raw, authorize, counters)
		},
	})
}

func identify(raw net.Conn, authorize func(auth.Identity) error, counters *endpoint.Counters) (transport.Conn, error) {
	sock, ok := raw.(*net.UnixConn)
	if !ok {
		return nil, errors.New("not a unix stream socket")
	}
	peer, err := unixconn.PeerIdentity(sock)
	if err != nil {
		return nil, err
	}
	c := NewConn(sock, peer)
	if err := authorize(peer); err != nil {
		return c, err
	}
	c.counters = counters
	return c, nil
}
