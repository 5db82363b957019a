// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/transport"
)

const agent = "parley/0"

// hello is what we say first on either side.
func (l Limits) hello(st rpcwire.Status) rpcwire.Hello {
	return rpcwire.Hello{
		Status: st, Window: uint32(l.StreamWindow), Total: uint32(l.ConnWindow),
		Streams: uint32(l.MaxStreams), Header: uint32(l.MaxHeader), Agent: agent,
	}
}

// hail is the dialling side's handshake.
func hail(ctx context.Context, t transport.Conn, l Limits, greeting rpcwire.Hello) (rpcwire.Hello, error) {
	release := bound(ctx, t, l.HandshakeTimeout)
	defer release()
	if _, err := t.Write(greeting.Append(nil)); err != nil {
		return rpcwire.Hello{}, handshakeError(ctx, lastWord(t, err))
	}
	h, err := readHello(t)
	if err != nil {
		return h, handshakeError(ctx, err)
	}
	return h, nil
}

// lastWord is what a peer said before it closed the connection to our hello,
// which it need not have waited for: that it denies us, maybe. Else it is err.
func lastWord(t transport.Conn, err error) error {
	if _, said := readHello(t); fault.KindOf(said) == fault.Denied {
		return said
	}
	return err
}

// answer is the accepting side's, after the magic has been seen. A hello that
// we cannot take is told why.
func answer(ctx context.Context, t transport.Conn, magic []byte, l Limits) (rpcwire.Hello, error) {
	release := bound(ctx, t, l.HandshakeTimeout)
	defer release()
	h, err := readHello(io.MultiReader(bytes.NewReader(magic), t))
	st := rpcwire.StatusOK
	switch {
	case errors.Is(err, errVersion):
		st = rpcwire.StatusVersion
	case fault.KindOf(err) == fault.Protocol:
		st = rpcwire.StatusBroken
	case err != nil:
		return h, handshakeError(ctx, err)
	}
	_, werr := t.Write(l.hello(st).Append(nil))
	return h, handshakeError(ctx, cmp.Or(err, werr))
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
	if e := (*fault.Error)(nil); errors.As(err, &e) {
		return err // it says so
	}
	return fault.Wrap("handshake", "", err)
}

var errVersion = errors.New("the peer speaks version")

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
		return rpcwire.Hello{}, fault.New(fault.Protocol, "handshake", "", fmt.Errorf("%w %d of Parley's calls, we speak %d", errVersion, version, rpcwire.Version)).
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
