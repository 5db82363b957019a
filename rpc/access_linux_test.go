// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/auth/token"
	"github.com/parley-ipc/parley/rpc"
)

func TestPolicyIsAskedForEachCall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, own := serve(t, "shm://"+path, rpc.ServerConfig{Authorizer: onlyUnary})
	stock, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stock.Close() }()
	for name, cc := range map[string]grpc.ClientConnInterface{"own": own, "stock": stock} {
		c := pb.NewTestServiceClient(cc)
		if _, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
			t.Error(name, err)
		}
		_, err := c.EmptyCall(t.Context(), &pb.Empty{})
		s, serr := c.FullDuplexCall(t.Context())
		if serr == nil {
			_, serr = s.Recv()
		}
		if status.Code(err) != codes.PermissionDenied || status.Code(serr) != codes.PermissionDenied || strings.Contains(err.Error(), "rule") {
			t.Errorf("%s: %v, %v", name, err, serr)
		}
	}
}

func TestTokens(t *testing.T) {
	store, err := token.Open(filepath.Join(t.TempDir(), "tokens"))
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := store.Add(t.Context(), "ci", []string{"call:rpc:/grpc.testing.TestService/UnaryCall"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	all := auth.AuthorizerFunc(func(context.Context, auth.Identity, auth.Action, string) error { return nil })
	_, own := serve(t, "shm://"+path, rpc.ServerConfig{Authorizer: all, Tokens: store})
	bearing := grpc.PerRPCCredentials(rpc.Bearer(secret))
	r, err := pb.NewTestServiceClient(own).UnaryCall(t.Context(), &pb.SimpleRequest{}, bearing)
	if err != nil || r.GetUsername() != "token:ci" {
		t.Error(r, err)
	}
	for name, cc := range bothDoors(t, path, newWatcher()) {
		c := pb.NewTestServiceClient(cc)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+secret)
		if r, err := c.UnaryCall(ctx, &pb.SimpleRequest{}); err != nil || r.GetUsername() != "token:ci" {
			t.Error(name, r, err)
		}
		if _, err := c.EmptyCall(ctx, &pb.Empty{}); status.Code(err) != codes.PermissionDenied {
			t.Error(name, "outside its scope:", err)
		}
		s, err := c.FullDuplexCall(ctx)
		if err == nil {
			_, err = s.Recv()
		}
		if status.Code(err) != codes.PermissionDenied {
			t.Error(name, "a stream outside its scope:", err)
		}
		wrong := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer wrong")
		if _, err := c.UnaryCall(wrong, &pb.SimpleRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Error(name, "no token:", err)
		}
		if r, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil || !strings.HasPrefix(r.GetUsername(), "uid:") {
			t.Error(name, "without one:", r, err)
		}
	}
}

// TestTokensOnPlainTCP: a listener of net's own is not taken for a private one.
func TestTokensOnPlainTCP(t *testing.T) {
	store, err := token.Open(filepath.Join(t.TempDir(), "tokens"))
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := store.Add(t.Context(), "ci", []string{"call:rpc:**"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer(rpc.ServerConfig{Authorizer: everyone, Tokens: store})
	pb.RegisterTestServiceServer(s, &tester{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, ln)
	ours := dial(t, "tcp://"+ln.Addr().String())
	stock, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stock.Close() }()
	for name, cc := range map[string]grpc.ClientConnInterface{"ours": ours, "grpc-go": stock} {
		c := pb.NewTestServiceClient(cc)
		if _, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
			t.Error(name, err)
		}
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+secret)
		if _, err := c.UnaryCall(ctx, &pb.SimpleRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v, want a token to be refused", name, err)
		}
	}
}

type fileReader struct {
	pb.UnimplementedTestServiceServer
}

func (fileReader) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	var all []byte
	for _, f := range rpc.Files(ctx) {
		b, err := io.ReadAll(f)
		if err != nil {
			return nil, err
		}
		_ = f.Close()
		all = append(all, b...)
	}
	return &pb.SimpleResponse{Username: string(all)}, nil
}

func TestFilesAsArguments(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			s := rpc.NewServer(rpc.ServerConfig{})
			pb.RegisterTestServiceServer(s, fileReader{})
			cc := dial(t, start(t, s, address))
			for i := range 40 {
				path := filepath.Join(t.TempDir(), "f")
				if err := os.WriteFile(path, fmt.Append(nil, "content ", i), 0o600); err != nil {
					t.Fatal(err)
				}
				f, err := os.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				r, err := pb.NewTestServiceClient(cc).UnaryCall(rpc.AttachFiles(t.Context(), f), &pb.SimpleRequest{})
				_ = f.Close()
				if name == "tcp" {
					if status.Code(err) != codes.Unimplemented {
						t.Error(err)
					}
					return
				}
				if err != nil || r.GetUsername() != fmt.Sprint("content ", i) {
					t.Fatal(r, err)
				}
			}
		})
	}
}

func TestInterceptorsSeeATarget(t *testing.T) {
	address := "inproc://intercepted"
	var seen []string
	s := rpc.NewServer(rpc.ServerConfig{UnaryInterceptors: []grpc.UnaryServerInterceptor{
		func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			seen = append(seen, info.FullMethod)
			return h(ctx, req)
		},
	}})
	handle(t, s, "/hand.Made/Double", func(_ context.Context, n *int) (*int, error) { d := 2 * *n; return &d, nil })
	start(t, s, address)
	c, err := rpc.NewClient(rpc.ClientConfig{Address: address, UnaryInterceptors: []grpc.UnaryClientInterceptor{
		func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			seen = append(seen, cc.Target())
			return next(ctx, method, req, reply, cc, opts...)
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	n := 21
	got, err := rpc.Call[int, int](t.Context(), c, "/hand.Made/Double", &n)
	if err != nil || *got != 42 {
		t.Fatal(got, err)
	}
	if len(seen) != 2 || !strings.HasSuffix(seen[0], address) || seen[1] != "/hand.Made/Double" {
		t.Error(seen)
	}
}
