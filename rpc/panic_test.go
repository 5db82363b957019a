// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoiface"

	"github.com/parley-ipc/parley/rpc"
)

// bomb is an answer whose marshalling panics: when it is weighed, or when it is
// written.
type bomb struct {
	*pb.SimpleResponse
	weighed bool
}

func (b *bomb) ProtoReflect() protoreflect.Message {
	return &bombMessage{b.SimpleResponse.ProtoReflect(), b.weighed}
}

type bombMessage struct {
	protoreflect.Message
	weighed bool
}

func (m *bombMessage) ProtoMethods() *protoiface.Methods {
	return &protoiface.Methods{
		Flags: protoiface.SupportMarshalDeterministic,
		Size: func(protoiface.SizeInput) protoiface.SizeOutput {
			if m.weighed {
				panic("when it is weighed")
			}
			return protoiface.SizeOutput{Size: len(m.Interface().(*pb.SimpleResponse).GetPayload().GetBody())}
		},
		Marshal: func(protoiface.MarshalInput) (protoiface.MarshalOutput, error) { panic("when it is written") },
	}
}

// unspeakable is the same in JSON.
type unspeakable struct{}

func (unspeakable) MarshalJSON() ([]byte, error) { panic("in JSON") }

// TestPanicOfTheCaller: a call whose own request panics, and is recovered by
// the program, has no place any more.
func TestPanicOfTheCaller(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			_, c := serve(t, address, rpc.ServerConfig{Limits: rpc.Limits{MaxStreams: 1}})
			for _, n := range []int{100, 20_000, 200_000, 2 << 20} {
				for _, weighed := range []bool{true, false} {
					panics(t, c, &bomb{&pb.SimpleResponse{Payload: payload(n)}, weighed})
					if _, err := pb.NewTestServiceClient(c).UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(n)}); err != nil {
						t.Fatal("the next:", err)
					}
				}
			}
		})
	}
}

// panics calls with req, and wants it to panic.
func panics(t *testing.T, c *rpc.Client, req any) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("nothing panics")
		}
	}()
	t.Error(c.Invoke(t.Context(), "/grpc.testing.TestService/UnaryCall", req, new(pb.SimpleResponse)))
}

// TestPanicWhileMarshalling: an answer whose marshalling panics, wherever it is
// put together, is Internal to its caller, and nothing to the next one.
func TestPanicWhileMarshalling(t *testing.T) {
	answer := func(weighed bool) func(context.Context, *pb.SimpleRequest) (*bomb, error) {
		return func(_ context.Context, in *pb.SimpleRequest) (*bomb, error) {
			return &bomb{&pb.SimpleResponse{Payload: in.GetPayload()}, weighed}, nil
		}
	}
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			s := rpc.NewServer(rpc.ServerConfig{})
			handle(t, s, "/t.T/Weighed", answer(true))
			handle(t, s, "/t.T/Written", answer(false))
			handle(t, s, "/t.T/JSON", func(context.Context, *pb.SimpleRequest) (*unspeakable, error) { return new(unspeakable), nil })
			pb.RegisterTestServiceServer(s, &tester{})
			c := dial(t, start(t, s, address))
			fails := func(method string, n int, opts ...grpc.CallOption) {
				t.Helper()
				if err := c.Invoke(t.Context(), method, &pb.SimpleRequest{Payload: payload(n)}, new(pb.SimpleResponse), opts...); status.Code(err) != codes.Internal {
					t.Errorf("%s, %d bytes: %v", method, n, err)
				}
				if _, err := pb.NewTestServiceClient(c).UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
					t.Fatal("the next:", err)
				}
			}
			for range 3 {
				for _, n := range []int{100, 20_000, 200_000, 2 << 20} { // in the queue, in the ring, in parts
					fails("/t.T/Weighed", n)
					fails("/t.T/Written", n)
				}
				fails("/t.T/JSON", 0, grpc.CallContentSubtype("json"))
			}
		})
	}
}
