// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/containerd/ttrpc"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/parley-ipc/parley/bench/internal/party"
)

func ttrpcServe(ctx context.Context, s party.Side) error {
	ln, err := listenUnix(ctx, s)
	if err != nil {
		return err
	}
	srv, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	srv.RegisterService(serviceName, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{unaryMethod: func(_ context.Context, unmarshal func(any) error) (any, error) {
			in := new(pb.SimpleRequest)
			if err := unmarshal(in); err != nil {
				return nil, err
			}
			return echo(in), nil
		}},
		Streams: map[string]ttrpc.Stream{streamMethod: {StreamingServer: true, Handler: func(_ context.Context, out ttrpc.StreamServer) (any, error) {
			in := new(pb.SimpleRequest)
			if err := out.RecvMsg(in); err != nil {
				return nil, err
			}
			return nil, answers(in, func(m *pb.SimpleResponse) error { return out.SendMsg(m) })
		}}},
	})
	go serving(func() error { return srv.Serve(ctx, ln) })
	return nil
}

type ttrpcCaller struct{ client *ttrpc.Client }

func ttrpcDial(ctx context.Context, s party.Side) (caller, error) {
	c, err := dialUnix(ctx, s)
	if err != nil {
		return nil, err
	}
	return ttrpcCaller{ttrpc.NewClient(c)}, nil
}

func (t ttrpcCaller) call(ctx context.Context, body []byte) (int, error) {
	out := new(pb.SimpleResponse)
	ctx = ttrpc.WithMetadata(ctx, ttrpc.MD{headerKey: {headerValue}})
	err := t.client.Call(ctx, serviceName, unaryMethod, question(body), out)
	return len(out.GetPayload().GetBody()), err
}

func (t ttrpcCaller) stream(ctx context.Context, size, n int) error {
	in, err := t.client.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, serviceName, streamMethod, series(size, n))
	if err != nil {
		return err
	}
	return count(size, n, func() (*pb.SimpleResponse, error) {
		out := new(pb.SimpleResponse)
		err := in.RecvMsg(out)
		return out, err
	})
}

func (t ttrpcCaller) close() error { return t.client.Close() }
