// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Dial makes a connection to a listener.
type Dial func(context.Context) (net.Conn, error)

// Reference is grpc-go, both sides, on a unix socket.
func Reference() Backend {
	return Stock("grpc-go", func(t testing.TB) (net.Listener, Dial) {
		t.Helper()
		path := filepath.Join(ShortDir(t), "s")
		ln, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
		if err != nil {
			t.Fatal(err)
		}
		return ln, func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", path) }
	})
}

// Stock is grpc-go, both sides, over what listen gives.
func Stock(name string, listen func(testing.TB) (net.Listener, Dial)) Backend {
	return Backend{name, func(t testing.TB, o ServerOptions, register func(grpc.ServiceRegistrar)) Server {
		t.Helper()
		ln, dial := listen(t)
		server := grpc.NewServer(o.stock()...)
		register(server)
		s := &stockServer{Server: server, dial: dial, served: make(chan struct{})}
		go func() { defer close(s.served); _ = server.Serve(ln) }()
		return s
	}}
}

// stock are the options as grpc-go takes them. A handler that panics would end
// the process there; an interceptor makes it what it is with us.
func (o ServerOptions) stock() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(append([]grpc.UnaryServerInterceptor{recoverUnary}, o.Unary...)...),
		grpc.ChainStreamInterceptor(append([]grpc.StreamServerInterceptor{recoverStream}, o.Stream...)...),
	}
	if o.MaxRecv > 0 {
		options = append(options, grpc.MaxRecvMsgSize(o.MaxRecv))
	}
	if o.MaxStreams > 0 {
		options = append(options, grpc.MaxConcurrentStreams(uint32(o.MaxStreams)))
	}
	if o.MaxHeader > 0 {
		options = append(options, grpc.MaxHeaderListSize(uint32(o.MaxHeader)))
	}
	if o.MaxSend > 0 {
		options = append(options, grpc.MaxSendMsgSize(o.MaxSend))
	}
	return options
}

func recoverUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (answer any, err error) {
	defer func() { recovered(recover(), &err) }()
	return next(ctx, req)
}

func recoverStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() { recovered(recover(), &err) }()
	return next(srv, stream)
}

func recovered(panicked any, err *error) {
	if panicked != nil {
		*err = status.Error(codes.Internal, fmt.Sprint(panicked))
	}
}

type stockServer struct {
	*grpc.Server
	dial   Dial
	served chan struct{}
}

func (s *stockServer) Stop() {
	s.Server.Stop()
	<-s.served
}

func (s *stockServer) GracefulStop() {
	s.Server.GracefulStop()
	<-s.served
}

func (s *stockServer) Dial(t testing.TB, o ClientOptions) Client {
	t.Helper()
	return DialStock(t, s.dial, o)
}

// DialStock returns a grpc-go client of whatever dial reaches.
func DialStock(t testing.TB, dial Dial, o ClientOptions) Client {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///peer",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }),
		grpc.WithAuthority("localhost"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(o.Unary...), grpc.WithChainStreamInterceptor(o.Stream...))
	if err != nil {
		t.Fatal(err)
	}
	return cc
}

// ShortDir is a directory of the test's own with a path short enough for a
// socket's.
func ShortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "p") //nolint:usetesting // t.TempDir is too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
