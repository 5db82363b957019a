// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"

	"google.golang.org/protobuf/proto"
	"storj.io/drpc"
	"storj.io/drpc/drpcconn"
	"storj.io/drpc/drpcmetadata"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"

	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// drpcCodec is what protoc-gen-go-drpc generates.
type drpcCodec struct{}

var errNoProto = errors.New("not a protobuf message")

func (drpcCodec) Marshal(m drpc.Message) ([]byte, error) {
	if m, ok := m.(proto.Message); ok {
		return proto.Marshal(m)
	}
	return nil, errNoProto
}

func (drpcCodec) MarshalAppend(buf []byte, m drpc.Message) ([]byte, error) {
	if m, ok := m.(proto.Message); ok {
		return proto.MarshalOptions{}.MarshalAppend(buf, m)
	}
	return nil, errNoProto
}

func (drpcCodec) Unmarshal(buf []byte, m drpc.Message) error {
	if m, ok := m.(proto.Message); ok {
		return proto.Unmarshal(buf, m)
	}
	return errNoProto
}

// drpcService is the service in drpc's shape, and its description.
type drpcService struct{}

func (drpcService) Unary(_ context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	return echo(in), nil
}

func (drpcService) Stream(in *pb.SimpleRequest, out drpc.Stream) error {
	return answers(in, func(m *pb.SimpleResponse) error { return out.MsgSend(m, drpcCodec{}) })
}

func (drpcService) NumMethods() int { return 2 }

func (drpcService) Method(n int) (string, drpc.Encoding, drpc.Receiver, any, bool) {
	switch n {
	case 0:
		return drpcName(unaryMethod), drpcCodec{}, func(srv any, ctx context.Context, in1, _ any) (drpc.Message, error) {
			return drpcService{}.Unary(ctx, in1.(*pb.SimpleRequest))
		}, drpcService.Unary, true
	case 1:
		return drpcName(streamMethod), drpcCodec{}, func(srv any, _ context.Context, in1, in2 any) (drpc.Message, error) {
			return nil, drpcService{}.Stream(in1.(*pb.SimpleRequest), in2.(drpc.Stream))
		}, drpcService.Stream, true
	}
	return "", nil, nil, nil, false
}

func drpcName(method string) string { return "/" + serviceName + "/" + method }

func drpcServe(ctx context.Context, s party.Side) error {
	ln, err := listenUnix(ctx, s)
	if err != nil {
		return err
	}
	mux := drpcmux.New()
	if err := mux.Register(drpcService{}, drpcService{}); err != nil {
		return err
	}
	go serving(func() error { return drpcserver.New(mux).Serve(ctx, ln) })
	return nil
}

// drpcCaller is a connection. It makes one call at a time: others wait.
type drpcCaller struct{ conn *drpcconn.Conn }

func drpcDial(ctx context.Context, s party.Side) (caller, error) {
	c, err := dialUnix(ctx, s)
	if err != nil {
		return nil, err
	}
	return drpcCaller{drpcconn.New(c)}, nil
}

func (d drpcCaller) call(ctx context.Context, body []byte) (int, error) {
	out := new(pb.SimpleResponse)
	ctx = drpcmetadata.Add(ctx, headerKey, headerValue)
	err := d.conn.Invoke(ctx, drpcName(unaryMethod), drpcCodec{}, question(body), out)
	return len(out.GetPayload().GetBody()), err
}

func (d drpcCaller) stream(ctx context.Context, size, n int) error {
	in, err := d.conn.NewStream(ctx, drpcName(streamMethod), drpcCodec{})
	if err != nil {
		return err
	}
	defer in.Close()
	if err := in.MsgSend(series(size, n), drpcCodec{}); err != nil {
		return err
	}
	if err := in.CloseSend(); err != nil {
		return err
	}
	return count(size, n, func() (*pb.SimpleResponse, error) {
		out := new(pb.SimpleResponse)
		err := in.MsgRecv(out, drpcCodec{})
		if errors.Is(err, io.EOF) {
			err = io.EOF
		}
		return out, err
	})
}

func (d drpcCaller) close() error { return d.conn.Close() }
