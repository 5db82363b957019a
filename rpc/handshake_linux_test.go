// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"testing"

	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/rpc"
)

// TestDeniedAtTheDoor: who may not even connect is told so, by every handshake
// of ours.
func TestDeniedAtTheDoor(t *testing.T) {
	for _, w := range ways() {
		if w.budget != nil || w.stock {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			s := rpc.NewServer(rpc.ServerConfig{Authorizer: nobody, Listen: w.listen(t)})
			c, err := rpc.NewClient(rpc.ClientConfig{Address: start(t, s, w.address(t)), Dialer: w.dialer(t)})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if err := c.WaitReady(t.Context()); !errors.Is(err, fault.Denied) {
				t.Errorf("%v, want a denial", err)
			}
		})
	}
}

// TestHelloIsAnswered: who speaks another version, or says nonsense, learns
// that before the end.
func TestHelloIsAnswered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	serve(t, "unix://"+path, rpc.ServerConfig{})
	good := rpcwire.Hello{Window: 1 << 20, Total: 1 << 20}.Append(nil)
	version, window, long := append([]byte(nil), good...), append([]byte(nil), good...), append([]byte(nil), good...)
	binary.LittleEndian.PutUint16(version[8:], 99)
	binary.LittleEndian.PutUint32(window[16:], 1)
	binary.LittleEndian.PutUint32(long[12:], 1<<30)
	for name, row := range map[string]struct {
		hello []byte
		want  rpcwire.Status
	}{
		"our version":       {good, rpcwire.StatusOK},
		"another version":   {version, rpcwire.StatusVersion},
		"a window too tiny": {window, rpcwire.StatusBroken},
		"one far too long":  {long, rpcwire.StatusBroken},
	} {
		c, err := parley.Dial(t.Context(), "unix://"+path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Write(row.hello); err != nil {
			t.Fatal(err)
		}
		prefix := make([]byte, rpcwire.HelloPrefix)
		if _, err := io.ReadFull(c, prefix); err != nil {
			t.Fatal(name, err)
		}
		if _, st, _, err := rpcwire.ParseHelloPrefix(prefix); st != row.want || err != nil {
			t.Errorf("%s: status %d (%v), want %d", name, st, err, row.want)
		}
	}
}

// named answers with what it was called.
type named struct {
	pb.UnimplementedTestServiceServer
}

func (named) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	return &pb.SimpleResponse{Username: md.Get("user-agent")[0], Hostname: md.Get(":authority")[0]}, nil
}

// TestAuthorityAndAgent are what WithAuthority and WithUserAgent are to
// grpc-go.
func TestAuthorityAndAgent(t *testing.T) {
	s := rpc.NewServer(rpc.ServerConfig{})
	pb.RegisterTestServiceServer(s, named{})
	address := start(t, s, "tcp://127.0.0.1:0")
	for _, row := range []struct {
		cfg              rpc.ClientConfig
		agent, authority string
	}{
		{rpc.ClientConfig{Address: address}, "parley/0", address[len("tcp://"):]},
		{rpc.ClientConfig{Address: address, Authority: "greeter.example", UserAgent: "tester/7"}, "tester/7 parley/0", "greeter.example"},
	} {
		c, err := rpc.NewClient(row.cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		r, err := pb.NewTestServiceClient(c).UnaryCall(t.Context(), &pb.SimpleRequest{})
		if err != nil || r.GetUsername() != row.agent || r.GetHostname() != row.authority {
			t.Errorf("%v, %v: want agent %q, authority %q", r, err, row.agent, row.authority)
		}
	}
}
