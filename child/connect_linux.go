// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/unix"
)

var longAgo = time.Unix(1, 0)

// connect shakes hands over sock, which it owns, and gives p its connection.
func (p *Process) connect(ctx context.Context, sock *net.UnixConn) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.HandshakeTimeout)
	defer cancel()
	conn, protocol, err := handshake(ctx, sock, func() (transport.Conn, uint32, error) {
		o := offer{protocols: p.cfg.Protocols, shm: !p.cfg.Socket}
		if _, err := sock.Write([]byte(o.String())); err != nil {
			return nil, 0, err
		}
		line, err := readLine(sock)
		if err != nil {
			return nil, 0, err
		}
		a, err := parseAnswer(line)
		if err == nil {
			err = o.check(a)
		}
		if err != nil {
			return nil, 0, err
		}
		c, err := upgrade(ctx, sock, p.peer, false, a.shm, p.cfg.Memory)
		return c, a.protocol, err
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.conn, p.protocol = conn, protocol
	p.mu.Unlock()
	return nil
}

// answerParent is the child's side of connect.
func answerParent(ctx context.Context, sock *net.UnixConn, peer auth.Identity, cfg ListenConfig) (transport.Conn, uint32, error) {
	return handshake(ctx, sock, func() (transport.Conn, uint32, error) {
		line, err := readLine(sock)
		if err != nil {
			return nil, 0, err
		}
		o, err := parseOffer(line)
		if err != nil {
			return nil, 0, refuse(sock, err)
		}
		a := agree(o, cfg.Protocols, !cfg.Socket)
		if _, err := sock.Write([]byte(a.String())); err != nil {
			return nil, 0, err
		}
		if a.refusal != "" {
			return nil, 0, fault.New(fault.Protocol, "handshake", "", errors.New(a.refusal))
		}
		c, err := upgrade(ctx, sock, peer, true, a.shm, cfg.Memory)
		return c, a.protocol, err
	})
}

// refuse tells the parent why, on one line.
func refuse(sock net.Conn, why error) error {
	text := strings.ReplaceAll(why.Error(), "\n", " ")
	_, err := sock.Write([]byte(answer{refusal: fmt.Sprintf("%.200s", text)}.String()))
	return errors.Join(why, err)
}

// handshake runs f, whose waits on sock end with ctx. It closes sock on error.
func handshake(ctx context.Context, sock *net.UnixConn, f func() (transport.Conn, uint32, error)) (transport.Conn, uint32, error) {
	stop := context.AfterFunc(ctx, func() { _ = sock.SetDeadline(longAgo) })
	c, protocol, err := f()
	if !stop() && ctx.Err() != nil {
		err = fault.Wrap("handshake", "", context.Cause(ctx))
	}
	if err != nil {
		if c != nil {
			_ = c.Close()
		}
		_ = sock.Close()
		return nil, 0, err
	}
	return c, protocol, nil
}

// upgrade makes a connection of the socket, once both know which kind.
func upgrade(ctx context.Context, sock *net.UnixConn, peer auth.Identity, server, memory bool, opts shm.Options) (transport.Conn, error) {
	if !memory {
		return unix.NewConn(sock, peer), nil
	}
	c, err := shm.NewConn(ctx, sock, peer, server, shm.DialConfig{Options: opts})
	if err != nil {
		return nil, err
	}
	return c, nil
}
