// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/internal/rpctest"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/transporttest"
)

var trusting = shm.Options{Attach: shm.AtOnce, Trusted: true, RingSize: 1 << 20}

// trustingPair is s and a client of it that read each other in place.
func trustingPair(t *testing.T, register func(*rpc.Server)) *rpc.Client {
	t.Helper()
	s := rpc.NewServer(rpc.ServerConfig{SHM: trusting})
	register(s)
	c, err := rpc.NewClient(rpc.ClientConfig{
		Address: start(t, s, "shm://"+filepath.Join(t.TempDir(), "s")), Dialer: parley.Dialer{SHM: trusting},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestTrustedHostileFrames: what is read in place is judged as what is copied.
func TestTrustedHostileFrames(t *testing.T) {
	path := "shm://" + filepath.Join(t.TempDir(), "s")
	serve(t, path, rpc.ServerConfig{SHM: trusting})
	once := func(t *testing.T, bytes []byte) {
		t.Helper()
		c := intruderBy(t, parley.Dialer{SHM: trusting}, path, rpcwire.Hello{Window: 1 << 20, Total: 1 << 20})
		costsTheConnection(t, c, bytes)
		_ = c.Close()
	}
	once(t, rawFrame(99, 0, 0, nil)) // what is made once is there
	compare := transporttest.Holding()
	for name, bytes := range hostileFrames() {
		t.Run(name, func(t *testing.T) { once(t, bytes) })
	}
	compare(t)
}

// tardy serves a method whose handler reads its request when it is told to.
type tardy struct{ begun, read chan struct{} }

func (l *tardy) register(s *rpc.Server) {
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "t.T", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Late",
		Handler: func(_ any, _ context.Context, parse func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			if l.begun != nil {
				l.begun <- struct{}{}
				<-l.read
			}
			in := new(pb.SimpleRequest)
			if err := parse(in); err != nil {
				return nil, err
			}
			again := new(pb.SimpleRequest)
			if err := parse(again); err != nil || !proto.Equal(in, again) {
				return nil, fmt.Errorf("parsed again it is another: %w", err)
			}
			return &pb.SimpleResponse{Username: sum(in.GetPayload().GetBody())}, nil
		},
	}}}, l)
	pb.RegisterTestServiceServer(s, &tester{})
}

// TestRequestOutlivesItsLoan: a handler that runs where its call was read is
// relieved of the reader's role when it takes long, and its request, which lay
// in the ring, is still whole when it reads it, however much has come since.
func TestRequestOutlivesItsLoan(t *testing.T) {
	l := new(tardy)
	c := trustingPair(t, l.register)
	call := func(body []byte) (string, error) {
		out, err := rpc.Call[pb.SimpleRequest, pb.SimpleResponse](t.Context(), c, "/t.T/Late", &pb.SimpleRequest{Payload: &pb.Payload{Body: body}})
		return out.GetUsername(), err
	}
	for i, n := range []int{10, 1000, 9000, 60_000, 120_000} {
		body := make([]byte, n)
		for j := range body {
			body[j] = byte(i*j + j>>8)
		}
		l.begun, l.read = nil, nil
		for range 200 { // its runs are short: it runs where it was read
			if _, err := call([]byte("quick")); err != nil {
				t.Fatal(err)
			}
		}
		l.begun, l.read = make(chan struct{}), make(chan struct{})
		result := make(chan error, 1)
		go func() {
			got, err := call(body)
			if err == nil && got != sum(body) {
				err = fmt.Errorf("%s of %d bytes, want %s", got, n, sum(body))
			}
			result <- err
		}()
		<-l.begun
		for j := range 90 { // past it, and round the ring
			if _, err := pb.NewTestServiceClient(c).UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload([]int{10, 1000, 100_000}[j%3])}); err != nil {
				t.Fatal(err)
			}
		}
		l.read <- struct{}{}
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

// TestLoanOutlivesItsReader: a client that has read a part of what has come
// closes its connection, and so does one whose server dies meanwhile; the
// memory goes with it.
func TestLoanOutlivesItsReader(t *testing.T) {
	once := func(t *testing.T, kill bool) {
		t.Helper()
		s := rpc.NewServer(rpc.ServerConfig{SHM: trusting})
		pb.RegisterBenchmarkServiceServer(s, streamer{})
		ln, err := s.Listen(t.Context(), "shm://"+filepath.Join(rpctest.ShortDir(t), "s"))
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		c, err := rpc.NewClient(rpc.ClientConfig{Address: ln.Address().String(), Dialer: parley.Dialer{SHM: trusting}})
		if err != nil {
			t.Fatal(err)
		}
		stream, err := pb.NewBenchmarkServiceClient(c).StreamingFromServer(t.Context(), &pb.SimpleRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if in, err := stream.Recv(); err != nil || len(in.GetPayload().GetBody()) != 5000 {
				t.Fatal(len(in.GetPayload().GetBody()), err)
			}
		}
		if kill {
			s.Stop()
			for err == nil {
				_, err = stream.Recv()
			}
			if code := status.Code(err); code != codes.Unavailable {
				t.Error(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for err = nil; err == nil; { // what has come already may be had
			_, err = stream.Recv()
		}
		s.Stop()
		<-served
	}
	once(t, false)
	compare := transporttest.Holding()
	for i := range 20 {
		once(t, i%2 == 0)
	}
	compare(t)
}

// streamer sends without end.
type streamer struct {
	pb.UnimplementedBenchmarkServiceServer
}

func (streamer) StreamingFromServer(_ *pb.SimpleRequest, s pb.BenchmarkService_StreamingFromServerServer) error {
	for {
		if err := s.Send(&pb.SimpleResponse{Payload: payload(5000)}); err != nil {
			return err
		}
	}
}

// TestFilesAmongLoans: calls with files come to their handlers with their own
// files among others that are read in place.
func TestFilesAmongLoans(t *testing.T) {
	dir := t.TempDir()
	c := trustingPair(t, func(s *rpc.Server) {
		handle(t, s, "/t.T/Read", func(ctx context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			text := ""
			for _, f := range rpc.Files(ctx) {
				b, err := io.ReadAll(f)
				if err != nil {
					return nil, err
				}
				text += string(b)
			}
			return &pb.SimpleResponse{Username: fmt.Sprint(text, len(in.GetPayload().GetBody()))}, nil
		})
	})
	one := func(i, j int) error {
		ctx, want, n := t.Context(), "", (i*4099+j*977)%20_000
		if (i+j)%3 == 0 {
			name := filepath.Join(dir, fmt.Sprint(i, " ", j))
			want = fmt.Sprint("file ", i, " ", j, ", ")
			if err := os.WriteFile(name, []byte(want), 0o600); err != nil {
				return err
			}
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			ctx = rpc.AttachFiles(ctx, f)
		}
		want += fmt.Sprint(n)
		out, err := rpc.Call[pb.SimpleRequest, pb.SimpleResponse](ctx, c, "/t.T/Read", &pb.SimpleRequest{Payload: payload(n)})
		if err == nil && out.GetUsername() != want {
			err = fmt.Errorf("%q, want %q", out.GetUsername(), want)
		}
		return err
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 40 {
				if err := one(i, j); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestChangedUnderTheReader: a trusted peer that rewrites what it has published
// while it is read gets answers or errors, and nobody else suffers.
func TestChangedUnderTheReader(t *testing.T) {
	path := "shm://" + filepath.Join(t.TempDir(), "s")
	_, good := serve(t, path, rpc.ServerConfig{SHM: trusting})
	r := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		c := intruderBy(t, parley.Dialer{SHM: trusting}, path, rpcwire.Hello{Window: 1 << 20, Total: 1 << 20})
		go func() { _, _ = io.Copy(io.Discard, c) }()
		for i := range 25 {
			if spoil(c, uint32(3+2*i), r) != nil {
				break // it has broken the protocol
			}
		}
		_ = c.Close()
	}
	if _, err := pb.NewTestServiceClient(good).UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(1000)}); err != nil {
		t.Error("the neighbour:", err)
	}
}

// spoil sends a call and rewrites its bytes.
func spoil(c transport.Conn, stream uint32, r *rand.Rand) error {
	const method = "/grpc.testing.TestService/UnaryCall"
	m, err := proto.Marshal(&pb.SimpleRequest{ResponseSize: 10, Payload: &pb.Payload{Body: make([]byte, r.IntN(30_000))}})
	if err != nil {
		return err
	}
	o := rpcwire.Opening{
		Flags: rpcwire.FlagNamed | rpcwire.FlagExtra | rpcwire.FlagMessage | rpcwire.FlagEnd, Name: []byte(method),
		Metadata: rpcwire.AppendPair(rpcwire.AppendPair(nil, "some-key", "a value"), "x", "y"),
	}
	b := rawFrame(rpcwire.Open, o.Flags, stream, append(o.Append(nil), m...))
	if r.IntN(3) == 0 { // the same in two parts
		o.Flags &^= rpcwire.FlagMessage | rpcwire.FlagEnd
		b = rawFrame(rpcwire.Open, o.Flags, stream, o.Append(nil))
		pre := binary.LittleEndian.AppendUint32(nil, uint32(len(m)))
		b = append(b, rawFrame(rpcwire.Message, rpcwire.FlagMessage|rpcwire.FlagPart, stream, append(pre, m[:len(m)/2+1]...))...)
		b = append(b, rawFrame(rpcwire.Message, rpcwire.FlagMessage|rpcwire.FlagEnd, stream, m[len(m)/2+1:])...)
	}
	l := c.(transport.Lender)
	room, err := l.Reserve(context.Background(), len(b))
	if err != nil {
		return err
	}
	copy(room, b)
	if err := l.Commit(len(b)); err != nil {
		return err
	}
	at := r.IntN(min(len(room), 150))
	for range 3000 { // its own memory still, as far as the kernel is concerned
		room[at] = byte(r.Uint32())
		if r.IntN(50) == 0 {
			at = r.IntN(min(len(room), 150))
		}
	}
	copy(room, b)
	return nil
}

// TestDeadlinesAreNotEarly: whatever the server's reader knows of the time, a
// call's deadline is not before its caller's.
func TestDeadlinesAreNotEarly(t *testing.T) {
	deadlines := make(chan time.Time, 1)
	register := func(s *rpc.Server) {
		handle(t, s, "/t.T/Deadline", func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			at, _ := ctx.Deadline()
			deadlines <- at
			return new(pb.SimpleResponse), nil
		})
	}
	inOne := trustingPair(t, register)
	s := rpc.NewServer(rpc.ServerConfig{})
	register(s)
	for name, c := range map[string]*rpc.Client{"shm, trusted": inOne, "shm": dial(t, start(t, s, "shm://"+filepath.Join(t.TempDir(), "s")))} {
		for range 300 { // in goroutines first, then where they are read
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			if _, err := rpc.Call[pb.SimpleRequest, pb.SimpleResponse](ctx, c, "/t.T/Deadline", new(pb.SimpleRequest)); err != nil {
				t.Fatal(err)
			}
			cancel()
			ours, _ := ctx.Deadline()
			if theirs := <-deadlines; theirs.Before(ours) {
				t.Fatalf("%s: the handler's deadline is %v before its caller's", name, ours.Sub(theirs))
			}
		}
	}
}
