// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// What "large windows" means, in bytes.
const (
	largeWindow = 16 << 20
	largeBuffer = 256 << 10
)

// stubs are gRPC's, on any connection that takes them.
type stubs struct {
	client pb.BenchmarkServiceClient
	closer io.Closer
}

func (s stubs) call(ctx context.Context, body []byte) (int, error) {
	out, err := s.client.UnaryCall(metadata.AppendToOutgoingContext(ctx, headerKey, headerValue), question(body))
	return len(out.GetPayload().GetBody()), err
}

func (s stubs) stream(ctx context.Context, size, n int) error {
	in, err := s.client.StreamingFromServer(ctx, series(size, n))
	if err != nil {
		return err
	}
	return count(size, n, func() (*pb.SimpleResponse, error) { return in.Recv() })
}

func (s stubs) close() error { return s.closer.Close() }

// count receives n messages of a size, and the end.
func count(size, n int, receive func() (*pb.SimpleResponse, error)) error {
	for got := 0; ; got++ {
		m, err := receive()
		if errors.Is(err, io.EOF) && got == n {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d messages of %d: %w", got, n, err)
		}
		if len(m.GetPayload().GetBody()) != size {
			return fmt.Errorf("a message of %d bytes, want %d", len(m.GetPayload().GetBody()), size)
		}
	}
}

// address is where a peer listens, for both sides: a socket, or for tls a port
// that the server has written down.
func unixPath(s party.Side) string { return s.Path(fmt.Sprintf("%x.sock", s.Name)) }

func listenUnix(ctx context.Context, s party.Side) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "unix", unixPath(s))
}

func dialUnix(ctx context.Context, s party.Side) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", unixPath(s))
}

func grpcServe(name string, secure bool) func(context.Context, party.Side) error {
	return func(ctx context.Context, s party.Side) error {
		ln, err := listenUnix(ctx, s)
		var options []grpc.ServerOption
		if secure {
			if ln, err = listenPort(ctx, s); err != nil {
				return err
			}
			creds, err := credentials.NewServerTLSFromFile(certFile(s.Dir), keyFile(s.Dir))
			if err != nil {
				return err
			}
			options = append(options, grpc.Creds(creds))
		}
		if err != nil {
			return err
		}
		if name == grpcLarge {
			options = append(options, grpc.InitialWindowSize(largeWindow), grpc.InitialConnWindowSize(largeWindow),
				grpc.ReadBufferSize(largeBuffer), grpc.WriteBufferSize(largeBuffer))
		}
		srv := grpc.NewServer(options...)
		pb.RegisterBenchmarkServiceServer(srv, service{})
		go serving(func() error { return srv.Serve(ln) })
		return nil
	}
}

func grpcDial(name string, secure bool) func(context.Context, party.Side) (caller, error) {
	return func(_ context.Context, s party.Side) (caller, error) {
		target := "unix://" + unixPath(s)
		creds := insecure.NewCredentials()
		if secure {
			config, err := clientTLS(s.Dir)
			if err != nil {
				return nil, err
			}
			if target, err = port(s); err != nil {
				return nil, err
			}
			creds = credentials.NewTLS(config)
		}
		options := []grpc.DialOption{grpc.WithTransportCredentials(creds)}
		if name == grpcLarge {
			options = append(options, grpc.WithInitialWindowSize(largeWindow), grpc.WithInitialConnWindowSize(largeWindow),
				grpc.WithReadBufferSize(largeBuffer), grpc.WithWriteBufferSize(largeBuffer))
		}
		conn, err := grpc.NewClient(target, options...)
		if err != nil {
			return nil, err
		}
		return stubs{pb.NewBenchmarkServiceClient(conn), conn}, nil
	}
}

// serving runs a server, whose end before the process's is a failure.
func serving(run func() error) {
	err := run()
	fmt.Fprintln(os.Stderr, "the server ended:", err)
	os.Exit(1)
}

// listenPort listens on a port and writes it down.
func listenPort(ctx context.Context, s party.Side) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return ln, writePort(s, ln.Addr().String())
}

func writePort(s party.Side, at string) error {
	return os.WriteFile(portFile(s), []byte(at), 0o600)
}

func portFile(s party.Side) string { return s.Path(fmt.Sprintf("port-%x", s.Name)) }

func port(s party.Side) (string, error) {
	b, err := os.ReadFile(portFile(s))
	return string(b), err
}

func clientTLS(dir string) (*tls.Config, error) {
	pem, err := os.ReadFile(certFile(dir))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + certFile(dir))
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, nil
}
