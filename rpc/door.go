// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/unix"
)

// sniffed is how many bytes tell the doors apart: all three begin with eight
// of their own.
const sniffed = 8

const http2Magic = "PRI * HT"

var errNoDoor = errors.New("the client speaks neither Parley's calls, nor their shared memory, nor HTTP/2")

// Listen listens on address as ListenAndServe does, for Serve. A shm://
// address is a unix socket with all three doors.
func (s *Server) Listen(ctx context.Context, address string) (transport.Listener, error) {
	addr, err := endpoint.Parse(address)
	if err != nil {
		return nil, err
	}
	cfg := s.cfg.Listen
	if cfg.Authorizer == nil {
		cfg.Authorizer = s.cfg.Authorizer
	}
	if cfg.Logger == nil {
		cfg.Logger = s.cfg.Logger
	}
	if cfg.Refuse == nil {
		cfg.Refuse = refuse
	}
	cfg.TLS.NextProtos = []string{alpnParley, alpnHTTP2}
	if addr.Scheme == endpoint.SHM { // shareMemory asks the listener for the address, and that for its options
		return unix.Listen(ctx, addr, cfg.ListenConfig)
	}
	return (&parley.ListenConfig{ListenConfig: cfg.ListenConfig, TLS: cfg.TLS, SHM: s.cfg.SHM}).ListenAddress(ctx, addr)
}

// take shakes hands with a new connection in a goroutine of its own, when it is
// its turn.
func (s *Server) take(ln net.Listener, raw net.Conn) {
	t, err := asTransport(raw)
	if err != nil {
		s.cfg.Logger.Warn("connection refused", "error", err)
		_ = raw.Close()
		return
	}
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		_ = t.Close()
		return
	}
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		if err := s.inTurn(ln, t); err != nil {
			_ = t.Close()
			if !errors.Is(err, io.EOF) && s.ctx.Err() == nil {
				s.fails.Warn(s.cfg.Logger, "handshake failed", "who", t.Peer().String(), "error", err)
			}
		}
	}()
}

// inTurn opens t when its identity has a place, and there is one at all. Its
// time begins then.
func (s *Server) inTurn(ln net.Listener, t transport.Conn) error {
	turn, err := s.turns.Enter(s.ctx, t.Peer().String())
	if err != nil {
		return err
	}
	defer turn.Leave()
	select {
	case s.pending <- struct{}{}:
		defer func() { <-s.pending }()
	case <-s.ctx.Done():
		return ErrServerStopped
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Limits.HandshakeTimeout)
	defer cancel()
	return s.open(ctx, ln, t)
}

// ServeConn serves one connection that the caller has made, and returns when
// its handshake is over.
func (s *Server) ServeConn(ctx context.Context, t transport.Conn) error {
	s.registry.freeze()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Limits.HandshakeTimeout)
	defer cancel()
	if err := s.open(ctx, nil, t); err != nil {
		return errors.Join(err, t.Close())
	}
	return nil
}

// open finds the door for a connection and leads it through.
func (s *Server) open(ctx context.Context, ln net.Listener, t transport.Conn) error {
	if u, ok := t.(*unix.Conn); ok {
		release := bound(ctx, t, s.cfg.Limits.HandshakeTimeout)
		b := make([]byte, sniffed)
		n, err := u.Peek(b)
		release()
		if err != nil {
			return err
		}
		if string(b[:n]) == shm.Magic {
			if t, err = s.shareMemory(ctx, ln, u); err != nil {
				return err
			}
		}
	}
	release := bound(ctx, t, s.cfg.Limits.HandshakeTimeout)
	b := make([]byte, sniffed)
	_, err := io.ReadFull(t, b)
	release()
	switch {
	case err != nil:
		return err
	case string(b) == rpcwire.Magic:
		return s.speak(ctx, ln, t, b)
	case string(b) == http2Magic:
		return s.h2.take(&prefixed{Conn: t, early: b})
	}
	return fault.New(fault.Protocol, "handshake", "", errNoDoor)
}

// shareMemory takes up the shared-memory handshake on the socket.
func (s *Server) shareMemory(ctx context.Context, ln net.Listener, u *unix.Conn) (transport.Conn, error) {
	opts := s.cfg.SHM
	if l, ok := ln.(transport.Listener); ok {
		opts = opts.For(l.Address())
	}
	if c, ok := ln.(interface{ Counters() *endpoint.Counters }); ok && opts.Counters == nil {
		opts.Counters = c.Counters()
	}
	opts.FellBack = before(opts.FellBack, func() {
		s.fallbacks.Add(1)
		s.cfg.Logger.Warn("no shared memory: the connection works on its socket", "who", u.Peer().String())
	})
	c, err := shm.NewConn(ctx, u.Socket(), u.Peer(), true, shm.DialConfig{DialConfig: transport.DialConfig{Logger: s.cfg.Logger}, Options: opts})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// speak takes up Parley's framing, whose magic has been read.
func (s *Server) speak(ctx context.Context, ln net.Listener, t transport.Conn, magic []byte) error {
	hello, err := answer(ctx, t, magic, s.cfg.Limits)
	if err != nil {
		return err
	}
	l := s.cfg.Limits
	if l.KeepaliveTime == 0 && remote(t) {
		l.KeepaliveTime = 20 * time.Second
	}
	c := newConn(t, false, hello, connConfig{limits: l, serves: s.registry, logger: s.cfg.Logger, spin: s.cfg.Spin})
	var ended func()
	c.tagged, ended = tagConn(context.Background(), s.cfg.StatsHandlers, false, c.peer)
	c.onEnd = func() { // before Stop can know it
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		ended()
	}
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		ended()
		return ErrServerStopped
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	c.start()
	if s.cfg.Connected != nil {
		go s.cfg.Connected(&Peer{c})
	}
	return nil
}

// remote says that the kernel would not tell us of a peer's death.
func remote(t transport.Conn) bool {
	n := t.RemoteAddr().Network()
	return n == "tcp" || n == "tls"
}

// asTransport makes a transport.Conn of any listener's connection.
func asTransport(raw net.Conn) (transport.Conn, error) {
	switch t := raw.(type) {
	case transport.Conn:
		return t, nil
	case *net.UnixConn:
		id, err := unixconn.PeerIdentity(t)
		if err != nil {
			return nil, err
		}
		return unix.NewConn(t, id), nil
	}
	return &stranger{Conn: raw}, nil
}

// stranger is a connection of which nobody knows who is on the other side.
type stranger struct{ net.Conn }

func (*stranger) Peer() auth.Identity { return auth.Identity{Method: auth.None} }

func (s *stranger) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
