// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/parley-ipc/parley/transport"
)

// channel connects at once, so that what is wrong on the way there is told in
// our own words, and makes calls by HTTP/2 on that connection.
func (a *app) channel(ctx context.Context, c *connectFlags, address string) (channel, error) {
	c.protocols = []string{"h2"}
	first, err := a.dial(ctx, c, address)
	if err != nil {
		return nil, err
	}
	dialled := &handedOver{conn: first}
	cc, err := grpc.NewClient("passthrough:///parley",
		grpc.WithAuthority("localhost"), // as for a unix socket: an address of ours is no host
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			if conn := dialled.take(); conn != nil {
				return conn, nil
			}
			return a.dial(ctx, c, address)
		}))
	if err != nil {
		_ = first.Close()
		return nil, err
	}
	return &oneChannel{cc, dialled}, nil
}

// maxAnswer bounds a message from the server, as it does everywhere in Parley.
const maxAnswer = 64 << 20

// handedOver is a connection that is given out once.
type handedOver struct {
	mu   sync.Mutex
	conn transport.Conn // guarded by mu; nil once taken
}

func (h *handedOver) take() transport.Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	conn := h.conn
	h.conn = nil
	return conn
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

// outgoing adds the metadata of --header to ctx.
func (r *rpcFlags) outgoing(ctx context.Context) (context.Context, error) {
	md := metadata.MD{}
	for _, header := range r.headers {
		key, value, ok := strings.Cut(header, ":")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		if !ok || key == "" {
			return nil, usageError{fmt.Errorf("--header %q: write key:value", header)}
		}
		if strings.HasSuffix(key, "-bin") {
			raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
			if err != nil {
				return nil, usageError{fmt.Errorf("--header %s: base64, because its name ends in -bin: %w", key, err)}
			}
			value = string(raw)
		}
		md.Append(key, value)
	}
	if len(md) == 0 {
		return ctx, nil
	}
	return metadata.NewOutgoingContext(ctx, md), nil
}
