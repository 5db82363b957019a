// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
)

// http2 makes calls by HTTP/2, on the connection first to begin with.
func (a *app) http2(r *rpcFlags, addr endpoint.Address, first transport.Conn) (channel, error) {
	dialled := &handedOver{conn: first}
	cc, err := grpc.NewClient("passthrough:///parley",
		grpc.WithAuthority(cmp.Or(r.authority, addr.Host, "localhost")),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // the transport's are
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: a.timeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			if conn := dialled.take(); conn != nil {
				return conn, nil
			}
			return a.dial(ctx, &r.connectFlags, addr.String())
		}))
	if err != nil {
		_ = first.Close()
		return nil, err
	}
	return &oneChannel{cc, dialled}, nil
}

// oneChannel closes the first connection if no call has used it.
type oneChannel struct {
	*grpc.ClientConn
	first *handedOver
}

func (c *oneChannel) Close() error {
	err := c.ClientConn.Close()
	if conn := c.first.take(); conn != nil {
		_ = conn.Close()
	}
	return err
}
