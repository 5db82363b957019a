// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"path/filepath"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tcp"
	"github.com/parley-ipc/parley/transport/unix"
)

// subject is one way to connect two processes.
type subject struct {
	name     string // of its row
	baseline string // the subject it is compared with; empty for a baseline
	listen   func(ctx context.Context, dir string) (net.Listener, string, error)
	dial     func(ctx context.Context, address string) (net.Conn, error)
}

var subjects = []subject{
	{name: "net unix", listen: rawListen("unix"), dial: rawDial("unix")},
	{name: "parley unix", baseline: "net unix", listen: parleyUnixListen, dial: parleyDial},
	{name: "net tcp", listen: rawListen("tcp"), dial: rawDial("tcp")},
	{name: "parley tcp", baseline: "net tcp", listen: parleyTCPListen, dial: parleyDial},
}

func rawListen(network string) func(context.Context, string) (net.Listener, string, error) {
	return func(ctx context.Context, dir string) (net.Listener, string, error) {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(dir, "raw.sock")
		}
		ln, err := new(net.ListenConfig).Listen(ctx, network, address)
		if err != nil {
			return nil, "", err
		}
		return ln, ln.Addr().String(), nil
	}
}

func rawDial(network string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

func parleyUnixListen(ctx context.Context, dir string) (net.Listener, string, error) {
	addr := endpoint.Address{Scheme: endpoint.Unix, Path: filepath.Join(dir, "parley.sock")}
	return listening(unix.Listen(ctx, addr, transport.ListenConfig{}))
}

func parleyTCPListen(ctx context.Context, _ string) (net.Listener, string, error) {
	addr := endpoint.Address{Scheme: endpoint.TCP, Host: "127.0.0.1:0"}
	return listening(tcp.Listen(ctx, addr, transport.ListenConfig{}))
}

func listening(ln transport.Listener, err error) (net.Listener, string, error) {
	if err != nil {
		return nil, "", err
	}
	return ln, ln.Address().String(), nil
}

func parleyDial(ctx context.Context, address string) (net.Conn, error) {
	addr, err := endpoint.Parse(address)
	if err != nil {
		return nil, err
	}
	if addr.Scheme == endpoint.TCP {
		return tcp.Dial(ctx, addr, transport.DialConfig{})
	}
	return unix.Dial(ctx, addr, transport.DialConfig{})
}
