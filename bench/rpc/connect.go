// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net"
	"net/http"

	"connectrpc.com/connect"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// connectPath is where a method is, as connect's generated code has it.
func connectPath(method string) string { return "/" + serviceName + "/" + method }

// withoutGzip turns off what connect does to answers by default.
func withoutGzip() connect.HandlerOption { return connect.WithCompression("gzip", nil, nil) }

// cleartext is HTTP/2 without TLS.
func cleartext() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

func connectServe(ctx context.Context, s party.Side) error {
	ln, err := listenUnix(ctx, s)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(connectPath(unaryMethod), connect.NewUnaryHandler(connectPath(unaryMethod),
		func(_ context.Context, in *connect.Request[pb.SimpleRequest]) (*connect.Response[pb.SimpleResponse], error) {
			return connect.NewResponse(echo(in.Msg)), nil
		}, withoutGzip()))
	mux.Handle(connectPath(streamMethod), connect.NewServerStreamHandler(connectPath(streamMethod),
		func(_ context.Context, in *connect.Request[pb.SimpleRequest], out *connect.ServerStream[pb.SimpleResponse]) error {
			return answers(in.Msg, out.Send)
		}, withoutGzip()))
	srv := &http.Server{Handler: mux, Protocols: cleartext(), ReadHeaderTimeout: deadline}
	go serving(func() error { return srv.Serve(ln) })
	return nil
}

// connectCaller is a connection of connect's own protocol over HTTP/2.
type connectCaller struct {
	http   *http.Transport
	unary  *connect.Client[pb.SimpleRequest, pb.SimpleResponse]
	series *connect.Client[pb.SimpleRequest, pb.SimpleResponse]
}

func connectDial(_ context.Context, s party.Side) (caller, error) {
	t := &http.Transport{Protocols: cleartext(), DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialUnix(ctx, s) }}
	client := func(method string) *connect.Client[pb.SimpleRequest, pb.SimpleResponse] {
		return connect.NewClient[pb.SimpleRequest, pb.SimpleResponse](&http.Client{Transport: t}, "http://bench"+connectPath(method), connect.WithAcceptCompression("gzip", nil, nil))
	}
	return connectCaller{http: t, unary: client(unaryMethod), series: client(streamMethod)}, nil
}

func (c connectCaller) call(ctx context.Context, body []byte) (int, error) {
	in := connect.NewRequest(question(body))
	in.Header().Set(headerKey, headerValue)
	out, err := c.unary.CallUnary(ctx, in)
	if err != nil {
		return 0, err
	}
	return len(out.Msg.GetPayload().GetBody()), nil
}

func (c connectCaller) stream(ctx context.Context, size, n int) error {
	in, err := c.series.CallServerStream(ctx, connect.NewRequest(series(size, n)))
	if err != nil {
		return err
	}
	defer in.Close()
	return count(size, n, func() (*pb.SimpleResponse, error) {
		if in.Receive() {
			return in.Msg(), nil
		}
		if err := in.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	})
}

func (c connectCaller) close() error {
	c.http.CloseIdleConnections()
	return nil
}
