// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/rpc"
)

// stockRole is grpc-go's own server on the unix socket at Args[0].
func stockRole(p *proctest.Self) error {
	ln, err := net.Listen("unix", p.Args[0])
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	pb.RegisterTestServiceServer(s, &bare{})
	p.Say("ready")
	go func() {
		_, _ = p.Hear()
		s.Stop()
	}()
	return s.Serve(ln)
}

// bare answers without asking who calls.
type bare struct{ tester }

func (*bare) UnaryCall(_ context.Context, req *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	return &pb.SimpleResponse{Payload: req.GetPayload()}, nil
}

func (*bare) StreamingOutputCall(req *pb.StreamingOutputCallRequest, s pb.TestService_StreamingOutputCallServer) error {
	r := &pb.StreamingOutputCallResponse{Payload: payload(int(req.GetResponseParameters()[0].GetSize()))}
	for range req.GetResponseParameters() {
		if err := s.Send(r); err != nil {
			return err
		}
	}
	return nil
}

// remotes runs f against each kind of server, in a process of its own.
func remotes(b *testing.B, f func(b *testing.B, c pb.TestServiceClient)) {
	for _, scheme := range []string{"shm", "unix", "tcp"} {
		b.Run(scheme, func(b *testing.B) {
			address := scheme + "://" + filepath.Join(b.TempDir(), "s")
			if scheme == "tcp" {
				address = "tcp://127.0.0.1:0"
			}
			p := proctest.Start(b, "server", address, "bare")
			c, err := rpc.Dial(b.Context(), p.Hear())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			f(b, pb.NewTestServiceClient(c))
		})
	}
	b.Run("grpc-go", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "s")
		proctest.Start(b, "stock", path).Expect("ready")
		cc, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = cc.Close() }()
		f(b, pb.NewTestServiceClient(cc))
	})
}

func BenchmarkUnary(b *testing.B) {
	remotes(b, func(b *testing.B, c pb.TestServiceClient) {
		for _, size := range []int{64, 64 << 10, 1 << 20} {
			b.Run(sizeName(size), func(b *testing.B) {
				req := &pb.SimpleRequest{Payload: payload(size)}
				b.ReportAllocs()
				var took []time.Duration
				for b.Loop() {
					start := time.Now()
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					if _, err := c.UnaryCall(ctx, req); err != nil {
						b.Fatal(err)
					}
					cancel()
					took = append(took, time.Since(start))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
			})
		}
	})
}

func sizeName(n int) string {
	switch {
	case n >= 1<<20:
		return "1MiB"
	case n >= 1<<10:
		return "64KiB"
	}
	return "64B"
}

func BenchmarkCallers64(b *testing.B) {
	remotes(b, func(b *testing.B, c pb.TestServiceClient) {
		req := &pb.SimpleRequest{Payload: payload(64)}
		b.ReportAllocs()
		var left atomic.Int64
		left.Store(int64(b.N))
		var wg sync.WaitGroup
		b.ResetTimer()
		for range 64 {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					_, err := c.UnaryCall(ctx, req)
					cancel()
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func BenchmarkServerStream(b *testing.B) {
	remotes(b, func(b *testing.B, c pb.TestServiceClient) {
		b.ReportAllocs()
		for done := 0; done < b.N; {
			n := min(b.N-done, 100_000)
			done += n
			s, err := c.StreamingOutputCall(context.Background(), &pb.StreamingOutputCallRequest{ResponseParameters: sizes(n, 1024)})
			if err != nil {
				b.Fatal(err)
			}
			for {
				if _, err := s.Recv(); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
