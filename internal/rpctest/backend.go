// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"testing"

	"google.golang.org/grpc"
)

// Backend is one way to serve and to call. Its functions fail t when they
// cannot do so.
type Backend struct {
	Name string

	// Serve serves what register registers, until Stop. The suite calls Stop
	// on every server.
	Serve func(t testing.TB, o ServerOptions, register func(grpc.ServiceRegistrar)) Server
}

// Server is one that has been started.
type Server interface {
	// Dial returns a new client of this server, which has connected or will.
	Dial(t testing.TB, o ClientOptions) Client
	GracefulStop()
	Stop()
}

// Client is what stubs call through.
type Client interface {
	grpc.ClientConnInterface
	Close() error
}

// ServerOptions are those of grpc-go's that scenes need. Zero means its
// defaults.
type ServerOptions struct {
	MaxRecv, MaxSend      int
	MaxStreams, MaxHeader int
	Unary                 []grpc.UnaryServerInterceptor
	Stream                []grpc.StreamServerInterceptor
}

// ClientOptions are likewise those of a client.
type ClientOptions struct {
	Unary  []grpc.UnaryClientInterceptor
	Stream []grpc.StreamClientInterceptor
}
