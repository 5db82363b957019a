// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/tls"
)

// parleyPeer is Parley's rpc on one transport: gRPC's stubs, as they are.
func parleyPeer(name, scheme string, opts shm.Options) peer {
	return peer{name: name,
		serve: func(ctx context.Context, s party.Side) error { return parleyServe(ctx, s, scheme, opts) },
		dial:  func(ctx context.Context, s party.Side) (caller, error) { return parleyDial(ctx, s, scheme, opts) },
	}
}

func parleyServe(ctx context.Context, s party.Side, scheme string, opts shm.Options) error {
	cfg := rpc.ServerConfig{Authorizer: authorizer(scheme), SHM: opts}
	cfg.Listen.TLS = tls.Config{CertFile: certFile(s.Dir), KeyFile: keyFile(s.Dir)}
	srv := rpc.NewServer(cfg)
	pb.RegisterBenchmarkServiceServer(srv, service{})
	ln, err := srv.Listen(ctx, parleyAddress(s, scheme))
	if err != nil {
		return err
	}
	if !local(scheme) {
		if err := writePort(s, ln.Addr().String()); err != nil {
			return err
		}
	}
	go serving(func() error { return srv.Serve(ln) })
	return nil
}

// local is a scheme where the kernel says who calls.
func local(scheme string) bool { return scheme == "unix" || scheme == "shm" }

// parleyAddress is what a server listens on.
func parleyAddress(s party.Side, scheme string) string {
	if local(scheme) {
		return scheme + "://" + unixPath(s)
	}
	return scheme + "://127.0.0.1:0"
}

// authorizer is the default where the kernel says who calls, and else admits
// whom the transport did.
func authorizer(scheme string) auth.Authorizer {
	if local(scheme) {
		return auth.OwnerOnly{}
	}
	return auth.AuthorizerFunc(func(context.Context, auth.Identity, auth.Action, string) error { return nil })
}

func parleyDial(ctx context.Context, s party.Side, scheme string, opts shm.Options) (caller, error) {
	cfg := rpc.ClientConfig{Address: parleyAddress(s, scheme)}
	cfg.Dialer.SHM = opts
	if !local(scheme) {
		at, err := port(s)
		if err != nil {
			return nil, err
		}
		cfg.Address = scheme + "://" + at
		cfg.Dialer.TLS = tls.Config{CAFile: certFile(s.Dir)}
	}
	client, err := rpc.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	return stubs{pb.NewBenchmarkServiceClient(client), client}, nil
}
