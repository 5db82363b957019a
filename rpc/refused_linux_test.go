// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"io"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport"
)

// TestRefusedCallIsMadeAgain: a call that crossed a stopping server's goodbye,
// so that no handler has seen it, is made again on the next connection.
func TestRefusedCallIsMadeAgain(t *testing.T) {
	address := "unix://" + filepath.Join(t.TempDir(), "s")
	serve(t, address, rpc.ServerConfig{})
	stopping := "unix://" + filepath.Join(t.TempDir(), "stopping")
	ln, err := parley.Listen(t.Context(), stopping)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	refused := make(chan error, 1)
	go func() { refused <- refuseOne(t.Context(), ln) }()
	dials := 0
	c, err := rpc.NewClient(rpc.ClientConfig{DialConn: func(ctx context.Context) (transport.Conn, error) {
		if dials++; dials == 1 {
			return parley.Dial(ctx, stopping)
		}
		return parley.Dial(ctx, address)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	r, err := pb.NewTestServiceClient(c).UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(100)})
	if err != nil || len(r.GetPayload().GetBody()) != 100 {
		t.Error(r, err)
	}
	if err := <-refused; err != nil {
		t.Error("the stopping server:", err)
	}
	if dials != 2 {
		t.Errorf("%d connections, want 2", dials)
	}
}

// refuseOne is a server that refuses the first call of its one client.
func refuseOne(ctx context.Context, ln transport.Listener) error {
	conn, err := ln.AcceptConn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	prefix := make([]byte, rpcwire.HelloPrefix)
	if _, err := io.ReadFull(conn, prefix); err != nil {
		return err
	}
	_, _, n, err := rpcwire.ParseHelloPrefix(prefix)
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, make([]byte, n)); err != nil {
		return err
	}
	if _, err := conn.Write(rpcwire.Hello{Window: 1 << 20, Total: 1 << 20, Streams: 100, Header: 1 << 15}.Append(nil)); err != nil {
		return err
	}
	head := make([]byte, rpcwire.HeadSize)
	if _, err := io.ReadFull(conn, head); err != nil {
		return err
	}
	h, err := rpcwire.ParseHead(head)
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, make([]byte, h.Length)); err != nil {
		return err
	}
	no := rpcwire.Closing{Flags: rpcwire.FlagStatus, Code: uint32(codes.Unavailable), Text: []byte("stopping")}
	_, err = conn.Write(rawFrame(rpcwire.Close, rpcwire.FlagRefused|rpcwire.FlagStatus, h.Stream, no.Append(nil)))
	if err == nil && conn.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, conn) // until the client hangs up, too
	}
	return err
}
