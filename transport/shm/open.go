// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/acceptor"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/internal/wake"
	kernel "github.com/parley-ipc/parley/primitive/shm"
	"github.com/parley-ipc/parley/transport"
)

// Dial connects to a shm:// address. Nobody there is fault.Unavailable, a
// listener that will not have us fault.Denied.
func Dial(ctx context.Context, addr endpoint.Address, cfg DialConfig) (*Conn, error) {
	cfg.DialConfig = cfg.DialConfig.WithDefaults()
	cfg.Options, addr.Query = cfg.For(addr), nil
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
	id, err := unixconn.PeerIdentity(sock)
	if err != nil {
		return nil, errors.Join(err, sock.Close())
	}
	return open(ctx, sock, id, false, addr.String(), cfg)
}

// NewConn makes a connection of a unix socket that the caller has accepted,
// dialled or inherited, and of whose peer it knows the identity and has asked
// policy. It owns the socket from then on, and has closed it on error. One
// side is the server; the other speaks first. ctx and the HandshakeTimeout
// bound the handshake.
func NewConn(ctx context.Context, sock *net.UnixConn, id auth.Identity, server bool, cfg DialConfig) (*Conn, error) {
	cfg.DialConfig = cfg.DialConfig.WithDefaults()
	ctx, cancel := context.WithTimeout(ctx, cfg.HandshakeTimeout)
	defer cancel()
	return open(ctx, sock, id, server, sock.RemoteAddr().String(), cfg)
}

// open shakes hands on sock, which it closes on error.
func open(ctx context.Context, sock *net.UnixConn, id auth.Identity, server bool, addr string, cfg DialConfig) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = sock.SetDeadline(longAgo) })
	c, err := shake(sock, id, server, addr, cfg)
	if !stop() && ctx.Err() != nil {
		if c != nil {
			_ = c.Close()
		}
		err = context.Cause(ctx)
	}
	if err == nil {
		if err = sock.SetDeadline(time.Time{}); err == nil {
			return c, nil
		}
	}
	return nil, errors.Join(opError(server, addr, err), ignoreClosed(sock.Close()))
}

func opError(server bool, addr string, err error) error {
	op := "dial"
	if server {
		op = "accept"
	}
	var e *fault.Error
	if !errors.As(err, &e) {
		return fault.Wrap(op, addr, err)
	}
	return fault.New(fault.KindOf(err), op, addr, e.Err).WithHint(e.Hint)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func shake(sock *net.UnixConn, id auth.Identity, server bool, addr string, cfg DialConfig) (*Conn, error) {
	opts, err := cfg.Options.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &handshake{sock: sock, id: id, opts: opts}
	var a agreement
	if server {
		a, err = h.server()
	} else {
		a, err = h.client()
	}
	if err != nil {
		return nil, err
	}
	c := &Conn{peer: id, local: sock.LocalAddr(), remote: sock.RemoteAddr(), counters: opts.Counters}
	if a.rings != nil {
		s, err := newStream(sock, addr, a.rings, opts, cfg.Logger)
		if err != nil {
			return nil, err
		}
		c.whole = s
		c.in.Store(s)
		c.out.Store(s)
		return c, nil
	}
	if c.plain, err = newPlain(sock, addr, opts, &c.directions); err != nil {
		return nil, err
	}
	c.plain.settleOn(a, id, !server, cfg.Logger)
	return c, nil
}

// newStream joins socket and rings; the caller closes the socket on error.
func newStream(sock *net.UnixConn, addr string, r *rings, opts Options, logger *slog.Logger) (*stream, error) {
	s := &stream{logger: logger, peer: r.id, sock: sock, addr: addr, counters: opts.Counters, trusted: opts.Trusted, drop: r.giveBack}
	bell, err := newBell(sock, opts.safety, s.hangup)
	if err != nil {
		r.abandon()
		return nil, err
	}
	s.bell = bell
	if opts.Prefault {
		prefault(r.ownMap.Tail)
		prefault(r.theirMap.Tail)
	}
	s.ours, s.theirs = pageOf(r.ownMap.Head), pageOf(r.theirMap.Head)
	s.maps = [2]*kernel.Mapping{r.ownMap, r.theirMap}
	s.halves.Store(2)
	s.rd.ring, s.rd.side, s.rd.sleep, s.rd.moved = r.reader, reading, s.ours.rsleep, s.readMoved
	s.wr.ring, s.wr.side, s.wr.sleep, s.wr.moved = r.writer, writing, s.ours.wsleep, s.writeMoved
	s.rd.bed.Word, s.wr.bed.Word = s.theirs.rknock, s.theirs.wknock
	s.rd.hammer, s.wr.hammer = s.ours.wknock, s.ours.rknock
	s.rd.overdue, s.wr.overdue = s.readMoved, s.writeOverdue
	s.rd.wakeUp, s.wr.wakeUp = func() { s.kickSleep(&s.rd.half) }, func() { s.kickSleep(&s.wr.half) }
	s.rd.pacer, s.wr.pacer = wake.NewPacer(opts.Spin), wake.NewPacer(opts.Spin)
	return s, nil
}

// Listen claims a shm:// address and listens on it.
func Listen(ctx context.Context, addr endpoint.Address, cfg ListenConfig) (transport.Listener, error) {
	cfg.Options, addr.Query = cfg.For(addr), nil
	if _, err := cfg.withDefaults(); err != nil {
		return nil, err
	}
	raw, claim, err := unixconn.Claim(ctx, addr)
	if err != nil {
		return nil, err
	}
	cfg.Counters = claim.Counters()
	return listen(raw, addr, claim.Close, cfg), nil
}

// ListenOn listens on a socket that somebody else bound, such as the service
// manager that started us. It becomes raw's owner, but never removes the
// socket's file.
func ListenOn(ctx context.Context, raw net.Listener, addr endpoint.Address, cfg ListenConfig) (transport.Listener, error) {
	cfg.Options, addr.Query = cfg.For(addr), nil
	if _, err := cfg.withDefaults(); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	claim, err := endpoint.AcquireBound(ctx, addr)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	cfg.Counters = claim.Counters()
	return listen(raw, addr, claim.Close, cfg), nil
}

func listen(raw net.Listener, addr endpoint.Address, release func() error, cfg ListenConfig) transport.Listener {
	cfg.ListenConfig = cfg.WithDefaults()
	return acceptor.New(acceptor.Config{
		ListenConfig: cfg.ListenConfig,
		Raw:          raw,
		Address:      addr,
		Counters:     cfg.Counters,
		Release:      release,
		Handshake: func(ctx context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
			sock, ok := raw.(*net.UnixConn)
			if !ok {
				return nil, errors.New("not a unix stream socket")
			}
			id, err := unixconn.PeerIdentity(sock)
			if err != nil {
				return nil, err
			}
			if err := authorize(id); err != nil {
				(&handshake{sock: sock}).refuse(err)
				return nil, err
			}
			c, err := open(ctx, sock, id, true, addr.String(), DialConfig{DialConfig: transport.DialConfig{Logger: cfg.Logger}, Options: cfg.Options})
			if err != nil {
				return nil, err
			}
			return c, nil
		},
	})
}
