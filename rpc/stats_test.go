// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/rpc"
)

// watcher is a stats handler that remembers what it is told.
type watcher struct {
	mu    sync.Mutex
	calls chan string // what was told of each call, when it is over
	conns chan string
}

func newWatcher() *watcher {
	return &watcher{calls: make(chan string, 100), conns: make(chan string, 100)}
}

type (
	callTag struct{}
	connTag struct{}
)

// told is what a tag has been told of.
type told struct {
	name   string
	events []string
}

func (w *watcher) TagRPC(ctx context.Context, i *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, callTag{}, &told{name: i.FullMethodName})
}

func (w *watcher) HandleRPC(ctx context.Context, s stats.RPCStats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := ctx.Value(callTag{}).(*told)
	event := strings.TrimPrefix(fmt.Sprintf("%T", s), "*stats.")
	switch event {
	case "PickerUpdated", "DelayedPickComplete": // balancers', of which we have none
		return
	}
	if end, ok := s.(*stats.End); ok && end.Error != nil {
		event += "(" + status.Code(end.Error).String() + ")"
	}
	t.events = append(t.events, event)
	if strings.HasPrefix(event, "End") {
		slices.Sort(t.events) // the order differs in what nobody relies on
		w.calls <- t.name[strings.LastIndex(t.name, "/")+1:] + fmt.Sprint(t.events)
	}
}

func (w *watcher) TagConn(ctx context.Context, i *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, connTag{}, &told{name: i.RemoteAddr.Network()})
}

func (w *watcher) HandleConn(ctx context.Context, s stats.ConnStats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := ctx.Value(connTag{}).(*told)
	t.events = append(t.events, strings.TrimPrefix(fmt.Sprintf("%T", s), "*stats."))
	if _, ok := s.(*stats.ConnEnd); ok {
		w.conns <- fmt.Sprint(t.events)
	}
}

// closable is a client of either kind.
type closable interface {
	grpc.ClientConnInterface
	io.Closer
}

// bothDoors are a client of ours over shared memory and grpc-go's over HTTP/2
// on the same socket.
func bothDoors(t *testing.T, path string, h stats.Handler, opts ...grpc.DialOption) map[string]closable {
	t.Helper()
	ours, err := rpc.NewClient(rpc.ClientConfig{Address: "shm://" + path, StatsHandlers: []stats.Handler{h}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	stock, err := grpc.NewClient("unix:"+path, append(opts, grpc.WithStatsHandler(h), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stock.Close() })
	return map[string]closable{"ours": ours, "grpc-go": stock}
}

// TestStatsHandlers: those of the server and of the client are told the same
// of calls and connections on Parley's framing and on HTTP/2.
func TestStatsHandlers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	server, client := newWatcher(), newWatcher()
	serve(t, "shm://"+path, rpc.ServerConfig{StatsHandlers: []stats.Handler{server}})
	all := map[string][]string{}
	for name, cc := range bothDoors(t, path, client) {
		c := pb.NewTestServiceClient(cc)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "echo", "x")
		if _, err := c.UnaryCall(ctx, &pb.SimpleRequest{}); err != nil {
			t.Fatal(name, err)
		}
		all[name] = append(all[name], <-client.calls, <-server.calls)
		if _, err := c.UnaryCall(ctx, &pb.SimpleRequest{Payload: payload(100_000)}); err != nil {
			t.Fatal(name, err)
		}
		all[name] = append(all[name], <-client.calls, <-server.calls)
		out, err := c.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{ResponseParameters: sizes(3, 10)})
		for err == nil {
			_, err = out.Recv()
		}
		if err != io.EOF {
			t.Fatal(name, err)
		}
		all[name] = append(all[name], <-client.calls, <-server.calls)
		if err := cc.Close(); err != nil {
			t.Error(name, err)
		}
		all[name] = append(all[name], <-client.conns, <-server.conns)
	}
	if ours, theirs := strings.Join(all["ours"], "\n"), strings.Join(all["grpc-go"], "\n"); ours != theirs {
		t.Errorf("on our framing:\n%s\non HTTP/2:\n%s", ours, theirs)
	}
	if want := "[ConnBegin ConnEnd]"; !slices.Equal(all["ours"][6:], []string{want, want}) {
		t.Error(all["ours"][6:])
	}
}

// onlyUnary lets everybody do everything but call other methods.
var onlyUnary = auth.AuthorizerFunc(func(_ context.Context, id auth.Identity, action auth.Action, resource string) error {
	if action == auth.Call && !strings.HasSuffix(resource, "/UnaryCall") {
		return fmt.Errorf("%w: the rule's own name", fault.Denied)
	}
	return nil
})

// TestStatsOfDeniedCalls: they are told of as those that an interceptor of
// grpc-go's refuses.
func TestStatsOfDeniedCalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	server := newWatcher()
	serve(t, "shm://"+path, rpc.ServerConfig{StatsHandlers: []stats.Handler{server}, Authorizer: onlyUnary})
	all := map[string]string{}
	for name, cc := range bothDoors(t, path, newWatcher()) {
		c := pb.NewTestServiceClient(cc)
		if _, err := c.EmptyCall(t.Context(), &pb.Empty{}); status.Code(err) != codes.PermissionDenied {
			t.Fatal(name, err)
		}
		all[name] = strings.ReplaceAll(<-server.calls, " InPayload", "") // the HTTP/2 door has parsed it before it asks
		out, err := c.StreamingOutputCall(t.Context(), &pb.StreamingOutputCallRequest{})
		if err == nil {
			_, err = out.Recv()
		}
		if status.Code(err) != codes.PermissionDenied {
			t.Fatal(name, err)
		}
		all[name] += <-server.calls
	}
	if all["ours"] != all["grpc-go"] || !strings.Contains(all["ours"], "End(PermissionDenied)") {
		t.Errorf("on our framing:\n%s\non HTTP/2:\n%s", all["ours"], all["grpc-go"])
	}
}

// weigher is a stats handler that notes the sizes of messages.
type weigher struct{ *watcher }

func (w *weigher) HandleRPC(ctx context.Context, s stats.RPCStats) {
	t := ctx.Value(callTag{}).(*told)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s := s.(type) {
	case *stats.InPayload:
		t.events = append(t.events, fmt.Sprint("in ", s.Length, " ", s.CompressedLength, " ", s.WireLength))
	case *stats.OutPayload:
		t.events = append(t.events, fmt.Sprint("out ", s.Length, " ", s.CompressedLength, " ", s.WireLength))
	case *stats.End:
		slices.Sort(t.events)
		w.calls <- fmt.Sprint(t.events)
	}
}

// TestStatsOfMessages: what messages weigh, with and without compression, is
// told as grpc-go tells it.
func TestStatsOfMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	both := &weigher{newWatcher()}
	serve(t, "shm://"+path, rpc.ServerConfig{StatsHandlers: []stats.Handler{both}})
	all := map[string][]string{}
	for name, cc := range bothDoors(t, path, both) {
		c := pb.NewTestServiceClient(cc)
		for _, opts := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
			for _, n := range []int{0, 100, 100_000} {
				if _, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(n)}, opts...); err != nil {
					t.Fatal(name, err)
				}
				two := []string{<-both.calls, <-both.calls}
				slices.Sort(two)
				all[name] = append(all[name], two...)
			}
			s, err := c.FullDuplexCall(t.Context(), opts...)
			if err == nil {
				err = s.Send(&pb.StreamingOutputCallRequest{Payload: payload(5000), ResponseParameters: sizes(2, 5000)})
			}
			if err != nil {
				t.Fatal(name, err)
			}
			_ = s.CloseSend()
			for err == nil {
				_, err = s.Recv()
			}
			two := []string{<-both.calls, <-both.calls}
			slices.Sort(two)
			all[name] = append(all[name], two...)
		}
	}
	if ours, theirs := strings.Join(all["ours"], "\n"), strings.Join(all["grpc-go"], "\n"); ours != theirs {
		t.Errorf("on our framing:\n%s\non HTTP/2:\n%s", ours, theirs)
	}
}

// TestOpenTelemetry plugs otelgrpc in on both sides: the server's span is a
// child of the client's, on both doors.
func TestOpenTelemetry(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	opts := []otelgrpc.Option{otelgrpc.WithTracerProvider(provider), otelgrpc.WithPropagators(propagation.TraceContext{})}
	path := filepath.Join(t.TempDir(), "s")
	s, _ := serve(t, "shm://"+path, rpc.ServerConfig{StatsHandlers: []stats.Handler{otelgrpc.NewServerHandler(opts...)}})
	clients := bothDoors(t, path, otelgrpc.NewClientHandler(opts...))
	for name, cc := range clients {
		c := pb.NewTestServiceClient(cc)
		if _, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
			t.Fatal(name, err)
		}
		emptyStream(t, c)
		_ = cc.Close()
	}
	s.GracefulStop() // its handlers have ended, and told so
	parents, children := map[trace.SpanID]string{}, 0
	for _, span := range spans.Ended() {
		if span.SpanKind() == trace.SpanKindClient {
			parents[span.SpanContext().SpanID()] = span.Name()
		}
	}
	for _, span := range spans.Ended() {
		if span.SpanKind() != trace.SpanKindServer {
			continue
		}
		children++
		if name, ok := parents[span.Parent().SpanID()]; !ok || name != span.Name() {
			t.Errorf("%s has the parent %q", span.Name(), name)
		}
	}
	if len(parents) != 4 || children != 4 {
		t.Errorf("%d spans of clients and %d of servers, want 4 and 4", len(parents), children)
	}
}

// headed is a stats handler that notes each call when it has been told of its
// trailer, for some hear of nothing after that, and of its end.
type headed struct{ *watcher }

func (h headed) HandleRPC(ctx context.Context, s stats.RPCStats) {
	t, ok := ctx.Value(callTag{}).(*told)
	if !ok {
		return // grpc-go's, of a name that is none
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t.events = append(t.events, fmt.Sprintf("%T", s))
	if in, ok := s.(*stats.InHeader); ok {
		t.events = append(t.events, in.FullMethod, fmt.Sprint(in.Header["echo"]))
	}
	switch s.(type) {
	case *stats.OutTrailer:
		h.calls <- t.name + fmt.Sprint(t.events)
	case *stats.End:
		h.calls <- t.name + " has ended"
	}
}

// TestStatsOfUnknownMethods: they are half told of, as grpc-go does, and told
// what the caller sent; of a name that is none, nothing.
func TestStatsOfUnknownMethods(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	server := headed{newWatcher()}
	serve(t, "shm://"+path, rpc.ServerConfig{StatsHandlers: []stats.Handler{server}})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "echo", "x")
	all := map[string][]string{}
	for name, cc := range bothDoors(t, path, newWatcher()) {
		for _, method := range []string{"/nonsense", "/no.Such/Method", "/grpc.testing.TestService/None"} {
			if err := cc.Invoke(ctx, method, &pb.SimpleRequest{Payload: payload(100_000)}, new(pb.SimpleResponse)); status.Code(err) != codes.Unimplemented {
				t.Error(name, method, err)
			}
			s, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
			if err == nil {
				err = s.RecvMsg(new(pb.SimpleResponse))
			}
			if status.Code(err) != codes.Unimplemented {
				t.Error(name, method, err)
			}
			if method != "/nonsense" {
				all[name] = append(all[name], <-server.calls, <-server.calls)
			}
		}
		if _, err := pb.NewTestServiceClient(cc).UnaryCall(ctx, &pb.SimpleRequest{}); err != nil {
			t.Error(name, err)
		}
		all[name] = append(all[name], <-server.calls, <-server.calls)
	}
	if ours, theirs := strings.Join(all["ours"], "\n"), strings.Join(all["grpc-go"], "\n"); ours != theirs || !strings.HasSuffix(ours, " has ended") {
		t.Errorf("on our framing:\n%s\non HTTP/2:\n%s", ours, theirs)
	}
}
