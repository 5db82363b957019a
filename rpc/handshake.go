// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/transport"
)

const agent = "parley/0"

func (l Limits) hello(st rpcwire.Status, authority string) rpcwire.Hello {
	return rpcwire.Hello{
		Status: st, Window: uint32(l.StreamWindow), Total: uint32(l.ConnWindow),
		Streams: uint32(l.MaxStreams), Header: uint32(l.MaxHeader), Agent: agent, Authority: authority,
	}
}

// hail is the dialling side's handshake.
func hail(ctx context.Context, t transport.Conn, l Limits, authority string) (rpcwire.Hello, error) {
	release := bound(ctx, t, l.HandshakeTimeout)
	defer release()
	if _, err := t.Write(l.hello(rpcwire.StatusOK, authority).Append(nil)); err != nil {
		return rpcwire.Hello{}, handshakeError(ctx, err)
	}
	h, err := readHello(t)
	if err != nil {
		return h, handshakeError(ctx, err)
	}
	return h, nil
}

// answer is the accepting side's, after the magic has been seen.
func answer(ctx context.Context, t transport.Conn, magic []byte, l Limits) (rpcwire.Hello, error) {
	release := bound(ctx, t, l.HandshakeTimeout)
	defer release()
	h, err := readHello(io.MultiReader(bytes.NewReader(magic), t))
	if err != nil {
		return h, handshakeError(ctx, err)
	}
	_, err = t.Write(l.hello(rpcwire.StatusOK, "").Append(nil))
	return h, handshakeError(ctx, err)
}

// bound limits reads and writes of t in time until it is called off.
func bound(ctx context.Context, t transport.Conn, d time.Duration) (release func()) {
	_ = t.SetDeadline(time.Now().Add(d))
	stop := context.AfterFunc(ctx, func() { _ = t.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if stop() {
			_ = t.SetDeadline(time.Time{})
		}
	}
}

func handshakeError(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fault.Wrap("handshake", "", context.Cause(ctx))
	}
	return fault.Wrap("handshake", "", err)
}

func readHello(r io.Reader) (rpcwire.Hello, error) {
	b := make([]byte, rpcwire.HelloPrefix)
	if _, err := io.ReadFull(r, b); err != nil {
		return rpcwire.Hello{}, err
	}
	version, st, n, err := rpcwire.ParseHelloPrefix(b)
	switch {
	case err != nil:
		return rpcwire.Hello{}, fault.New(fault.Protocol, "handshake", "", err)
	case st == rpcwire.StatusDenied:
		return rpcwire.Hello{}, fault.New(fault.Denied, "handshake", "", nil).WithHint("the server's policy does not let us in")
	case version != rpcwire.Version || st == rpcwire.StatusVersion:
		return rpcwire.Hello{}, fault.New(fault.Protocol, "handshake", "", fmt.Errorf("the peer speaks version %d of Parley's calls, we speak %d", version, rpcwire.Version)).
			WithHint("update the older of the two programs")
	case st != rpcwire.StatusOK:
		return rpcwire.Hello{}, fault.New(fault.Protocol, "handshake", "", fmt.Errorf("the peer answered with status %d", st))
	}
	rest := make([]byte, n)
	if _, err := io.ReadFull(r, rest); err != nil {
		return rpcwire.Hello{}, err
	}
	h, err := rpcwire.ParseHello(rest)
	if err != nil {
		return h, fault.New(fault.Protocol, "handshake", "", err)
	}
	return h, nil
}

// prefixed is a connection of which some bytes have been read already.
type prefixed struct {
	transport.Conn
	early []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.early) > 0 {
		n := copy(b, p.early)
		p.early = p.early[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

var _ net.Conn = (*prefixed)(nil)
