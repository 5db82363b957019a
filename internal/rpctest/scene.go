// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// sceneTime bounds a scene, on the busiest machine.
const sceneTime = 60 * time.Second

// scene is a client and a server at play, and what each of them saw.
type scene struct {
	pb.UnimplementedTestServiceServer
	t       testing.TB
	ctx     context.Context // ends with the scene
	backend Backend
	options ServerOptions
	dialled ClientOptions

	// The server's methods; nil is unimplemented. Set before start.
	unary  func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error)
	output func(*pb.StreamingOutputCallRequest, outputStream) error
	input  func(inputStream) error
	duplex func(duplexStream) error

	server Server
	client Client

	mu         sync.Mutex
	changed    *sync.Cond // on mu
	busy       int        // handlers that run. Guarded by mu
	seen, done []string   // by the client, by the server. Guarded by mu
}

// The server's ends of the streams of gRPC's test service.
type (
	outputStream = grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]
	inputStream  = grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]
	duplexStream = grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]
)

// start starts the server, and returns the stubs.
func (s *scene) start() pb.TestServiceClient {
	s.t.Helper()
	s.server = s.backend.Serve(s.t, s.options, func(r grpc.ServiceRegistrar) { pb.RegisterTestServiceServer(r, s) })
	s.client = s.server.Dial(s.t, s.dialled)
	return pb.NewTestServiceClient(s.client)
}

// end waits for the handlers, and stops both sides.
func (s *scene) end() {
	if s.client == nil {
		return
	}
	defer context.AfterFunc(s.ctx, func() { s.mu.Lock(); defer s.mu.Unlock(); s.changed.Broadcast() })()
	s.mu.Lock()
	for s.busy > 0 && s.ctx.Err() == nil {
		s.changed.Wait()
	}
	if s.busy > 0 {
		s.t.Errorf("%s: %d handlers did not end", s.backend.Name, s.busy)
	}
	s.mu.Unlock()
	_ = s.client.Close()
	s.server.Stop()
	s.client = nil
}

// handles marks a handler as running until the function that it returns.
func (s *scene) handles() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy--
		s.changed.Broadcast()
	}
}

// UnaryCall is s.unary.
func (s *scene) UnaryCall(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if s.unary == nil {
		return s.UnimplementedTestServiceServer.UnaryCall(ctx, r)
	}
	defer s.handles()()
	return s.unary(ctx, r)
}

// StreamingOutputCall is s.output.
func (s *scene) StreamingOutputCall(r *pb.StreamingOutputCallRequest, stream outputStream) error {
	defer s.handles()()
	return s.output(r, stream)
}

// StreamingInputCall is s.input.
func (s *scene) StreamingInputCall(stream inputStream) error {
	defer s.handles()()
	return s.input(stream)
}

// FullDuplexCall is s.duplex.
func (s *scene) FullDuplexCall(stream duplexStream) error {
	defer s.handles()()
	return s.duplex(stream)
}

// saw notes what the client saw.
func (s *scene) saw(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, fmt.Sprintf(format, args...))
}

// did notes what the server did.
func (s *scene) did(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, fmt.Sprintf(format, args...))
}

// story is what both saw, each in order.
func (s *scene) story() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, line := range s.seen {
		b.WriteString("  client: " + line + "\n")
	}
	for _, line := range s.done {
		b.WriteString("  server: " + line + "\n")
	}
	return b.String()
}

// private is metadata that belongs to a transport, not to a program.
var private = []string{"content-type", "user-agent", ":authority", "grpc-accept-encoding", "grpc-encoding", "grpc-status-details-bin"}

// told is metadata as text.
func told(md metadata.MD) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(md)) {
		if !slices.Contains(private, key) {
			pairs = append(pairs, fmt.Sprintf("%s=%q", key, md[key]))
		}
	}
	return "{" + strings.Join(pairs, " ") + "}"
}

// incoming is what a handler is sent.
func incoming(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return told(md)
}

// outcome is an error as gRPC shows it.
func outcome(err error) string {
	st := status.Convert(err)
	text := fmt.Sprintf("%s %q", st.Code(), st.Message())
	for _, d := range st.Details() {
		text += fmt.Sprintf(" %T{%v}", d, d)
	}
	if _, ok := status.FromError(err); !ok {
		text = fmt.Sprintf("no status: %v", err)
	}
	return text
}

// code is outcome where only the code is promised.
func code(err error) string { return status.Code(err).String() }

func request(body string) *pb.SimpleRequest {
	return &pb.SimpleRequest{Payload: &pb.Payload{Body: []byte(body)}}
}

func response(body string) *pb.SimpleResponse {
	return &pb.SimpleResponse{Payload: &pb.Payload{Body: []byte(body)}}
}

func asked(body string) *pb.StreamingOutputCallRequest {
	return &pb.StreamingOutputCallRequest{Payload: &pb.Payload{Body: []byte(body)}}
}

func answer(body string) *pb.StreamingOutputCallResponse {
	return &pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: []byte(body)}}
}

// short is a body as text.
func short(p *pb.Payload) string {
	body := p.GetBody()
	if len(body) > 20 {
		return fmt.Sprintf("%q… %d bytes", body[:10], len(body))
	}
	return fmt.Sprintf("%q", body)
}
