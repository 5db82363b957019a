// SPDX-License-Identifier: Apache-2.0

package transporttest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/acceptor"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/transporttest"
	"github.com/parley-ipc/parley/transport/unix"
)

const password = "open sesame"

// TestHostile tries Hostile on the smallest handshake there is.
func TestHostile(t *testing.T) {
	b := sound()
	b.Address = func(t testing.TB) string { return "unix://" + filepath.Join(t.TempDir(), "s") }
	b.Listen = listenWithPassword
	b.Dial = func(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
		a, err := endpoint.Parse(addr)
		if err != nil {
			return nil, err
		}
		c, err := unix.Dial(ctx, a, cfg)
		if err != nil {
			return nil, err
		}
		_, err = io.WriteString(c, password)
		return c, err
	}
	raw := func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", strings.TrimPrefix(addr, "unix://"))
	}
	transporttest.Hostile(t, b, raw, transporttest.Attack{Name: "WrongPassword", Do: func(c net.Conn) {
		_, _ = io.WriteString(c, "Open Sesame")
	}})
}

func listenWithPassword(_ context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
	a, err := endpoint.Parse(addr)
	if err != nil {
		return nil, err
	}
	raw, err := net.Listen("unix", a.Path)
	if err != nil {
		return nil, err
	}
	return acceptor.New(acceptor.Config{
		ListenConfig: cfg, Raw: raw, Address: a, Counters: new(endpoint.Counters),
		Handshake: func(_ context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
			p := make([]byte, len(password))
			if _, err := io.ReadFull(raw, p); err != nil {
				return nil, err
			}
			if string(p) != password {
				return nil, errors.New("wrong password")
			}
			return unix.NewConn(raw.(*net.UnixConn), auth.Self()), authorize(auth.Self())
		},
	}), nil
}
