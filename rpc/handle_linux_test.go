// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/rpc"
)

type order struct {
	ID    int      `json:"id"`
	Items []string `json:"items"`
}

type query struct {
	ID int `json:"id"`
}

func serveOrders(s *rpc.Server, intercepted *int) error {
	return errors.Join(
		rpc.Handle(s, "/orders.Orders/Get", func(_ context.Context, q *query) (*order, error) {
			if q.ID == 0 {
				return nil, status.Error(codes.InvalidArgument, "which order?")
			}
			return &order{q.ID, []string{"tea", "milk"}}, nil
		}),
		rpc.Handle(s, "/orders.Orders/Count", func(context.Context, *struct{}) (*int, error) { return intercepted, nil }),
	)
}

// The same methods on our server, for our client over shared memory and a stock
// gRPC client on the same socket.
func TestHandle(t *testing.T) {
	dir, err := os.MkdirTemp("", "rpc") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "orders")
	count := 0
	s := rpc.NewServer(rpc.ServerConfig{UnaryInterceptors: []grpc.UnaryServerInterceptor{
		func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if info.FullMethod == "/orders.Orders/Get" {
				count++
			}
			return next(ctx, req)
		},
	}})
	if err := serveOrders(s, &count); err != nil {
		t.Fatal(err)
	}
	ours := dial(t, start(t, s, "shm://"+path))
	stock, err := grpc.NewClient("passthrough:///orders", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stock.Close() }()
	for name, conn := range map[string]grpc.ClientConnInterface{"Parley": ours, "grpc-go": stock} {
		o, err := rpc.Call[query, order](t.Context(), conn, "/orders.Orders/Get", &query{ID: 7})
		if err != nil || o.ID != 7 || fmt.Sprint(o.Items) != "[tea milk]" {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		_, err = rpc.Call[query, order](t.Context(), conn, "/orders.Orders/Get", &query{})
		if st := status.Convert(err); st.Code() != codes.InvalidArgument || st.Message() != "which order?" {
			t.Errorf("%s: an error comes as %v", name, err)
		}
		if _, err = rpc.Call[query, order](t.Context(), conn, "/orders.Orders/None", &query{}); status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: no such method: %v", name, err)
		}
	}
	n, err := rpc.Call[struct{}, int](t.Context(), ours, "/orders.Orders/Count", &struct{}{})
	if err != nil || *n != 4 {
		t.Errorf("interceptors saw %d calls (%v), want 4", count, err)
	} // each client's two, and none of what does not exist
	if info := s.GetServiceInfo()["orders.Orders"]; len(info.Methods) != 2 {
		t.Errorf("the server knows of %+v", info)
	}
}
