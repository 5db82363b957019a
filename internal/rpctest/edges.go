// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const service = "/grpc.testing.TestService/"

var bothWays = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

// bytesCodec sends bytes as they are, in protobuf's name.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// edgePlays are calls that no stub makes, and what lies at a limit.
var edgePlays = []play{
	{"edge/malformed names", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response("ok"), nil }
		s.start()
		for _, name := range []string{"/", "//", "/noslash", "noslash", "", "a/b", service[1:] + "UnaryCall", "/a/", "//UnaryCall", service, service + "/UnaryCall", service + "unaryCall"} {
			err := s.client.Invoke(s.ctx, name, request(""), new(pb.SimpleResponse))
			s.saw("%q: %s", name, outcome(err))
		}
	}},
	{"edge/a request that is no protobuf", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response("ok"), nil }
		s.duplex = s.echoQuietly
		s.start()
		var answer []byte
		err := s.client.Invoke(s.ctx, service+"UnaryCall", []byte("\xff\xff\xff"), &answer, grpc.ForceCodecV2(bytesCodec{}))
		s.saw("%s", code(err))
		stream, err := s.client.NewStream(s.ctx, bothWays, service+"FullDuplexCall", grpc.ForceCodecV2(bytesCodec{}))
		if err == nil {
			err = stream.SendMsg([]byte("\xff\xff\xff"))
		}
		if err == nil {
			err = stream.RecvMsg(&answer)
		}
		s.saw("%s", code(err))
	}},
	{"edge/an answer that is no protobuf of ours", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			return &pb.SimpleResponse{Username: "bytes where a message is expected \xc3\xa9"}, nil
		}
		s.start()
		err := s.client.Invoke(s.ctx, service+"UnaryCall", request(""), new(pb.ReconnectInfo))
		s.saw("%s", code(err))
	}},
	{"edge/a unary method as a stream", func(s *scene) {
		s.unary = func(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			s.did("called %s", short(r.GetPayload()))
			return response("ok"), nil
		}
		s.start()
		for n := range 3 {
			s.streamBothWays("UnaryCall", slices.Repeat([]proto.Message{request("x")}, n), new(pb.SimpleResponse))
		}
	}},
	{"edge/a server's stream as a stream of both", func(s *scene) {
		s.output = func(r *pb.StreamingOutputCallRequest, stream outputStream) error {
			s.did("called %s", short(r.GetPayload()))
			return stream.Send(answer("ok"))
		}
		s.start()
		for n := range 2 {
			s.streamBothWays("StreamingOutputCall", slices.Repeat([]proto.Message{asked("x")}, n), new(pb.StreamingOutputCallResponse))
		}
	}},
	{"edge/a stream as a unary call", func(s *scene) {
		s.duplex = func(stream duplexStream) error {
			n := 0
			for {
				r, err := stream.Recv()
				if err != nil {
					s.did("received %s", ended(err))
					break
				}
				n = len(r.GetPayload().GetBody())
			}
			for range n {
				if err := stream.Send(answer("x")); err != nil {
					return err
				}
			}
			return nil
		}
		s.start()
		for n := range 3 {
			r := new(pb.StreamingOutputCallResponse)
			err := s.client.Invoke(s.ctx, service+"FullDuplexCall", asked(strings.Repeat("n", n)), r)
			s.saw("%d answers: %s", n, outcome(err))
		}
	}},
	{"edge/codecs and compressors that are not there", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response("ok"), nil }
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""), grpc.UseCompressor("nonesuch"))
		s.saw("%s", outcome(err))
		_, err = c.UnaryCall(s.ctx, request(""), grpc.CallContentSubtype("nonesuch"))
		s.saw("%s", outcome(err))
		_, err = c.FullDuplexCall(s.ctx, grpc.UseCompressor("nonesuch"))
		s.saw("%s", outcome(err))
		_, err = c.FullDuplexCall(s.ctx, grpc.CallContentSubtype("nonesuch"))
		s.saw("%s", outcome(err))
		_, err = c.UnaryCall(s.ctx, request(""), grpc.UseCompressor("identity"))
		s.saw("%s", outcome(err))
	}},
	{"edge/larger once it is unpacked", func(s *scene) {
		s.options = ServerOptions{MaxRecv: 1000}
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response(big(5000)), nil }
		s.duplex = s.echoQuietly
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(big(5000)), grpc.UseCompressor(gzip.Name))
		s.saw("%s", outcome(err))
		_, err = c.UnaryCall(s.ctx, request(""), grpc.UseCompressor(gzip.Name), grpc.MaxCallRecvMsgSize(1000))
		s.saw("%s", outcome(err))
		stream, err := c.FullDuplexCall(s.ctx, grpc.UseCompressor(gzip.Name))
		if err == nil {
			_ = stream.Send(asked(big(5000)))
		}
		s.drain(stream, err)
	}},
	{"edge/empty messages of a stream", func(s *scene) {
		s.duplex = s.echo
		c := s.start()
		for _, opts := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
			stream, err := c.FullDuplexCall(s.ctx, opts...)
			if err == nil {
				for range 3 {
					err = stream.Send(&pb.StreamingOutputCallRequest{})
				}
			}
			s.saw("%s %s", outcome(err), outcome(stream.CloseSend()))
			s.drain(stream, nil)
		}
	}},
	{"edge/one call at a time", func(s *scene) {
		s.options = ServerOptions{MaxStreams: 1}
		began, release := make(chan struct{}, 10), make(chan struct{})
		s.unary = func(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			s.did("%s", short(r.GetPayload()))
			began <- struct{}{}
			select {
			case <-release:
			case <-ctx.Done():
			}
			return response("ok"), nil
		}
		c := s.start()
		first := make(chan error, 1)
		go func() {
			_, err := c.UnaryCall(s.ctx, request("first"))
			first <- err
		}()
		<-began
		ctx, cancel := context.WithTimeout(s.ctx, soon)
		_, err := c.UnaryCall(ctx, request("second"))
		s.saw("%s", code(err))
		cancel()
		ctx, cancel = context.WithCancel(s.ctx)
		cancelled := make(chan error, 1)
		go func() {
			_, err := c.FullDuplexCall(ctx)
			cancelled <- err
		}()
		cancel()
		s.saw("%s", code(<-cancelled))
		close(release)
		s.saw("%s", outcome(<-first))
		_, err = c.UnaryCall(s.ctx, request("third"))
		s.saw("%s", outcome(err))
	}},
	{"edge/a handler that hides what went wrong", func(s *scene) {
		s.options = ServerOptions{MaxSend: 1000}
		s.output = func(_ *pb.StreamingOutputCallRequest, stream outputStream) error {
			s.did("%s", code(stream.Send(answer(big(2000)))))
			return nil
		}
		s.duplex = s.echoQuietly
		c := s.start()
		out, err := c.StreamingOutputCall(s.ctx, asked(""))
		s.drain(out, err)
		both, err := c.FullDuplexCall(s.ctx)
		if err == nil {
			_ = both.Send(asked(big(5 << 20)))
		}
		s.drain(both, err)
	}},
	{"edge/header and trailer of an error", func(s *scene) {
		s.duplex = func(stream duplexStream) error {
			md, _ := metadata.FromIncomingContext(stream.Context())
			s.did("set %s", outcome(stream.SetHeader(metadata.Pairs("a", "1"))))
			stream.SetTrailer(metadata.Pairs("t", "1"))
			if len(md["send"]) > 0 {
				s.did("send %s", outcome(stream.SendHeader(metadata.Pairs("b", "2"))))
			}
			stream.SetTrailer(metadata.Pairs("t", "2"))
			return status.Error(codes.DataLoss, "lost")
		}
		c := s.start()
		for _, ctx := range []context.Context{s.ctx, metadata.AppendToOutgoingContext(s.ctx, "send", "yes")} {
			stream, err := c.FullDuplexCall(ctx)
			if err != nil {
				s.saw("%s", outcome(err))
				continue
			}
			header, err := stream.Header()
			s.saw("%s %s", told(header), outcome(err))
			_, err = stream.Recv()
			s.saw("%s", outcome(err))
			_, err = stream.Recv()
			s.saw("again %s; trailer %s", ended(err), told(stream.Trailer()))
		}
	}},
	{"edge/header after a message", func(s *scene) {
		s.output = func(_ *pb.StreamingOutputCallRequest, stream outputStream) error {
			err := stream.Send(answer("one"))
			s.did("%s, set %v, send %v", outcome(err), stream.SetHeader(metadata.Pairs("a", "1")) != nil, stream.SendHeader(metadata.Pairs("b", "1")) != nil)
			return nil
		}
		c := s.start()
		stream, err := c.StreamingOutputCall(s.ctx, asked(""))
		s.drain(stream, err)
	}},
	{"edge/reserved names from the server", func(s *scene) {
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			s.did("%s", outcome(grpc.SetHeader(ctx, metadata.Pairs("grpc-status", "5", "grpc-mine", "x", "te", "y", "user-agent", "z"))))
			s.did("%s", outcome(grpc.SetTrailer(ctx, metadata.Pairs("grpc-status", "5", "grpc-message", "no", "mine", "x"))))
			return response("ok"), nil
		}
		c := s.start()
		var header, trailer metadata.MD
		_, err := c.UnaryCall(s.ctx, request(""), grpc.Header(&header), grpc.Trailer(&trailer))
		s.saw("%s %s %s", outcome(err), told(header), told(trailer))
	}},
	{"edge/many binary headers", func(s *scene) {
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			s.did("%s", told(md))
			return response("ok"), errorOf(grpc.SetHeader(ctx, metadata.MD{"a-bin": md["a-bin"]}), grpc.SetTrailer(ctx, metadata.MD{"b-bin": md["a-bin"]}))
		}
		c := s.start()
		var all []string
		for i := range 256 {
			all = append(all, string([]byte{byte(i), byte(i / 2)}[:i%3]))
		}
		var header, trailer metadata.MD
		_, err := c.UnaryCall(metadata.NewOutgoingContext(s.ctx, metadata.MD{"a-bin": all}), request(""), grpc.Header(&header), grpc.Trailer(&trailer))
		s.saw("%s %s %s", outcome(err), told(header), told(trailer))
	}},
	{"edge/more metadata than the server takes", func(s *scene) {
		s.options = ServerOptions{MaxHeader: 8 << 10}
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response("ok"), nil }
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request("")) // so that the client knows the limit
		s.saw("%s", outcome(err))
		_, err = c.UnaryCall(metadata.AppendToOutgoingContext(s.ctx, "large", strings.Repeat("x", 20<<10)), request(""))
		s.saw("%s", code(err))
		_, err = c.UnaryCall(s.ctx, request(""))
		s.saw("%s", outcome(err))
	}},
	{"edge/a code that no int32 holds", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			return nil, status.Error(1<<31, "too large")
		}
		c := s.start()
		for range 2 {
			_, err := c.UnaryCall(s.ctx, request(""))
			s.saw("%s", code(err))
		}
	}},
	{"edge/deadline while the answer is sent", func(s *scene) {
		s.output = func(_ *pb.StreamingOutputCallRequest, stream outputStream) error {
			for {
				if err := stream.Send(answer(big(1 << 16))); err != nil {
					return err // which the scene's end waits for
				}
			}
		}
		c := s.start()
		ctx, cancel := context.WithTimeout(s.ctx, soon)
		defer cancel()
		stream, err := c.StreamingOutputCall(ctx, asked(""))
		for err == nil {
			_, err = stream.Recv()
		}
		s.saw("%s", code(err))
	}},
	{"edge/the handler outlives the call", func(s *scene) {
		began, done := make(chan struct{}), make(chan struct{})
		s.duplex = func(stream duplexStream) error {
			close(began)
			<-done
			s.did("send %s", code(stream.Send(answer("late"))))
			return nil
		}
		c := s.start()
		ctx, cancel := context.WithCancel(s.ctx)
		stream, err := c.FullDuplexCall(ctx)
		if err == nil {
			err = stream.Send(asked("x"))
		}
		s.saw("%s", outcome(err))
		<-began
		cancel()
		_, err = stream.Recv()
		s.saw("%s", code(err))
		s.knows(c)
		close(done)
	}},
}

// streamBothWays calls a method, whatever it is, with these messages and tells
// of the answer.
func (s *scene) streamBothWays(method string, messages []proto.Message, answer proto.Message) {
	stream, err := s.client.NewStream(s.ctx, bothWays, service+method)
	for _, m := range messages {
		if err == nil {
			err = stream.SendMsg(m)
		}
	}
	if err == nil {
		err = stream.CloseSend()
	}
	if err == nil {
		err = stream.RecvMsg(answer)
	}
	s.saw("%d messages: %s", len(messages), outcome(err))
	if err == nil {
		s.saw("then %s", ended(stream.RecvMsg(answer)))
	}
}

// knows returns when the server has heard all that the client has said so far.
func (s *scene) knows(c pb.TestServiceClient) {
	_, err := c.UnaryCall(s.ctx, request(""))
	s.saw("meanwhile %s", code(err))
}

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
