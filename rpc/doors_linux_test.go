// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
)

// journal is what several goroutines have noted.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) note(words ...string) { _, _ = j.Write([]byte(strings.Join(words, " ") + "\n")) }

// take returns what has been noted, and forgets it.
func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.b.Reset()
	return j.b.String()
}

// noting are interceptors that note who calls what.
func (j *journal) noting(name string) (grpc.UnaryServerInterceptor, grpc.StreamServerInterceptor) {
	who := func(ctx context.Context) string {
		p, _ := peer.FromContext(ctx)
		id, _ := p.AuthInfo.(auth.Identity)
		return id.String()
	}
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			j.note(name, who(ctx), info.FullMethod)
			if req.(*pb.SimpleRequest).GetFillUsername() {
				return nil, status.Error(codes.Aborted, name+" says no")
			}
			return h(ctx, req)
		}, func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) error {
			j.note(name, who(ss.Context()), info.FullMethod)
			return h(srv, ss)
		}
}

// TestInterceptorsOnBothDoors: those of the server see the same calls in the
// same order, on Parley's framing and on HTTP/2, and can refuse them.
func TestInterceptorsOnBothDoors(t *testing.T) {
	var j journal
	u1, s1 := j.noting("outer")
	u2, s2 := j.noting("inner")
	path := filepath.Join(t.TempDir(), "s")
	serve(t, "shm://"+path, rpc.ServerConfig{
		UnaryInterceptors: []grpc.UnaryServerInterceptor{u1, u2}, StreamInterceptors: []grpc.StreamServerInterceptor{s1, s2},
	})
	noted := map[string]string{}
	for name, cc := range bothDoors(t, path, newWatcher()) {
		c := pb.NewTestServiceClient(cc)
		if _, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
			t.Fatal(name, err)
		}
		_, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{FillUsername: true})
		if s := status.Convert(err); s.Code() != codes.Aborted || s.Message() != "outer says no" {
			t.Error(name, err)
		}
		emptyStream(t, c)
		noted[name] = j.take()
	}
	if noted["ours"] != noted["grpc-go"] || strings.Count(noted["ours"], "\n") != 5 || !strings.HasPrefix(noted["ours"], "outer uid:") {
		t.Errorf("on our framing:\n%son HTTP/2:\n%s", noted["ours"], noted["grpc-go"])
	}
}

// scales note how large each payload of the server was on the wire.
type scales struct {
	*watcher
	in, out chan int
}

func (s scales) HandleRPC(_ context.Context, r stats.RPCStats) {
	switch p := r.(type) {
	case *stats.InPayload:
		s.in <- p.CompressedLength
	case *stats.OutPayload:
		s.out <- p.CompressedLength
	}
}

// TestCompression: with UseCompressor both directions are compressed, unary and
// in streams, on both doors; without, neither is.
func TestCompression(t *testing.T) {
	w := scales{newWatcher(), make(chan int, 100), make(chan int, 100)}
	path := filepath.Join(t.TempDir(), "s")
	serve(t, "shm://"+path, rpc.ServerConfig{StatsHandlers: []stats.Handler{w}})
	zeros := &pb.Payload{Body: make([]byte, 100_000)}
	weigh := func(what string, compressed bool) {
		t.Helper()
		if in, out := <-w.in, <-w.out; (in < 10_000) != compressed || (out < 10_000) != compressed {
			t.Errorf("%s: %d bytes in, %d bytes out", what, in, out)
		}
	}
	for name, cc := range bothDoors(t, path, newWatcher()) {
		c := pb.NewTestServiceClient(cc)
		for _, opts := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
			r, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: zeros}, opts...)
			if err != nil || !slices.Equal(r.GetPayload().GetBody(), zeros.GetBody()) {
				t.Fatal(name, err)
			}
			weigh(name+", unary", len(opts) > 0)
			both, err := c.FullDuplexCall(t.Context(), opts...)
			if err != nil {
				t.Fatal(name, err)
			}
			if err := both.Send(&pb.StreamingOutputCallRequest{Payload: zeros, ResponseParameters: sizes(1, 100_000)}); err != nil {
				t.Fatal(name, err)
			}
			m, err := both.Recv()
			if err != nil || !slices.Equal(m.GetPayload().GetBody(), zeros.GetBody()) {
				t.Fatal(name, err)
			}
			weigh(name+", stream", len(opts) > 0)
			_ = both.CloseSend()
			if _, err := both.Recv(); err != io.EOF {
				t.Error(name, err)
			}
		}
	}
}

// TestPendingHandshakes: who says nothing keeps his own place only, of those
// that one identity has; as many as the line holds wait for it, the next is
// turned away, and all the others are served when they speak.
func TestPendingHandshakes(t *testing.T) {
	const places, line = 1, 8 * 4
	address := "unix://" + filepath.Join(t.TempDir(), "s")
	s := rpc.NewServer(rpc.ServerConfig{MaxPending: 4, Limits: rpc.Limits{HandshakeTimeout: time.Minute}})
	start(t, s, address)
	// Which of them are accepted first is the kernel's affair and the
	// acceptor's: one of them is turned away, without having said a word.
	all := make([]transport.Conn, places+line+1)
	ended := make(chan int)
	done := make(chan error)
	for i := range all {
		conn, err := parley.Dial(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		all[i] = conn
		go func() {
			_, err := conn.Read(make([]byte, 1))
			if !isTimeout(err) {
				ended <- i
			}
			done <- err
		}()
	}
	var away int
	select {
	case away = <-ended:
		if <-done == nil {
			t.Error("who is turned away hears something")
		}
	case <-time.After(40 * time.Second): // far less than a handshake may take
		t.Fatal("none is turned away")
	}
	for i, conn := range all {
		if i != away {
			_ = conn.SetReadDeadline(time.Unix(1, 0))
		}
	}
	for range places + line {
		select {
		case i := <-ended:
			t.Fatalf("number %d is turned away, too: %v", i, <-done)
		case err := <-done:
			if !isTimeout(err) {
				t.Error(err)
			}
		}
	}
	for i, conn := range all {
		if i == away {
			continue
		}
		_ = conn.SetReadDeadline(time.Time{})
		if _, err := conn.Write(rpcwire.Hello{Window: 1 << 20, Total: 1 << 20}.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	for i, conn := range all {
		if i == away {
			continue
		}
		if _, err := io.ReadFull(conn, make([]byte, rpcwire.HelloPrefix)); err != nil {
			t.Errorf("number %d, when it speaks: %v", i, err)
		}
	}
	c, err := rpc.NewClient(rpc.ClientConfig{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, err = pb.NewTestServiceClient(c).EmptyCall(t.Context(), &pb.Empty{})
	if status.Code(err) != codes.Unimplemented { // as nothing is registered: it was heard
		t.Error("the next:", err)
	}
}

// TestManyClientsAtOnce: a thousand that come together are all served, by
// default, though they are one identity.
func TestManyClientsAtOnce(t *testing.T) {
	n := 1000
	if raced {
		n = 300
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil || files.Cur < uint64(3*n) {
		t.Skipf("%d open files are allowed, too few for both sides", files.Cur)
	}
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			s := rpc.NewServer(rpc.ServerConfig{})
			pb.RegisterTestServiceServer(s, &tester{})
			address := start(t, s, address)
			var all sync.WaitGroup
			for range n {
				all.Go(func() {
					c, err := rpc.NewClient(rpc.ClientConfig{Address: address, DialTimeout: time.Minute, Limits: rpc.Limits{HandshakeTimeout: time.Minute}})
					if err != nil {
						t.Error(err)
						return
					}
					defer func() { _ = c.Close() }()
					if _, err := pb.NewTestServiceClient(c).UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(interface{ Timeout() bool })
	return ok && ne.Timeout()
}

// TestFallbackIsCounted: where either side has no budget for shared memory the
// call goes over the socket, and both sides count and log it.
func TestFallbackIsCounted(t *testing.T) {
	none := shm.Options{Attach: shm.AtOnce, Budget: &shm.Budget{Max: 1}}
	for name, side := range map[string]struct{ server, client shm.Options }{
		"the server has none": {server: none, client: shm.Options{Attach: shm.AtOnce}}, "the client has none": {client: none},
	} {
		t.Run(name, func(t *testing.T) {
			address := "shm://" + filepath.Join(t.TempDir(), "s")
			var logs [2]journal
			s := rpc.NewServer(rpc.ServerConfig{SHM: side.server, Logger: slog.New(slog.NewTextHandler(&logs[0], nil))})
			pb.RegisterTestServiceServer(s, &tester{})
			start(t, s, address)
			c, err := rpc.NewClient(rpc.ClientConfig{
				Address: address, Dialer: parley.Dialer{SHM: side.client}, Logger: slog.New(slog.NewTextHandler(&logs[1], nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := pb.NewTestServiceClient(c).UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(100_000)}); err != nil {
				t.Fatal(err)
			}
			if s.Fallbacks() != 1 || c.Fallbacks() != 1 {
				t.Errorf("%d of the server, %d of the client", s.Fallbacks(), c.Fallbacks())
			}
			for i, side := range []string{"server", "client"} {
				if text := logs[i].take(); strings.Count(text, "no shared memory") != 1 {
					t.Errorf("the %s's log: %q", side, text)
				}
			}
		})
	}
}
