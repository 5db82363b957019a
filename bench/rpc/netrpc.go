// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/rpc"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// Body is the message in net/rpc's gob, which has no protobuf, no deadlines
// and no headers.
type Body struct{ Body []byte }

// Bench is the service for net/rpc.
type Bench struct{}

// Unary is its method.
func (Bench) Unary(in *Body, out *Body) error {
	out.Body = in.Body
	return nil
}

func netrpcServe(ctx context.Context, s party.Side) error {
	ln, err := listenUnix(ctx, s)
	if err != nil {
		return err
	}
	srv := rpc.NewServer()
	if err := srv.Register(Bench{}); err != nil {
		return err
	}
	go srv.Accept(ln)
	return nil
}

type netrpcCaller struct{ client *rpc.Client }

func netrpcDial(ctx context.Context, s party.Side) (caller, error) {
	c, err := dialUnix(ctx, s)
	if err != nil {
		return nil, err
	}
	return netrpcCaller{rpc.NewClient(c)}, nil
}

func (n netrpcCaller) call(ctx context.Context, body []byte) (int, error) {
	var out Body
	call := n.client.Go("Bench.Unary", &Body{body}, &out, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return len(out.Body), call.Error
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (n netrpcCaller) close() error { return n.client.Close() }
