// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley/bench/internal/natsd"
	"github.com/parley-ipc/parley/bench/internal/party"
)

const natsSubject = "bench.unary"

func natsServe(_ context.Context, s party.Side) error {
	nc, err := natsConnect(s)
	if err != nil {
		return err
	}
	_, err = nc.Subscribe(natsSubject, func(m *nats.Msg) {
		in := new(pb.SimpleRequest)
		err := proto.Unmarshal(m.Data, in)
		if err == nil {
			var out []byte
			if out, err = proto.Marshal(echo(in)); err == nil {
				err = m.Respond(out)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "NATS:", err)
		}
	})
	if err != nil {
		return err
	}
	return nc.Flush()
}

func natsConnect(s party.Side) (*nats.Conn, error) {
	url, err := natsd.URL(s)
	if err != nil {
		return nil, err
	}
	return nats.Connect(url)
}

type natsCaller struct{ nc *nats.Conn }

func natsDial(_ context.Context, s party.Side) (caller, error) {
	nc, err := natsConnect(s)
	if err != nil {
		return nil, err
	}
	return natsCaller{nc}, nil
}

func (n natsCaller) call(ctx context.Context, body []byte) (int, error) {
	data, err := proto.Marshal(question(body))
	if err != nil {
		return 0, err
	}
	m, err := n.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: natsSubject, Data: data, Header: nats.Header{headerKey: {headerValue}}})
	if err != nil {
		return 0, err
	}
	out := new(pb.SimpleResponse)
	if err := proto.Unmarshal(m.Data, out); err != nil {
		return 0, err
	}
	return len(out.GetPayload().GetBody()), nil
}

func (n natsCaller) close() error {
	n.nc.Close()
	return nil
}
