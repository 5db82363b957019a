// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/acceptor"
	"github.com/parley-ipc/parley/internal/tcpnet"
	"github.com/parley-ipc/parley/transport"
)

// Dial connects to a tls:// address. Nobody there is fault.Unavailable, a
// server whose certificate does not convince fault.Denied, a bad file of ours
// fault.Invalid. A server that refuses our certificate shows at the first Read.
func Dial(ctx context.Context, addr endpoint.Address, cfg transport.DialConfig, tc Config) (*Conn, error) {
	cfg = cfg.WithDefaults()
	ctx, cancel := context.WithTimeout(ctx, cfg.HandshakeTimeout)
	defer cancel()
	m, err := tc.load()
	if err != nil {
		return nil, err
	}
	sock, err := tcpnet.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	raw := &rawConn{TCPConn: sock}
	c := tls.Client(raw, tc.client(addr, m))
	if err := c.HandshakeContext(ctx); err != nil {
		_ = sock.Close()
		return nil, handshakeError(ctx, "dial", addr.String(), err)
	}
	skipped := tc.Base != nil && tc.Base.InsecureSkipVerify
	peer, err := identify(c.ConnectionState(), !skipped)
	if err != nil {
		_ = sock.Close()
		return nil, fault.New(fault.Denied, "dial", addr.String(), err)
	}
	raw.soft = true
	return &Conn{tls: c, raw: raw, peer: peer, dialled: addr.String()}, nil
}

// Listen listens on a tls:// address; port 0 takes any free one, which the
// listener's Address tells. A port that is taken is fault.InUse, a missing or
// bad certificate fault.Invalid.
func Listen(ctx context.Context, addr endpoint.Address, cfg transport.ListenConfig, tc Config) (transport.Listener, error) {
	cfg = cfg.WithDefaults()
	s, err := tc.source(addr, cfg.Logger)
	if err != nil {
		return nil, err
	}
	ln, err := tcpnet.Listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	claim, err := tcpnet.Enter(ctx, ln, addr, false, cfg.Logger)
	if err != nil {
		return nil, err
	}
	return listen(ln, claim, cfg, s), nil
}

// ListenOn listens on a TCP socket that somebody else bound, such as the
// service manager that started us, under the name addr. It owns ln from the
// call on, and closes it if it returns an error.
func ListenOn(ctx context.Context, ln net.Listener, addr endpoint.Address, cfg transport.ListenConfig, tc Config) (transport.Listener, error) {
	cfg = cfg.WithDefaults()
	s, err := tc.source(addr, cfg.Logger)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	tl, err := tcpnet.Adopt(ln, addr)
	if err != nil {
		return nil, err
	}
	claim, err := tcpnet.Enter(ctx, tl, addr, true, cfg.Logger)
	if err != nil {
		return nil, err
	}
	return listen(tl, claim, cfg, s), nil
}

// source checks that a listener has something to show, and whom to trust where
// it must.
func (c Config) source(addr endpoint.Address, logger *slog.Logger) (*source, error) {
	inMemory := c.Base != nil && (len(c.Base.Certificates) > 0 || c.Base.GetCertificate != nil)
	if c.CertFile == "" && c.KeyFile == "" && !inMemory {
		return nil, fault.New(fault.Invalid, "listen", addr.String(), errors.New("a tls:// listener needs a certificate")).
			WithHint("give --cert and --key; `parley ca init` and `parley ca issue` make them")
	}
	if c.RequireClientCert && c.CAFile == "" && (c.Base == nil || c.Base.ClientCAs == nil) {
		return nil, fault.New(fault.Invalid, "listen", addr.String(), errors.New("client certificates are required, and no authority could have signed one")).
			WithHint("give --ca")
	}
	return newSource(c, logger)
}

func listen(ln *net.TCPListener, claim tcpnet.Claim, cfg transport.ListenConfig, s *source) transport.Listener {
	return acceptor.New(acceptor.Config{
		ListenConfig: cfg,
		Raw:          ln,
		Address:      claim.Address,
		Counters:     claim.Counters,
		Release:      claim.Release,
		Handshake: func(ctx context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
			return s.accept(ctx, raw, authorize, claim)
		},
	})
}

func (s *source) accept(ctx context.Context, raw net.Conn, authorize func(auth.Identity) error, claim tcpnet.Claim) (transport.Conn, error) {
	sock, ok := raw.(*net.TCPConn)
	if !ok {
		return nil, errors.New("not a tcp socket")
	}
	secured := &rawConn{TCPConn: sock}
	c := tls.Server(secured, s.get())
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, s.refused(sock, handshakeError(ctx, "handshake", claim.Address.String(), err))
	}
	peer, err := identify(c.ConnectionState(), false)
	if err != nil {
		return nil, s.refused(sock, fault.New(fault.Denied, "handshake", claim.Address.String(), err))
	}
	secured.soft = true
	conn := &Conn{tls: c, raw: secured, peer: peer}
	if err := authorize(peer); err != nil {
		return conn, err
	}
	conn.counters = claim.Counters
	return conn, nil
}

// refused logs a certificate that was denied: unlike a denial by policy, the
// acceptor does not know of it.
func (s *source) refused(sock net.Conn, err *fault.Error) error {
	if err.Kind == fault.Denied {
		s.refusals.Warn(s.logger, "certificate refused", "remote", sock.RemoteAddr().String(), "error", err)
	}
	return err
}
