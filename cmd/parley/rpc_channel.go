// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/grpc/metadata"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tls"
)

// The names that TLS has for the two ways to speak.
const (
	alpnParley = "parley/1"
	alpnHTTP2  = "h2"
)

// maxAnswer bounds a message from the server, as it does everywhere in Parley.
const maxAnswer = 64 << 20

// channel connects at once, so that what is wrong on the way there is told in
// our own words: with Parley's framing, and by HTTP/2 to who does not speak it.
func (a *app) channel(ctx context.Context, r *rpcFlags, address string) (channel, error) {
	addr, err := endpoint.Parse(address)
	if err != nil {
		return nil, err
	}
	if !r.http2 {
		cc, err := a.framed(ctx, r, address)
		if !errors.Is(err, errForeign) {
			return cc, err
		}
		if addr.Scheme == endpoint.Stdio {
			return nil, fault.Wrap("call", address, fmt.Errorf("%w (use --http2: stdin cannot be dialled again)", err))
		}
		a.log.Debug("it does not speak Parley's framing: by HTTP/2", "address", address, "error", err)
	}
	r.protocols = []string{alpnHTTP2}
	first, err := a.dial(ctx, &r.connectFlags, address)
	if err != nil {
		return nil, err
	}
	return a.http2(r, addr, first)
}

// errForeign says that there is somebody, who does not speak Parley's framing.
var errForeign = errors.New("the server does not speak Parley's framing")

// framed connects with Parley's framing.
func (a *app) framed(ctx context.Context, r *rpcFlags, address string) (channel, error) {
	r.protocols = []string{alpnParley, alpnHTTP2}
	first, err := a.dial(ctx, &r.connectFlags, address)
	if err != nil {
		return nil, err
	}
	if t, ok := first.(*tls.Conn); ok && t.ConnectionState().NegotiatedProtocol == alpnHTTP2 {
		return nil, errors.Join(errForeign, first.Close())
	}
	dialled := &handedOver{conn: first}
	cc, err := rpc.NewClient(rpc.ClientConfig{
		Address:   address,
		Authority: r.authority,
		DialConn: func(ctx context.Context) (transport.Conn, error) {
			if conn := dialled.take(); conn != nil {
				return conn, nil
			}
			return a.dial(ctx, &r.connectFlags, address)
		},
		DialTimeout: 2 * a.timeout,
		Limits:      rpc.Limits{MaxMessage: maxAnswer, HandshakeTimeout: a.timeout},
	})
	if err != nil {
		return nil, errors.Join(err, first.Close())
	}
	if err := cc.WaitReady(ctx); err != nil {
		return nil, errors.Join(foreign(address, err), cc.Close())
	}
	return cc, nil
}

// foreign is a handshake's error as channel wants it.
func foreign(address string, err error) error {
	switch fault.KindOf(err) {
	case fault.Denied, fault.Timeout, fault.Canceled:
		return fault.Wrap("call", address, err)
	}
	return fmt.Errorf("%w: %w", errForeign, err)
}

// handedOver is a connection that is given out once.
type handedOver struct {
	mu   sync.Mutex
	conn transport.Conn // guarded by mu; nil once taken
}

func (h *handedOver) take() transport.Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	conn := h.conn
	h.conn = nil
	return conn
}

// outgoing adds the metadata of --header to ctx.
func (r *rpcFlags) outgoing(ctx context.Context) (context.Context, error) {
	md := metadata.MD{}
	for _, header := range r.headers {
		key, value, ok := strings.Cut(header, ":")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		if !ok || key == "" {
			return nil, usageError{fmt.Errorf("--header %q: write key:value", header)}
		}
		if strings.HasSuffix(key, "-bin") {
			raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
			if err != nil {
				return nil, usageError{fmt.Errorf("--header %s: base64, because its name ends in -bin: %w", key, err)}
			}
			value = string(raw)
		}
		md.Append(key, value)
	}
	if len(md) == 0 {
		return ctx, nil
	}
	return metadata.NewOutgoingContext(ctx, md), nil
}
